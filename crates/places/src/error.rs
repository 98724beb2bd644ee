//! What can go wrong in a place, told with the place, the object and the numbers.
//!
//! Every variant is a fact a caller can act on; [`Error::kind`] says how, and
//! [`Error::is_transient`] whether trying again is worth it. Messages never hold secrets, because
//! [`Place::describe`](crate::Place::describe) holds none.

use crate::name::ObjectName;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A call to a place that did not do what it was asked, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no object of that name.
    #[error("{object} is not in {place}")]
    NotFound {
        /// The place, as it describes itself.
        place: String,
        /// The object asked for.
        object: ObjectName,
    },

    /// A ranged get asked for bytes that the object does not have, or for a range that ends
    /// before it starts.
    #[error("bytes {start}..{end} of {object} in {place} were asked for, but it has {size}")]
    Range {
        /// The place, as it describes itself.
        place: String,
        /// The object asked for.
        object: ObjectName,
        /// First byte asked for.
        start: u64,
        /// Byte after the last asked for.
        end: u64,
        /// Bytes the object has.
        size: u64,
    },

    /// Storing the object would leave less room than is kept for ledger records.
    #[error(
        "{place} is full: {object} needs {needed} bytes, {free} are free, \
         and {reserve} of them are kept for ledger records"
    )]
    Reserve {
        /// The place, as it describes itself.
        place: String,
        /// The object that was to be stored.
        object: ObjectName,
        /// Bytes it has.
        needed: u64,
        /// Bytes free before the put.
        free: u64,
        /// Bytes that must stay free after it.
        reserve: u64,
    },

    /// The place has no room for the object.
    #[error("{place} is full: {object} of {needed} bytes does not fit ({reason})")]
    Full {
        /// The place, as it describes itself.
        place: String,
        /// The object that was to be stored.
        object: ObjectName,
        /// Bytes it has.
        needed: u64,
        /// What the place answered.
        reason: String,
    },

    /// The place did not answer, or answered that it cannot now. A put may have happened.
    #[error("{place} is unavailable: {subject}: {reason}")]
    Unavailable {
        /// The place, as it describes itself.
        place: String,
        /// The object or prefix of the call.
        subject: String,
        /// What the place answered.
        reason: String,
    },

    /// The place cannot be used as it was named: waiting does not help.
    #[error("{place} cannot be used: {obstacle}")]
    Unusable {
        /// The place, as it describes itself.
        place: String,
        /// What stands in the way.
        obstacle: Obstacle,
    },

    /// How the place is to be reached makes no sense: an option of its URL, or beside it.
    #[error("{place}: {reason}")]
    Setting {
        /// The place, as it describes itself.
        place: String,
        /// What is wrong, and the way out.
        reason: String,
    },

    /// The place refused: wrong credentials, wrong mode, or a lock on the object.
    #[error("{place} denies access to {subject}: {reason}")]
    Denied {
        /// The place, as it describes itself.
        place: String,
        /// The object or prefix of the call.
        subject: String,
        /// What the place answered.
        reason: String,
    },

    /// What lies under the name is not an object, or not the one that was stored.
    #[error("{object} in {place} is damaged: {reason}")]
    Corrupt {
        /// The place, as it describes itself.
        place: String,
        /// The object asked for.
        object: ObjectName,
        /// What was found instead.
        reason: String,
    },

    /// The object is larger than any object may be.
    #[error("{object} is {size} bytes, but an object has at most {limit}")]
    TooLarge {
        /// The object that was to be stored.
        object: ObjectName,
        /// Bytes it has.
        size: u64,
        /// Bytes an object may have.
        limit: u64,
    },

    /// The text is not the name of an object, or not a prefix of names.
    #[error("{name:?} is not an object's name: {reason}")]
    Name {
        /// The text, shortened.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },

    /// The text is not the URL of a place. It is not repeated: it may hold a secret.
    #[error("this is not the URL of a place: {reason}")]
    Url {
        /// The rule it breaks and the way out.
        reason: String,
    },

    /// The path cannot be the folder of a place.
    #[error("{path} cannot be a place: {reason}")]
    Folder {
        /// The path as given.
        path: String,
        /// What was found there.
        reason: String,
        /// Whether it is absent, denied, unavailable or no folder.
        kind: ErrorKind,
    },

    /// The place cannot do this at all.
    #[error("{place} cannot {what}")]
    Unsupported {
        /// The place, as it describes itself.
        place: String,
        /// A verb phrase, such as `keep objects until a time`.
        what: String,
    },
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Reserve { .. } | Self::Full { .. } => ErrorKind::Full,
            Self::Unavailable { .. } | Self::Unusable { .. } => ErrorKind::Unavailable,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Range { .. }
            | Self::TooLarge { .. }
            | Self::Name { .. }
            | Self::Url { .. }
            | Self::Setting { .. } => ErrorKind::Invalid,
            Self::Folder { kind, .. } => *kind,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }

    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unusable { .. } => false,
            other => other.kind() == ErrorKind::Unavailable,
        }
    }
}

/// What stands in the way of a place that is out of reach for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The service answers, and the bucket is not there.
    #[error("there is no bucket {bucket}")]
    NoBucket {
        /// Its name.
        bucket: String,
    },
    /// The service wants to be asked for another region.
    #[error("it was asked for in the region {asked}, but {}", match expected {
        Some(expected) => format!("it is in {expected}"),
        None => "it is in another".to_owned(),
    })]
    Region {
        /// The region that was asked.
        asked: String,
        /// The region that the service names, if it does.
        expected: Option<String>,
    },
    /// The service's certificate is not trusted.
    #[error("the certificate of {host} is not trusted: {reason}")]
    Certificate {
        /// Who showed it.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The service refuses what was asked, in a way that means nothing else.
    #[error("{subject}: it answered {answer}")]
    Answer {
        /// The object or prefix of the call.
        subject: String,
        /// The service's words.
        answer: String,
    },
}

/// Sorts errors by what a caller can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nothing lies under the name.
    NotFound,
    /// No room, or only the room kept for ledger records.
    Full,
    /// Out of reach, mostly for a while; whether the call took effect is unknown.
    Unavailable,
    /// Needs other credentials or modes.
    Denied,
    /// Something other than the stored object was found.
    Corrupt,
    /// The caller asked for something that cannot be.
    Invalid,
    /// The place lacks the ability.
    Unsupported,
}
