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
    /// Whose files become.
    pub owner: Owner,
    /// Whether owners go by their numbers alone, and not by their names where this system has them.
    pub numeric_ids: bool,
    /// So many folders are taken off the front of each path; what has no more names is left out.
    /// A name that two folders would give to one is made from the first, the other is reported.
    pub strip: usize,
    /// Whether to delete, in restored folders, what the snapshot does not have there. Nothing is
    /// deleted in folders that the backup only passed through, on other file systems, where
    /// patterns leave out, and of what is `protected`.
    pub delete: bool,
    /// What is never deleted, nor any folder that leads there: such as the vault.
    pub protected: Vec<PathBuf>,
    /// Whether differing parts of files that are there are written in place, which needs no room
    /// for a second copy and leaves a mixture when it is interrupted.
    pub in_place: bool,
    /// Whether to read back what was restored, from the disk, and compare it.
    pub verify: bool,
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
            owner: Owner::default(),
            numeric_ids: false,
            strip: 0,
            delete: false,
            protected: Vec::new(),
            in_place: false,
            verify: false,
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

/// What happens to files that are in the target already. Whatever is there of a file's content is
/// not fetched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// A target that holds anything is refused.
    #[default]
    Never,
    /// Files of another type, size or mtime are replaced.
    Changed,
    /// All files are read and compared; those that differ in anything are replaced.
    Always,
}

/// Whose restored files become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Owner {
    /// Their owner's when this user is root, else this user's.
    #[default]
    Auto,
    /// Their owner's; what the system refuses is reported.
    Yes,
    /// This user's.
    No,
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
    /// Files whose content was restored and whose metadata was not, or not all of it. Any: exit
    /// code 3.
    pub metadata: Problems,
    /// What was deleted, or would be: the first names, without what lies below them.
    pub deleted: Problems,
    /// Files that read back otherwise than they were written. Any: exit code 4.
    pub unequal: Problems,
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
    /// Of these, bytes that were found in the target and not fetched.
    pub bytes_reused: u64,
    /// Files and folders that were deleted.
    pub deleted: u64,
    /// Files that were read back.
    pub verified: u64,
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
        self.damaged.is_empty() && self.skipped.is_empty() && self.unequal.is_empty()
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.damaged.append(&other.damaged);
        self.skipped.append(&other.skipped);
        self.metadata.append(&other.metadata);
        self.deleted.append(&other.deleted);
        self.unequal.append(&other.unequal);
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
        self.bytes_reused += other.bytes_reused;
        self.deleted += other.deleted;
        self.verified += other.verified;
        self.owners_skipped += other.owners_skipped;
        self.privileges_masked += other.privileges_masked;
        self.devices_skipped += other.devices_skipped;
    }
}
