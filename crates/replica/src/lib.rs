//! Keeps another place complete: the same objects, in the order of the ledger, without a key.
//!
//! A [`Replicator`] copies from a source to a target that is marked as a replica, pass by pass.
//! First the packs and runs that the records up to a head need, then these records in order: so
//! every snapshot that is live at the source restores from the target or is not there yet. Names
//! are digests, so what is copied is verified without a key. Nothing is ever made here, and what
//! the source deletes outlives it here for a time of its own. [`compare`] says how complete a
//! target is. DESIGN §12.

mod compare;
mod copy;
mod error;
mod plan;
mod purge;
mod replicator;
mod source;
mod target;

pub use compare::{Comparison, compare};
pub use error::{Error, ErrorKind, Result};
pub use ledger::Components;
pub use replicator::{
    Lag, MissingObject, Pass, Quiet, ReadBack, Rehearsal, ReplicaOptions, ReplicaProgress,
    Replicator,
};
