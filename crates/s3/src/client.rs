//! A client for one bucket: whom it trusts, who asks, where to, and how long to wait.
//!
//! The SDK retries nothing and limits no time here. [`Client::call`] gives each request a place in
//! the queue of connections and a time that grows with its bytes, beyond any stall that a healthy
//! cluster shows while it chooses a new leader.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use places::{Error, NamePrefix, ObjectName, Result, S3Url};
use tokio::sync::Semaphore;

use crate::errors::{Asked, Fault};
use crate::options::{Credentials, PlainHttp, S3Options};
use crate::runtime::Runtime;
use crate::transport::{Trust, http_client};

/// One bucket, a prefix of keys in it, and the means to ask.
pub(crate) struct Client {
    pub(crate) sdk: aws_sdk_s3::Client,
    pub(crate) bucket: String,
    /// What all keys begin with, with a slash at its end, or empty.
    prefix: String,
    place: String,
    host: String,
    region: String,
    connections: Arc<Semaphore>,
    // Last, so that what uses it is gone before.
    runtime: Runtime,
}

/// The least that any request is waited for.
const ATTEMPT_LEAST: Duration = Duration::from_secs(90);
/// A transfer that is slower than this in bytes per second is given up.
const RATE_LEAST: u64 = 128 << 10;
const REGION_DEFAULT: &str = "us-east-1";

impl Client {
    pub(crate) fn open(url: &S3Url, options: &S3Options) -> Result<Self> {
        let place = url.to_string();
        let setting = |reason: String| Error::Setting { place: place.clone(), reason };
        let address = Address::of(url, options.plain_http).map_err(setting)?;
        let trust = match (&options.certificates, address.is_plain) {
            (Some(pem), _) => Trust::Only(pem),
            (None, true) => Trust::Nobody,
            (None, false) => Trust::Machine,
        };
        let connections = options.connections.get();
        let http = http_client(trust, connections, options.counts.clone())
            .map_err(|reason| setting(format!("the certificates to trust: {reason}")))?;
        let runtime = Runtime::start(&place)?;
        let asks = runtime.block_on(who_asks(url, &options.credentials, http.clone()));
        let region = asks.region;
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(region.clone()))
            .credentials_provider(asks.credentials)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // A checksum goes up with each body; what comes back is judged by its digest.
            .request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .force_path_style(address.is_path_style);
        let config = match &address.endpoint {
            Some(endpoint) => config.endpoint_url(endpoint),
            None => config,
        };
        let slash = if url.prefix.is_empty() { "" } else { "/" };
        Ok(Self {
            sdk: aws_sdk_s3::Client::from_conf(config.build()),
            bucket: url.bucket.clone(),
            prefix: format!("{}{slash}", url.prefix),
            host: address.host.unwrap_or_else(|| format!("S3 in {region}")),
            region,
            place,
            connections: Arc::new(Semaphore::new(connections)),
            runtime,
        })
    }

    /// Makes one request that moves up to `bytes`, and blocks until it is answered.
    pub(crate) fn call<T, E>(
        &self,
        bytes: u64,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        self.block_on(self.ask(bytes, request))
    }

    /// The same within async code.
    pub(crate) async fn ask<T, E>(
        &self,
        bytes: u64,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Fault>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let _connection = self.connection().await;
        within(bytes, async { request.await.map_err(Fault::from) }).await
    }

    /// Waits for one of the connections.
    pub(crate) async fn connection(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.connections.acquire().await.expect("it is never closed")
    }

    /// The same for work in a task of its own.
    pub(crate) fn connections(&self) -> Arc<Semaphore> {
        self.connections.clone()
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The key of an object.
    pub(crate) fn key(&self, name: &ObjectName) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What the keys of a listing begin with.
    pub(crate) fn key_prefix(&self, prefix: &NamePrefix) -> String {
        format!("{}{prefix}", self.prefix)
    }

    /// The object of a key, `None` when it is none of ours.
    pub(crate) fn name(&self, key: &str) -> Option<ObjectName> {
        ObjectName::parse(key.strip_prefix(&self.prefix)?).ok()
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// What errors say of this client.
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked { place: &self.place, bucket: &self.bucket, host: &self.host, region: &self.region }
    }
}

/// Gives up what takes too long for its bytes.
pub(crate) async fn within<T>(
    bytes: u64,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let limit = ATTEMPT_LEAST.saturating_add(Duration::from_secs(bytes / RATE_LEAST));
    match tokio::time::timeout(limit, work).await {
        Ok(ended) => ended,
        Err(_) => Err(Fault::Lost { reason: format!("no answer in {} s", limit.as_secs()) }),
    }
}

/// What a URL says of where requests go.
struct Address {
    endpoint: Option<String>,
    host: Option<String>,
    is_plain: bool,
    is_path_style: bool,
}

impl Address {
    fn of(url: &S3Url, plain_http: PlainHttp) -> Result<Self, String> {
        let mut is_path_style = url.endpoint.is_some();
        for (key, value) in &url.options {
            is_path_style = match (key.as_str(), value.as_str()) {
                ("style", "path") => true,
                ("style", "virtual") => false,
                ("style", _) => return Err("style is path or virtual".to_owned()),
                _ => {
                    return Err(format!(
                        "the option {key} is unknown; there are endpoint, region and style"
                    ));
                }
            };
        }
        let Some(endpoint) = url.endpoint.clone() else {
            return Ok(Self { endpoint: None, host: None, is_plain: false, is_path_style });
        };
        let refused = || "an endpoint is https://HOST or https://HOST:PORT".to_owned();
        let uri: http::Uri = endpoint.parse().map_err(|_| refused())?;
        let host = uri.host().ok_or_else(refused)?.to_owned();
        let is_plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => true,
            _ => return Err(refused()),
        };
        if is_plain && plain_http == PlainHttp::Loopback && !is_loopback(&host) {
            return Err(format!(
                "its endpoint {endpoint} is without TLS, and not on this machine: write https://, \
                 or allow it with --plain-http"
            ));
        }
        Ok(Self { endpoint: Some(endpoint), host: Some(host), is_plain, is_path_style })
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

struct WhoAsks {
    credentials: SharedCredentialsProvider,
    region: String,
}

async fn who_asks(url: &S3Url, credentials: &Credentials, http: SharedHttpClient) -> WhoAsks {
    match credentials {
        Credentials::Keys { access_key_id, secret_access_key, session_token } => {
            let keys = aws_credential_types::Credentials::new(
                access_key_id,
                secret_access_key,
                session_token.clone(),
                None,
                "strongroom",
            );
            WhoAsks {
                credentials: SharedCredentialsProvider::new(keys),
                region: url.region.clone().unwrap_or_else(|| REGION_DEFAULT.to_owned()),
            }
        }
        Credentials::Surroundings => {
            let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
            if let Some(region) = &url.region {
                loader = loader.region(Region::new(region.clone()));
            }
            let found = loader.load().await;
            let region = found.region().map(|region| region.to_string());
            WhoAsks {
                credentials: found
                    .credentials_provider()
                    .unwrap_or_else(|| SharedCredentialsProvider::new(Nobody)),
                region: region.unwrap_or_else(|| REGION_DEFAULT.to_owned()),
            }
        }
    }
}

/// Knows no credentials.
#[derive(Debug)]
struct Nobody;

impl aws_credential_types::provider::ProvideCredentials for Nobody {
    fn provide_credentials<'a>(
        &'a self,
    ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use aws_credential_types::provider::error::CredentialsError;
        use aws_credential_types::provider::future::ProvideCredentials;
        ProvideCredentials::ready(Err(CredentialsError::not_loaded("there is no provider")))
    }
}
