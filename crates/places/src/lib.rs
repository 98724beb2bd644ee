//! Where objects lie: immutable, named byte strings in a folder, in memory, later in a bucket.
//!
//! [`Place`] is the one small trait with five verbs: put, get, list, stat, delete. Its prose is the
//! contract, [`conformance::run`] checks it, and every wrapper ([`Retrying`], [`Recording`],
//! [`Throttled`], [`Faulty`], [`ReadOnly`], [`Retaining`]) is itself a place.
//! A place knows nothing of encryption, and time reaches it only through a [`Clock`].
//! DESIGN.md §4.

mod abilities;
pub mod conformance;
mod error;
mod faulty;
mod folder;
mod memory;
mod name;
mod place;
mod probe;
mod read_only;
mod recording;
mod requests;
mod retaining;
mod retrying;
mod seed;
mod throttled;
mod time;
mod url;

pub use abilities::{
    LOCK_DAYS_MAX, ObjectLock, Retention, RetentionMode, Version, VersionContent, VersionId,
    VersionListing, Versions,
};
pub use error::{Error, ErrorKind, Obstacle, Result};
pub use faulty::{Fault, FaultRates, Faulty, Operation};
pub use folder::FolderPlace;
pub use memory::{MemoryPlace, MemorySnapshot};
pub use name::{NAME_BYTES_MAX, NamePrefix, ObjectName};
pub use place::{
    Capabilities, ListCost, Listed, Listing, OBJECT_BYTES_MAX, Place, Put, PutOptions, Start, Stat,
};
pub use probe::probe;
pub use read_only::ReadOnly;
pub use recording::{Call, LOG_CALLS_MAX, Recording, Verb};
pub use requests::{RequestClass, RequestCounts, RequestTotals};
pub use retaining::Retaining;
pub use retrying::{RetryPolicy, Retrying};
pub use throttled::{Rates, Throttled};
pub use time::{Clock, ManualClock, SystemClock, Time};
pub use url::{HttpsUrl, PlaceUrl, S3Url};
