//! What the file system says of a file, in the words of a snapshot's entry.
//!
//! One structure for all systems, so that nothing else here depends on the layout of theirs. Two
//! stats with equal [`Stat::identity`] and times are of the same unchanged file. DESIGN.md §10.

use format::{Content, EntryKind, ExtraAt, FileEntry, LinkGroup, Timestamp};
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::owners::Owners;

/// A file's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) kind: EntryKind,
    /// The lower 12 bits of the mode.
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Timestamp,
    pub(crate) ctime: Timestamp,
    /// In bytes; holes included.
    pub(crate) size: u64,
    /// What it takes on disk, in units of 512 bytes.
    pub(crate) blocks: u64,
    pub(crate) inode: u64,
    pub(crate) device: u64,
    /// How many names it has.
    pub(crate) names: u64,
    /// The number of the device that a device file stands for.
    pub(crate) special: u64,
}

impl Stat {
    /// Of what is called `name` in a folder; links are not followed.
    pub(crate) fn at(folder: impl rustix::fd::AsFd, name: &[u8]) -> Result<Self, Errno> {
        Self::new(&rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Of an open file.
    pub(crate) fn of(file: impl rustix::fd::AsFd) -> Result<Self, Errno> {
        Self::new(&rustix::fs::fstat(file)?)
    }

    // The widths of these fields differ among systems.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    fn new(stat: &rustix::fs::Stat) -> Result<Self, Errno> {
        let time = |seconds, nanos| Timestamp { seconds, nanos };
        let kind = match FileType::from_raw_mode(stat.st_mode.into()) {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Folder,
            FileType::Symlink => EntryKind::Symlink,
            FileType::Fifo => EntryKind::Fifo,
            FileType::Socket => EntryKind::Socket,
            FileType::BlockDevice => EntryKind::BlockDevice,
            FileType::CharacterDevice => EntryKind::CharDevice,
            _ => return Err(Errno::NOTSUP),
        };
        Ok(Self {
            kind,
            mode: (stat.st_mode & 0o7777) as u16,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as u32),
            size: stat.st_size as u64,
            blocks: stat.st_blocks as u64,
            inode: stat.st_ino as u64,
            device: stat.st_dev as u64,
            names: stat.st_nlink as u64,
            special: stat.st_rdev as u64,
        })
    }

    /// Names the inode on this machine.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether it may have holes: it takes less room than it is long.
    pub(crate) fn is_sparse(&self) -> bool {
        self.kind == EntryKind::File && self.blocks.saturating_mul(512) < self.size
    }

    /// Whether nothing happened to the file between two stats.
    pub(crate) fn is_same_state(&self, other: &Self) -> bool {
        let state = |stat: &Self| (stat.identity(), stat.size, stat.mtime, stat.ctime);
        state(self) == state(other)
    }

    /// The entry, as yet without content and extra metadata.
    pub(crate) fn entry(&self, owners: &Owners) -> FileEntry {
        let has_size = matches!(self.kind, EntryKind::File | EntryKind::Symlink);
        let is_device = matches!(self.kind, EntryKind::BlockDevice | EntryKind::CharDevice);
        let is_linked = self.kind != EntryKind::Folder && self.names > 1;
        FileEntry {
            kind: self.kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            user: owners.user(self.uid).to_vec(),
            group: owners.group(self.gid).to_vec(),
            mtime: self.mtime,
            ctime: self.ctime,
            size: if has_size { self.size } else { 0 },
            inode: self.inode,
            link: is_linked.then_some(LinkGroup { device: self.device }),
            device: if is_device { self.special } else { 0 },
            content: Content::EMPTY,
            extra: ExtraAt::None,
        }
    }
}
