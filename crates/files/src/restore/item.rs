//! What passes between the restore's threads: files for a worker, and what became of them.
//!
//! A batch holds consecutive files, so a worker's reads lie together in the packs. Batches are
//! numbered; what must wait for files (a further name, a folder's times) waits for the number of
//! the batch handed out last. DESIGN.md §10.

use std::sync::Arc;

use format::FileEntry;
use rustix::fd::OwnedFd;

use super::options::RestoreReport;
use crate::Error;

/// A file, link, pipe, socket or device to be made.
pub(crate) struct Item {
    /// The open folder that it goes into.
    pub(crate) parent: Arc<OwnedFd>,
    /// That folder's path in the target.
    pub(crate) folder: Arc<[u8]>,
    pub(crate) name: Vec<u8>,
    /// Its absolute path in the snapshot, for messages.
    pub(crate) path: Vec<u8>,
    pub(crate) entry: FileEntry,
}

/// Files for one worker.
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) items: Vec<Item>,
    bytes: u64,
    folders: usize,
    folders_max: usize,
}

/// A batch is full with so many files,
const ITEMS_MAX: usize = 64;
/// or so many bytes,
const BYTES_MAX: u64 = 4 << 20;
/// or files of so many folders,
const FOLDERS_MAX: usize = 16;
/// or of fewer, when so many handles are this batch's part of what a process may have open.
const HANDLES_MAX: usize = 640;

impl Batch {
    /// The first of many batches, of which so many are under way at once.
    pub(crate) fn first_of(under_way: usize) -> Self {
        let folders_max = (HANDLES_MAX / under_way.max(1)).clamp(1, FOLDERS_MAX);
        Self { number: 0, items: Vec::new(), bytes: 0, folders: 0, folders_max }
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(item.entry.size);
        let last = self.items.last().map(|last| &last.parent);
        if last.is_none_or(|last| !Arc::ptr_eq(last, &item.parent)) {
            self.folders += 1;
        }
        self.items.push(item);
    }

    /// The folder of the item before, as its path in the target.
    pub(crate) fn last_folder(&self) -> Option<&Arc<[u8]>> {
        self.items.last().map(|last| &last.folder)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= ITEMS_MAX || self.bytes >= BYTES_MAX || self.folders >= self.folders_max
    }

    /// This batch, leaving the next one.
    pub(crate) fn take(&mut self) -> Self {
        let (number, folders_max) = (self.number + 1, self.folders_max);
        let next = Self { number, items: Vec::new(), bytes: 0, folders: 0, folders_max };
        std::mem::replace(self, next)
    }
}

/// What became of a batch.
pub(crate) struct Done {
    pub(crate) number: u64,
    pub(crate) result: Result<RestoreReport, Error>,
}

/// What must wait until all files handed out before are written.
pub(crate) enum Deferred {
    /// A further name of a file.
    Link { first: Vec<u8>, parent: Vec<u8>, item: Box<LinkItem> },
    /// A folder below which nothing more will be made.
    Folder { relative: Vec<u8>, path: Vec<u8>, entry: Box<FileEntry> },
}

/// A further name, with what is needed to write it as a file of its own.
pub(crate) struct LinkItem {
    pub(crate) name: Vec<u8>,
    pub(crate) path: Vec<u8>,
    pub(crate) entry: FileEntry,
}
