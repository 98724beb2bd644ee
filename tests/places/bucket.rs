//! One vault in a bucket of a real S3 server: the contract of a place, and what the program says.
//!
//! The server is SeaweedFS, started by the suite; each check has a prefix of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use places::{
    Error, ErrorKind, NamePrefix, ObjectName, Obstacle, Place, PlaceUrl, Put, PutOptions,
};
use s3::{Credentials, S3Options, S3Place};
use testkit::seaweed::{BUCKET, BucketKind, SeaweedFs, s3_url};

/// Options with the server's own keys.
pub(crate) fn options(server: &SeaweedFs) -> S3Options {
    let keys = server.credentials();
    S3Options {
        credentials: Credentials::Keys {
            access_key_id: keys.access_key,
            secret_access_key: keys.secret_key,
            session_token: None,
        },
        ..S3Options::default()
    }
}

/// The place of a URL.
pub(crate) fn open(url: &str, options: S3Options) -> S3Place {
    let Ok(PlaceUrl::S3(url)) = url.parse() else { panic!("{url} is no bucket's") };
    S3Place::open(&url, options).unwrap()
}

/// A prefix that no other check has.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("check-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn name(text: &str) -> ObjectName {
    text.parse().unwrap()
}

#[test]
fn a_bucket_keeps_the_contract_of_places() {
    let server = SeaweedFs::shared();
    places::conformance::run(|| open(&server.url(&prefix()), options(server)));
}

#[test]
fn buckets_that_keep_versions_or_lock_objects_keep_the_contract_of_that_too() {
    let server = SeaweedFs::shared();
    for (bucket, kind) in [("versioned", BucketKind::Versioned), ("locked", BucketKind::Locked)] {
        server.create_bucket(bucket, kind);
        let url = || s3_url(server.address(), bucket, &prefix());
        let claimed = open(&url(), options(server)).capabilities();
        assert_eq!((claimed.versions, claimed.object_lock), (true, kind == BucketKind::Locked));
        places::conformance::run(|| open(&url(), options(server)));
        let small_pages = || S3Options { list_page: 2, ..options(server) };
        places::conformance::run(|| open(&url(), small_pages()));
    }
}

#[test]
fn large_objects_go_up_in_parts_and_have_one_winner_too() {
    let server = SeaweedFs::shared();
    let in_parts =
        S3Options { multipart_above_bytes: 6 << 20, part_bytes: 5 << 20, ..options(server) };
    let place = open(&server.url(&prefix()), in_parts);
    let mut forest = testkit::Forest::new(3);
    let [first, second] =
        [12_345_678, 7_000_000].map(|size| bytes::Bytes::from(forest.noise(size)));

    let put =
        |body: &bytes::Bytes| place.put(&name("packs/0"), body.clone(), &PutOptions::default());
    assert_eq!(put(&first), Ok(Put::Created));
    assert_eq!(put(&second), Ok(Put::Exists));

    assert!(place.get(&name("packs/0"), None).unwrap() == first, "its own bytes come back");
    let requests = place.counts().totals();
    assert_eq!(requests.of(places::RequestClass::Put), (1 + 3 + 1) + (1 + 2 + 1));
    assert_eq!(requests.of(places::RequestClass::Delete), 1, "what lost is taken back");
}

#[test]
fn a_listing_of_many_pages_is_complete() {
    let server = SeaweedFs::shared();
    let place = open(&server.url(&prefix()), S3Options { list_page: 250, ..options(server) });
    std::thread::scope(|scope| {
        for part in 0..16 {
            let place = &place;
            scope.spawn(move || {
                for number in 0..OBJECTS / 16 {
                    let name = name(&format!("index/{:04x}", part * (OBJECTS / 16) + number));
                    let _ =
                        place.put(&name, b"x".as_slice().into(), &PutOptions::default()).unwrap();
                }
            });
        }
    });
    let listed = |after: Option<&ObjectName>| {
        let listing = place.list(&NamePrefix::parse("index/").unwrap(), after).unwrap();
        let mut names: Vec<_> = listing.map(|listed| listed.unwrap().name.to_string()).collect();
        names.sort();
        names
    };

    let all: Vec<_> = (0..OBJECTS).map(|number| format!("index/{number:04x}")).collect();
    assert_eq!(listed(None), all);
    let middle = OBJECTS / 2;
    assert_eq!(listed(Some(&name(&all[middle]))), all[middle + 1..]);
}

const OBJECTS: usize = 10_080;

#[test]
fn what_waiting_does_not_mend_is_said_at_once() {
    let server = SeaweedFs::shared();
    let url = server.url(&prefix());
    let look = |url: &str, options: S3Options| {
        let place = open(url, options);
        place.stat(&name("config")).unwrap_err()
    };

    let no_bucket = look(&url.replace(BUCKET, "elsewhere"), options(server));
    let wrong = Credentials::Keys {
        access_key_id: "admin".into(),
        secret_access_key: "wrong".into(),
        session_token: None,
    };
    let denied = look(&url, S3Options { credentials: wrong, ..options(server) });

    let Error::Unusable { obstacle: Obstacle::NoBucket { bucket }, .. } = &no_bucket else {
        panic!("{no_bucket}")
    };
    assert_eq!(bucket, "elsewhere");
    assert!(!no_bucket.is_transient());
    assert_eq!(denied.kind(), ErrorKind::Denied, "{denied}");
}

/// How a run of the program ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    pub(crate) errors: String,
}

impl Ran {
    /// What it printed, if it did what it was to do.
    pub(crate) fn succeeds(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.errors);
        self.text
    }
}

/// Runs the program on a vault, with a home of its own below `base`.
pub(crate) fn program(base: &Path, url: &str, arguments: &[&str]) -> Ran {
    // Every server of the suites has the same administrator.
    program_as(base, ["admin", "adminsecret123"], url, arguments)
}

/// The same with these credentials of the server.
pub(crate) fn program_as(base: &Path, keys: [&str; 2], url: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command.env("AWS_ACCESS_KEY_ID", keys[0]).env("AWS_SECRET_ACCESS_KEY", keys[1]);
    command.arg("--vault").arg(url);
    if !arguments.contains(&"--key") && !arguments.contains(&"--no-key") {
        command.arg("--key").arg(base.join("key"));
    }
    command.arg("--cache-dir").arg(base.join("cache")).arg("--state-dir").arg(base.join("state"));
    let output = command.output().unwrap();
    let [text, errors] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ran { code: output.status.code(), text, errors }
}

#[test]
fn a_vault_in_a_bucket_is_backed_up_to_restored_from_and_collected() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let url = SeaweedFs::shared().url(&prefix());
    let source = base.join("source");
    let mut forest = testkit::Forest::new(8);
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("large"), forest.noise(3_000_000)).unwrap();
    std::fs::write(source.join("small"), "some text\n".repeat(100)).unwrap();
    let run = |arguments: &[&str]| program(base, &url, arguments).succeeds();

    run(&["init"]);
    let backup = run(&["backup", source.to_str().unwrap(), "--name", "here"]);
    let snapshots = run(&["snapshots"]);
    let target = base.join("target");
    let selector = format!("latest:here:{}", source.display());
    run(&["restore", &selector, "--to", target.to_str().unwrap()]);
    run(&["verify", "--data"]);
    run(&["collect"]);

    assert!(snapshots.contains("here"), "{snapshots}");
    assert!(backup.contains("requests: ") && backup.contains(" put, "), "{backup}");
    for file in ["large", "small"] {
        let [before, after] = [&source, &target].map(|f| std::fs::read(f.join(file)).unwrap());
        assert!(before == after, "{file} changed");
    }
}
