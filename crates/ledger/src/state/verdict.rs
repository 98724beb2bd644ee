//! What replay says of a record: valid, void for a reason, or a break of the chain.
//!
//! A record is void only for what it is itself, so whoever replays the same records finds the same
//! ones void. A break is no property of one record: what lies before is not what it follows, or is
//! not there. FORMAT.md §10.

use format::{Digest, Epoch, MemberId, Record, RecordAt, RecordHash, Seq};

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its number, and its hash in the chain.
    pub at: RecordAt,
    /// Its clear part, when it could be read.
    pub record: Option<Record>,
    /// Whether it has an effect.
    pub outcome: Outcome,
    /// What became of its body.
    pub body: Body,
}

/// Whether a record has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has.
    Valid,
    /// It keeps its number and hash, and has none.
    Void(VoidReason),
}

/// What became of a record's sealed body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nobody looked: no key is held, or the state needs nothing from it.
    Closed,
    /// It was opened and used.
    Opened,
    /// The key is held, but the body does not open or decode. The record stands without it.
    Unreadable,
}

macro_rules! void_reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why a record has no effect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
        #[repr(u8)]
        pub enum VoidReason {
            $($(#[$doc])* #[error($text)] $name = $code,)*
        }

        impl VoidReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its code in an encoded state.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The reason with this code.
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.code() == code)
            }
        }
    };
}

void_reasons! {
    /// It is longer than a record may be.
    TooLong = 1, "it is longer than a record may be";
    /// It does not decode.
    Malformed = 2, "it is malformed";
    /// It names another vault.
    OtherVault = 3, "it belongs to another vault";
    /// It names another number than it lies under.
    OtherNumber = 4, "it was made for another number";
    /// No member of this id is certified at this point.
    NotCertified = 5, "its author is not certified";
    /// Its author was revoked.
    RevokedAuthor = 6, "its author was revoked";
    /// The signature does not hold.
    Signature = 7, "its signature does not hold";
    /// The author's role may not append this kind.
    Role = 8, "its author's role may not append records of this kind";
    /// Its epoch is not the newest.
    Epoch = 9, "its epoch is not the newest";
    /// A long list does not decode or has another count.
    ListMalformed = 10, "one of its long lists is malformed";
    /// The session id was used before.
    SessionUsed = 11, "its session id was used before";
    /// The session is not open.
    SessionNotOpen = 12, "its session is not open";
    /// Another member opened the session.
    OtherOpener = 13, "another member opened its session";
    /// The base is neither live nor trashed, or of another domain.
    Base = 14, "the base is neither live nor trashed in the session's domain";
    /// A writer works only in its own domain.
    Domain = 15, "the domain is not its author's";
    /// A commit names another snapshot than its session's.
    SnapshotOfOther = 16, "it names another session's snapshot";
    /// There is no such snapshot.
    SnapshotUnknown = 17, "it names a snapshot that does not exist";
    /// The snapshot's standing does not allow it.
    SnapshotStanding = 18, "the standing of a snapshot that it names does not allow it";
    /// A held snapshot is neither forgotten nor purged.
    Held = 19, "a snapshot that it names is held";
    /// There is no such suspicion, or it was cleared.
    SuspicionUnknown = 20, "the suspicion that it names does not stand";
    /// A condemned pack is not of the suspicion.
    NotSuspected = 21, "it drops what is not under the suspicion that it names";
    /// Packs were lost between suspicion and condemn.
    LostSince = 22, "packs were lost since the suspicion that it names";
    /// Its needs are not what its kind may name.
    Needs = 23, "it needs what its kind may not";
    /// Its drops are not what its kind may name.
    Drops = 24, "it drops what its kind may not";
    /// The certificate is not valid.
    Certificate = 25, "its certificate is not valid";
    /// There is no such member.
    MemberUnknown = 26, "it names a member that is not certified";
    /// The member was revoked.
    MemberRevoked = 27, "it names a member that was revoked";
    /// The owner's `mend` took its effect.
    Mended = 28, "the owner's mend took its effect";
    /// The format number is not raised.
    FormatNumber = 29, "it does not raise the vault's format number";
    /// The new keys are not of the next epoch.
    NextEpoch = 30, "its keys are not of the next epoch";
    /// The record that it names does not lie before it.
    NotBefore = 31, "it names a record that does not lie before it";
    /// Only the first record is a genesis.
    SecondGenesis = 32, "only the first record may be a genesis";
}

impl VoidReason {
    /// Whether nobody certified vouches for the record's `prev`.
    pub fn is_unsigned(self) -> bool {
        matches!(
            self,
            Self::TooLong
                | Self::Malformed
                | Self::OtherVault
                | Self::OtherNumber
                | Self::NotCertified
                | Self::RevokedAuthor
                | Self::Signature
        )
    }

    /// Whether another key or role would have made it valid.
    pub fn is_denial(self) -> bool {
        matches!(
            self,
            Self::NotCertified
                | Self::RevokedAuthor
                | Self::Signature
                | Self::Role
                | Self::OtherOpener
                | Self::Domain
        )
    }
}

/// Where the chain is broken. Nothing is appended, condemned or deleted past it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// The first record does not begin this vault.
    #[error("record 0 is not the genesis of this vault: {reason}")]
    Genesis {
        /// What is wrong with it.
        reason: String,
    },
    /// A well-signed record does not follow what lies before it.
    #[error("record {seq} by {author} follows {named}, but the record before it is {before}")]
    Previous {
        /// The record.
        seq: Seq,
        /// Who signed it.
        author: MemberId,
        /// The hash that it names.
        named: RecordHash,
        /// The hash of what lies before it.
        before: RecordHash,
        /// The record's own hash.
        hash: RecordHash,
    },
    /// There is no record of this number, but one above it.
    #[error("record {seq} is missing, but record {above} is there")]
    Missing {
        /// The number.
        seq: Seq,
        /// A number above it that is there.
        above: Seq,
    },
    /// A long list of a record is missing or not the one that it names.
    #[error("record {seq} names the list {digest}, which is missing or damaged")]
    List {
        /// The record.
        seq: Seq,
        /// The list's digest.
        digest: Digest,
    },
}

impl Break {
    /// The number that cannot be applied.
    pub fn seq(&self) -> Seq {
        match self {
            Self::Genesis { .. } => Seq(0),
            Self::Previous { seq, .. } | Self::Missing { seq, .. } | Self::List { seq, .. } => *seq,
        }
    }
}

/// The hash of a record that carries no trusted `prev`: it binds what lies before all the same.
///
/// Without this, whoever may put one meaningless object behind a record could change that record
/// later, since nothing after it would name its hash.
pub(crate) fn chained(before: &RecordHash, raw: &RecordHash) -> RecordHash {
    Digest::of(&[before.as_bytes(), raw.as_bytes().as_slice()].concat())
}

/// An epoch above what a `rotate` may name is refused before it overflows.
pub(crate) fn next_epoch(epoch: Epoch) -> Option<Epoch> {
    epoch.0.checked_add(1).map(Epoch)
}
