//! Does the server do what the tests say of it? It is asked by a client that shares nothing with
//! the place under test. Killed, it is dead; started again, it holds what it held.

use super::*;

#[test]
fn a_server_keeps_objects_and_versions_when_it_is_killed_and_started_again() {
    let credentials =
        Credentials { access_key: "reader".into(), secret_key: "readersecret".into() };
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["s3:GetObject"],
            "Resource":"arn:aws:s3:::{BUCKET}/open/*"}}]}}"#
    );
    let reader = Identity { name: "reader".into(), credentials: credentials.clone(), policy };
    let server = SeaweedFs::start_with(&[reader]);
    server.create_bucket("versions", BucketKind::Versioned);
    server.create_bucket("locked", BucketKind::Locked);
    for (target, body) in [("open/a", "first"), ("closed/a", "second")] {
        server.ask("PUT", &format!("/{BUCKET}/{target}"), &[], body.as_bytes()).expect("a put");
    }
    for body in ["old", "new"] {
        server.ask("PUT", "/versions/a", &[], body.as_bytes()).expect("a put");
    }

    server.kill();
    assert!(std::net::TcpStream::connect(server.address()).is_err(), "it is dead");
    server.restart();

    let client = S3Client { address: server.address(), credentials };
    let read = |name: &str| client.ask("GET", &format!("/{BUCKET}/{name}"), &[], b"").unwrap();
    assert_eq!(read("open/a").text(), "first");
    assert_eq!(read("closed/a").status, 403, "the policy names the prefix `open` alone");
    let versions = server.ask("GET", "/versions?versions=", &[], b"").expect("a list").text();
    assert_eq!(versions.matches("<VersionId>").count(), 2, "{versions}");
    let lock = server.ask("GET", "/locked?object-lock=", &[], b"").expect("a configuration");
    assert!(lock.text().contains("Enabled"), "{}", lock.text());
    let again = server.ask("PUT", "/versions/a", &[("if-none-match", "*")], b"");
    assert_eq!(again.status, 412);
}
