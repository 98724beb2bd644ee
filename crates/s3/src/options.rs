//! How to reach a bucket, beside what its URL says: plain values, resolved by the caller.
//!
//! What names a bucket stands in the URL; what is secret or of this machine stands here.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use places::RequestCounts;

/// How to reach a bucket.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Who asks.
    pub credentials: Credentials,
    /// Requests at the same time at most.
    pub connections: NonZeroUsize,
    /// Certificates in PEM to trust instead of the machine's own.
    pub certificates: Option<Bytes>,
    /// Where requests may go without TLS.
    pub plain_http: PlainHttp,
    /// Objects with more bytes go up in parts.
    pub multipart_above_bytes: u64,
    /// How many bytes a part has, the last one aside. S3 takes no less than 5 MiB.
    pub part_bytes: usize,
    /// Names in a page of a listing at most; services give no more than 1,000.
    pub list_page: i32,
    /// What requests are counted in.
    pub counts: Arc<RequestCounts>,
}

/// Objects with more bytes go up in parts: a pack of the default size is one request.
pub const MULTIPART_ABOVE_BYTES: u64 = 64 << 20;
/// How many bytes a part has.
pub const PART_BYTES: usize = 32 << 20;
const _: () = assert!((PART_BYTES as u64) < MULTIPART_ABOVE_BYTES);
/// S3 takes at most 10,000 parts.
const _: () = assert!(places::OBJECT_BYTES_MAX / (PART_BYTES as u64) < 10_000);
/// Requests at the same time.
pub const CONNECTIONS_DEFAULT: NonZeroUsize = NonZeroUsize::new(16).expect("it is not zero");
/// Names in a page of a listing.
const LIST_PAGE: i32 = 1000;

impl Default for S3Options {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            connections: CONNECTIONS_DEFAULT,
            certificates: None,
            plain_http: PlainHttp::default(),
            multipart_above_bytes: MULTIPART_ABOVE_BYTES,
            part_bytes: PART_BYTES,
            list_page: LIST_PAGE,
            counts: Arc::default(),
        }
    }
}

/// Who asks.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Whom the AWS conventions name: AWS_ACCESS_KEY_ID and its kin, else a profile of
    /// `~/.aws/credentials` and `~/.aws/config`, else the role of the machine.
    #[default]
    Surroundings,
    /// These keys.
    Keys {
        /// Names the key.
        access_key_id: String,
        /// Signs requests.
        secret_access_key: String,
        /// Of keys that expire.
        session_token: Option<String>,
    },
}

/// Without the secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surroundings => f.write_str("Surroundings"),
            Self::Keys { access_key_id, .. } => write!(f, "Keys({access_key_id})"),
        }
    }
}

/// Where requests may go without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// To this machine only.
    #[default]
    Loopback,
    /// Everywhere: whoever listens learns names, sizes and times, and can disturb.
    Anywhere,
}
