//! One error for all rooms, and what to do about it.
//!
//! Errors pass through as they are; an error that one room handed to another is found at its
//! source by [`Error::kind`]. The kinds are few, because a caller does few things about them.

use ledger::Seq;

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whatever can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The vault said so.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// A backup, a listing or a restore said so.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// The place said so.
    #[error(transparent)]
    Place(#[from] places::Error),
    /// The ledger said so.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// Keys or sealed bytes.
    #[error(transparent)]
    Keys(#[from] crypto::Error),
    /// A replica said so.
    #[error(transparent)]
    Replica(#[from] replica::Error),
    /// Records that were seen have not survived.
    #[error(
        "{place} has records up to {survived}, and record {seen} was seen before: \
         {} did not survive there",
        records(seen.0.saturating_sub(survived.0))
    )]
    Loss {
        /// The copy that was to be recovered from.
        place: String,
        /// The newest record there.
        survived: Seq,
        /// The newest record that was seen.
        seen: Seq,
    },
    /// A kind of place that this version does not have.
    #[error(
        "{place}: this kind of place is not built yet; a folder or a bucket works (PATH, s3://…)"
    )]
    NotBuilt {
        /// The URL.
        place: String,
    },
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such thing.
    NotFound,
    /// Somebody else was there first, or the ledger is broken.
    Conflict,
    /// Bytes are damaged, forged or rolled back.
    Corrupt,
    /// The key, role or credentials do not allow it.
    Denied,
    /// The place does not answer; later it may.
    Unavailable,
    /// The place has no room.
    Full,
    /// The request makes no sense.
    Invalid,
    /// This machine's own files or memory: not the place.
    Local,
    /// The caller asked to stop.
    Cancelled,
}

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Vault(error) => vault_kind(error),
            Self::Files(error) => match error.kind() {
                files::ErrorKind::Vault(kind) => match error {
                    files::Error::Vault(error) => vault_kind(error),
                    _ => of_vault(kind),
                },
                files::ErrorKind::System | files::ErrorKind::Full => ErrorKind::Local,
                files::ErrorKind::NotFound => ErrorKind::NotFound,
                files::ErrorKind::NotEmpty => ErrorKind::Local,
                files::ErrorKind::Cancelled => ErrorKind::Cancelled,
                files::ErrorKind::Invalid => ErrorKind::Invalid,
            },
            Self::Place(error) => place_kind(error.kind()),
            Self::Ledger(error) => ledger_kind(error),
            Self::Keys(error) => key_kind(error.kind()),
            Self::Replica(replica::Error::Ledger(error)) => ledger_kind(error),
            Self::Replica(error) => replica_kind(error.kind()),
            Self::Loss { .. } => ErrorKind::Corrupt,
            Self::NotBuilt { .. } => ErrorKind::Invalid,
        }
    }
}

fn vault_kind(error: &vault::Error) -> ErrorKind {
    match error {
        vault::Error::Ledger(error) => ledger_kind(error),
        vault::Error::Place(error) => place_kind(error.kind()),
        vault::Error::Crypto(error) => key_kind(error.kind()),
        vault::Error::Home { .. } => ErrorKind::Local,
        other => of_vault(other.kind()),
    }
}

fn of_vault(kind: vault::ErrorKind) -> ErrorKind {
    match kind {
        vault::ErrorKind::NotFound => ErrorKind::NotFound,
        vault::ErrorKind::Conflict | vault::ErrorKind::Closed => ErrorKind::Conflict,
        vault::ErrorKind::Corrupt => ErrorKind::Corrupt,
        vault::ErrorKind::Denied => ErrorKind::Denied,
        vault::ErrorKind::Unavailable => ErrorKind::Unavailable,
        vault::ErrorKind::Full => ErrorKind::Full,
        _ => ErrorKind::Invalid,
    }
}

fn ledger_kind(error: &ledger::Error) -> ErrorKind {
    match error {
        ledger::Error::Place(error) => place_kind(error.kind()),
        ledger::Error::Memory { .. } => ErrorKind::Local,
        other => match other.kind() {
            ledger::ErrorKind::NotFound => ErrorKind::NotFound,
            ledger::ErrorKind::Conflict => ErrorKind::Conflict,
            ledger::ErrorKind::Tampering => ErrorKind::Corrupt,
            ledger::ErrorKind::Denied => ErrorKind::Denied,
            ledger::ErrorKind::Unavailable => ErrorKind::Unavailable,
            ledger::ErrorKind::Invalid => ErrorKind::Invalid,
        },
    }
}

fn replica_kind(kind: replica::ErrorKind) -> ErrorKind {
    match kind {
        replica::ErrorKind::NotFound => ErrorKind::NotFound,
        replica::ErrorKind::Conflict => ErrorKind::Conflict,
        replica::ErrorKind::Corrupt => ErrorKind::Corrupt,
        replica::ErrorKind::Denied => ErrorKind::Denied,
        replica::ErrorKind::Unavailable => ErrorKind::Unavailable,
        replica::ErrorKind::Full => ErrorKind::Full,
        replica::ErrorKind::Invalid => ErrorKind::Invalid,
        replica::ErrorKind::Cancelled => ErrorKind::Cancelled,
    }
}

fn records(count: u64) -> String {
    match count {
        1 => "1 record".to_owned(),
        count => format!("{count} records"),
    }
}

fn place_kind(kind: places::ErrorKind) -> ErrorKind {
    match kind {
        places::ErrorKind::NotFound => ErrorKind::NotFound,
        places::ErrorKind::Full => ErrorKind::Full,
        places::ErrorKind::Unavailable => ErrorKind::Unavailable,
        places::ErrorKind::Denied => ErrorKind::Denied,
        places::ErrorKind::Corrupt => ErrorKind::Corrupt,
        places::ErrorKind::Invalid | places::ErrorKind::Unsupported => ErrorKind::Invalid,
    }
}

fn key_kind(kind: crypto::ErrorKind) -> ErrorKind {
    match kind {
        crypto::ErrorKind::Denied => ErrorKind::Denied,
        crypto::ErrorKind::Unavailable => ErrorKind::Local,
        crypto::ErrorKind::Corrupt => ErrorKind::Corrupt,
        _ => ErrorKind::Invalid,
    }
}
