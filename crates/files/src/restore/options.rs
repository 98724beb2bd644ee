//! What a restore is asked to do, and what it says it did. Plain values. DESIGN.md §10, §15.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::error::Problems;
use crate::exclude::Patterns;

/// What to restore, where to, and how.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// The folder to restore into; made when it is not there.
    pub target: PathBuf,
    /// The absolute path in the snapshot; `/` for all.
    pub path: Vec<u8>,
    /// Excludes leave out what they match and all below it. With any include, only what an include
    /// matches, and all below it, is restored.
    pub patterns: Patterns,
    /// What happens to files that are there already.
    pub overwrite: Overwrite,
    /// What happens to setuid, setgid and capabilities.
    pub privileges: Privileges,
    /// What happens to device files.
    pub devices: Devices,
    /// How many threads fetch and write; at least four when `None`.
    pub threads: Option<NonZeroUsize>,
    /// Whether to count only, and write nothing.
    pub dry_run: bool,
}

impl RestoreOptions {
    /// All of a snapshot into this folder, which must be empty.
    pub fn new(target: impl Into<PathBuf>) -> Self {
        Self {
            target: target.into(),
            path: b"/".to_vec(),
            patterns: Patterns::new(),
            overwrite: Overwrite::default(),
            privileges: Privileges::default(),
            devices: Devices::default(),
            threads: None,
            dry_run: false,
        }
    }

    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or(cores.max(THREADS_LEAST), NonZeroUsize::get).min(THREADS_MAX)
    }
}

/// Places far away answer late, so some reads are always under way at once.
const THREADS_LEAST: usize = 4;
/// More threads than this wait for one another.
const THREADS_MAX: usize = 64;

/// What happens to files that are in the target already. Files that the snapshot does not have are
/// never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// A target that holds anything is refused.
    #[default]
    Never,
    /// Files of another type, size or mtime are replaced.
    Changed,
    /// All files are replaced.
    Always,
}

/// What happens to what gives programs the rights of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Privileges {
    /// Setuid, setgid and capabilities are taken off.
    #[default]
    Mask,
    /// They are restored, where the owner is restored too.
    Keep,
}

/// What happens to what gives access to hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Devices {
    /// Device files are left out.
    #[default]
    Skip,
    /// They are made.
    Make,
}

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// What was counted.
    pub counts: RestoreCounts,
    /// Files that were not restored because the vault holds them no more as they were. Any: exit
    /// code 4.
    pub damaged: Problems,
    /// Files that were not restored because the target refuses them. Any: exit code 3.
    pub skipped: Problems,
    /// Files whose content was restored and whose metadata was not, or not all of it.
    pub metadata: Problems,
}

/// What a restore counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreCounts {
    /// Regular files that were written.
    pub files: u64,
    /// Regular files that were there already, complete.
    pub files_kept: u64,
    /// Further names of files.
    pub links: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links, pipes, sockets, devices.
    pub others: u64,
    /// Bytes of content that were written, holes not counted.
    pub bytes: u64,
    /// Entries whose owner was not set, as this user may not.
    pub owners_skipped: u64,
    /// Entries that lost setuid, setgid or capabilities.
    pub privileges_masked: u64,
    /// Device files that were left out.
    pub devices_skipped: u64,
}

impl RestoreReport {
    /// Whether all that was asked for is there, content and kind.
    pub fn is_complete(&self) -> bool {
        self.damaged.is_empty() && self.skipped.is_empty()
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.damaged.append(&other.damaged);
        self.skipped.append(&other.skipped);
        self.metadata.append(&other.metadata);
    }
}

impl RestoreCounts {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.files_kept += other.files_kept;
        self.links += other.links;
        self.folders += other.folders;
        self.others += other.others;
        self.bytes += other.bytes;
        self.owners_skipped += other.owners_skipped;
        self.privileges_masked += other.privileges_masked;
        self.devices_skipped += other.devices_skipped;
    }
}
