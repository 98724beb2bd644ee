//! Judges an S3 server that the tests do not start: `other_server HOST:PORT KEY-ID SECRET`.
//!
//! A plain bucket keeps the contract of places. In a bucket with versions the probe decides: the
//! contract again, or, where the server ignores conditions there, nothing. It ends silently when
//! all holds, and panics with the point that does not.

use std::sync::atomic::{AtomicU32, Ordering};

use places::PlaceUrl;
use s3::{Credentials, S3Options, S3Place};
use testkit::seaweed::{S3Client, s3_url};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, access_key, secret_key] = arguments.try_into().expect("three arguments");
    let credentials = testkit::Credentials { access_key, secret_key };
    let client = S3Client { address: address.parse().expect("HOST:PORT"), credentials };
    let ask = |target: &str, body: &str| {
        client.ask("PUT", target, &[], body.as_bytes()).expect("an answer").expect(target);
    };
    ask("/plain", "");
    ask("/versioned", "");
    ask("/versioned?versioning=", VERSIONING);

    let number = AtomicU32::new(0);
    let open = |bucket: &str| {
        let prefix = format!("check-{}", number.fetch_add(1, Ordering::Relaxed));
        let Ok(PlaceUrl::S3(url)) = s3_url(client.address, bucket, &prefix).parse() else {
            panic!("{bucket} is no bucket's name")
        };
        let keys = Credentials::Keys {
            access_key_id: client.credentials.access_key.clone(),
            secret_access_key: client.credentials.secret_key.clone(),
            session_token: None,
        };
        S3Place::open(&url, S3Options { credentials: keys, ..S3Options::default() })
            .expect("a place")
    };
    places::conformance::run(|| open("plain"));
    let mut count = 0;
    let mut entropy = |bytes: &mut [u8]| {
        count += 1;
        bytes.fill(count);
    };
    let found = places::probe(&open("versioned"), &mut entropy).expect("a verdict");
    if found.if_absent {
        places::conformance::run(|| open("versioned"));
    }
}

const VERSIONING: &str = "<VersioningConfiguration><Status>Enabled</Status>\
                          </VersioningConfiguration>";
