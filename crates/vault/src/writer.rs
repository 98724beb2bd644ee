//! A session at work: chunks in, packs out, one snapshot at the end.
//!
//! Worker threads each hold a [`Lane`]: it names a chunk, looks it up, and compresses what is new
//! into frames; frames go into the one open pack of their type, which is sealed in place as it
//! fills. Uploading threads name, store and publish filled packs (`upload.rs`). Invariants, DESIGN
//! §9: a chunk counts as known only when a good pack of the domain holds it or this session stores
//! it; a record names only what is durable; the commit is refused while a chunk that was taken on
//! is in no pack, and tried again when a pack that was relied on is good no more.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use chunker::{ChunkSizes, Chunker, Gear};
use crypto::{Entropy, Keyring, NameKey, TreeKey};
use format::{
    CHUNK_BYTES_MAX, ChunkEntry, ChunkId, ChunkKind, ChunkRef, Codec, Config, Counts, Descriptor,
    Digest, DomainId, FRAME_BYTES_TARGET, FRAME_CHUNKS_MAX, Seq, SessionId, SnapshotContent,
    TreeExponents,
};
use ledger::{Ledger, PackStanding};
use places::{Clock, Place, Time};

use crate::compression::{Compression, Compressor, Paranoia};
use crate::home::{Home, SessionLock};
use crate::index::{Index, IndexContext};
use crate::pack_builder::{NextMould, PackBuilder};
use crate::rules::{Rule, Rules};
use crate::upload::{Commit, Uploads};
use crate::{Error, Result};

/// How a session works.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// The domain; `None` for the member's own, or the default one for an owner.
    pub domain: Option<DomainId>,
    /// The snapshot to build on.
    pub base: Option<SessionId>,
    /// How hard to compress.
    pub compression: Compression,
    /// How many bytes the stream of a full pack has; `None` for what the vault's config says.
    pub pack_size: Option<u32>,
    /// How many frames are checked before they are published.
    pub paranoia: Paranoia,
    /// Whether anything is stored at all.
    pub rehearsal: Rehearsal,
    /// The time that the snapshot claims to be of; `None` for when it is committed.
    pub claimed: Option<Time>,
}

/// Whether a session stores anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rehearsal {
    /// It does.
    #[default]
    No,
    /// It names, looks up and counts; nothing is stored and nothing is appended.
    Yes,
}

/// A session at work. Threads share it; each takes a [`Lane`].
pub struct Writer {
    pub(crate) shared: Arc<Shared>,
    uploads: Option<Uploads>,
    lock: Option<SessionLock>,
    base: Option<SessionId>,
    member: crypto::MemberId,
    compression: Compression,
    paranoia: Paranoia,
    claimed: Option<Time>,
}

/// What all threads of a session use.
pub(crate) struct Shared {
    pub(crate) place: Arc<dyn Place>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) home: Arc<Home>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) index: Arc<RwLock<Index>>,
    pub(crate) config: Config,
    pub(crate) session: SessionId,
    pub(crate) domain: DomainId,
    pub(crate) moulds: [NextMould; 2],
    pub(crate) content_names: NameKey,
    pub(crate) node_names: NameKey,
    pub(crate) gear: Arc<Gear>,
    pub(crate) chunk_sizes: ChunkSizes,
    pub(crate) tree_key: Arc<TreeKey>,
    pub(crate) content: Mutex<PackBuilder>,
    pub(crate) meta: Mutex<PackBuilder>,
    /// Chunks that this session stores and has not published yet.
    pub(crate) pending: [Mutex<HashSet<ChunkId>>; PENDING_SHARDS],
    /// Chunks that lanes took on and that no pack took yet.
    pub(crate) unstored: AtomicU64,
    /// Packs that chunks were found in, and this session's own that are published.
    pub(crate) relied: Mutex<HashSet<Digest>>,
    /// Whether the session builds on a snapshot.
    pub(crate) inherits: bool,
    /// The newest loss of a pack when the walk began.
    pub(crate) lost_seen: Mutex<Option<Seq>>,
    /// Whether any pack is lost, as far as the session has heard.
    pub(crate) any_lost: AtomicBool,
    pub(crate) rules: Rules,
    pub(crate) counters: Counters,
}

const PENDING_SHARDS: usize = 16;

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) chunks_new: AtomicU64,
    pub(crate) bytes_new: AtomicU64,
    pub(crate) bytes_stored: AtomicU64,
    pub(crate) chunks_known: AtomicU64,
    pub(crate) bytes_known: AtomicU64,
    pub(crate) content_known: AtomicU64,
    pub(crate) packs: AtomicU64,
    pub(crate) bytes_uploaded: AtomicU64,
    pub(crate) bytes_published: AtomicU64,
}

/// What a session has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Chunks that were new.
    pub chunks_new: u64,
    /// Their bytes, before compression.
    pub bytes_new: u64,
    /// Their bytes in frames, after compression.
    pub bytes_stored: u64,
    /// Chunks that were there already.
    pub chunks_known: u64,
    /// Their bytes.
    pub bytes_known: u64,
    /// How many of those bytes are content.
    pub content_known: u64,
    /// Packs that were uploaded.
    pub packs: u64,
    /// Bytes of all objects that were uploaded.
    pub bytes_uploaded: u64,
    /// Bytes in packs that a record names: the next session finds what they hold, however this
    /// one ends.
    pub bytes_published: u64,
}

impl Written {
    fn with(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            chunks_new: join(self.chunks_new, other.chunks_new),
            bytes_new: join(self.bytes_new, other.bytes_new),
            bytes_stored: join(self.bytes_stored, other.bytes_stored),
            chunks_known: join(self.chunks_known, other.chunks_known),
            bytes_known: join(self.bytes_known, other.bytes_known),
            content_known: join(self.content_known, other.content_known),
            packs: join(self.packs, other.packs),
            bytes_uploaded: join(self.bytes_uploaded, other.bytes_uploaded),
            bytes_published: join(self.bytes_published, other.bytes_published),
        }
    }
}

/// What two sessions have done.
impl std::ops::Add for Written {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }
}

/// What a session has done since.
impl std::ops::Sub for Written {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }
}

/// What is to be said of a snapshot, beside what the session knows.
#[derive(Clone, Debug)]
pub struct SnapshotDraft {
    /// The name of the source.
    pub name: String,
    /// Its absolute paths.
    pub paths: Vec<Vec<u8>>,
    /// Its tags.
    pub tags: Vec<String>,
    /// When the work began.
    pub start: Time,
    /// When the work ended; `None` for now.
    pub end: Option<Time>,
    /// The root of its tree.
    pub root: ChunkId,
    /// What the tree holds.
    pub content: SnapshotContent,
    /// What was counted.
    pub counts: Counts,
}

/// How a try to commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The snapshot stands.
    Committed(Committed),
    /// A pack that the session relied on came under suspicion or was lost meanwhile. Walk again
    /// with the same writer, what is stored is not stored twice, and commit again.
    Again,
    /// Nothing was to be stored.
    Rehearsed,
}

/// A snapshot that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub snapshot: SessionId,
    /// The number of its `commit` record.
    pub seq: Seq,
}

/// What a session is made of.
pub(crate) struct WriterParts {
    pub(crate) shared: Shared,
    pub(crate) lock: Option<SessionLock>,
    pub(crate) base: Option<SessionId>,
    pub(crate) member: crypto::MemberId,
    pub(crate) options: WriteOptions,
}

impl Writer {
    pub(crate) fn new(parts: WriterParts) -> Result<Self> {
        let WriterParts { shared, lock, base, member, options } = parts;
        let shared = Arc::new(shared);
        let uploads = match options.rehearsal {
            Rehearsal::Yes => None,
            Rehearsal::No => Some(Uploads::start(shared.clone())?),
        };
        let WriteOptions { compression, paranoia, claimed, .. } = options;
        Ok(Self { shared, uploads, lock, base, member, compression, paranoia, claimed })
    }

    /// The session, and the id of the snapshot that it will make.
    pub fn session(&self) -> SessionId {
        self.shared.session
    }

    /// The domain that it works in.
    pub fn domain(&self) -> DomainId {
        self.shared.domain
    }

    /// The snapshot that it builds on.
    pub fn base(&self) -> Option<SessionId> {
        self.base
    }

    /// A new chunker for one thread.
    pub fn chunker(&self) -> Chunker {
        Chunker::new(self.shared.gear.clone(), self.shared.chunk_sizes)
    }

    /// The key of the trees' boundaries.
    pub fn tree_key(&self) -> Arc<TreeKey> {
        self.shared.tree_key.clone()
    }

    /// The sizes of trees' nodes.
    pub fn trees(&self) -> TreeExponents {
        self.shared.config.trees
    }

    /// What one thread stores through.
    pub fn lane(&self) -> Lane<'_> {
        Lane {
            writer: self,
            compressor: Compressor::new(self.compression, self.paranoia),
            content: OpenFrame::default(),
            meta: OpenFrame::default(),
        }
    }

    /// What was done so far.
    pub fn written(&self) -> Written {
        let c = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Written {
            chunks_new: read(&c.chunks_new),
            bytes_new: read(&c.bytes_new),
            bytes_stored: read(&c.bytes_stored),
            chunks_known: read(&c.chunks_known),
            bytes_known: read(&c.bytes_known),
            content_known: read(&c.content_known),
            packs: read(&c.packs),
            bytes_uploaded: read(&c.bytes_uploaded),
            bytes_published: read(&c.bytes_published),
        }
    }

    /// While any pack of the vault is lost, what is inherited from the base must be looked up with
    /// [`Self::is_stored`], and read again from the source when it is not.
    pub fn must_check_inherited(&self) -> bool {
        self.shared.any_lost.load(Ordering::Relaxed)
    }

    /// Whether a good pack holds the chunk or this session stores it.
    ///
    /// # Errors
    /// When the cached index cannot be read.
    pub fn is_stored(&self, chunk: ChunkRef) -> Result<bool> {
        if self.shared.pending(&chunk.id).contains(&chunk.id) {
            return Ok(true);
        }
        self.shared.rely_on(&chunk)
    }

    /// Publishes what was stored so far: the packs being filled end here. It is a sign of life, and
    /// who builds on this work finds it even when the session dies. Lanes hand over what they hold
    /// by [`Lane::flush`].
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn publish(&self) -> Result<()> {
        let Some(uploads) = &self.uploads else { return Ok(()) };
        self.finish_packs(uploads)?;
        uploads.publish()
    }

    /// Ends the session with a snapshot.
    ///
    /// # Errors
    /// [`Error::Closed`] when somebody else closed the session: what it published is found by the
    /// next one. Errors of the place and the ledger; after them the session is still open.
    pub fn commit(&mut self, draft: SnapshotDraft) -> Result<CommitOutcome> {
        let shared = self.shared.clone();
        let descriptor = Descriptor {
            session: shared.session,
            member: self.member,
            name: draft.name,
            paths: sorted(draft.paths),
            tags: sorted(draft.tags),
            start: draft.start,
            end: draft.end.unwrap_or_else(|| shared.clock.now()),
            root: draft.root,
            content: draft.content,
            counts: draft.counts,
        };
        let stored = {
            let mut lane = self.lane();
            let stored = lane.store(ChunkKind::Descriptor, &descriptor.encode())?;
            lane.flush()?;
            stored
        };
        let Some(uploads) = &self.uploads else { return Ok(CommitOutcome::Rehearsed) };
        // Others may have counted such chunks as known.
        let chunks = shared.unstored.load(Ordering::Relaxed);
        if chunks > 0 {
            uploads.check()?;
            return Err(Error::Unstored { chunks });
        }
        self.finish_packs(uploads)?;
        match uploads.commit(stored.chunk, self.claimed)? {
            Commit::Done(seq) => {
                if let Some(lock) = self.lock.take() {
                    lock.remove();
                }
                Ok(CommitOutcome::Committed(Committed { snapshot: shared.session, seq }))
            }
            Commit::Again => Ok(CommitOutcome::Again),
        }
    }

    /// Ends the session without a snapshot: what it stored is published, and that was all its work.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub(crate) fn commit_packs(mut self) -> Result<Written> {
        let Some(uploads) = &self.uploads else { return Ok(self.written()) };
        let chunks = self.shared.unstored.load(Ordering::Relaxed);
        if chunks > 0 {
            uploads.check()?;
            return Err(Error::Unstored { chunks });
        }
        self.finish_packs(uploads)?;
        uploads.commit_packs()?;
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
        Ok(self.written())
    }

    /// Stores a frame as another pack holds it. Whoever calls has compared its bytes with the ids.
    pub(crate) fn copy_frame(
        &self,
        codec: Codec,
        stored: &[u8],
        chunks: Vec<ChunkEntry>,
    ) -> Result<()> {
        let Some(first) = chunks.first() else { return Ok(()) };
        self.shared.unstored.fetch_add(chunks.len() as u64, Ordering::Relaxed);
        self.append(first.chunk.kind, codec, stored, chunks)
    }

    /// Ends the session without a snapshot. What it published stays for the next one: all that was
    /// uploaded, when there was no error. Says what was done.
    ///
    /// # Errors
    /// Those of the ledger. The session is then abandoned by the host's next one.
    pub fn abandon(mut self) -> Result<Written> {
        let Some(uploads) = self.uploads.take() else { return Ok(self.written()) };
        uploads.abandon()?;
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
        Ok(self.written())
    }
}

/// What one thread stores through.
pub struct Lane<'a> {
    writer: &'a Writer,
    compressor: Compressor,
    content: OpenFrame,
    meta: OpenFrame,
}

/// Small chunks that wait for company.
#[derive(Default)]
struct OpenFrame {
    plain: Vec<u8>,
    chunks: Vec<ChunkEntry>,
}

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its kind and name.
    pub chunk: ChunkRef,
    /// Whether it was there already.
    pub novelty: Novelty,
}

/// Whether a chunk was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// It was not.
    New,
    /// It was.
    Known,
}

impl<'writer> Lane<'writer> {
    /// Names and looks up a chunk and, when it is new, stores it. Small ones wait for company
    /// until [`Self::flush`].
    ///
    /// # Errors
    /// [`Error::ChunkLength`]; the first error of any upload.
    pub fn store(&mut self, kind: ChunkKind, plaintext: &[u8]) -> Result<Stored> {
        if !(1..=CHUNK_BYTES_MAX as usize).contains(&plaintext.len()) {
            let length = plaintext.len();
            return Err(Error::ChunkLength { length, max: CHUNK_BYTES_MAX });
        }
        let shared = &*self.writer.shared;
        let names = if kind.is_content() { &shared.content_names } else { &shared.node_names };
        let chunk = ChunkRef { kind, id: names.name(kind.code(), plaintext) };
        let length = plaintext.len() as u64;
        let counters = &shared.counters;
        if !shared.claim(&chunk)? {
            counters.chunks_known.fetch_add(1, Ordering::Relaxed);
            counters.bytes_known.fetch_add(length, Ordering::Relaxed);
            if kind.is_content() {
                counters.content_known.fetch_add(length, Ordering::Relaxed);
            }
            return Ok(Stored { chunk, novelty: Novelty::Known });
        }
        self.take(ChunkEntry { chunk, length: plaintext.len() as u32 }, plaintext)?;
        Ok(Stored { chunk, novelty: Novelty::New })
    }

    /// Stores a chunk that is known, because the copy made here is to stay when others go. Whoever
    /// calls has compared the bytes with the id.
    pub(crate) fn store_again(&mut self, entry: ChunkEntry, plaintext: &[u8]) -> Result<()> {
        self.writer.shared.unstored.fetch_add(1, Ordering::Relaxed);
        self.take(entry, plaintext)
    }

    /// Compresses a chunk that was taken on, or lets it wait for company.
    fn take(&mut self, entry: ChunkEntry, plaintext: &[u8]) -> Result<()> {
        let kind = entry.chunk.kind;
        let counters = &self.writer.shared.counters;
        counters.chunks_new.fetch_add(1, Ordering::Relaxed);
        counters.bytes_new.fetch_add(u64::from(entry.length), Ordering::Relaxed);
        if plaintext.len() >= FRAME_BYTES_TARGET as usize {
            let (codec, stored) = self.compressor.compress(plaintext)?;
            self.writer.append(kind, codec, stored, vec![entry])?;
        } else {
            let frame = if kind.is_content() { &mut self.content } else { &mut self.meta };
            frame.plain.extend_from_slice(plaintext);
            frame.chunks.push(entry);
            let full = frame.plain.len() >= FRAME_BYTES_TARGET as usize;
            if full || frame.chunks.len() >= FRAME_CHUNKS_MAX {
                self.flush_frame(kind)?;
            }
        }
        Ok(())
    }

    /// Hands over what still waits for company.
    ///
    /// # Errors
    /// The first error of any upload.
    pub fn flush(&mut self) -> Result<()> {
        self.flush_frame(ChunkKind::Content)?;
        self.flush_frame(ChunkKind::Node)
    }

    /// Takes nodes of file trees.
    pub fn nodes(&mut self) -> LaneNodes<'_, 'writer> {
        LaneNodes { lane: self, kind: ChunkKind::Node }
    }

    /// Takes nodes of recipes.
    pub fn recipes(&mut self) -> LaneNodes<'_, 'writer> {
        LaneNodes { lane: self, kind: ChunkKind::Recipe }
    }

    fn flush_frame(&mut self, kind: ChunkKind) -> Result<()> {
        let frame = if kind.is_content() { &mut self.content } else { &mut self.meta };
        if frame.chunks.is_empty() {
            return Ok(());
        }
        let chunks = std::mem::take(&mut frame.chunks);
        let (codec, stored) = self.compressor.compress(&frame.plain)?;
        self.writer.append(kind, codec, stored, chunks)?;
        frame.plain.clear();
        Ok(())
    }
}

/// Stores nodes of one kind through a lane.
pub struct LaneNodes<'lane, 'writer> {
    lane: &'lane mut Lane<'writer>,
    kind: ChunkKind,
}

impl tree::NodeSink for LaneNodes<'_, '_> {
    type Error = Error;

    fn put_node(&mut self, bytes: &[u8]) -> Result<ChunkId> {
        Ok(self.lane.store(self.kind, bytes)?.chunk.id)
    }
}

impl Writer {
    /// Makes all durable that was handed over.
    fn finish_packs(&self, uploads: &Uploads) -> Result<()> {
        let builders = [&self.shared.content, &self.shared.meta];
        let packs = builders.map(|builder| lock(builder).finish());
        for pack in packs.into_iter().flatten() {
            uploads.send(pack)?;
        }
        uploads.wait()
    }

    /// Adds a frame to the open pack of its type.
    fn append(
        &self,
        kind: ChunkKind,
        codec: Codec,
        stored: &[u8],
        chunks: Vec<ChunkEntry>,
    ) -> Result<()> {
        let shared = &*self.shared;
        shared.counters.bytes_stored.fetch_add(stored.len() as u64, Ordering::Relaxed);
        let Some(uploads) = &self.uploads else { return Ok(()) };
        let builder = if kind.is_content() { &shared.content } else { &shared.meta };
        let count = chunks.len() as u64;
        let mut builder = lock(builder);
        let filled = builder.append(codec, stored, chunks, || uploads.spare_buffer())?;
        match filled {
            // Sent while the builder is locked: no thread may run ahead of the uploads.
            Some(filled) => uploads.send(filled)?,
            None => uploads.check()?,
        }
        shared.unstored.fetch_sub(count, Ordering::Relaxed);
        Ok(())
    }
}

impl Shared {
    /// Whether the chunk is new, and this caller the one to store it.
    fn claim(&self, chunk: &ChunkRef) -> Result<bool> {
        if !self.pending(&chunk.id).insert(chunk.id) {
            return Ok(false);
        }
        self.unstored.fetch_add(1, Ordering::Relaxed);
        // After an error it stays taken on: another lane may count on it.
        let known = self.rely_on(chunk)?;
        if known {
            self.pending(&chunk.id).remove(&chunk.id);
            self.unstored.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(!known)
    }

    /// Whether a good pack holds the chunk; from here on the session relies on it.
    fn rely_on(&self, chunk: &ChunkRef) -> Result<bool> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let found = index.find_trusted(self.domain, chunk, |standing| self.trusts(standing))?;
        drop(index);
        // Also this session's own: nobody suspects them while it is open, but they may be lost.
        Ok(found.map(|pack| lock(&self.relied).insert(pack)).is_some())
    }

    /// Whether the session may rely on a pack that stands so.
    pub(crate) fn trusts(&self, standing: PackStanding) -> bool {
        standing == PackStanding::Good
            || (standing == PackStanding::Suspect && !self.rules.hold(Rule::DeduplicateOntoTrusted))
    }

    pub(crate) fn pending(&self, id: &ChunkId) -> MutexGuard<'_, HashSet<ChunkId>> {
        lock(&self.pending[id.as_bytes()[31] as usize % PENDING_SHARDS])
    }

    /// Takes note of whether anything is lost.
    pub(crate) fn note_losses(&self, state: &ledger::State) {
        self.any_lost.store(state.lost().next().is_some(), Ordering::Relaxed);
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn index_context(&self) -> IndexContext<'_> {
        IndexContext {
            place: self.place.as_ref(),
            keyring: &self.keyring,
            home: &self.home,
            entropy: self.entropy.as_ref(),
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes of a stored object as a buffer for the next one, when nobody else holds them.
pub(crate) fn reclaim(bytes: Bytes) -> Vec<u8> {
    bytes.try_into_mut().map(Vec::from).unwrap_or_default()
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items.dedup();
    items
}
