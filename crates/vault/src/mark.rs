//! The mark: which chunks the vault's roots reach, and which packs hold them.
//!
//! It has two parts. [`Reach`] walks metadata chunks from roots and keeps what was met as one bit
//! per entry of the index, so its memory grows by 12.5 MB for each 10^8 chunks, whatever the trees
//! look like; nodes are read in batches in the order in which they lie, and a subtree that was met
//! is not walked again. [`tally`] then passes once over the index and says how much of each pack is
//! reached; of a chunk that lies in several packs exactly one counts. Nothing is decided here:
//! the collector condemns, verification reports. No content key is needed. DESIGN §9.
//!
//! # Order
//! Take [`Index::layout`] (in [`Reach::new`]) under one guard of the index and hold that guard for
//! as long as the reach is in use: merging tables makes ordinals void. [`Index::extend`] may add
//! tables, then [`Reach::grow`] follows.
//!
//! [`Index::layout`]: crate::index::Index::layout
//! [`Index::extend`]: crate::index::Index::extend

pub(crate) mod made_up;
mod tally;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use crypto::{DomainId, SessionId};
use format::{ChunkId, ChunkRef};
use ledger::PackStanding;

use crate::index::{Found, Index, Layout, Placed};
use crate::reader::Reader;
use crate::writer::lock;
use crate::{Error, ErrorKind, Result};

pub(crate) use tally::{CopyClass, CopyRank, PackUse, chosen_in, stored_share, tally};

/// Where a walk begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    /// The snapshot.
    pub(crate) snapshot: SessionId,
    /// In which domain its chunks are named.
    pub(crate) domain: DomainId,
    /// Its descriptor; `None` when the body of its commit record does not open.
    pub(crate) descriptor: Option<ChunkRef>,
    /// What a missing chunk of it means.
    pub(crate) care: Care,
}

/// What a chunk that cannot be had means to a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Care {
    /// It stops the walk of the domain: an unreadable subtree is never an empty one.
    Stop,
    /// It is passed over and counted: the owner wrote the snapshot off.
    PassOver,
}

/// A chunk that a root reaches and that no pack gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreachable {
    /// The snapshot whose walk met it; `None` for what no walk found.
    pub(crate) snapshot: Option<SessionId>,
    /// The chunk; `None` when the snapshot's descriptor is not known.
    pub(crate) chunk: Option<ChunkRef>,
    /// Why it cannot be had.
    pub(crate) reason: String,
}

/// Reads a chunk from where an entry of the index says, and verifies it.
pub(crate) trait ReadChunks: Sync {
    /// The chunk's bytes.
    ///
    /// # Errors
    /// Of the kinds `Corrupt`, `NotFound` and `Invalid` when this copy does not give it; any other
    /// ends the walk.
    fn read_chunk(&self, domain: DomainId, chunk: ChunkRef, found: &Found) -> Result<Bytes>;
}

impl ReadChunks for Reader {
    fn read_chunk(&self, domain: DomainId, chunk: ChunkRef, found: &Found) -> Result<Bytes> {
        self.chunk_at(domain, chunk, found)
    }
}

/// What a walk works with.
pub(crate) struct Marker<'a> {
    /// Where chunks lie; its packs judged by the state that the roots are of.
    pub(crate) index: &'a Index,
    /// Reads nodes.
    pub(crate) chunks: &'a dyn ReadChunks,
    /// How many threads may read.
    pub(crate) at_once: usize,
    /// Set by whoever wants it to stop.
    pub(crate) cancel: &'a AtomicBool,
    /// Hears how many nodes were read; called from several threads.
    pub(crate) heard: &'a (dyn Fn(u64) + Sync),
}

/// The chunks that were reached, as a set of ordinals of the index.
pub(crate) struct Reach {
    layout: Layout,
    bits: Vec<AtomicU64>,
    /// Entries of nodes that did not give their chunk when they were read.
    unreadable: Mutex<BTreeSet<u64>>,
    stops: Mutex<BTreeMap<DomainId, Unreachable>>,
    any_stop: AtomicBool,
    passed_over: AtomicU64,
}

/// More unreadable copies of nodes than this are not remembered one by one: the domain stops.
const UNREADABLE_MAX: usize = 1 << 16;

impl Reach {
    /// Nothing is reached yet.
    pub(crate) fn new(index: &Index) -> Self {
        let layout = index.layout();
        let bits = words(&layout);
        Self {
            layout,
            bits,
            unreadable: Mutex::default(),
            stops: Mutex::default(),
            any_stop: AtomicBool::new(false),
            passed_over: AtomicU64::new(0),
        }
    }

    /// What was reached before, as [`Self::to_words`] gave it, over the first tables of this index.
    pub(crate) fn from_words(index: &Index, mut remembered: Vec<u64>) -> Self {
        let reach = Self::new(index);
        remembered.truncate(reach.bits.len());
        for (bits, word) in reach.bits.iter().zip(remembered) {
            bits.store(word, Ordering::Relaxed);
        }
        reach
    }

    /// The bitmap.
    pub(crate) fn to_words(&self) -> Vec<u64> {
        self.bits.iter().map(|bits| bits.load(Ordering::Relaxed)).collect()
    }

    /// Follows the index after tables were added behind the others.
    pub(crate) fn grow(&mut self, index: &Index) {
        self.layout = index.layout();
        let words = words(&self.layout).len();
        self.bits.resize_with(words, AtomicU64::default);
    }

    /// Walks from these roots, those first whose missing chunks stop a domain, so that what a
    /// walk of the others passed over is not taken for known.
    ///
    /// # Errors
    /// When the place does not answer, a key is missing, the cached index cannot be read, or it is
    /// cancelled. A chunk that no pack gives is no error: [`Self::stops`] has it.
    pub(crate) fn walk(&self, marker: &Marker<'_>, roots: &[Root]) -> Result<()> {
        for care in [Care::Stop, Care::PassOver] {
            let some: Vec<Root> = roots.iter().filter(|r| r.care == care).copied().collect();
            walk::walk(self, marker, &some)?;
        }
        Ok(())
    }

    /// The domains whose walk was stopped, and by what. What is reached of them is not known.
    pub(crate) fn stops(&self) -> BTreeMap<DomainId, Unreachable> {
        lock(&self.stops).clone()
    }

    /// Stops a domain for a reason that no walk found.
    pub(crate) fn stop(&self, domain: DomainId, found: Unreachable) {
        lock(&self.stops).entry(domain).or_insert(found);
        self.any_stop.store(true, Ordering::Relaxed);
    }

    /// Whether everything below what was met was met too: nothing was stopped at or passed over.
    pub(crate) fn is_whole(&self) -> bool {
        !self.any_stop.load(Ordering::Relaxed)
            && self.passed_over.load(Ordering::Relaxed) == 0
            && lock(&self.unreadable).is_empty()
    }

    /// Missing chunks of written-off snapshots that were passed over.
    pub(crate) fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// Bytes of memory that the set takes.
    pub(crate) fn memory(&self) -> usize {
        self.bits.len() * 8
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn holds(&self, ordinal: u64) -> bool {
        let word = self.bits[(ordinal / 64) as usize].load(Ordering::Relaxed);
        word & 1 << (ordinal % 64) != 0
    }

    /// Adds an entry; whether it was not in the set.
    fn add(&self, ordinal: u64) -> bool {
        let bit = 1 << (ordinal % 64);
        self.bits[(ordinal / 64) as usize].fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    fn is_stopped(&self, domain: DomainId) -> bool {
        self.any_stop.load(Ordering::Relaxed) && lock(&self.stops).contains_key(&domain)
    }

    fn miss(&self, root: &Root, chunk: Option<ChunkRef>, reason: String) {
        match root.care {
            Care::PassOver => {
                self.passed_over.fetch_add(1, Ordering::Relaxed);
            }
            Care::Stop => {
                let snapshot = Some(root.snapshot);
                self.stop(root.domain, Unreachable { snapshot, chunk, reason });
            }
        }
    }

    /// Notes a copy that did not give its chunk.
    fn note_unreadable(&self, root: &Root, copy: &Placed, error: &Error) {
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        unreadable.insert(copy.ordinal);
        if unreadable.len() > UNREADABLE_MAX {
            unreadable.remove(&copy.ordinal);
            drop(unreadable);
            let reason = format!("more than {UNREADABLE_MAX} nodes do not open; the last: {error}");
            self.miss(&Root { care: Care::Stop, ..*root }, None, reason);
        }
    }

    fn is_unreadable(&self, ordinal: u64) -> bool {
        lock(&self.unreadable).contains(&ordinal)
    }

    fn has_unreadable(&self) -> bool {
        !lock(&self.unreadable).is_empty()
    }
}

/// Whether a chunk may be read from a pack that stands so.
fn is_readable(standing: PackStanding) -> bool {
    matches!(standing, PackStanding::Good | PackStanding::Suspect | PackStanding::Lost)
}

/// Whether an error says only that this copy does not give the chunk.
pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Invalid)
}

fn words(layout: &Layout) -> Vec<AtomicU64> {
    let words = layout.entries().div_ceil(64) as usize;
    std::iter::repeat_with(AtomicU64::default).take(words).collect()
}

/// The first bytes of an id, in the order of ids: two hardly ever begin alike, and numbers are
/// compared faster than bytes.
fn beginning(id: ChunkId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

pub(crate) fn go_on(cancel: &AtomicBool) -> Result<()> {
    if cancel.load(Ordering::Relaxed) {
        let reason = "it was cancelled".into();
        return Err(Error::Stopped { reason, kind: ErrorKind::Unavailable });
    }
    Ok(())
}

/// Does `work` on parts of these items, at most so many side by side; where it is one, and for few
/// items, by the caller's thread.
pub(crate) fn in_parallel<T: Sync, O: Send>(
    at_once: usize,
    items: &[T],
    work: impl Fn(&[T]) -> Result<O> + Sync,
) -> Result<Vec<O>> {
    if at_once <= 1 || items.len() <= INLINE_ITEMS {
        return Ok(vec![work(items)?]);
    }
    std::thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(at_once.min(THREADS_MAX)));
        let threads: Vec<_> = parts.map(|part| scope.spawn(|| work(part))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// So much is done at the same time at most: places far away answer slowly.
const THREADS_MAX: usize = 8;
const INLINE_ITEMS: usize = 16;
