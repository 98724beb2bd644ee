//! What a collection did, or would do.
//!
//! What waits, what was kept and what stopped are part of it: none of them is an error.

use crypto::{Digest, DomainId, SessionId};
use places::{ObjectName, Time};

use super::Compaction;

/// What a collection did; a rehearsal, what it would do.
#[derive(Clone, Debug, Default)]
pub struct Collection {
    /// Snapshots that outlived the trash.
    pub purged: Vec<SessionId>,
    /// Sessions that had fallen silent.
    pub abandoned: Vec<SessionId>,
    /// Suspicions that somebody left behind and this collection cleared.
    pub cleared: u64,
    /// Packs that looked dead.
    pub suspected: u64,
    /// Packs that are dead: condemned now, deleted when the reader grace is over.
    pub condemned: Removed,
    /// Condemned packs that were deleted.
    pub packs: Removed,
    /// Index runs that were replaced and deleted.
    pub runs: Removed,
    /// Packs and runs of no record, left by interrupted work, that were deleted.
    pub strangers: Removed,
    /// What waits for the end of a grace.
    pub waiting: Waiting,
    /// What the place refused to delete, or must not be deleted yet; tried again next time.
    pub kept: Vec<KeptObject>,
    /// Strangers of open or unknown sessions, which stay.
    pub strangers_kept: u64,
    /// Index runs that were merged.
    pub merged: Merged,
    /// How full the packs of each domain are.
    pub domains: Vec<DomainUse>,
    /// Domains of which nothing was condemned, and why.
    pub stopped: Vec<StoppedDomain>,
    /// Missing chunks of written-off snapshots that were passed over.
    pub passed_over: u64,
    /// Packs a quarter of whose chunks' bytes or more is dead, the deadest first.
    pub half_dead: Vec<HalfDead>,
    /// What was compacted, when that was asked for.
    pub compaction: Option<Compaction>,
}

impl Collection {
    /// The bytes that were freed.
    pub fn freed_bytes(&self) -> u64 {
        self.packs.bytes + self.runs.bytes + self.strangers.bytes
    }
}

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many.
    pub objects: u64,
    /// Their bytes in the place.
    pub bytes: u64,
}

impl Removed {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What waits for the end of a grace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last of them may be deleted.
    pub until: Option<Time>,
}

impl Waiting {
    pub(super) fn add(&mut self, bytes: u64, until: Time) {
        self.objects += 1;
        self.bytes += bytes;
        self.until = self.until.max(Some(until));
    }
}

/// An object that was to be deleted and is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptObject {
    /// Its name.
    pub name: ObjectName,
    /// Its bytes.
    pub bytes: u64,
    /// Until when the place keeps it, when it says.
    pub until: Option<Time>,
    /// Why.
    pub reason: String,
}

/// Index runs that were merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// How many there were.
    pub runs: u64,
    /// How many they became.
    pub into: u64,
}

/// How full the packs of a domain are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainUse {
    /// The domain.
    pub domain: DomainId,
    /// Its packs that are not condemned.
    pub packs: u64,
    /// Bytes of them that live chunks take.
    pub live_bytes: u64,
    /// Bytes of them that nothing needs: dead chunks, padding, and what frames a pack.
    pub dead_bytes: u64,
}

/// A domain that was not collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoppedDomain {
    /// The domain.
    pub domain: DomainId,
    /// The snapshot whose walk stopped, when one did.
    pub snapshot: Option<SessionId>,
    /// Why.
    pub reason: String,
}

/// A pack that is worth rewriting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfDead {
    /// The pack.
    pub pack: Digest,
    /// Its domain.
    pub domain: DomainId,
    /// Bytes that live chunks take.
    pub live_bytes: u64,
    /// The bytes of the object.
    pub total_bytes: u64,
}
