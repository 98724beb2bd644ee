//! Whom a client trusts, and which HTTP it speaks.
//!
//! The server here knows TLS and one answer. Its certificate is for `localhost`, from an authority
//! that no machine trusts; the keys in `tests/authority/` guard nothing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use places::{Error, ErrorKind, ObjectName, Obstacle, Place, PlaceUrl};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{Credentials, S3Options, S3Place};

const AUTHORITY: &[u8] = include_bytes!("tests/authority/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("tests/authority/server.pem");
const KEY: &[u8] = include_bytes!("tests/authority/server.key");

/// Answers every request with `404 NoSuchKey`, and notes which protocols were agreed on.
struct Server {
    port: u16,
    agreed: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
}

impl Server {
    fn start() -> Self {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let agreed = Arc::new(Mutex::new(Vec::new()));
        let noted = agreed.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (config, noted) = (config.clone(), noted.clone());
                std::thread::spawn(move || serve(config, client, &noted));
            }
        });
        Self { port, agreed }
    }

    fn ask(&self, host: &str, certificates: Option<&'static [u8]>) -> Result<bool, Error> {
        let url = format!("s3://bucket/vault?endpoint=https://{host}:{}&region=here", self.port);
        let Ok(PlaceUrl::S3(url)) = url.parse() else { panic!("{url} is no bucket's") };
        let keys = Credentials::Keys {
            access_key_id: "key".into(),
            secret_access_key: "secret".into(),
            session_token: None,
        };
        let certificates = certificates.map(bytes::Bytes::from_static);
        let options = S3Options { credentials: keys, certificates, ..S3Options::default() };
        let name: ObjectName = "config".parse().unwrap();
        Ok(S3Place::open(&url, options)?.stat(&name)?.is_some())
    }
}

fn serve(config: Arc<ServerConfig>, client: TcpStream, noted: &Mutex<Vec<Option<Vec<u8>>>>) {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), client);
    let mut head = Vec::new();
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        noted.lock().unwrap().push(stream.conn.alpn_protocol().map(<[u8]>::to_vec));
        let body = "<Error><Code>NoSuchKey</Code></Error>";
        let sent = if head.starts_with(b"HEAD") { "" } else { body };
        let length = body.len();
        let answer = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {length}\r\n\r\n{sent}");
        if stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).is_err() {
            return;
        }
        head.clear();
    }
}

#[test]
fn an_authority_of_ones_own_is_trusted_when_named_and_asked_by_http_1() {
    let server = Server::start();

    assert_eq!(server.ask("localhost", Some(AUTHORITY)), Ok(false));

    let agreed = server.agreed.lock().unwrap();
    assert!(!agreed.is_empty());
    assert!(agreed.iter().all(|protocol| protocol.as_deref() != Some(b"h2")), "{agreed:?}");
}

#[test]
fn what_nobody_trusts_is_refused_at_once() {
    let server = Server::start();

    let unknown = server.ask("localhost", None).unwrap_err();
    let other_host = server.ask("127.0.0.1", Some(AUTHORITY)).unwrap_err();
    let no_authority = server.ask("localhost", Some(b"no certificate")).unwrap_err();

    for error in [unknown, other_host] {
        let Error::Unusable { obstacle: Obstacle::Certificate { .. }, .. } = &error else {
            panic!("{error}")
        };
        assert!(!error.is_transient());
    }
    assert_eq!(no_authority.kind(), ErrorKind::Invalid, "{no_authority}");
    assert!(server.agreed.lock().unwrap().is_empty(), "nothing is asked of whom nobody trusts");
}
