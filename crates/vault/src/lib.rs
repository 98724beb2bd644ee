//! The engine: chunks in, chunks out.
//!
//! A [`Vault`] is a place, keys, a ledger and an index. A [`Writer`] is a session: it names chunks,
//! stores what is new in packs, publishes them and commits one snapshot. A [`Reader`] gives
//! verified chunks back. Verification reads everything again, with keys or without. What the chunks
//! mean is for the rooms above: this one knows neither file systems nor stores. DESIGN §7, §9.

mod census;
mod collect;
mod compression;
mod config;
mod create;
mod error;
mod forget;
#[doc(hidden)]
pub mod fuzzing;
mod home;
mod index;
mod keys;
mod locks;
mod mark;
mod origin;
mod pack_builder;
mod pack_source;
mod reader;
mod references;
mod repair;
mod retention;
mod rules;
mod shared_cache;
mod stages;
mod state_cache;
mod table;
mod upload;
mod vault;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use census::{Amount, ChunkTotals, Inventory, StoredChunks};
pub use collect::{
    CollectMode, CollectOptions, CollectProgress, Collection, CompactOptions, Compaction,
    CompactionPlan, DomainUse, HalfDead, KeptObject, Merged, Removed, StoppedDomain, UnmovedPack,
    Waiting,
};
pub use compression::{Compression, Paranoia};
pub use config::read_config;
pub use create::{CreateOptions, Protection};
pub use error::{Error, ErrorKind, Result};
pub use forget::{Planned, TRASH_DAYS_DEFAULT, TagEdit};
pub use home::{Folders, Seen};
pub use keys::{DomainChoice, check_label, open_slot, slots};
pub use ledger::{Components, SnapshotStanding};
pub use locks::KnownLocks;
#[doc(hidden)]
pub use mark::made_up::{MadeUpMark, MadeUpVault};
pub use origin::{Origin, tags_of_copy};
pub use reader::{Location, Nodes, Reader};
pub use repair::{
    Elsewhere, INCOMPLETE_TAG, Repair, RepairMode, RepairOptions, Step, StepOutcome, is_incomplete,
    repair_versions,
};
pub use retention::{
    Candidate, Floor, GroupBy, KeepReason, LeftAloneReason, Period, Retention, Source, UtcOffset,
    Verdict, foreign_names, plan as plan_retention,
};
#[doc(hidden)]
pub use rules::{Rule, Rules};
pub use stages::Stages;
pub use vault::{Forgotten, Snapshot, Vault};
pub use verify::{
    DAMAGES_MAX, Damage, Fraction, HURT_PATHS_MAX, HurtPath, Reading, Reported, Reporting,
    Verification, VerifyOptions, VerifyProgress, verify_keyless,
};
pub use writer::{
    CommitOutcome, Committed, Lane, LaneNodes, Novelty, Rehearsal, SnapshotDraft, Stored,
    WriteOptions, Writer, Written,
};
