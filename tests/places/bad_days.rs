//! What networks and servers do on bad days, between the program's code and a real S3 server.
//!
//! A proxy stands between and does it: what was acknowledged is kept, a put has one winner, and
//! what cannot be survived ends with the right words.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use places::{
    ErrorKind, NamePrefix, ObjectName, Place, Put, PutOptions, RetentionMode, RetryPolicy,
    Retrying, SystemClock, Throttled,
};
use testkit::proxy::{Act, Proxy, Refusal};
use testkit::seaweed::{BUCKET, BucketKind, SeaweedFs};

use crate::bucket::{open, options, prefix, program};

/// A place that tries again soon, so that a test of many faults is short.
fn patient(url: &str, server: &SeaweedFs, seed: u64) -> Retrying<s3::S3Place> {
    let policy = RetryPolicy {
        base: Duration::from_millis(5),
        cap: Duration::from_millis(50),
        ..RetryPolicy::network(Duration::from_secs(60))
    };
    Retrying::new(open(url, options(server)), policy, Arc::new(SystemClock), seed)
}

#[test]
fn the_contract_holds_through_storms_cuts_and_lost_answers() {
    let server = SeaweedFs::shared();
    let proxy = Proxy::start(server.address());
    proxy.plan_with_dice(11, |_, dice| match dice.below(20) {
        0 => Act::slow_down(),
        1 => Act::refuse(500, "InternalError"),
        2 => Act::LoseAnswer,
        3 => Act::CutRequest(dice.below(2000)),
        4 => Act::CutAnswer(dice.below(2000)),
        _ => Act::Pass,
    });
    let seeds = AtomicU64::new(0);
    places::conformance::run(|| {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        patient(&proxy.url(BUCKET, &prefix()), server, seed)
    });
}

#[test]
fn a_server_whose_clock_is_a_day_off_is_understood() {
    let server = SeaweedFs::shared();
    for seconds in [86_400, -86_400] {
        let proxy = Proxy::start(server.address());
        proxy.plan(move |_| Act::ShiftClock(seconds));
        let place = patient(&proxy.url(BUCKET, &prefix()), server, 1);
        let name: ObjectName = "config".parse().unwrap();

        let put = place.put(&name, b"here".as_slice().into(), &PutOptions::default());

        assert_eq!(put, Ok(Put::Created), "{seconds} s");
        assert_eq!(place.get(&name, None).unwrap(), "here");
    }
}

#[test]
fn a_listing_goes_on_after_the_network_was_away() {
    let server = SeaweedFs::shared();
    let proxy = Proxy::start(server.address());
    let url = proxy.url(BUCKET, &prefix());
    let few = s3::S3Options { list_page: 10, ..options(server) };
    let policy = RetryPolicy {
        base: Duration::from_millis(1),
        ..RetryPolicy::network(Duration::from_secs(30))
    };
    let place = Retrying::new(open(&url, few), policy, Arc::new(SystemClock), 1);
    for number in 0..40 {
        let name: ObjectName = format!("index/{number:02}").parse().unwrap();
        let _ = place.put(&name, b"x".as_slice().into(), &PutOptions::default()).unwrap();
    }
    let fails = AtomicBool::new(false);
    proxy.plan(move |request| match request.is_list() {
        true if fails.fetch_xor(true, Ordering::Relaxed) => Act::slow_down(),
        _ => Act::Pass,
    });

    let listing = place.list(&NamePrefix::parse("index/").unwrap(), None).unwrap();
    let mut names: Vec<_> = listing.map(|listed| listed.unwrap().name.to_string()).collect();

    names.sort();
    assert_eq!(names, (0..40).map(|number| format!("index/{number:02}")).collect::<Vec<_>>());
}

#[test]
fn a_slow_answer_is_waited_for_and_a_short_one_is_asked_for_again() {
    let server = SeaweedFs::shared();
    let proxy = Proxy::start(server.address());
    let place = patient(&proxy.url(BUCKET, &prefix()), server, 1);
    let name: ObjectName = "packs/0".parse().unwrap();
    let body = bytes::Bytes::from(testkit::Forest::new(5).noise(100_000));
    let _ = place.put(&name, body.clone(), &PutOptions::default()).unwrap();

    proxy.plan(|_| Act::Trickle(20_000, Duration::from_millis(20)));
    assert!(place.get(&name, None).unwrap() == body);
    let first = AtomicBool::new(true);
    proxy.plan(move |_| match first.swap(false, Ordering::Relaxed) {
        true => Act::CutAnswer(50_000),
        false => Act::Pass,
    });
    assert!(place.get(&name, Some(7..90_000)).unwrap() == body[7..90_000]);
}

#[test]
fn what_a_service_answers_is_told_in_its_kind() {
    let server = SeaweedFs::shared();
    let proxy = Proxy::start(server.address());
    let place = open(&proxy.url(BUCKET, &prefix()), options(server));
    let name: ObjectName = "config".parse().unwrap();
    let refuse = |status: u16, code: &str, message: &str| {
        let (code, message) = (code.to_owned(), message.to_owned());
        Act::Refuse(Refusal { status, code, message })
    };
    let region = "the region 'us-east-1' is wrong; expecting 'eu-1'";
    let later = ErrorKind::Unavailable;
    for (act, kind, is_transient, word) in [
        (Act::slow_down(), later, true, "SlowDown"),
        (Act::refuse(409, "ConditionalRequestConflict"), later, true, "409"),
        (Act::refuse(400, "BadDigest"), later, true, "BadDigest"),
        (Act::refuse(507, "InsufficientStorage"), ErrorKind::Full, false, "507"),
        (Act::refuse(403, "QuotaExceeded"), ErrorKind::Full, false, "QuotaExceeded"),
        (Act::deny("AccessDenied"), ErrorKind::Denied, false, "AccessDenied"),
        (Act::deny("InvalidAccessKeyId"), ErrorKind::Denied, false, "InvalidAccessKeyId"),
        (refuse(400, "AuthorizationHeaderMalformed", region), later, false, "it is in eu-1"),
        (Act::refuse(301, "PermanentRedirect"), later, false, "in another"),
        (Act::refuse(404, "NoSuchBucket"), later, false, "there is no bucket strongroom"),
        (Act::refuse(400, "InvalidRequest"), later, false, "InvalidRequest"),
    ] {
        proxy.plan(move |_| act.clone());
        let put = place.put(&name, b"x".as_slice().into(), &PutOptions::default()).unwrap_err();
        assert_eq!((put.kind(), put.is_transient()), (kind, is_transient), "{put}");
        assert!(put.to_string().contains(word), "{put}");
    }
}

#[test]
fn rates_are_kept() {
    let server = SeaweedFs::shared();
    let rates = places::Rates { upload: std::num::NonZeroU64::new(1 << 20), download: None };
    let place = open(&server.url(&prefix()), options(server));
    let place = Throttled::new(place, rates, Arc::new(SystemClock));
    let begin = Instant::now();
    for number in 0..4 {
        let name: ObjectName = format!("packs/{number}").parse().unwrap();
        let _ = place.put(&name, vec![7; 1 << 19].into(), &PutOptions::default()).unwrap();
    }
    assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());
}

/// A folder with files of this many bytes, which nothing compresses.
pub(crate) fn source(base: &Path, sizes: &[usize]) -> PathBuf {
    let source = base.join("source");
    let mut forest = testkit::Forest::new(21);
    std::fs::create_dir(&source).unwrap();
    for (number, size) in sizes.iter().enumerate() {
        std::fs::write(source.join(format!("file-{number}")), forest.noise(*size)).unwrap();
    }
    source
}

/// Restores what was backed up as `here`, and compares.
pub(crate) fn expect_restored(base: &Path, url: &str, source: &Path) {
    let target = base.join("target");
    let selector = format!("latest:here:{}", source.display());
    program(base, url, &["restore", &selector, "--to", target.to_str().unwrap()]).succeeds();
    for file in std::fs::read_dir(source).unwrap() {
        let name = file.unwrap().file_name();
        let [before, after] = [source, &target].map(|f| std::fs::read(f.join(&name)).unwrap());
        assert!(before == after, "{name:?} changed");
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused_except_for_a_single_writer() {
    let server = SeaweedFs::shared();
    let proxy = Proxy::start(server.address());
    proxy.plan(|_| Act::StripConditions);
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let url = proxy.url(BUCKET, &prefix());
    let source = source(base, &[300_000]);
    let backup = ["backup", source.to_str().unwrap(), "--name", "here"];

    let refused = program(base, &url, &["init"]);
    let made = program(base, &url, &["init", "--single-writer"]).succeeds();
    program(base, &url, &backup).succeeds();
    program(base, &url, &backup).succeeds();
    program(base, &url, &["collect"]).succeeds();
    program(base, &url, &["verify", "--data"]).succeeds();

    assert_eq!(refused.code, Some(7), "{}", refused.errors);
    assert!(refused.errors.contains("--single-writer"), "{}", refused.errors);
    assert!(made.contains("single writer"), "{made}");
    expect_restored(base, &url, &source);
    let again = program(base, &url, &["init", "--single-writer"]);
    assert!(again.errors.contains("there is a vault already"), "{}", again.errors);
}

#[test]
fn versions_and_locks_of_a_bucket_are_found_and_used() {
    let server = SeaweedFs::shared();
    server.create_bucket("locked", BucketKind::Locked);
    let place =
        open(&testkit::seaweed::s3_url(server.address(), "locked", &prefix()), options(server));
    let name: ObjectName = "packs/0".parse().unwrap();
    let now = places::Clock::now(&SystemClock);
    let [soon, later] = [3600, 7200].map(|seconds| now.plus(Duration::from_secs(seconds)));
    let until =
        |place: &s3::S3Place| place.retention().unwrap().retained_until(&name, None).unwrap();

    assert_eq!((place.capabilities().versions, place.capabilities().object_lock), (true, true));
    let lock = PutOptions { retain_until: Some(soon), retention_mode: RetentionMode::Compliance };
    assert_eq!(place.put(&name, b"first".as_slice().into(), &lock), Ok(Put::Created));
    let first = until(&place).expect("it is kept");
    let extend = |until| {
        let retention = place.retention().unwrap();
        retention.extend_retention(&name, None, until, RetentionMode::Governance)
    };
    extend(later).expect("a lock that nobody may end can be extended by who asks for less");
    let second = until(&place).expect("it is kept");
    extend(soon).expect("what holds longer stays");
    let refused = place.delete(&name).unwrap_err();
    place.versions().unwrap().hide(&name).unwrap();

    assert!(first >= soon && second >= later && first < second);
    assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
    assert_eq!(place.stat(&name), Ok(None), "it is hidden");
    let versions = place.versions().unwrap();
    let met: Vec<_> = versions.list_versions(&NamePrefix::everything()).unwrap().collect();
    let met: Vec<_> = met.into_iter().map(|version| version.unwrap()).collect();
    assert_eq!(met.len(), 2, "{met:?}");
    assert_eq!(met[0].content, places::VersionContent::DeleteMarker);
    assert_eq!(met[1].content, places::VersionContent::Object { size: 5 });
    assert_eq!(versions.get_version(&name, &met[1].id, Some(0..3)).unwrap(), "fir");
    let marker = versions.get_version(&name, &met[0].id, None).unwrap_err();
    assert_eq!(marker.kind(), ErrorKind::NotFound, "{marker}");
    let plain = open(&server.url(&prefix()), options(server));
    let unlocked = plain.put(&name, b"first".as_slice().into(), &lock).unwrap_err();
    assert_eq!(unlocked.kind(), ErrorKind::Unsupported);
}

#[test]
fn packs_go_up_side_by_side_and_no_more_than_a_few() {
    let server = SeaweedFs::shared();
    let proxy = Proxy::start(server.address());
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let url = proxy.url(BUCKET, &prefix());
    let source = source(base, &[40_000_000]);
    program(base, &url, &["init", "--pack-size", "4MiB"]).succeeds();
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let seen = most.clone();
    proxy.plan(move |request| {
        if request.method == "PUT" && request.target.contains("/packs/") {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(200));
            now.fetch_sub(1, Ordering::SeqCst);
        }
        Act::Pass
    });

    program(base, &url, &["backup", source.to_str().unwrap(), "--name", "here"]).succeeds();

    let most = seen.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} packs were on their way at once");
}
