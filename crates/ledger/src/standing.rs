//! How a place's ledger stands against what this host knows.
//!
//! An alarm stops appending, never reading. Which it is decides who must act: a break is the
//! owner's to settle, a place that was rolled back or forked is tampering, a marked replica is
//! somebody else's copy. DESIGN §9, §12.

use format::{FORMAT_NUMBER, Kind, RecordAt, RecordHash, Seq};

use crate::{Break, Error};

/// How the place's ledger stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is wrong or worth saying, the gravest first.
    pub alarms: Vec<Alarm>,
    /// Whose word the state is.
    pub vouched: Vouched,
}

impl Standing {
    /// Why nothing may be appended; `None` when something may.
    pub fn forbids_append(&self) -> Option<Error> {
        self.alarms.iter().find_map(Alarm::forbids_append)
    }

    /// Where the chain is broken.
    pub fn broken(&self) -> Option<&Break> {
        self.alarms.iter().find_map(|alarm| match alarm {
            Alarm::Break(found) => Some(found),
            _ => None,
        })
    }
}

/// Who vouches for a state: what it lets this client do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vouched {
    /// This client replayed the records.
    #[default]
    Replayed,
    /// A checkpoint by the owner's root key, or by this client itself, for everything.
    ByOwner,
    /// A checkpoint by a collector, for backing up only.
    ByCollector,
}

impl Vouched {
    /// Whether a record of this kind may rest on such a state.
    pub fn allows(self, kind: Kind) -> bool {
        use Kind::{Abandon, Commit, Open, Packs, Report};
        self != Self::ByCollector || matches!(kind, Open | Packs | Commit | Abandon | Report)
    }
}

/// Something about the ledger that a user must hear.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// The chain is broken; the state ends before it.
    #[error("the ledger is broken: {0}")]
    Break(Break),
    /// The place shows less than was seen before.
    #[error(
        "the ledger was rolled back: record {} was seen before, the newest now is {}",
        remembered.seq, found.seq
    )]
    RolledBack {
        /// The newest head seen before.
        remembered: RecordAt,
        /// The newest that the place shows.
        found: RecordAt,
    },
    /// The place shows another record than was seen before under the same number.
    #[error(
        "the ledger was forked: record {} was {}, now it is {found}",
        remembered.seq, remembered.hash
    )]
    Forked {
        /// What was seen before.
        remembered: RecordAt,
        /// The hash that its number has now.
        found: RecordHash,
    },
    /// The vault's format number is above what this program knows.
    #[error("the vault has format number {number}; this program knows up to {FORMAT_NUMBER}")]
    NewerFormat {
        /// The vault's number.
        number: u32,
    },
    /// The place is marked as a replica, where nobody appends.
    #[error("this place is a replica; it is {lag} records behind what was seen elsewhere")]
    Replica {
        /// How many records it lacks of those seen before.
        lag: u64,
    },
    /// No head is remembered: a roll-back before this contact would not be noticed.
    #[error("no earlier head is remembered: a roll-back is noticed from record {found} on")]
    HeadForgotten {
        /// The head at this first contact.
        found: Seq,
    },
}

impl Alarm {
    fn forbids_append(&self) -> Option<Error> {
        match self {
            Self::Break(found) => Some(found.clone().into()),
            Self::RolledBack { .. } | Self::Forked { .. } => {
                Some(Error::History(Box::new(self.clone())))
            }
            Self::NewerFormat { number } => Some(Error::NewerFormat { number: *number }),
            Self::Replica { .. } => Some(Error::Replica),
            Self::HeadForgotten { .. } => None,
        }
    }
}
