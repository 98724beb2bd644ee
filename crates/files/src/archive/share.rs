//! Chunks of a long file, handed by the thread that cuts them to threads that have nothing else.
//!
//! One thread reads and cuts, so the cuts are those of one thread; naming, compressing and sealing
//! are shared out. A chunk is handed over only while the short queue has room, else its own thread
//! stores it; who waits for an answer does what lies in the queue meanwhile, so nobody waits in
//! vain. Memory is one chunk for each place in the queue and each thread. DESIGN.md §7, §10.

use std::collections::VecDeque;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, select};
use crypto::ChunkId;

use crate::{Error, Result};

/// A chunk that another thread cut.
pub(crate) struct Job {
    pub(crate) bytes: Vec<u8>,
    reply: Sender<Result<ChunkId>>,
}

impl Job {
    /// Tells who cut the chunk how it is called. Nobody listens where the file was given up.
    pub(crate) fn answer(self, stored: Result<ChunkId>) {
        let _ = self.reply.send(stored);
    }
}

/// A thread's end of the queue.
#[derive(Clone)]
pub(crate) struct Share {
    queue: Sender<Job>,
    queued: Receiver<Job>,
}

/// Shorter chunks are not worth the way.
const HANDED_BYTES_MIN: usize = 128 << 10;

impl Share {
    /// A queue among so many threads.
    pub(crate) fn among(threads: usize) -> Self {
        let (queue, queued) = bounded(threads.saturating_sub(1).max(1));
        Self { queue, queued }
    }

    /// Where other threads' chunks come out, until all that hand over are gone.
    pub(crate) fn jobs(&self) -> Receiver<Job> {
        self.queued.clone()
    }

    /// Hands a chunk over, when there is room for it.
    fn hand(&self, chunk: &[u8]) -> Option<Receiver<Result<ChunkId>>> {
        if chunk.len() < HANDED_BYTES_MIN || self.queue.is_full() {
            return None;
        }
        let (reply, answer) = bounded(1);
        let job = Job { bytes: chunk.to_vec(), reply };
        self.queue.try_send(job).ok().map(|()| answer)
    }
}

/// The chunks of one file whose names are not all known yet, in order.
pub(crate) struct Pending<'s> {
    share: Option<&'s Share>,
    chunks: VecDeque<(Named, u32)>,
}

enum Named {
    Known(ChunkId),
    Asked(Receiver<Result<ChunkId>>),
}

/// So many chunks wait for one before them at most.
const PENDING_MAX: usize = 1024;

impl<'s> Pending<'s> {
    /// No chunks yet; without a share, none are handed over.
    pub(crate) fn new(share: Option<&'s Share>) -> Self {
        Self { share, chunks: VecDeque::new() }
    }

    /// From here on chunks may be handed over.
    pub(crate) fn share_with(&mut self, share: Option<&'s Share>) {
        self.share = share;
    }

    /// Takes the next chunk: hands it over, or has it stored at once.
    pub(crate) fn push(
        &mut self,
        chunk: &[u8],
        store: &mut impl FnMut(&[u8]) -> Result<ChunkId>,
    ) -> Result<()> {
        let named = match self.share.and_then(|share| share.hand(chunk)) {
            Some(answer) => Named::Asked(answer),
            None => Named::Known(store(chunk)?),
        };
        self.chunks.push_back((named, chunk.len() as u32));
        Ok(())
    }

    /// The next chunk whose name is known.
    pub(crate) fn pop_named(
        &mut self,
        store: &mut impl FnMut(&[u8]) -> Result<ChunkId>,
    ) -> Result<Option<(ChunkId, u32)>> {
        let is_long = self.chunks.len() > PENDING_MAX;
        let Some((named, length)) = self.chunks.front() else { return Ok(None) };
        let (id, length) = match named {
            Named::Known(id) => (*id, *length),
            Named::Asked(_) if is_long => return self.pop(store),
            Named::Asked(answer) => match answer.try_recv() {
                Ok(id) => (id?, *length),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(Error::Cancelled),
            },
        };
        self.chunks.pop_front();
        Ok(Some((id, length)))
    }

    /// The next chunk; waits until its name is known.
    pub(crate) fn pop(
        &mut self,
        store: &mut impl FnMut(&[u8]) -> Result<ChunkId>,
    ) -> Result<Option<(ChunkId, u32)>> {
        let Some((named, length)) = self.chunks.pop_front() else { return Ok(None) };
        let (answer, share) = match (named, self.share) {
            (Named::Known(id), _) => return Ok(Some((id, length))),
            (Named::Asked(answer), Some(share)) => (answer, share),
            (Named::Asked(_), None) => return Err(Error::Cancelled),
        };
        loop {
            select! {
                recv(answer) -> id => {
                    return Ok(Some((id.map_err(|_| Error::Cancelled)??, length)));
                }
                recv(share.queued) -> job => {
                    let Ok(job) = job else { return Err(Error::Cancelled) };
                    let stored = store(&job.bytes);
                    job.answer(stored);
                }
            }
        }
    }
}
