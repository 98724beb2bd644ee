//! Each role works at a bucket with exactly the policy that the program prints for it, and the
//! server refuses it all else.
//!
//! The server is a real SeaweedFS whose identities have these policies and no other right. What it
//! cannot refuse is shown too: who may put may write over.

use std::path::Path;

use testkit::Credentials;
use testkit::seaweed::{Answer, BUCKET, Identity, S3Client, SeaweedFs};

use crate::bad_days::{expect_restored, source};
use crate::bucket::{program, program_as};

const ROLES: [&str; 5] = ["writer", "reader", "collector", "replica", "replica-source"];

fn keys(role: &str) -> [String; 2] {
    [role.replace('-', ""), format!("{role}-secret-123")]
}

/// Who signs as this role.
fn credentials(role: &str) -> Credentials {
    let [access_key, secret_key] = keys(role);
    Credentials { access_key, secret_key }
}

/// A server that knows each role with the policy that the program prints for the prefix `host1`;
/// the replica's is for `copy`.
fn server(base: &Path) -> SeaweedFs {
    let identity = |role: &str| {
        let prefix = if role == "replica" { "copy" } else { "host1" };
        let url = format!("s3://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:1");
        let policy = program(base, &url, &["key", "policy", "--role", role]).succeeds();
        Identity { name: role.replace('-', ""), credentials: credentials(role), policy }
    };
    SeaweedFs::start_with(&ROLES.map(identity))
}

#[test]
fn each_role_works_with_its_policy_and_can_do_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let server = server(base);
    let url = server.url("host1");
    let files = source(base, &[900_000, 2000]);
    let backup = ["backup", files.to_str().unwrap(), "--name", "here"];
    program(base, &url, &["init"]).succeeds();
    for role in ["writer", "reader", "collector"] {
        let key = base.join(role);
        let export = ["key", "export", "--role", role, "--label", role, "--output"];
        let export = [&export[..], &[key.to_str().unwrap()]].concat();
        program(base, &url, &export).succeeds();
    }
    let run = |role: &str, arguments: &[&str]| {
        let [access, secret] = keys(role);
        let (home, key) = (base.join(format!("home of {role}")), base.join(role));
        let key = ["--key", key.to_str().unwrap()];
        program_as(&home, [&access, &secret], &url, &[arguments, &key[..]].concat()).succeeds()
    };

    run("writer", &backup);
    std::fs::write(files.join("file-0"), "changed").unwrap();
    run("writer", &backup);
    run("writer", &backup);
    let keep = ["forget", "--keep-last", "1", "--no-floor"];
    let collect = ["collect", "--trash-days", "0", "--reader-grace", "0"];
    run("collector", &keep);
    let freed = run("collector", &collect);
    run("reader", &["verify", "--data"]);
    expect_restored(base, &url, &files);
    assert!(freed.contains("deleted"), "{freed}");

    writer_is_refused(&server);
    collector_is_refused(&server);
}

/// Something that lies below a prefix.
fn one_of(server: &SeaweedFs, prefix: &str) -> String {
    let prefix = prefix.replace('/', "%2F");
    let target = format!("/{BUCKET}?list-type=2&prefix={prefix}");
    let listing = server.ask("GET", &target, &[], b"").expect("a listing").text();
    let key = listing.split_once("<Key>").and_then(|(_, rest)| rest.split_once("</Key>"));
    key.unwrap_or_else(|| panic!("nothing below {prefix}")).0.to_owned()
}

fn ask(server: &SeaweedFs, role: &str, verb: &str, target: &str, body: &[u8]) -> Answer {
    let client = S3Client { address: server.address(), credentials: credentials(role) };
    client.ask(verb, target, &[], body).unwrap()
}

fn writer_is_refused(server: &SeaweedFs) {
    let [pack, record] = ["host1/packs/", "host1/ledger/"].map(|prefix| one_of(server, prefix));
    let as_writer = |verb: &str, target: &str, body: &[u8]| {
        ask(server, "writer", verb, &format!("/{BUCKET}{target}"), body)
    };
    let refused = |verb: &str, target: &str| {
        let answer = as_writer(verb, target, b"x");
        assert_eq!(answer.status, 403, "{verb} {target}: {}", answer.text());
    };
    refused("DELETE", &format!("/{pack}"));
    refused("DELETE", &format!("/{record}"));
    refused("PUT", "/elsewhere/object");
    refused("PUT", "/host1/keys/00112233445566778899aabbccddeeff");
    refused("PUT", "/host1/config");
    refused("GET", "/host1/keys/00112233445566778899aabbccddeeff");
    refused("GET", "/elsewhere/object");
    refused("GET", "?list-type=2&prefix=elsewhere%2F");

    let batch = format!("<Delete><Object><Key>{pack}</Key></Object></Delete>");
    let answer = as_writer("POST", "?delete=", batch.as_bytes());
    let is_refused = answer.status == 403 || answer.text().contains("AccessDenied");
    assert!(is_refused, "{}: {}", answer.status, answer.text());
    let still = server.ask("HEAD", &format!("/{BUCKET}/{pack}"), &[], b"");
    assert_eq!(still.status, 200, "a batch deletes nothing either");

    // No server but Amazon's can refuse this: versions or locks have to keep what was there.
    let over = as_writer("PUT", &format!("/{pack}"), b"written over");
    assert_eq!(over.status, 200, "{}", over.text());
}

fn collector_is_refused(server: &SeaweedFs) {
    let record = one_of(server, "host1/ledger/");
    for target in [&record[..], "host1/config"] {
        let answer = ask(server, "collector", "DELETE", &format!("/{BUCKET}/{target}"), b"");
        assert_eq!(answer.status, 403, "{target}: {}", answer.text());
    }
}

#[test]
fn a_folder_has_no_policy_and_amazon_is_told_more() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let policy = ["key", "policy", "--role", "writer"];
    let refused = program(base, base.join("vault").to_str().unwrap(), &policy);
    assert_eq!(refused.code, Some(2), "{}", refused.errors);
    assert!(refused.errors.contains("is no bucket"), "{}", refused.errors);

    let amazon = program(base, "s3://company-backups/web-1", &policy);
    let other = "s3://company-backups/web-1?endpoint=https://s3.example.com";
    let other = program(base, other, &policy);
    let locking = ["--lock-mode", "compliance", "--lock-days", "30"];
    let locking = program(base, "s3://company-backups", &[&policy[..], &locking].concat());
    assert!(amazon.text.contains("s3:if-none-match"), "{}", amazon.text);
    assert!(!other.text.contains("s3:if-none-match"), "{}", other.text);
    assert!(other.errors.contains("may also write over"), "{}", other.errors);
    for (text, count) in [(amazon.text, 0), (other.text, 0), (locking.text, 1)] {
        assert!(!text.contains("s3:DeleteObject"), "{text}");
        assert_eq!(text.matches("s3:PutObjectRetention").count(), count, "{text}");
        assert!(text.contains("arn:aws:s3:::company-backups"), "{text}");
    }
}
