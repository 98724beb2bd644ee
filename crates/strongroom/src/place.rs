//! Opens the place that a URL names.
//!
//! Every kind of place is named here and nowhere else. What can fail for a moment is wrapped to try
//! again. DESIGN.md §4.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crypto::{Entropy, OsEntropy};
use places::{
    Clock, FolderPlace, MemoryPlace, ObjectLock, Place, PlaceUrl, Rates, RequestCounts, Retaining,
    RetryPolicy, Retrying, Throttled,
};
use s3::{CONNECTIONS_DEFAULT, Credentials, PlainHttp, S3Options, S3Place};

use crate::{Error, Result};

/// How to reach a place, beside what its URL says. Most of it means something to buckets only.
#[derive(Clone, Debug)]
pub struct PlaceOptions {
    /// Requests at the same time at most.
    pub connections: NonZeroUsize,
    /// Bytes per second each way, of any place.
    pub rates: Rates,
    /// Certificates in PEM to trust instead of the machine's own.
    pub certificates: Option<Bytes>,
    /// Where requests may go without TLS.
    pub plain_http: PlainHttp,
    /// Who asks.
    pub credentials: Credentials,
    /// How what is put is locked; a place that cannot lock refuses each put then.
    pub lock: Option<ObjectLock>,
    /// How long a network may be away before a call gives up.
    pub patience: Duration,
    /// What requests are counted in.
    pub counts: Arc<RequestCounts>,
}

impl Default for PlaceOptions {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_DEFAULT,
            rates: Rates::default(),
            certificates: None,
            plain_http: PlainHttp::default(),
            credentials: Credentials::default(),
            lock: None,
            patience: NETWORK_PATIENCE,
            counts: Arc::default(),
        }
    }
}

/// Opens the place that a URL names; it must exist.
///
/// # Errors
/// [`Error::Place`] when it does not exist or is out of reach, [`Error::NotBuilt`] for a kind of
/// place that this version does not have. Whether a bucket exists shows when it is first asked.
pub fn open_place(
    url: &PlaceUrl,
    options: &PlaceOptions,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Place>> {
    match url {
        PlaceUrl::Folder(path) => {
            Ok(wrapped(FolderPlace::open(path)?, FOLDER_PATIENCE, options, clock))
        }
        other => anywhere(other, options, clock),
    }
}

/// Opens the place that a URL names, and makes it first where it does not exist. Buckets are not
/// made: how they are set up is up to their owner.
///
/// # Errors
/// As [`open_place`].
pub fn create_place(
    url: &PlaceUrl,
    options: &PlaceOptions,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Place>> {
    match url {
        PlaceUrl::Folder(path) => {
            Ok(wrapped(FolderPlace::create(path)?, FOLDER_PATIENCE, options, clock))
        }
        other => anywhere(other, options, clock),
    }
}

/// Places for which opening and making is the same.
fn anywhere(
    url: &PlaceUrl,
    options: &PlaceOptions,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Place>> {
    match url {
        PlaceUrl::Memory => Ok(Arc::new(MemoryPlace::with_clock(clock))),
        PlaceUrl::S3(url) => {
            let of_bucket = S3Options {
                credentials: options.credentials.clone(),
                connections: options.connections,
                certificates: options.certificates.clone(),
                plain_http: options.plain_http,
                counts: options.counts.clone(),
                ..S3Options::default()
            };
            let place = S3Place::open(url, of_bucket)?;
            Ok(wrapped(place, RetryPolicy::network(options.patience), options, clock))
        }
        other => Err(Error::NotBuilt { place: other.to_string() }),
    }
}

fn wrapped(
    place: impl Place + 'static,
    policy: RetryPolicy,
    options: &PlaceOptions,
    clock: Arc<dyn Clock>,
) -> Arc<dyn Place> {
    let mut seed = [0; 8];
    OsEntropy.fill(&mut seed);
    let retrying = Retrying::new(place, policy, clock.clone(), u64::from_le_bytes(seed));
    let retrying: Arc<dyn Place> = match options.lock {
        None => Arc::new(retrying),
        Some(lock) => Arc::new(Retaining::new(retrying, lock, clock.clone())),
    };
    match options.rates == Rates::default() {
        true => retrying,
        // Outside, so that a wait for its turn is no wait for an answer.
        false => Arc::new(Throttled::new(retrying, options.rates, clock)),
    }
}

/// How long a network may be away by default.
const NETWORK_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A folder may lie on a network, whose answers get lost; a broken disk is not worth waiting for.
const FOLDER_PATIENCE: RetryPolicy = RetryPolicy {
    attempts: 4,
    base: Duration::from_millis(50),
    cap: Duration::from_secs(2),
    deadline: Duration::from_secs(10),
    deadline_unanswered: Duration::from_secs(10),
};

#[cfg(test)]
mod tests {
    use places::SystemClock;

    use super::*;
    use crate::ErrorKind;

    fn clock() -> Arc<dyn Clock> {
        Arc::new(SystemClock)
    }

    #[test]
    fn a_folder_is_made_only_when_asked_to() {
        let base = tempfile::tempdir().unwrap();
        let url = PlaceUrl::Folder(base.path().join("a/vault"));

        let options = PlaceOptions::default();
        let absent = open_place(&url, &options, clock()).err().unwrap();
        create_place(&url, &options, clock()).unwrap();

        assert_eq!(absent.kind(), ErrorKind::NotFound);
        assert_eq!(open_place(&url, &options, clock()).unwrap().describe(), url.to_string());
    }

    #[test]
    fn a_place_that_is_not_built_yet_names_those_that_are() {
        let url = "https://host/vault";
        let options = PlaceOptions::default();
        let error = open_place(&url.parse().unwrap(), &options, clock()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(text.contains(url) && text.contains("bucket"), "{text}");
    }

    #[test]
    fn without_tls_a_bucket_is_asked_on_this_machine_only() {
        let options = PlaceOptions::default();
        let open = |endpoint: &str, options: &PlaceOptions| {
            let url = format!("s3://backups/host?endpoint={endpoint}&region=here");
            open_place(&url.parse().unwrap(), options, clock()).map(drop)
        };
        let keys = Credentials::Keys {
            access_key_id: "key".into(),
            secret_access_key: "secret".into(),
            session_token: None,
        };
        let options = PlaceOptions { credentials: keys, ..options };

        let refused = open("http://10.0.0.1:9000", &options).unwrap_err();
        let anywhere = PlaceOptions { plain_http: PlainHttp::Anywhere, ..options.clone() };

        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains("10.0.0.1"), "{refused}");
        open("http://10.0.0.1:9000", &anywhere).unwrap();
        open("http://127.0.0.1:9000", &options).unwrap();
        open("http://[::1]:9000", &options).unwrap();
    }
}
