//! How requests travel: HTTP/1.1, TLS by rustls, and a count of what passes.
//!
//! Why not the SDK's own client: it offers HTTP/2 wherever TLS is, where racing conditional puts to
//! some servers hang for ever (S3 itself speaks HTTP/1.1 only), and it panics at a certificate file
//! that is none. Bodies are counted here, below all that could ask twice.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use places::{RequestClass, RequestCounts};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Whom to trust.
pub(crate) enum Trust<'a> {
    /// Nobody: no certificate is ever looked at.
    Nobody,
    /// Whom this machine trusts.
    Machine,
    /// These certificates in PEM alone.
    Only(&'a [u8]),
}

/// The SDK's client for HTTP. The error is a reason, for a message.
pub(crate) fn http_client(
    trust: Trust<'_>,
    connections: usize,
    counts: Arc<RequestCounts>,
) -> Result<SharedHttpClient, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots(trust)?)
        .with_no_client_auth();
    let mut tcp = TcpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEP_ALIVE));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(connections)
        .build(connector.wrap_connector(tcp));
    Ok(SharedHttpClient::new(Transport { client, counts, limit: None }))
}

fn roots(trust: Trust<'_>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Nobody => {}
        Trust::Machine => {
            // One that cannot be read is not trusted; with none at all each server is refused.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Trust::Only(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("no PEM: {error}"))?;
                roots.add(certificate).map_err(|error| error.to_string())?;
            }
            if roots.is_empty() {
                return Err("it holds no certificate in PEM".to_owned());
            }
        }
    }
    Ok(roots)
}

#[derive(Clone)]
struct Transport {
    client: Client<HttpsConnector<TcpConnector>, SdkBody>,
    counts: Arc<RequestCounts>,
    /// Until the head of an answer, when the SDK wants a limit.
    limit: Option<Duration>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl HttpClient for Transport {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connect = settings.connect_timeout().unwrap_or_default();
        let limit = settings.read_timeout().map(|read| read.saturating_add(connect));
        SharedHttpConnector::new(Self { limit, ..self.clone() })
    }
}

impl HttpConnector for Transport {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let class = class(&request);
        self.counts.note_request(class, request.body().content_length().unwrap_or(0));
        let (sent, limit, counts) = (self.client.request(request), self.limit, self.counts.clone());
        HttpConnectorFuture::new(async move {
            let answered = match limit {
                None => sent.await,
                Some(limit) => tokio::time::timeout(limit, sent)
                    .await
                    .map_err(|error| ConnectorError::timeout(error.into()))?,
            };
            let answer = answered.map_err(connector_error)?;
            if class != RequestClass::Head {
                counts.note_answer(announced(&answer));
            }
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn class(request: &http::Request<SdkBody>) -> RequestClass {
    let asks_for = |name: &str| {
        let query = request.uri().query().unwrap_or_default();
        query.split('&').any(|pair| pair.split('=').next() == Some(name))
    };
    match *request.method() {
        http::Method::HEAD => RequestClass::Head,
        http::Method::DELETE => RequestClass::Delete,
        http::Method::GET if asks_for("list-type") || asks_for("versions") => RequestClass::List,
        http::Method::GET => RequestClass::Get,
        _ => RequestClass::Put,
    }
}

fn announced<B>(answer: &http::Response<B>) -> u64 {
    let length = answer.headers().get(http::header::CONTENT_LENGTH);
    length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0)
}

fn connector_error(error: ClientError) -> ConnectorError {
    ConnectorError::io(error.into())
}
