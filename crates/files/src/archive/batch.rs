//! What passes between the walk, the workers and the tree: batches of files in key order.
//!
//! A batch closes when it holds enough files, bytes or open folders, so that a queue of batches has
//! a known size whatever the source looks like. Batches are numbered; their results are put back in
//! that order. DESIGN.md §10.

use format::{FileEntry, PathKey};

use super::BackupCounts;
use super::options::Change;
use crate::error::{Error, Problems};
use crate::stat::Stat;
use crate::walk::Found;

/// Files for one worker, consecutive in key order.
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) items: Vec<Item>,
    /// Files to be read, and how many bytes they have.
    reads: usize,
    bytes: u64,
    /// How often the folder changes from one item to the next: bounds the open folders.
    folders: usize,
    folders_max: usize,
}

/// A batch is full with so many files of any kind,
const ITEMS_MAX: usize = 512;
/// or with so many to read,
const READS_MAX: usize = 64;
/// or with so many bytes to read,
const BYTES_MAX: u64 = 1 << 20;
/// or when its files lie in so many folders,
const FOLDERS_MAX: usize = 16;
/// or in fewer, when so many handles are this batch's part of what a process may have open.
const HANDLES_MAX: usize = 640;

impl Batch {
    /// The first of many batches, of which so many are under way at once.
    pub(crate) fn first_of(under_way: usize) -> Self {
        let folders_max = (HANDLES_MAX / under_way.max(1)).clamp(1, FOLDERS_MAX);
        Self { number: 0, items: Vec::new(), reads: 0, bytes: 0, folders: 0, folders_max }
    }

    pub(crate) fn push(&mut self, item: Item) {
        if matches!(item.work, Work::Read(_) | Work::Describe) {
            self.reads += 1;
            self.bytes = self.bytes.saturating_add(item.found.stat.size);
        }
        let folder = &item.found.folder;
        let last = self.items.last().map(|item| &item.found.folder);
        if last.is_none_or(|last| !std::sync::Arc::ptr_eq(last, folder)) {
            self.folders += 1;
        }
        self.items.push(item);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= ITEMS_MAX
            || self.reads >= READS_MAX
            || self.bytes >= BYTES_MAX
            || self.folders >= self.folders_max
    }

    /// This batch, leaving the next one.
    pub(crate) fn take(&mut self) -> Self {
        let Self { number, folders_max, .. } = *self;
        let (number, items) = (number + 1, Vec::new());
        let next = Self { number, items, reads: 0, bytes: 0, folders: 0, folders_max };
        std::mem::replace(self, next)
    }
}

/// A file and what is to be done with it.
pub(crate) struct Item {
    pub(crate) found: Found,
    pub(crate) work: Work,
}

/// What is to be done with a file.
pub(crate) enum Work {
    /// Its content is the base's; only its metadata is taken from the walk.
    Reuse(Box<FileEntry>),
    /// Its extra metadata is the base's too, and it has no content.
    Keep(Box<FileEntry>),
    /// It is read; the base may have an entry of the same path.
    Read(Option<Box<FileEntry>>),
    /// It has no content; its extra metadata is read.
    Describe,
    /// It is another name of an inode that came before.
    Link(Option<Box<FileEntry>>),
}

/// What became of a batch.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) number: u64,
    pub(crate) entries: Vec<DoneEntry>,
    pub(crate) counts: BackupCounts,
    pub(crate) problems: Problems,
    /// What ended the work, if anything did.
    pub(crate) error: Option<Error>,
}

/// An entry that is ready for the tree, or waits for the name that came before.
pub(crate) enum DoneEntry {
    Ready {
        key: PathKey,
        entry: FileEntry,
        names: Names,
    },
    Link {
        key: PathKey,
        path: Vec<u8>,
        stat: Stat,
        base: Option<Box<FileEntry>>,
    },
    /// Could not be read: other names of the same inode cannot either.
    Unreadable {
        names: Names,
    },
    /// This name led to the inode no more: other names still may.
    Moved {
        names: Names,
    },
}

impl Change {
    /// How a file differs from the base's entry of its path, if there is one. Its ctime, its
    /// inode and what other names it has are not what a restore brings back.
    pub(crate) fn since(base: Option<&FileEntry>, entry: &FileEntry) -> Self {
        fn kept(e: &FileEntry) -> impl PartialEq + '_ {
            let owner = (e.uid, e.gid, &e.user, &e.group);
            (e.kind, e.mode, owner, e.mtime, e.size, e.device, &e.content, &e.extra)
        }
        match base {
            None => Self::New,
            Some(base) if kept(base) == kept(entry) => Self::Unchanged,
            Some(_) => Self::Changed,
        }
    }
}

/// Which inode an entry is of, if it has several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    One,
    Several { identity: (u64, u64) },
}

impl Names {
    pub(crate) fn of(stat: &Stat) -> Self {
        let is_shared = stat.kind == format::EntryKind::File && stat.names > 1;
        if is_shared { Self::Several { identity: stat.identity() } } else { Self::One }
    }
}
