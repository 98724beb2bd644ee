//! The vault's one totally ordered, hash-chained, signed log, and the state that follows from it.
//!
//! [`State`] is a pure replay: records in, state out, no I/O and no clock; whoever replays the same
//! records has the same state, with keys or without. [`Ledger`] is a state beside a place: it
//! catches up, appends by put-if-absent at the next number, and raises an alarm when the place
//! shows another history than the one remembered. It knows neither what packs hold nor files.
//! DESIGN §9, FORMAT.md §9 and §10.

mod draft;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod ledger;
mod memory;
mod protect;
mod shelf;
mod standing;
mod state;
mod stored_times;
mod versions;

#[cfg(test)]
mod tests;

pub use draft::{Author, Draft};
pub use error::{Error, ErrorKind, Result};
pub use format::{RecordAt, RecordHash, Seq};
pub use ledger::{
    Appended, BUNDLE_BYTES_MAX, CHECKPOINT_BYTES_MAX, CHECKPOINT_RECORDS, Components, Entry, Ledger,
};
pub use memory::{Memory, ProcessMemory};
pub use protect::{LockReport, ProtectMode, ProtectOptions, Protected, protect};
pub use shelf::RecordBytes;
pub use standing::{Alarm, Standing, Vouched};
pub use state::{
    Applied, Body, Break, Checkpoint, Condemned, Context, EpochState, Lists, Member, NoLists,
    Origin, Outcome, PackStanding, Policy, Recover, Report, Run, Session, SessionStatus, Snapshot,
    SnapshotStanding, State, Trust, VoidReason, VoidRecord, Voids,
};
pub use stored_times::StoredTimes;
pub use versions::{NameVersions, Need, each_name};
