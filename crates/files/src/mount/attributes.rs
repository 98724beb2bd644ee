//! What the kernel is told of an entry.
//!
//! Times are told to the nanosecond; the time of access, which no snapshot holds, is that of the
//! last change. A linked file says that it has two names: how many it really had is not known, and
//! that it has several is what copying programs look at. DESIGN.md §10.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use format::{EntryKind, FileEntry, Hole, Timestamp};
use fuser::{FileAttr, FileType, INodeNo};

/// The attributes of an entry with these holes.
pub(crate) fn of_entry(number: u64, entry: &FileEntry, holes: &[Hole]) -> FileAttr {
    let mtime = time(entry.mtime);
    let empty: u64 = holes.iter().map(|hole| hole.length).sum();
    FileAttr {
        ino: INodeNo(number),
        size: entry.size,
        blocks: entry.size.saturating_sub(empty).div_ceil(512),
        atime: mtime,
        mtime,
        ctime: time(entry.ctime),
        crtime: UNIX_EPOCH,
        kind: kind(entry.kind),
        perm: entry.mode,
        // One name says that a folder's number of folders is not known.
        nlink: if entry.link.is_some() { 2 } else { 1 },
        uid: entry.uid,
        gid: entry.gid,
        // Both numbers of a device lie in the lower half, as far as FUSE can tell them.
        rdev: entry.device as u32,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

/// The attributes of a folder or link that the mount adds, whose owner is this user.
pub(crate) fn of_shelf(number: u64, kind: FileType, size: u64) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: if kind == FileType::Symlink { 0o777 } else { 0o555 },
        nlink: 1,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

/// How much is best read at once.
const BLOCK_BYTES: u32 = 128 << 10;

/// The kernel's word for a kind.
pub(crate) fn kind(kind: EntryKind) -> FileType {
    match kind {
        EntryKind::File => FileType::RegularFile,
        EntryKind::Folder => FileType::Directory,
        EntryKind::Symlink => FileType::Symlink,
        EntryKind::Fifo => FileType::NamedPipe,
        EntryKind::Socket => FileType::Socket,
        EntryKind::BlockDevice => FileType::BlockDevice,
        EntryKind::CharDevice => FileType::CharDevice,
    }
}

/// A time; one beyond what this system can say is the nearest.
fn time(time: Timestamp) -> SystemTime {
    let nanos = Duration::from_nanos(time.nanos.into());
    let whole = Duration::from_secs(time.seconds.unsigned_abs());
    let seconds = match time.seconds < 0 {
        true => UNIX_EPOCH.checked_sub(whole),
        false => UNIX_EPOCH.checked_add(whole),
    };
    seconds.and_then(|seconds| seconds.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_nanoseconds() {
        let before = time(Timestamp { seconds: -1, nanos: 250_000_000 });
        assert_eq!(before, UNIX_EPOCH - Duration::from_millis(750));
        let later = time(Timestamp { seconds: 1, nanos: 5 });
        assert_eq!(later, UNIX_EPOCH + Duration::new(1, 5));
    }
}
