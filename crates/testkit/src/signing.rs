//! Signs S3 requests (AWS Signature Version 4), for a client in tests and a proxy that changes
//! what it forwards.
//!
//! The body's digest is what the request says it is, when it says so.

use std::time::SystemTime;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;

use crate::http::RequestHead;

/// Who asks an S3 server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The access key's id.
    pub access_key: String,
    /// The secret that signs.
    pub secret_key: String,
}

/// The region that the servers here are in.
pub const REGION: &str = "us-east-1";

/// Signs a request anew, whatever signature it carries. It names its host already.
pub(crate) fn sign_again(head: &mut RequestHead, credentials: &Credentials, body: &[u8]) {
    let digest = head.headers.get(DIGEST_HEADER).map(str::to_owned);
    for name in ["authorization", "x-amz-date", DIGEST_HEADER] {
        head.headers.remove(name);
    }
    let (access, secret) = (&credentials.access_key, &credentials.secret_key);
    let identity: Identity = AwsCredentials::new(access, secret, None, None, "testkit").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .expect("all that is asked for is given");
    let parameters = parameters.into();

    let signed: Vec<_> = head.headers.0.iter().filter(|(key, _)| is_signed(key)).collect();
    let pairs = signed.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let host = head.headers.get("host").expect("a request in HTTP/1.1 names its host");
    let uri = format!("http://{host}{}", head.target);
    let body = digest.map_or(SignableBody::Bytes(body), SignableBody::Precomputed);
    let request = SignableRequest::new(&head.method, uri, pairs, body).expect("it came by HTTP");
    let (instructions, _) = sign(request, &parameters).expect("it can be signed").into_parts();
    for (name, value) in instructions.headers() {
        head.headers.set(name, value);
    }
}

const DIGEST_HEADER: &str = "x-amz-content-sha256";

fn is_signed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "host" || name == "content-md5" || name.starts_with("x-amz-")
}
