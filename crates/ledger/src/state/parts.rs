//! The things that a ledger's state is made of: members, sessions, snapshots, packs, runs.
//!
//! Plain values, each with the number of the record that made it. FORMAT.md §10.

use crypto::{KemPublic, Role, VerifyingKey};
use format::{CommitBody, Digest, DomainId, Epoch, EpochKeys, MemberId, RecordAt, Seq, SessionId};
use places::Time;

use super::VoidReason;

/// An epoch of the vault's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochState {
    /// The `genesis` or `rotate` record that began it.
    pub seq: Seq,
    /// Its public keys.
    pub keys: EpochKeys,
}

/// A member, by its newest certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its role.
    pub role: Role,
    /// Its domain.
    pub domain: DomainId,
    /// The epoch of its certificate.
    pub epoch: Epoch,
    /// Checks its records.
    pub verifying: VerifyingKey,
    /// Seals to it.
    pub kem: KemPublic,
    /// How people call it, when a ledger key could open it.
    pub label: Option<String>,
    /// The newest `certify` record of it.
    pub certified: Seq,
    /// The `revoke` record that ended it.
    pub revoked: Option<Seq>,
}

/// A writer's or collector's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who opened it.
    pub member: MemberId,
    /// The domain that it works in.
    pub domain: DomainId,
    /// The snapshot that it builds on: a root for the mark as long as the session is open.
    pub base: Option<SessionId>,
    /// How it stands.
    pub status: SessionStatus,
    /// Its `open` record.
    pub opened: Seq,
    /// Its newest record, its last sign of life; of a closed one the record that closed it.
    pub last: Seq,
    /// When its newest own record claims to be made.
    pub last_claimed: Time,
}

impl Session {
    pub(super) fn end(&mut self, status: SessionStatus, at: Seq) {
        self.status = status;
        self.last = at;
    }
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SessionStatus {
    /// It may still publish packs and commit.
    Open = 1,
    /// It made what it was for.
    Committed = 2,
    /// It was given up, by itself or by another.
    Abandoned = 3,
    /// It merged index runs.
    Merged = 4,
    /// An owner's `recover` closed it.
    Recovered = 5,
    /// Its member was revoked.
    Revoked = 6,
}

/// A snapshot: what a session with a commit made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its `commit` record.
    pub seq: Seq,
    /// When that record claims to be made.
    pub claimed: Time,
    /// Who made it.
    pub member: MemberId,
    /// Its domain.
    pub domain: DomainId,
    /// How it stands.
    pub standing: SnapshotStanding,
    /// The record that put it into this standing.
    pub since: Seq,
    /// Whether it may be neither forgotten nor purged.
    pub held: bool,
    /// Whether the mark may pass over what is missing of it.
    pub written_off: bool,
    /// Where its descriptor lies, when a ledger key could open that.
    pub body: Option<CommitBody>,
    /// Tags that replace those of its descriptor, when a ledger key could open them.
    pub tags: Option<Vec<String>>,
}

/// How a snapshot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SnapshotStanding {
    /// It can be restored.
    Live = 1,
    /// It was forgotten and can still come back.
    Trashed = 2,
    /// It is gone for good.
    Purged = 3,
}

/// Which record published a pack or run first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The record's session.
    pub session: SessionId,
    /// The record.
    pub seq: Seq,
}

/// An index run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Who published it.
    pub origin: Origin,
    /// The `merge` record that replaced it.
    pub dropped: Option<Seq>,
}

/// Whether a writer may rely on a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackStanding {
    /// No valid record names it.
    Unknown,
    /// It may be relied on.
    Good,
    /// It is under suspicion.
    Suspect,
    /// It may be deleted at any moment, or was.
    Condemned,
    /// It is damaged or missing.
    Lost,
}

/// A condemned pack. Its name is never good again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condemned {
    /// The `condemn` record.
    pub seq: Seq,
    /// The first `swept` record that says it was deleted.
    pub swept: Option<Seq>,
}

/// What may change about a vault, as its newest `policy` record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The record.
    pub seq: Seq,
    /// Its payload, when a ledger key could open it.
    pub payload: Option<Vec<u8>>,
}

/// An owner's `recover`: the vault goes on at another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recover {
    /// The record.
    pub at: RecordAt,
    /// The place's id, as its mark holds it.
    pub place: [u8; 16],
    /// The record that the owner went on from.
    pub from: RecordAt,
    /// The last number that survived.
    pub lost_after: Seq,
}

/// A state that a member says lies in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The `checkpoint` record.
    pub seq: Seq,
    /// Who signed it.
    pub member: MemberId,
    /// The record after which the state was such.
    pub at: RecordAt,
    /// The object's digest.
    pub object: Digest,
}

/// A `report` record. Its text is read from the record itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The record.
    pub seq: Seq,
    /// Who reports.
    pub member: MemberId,
    /// When it claims to be made.
    pub claimed: Time,
}

/// A record without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoidRecord {
    /// The record.
    pub seq: Seq,
    /// Who it says made it, when it can be read.
    pub author: Option<MemberId>,
    /// Why it has no effect.
    pub reason: VoidReason,
}

/// The records without effect: how many, and the newest of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voids {
    /// How many there are.
    pub count: u64,
    /// The newest, in order of their numbers.
    pub newest: Vec<VoidRecord>,
}
