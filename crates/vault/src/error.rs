//! What can go wrong in a vault, named with the thing and the numbers.
//!
//! Errors of the rooms below pass through as they are; [`Error::kind`] says what a caller can do
//! about any of them.

use crypto::{Digest, DomainId, SessionId};
use format::{ChunkRef, DecodeError};

/// A result of the vault.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing does not exist.
    NotFound,
    /// Somebody else was there first, or the ledger is broken or forked.
    Conflict,
    /// Bytes are damaged, forged, or rolled back.
    Corrupt,
    /// The keys at hand do not allow it.
    Denied,
    /// The place does not answer; later it may.
    Unavailable,
    /// The place has no room.
    Full,
    /// The request makes no sense.
    Invalid,
    /// The session was closed by somebody else; begin anew.
    Closed,
}

/// An error of the vault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The place said so.
    #[error(transparent)]
    Place(#[from] places::Error),
    /// The ledger said so.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// Keys or sealed bytes.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// An object does not open or decode.
    #[error("{object} is damaged: {reason}")]
    Object {
        /// Which object.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A chunk's bytes do not have its name.
    #[error("chunk {} of pack {pack} holds other bytes than its name says", chunk.id)]
    ChunkContent {
        /// The chunk.
        chunk: ChunkRef,
        /// Where the bytes came from.
        pack: Digest,
    },
    /// No usable pack holds a chunk.
    #[error("no pack of the vault holds {} chunk {} of domain {domain}", chunk.kind, chunk.id)]
    ChunkMissing {
        /// The chunk.
        chunk: ChunkRef,
        /// In which domain.
        domain: DomainId,
    },
    /// There is no vault at the place.
    #[error("there is no vault at {place}")]
    NoVault {
        /// The place.
        place: String,
    },
    /// There is a vault already.
    #[error("there is a vault already at {place}: {vault}")]
    VaultExists {
        /// The place.
        place: String,
        /// Its id.
        vault: String,
    },
    /// An unfinished vault that other keys made.
    #[error("{place} holds an unfinished vault, and no key slot of it opens with this passphrase")]
    Unfinished {
        /// The place.
        place: String,
    },
    /// A vault has no key slot for a passphrase.
    #[error("the vault at {place} has no key slot for a passphrase")]
    NoSlot {
        /// The place.
        place: String,
    },
    /// The config does not hold together.
    #[error("the config at {place} is damaged: {reason}")]
    Config {
        /// The place.
        place: String,
        /// Why.
        reason: String,
    },
    /// The key is of another vault.
    #[error("the key is of vault {key}; {place} holds vault {vault}")]
    OtherVault {
        /// The key's vault.
        key: String,
        /// The place.
        place: String,
        /// The place's vault.
        vault: String,
    },
    /// The place cannot refuse a second object under one name.
    #[error(
        "{place} lets a second writer replace an object: two backups could destroy one another's \
         work"
    )]
    NoConditions {
        /// The place.
        place: String,
    },
    /// The key's role does not allow it.
    #[error("a key of the role {role} may not {what}")]
    RoleMayNot {
        /// The role.
        role: crypto::Role,
        /// A verb.
        what: &'static str,
    },
    /// Only the owner's hosts may store again what is stored.
    #[error("a key of the role {role} may not compact: it cannot read content and store it anew")]
    MayNotCompact {
        /// The role.
        role: crypto::Role,
    },
    /// A snapshot is not there.
    #[error("the vault has no snapshot {snapshot}")]
    NoSnapshot {
        /// Which.
        snapshot: SessionId,
    },
    /// A held snapshot was to be forgotten.
    #[error("snapshot {snapshot} is held: nobody may forget it")]
    Held {
        /// Which.
        snapshot: SessionId,
    },
    /// A policy without a rule was to decide what is forgotten.
    #[error("no rule says which snapshots to keep: that would forget all of them")]
    NoRules,
    /// The session was closed by somebody else.
    #[error("session {session} was closed by another member")]
    Closed {
        /// Which.
        session: SessionId,
    },
    /// Another member's record claims a pack or run that this session made.
    #[error("a record of another session claims {object}, which this session made")]
    Taken {
        /// The pack or run.
        object: places::ObjectName,
    },
    /// Chunks that the session took on never came into a pack: an error on their way was passed
    /// over, or a lane was dropped before it was flushed.
    #[error("{chunks} chunks were taken on and never stored; the session cannot be committed")]
    Unstored {
        /// How many.
        chunks: u64,
    },
    /// Something asked for is out of its limits.
    #[error("{what} is {value}; it must be between {least} and {most}")]
    OutOfLimits {
        /// What was asked for.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// A chunk is empty, or longer than a pack can hold.
    #[error("a chunk of {length} bytes is refused: it has 1 to {max}")]
    ChunkLength {
        /// Its length.
        length: usize,
        /// The limit.
        max: u32,
    },
    /// A file of the host's own state could not be used.
    #[error("{path}: {reason}")]
    Home {
        /// The file or folder.
        path: String,
        /// What the operating system says.
        reason: String,
    },
    /// A thread of the writer stopped after an error that was reported elsewhere.
    #[error("the upload stopped: {reason}")]
    Stopped {
        /// The first error.
        reason: String,
        /// Its kind.
        kind: ErrorKind,
    },
    /// A label, name or tag is too long or holds what it may not.
    #[error("{what} {value:?} may not be used: {reason}")]
    Name {
        /// What it is.
        what: &'static str,
        /// What was given.
        value: String,
        /// Why not.
        reason: &'static str,
    },
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Place(error) => place_kind(error.kind()),
            Self::Ledger(error) => ledger_kind(error.kind()),
            Self::Crypto(error) => match error.kind() {
                crypto::ErrorKind::Denied => ErrorKind::Denied,
                crypto::ErrorKind::Invalid => ErrorKind::Invalid,
                _ => ErrorKind::Corrupt,
            },
            Self::Object { .. }
            | Self::ChunkContent { .. }
            | Self::ChunkMissing { .. }
            | Self::Config { .. } => ErrorKind::Corrupt,
            Self::NoVault { .. } | Self::NoSnapshot { .. } => ErrorKind::NotFound,
            Self::VaultExists { .. }
            | Self::NoConditions { .. }
            | Self::Taken { .. }
            | Self::Held { .. } => ErrorKind::Conflict,
            Self::Unfinished { .. }
            | Self::NoSlot { .. }
            | Self::OtherVault { .. }
            | Self::RoleMayNot { .. }
            | Self::MayNotCompact { .. } => ErrorKind::Denied,
            Self::Closed { .. } => ErrorKind::Closed,
            Self::OutOfLimits { .. }
            | Self::NoRules
            | Self::ChunkLength { .. }
            | Self::Name { .. }
            | Self::Unstored { .. } => ErrorKind::Invalid,
            Self::Home { .. } => ErrorKind::Unavailable,
            Self::Stopped { kind, .. } => *kind,
        }
    }

    pub(crate) fn object(object: impl std::fmt::Display, reason: impl std::fmt::Display) -> Self {
        Self::Object { object: object.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn home(path: &std::path::Path, reason: impl std::fmt::Display) -> Self {
        Self::Home { path: path.display().to_string(), reason: reason.to_string() }
    }

    pub(crate) fn decode(object: impl std::fmt::Display) -> impl FnOnce(DecodeError) -> Self {
        move |error| Self::object(object, error)
    }
}

fn place_kind(kind: places::ErrorKind) -> ErrorKind {
    match kind {
        places::ErrorKind::NotFound => ErrorKind::NotFound,
        places::ErrorKind::Full => ErrorKind::Full,
        places::ErrorKind::Unavailable => ErrorKind::Unavailable,
        places::ErrorKind::Denied => ErrorKind::Denied,
        places::ErrorKind::Corrupt => ErrorKind::Corrupt,
        _ => ErrorKind::Invalid,
    }
}

fn ledger_kind(kind: ledger::ErrorKind) -> ErrorKind {
    match kind {
        ledger::ErrorKind::NotFound => ErrorKind::NotFound,
        ledger::ErrorKind::Conflict => ErrorKind::Conflict,
        ledger::ErrorKind::Tampering => ErrorKind::Corrupt,
        ledger::ErrorKind::Denied => ErrorKind::Denied,
        ledger::ErrorKind::Unavailable => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}
