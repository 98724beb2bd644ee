//! Reads one file: its content, and what else the file system says of it.
//!
//! A file is stat'ed when it is open and again when it was read; the entry says what the first stat
//! said, so that a change in between makes the next backup read it again. Holes are not read. A
//! block device that is read becomes a regular file of what it holds. DESIGN.md §10.

use std::ops::Range;

use format::{Content, ENTRY_BYTES_MAX, EntryKind, Extra, ExtraAt, FileEntry, Hole};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::content::{ContentError, ContentStore};
use crate::error::Problems;
use crate::extra::{data_ranges, holes_of, with_xattrs, xattrs_at, xattrs_of};
use crate::owners::Owners;
use crate::stat::Stat;
use crate::walk::{Found, describe, open_quietly};
use crate::{Error, Result};

/// What became of reading a file.
pub(crate) enum ReadFile {
    /// An entry, of which inode it is, and how much was read.
    Entry { entry: Box<FileEntry>, identity: (u64, u64), bytes_read: u64 },
    /// It is gone, as if the walk came later.
    Vanished,
    /// It cannot be read.
    Unreadable(String),
}

/// Reads a regular file into the vault, or a block device as one.
pub(crate) fn read_file(
    store: &mut ContentStore<'_>,
    owners: &Owners,
    found: &Found,
    problems: &mut Problems,
) -> Result<ReadFile> {
    // A pipe that took the file's place must not make us wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = open_quietly(&found.folder.fd, &found.name, flags);
    let (stat, file) = match opened.and_then(|file| Ok((Stat::of(&file)?, file))) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(ReadFile::Vanished),
        Err(error) => return Ok(ReadFile::Unreadable(describe(error))),
    };
    if (stat.kind, stat.special) != (found.stat.kind, found.stat.special) {
        let reason = "became something else than it was during the backup";
        return Ok(ReadFile::Unreadable(reason.to_owned()));
    }
    let is_device = stat.kind == EntryKind::BlockDevice;
    let size = match is_device.then(|| device_bytes(&file)) {
        None => stat.size,
        Some(Ok(size)) => size,
        Some(Err(error)) => return Ok(ReadFile::Unreadable(describe(error))),
    };
    let mut holes = if stat.is_sparse() { holes_of(&file, size) } else { Vec::new() };
    let mut source = FileSource::new(&file, &holes, size);
    let (content, bytes_read) = match store.store(|buffer| source.read(buffer)) {
        Ok(stored) => stored,
        Err(ContentError::Vault(error)) => return Err(error),
        Err(ContentError::Source(error)) => return Ok(ReadFile::Unreadable(describe(error))),
    };
    let end = source.end();
    // A device has no times of its content: a change while it is read cannot be seen.
    let is_as_before = is_device || Stat::of(&file).is_ok_and(|after| after.is_same_state(&stat));
    if end < size || !is_as_before {
        problems.add(&found.path(), "changed while it was read; it is kept as it was read");
    }
    cut_holes(&mut holes, end);
    let mut entry = stat.entry(owners);
    if is_device {
        entry = FileEntry { kind: EntryKind::File, device: 0, link: None, ..entry };
    }
    entry.size = end;
    entry.content = content;
    let xattrs = xattrs_of(&file).unwrap_or_else(|error| {
        problems.add(&found.path(), format_args!("attributes: {}", describe(error)));
        Vec::new()
    });
    place_extra(store, &mut entry, Extra { holes, ..with_xattrs(xattrs) })?;
    Ok(ReadFile::Entry { entry: Box::new(entry), identity: stat.identity(), bytes_read })
}

/// How many bytes a block device holds.
fn device_bytes(device: &OwnedFd) -> Result<u64, Errno> {
    rustix::fs::seek(device, rustix::fs::SeekFrom::End(0))
}

/// Reads the attributes of a file whose content is not read again. All else of `extra`, such as
/// its holes, is the base's.
pub(crate) fn refresh_xattrs(
    store: &ContentStore<'_>,
    found: &Found,
    extra: Extra,
    entry: &mut FileEntry,
) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let xattrs = open_quietly(&found.folder.fd, &found.name, flags).and_then(xattrs_of);
    if let Ok(xattrs) = xattrs {
        entry.extra = ExtraAt::None;
        place_extra(store, entry, Extra { xattrs, ..extra })?;
    }
    Ok(())
}

/// The entry of what has no content: a folder, a link, a pipe, a socket, a device.
pub(crate) fn describe_file(
    store: &ContentStore<'_>,
    owners: &Owners,
    found: &Found,
    problems: &mut Problems,
) -> Result<ReadFile> {
    let mut entry = found.stat.entry(owners);
    let mut extra = Extra::default();
    if entry.kind == EntryKind::Symlink {
        match rustix::fs::readlinkat(&found.folder.fd, &found.name[..], Vec::new()) {
            Ok(target) if target.is_empty() => {
                return Ok(ReadFile::Unreadable("the link has no target".to_owned()));
            }
            Ok(target) => extra.target = target.into_bytes(),
            Err(Errno::NOENT) => return Ok(ReadFile::Vanished),
            Err(error) => return Ok(ReadFile::Unreadable(describe(error))),
        }
        entry.size = extra.target.len() as u64;
    }
    match other_xattrs(found) {
        Ok(xattrs) => extra.xattrs = xattrs,
        // Who may not open a folder may not read its attributes; the walk says so.
        Err(Errno::ACCESS | Errno::PERM | Errno::NOENT) => {}
        Err(error) => {
            problems.add(&found.path(), format_args!("attributes: {}", describe(error)));
        }
    }
    place_extra(store, &mut entry, extra)?;
    let identity = found.stat.identity();
    Ok(ReadFile::Entry { entry: Box::new(entry), identity, bytes_read: 0 })
}

fn other_xattrs(found: &Found) -> Result<Vec<format::Xattr>, Errno> {
    if found.stat.kind != EntryKind::Folder {
        return xattrs_at(&found.folder.fd, &found.name);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    xattrs_of(open_quietly(&found.folder.fd, &found.name, flags)?)
}

/// Puts extra metadata into the entry, or into a chunk when the entry would grow too long.
pub(crate) fn place_extra(
    store: &ContentStore<'_>,
    entry: &mut FileEntry,
    extra: Extra,
) -> Result<()> {
    if extra.is_empty() {
        return Ok(());
    }
    entry.extra = ExtraAt::Inline(extra);
    if entry.encode().len() > ENTRY_BYTES_MAX
        && let ExtraAt::Inline(extra) = &entry.extra
    {
        entry.extra = ExtraAt::Chunk(store.store_extra(&extra.encode())?);
    }
    Ok(())
}

/// Leaves only what lies before the end of a file that became shorter.
fn cut_holes(holes: &mut Vec<Hole>, end: u64) {
    holes.retain_mut(|hole| {
        hole.length = hole.length.min(end.saturating_sub(hole.offset));
        hole.length > 0
    });
}

/// Reads a file's data, hole after hole left out, up to the size that it had when it was opened;
/// to its end, if that was 0.
struct FileSource<'a> {
    file: &'a OwnedFd,
    /// The ranges still to be read, the next one last.
    ranges: Vec<Range<u64>>,
    size: u64,
    /// Where the file turned out to end, if before its size.
    short: Option<u64>,
}

impl<'a> FileSource<'a> {
    fn new(file: &'a OwnedFd, holes: &[Hole], size: u64) -> Self {
        let mut ranges = data_ranges(holes, size);
        if size == 0 {
            // Some file systems cannot say how long a file is before it is read.
            ranges.push(0..u64::MAX);
        }
        ranges.reverse();
        Self { file, ranges, size, short: None }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Some(range) = self.ranges.last_mut() else { return Ok(0) };
        let wanted =
            buffer.len().min(usize::try_from(range.end - range.start).unwrap_or(usize::MAX));
        let count = loop {
            match rustix::io::pread(self.file.as_fd(), &mut buffer[..wanted], range.start) {
                Err(Errno::INTR) => {}
                other => break other?,
            }
        };
        range.start += count as u64;
        if count == 0 {
            self.short = Some(range.start);
            self.ranges.clear();
        } else if range.is_empty() {
            self.ranges.pop();
        }
        Ok(count)
    }

    /// Where what was read ends.
    fn end(&self) -> u64 {
        self.short.unwrap_or(self.size)
    }
}

/// The entry of what came in as a stream.
pub(crate) fn stream_entry(content: Content, size: u64) -> FileEntry {
    FileEntry {
        kind: EntryKind::File,
        mode: 0o600,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        user: Vec::new(),
        group: Vec::new(),
        mtime: format::Timestamp::default(),
        ctime: format::Timestamp::default(),
        size,
        inode: 0,
        link: None,
        device: 0,
        content,
        extra: ExtraAt::None,
    }
}

/// What a stream said went wrong.
pub(crate) fn stream_error(path: &[u8], error: ContentError<std::io::Error>) -> Error {
    match error {
        ContentError::Vault(error) => error,
        ContentError::Source(source) => {
            Error::System { action: "reading", path: crate::error::PathText::new(path), source }
        }
    }
}
