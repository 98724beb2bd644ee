//! What a backup is asked to do, and what it says it did. Plain values. DESIGN.md §10, §15.

use std::num::NonZeroUsize;

use crypto::{DomainId, SessionId};
use format::{EntryKind, Seq};
use places::Time;
use vault::{Compression, Paranoia, Snapshot, Written};

use crate::error::Problems;
use crate::walk::{Exclusions, FileSystems};

/// What to back up, and how.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// The name of the source.
    pub name: String,
    /// Absolute paths, as bytes; see [`crate::absolute_path`].
    pub paths: Vec<Vec<u8>>,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// What is passed over.
    pub exclusions: Exclusions,
    /// Whether folders on which another file system is mounted are kept as empty folders.
    pub one_file_system: bool,
    /// What becomes of block devices.
    pub block_devices: BlockDevices,
    /// Which snapshot files are compared with.
    pub parent: Parent,
    /// Whether all files are read, unchanged or not.
    pub force: bool,
    /// Whether a file may be unchanged although its inode's number is another.
    pub ignore_inode: bool,
    /// Whether a file may be unchanged although its ctime is another, or too young.
    pub ignore_ctime: bool,
    /// The domain to write into, for a role that may choose.
    pub domain: Option<DomainId>,
    /// How hard chunks are compressed.
    pub compression: Compression,
    /// The size of packs in bytes, if not the vault's own.
    pub pack_size: Option<u32>,
    /// How much of what is compressed is checked again before it is published.
    pub paranoia: Paranoia,
    /// How many threads read; one per core when `None`.
    pub read_threads: Option<NonZeroUsize>,
    /// When the backup began. The next backup relies on it, so it is never a pretended time.
    pub start: Time,
    /// The time that the snapshot claims to be of; `None` for when it is committed.
    pub claimed: Option<Time>,
    /// Whether no snapshot is made when its tree would be the base's.
    pub skip_if_unchanged: bool,
    /// Whether all is done but storing: what would be new is read, named and compressed.
    pub dry_run: bool,
}

/// What becomes of block devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BlockDevices {
    /// They are kept as devices: a number, no content.
    #[default]
    Metadata,
    /// They are read and kept as regular files of what they hold.
    Content,
}

/// Which snapshot a backup compares files with, and builds on.
#[derive(Clone, Debug, Default)]
pub enum Parent {
    /// The newest of the same source.
    #[default]
    Newest,
    /// None: all files are read.
    None,
    /// This one, when it is of the backup's domain.
    Snapshot(Box<Snapshot>),
}

impl BackupOptions {
    /// A backup of these paths under this name, all else as usual.
    pub fn new(name: impl Into<String>, paths: Vec<Vec<u8>>, start: Time) -> Self {
        Self {
            name: name.into(),
            paths,
            tags: Vec::new(),
            exclusions: Exclusions::default(),
            one_file_system: false,
            block_devices: BlockDevices::default(),
            parent: Parent::default(),
            force: false,
            ignore_inode: false,
            ignore_ctime: false,
            domain: None,
            compression: Compression::default(),
            pack_size: None,
            paranoia: Paranoia::default(),
            read_threads: None,
            start,
            claimed: None,
            skip_if_unchanged: false,
            dry_run: false,
        }
    }

    pub(crate) fn file_systems(&self) -> FileSystems {
        if self.one_file_system { FileSystems::One } else { FileSystems::All }
    }

    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism();
        let threads = self.read_threads.or(cores.ok()).map_or(1, NonZeroUsize::get);
        threads.min(READ_THREADS_MAX)
    }
}

/// More threads than this read no faster: so many are used at most.
pub const READ_THREADS_MAX: usize = 64;

/// What a backup did.
#[derive(Clone, Debug, Default)]
pub struct BackupReport {
    /// The snapshot; `None` after a dry run, and where nothing changed.
    pub snapshot: Option<SessionId>,
    /// The snapshot that holds the very same tree, so that none was made.
    pub unchanged_since: Option<SessionId>,
    /// The number of its commit.
    pub seq: Option<Seq>,
    /// The snapshot that this one was compared with.
    pub base: Option<SessionId>,
    /// Why the base could not be used, or only in part; all files were read instead.
    pub base_problem: Option<String>,
    /// What was counted.
    pub counts: BackupCounts,
    /// What could not be read, or changed while it was read. Any: exit code 3.
    pub problems: Problems,
}

/// What a backup counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupCounts {
    /// Regular files that the base does not have.
    pub files_new: u64,
    /// Regular files that changed since the base.
    pub files_changed: u64,
    /// Regular files that did not.
    pub files_unchanged: u64,
    /// Folders.
    pub folders: u64,
    /// Links, pipes, sockets, devices.
    pub others: u64,
    /// The sum of the files' sizes, in bytes, holes included.
    pub bytes: u64,
    /// How many bytes of content were read.
    pub bytes_read: u64,
    /// How many of those bytes the vault held already.
    pub bytes_known: u64,
    /// How many bytes of chunks the vault did not hold yet; metadata too.
    pub bytes_new: u64,
    /// How many bytes they take in packs, compressed.
    pub bytes_stored: u64,
}

/// What became of a file since the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    New,
    Changed,
    Unchanged,
}

impl BackupCounts {
    /// All regular files.
    pub fn files(&self) -> u64 {
        self.files_new + self.files_changed + self.files_unchanged
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.files_new += other.files_new;
        self.files_changed += other.files_changed;
        self.files_unchanged += other.files_unchanged;
        self.folders += other.folders;
        self.others += other.others;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.bytes_read += other.bytes_read;
    }

    /// Counts an entry of this kind; size and change are a regular file's.
    pub(crate) fn count(&mut self, kind: EntryKind, size: u64, change: Change) {
        match kind {
            EntryKind::Folder => self.folders += 1,
            EntryKind::File => {
                self.bytes = self.bytes.saturating_add(size);
                match change {
                    Change::New => self.files_new += 1,
                    Change::Changed => self.files_changed += 1,
                    Change::Unchanged => self.files_unchanged += 1,
                }
            }
            _ => self.others += 1,
        }
    }
}

impl BackupReport {
    /// Whether everything that was named is in the snapshot as it was.
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn take_written(&mut self, written: &Written) {
        self.counts.bytes_known = written.content_known;
        self.counts.bytes_new = written.bytes_new;
        self.counts.bytes_stored = written.bytes_stored;
    }
}
