//! Puts the workers' results back in key order and builds the tree.
//!
//! Names of one inode share one entry: the first name is read, those after it wait for it here.
//! Where the first led to another file by the time it was read, the next one is read instead. So
//! many inodes are remembered; one that was forgotten is read again, which costs time only, as its
//! chunks are known. DESIGN.md §10.

use std::collections::{BTreeMap, HashMap};

use format::{FileEntry, PathKey};
use rustix::io::Errno;
use tree::{Builder, NodeSink, Root};

use super::BackupReport;
use super::batch::{Done, DoneEntry, Item, Names, Work};
use super::options::Change;
use super::worker::Worker;
use crate::Result;
use crate::nodes::tree_error;
use crate::stat::Stat;
use crate::walk::{describe, look_again};

/// Takes batches in any order.
pub(crate) struct Assembly<'a, K> {
    builder: Builder<K>,
    /// Reads what a name before was to stand for.
    worker: Worker<'a>,
    next: u64,
    early: BTreeMap<u64, Done>,
    inodes: HashMap<(u64, u64), Inode>,
}

/// An inode of several names.
struct Inode {
    state: InodeState,
    /// How many of its names are not in the tree yet, by what its first name's stat said.
    names_left: u64,
    /// How many names were promised its content and still wait for it.
    waiting: u64,
}

enum InodeState {
    /// Its first name is on the way through the workers.
    Pending,
    Known(Box<FileEntry>),
    Unreadable,
    /// Its names so far led to it no more when they were read.
    Moved,
}

/// So many inodes of several names are remembered at once.
const INODES_MAX: usize = 1 << 15;

impl<'a, K: NodeSink<Error = vault::Error>> Assembly<'a, K> {
    pub(crate) fn new(builder: Builder<K>, worker: Worker<'a>) -> Self {
        let (early, inodes) = (BTreeMap::new(), HashMap::new());
        Self { builder, worker, next: 0, early, inodes }
    }

    /// Whether a name of this inode came before, so that nothing need be read. Asked once for each
    /// name, in key order.
    pub(crate) fn is_known_inode(&mut self, stat: &Stat) -> bool {
        let Names::Several { identity } = Names::of(stat) else { return false };
        if let Some(inode) = self.inodes.get_mut(&identity) {
            inode.waiting += 1;
            return true;
        }
        if self.inodes.len() < INODES_MAX {
            let (state, names_left) = (InodeState::Pending, stat.names - 1);
            self.inodes.insert(identity, Inode { state, names_left, waiting: 0 });
        }
        false
    }

    /// How many batches came back and are in the tree.
    pub(crate) fn assembled(&self) -> u64 {
        self.next
    }

    /// Takes a batch, and all that waited for it.
    pub(crate) fn take(&mut self, done: Done, report: &mut BackupReport) -> Result<()> {
        self.early.insert(done.number, done);
        while let Some(done) = self.early.remove(&self.next) {
            self.next += 1;
            if let Some(error) = done.error {
                return Err(error);
            }
            self.push_all(done, report)?;
        }
        Ok(())
    }

    /// The tree of all that was taken.
    pub(crate) fn finish(self) -> Result<Root> {
        debug_assert!(self.early.is_empty(), "every batch came back");
        self.worker.flush()?;
        self.builder.finish().map_err(tree_error)
    }

    fn push_all(&mut self, done: Done, report: &mut BackupReport) -> Result<()> {
        report.counts.add(&done.counts);
        report.problems.append(&done.problems);
        done.entries.into_iter().try_for_each(|entry| self.push(entry, report))
    }

    fn push(&mut self, entry: DoneEntry, report: &mut BackupReport) -> Result<()> {
        match entry {
            DoneEntry::Ready { key, entry, names } => {
                if let Names::Several { identity } = names {
                    self.settle(identity, InodeState::Known(Box::new(entry.clone())));
                }
                self.push_entry(&key, &entry)
            }
            DoneEntry::Unreadable { names } => {
                if let Names::Several { identity } = names {
                    self.settle(identity, InodeState::Unreadable);
                }
                Ok(())
            }
            DoneEntry::Moved { names } => {
                if let Names::Several { identity } = names {
                    self.settle(identity, InodeState::Moved);
                }
                Ok(())
            }
            DoneEntry::Link { key, path, stat, base } => {
                let pushed = self.push_link(key, &path, &stat, base, report);
                self.name_done(stat.identity());
                pushed
            }
        }
    }

    fn push_link(
        &mut self,
        key: PathKey,
        path: &[u8],
        stat: &Stat,
        base: Option<Box<FileEntry>>,
        report: &mut BackupReport,
    ) -> Result<()> {
        match self.inodes.get(&stat.identity()).map(|inode| &inode.state) {
            Some(InodeState::Known(entry)) => {
                // All names show one inode, so each shows it as it was when it was read.
                let entry = FileEntry::clone(entry);
                if (entry.size, entry.mtime) != (stat.size, stat.mtime) {
                    report.problems.add(path, "changed after another of its names was read");
                }
                let change = Change::since(base.as_deref(), &entry);
                report.counts.count(entry.kind, entry.size, change);
                self.push_entry(&key, &entry)
            }
            Some(InodeState::Unreadable) => {
                report.problems.add(path, "is another name of a file that cannot be read");
                Ok(())
            }
            _ => self.read_late(key, path, base, report),
        }
    }

    fn read_late(
        &mut self,
        key: PathKey,
        path: &[u8],
        base: Option<Box<FileEntry>>,
        report: &mut BackupReport,
    ) -> Result<()> {
        let found = match look_again(key, path) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => {
                report.problems.add(path, describe(error));
                return Ok(());
            }
        };
        let mut done = Done::default();
        self.worker.item(Item { found, work: Work::Read(base) }, &mut done)?;
        self.push_all(done, report)
    }

    fn push_entry(&mut self, key: &PathKey, entry: &FileEntry) -> Result<()> {
        self.builder.push(key.as_bytes(), &entry.encode()).map_err(tree_error)
    }

    fn settle(&mut self, identity: (u64, u64), state: InodeState) {
        if let Some(inode) = self.inodes.get_mut(&identity)
            && matches!(inode.state, InodeState::Pending | InodeState::Moved)
        {
            inode.state = state;
        }
    }

    /// Counts a name that got its content, and forgets an inode that no name will ask for.
    fn name_done(&mut self, identity: (u64, u64)) {
        let Some(inode) = self.inodes.get_mut(&identity) else { return };
        inode.waiting = inode.waiting.saturating_sub(1);
        inode.names_left = inode.names_left.saturating_sub(1);
        if inode.waiting == 0 && inode.names_left == 0 {
            self.inodes.remove(&identity);
        }
    }
}
