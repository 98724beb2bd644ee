//! Puts the workers' results back in key order and builds the tree.
//!
//! Names of one inode share one content: the first name is read, those after it wait for it here.
//! So many inodes are remembered; one that was forgotten is read again, which costs time only, as
//! its chunks are known. DESIGN.md §10.

use std::collections::{BTreeMap, HashMap};

use format::{Content, ExtraAt, FileEntry, PathKey};
use tree::{Builder, NodeSink, Root};

use super::BackupReport;
use super::batch::{Done, DoneEntry, Known, Names};
use crate::Result;
use crate::nodes::tree_error;
use crate::owners::Owners;
use crate::stat::Stat;

/// Takes batches in any order.
pub(crate) struct Assembly<'a, K> {
    builder: Builder<K>,
    owners: &'a Owners,
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
    Known {
        content: Content,
        extra: ExtraAt,
        size: u64,
    },
    Unreadable,
}

/// So many inodes of several names are remembered at once.
const INODES_MAX: usize = 1 << 15;

impl<'a, K: NodeSink<Error = vault::Error>> Assembly<'a, K> {
    pub(crate) fn new(builder: Builder<K>, owners: &'a Owners) -> Self {
        let (early, inodes) = (BTreeMap::new(), HashMap::new());
        Self { builder, owners, next: 0, early, inodes }
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
            report.counts.add(&done.counts);
            report.problems.append(&done.problems);
            for entry in done.entries {
                self.push(entry, report)?;
            }
        }
        Ok(())
    }

    /// The tree of all that was taken.
    pub(crate) fn finish(self) -> Result<Root> {
        debug_assert!(self.early.is_empty(), "every batch came back");
        self.builder.finish().map_err(tree_error)
    }

    fn push(&mut self, entry: DoneEntry, report: &mut BackupReport) -> Result<()> {
        match entry {
            DoneEntry::Ready { key, entry, names } => {
                if let Names::Several { identity } = names {
                    let FileEntry { content, extra, size, .. } = &entry;
                    let (content, extra) = (content.clone(), extra.clone());
                    self.settle(identity, InodeState::Known { content, extra, size: *size });
                }
                self.push_entry(&key, &entry)
            }
            DoneEntry::Unreadable { names } => {
                if let Names::Several { identity } = names {
                    self.settle(identity, InodeState::Unreadable);
                }
                Ok(())
            }
            DoneEntry::Link { key, path, stat, known } => {
                self.push_link(&key, &path, &stat, known, report)
            }
        }
    }

    fn push_link(
        &mut self,
        key: &PathKey,
        path: &[u8],
        stat: &Stat,
        known: Known,
        report: &mut BackupReport,
    ) -> Result<()> {
        let identity = stat.identity();
        let state = self.inodes.get(&identity).map(|inode| &inode.state);
        let entry = match state {
            Some(InodeState::Known { content, extra, size }) => {
                let (content, extra) = (content.clone(), extra.clone());
                Some(FileEntry { content, extra, size: *size, ..stat.entry(self.owners) })
            }
            _ => None,
        };
        self.name_done(identity);
        let Some(entry) = entry else {
            report.problems.add(path, "is another name of a file that cannot be read");
            return Ok(());
        };
        let counted = Stat { size: entry.size, ..*stat };
        report.counts.count(&counted, known == Known::InBase, known == Known::InBase);
        self.push_entry(key, &entry)
    }

    fn push_entry(&mut self, key: &PathKey, entry: &FileEntry) -> Result<()> {
        self.builder.push(key.as_bytes(), &entry.encode()).map_err(tree_error)
    }

    fn settle(&mut self, identity: (u64, u64), state: InodeState) {
        if let Some(inode) = self.inodes.get_mut(&identity)
            && matches!(inode.state, InodeState::Pending)
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
