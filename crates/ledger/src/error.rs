//! What can go wrong with a ledger, told with the record and the numbers.
//!
//! [`Error::kind`] decides what a caller does: tampering and conflicts stop it, a place that does
//! not answer is worth another try later, anything invalid is the caller's own. DESIGN §15.

use format::{DecodeError, FORMAT_NUMBER, Kind, RecordError, Seq};

use crate::{Alarm, Break, VoidReason};

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an [`Error`] means to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no such thing.
    NotFound,
    /// Another's record stands in the way, or the chain is broken.
    Conflict,
    /// The place shows another history than it did, or damaged bytes.
    Tampering,
    /// The key, role or credentials do not allow it.
    Denied,
    /// The place did not answer.
    Unavailable,
    /// The request makes no sense.
    Invalid,
}

/// Why the ledger was not read or appended to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place did not do what it was asked.
    #[error(transparent)]
    Place(#[from] places::Error),
    /// A key is missing or sealed bytes do not open.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// Bytes that do not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A record cannot be made.
    #[error("the {kind} record cannot be made: {reason}")]
    Record {
        /// Its kind.
        kind: Kind,
        /// Why not.
        reason: RecordError,
    },
    /// The config is not the one that the vault's root key signed.
    #[error("the config is not valid: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
    /// A `recover` where nothing asks for one.
    #[error("there is nothing to recover: this place is no replica and shows all that was seen")]
    NothingLost,
    /// The vault has a config but no first record: its `init` did not finish.
    #[error("the ledger is empty: the vault's init did not finish")]
    Empty,
    /// There is no record of this number.
    #[error("record {seq} is not there; the newest is {newest}")]
    NoRecord {
        /// The number.
        seq: Seq,
        /// The newest number applied.
        newest: Seq,
    },
    /// The chain is broken: nothing is appended past it.
    #[error("the ledger is broken: {0}")]
    Broken(Box<Break>),
    /// The place shows another history than the one remembered.
    #[error("{0}")]
    History(Box<Alarm>),
    /// The vault needs a newer program.
    #[error("the vault has format number {number}; this program knows up to {FORMAT_NUMBER}")]
    NewerFormat {
        /// The vault's number.
        number: u32,
    },
    /// The place is marked as a replica: only an owner's `recover` makes it more.
    #[error(
        "this place is a replica: nobody appends here until the owner recovers the vault to it"
    )]
    Replica,
    /// The state is a collector's word, which is enough for backing up only.
    #[error("a {kind} record needs a state that was replayed or that the owner vouches for")]
    Vouched {
        /// The record's kind.
        kind: Kind,
    },
    /// The record would be void, or was found to be void once it stood.
    #[error("the {kind} record is void: {reason}")]
    Void {
        /// Its kind.
        kind: Kind,
        /// Why.
        reason: VoidReason,
    },
    /// No keys were given to the ledger, so it can only be read.
    #[error("a {kind} record cannot be signed: the ledger was opened without keys")]
    NoKeys {
        /// The record's kind.
        kind: Kind,
    },
    /// The place did not say whether a record was stored, and it could not be found out.
    #[error("whether record {seq} was stored is not known after {tries} tries: {reason}")]
    Unsettled {
        /// The number that it was to have.
        seq: Seq,
        /// How often it was tried.
        tries: u32,
        /// The last answer.
        reason: places::Error,
    },
    /// Others were faster each time.
    #[error("the {kind} record lost the race for its number {tries} times")]
    Contended {
        /// Its kind.
        kind: Kind,
        /// How often.
        tries: u32,
    },
    /// A record that was acknowledged is not there when it is read back.
    #[error("record {seq} was stored, but reads back as {found}")]
    ReadBack {
        /// Its number.
        seq: Seq,
        /// What was found instead.
        found: &'static str,
    },
    /// Two records under one number, in a vault for a single writer.
    #[error("two records have the number {seq}: the vault is for a single writer")]
    TwoRecords {
        /// The number.
        seq: Seq,
    },
    /// A copy meets a record that its source has otherwise.
    #[error("record {seq} is another one here than at the source of this copy")]
    Taken {
        /// Its number.
        seq: Seq,
    },
    /// Nothing is broken, so there is nothing to mend.
    #[error("the ledger is not broken: there is nothing to mend")]
    NotBroken,
    /// A break that no record can settle.
    #[error("the break cannot be mended: {0}")]
    Unmendable(Box<Break>),
    /// The host's memory of the newest head cannot be read or kept.
    #[error("the remembered head of the ledger: {reason}")]
    Memory {
        /// Why not.
        reason: String,
    },
}

impl From<Break> for Error {
    fn from(found: Break) -> Self {
        Self::Broken(Box::new(found))
    }
}

impl Error {
    /// What it means to a caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Place(error) => place_kind(error.kind()),
            Self::Unsettled { .. } | Self::Contended { .. } | Self::Memory { .. } => {
                ErrorKind::Unavailable
            }
            Self::Crypto(error) => match error.kind() {
                crypto::ErrorKind::Denied => ErrorKind::Denied,
                crypto::ErrorKind::Unavailable => ErrorKind::Unavailable,
                crypto::ErrorKind::Corrupt => ErrorKind::Tampering,
                _ => ErrorKind::Invalid,
            },
            Self::Decode(_) | Self::Config { .. } | Self::History(_) | Self::ReadBack { .. } => {
                ErrorKind::Tampering
            }
            Self::Void { reason, .. } if reason.is_denial() => ErrorKind::Denied,
            Self::NoKeys { .. } | Self::Vouched { .. } => ErrorKind::Denied,
            Self::Broken(_)
            | Self::Taken { .. }
            | Self::Unmendable(_)
            | Self::NewerFormat { .. }
            | Self::Replica
            | Self::TwoRecords { .. }
            | Self::Void { .. } => ErrorKind::Conflict,
            Self::Empty | Self::NoRecord { .. } => ErrorKind::NotFound,
            Self::Record { .. } | Self::NothingLost | Self::NotBroken => ErrorKind::Invalid,
        }
    }
}

fn place_kind(kind: places::ErrorKind) -> ErrorKind {
    match kind {
        places::ErrorKind::NotFound => ErrorKind::NotFound,
        places::ErrorKind::Full | places::ErrorKind::Unavailable => ErrorKind::Unavailable,
        places::ErrorKind::Denied => ErrorKind::Denied,
        places::ErrorKind::Corrupt => ErrorKind::Tampering,
        places::ErrorKind::Invalid | places::ErrorKind::Unsupported => ErrorKind::Invalid,
    }
}
