//! What some places can do beside the five verbs: keep objects until a time, and keep versions.
//!
//! Both are told of by [`Capabilities`](crate::Capabilities) and reached through
//! [`Place::retention`](crate::Place::retention) and [`Place::versions`](crate::Place::versions).
//! Where objects can be kept until a time, versions are kept too: a lock holds a version, and what
//! is written over an object or hides it leaves the version below untouched. DESIGN.md §4.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::name::{NamePrefix, ObjectName};
use crate::time::Time;

/// Keeps objects until a time, whatever credentials ask for their removal.
pub trait Retention: Send + Sync {
    /// Keeps a version of the object, or the newest, at least until `until`; never shortens what
    /// holds already.
    ///
    /// # Errors
    /// `NotFound` also where a delete marker is the newest; `Denied`, `Unavailable`.
    fn extend_retention(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
        until: Time,
        mode: RetentionMode,
    ) -> Result<()>;

    /// Until when a version of the object, or the newest, is kept; `None` when nothing keeps it.
    ///
    /// # Errors
    /// As [`Retention::extend_retention`].
    fn retained_until(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Option<Time>>;
}

/// Who may end a retention before its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RetentionMode {
    /// Credentials that are allowed to.
    #[default]
    Governance,
    /// Nobody, not even the bucket's owner.
    Compliance,
}

impl FromStr for RetentionMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "governance" => Ok(Self::Governance),
            "compliance" => Ok(Self::Compliance),
            _ => Err("a lock's mode is governance or compliance".into()),
        }
    }
}

impl fmt::Display for RetentionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Governance => "governance",
            Self::Compliance => "compliance",
        })
    }
}

/// How long objects are locked, from when they are put or their lock is extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectLock {
    /// Who may end a lock earlier.
    pub mode: RetentionMode,
    days: u32,
}

/// The longest lock, in days: a hundred years, as services have it.
pub const LOCK_DAYS_MAX: u32 = 36_500;

impl ObjectLock {
    /// A lock of so many days; `None` unless they are 1 to [`LOCK_DAYS_MAX`].
    pub fn new(mode: RetentionMode, days: u32) -> Option<Self> {
        (1..=LOCK_DAYS_MAX).contains(&days).then_some(Self { mode, days })
    }

    /// How many days it holds.
    pub fn days(self) -> u32 {
        self.days
    }

    /// When a lock ends that begins at `now`.
    pub fn until(self, now: Time) -> Time {
        now.plus(self.length())
    }

    /// Locks that end before this time are to be extended: half of their days are over.
    pub fn due_before(self, now: Time) -> Time {
        now.plus(self.length() / 2)
    }

    fn length(self) -> Duration {
        Duration::from_secs(u64::from(self.days) * 24 * 3600)
    }
}

/// Reads what overwriting and deleting left behind.
pub trait Versions: Send + Sync {
    /// Walks every version of every object below `prefix`: those of one name together, newest
    /// first. What is current comes first; below it, a delete marker and an object of the same
    /// moment may be swapped.
    ///
    /// # Errors
    /// `Unavailable` and `Denied`, at once or in the walk.
    fn list_versions(&self, prefix: &NamePrefix) -> Result<VersionListing<'_>>;

    /// The versions of one name, newest first; none when it never was.
    ///
    /// # Errors
    /// `Unavailable` and `Denied`.
    fn versions_of(&self, name: &ObjectName) -> Result<Vec<Version>>;

    /// Like [`Place::get`](crate::Place::get), of one version.
    ///
    /// # Errors
    /// As [`Place::get`](crate::Place::get); `NotFound` for a delete marker.
    fn get_version(
        &self,
        name: &ObjectName,
        version: &VersionId,
        range: Option<Range<u64>>,
    ) -> Result<Bytes>;

    /// Puts a delete marker over an object, so that its name is free again. Destroys nothing, so
    /// no retention stands against it.
    ///
    /// # Errors
    /// `Unavailable` and `Denied`.
    fn hide(&self, name: &ObjectName) -> Result<()>;
}

/// What a [`Versions::list_versions`] returns.
pub type VersionListing<'a> = Box<dyn Iterator<Item = Result<Version>> + Send + 'a>;

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The object's name.
    pub name: ObjectName,
    /// Which version of it.
    pub id: VersionId,
    /// When it was stored, by the place's clock.
    pub stored_at: Time,
    /// What lies there.
    pub content: VersionContent,
}

/// What a version is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionContent {
    /// Bytes that can be read.
    Object {
        /// How many.
        size: u64,
    },
    /// The mark that a deletion left.
    DeleteMarker,
}

/// Names a version, in the place's own words.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionId(String);

impl VersionId {
    /// Takes the place's own words.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The place's own words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error of a place that was asked to keep objects and cannot.
pub(crate) fn cannot_retain(place: String) -> Error {
    Error::Unsupported { place, what: "keep objects until a time".into() }
}

/// The error of a place that was asked for versions and keeps none.
pub(crate) fn keeps_no_versions(place: String) -> Error {
    Error::Unsupported { place, what: "read back what was written over".into() }
}
