//! Uploads: filled packs are sealed, named, stored, and published in the ledger.
//!
//! Filled packs are taken one at a time, so a session holds no more than the packs being filled and
//! one for each thread here. Order, DESIGN §9: a pack is durable before an index run lists it, the
//! run before a record needs it. A session publishes at least every 16 packs or 60 s: its sign of
//! life, and what an interrupted backup finds again; with nothing to publish, every 6 h.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use crypto::Digest;
use format::{
    ChunkId, ChunkRef, CommitBody, ObjectRef, PackListing, Run, Seq, SessionId, VaultNames,
};
use ledger::{Draft, PackStanding, SessionStatus, State};
use places::{PutOptions, Time};

use crate::home::Home;
use crate::index::seal_run;
use crate::pack_builder::FilledPack;
use crate::pack_source::PackSource;
use crate::rules::Rule;
use crate::writer::{Shared, lock, reclaim};
use crate::{Error, ErrorKind, Result};

/// Packs that are sealed and stored at the same time, at most. One keeps up with two cores that
/// fill packs on a local disk (2 are no faster there and hold one pack more in memory); a place
/// says when it is worth more.
const THREADS_MAX: usize = 8;
/// A session publishes at least so often while it uploads.
const PUBLISH_PACKS: usize = 16;
const PUBLISH_AFTER: Duration = Duration::from_secs(60);
/// So many chunks are remembered one by one at most, and one pack's more.
const PUBLISH_CHUNKS: usize = 1 << 18;
/// And so often while it has nothing to upload.
const SIGN_OF_LIFE_AFTER: Duration = Duration::from_secs(6 * 3600);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The uploading threads of one session.
pub(crate) struct Uploads {
    inner: Arc<Inner>,
    queue: Option<Sender<FilledPack>>,
    threads: Vec<JoinHandle<()>>,
}

struct Inner {
    shared: Arc<Shared>,
    under_way: Mutex<UnderWay>,
    changed: Condvar,
    unpublished: Mutex<Unpublished>,
    spare: Mutex<Vec<Vec<u8>>>,
}

#[derive(Default)]
struct UnderWay {
    packs: usize,
    failure: Option<(String, ErrorKind)>,
}

/// What is durable and in no record yet.
struct Unpublished {
    listings: Vec<PackListing>,
    chunks: usize,
    last_record: Time,
}

impl Unpublished {
    /// Takes back what a record was to publish and did not.
    fn put_back(&mut self, run: Option<(Digest, Run)>) {
        self.listings.extend(run.into_iter().flat_map(|(_, run)| run.packs));
    }
}

/// How a try to commit ended.
pub(crate) enum Commit {
    Done(Seq),
    Again,
}

impl Uploads {
    pub(crate) fn start(shared: Arc<Shared>) -> Result<Self> {
        let last_record = shared.clock.now();
        let inner = Arc::new(Inner {
            shared,
            under_way: Mutex::default(),
            changed: Condvar::new(),
            unpublished: Mutex::new(Unpublished { listings: Vec::new(), chunks: 0, last_record }),
            spare: Mutex::default(),
        });
        if inner.shared.place.calls_at_once() <= 1 {
            return Ok(Self { inner, queue: None, threads: Vec::new() });
        }
        // No room in the queue: what is filled waits in its builder until a thread is free.
        let (queue, packs) = bounded(0);
        let count = inner.shared.place.puts_at_once().clamp(1, THREADS_MAX);
        let threads: std::io::Result<Vec<_>> = (0..count)
            .map(|_| {
                let (inner, packs) = (inner.clone(), packs.clone());
                std::thread::Builder::new().name("upload".into()).spawn(move || inner.work(&packs))
            })
            .collect();
        let threads = threads.map_err(|error| Error::object("a thread for uploads", error))?;
        Ok(Self { inner, queue: Some(queue), threads })
    }

    /// Hands a pack over; waits until a thread takes it. Without threads it is stored here and now.
    pub(crate) fn send(&self, pack: FilledPack) -> Result<()> {
        self.check()?;
        lock(&self.inner.under_way).packs += 1;
        let Some(queue) = &self.queue else {
            self.inner.take(pack);
            return self.check();
        };
        if queue.send(pack).is_err() {
            lock(&self.inner.under_way).packs -= 1;
            self.check()?;
            return Err(Error::object("the uploads", "their threads ended"));
        }
        Ok(())
    }

    /// The first error of any upload.
    pub(crate) fn check(&self) -> Result<()> {
        lock(&self.inner.under_way).check()
    }

    /// Publishes what is durable.
    pub(crate) fn publish(&self) -> Result<()> {
        self.inner.publish(&mut lock(&self.inner.unpublished))
    }

    /// Waits until all that was sent is durable.
    pub(crate) fn wait(&self) -> Result<()> {
        let mut under_way = lock(&self.inner.under_way);
        while under_way.packs > 0 {
            under_way = self.inner.changed.wait(under_way).unwrap_or_else(PoisonError::into_inner);
        }
        under_way.check()
    }

    /// A buffer of a pack that was stored, or an empty one.
    pub(crate) fn spare_buffer(&self) -> Vec<u8> {
        lock(&self.inner.spare).pop().unwrap_or_default()
    }

    /// Appends `commit`, with all that is not published yet.
    pub(crate) fn commit(&self, descriptor: ChunkRef, claimed: Option<Time>) -> Result<Commit> {
        let shared = &*self.inner.shared;
        let mut unpublished = lock(&self.inner.unpublished);
        let run = self.inner.put_run(&mut unpublished)?;
        let needs = needs(run.as_ref());
        let payload = CommitBody { descriptor }.encode();
        let mut stands = None;
        let mut ledger = shared.ledger();
        let appended = ledger.append(|state| {
            // An earlier try may stand although its answer was lost.
            stands = state.snapshot(shared.session).map(|snapshot| snapshot.seq);
            if stands.is_some() {
                return Ok(None);
            }
            check_open(state, shared.session)?;
            check_own(state, shared.session, &needs)?;
            if relies_on_trouble(shared, state) {
                return Ok(None);
            }
            let draft = Draft::commit(shared.session, needs.clone(), payload.clone());
            Ok::<_, Error>(Some(Draft { claimed, ..draft }))
        });
        let appended = match appended {
            Ok(appended) => appended,
            Err(error) => {
                // No record names these packs yet, as far as is known: the next try must.
                unpublished.put_back(run);
                return Err(error);
            }
        };
        if let Some(seq) = stands {
            return Ok(Commit::Done(seq));
        }
        let mut index = shared.index.write().unwrap_or_else(PoisonError::into_inner);
        shared.note_losses(ledger.state());
        let Some(appended) = appended else {
            unpublished.put_back(run);
            // What was relied on is forgotten: the next walk looks everything up anew.
            lock(&shared.relied).clear();
            *lock(&shared.lost_seen) = ledger.state().newest_lost();
            index.judge(ledger.state());
            return Ok(Commit::Again);
        };
        if let Some((name, run)) = run {
            // The snapshot stands, whatever becomes of the index: who needs the run fetches it.
            let run = (name, &run);
            let _ = index.add_run(&shared.index_context(), run, shared.session, ledger.state());
        }
        drop(index);
        // Bundles are for comfort: whoever appends next makes those that are missing.
        let _ = ledger.write_bundles();
        let _ = ledger.write_due_checkpoint();
        Ok(Commit::Done(appended.at.seq))
    }

    /// Appends the `commit` of a session that makes no snapshot, with all that is not published
    /// yet.
    pub(crate) fn commit_packs(&self) -> Result<()> {
        let shared = &*self.inner.shared;
        let mut unpublished = lock(&self.inner.unpublished);
        let run = self.inner.put_run(&mut unpublished)?;
        let needs = needs(run.as_ref());
        let mut ledger = shared.ledger();
        let appended = ledger.append(|state| {
            // An earlier try may stand although its answer was lost.
            let status = state.session(shared.session).map(|session| session.status);
            if status == Some(SessionStatus::Committed) {
                return Ok(None);
            }
            check_open(state, shared.session)?;
            check_own(state, shared.session, &needs)?;
            Ok::<_, Error>(Some(Draft::commit_packs(shared.session, needs.clone())))
        });
        if let Err(error) = appended {
            unpublished.put_back(run);
            return Err(error);
        }
        if let Some((name, run)) = run {
            let mut index = shared.index.write().unwrap_or_else(PoisonError::into_inner);
            // The packs are published, whatever becomes of the index: who needs the run fetches it.
            let run = (name, &run);
            let _ = index.add_run(&shared.index_context(), run, shared.session, ledger.state());
        }
        Ok(())
    }

    /// Stops the threads and appends `abandon`, publishing first what is durable.
    pub(crate) fn abandon(mut self) -> Result<()> {
        let failed = self.wait().is_err();
        self.stop();
        let shared = &*self.inner.shared;
        if !failed {
            self.publish()?;
        }
        shared.ledger().append(|state| {
            let open = check_open(state, shared.session).is_ok();
            Ok::<_, Error>(open.then(|| Draft::abandon(shared.session)))
        })?;
        Ok(())
    }

    fn stop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; its session is not committed.
            let _ = thread.join();
        }
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl UnderWay {
    fn check(&self) -> Result<()> {
        match &self.failure {
            None => Ok(()),
            Some((reason, kind)) => Err(Error::Stopped { reason: reason.clone(), kind: *kind }),
        }
    }
}

/// Something that an uploading thread does: also when the thread panics, nobody waits for it in
/// vain and nobody commits without it.
struct Task<'a> {
    inner: &'a Inner,
    packs: usize,
    result: Result<()>,
}

impl<'a> Task<'a> {
    fn new(inner: &'a Inner, packs: usize) -> Self {
        Self { inner, packs, result: Err(Error::object("the uploads", "a thread panicked")) }
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Ok(()));
        self.inner.done(result, self.packs);
    }
}

impl Inner {
    fn work(&self, packs: &Receiver<FilledPack>) {
        loop {
            match packs.recv_timeout(LOOK_EVERY) {
                Ok(pack) => self.take(pack),
                Err(RecvTimeoutError::Timeout) => {
                    let mut task = Task::new(self, 0);
                    task.result = self.publish_when_due();
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&self, pack: FilledPack) {
        let mut task = Task::new(self, 1);
        let failed = lock(&self.under_way).failure.is_some();
        task.result = if failed { Ok(()) } else { self.store(pack) };
    }

    fn done(&self, result: Result<()>, packs: usize) {
        let mut under_way = lock(&self.under_way);
        under_way.packs -= packs;
        if let (Err(error), None) = (result, &under_way.failure) {
            under_way.failure = Some((error.to_string(), error.kind()));
        }
        self.changed.notify_all();
    }

    fn store(&self, pack: FilledPack) -> Result<()> {
        let built = pack.build()?;
        let counters = &self.shared.counters;
        let name = VaultNames::pack(&built.object.name);
        let bytes = Bytes::from(built.object.bytes);
        // Whoever else made these very bytes made this very pack: either answer will do.
        let _ = self.shared.place.put(&name, bytes.clone(), &PutOptions::default())?;
        counters.packs.fetch_add(1, Ordering::Relaxed);
        counters.bytes_uploaded.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(kept) = &built.kept {
            self.keep_copy(&built.object.name, kept, &bytes);
        }
        let buffer = reclaim(bytes);
        if buffer.capacity() > 0 {
            lock(&self.spare).push(buffer);
        }
        let mut unpublished = lock(&self.unpublished);
        unpublished.chunks += chunks_of(&built.listing).count();
        unpublished.listings.push(built.listing);
        let many =
            unpublished.listings.len() >= PUBLISH_PACKS || unpublished.chunks >= PUBLISH_CHUNKS;
        if many || self.is_due(&unpublished, PUBLISH_AFTER) {
            self.publish(&mut unpublished)?;
        }
        Ok(())
    }

    /// Keeps a metadata pack, so that the next backup can read its base.
    fn keep_copy(&self, name: &Digest, kept: &[u8], bytes: &[u8]) {
        // A cache that cannot be written costs speed, not safety.
        if let Ok(Some(folder)) = PackSource::copies(&self.shared.home) {
            let _ = Home::write_cache(&folder.join(name.to_string()), &[kept, bytes]);
        }
    }

    fn publish_when_due(&self) -> Result<()> {
        let Ok(mut unpublished) = self.unpublished.try_lock() else { return Ok(()) };
        let after =
            if unpublished.listings.is_empty() { SIGN_OF_LIFE_AFTER } else { PUBLISH_AFTER };
        if self.is_due(&unpublished, after) { self.publish(&mut unpublished) } else { Ok(()) }
    }

    fn is_due(&self, unpublished: &Unpublished, after: Duration) -> bool {
        self.shared.clock.now() >= unpublished.last_record.plus(after)
    }

    /// Appends `packs` with all that is durable.
    fn publish(&self, unpublished: &mut Unpublished) -> Result<()> {
        let shared = &*self.shared;
        let run = self.put_run(unpublished)?;
        let needs = needs(run.as_ref());
        let mut ledger = shared.ledger();
        let appended = ledger.append(|state| {
            check_open(state, shared.session)?;
            check_own(state, shared.session, &needs)?;
            Ok::<_, Error>(Some(Draft::packs(shared.session, needs.clone())))
        });
        if let Err(error) = appended {
            unpublished.put_back(run);
            return Err(error);
        }
        unpublished.last_record = shared.clock.now();
        unpublished.chunks = 0;
        let published = run.iter().flat_map(|(_, run)| &run.packs).map(|pack| pack.stream_length);
        shared.counters.bytes_published.fetch_add(published.sum(), Ordering::Relaxed);
        // From here on they are packs as any: also one's own may be lost.
        let own = run.iter().flat_map(|(_, run)| &run.packs).map(|listing| listing.name);
        lock(&shared.relied).extend(own);
        shared.note_losses(ledger.state());
        shared.moulds.iter().try_for_each(|next| next.follow(ledger.state()))?;
        let Some((name, run)) = run else { return Ok(()) };
        let mut index = shared.index.write().unwrap_or_else(PoisonError::into_inner);
        index.add_run(&shared.index_context(), (name, &run), shared.session, ledger.state())?;
        drop(index);
        drop(ledger);
        // The index answers for these from here on.
        for id in run.packs.iter().flat_map(chunks_of) {
            shared.pending(id).remove(id);
        }
        Ok(())
    }

    /// Stores the index run of what is not published yet, and takes it.
    fn put_run(&self, unpublished: &mut Unpublished) -> Result<Option<(Digest, Run)>> {
        if unpublished.listings.is_empty() {
            return Ok(None);
        }
        let run = Run::new(std::mem::take(&mut unpublished.listings));
        match self.store_run(&run) {
            Ok(name) => Ok(Some((name, run))),
            Err(error) => {
                unpublished.listings = run.packs;
                Err(error)
            }
        }
    }

    fn store_run(&self, run: &Run) -> Result<Digest> {
        let shared = &*self.shared;
        let epoch = shared.ledger().state().epoch();
        let context = shared.index_context();
        let object = seal_run(&context, shared.session, shared.domain, epoch, run)?;
        let length = object.bytes.len() as u64;
        let _ = shared.place.put(
            &VaultNames::run(&object.name),
            Bytes::from(object.bytes),
            &PutOptions::default(),
        )?;
        shared.counters.bytes_uploaded.fetch_add(length, Ordering::Relaxed);
        Ok(object.name)
    }
}

fn needs(run: Option<&(Digest, Run)>) -> Vec<ObjectRef> {
    let packs = run.iter().flat_map(|(_, run)| &run.packs);
    let packs = packs.map(|listing| ObjectRef::Pack(listing.name));
    packs.chain(run.map(|(name, _)| ObjectRef::Run(*name))).collect()
}

fn chunks_of(listing: &PackListing) -> impl Iterator<Item = &ChunkId> {
    listing.directory.frames.iter().flat_map(|f| &f.chunks).map(|entry| &entry.chunk.id)
}

fn check_open(state: &State, session: SessionId) -> Result<()> {
    match state.session(session).map(|s| s.status) {
        Some(SessionStatus::Open) => Ok(()),
        _ => Err(Error::Closed { session }),
    }
}

/// Checks that nobody else's record named a pack or run of this session first: the ledger would
/// count it as theirs, and what it holds as theirs to abandon.
fn check_own(state: &State, session: SessionId, needs: &[ObjectRef]) -> Result<()> {
    let taken = |need: &&ObjectRef| match need {
        ObjectRef::Pack(name) => {
            state.pack_standing(name) != PackStanding::Unknown
                && state.pack(name).is_none_or(|origin| origin.session != session)
        }
        ObjectRef::Run(name) => state.run(name).is_some_and(|run| run.origin.session != session),
        ObjectRef::Slot { .. } => false,
    };
    match needs.iter().find(taken) {
        None => Ok(()),
        Some(ObjectRef::Pack(name)) => Err(Error::Taken { object: VaultNames::pack(name) }),
        Some(ObjectRef::Run(name)) => Err(Error::Taken { object: VaultNames::run(name) }),
        Some(ObjectRef::Slot { .. }) => Ok(()),
    }
}

/// Whether what the session relies on is good no more. What it inherits from its base it did not
/// look up while nothing was lost, so any newer loss is a reason to walk again.
fn relies_on_trouble(shared: &Shared, state: &State) -> bool {
    if !shared.rules.hold(Rule::CheckBeforeCommit) {
        return false;
    }
    if shared.inherits && state.newest_lost() != *lock(&shared.lost_seen) {
        return true;
    }
    lock(&shared.relied).iter().any(|pack| !shared.trusts(state.pack_standing(pack)))
}
