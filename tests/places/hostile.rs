//! Somebody has the bucket's credentials and means harm: what is written over or deleted comes
//! back where versions are kept, and cannot go where objects are locked.
//!
//! The attacker speaks to a real SeaweedFS with signed requests, beside the program.

use std::path::Path;

use testkit::seaweed::{BucketKind, SeaweedFs, s3_url};

use crate::bad_days::{expect_restored, source};
use crate::bucket::{Ran, prefix, program};

/// Who holds the administrator's credentials of a bucket, and uses them against a vault in it.
struct Attacker<'a> {
    server: &'a SeaweedFs,
    bucket: &'a str,
    prefix: String,
}

impl Attacker<'_> {
    /// The keys of the vault's objects, as the bucket lists them.
    fn keys(&self) -> Vec<String> {
        let target = format!("/{}?list-type=2&prefix={}%2F", self.bucket, self.prefix);
        texts(&self.server.ask("GET", &target, &[], b"").expect("a listing").text(), "Key")
    }

    /// The versions of all keys: key and id.
    fn versions(&self) -> Vec<(String, String)> {
        let target = format!("/{}?prefix={}%2F&versions=", self.bucket, self.prefix);
        let listing = self.server.ask("GET", &target, &[], b"").expect("a listing").text();
        let versions = texts(&listing, "Key").into_iter().zip(texts(&listing, "VersionId"));
        // What a probe left behind is not locked, and nobody needs it.
        versions.filter(|(key, _)| !key.contains("/probe/")).collect()
    }

    fn write_over(&self, key: &str) {
        let target = format!("/{}/{key}", self.bucket);
        self.server.ask("PUT", &target, &[], b"give us money").expect("a put");
    }

    fn delete(&self, key: &str) {
        self.server.ask("DELETE", &format!("/{}/{key}", self.bucket), &[], b"").expect("a delete");
    }
}

/// What stands between the tags of this name.
fn texts(xml: &str, tag: &str) -> Vec<String> {
    let (begin, end) = (format!("<{tag}>"), format!("</{tag}>"));
    let parts = xml.split(&begin).skip(1);
    parts.filter_map(|part| Some(part.split_once(&end)?.0.to_owned())).collect()
}

/// A vault of two backups in a bucket of this kind.
fn vault(
    base: &Path,
    bucket: &str,
    kind: BucketKind,
    lock: &[&str],
) -> (String, Attacker<'static>) {
    let server = SeaweedFs::shared();
    server.create_bucket(bucket, kind);
    let prefix = prefix();
    let url = s3_url(server.address(), bucket, &prefix);
    let folder = source(base, &[700_000, 1000]);
    let run = |arguments: &[&str]| program(base, &url, &[arguments, lock].concat()).succeeds();
    run(&["init"]);
    let backup = ["backup", folder.to_str().unwrap(), "--name", "here"];
    run(&backup);
    std::fs::write(folder.join("added"), "for the second snapshot").unwrap();
    run(&backup);
    let bucket = bucket.to_owned().leak();
    (url, Attacker { server, bucket, prefix })
}

#[test]
fn a_versioned_bucket_of_which_everything_was_written_over_or_deleted_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let (url, attacker) = vault(base, "kept-versions", BucketKind::Versioned, &[]);
    let keys = attacker.keys();
    assert!(keys.len() > 8, "{keys:?}");
    for (number, key) in keys.iter().enumerate() {
        match number % 3 {
            0 => attacker.write_over(key),
            1 => attacker.delete(key),
            _ => {
                attacker.write_over(key);
                attacker.delete(key);
            }
        }
    }

    let planned = program(base, &url, &["repair", "--versions", "--no-key", "--dry-run"]);
    let repaired = program(base, &url, &["repair", "--versions", "--no-key", "--json"]);
    let again = program(base, &url, &["repair", "--versions"]).succeeds();
    program(base, &url, &["verify", "--data"]).succeeds();

    let count = keys.iter().filter(|key| !key.contains("/probe/")).count();
    assert_eq!(planned.code, Some(0), "{}", planned.errors);
    assert_eq!(repaired.code, Some(0), "{}", repaired.errors);
    assert_eq!(repaired.text.matches(r#""outcome":"done""#).count(), count, "{}", repaired.text);
    assert!(again.contains("nothing to repair"), "{again}");
    expect_restored(base, &url, &base.join("source"));
}

#[test]
fn a_bucket_that_locks_keeps_every_object_from_who_has_its_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let lock = ["--lock-mode", "governance", "--lock-days", "30"];
    let (url, attacker) = vault(base, "locks", BucketKind::Locked, &lock);
    let with_lock = |arguments: &[&str]| program(base, &url, &[arguments, &lock].concat());

    let protected = with_lock(&["protect", "--json"]);
    assert_eq!(protected.code, Some(0), "{}", protected.errors);
    assert!(protected.text.contains(r#""extended":0"#), "{}", protected.text);
    let stats = program(base, &url, &["stats"]).succeeds();
    assert!(stats.contains("protected  until"), "{stats}");

    let versions = attacker.versions();
    assert!(versions.len() > 8);
    for (key, version) in &versions {
        let target = format!("/{}/{key}?versionId={version}", attacker.bucket);
        let answer = attacker.server.ask("DELETE", &target, &[], b"");
        assert_eq!(answer.status, 403, "{key}: {}", answer.text());
    }
    let keys = attacker.keys();
    keys.iter().for_each(|key| attacker.write_over(key));
    keys.iter().for_each(|key| attacker.delete(key));
    let alarm = with_lock(&["repair", "--versions", "--no-key"]);
    assert_eq!(alarm.code, Some(0), "{}", alarm.errors);
    attacker.delete(&keys[0]);
    let seen = with_lock(&["protect"]);
    assert_eq!(seen.code, Some(4), "{}", seen.errors);
    assert!(seen.errors.contains("somebody wrote over or hid"), "{}", seen.errors);
    with_lock(&["repair", "--versions"]).succeeds();
    program(base, &url, &["verify", "--data"]).succeeds();
    expect_restored(base, &url, &base.join("source"));
}

#[test]
fn what_a_collection_may_not_delete_yet_is_told_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let lock = ["--lock-mode", "governance", "--lock-days", "30"];
    let (url, _) = vault(base, "collected", BucketKind::Locked, &lock);
    let with_lock = |arguments: &[&str]| program(base, &url, &[arguments, &lock].concat());
    let file = base.join("source/file-0");
    std::fs::write(file, vec![7; 300_000]).unwrap();
    with_lock(&["backup", base.join("source").to_str().unwrap(), "--name", "here"]).succeeds();
    with_lock(&["forget", "--keep-last", "1", "--no-floor"]).succeeds();

    let collect = ["collect", "--trash-days", "0", "--reader-grace", "0"];
    let first = with_lock(&collect).succeeds();
    let second = with_lock(&collect).succeeds();

    for said in [first, second] {
        assert!(said.contains("to be deleted are locked until"), "{said}");
        assert!(said.contains("locked until"), "{said}");
    }
    program(base, &url, &["verify", "--data"]).succeeds();
}

#[test]
fn a_place_that_cannot_lock_refuses_before_anything_lies_there() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let lock = ["init", "--lock-mode", "compliance", "--lock-days", "7"];
    let plain = SeaweedFs::shared().url(&prefix());
    let Ran { code, errors, .. } = program(base, &plain, &lock);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("Object Lock") && errors.contains("hint:"), "{errors}");
    let folder = base.join("folder");
    std::fs::create_dir(&folder).unwrap();
    let vault = folder.join("vault");
    let Ran { code, errors, .. } = program(&folder, vault.to_str().unwrap(), &lock);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("cannot keep objects until a time"), "{errors}");
}
