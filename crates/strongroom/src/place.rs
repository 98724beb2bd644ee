//! Opens the place that a URL names.
//!
//! Every kind of place is named here and nowhere else. What can fail for a moment is wrapped to try
//! again. DESIGN.md §4.

use std::sync::Arc;
use std::time::Duration;

use crypto::{Entropy, OsEntropy};
use places::{Clock, FolderPlace, MemoryPlace, Place, PlaceUrl, RetryPolicy, Retrying};

use crate::{Error, Result};

/// Opens the place that a URL names; it must exist.
///
/// # Errors
/// [`Error::Place`] when it does not exist or is out of reach, [`Error::NotBuilt`] for a kind of
/// place that this version does not have.
pub fn open_place(url: &PlaceUrl, clock: Arc<dyn Clock>) -> Result<Arc<dyn Place>> {
    match url {
        PlaceUrl::Folder(path) => Ok(retrying(FolderPlace::open(path)?, clock)),
        other => anywhere(other, clock),
    }
}

/// Opens the place that a URL names, and makes it first where it does not exist.
///
/// # Errors
/// As [`open_place`].
pub fn create_place(url: &PlaceUrl, clock: Arc<dyn Clock>) -> Result<Arc<dyn Place>> {
    match url {
        PlaceUrl::Folder(path) => Ok(retrying(FolderPlace::create(path)?, clock)),
        other => anywhere(other, clock),
    }
}

/// Places for which opening and making is the same.
fn anywhere(url: &PlaceUrl, clock: Arc<dyn Clock>) -> Result<Arc<dyn Place>> {
    match url {
        PlaceUrl::Memory => Ok(Arc::new(MemoryPlace::with_clock(clock))),
        other => Err(Error::NotBuilt { place: other.to_string() }),
    }
}

fn retrying(place: impl Place + 'static, clock: Arc<dyn Clock>) -> Arc<dyn Place> {
    let mut seed = [0; 8];
    OsEntropy.fill(&mut seed);
    Arc::new(Retrying::new(place, FOLDER_PATIENCE, clock, u64::from_le_bytes(seed)))
}

/// A folder may lie on a network, whose answers get lost; a broken disk is not worth waiting for.
const FOLDER_PATIENCE: RetryPolicy = RetryPolicy {
    attempts: 4,
    base: Duration::from_millis(50),
    cap: Duration::from_secs(2),
    deadline: Duration::from_secs(10),
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

        let absent = open_place(&url, clock()).err().unwrap();
        create_place(&url, clock()).unwrap();

        assert_eq!(absent.kind(), ErrorKind::NotFound);
        assert_eq!(open_place(&url, clock()).unwrap().describe(), url.to_string());
    }

    #[test]
    fn a_place_that_is_not_built_yet_names_those_that_are() {
        for url in ["s3://backups/host", "https://host/vault"] {
            let error = open_place(&url.parse().unwrap(), clock()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let text = error.to_string();
            assert!(text.contains(url) && text.contains("folder"), "{text}");
        }
    }
}
