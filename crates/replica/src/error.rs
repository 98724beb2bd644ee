//! What can keep a replica from following its source.
//!
//! A fork and a target that is no replica are for people to settle; whatever a place did not
//! answer is tried again by the next pass.

use format::Seq;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an [`Error`] means to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no vault at the source.
    NotFound,
    /// The target has another history, or is no replica.
    Conflict,
    /// Bytes are damaged or forged.
    Corrupt,
    /// The place denies it.
    Denied,
    /// A place did not answer: a later pass goes on.
    Unavailable,
    /// The target has no room.
    Full,
    /// The request makes no sense.
    Invalid,
    /// The caller asked to stop.
    Cancelled,
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A place did not do what it was asked.
    #[error(transparent)]
    Place(#[from] places::Error),
    /// A ledger could not be read, or a record not be put.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// There is no vault at the source.
    #[error("{place} holds no vault: neither a config nor a first record")]
    NoVault {
        /// The source.
        place: String,
    },
    /// The target holds something else than a replica.
    #[error("{place} is no replica: {found}")]
    NoReplica {
        /// The target.
        place: String,
        /// What lies there.
        found: String,
    },
    /// The target has records that the source lacks: it was rolled back.
    #[error(
        "{place} has records up to {newest}, its source only those below {first}: \
         the source was rolled back"
    )]
    Behind {
        /// The target.
        place: String,
        /// The number behind the source's newest record.
        first: Seq,
        /// The target's newest record.
        newest: Seq,
    },
    /// The target has other records than the source.
    #[error("{place} has another history than its source from record {first} on")]
    Fork {
        /// The target.
        place: String,
        /// The lowest number whose record is not the source's.
        first: Seq,
    },
    /// The target's own ledger is broken.
    #[error("the ledger at {place} is broken: {found}")]
    Broken {
        /// The target.
        place: String,
        /// Where and how.
        found: String,
    },
    /// The caller asked to stop.
    #[error("the replication was stopped; the next one goes on from here")]
    Cancelled,
}

impl Error {
    /// What it means to a caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Place(error) => match error.kind() {
                places::ErrorKind::NotFound => ErrorKind::NotFound,
                places::ErrorKind::Full => ErrorKind::Full,
                places::ErrorKind::Unavailable => ErrorKind::Unavailable,
                places::ErrorKind::Denied => ErrorKind::Denied,
                places::ErrorKind::Corrupt => ErrorKind::Corrupt,
                places::ErrorKind::Invalid | places::ErrorKind::Unsupported => ErrorKind::Invalid,
            },
            Self::Ledger(error) => match error.kind() {
                ledger::ErrorKind::NotFound => ErrorKind::NotFound,
                ledger::ErrorKind::Conflict => ErrorKind::Conflict,
                ledger::ErrorKind::Tampering => ErrorKind::Corrupt,
                ledger::ErrorKind::Denied => ErrorKind::Denied,
                ledger::ErrorKind::Unavailable => ErrorKind::Unavailable,
                ledger::ErrorKind::Invalid => ErrorKind::Invalid,
            },
            Self::NoVault { .. } => ErrorKind::NotFound,
            Self::NoReplica { .. }
            | Self::Behind { .. }
            | Self::Fork { .. }
            | Self::Broken { .. } => ErrorKind::Conflict,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}
