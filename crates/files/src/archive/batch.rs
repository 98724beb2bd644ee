//! What passes between the walk, the workers and the tree: batches of files in key order.
//!
//! A batch closes when it holds enough files, bytes or open folders, so that a queue of batches has
//! a known size whatever the source looks like. Batches are numbered; their results are put back in
//! that order. DESIGN.md §10.

use format::{FileEntry, PathKey};

use super::BackupCounts;
use crate::error::{Error, Problems};
use crate::stat::Stat;
use crate::walk::Found;

/// Files for one worker, consecutive in key order.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) items: Vec<Item>,
    /// Files to be read, and how many bytes they have.
    reads: usize,
    bytes: u64,
    /// How often the folder changes from one item to the next: bounds the open folders.
    folders: usize,
}

/// A batch is full with so many files of any kind,
const ITEMS_MAX: usize = 512;
/// or with so many to read,
const READS_MAX: usize = 64;
/// or with so many bytes to read,
const BYTES_MAX: u64 = 1 << 20;
/// or when its files lie in so many folders.
const FOLDERS_MAX: usize = 16;

impl Batch {
    pub(crate) fn push(&mut self, item: Item) {
        if matches!(item.work, Work::Read | Work::Describe) {
            self.reads += 1;
            self.bytes += item.found.stat.size;
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
            || self.folders >= FOLDERS_MAX
    }

    /// This batch, leaving the next one.
    pub(crate) fn take(&mut self) -> Self {
        let next = Self { number: self.number + 1, ..Self::default() };
        std::mem::replace(self, next)
    }
}

/// A file and what is to be done with it.
pub(crate) struct Item {
    pub(crate) found: Found,
    pub(crate) known: Known,
    pub(crate) work: Work,
}

/// What is to be done with a file.
pub(crate) enum Work {
    /// Its content is the base's; only its metadata is taken from the walk.
    Reuse(Box<FileEntry>),
    /// Its extra metadata is the base's too, and it has no content.
    Keep(Box<FileEntry>),
    /// It is read.
    Read,
    /// It has no content; its extra metadata is read.
    Describe,
    /// Its content is that of another name that came before.
    Link,
}

/// Whether the base has the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It has, under the same path.
    InBase,
    /// It has not.
    New,
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
        known: Known,
    },
    /// Could not be read: other names of the same inode cannot either.
    Unreadable {
        names: Names,
    },
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
