//! What a copy is asked to do, and what it says it did. Plain values. DESIGN.md §15.

use std::num::NonZeroUsize;

use crypto::{DomainId, SessionId};
use format::Seq;
use vault::{Compression, Paranoia, Snapshot, Written};

use crate::archive::READ_THREADS_MAX;
use crate::error::Problems;

/// How snapshots are copied.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// The domain to write into, for a role that may choose.
    pub domain: Option<DomainId>,
    /// How hard chunks are compressed.
    pub compression: Compression,
    /// The size of packs in bytes, if not the target vault's own.
    pub pack_size: Option<u32>,
    /// How much of what is compressed is checked again before it is published.
    pub paranoia: Paranoia,
    /// How many threads read, cut and compress; one per core when `None`.
    pub read_threads: Option<NonZeroUsize>,
    /// Whether all is done but storing: what would be new is read, named and compressed. What the
    /// nodes of trees take is then about right, not exact.
    pub dry_run: bool,
}

impl CopyOptions {
    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism();
        let threads = self.read_threads.or(cores.ok()).map_or(1, NonZeroUsize::get);
        threads.min(READ_THREADS_MAX)
    }
}

/// What of the chosen snapshots is to be copied.
#[derive(Clone, Debug, Default)]
pub struct CopyPlan {
    /// Those that the target lacks, oldest first.
    pub missing: Vec<Snapshot>,
    /// Those that it holds already: their copies, or what they are copies of.
    pub present: Vec<SessionId>,
    /// How many snapshots of the target this key cannot look into: what they are copies of is not
    /// known, so it may be copied again.
    pub unseen: u64,
}

/// What became of one snapshot.
#[derive(Clone, Debug)]
pub enum CopyOutcome {
    /// The target has it, or would have after a dry run.
    Copied(Box<CopiedSnapshot>),
    /// It could not be copied, and the others can.
    Refused(RefusedSnapshot),
}

/// A snapshot that was copied.
#[derive(Clone, Debug)]
pub struct CopiedSnapshot {
    /// What was copied.
    pub source: SessionId,
    /// The copy; `None` after a dry run.
    pub snapshot: Option<SessionId>,
    /// The number of its commit.
    pub seq: Option<Seq>,
    /// The copy that it was built on: only what changed since was read.
    pub base: Option<SessionId>,
    /// Why that copy could not be used; everything was read instead.
    pub base_problem: Option<String>,
    /// What was counted.
    pub counts: CopyCounts,
    /// What could not be read at the source, and is not in the copy. Any: damage.
    pub problems: Problems,
}

/// A snapshot that was not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedSnapshot {
    /// Which.
    pub source: SessionId,
    /// Why not, in words.
    pub reason: String,
    /// Whether damage of the source is why.
    pub is_damaged: bool,
}

/// What a copy counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyCounts {
    /// Regular files of the copy.
    pub files: u64,
    /// The sum of their sizes in bytes, holes included.
    pub bytes: u64,
    /// Regular files whose content was looked at; the others are as in the copy before.
    pub files_read: u64,
    /// How many bytes of content were read from the source.
    pub bytes_read: u64,
    /// How many of those bytes the target held already.
    pub bytes_known: u64,
    /// How many bytes of chunks the target did not hold yet; metadata too.
    pub bytes_new: u64,
    /// How many bytes they take in packs, compressed.
    pub bytes_stored: u64,
}

impl CopyCounts {
    /// These and those.
    pub fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files_read += other.files_read;
        self.bytes_read += other.bytes_read;
        self.bytes_known += other.bytes_known;
        self.bytes_new += other.bytes_new;
        self.bytes_stored += other.bytes_stored;
    }

    pub(crate) fn take_written(&mut self, written: &Written) {
        self.bytes_known = written.content_known;
        self.bytes_new = written.bytes_new;
        self.bytes_stored = written.bytes_stored;
    }
}
