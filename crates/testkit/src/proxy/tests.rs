//! Does the proxy do what a plan says, before a real server? Every act is tried on objects that
//! a client of the test's own puts and gets.

use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::seaweed::{BUCKET, S3Client, SeaweedFs};

#[test]
fn a_proxy_does_what_its_plan_says() {
    let server = SeaweedFs::shared();
    let proxy = Proxy::start(server.address());
    let client = S3Client { address: proxy.address(), credentials: server.credentials() };
    let target = |name: &str| format!("/{BUCKET}/proxy/{name}");
    let put =
        |name: &str, body: &[u8]| client.ask("PUT", &target(name), &[("if-none-match", "*")], body);
    let get = |name: &str| client.ask("GET", &target(name), &[], b"");
    let body: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();

    assert_eq!(put("a", &body).unwrap().status, 200);
    assert_eq!(put("a", &body).unwrap().status, 412);
    assert!(get("a").unwrap().body == body);
    let counts = proxy.counts();
    assert_eq!((counts.of("PUT"), counts.of("GET"), counts.total()), (2, 1, 3));
    assert!(counts.bytes_up > 200_000 && counts.bytes_down > 100_000, "{counts:?}");

    proxy.plan(|_| Act::StripConditions);
    assert_eq!(put("a", b"changed").unwrap().status, 200, "the condition is ignored");
    assert_eq!(get("a").unwrap().body, b"changed");

    proxy.plan(|_| Act::slow_down());
    let refused = put("b", &body).unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("<Code>SlowDown</Code>"));
    proxy.plan(
        |request| if request.number % 2 == 0 { Act::Pass } else { Act::deny("ExpiredToken") },
    );
    let statuses: Vec<_> = (0..4).map(|_| get("a").unwrap().status).collect();
    assert!(statuses == [200, 403, 200, 403] || statuses == [403, 200, 403, 200], "{statuses:?}");

    proxy.plan(|_| Act::LoseAnswer);
    assert!(put("lost", &body).is_err());
    proxy.plan(|_| Act::CutRequest(70_000));
    assert!(put("cut", &body).is_err());
    proxy.heal();
    assert!(get("lost").unwrap().body == body, "the server did what it was asked");
    assert_eq!(get("cut").unwrap().status, 404);

    proxy.plan(|_| Act::CutAnswer(50_000));
    assert_eq!(get("lost").unwrap_err().kind(), ErrorKind::UnexpectedEof);
    proxy.plan(|_| Act::ShortenAnswer(1));
    assert!(get("lost").unwrap().body == body[..99_999]);
    proxy.plan(|_| Act::CorruptAnswer(7));
    let found = get("lost").unwrap().body;
    let differs: Vec<_> = (0..body.len()).filter(|&at| found[at] != body[at]).collect();
    assert_eq!(differs, [7]);
    proxy.plan(|_| Act::CorruptRequest(u64::MAX));
    assert_eq!(put("corrupt", b"abc").unwrap().status, 200, "nothing here checks digests");
    proxy.plan(|_| Act::Trickle(40_000, Duration::from_millis(1)));
    assert!(get("lost").unwrap().body == body);
    assert_eq!(get("corrupt").unwrap().body, b"abb");

    proxy.plan(|_| Act::later(Duration::from_millis(1), Act::Hang(Duration::from_millis(1))));
    assert!(get("lost").is_err());
}

#[test]
fn a_server_behind_a_proxy_has_another_clock_and_other_pages() {
    let server = SeaweedFs::shared();
    let proxy = Proxy::start(server.address());
    let client = S3Client { address: proxy.address(), credentials: server.credentials() };
    let target = |name: &str| format!("/{BUCKET}/clock/{name}");
    let get = |name: &str| client.ask("GET", &target(name), &[], b"");
    for name in ["a", "b", "c"] {
        server.ask("PUT", &target(name), &[], b"body").expect("a put");
    }

    proxy.plan(|_| Act::ShiftClock(86_400));
    let skewed = get("a").unwrap();
    assert_eq!(skewed.status, 403);
    assert!(skewed.text().contains("RequestTimeTooSkewed"));
    proxy.plan(|_| Act::ShiftClock(-60));
    assert!(get("a").unwrap().text() == "body", "a minute is forgiven");
    proxy.plan(|_| Act::ShiftTimes(-86_400));
    let list = format!("/{BUCKET}?list-type=2&prefix=clock%2F&max-keys=1000");
    let yesterday = client.ask("GET", &list, &[], b"").unwrap();
    let day = |text: &str| text.split("<LastModified>").nth(1).unwrap()[..10].to_owned();
    assert!(yesterday.header("date").is_some());
    proxy.plan(|_| Act::SmallPages(2));
    let page = client.ask("GET", &list, &[], b"").unwrap().text();
    assert_eq!((page.matches("<Key>").count(), page.contains("<IsTruncated>true")), (2, true));
    assert!(day(&yesterday.text()) < day(&page), "{} {page}", yesterday.text());
}
