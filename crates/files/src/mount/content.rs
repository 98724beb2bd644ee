//! Files that are open: read anywhere, and ahead when they are read in order.
//!
//! A file's chunks are verified where the vault reads them. When a second chunk follows the first,
//! a thread of the mount's has the third ready before it is asked for. DESIGN.md §10.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Sender, bounded};

use crate::Result;
use crate::content::{FileReader, LoadedChunk};

/// A file that is open.
pub(crate) struct OpenFile {
    front: Mutex<FileReader>,
    back: Mutex<FileReader>,
    /// A chunk that may be asked for next. Held while it is fetched: who needs it waits.
    ready: Mutex<Option<LoadedChunk>>,
}

impl OpenFile {
    /// Two readers of the same file.
    pub(crate) fn new(front: FileReader, back: FileReader) -> Self {
        let (front, back) = (Mutex::new(front), Mutex::new(back));
        Self { front, back, ready: Mutex::default() }
    }

    /// Reads as many bytes as there are, up to `size`.
    pub(crate) fn read(
        self: &Arc<Self>,
        offset: u64,
        size: usize,
        ahead: &ReadAhead,
    ) -> Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        let mut filled = 0;
        let mut front = lock(&self.front);
        while filled < size {
            let at = offset + filled as u64;
            if front.needs_chunk(at)
                && let Some(ready) = lock(&self.ready).take()
            {
                front.offer(at, ready);
            }
            let before = front.loaded_end();
            let count = front.read_at(at, &mut bytes[filled..])?;
            if count == 0 {
                break;
            }
            filled += count;
            let (start, end) = (front.loaded_start(), front.loaded_end());
            if start.is_some() && start == before && end < Some(front.data_length()) {
                ahead.fetch(self, end.unwrap_or(0));
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Where the next data begins; `None` when there is none.
    pub(crate) fn next_data(&self, offset: u64) -> Option<u64> {
        let front = lock(&self.front);
        let mut at = offset;
        for hole in front.holes() {
            if (hole.offset..hole.offset + hole.length).contains(&at) {
                at = hole.offset + hole.length;
            }
        }
        (at < front.size()).then_some(at)
    }

    /// Where the next hole begins; each file ends with one.
    pub(crate) fn next_hole(&self, offset: u64) -> Option<u64> {
        let front = lock(&self.front);
        let next = front.holes().iter().find(|hole| hole.offset + hole.length > offset);
        let at = next.map_or(front.size(), |hole| hole.offset.max(offset));
        (offset < front.size()).then_some(at)
    }

    fn fetch(&self, at: u64) {
        let mut ready = lock(&self.ready);
        // An error is met again by who reads there.
        *ready = lock(&self.back).load(at).ok();
    }
}

/// Threads that read ahead; they end with this.
pub(crate) struct ReadAhead(Sender<(Arc<OpenFile>, u64)>);

/// So many chunks are fetched ahead at once, of all files.
const THREADS: usize = 4;

impl ReadAhead {
    pub(crate) fn new() -> Self {
        let (sender, jobs) = bounded::<(Arc<OpenFile>, u64)>(THREADS);
        for _ in 0..THREADS {
            let jobs = jobs.clone();
            let work = move || jobs.iter().for_each(|(file, at)| file.fetch(at));
            // Without a thread nothing is read ahead, and all is read all the same.
            let _ = std::thread::Builder::new().name("read-ahead".into()).spawn(work);
        }
        Self(sender)
    }

    /// Fetches the chunk at this place of a file's data, unless all threads are busy.
    fn fetch(&self, file: &Arc<OpenFile>, at: u64) {
        let _ = self.0.try_send((file.clone(), at));
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
