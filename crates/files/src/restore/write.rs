//! Makes one file: fetched, verified, written under a temporary name, given its metadata, renamed.
//!
//! So a name never shows a file that is not whole (unless it was asked to be mended in place). The
//! temporary name follows from the file's own: a restore that goes on finds and replaces what an
//! interrupted one left. Holes stay holes. What the target holds already of a file is not fetched.
//! DESIGN.md §10.

use crypto::DomainId;
use format::{EntryKind, Extra, FileEntry};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use vault::Reader;

use super::item::Item;
use super::metadata::Rules;
use super::options::{Devices, Overwrite, RestoreReport};
use super::present::{Origin, Present, put};
use super::sweep::Sweeper;
use crate::content::{Chunks, read_chunk, read_extra};
use crate::error::Error;
use crate::layout::Layout;
use crate::progress::{Cancel, Progress};
use crate::stat::Stat;
use crate::walk::describe;

/// What one thread needs to make files.
pub(crate) struct FileWriter<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) domain: DomainId,
    pub(crate) rules: &'a Rules,
    pub(crate) overwrite: Overwrite,
    pub(crate) in_place: bool,
    /// Deletes what stands in the way; `None` when nothing may be deleted.
    pub(crate) sweeper: Option<&'a Sweeper<'a>>,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
    pub(crate) report: RestoreReport,
}

/// Why a file was not made.
enum Refusal {
    /// All further work would fail too.
    Fatal(Error),
    /// The vault does not hold it as it was.
    Damaged(Error),
    /// The target does not take it.
    Skipped(String),
}

/// What is there already under a file's name.
enum There {
    Nothing,
    /// The file, as it should be.
    Complete,
    /// Another content.
    Other(Present),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::IO => {
                Self::Fatal(Error::system("writing", b"", error))
            }
            other => Self::Skipped(describe(other)),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        use vault::ErrorKind::{Corrupt, NotFound};
        match &error {
            Error::Damaged { .. } | Error::Tree { .. } => Self::Damaged(error),
            Error::Vault(inner) if matches!(inner.kind(), Corrupt | NotFound) => {
                Self::Damaged(error)
            }
            _ => Self::Fatal(error),
        }
    }
}

impl FileWriter<'_> {
    /// Makes the file, or reports why not. An error ends the whole restore.
    pub(crate) fn make(&mut self, item: &Item) -> Result<(), Error> {
        self.progress.file(&item.path);
        let made = match self.look(item) {
            Ok(There::Complete) => Ok(()),
            Ok(There::Nothing) => self.write(item, None),
            Ok(There::Other(present)) => self.write(item, Some(present)),
            Err(refusal) => Err(refusal),
        };
        self.progress.files_done(1);
        match made {
            Ok(()) => {}
            Err(Refusal::Damaged(error)) => self.report.damaged.add(&item.path, error),
            Err(Refusal::Skipped(reason)) => self.report.skipped.add(&item.path, reason),
            Err(Refusal::Fatal(Error::System { action, source, .. })) => {
                let path = crate::PathText::new(&item.path);
                return Err(Error::System { action, path, source });
            }
            Err(Refusal::Fatal(error)) => return Err(error),
        }
        Ok(())
    }

    /// What is there already under the file's name; makes room when it is of another type.
    fn look(&mut self, item: &Item) -> Result<There, Refusal> {
        let (parent, name, entry) = (&*item.parent, &item.name, &item.entry);
        let stat = match Stat::at(parent, name) {
            Err(Errno::NOENT) => return Ok(There::Nothing),
            Err(Errno::NOTSUP) => return Err(Refusal::Skipped("is of an unknown type".into())),
            other => other?,
        };
        if self.overwrite == Overwrite::Never {
            return Err(Refusal::Skipped("is there already".to_owned()));
        }
        if stat.kind == EntryKind::Folder {
            match self.sweeper {
                Some(sweeper) => sweeper.make_room(item, &mut self.report)?,
                // Only an empty folder gives way: what it holds is not ours to delete.
                None => rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?,
            }
            return Ok(There::Nothing);
        }
        if entry.kind != EntryKind::File || stat.kind != EntryKind::File {
            return Ok(There::Nothing);
        }
        let mut is_kept = self.overwrite == Overwrite::Changed
            && stat.size == entry.size
            && stat.mtime == entry.mtime;
        let access = if self.in_place { OFlags::RDWR } else { OFlags::RDONLY };
        let mut present = None;
        if !is_kept {
            present = Present::open(parent, name, access)
                .or_else(|| Present::open(parent, name, OFlags::RDONLY));
        }
        if self.overwrite == Overwrite::Always
            && let Some(present) = &mut present
        {
            let extra = read_extra(self.reader, self.domain, &item.path, entry)?;
            is_kept = present.has_holes(entry, &extra)
                && present.is_equal(self.origin(), &item.path, entry, &extra)?;
        }
        if !is_kept {
            return Ok(present.map_or(There::Nothing, There::Other));
        }
        self.report.counts.files_kept += 1;
        self.progress.bytes_skipped(entry.size);
        let owner = self.rules.owner_of(entry).unwrap_or((stat.uid, stat.gid));
        let is_same = (stat.mode, (stat.uid, stat.gid)) == (entry.mode, owner);
        if !is_same || self.overwrite == Overwrite::Always {
            self.renew_metadata(item)?;
        }
        Ok(There::Complete)
    }

    fn origin(&self) -> Origin<'_> {
        Origin { reader: self.reader, domain: self.domain, cancel: self.cancel }
    }

    fn renew_metadata(&mut self, item: &Item) -> Result<(), Refusal> {
        let extra = read_extra(self.reader, self.domain, &item.path, &item.entry)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&item.parent, &item.name[..], flags, Mode::empty()) {
            Ok(file) => {
                self.rules.apply(&file, &item.path, &item.entry, &extra, &mut self.report);
            }
            Err(error) => self.report.metadata.add(&item.path, describe(error)),
        }
        Ok(())
    }

    fn write(&mut self, item: &Item, mut present: Option<Present>) -> Result<(), Refusal> {
        let (path, entry) = (&item.path, &item.entry);
        let is_device = matches!(entry.kind, EntryKind::BlockDevice | EntryKind::CharDevice);
        if is_device && self.rules.devices == Devices::Skip {
            self.report.counts.devices_skipped += 1;
            return Ok(());
        }
        let extra = read_extra(self.reader, self.domain, path, entry)?;
        if let Some(present) = &mut present
            && self.in_place
            && present.is_alone()
        {
            return self.mend(item, &extra, present);
        }
        let temporary = temporary_name(&item.name);
        let result = match entry.kind {
            EntryKind::File => self.write_file(item, &temporary, &extra, present),
            _ => self.write_other(item, &temporary, &extra),
        };
        let renamed = result.and_then(|()| {
            let (folder, from, to) = (&item.parent, &temporary[..], &item.name[..]);
            Ok(rustix::fs::renameat(folder, from, folder, to)?)
        });
        if renamed.is_err() {
            // The name is ours; when it cannot be removed, the next restore replaces it.
            let _ = rustix::fs::unlinkat(&item.parent, &temporary[..], AtFlags::empty());
        } else if entry.kind == EntryKind::File {
            self.report.counts.files += 1;
        } else {
            self.report.counts.others += 1;
        }
        renamed
    }

    fn write_file(
        &mut self,
        item: &Item,
        temporary: &[u8],
        extra: &Extra,
        mut present: Option<Present>,
    ) -> Result<(), Refusal> {
        let Item { path, entry, .. } = item;
        let mut layout = Layout::new(path, entry, &extra.holes)?;
        let file = create(&item.parent, temporary)?;
        let mut written = 0;
        for chunk in Chunks::new(self.reader, self.domain, path, &entry.content) {
            self.cancel.check()?;
            let chunk = chunk?;
            let ranges = layout.take(chunk.length)?;
            let origin = self.origin();
            let found = match &mut present {
                Some(present) => present.chunk(origin, &chunk, &ranges)?,
                None => None,
            };
            match found {
                Some(bytes) => {
                    put(&file, bytes, &ranges)?;
                    self.report.counts.bytes_reused += u64::from(chunk.length);
                }
                None => {
                    let bytes = read_chunk(self.reader, self.domain, path, &chunk)?;
                    put(&file, &bytes, &ranges)?;
                }
            }
            written += u64::from(chunk.length);
            self.progress.bytes_done(u64::from(chunk.length));
        }
        layout.finish()?;
        if extra.holes.last().is_some_and(|hole| hole.offset + hole.length == entry.size) {
            if written > 0 {
                // After a power cut, a file of the full length must not lack its data: a restore
                // that goes on would take it for complete.
                rustix::fs::fdatasync(&file)?;
            }
            rustix::fs::ftruncate(&file, entry.size)?;
        }
        self.report.counts.bytes += written;
        self.rules.apply(&file, path, entry, extra, &mut self.report);
        Ok(())
    }

    /// Writes what differs into the file that is there.
    fn mend(&mut self, item: &Item, extra: &Extra, present: &mut Present) -> Result<(), Refusal> {
        let Item { path, entry, .. } = item;
        let mut layout = Layout::new(path, entry, &extra.holes)?;
        present.shape(entry, extra)?;
        for chunk in Chunks::new(self.reader, self.domain, path, &entry.content) {
            self.cancel.check()?;
            let chunk = chunk?;
            let ranges = layout.take(chunk.length)?;
            if present.chunk(self.origin(), &chunk, &ranges)?.is_some() {
                self.progress.bytes_skipped(u64::from(chunk.length));
                continue;
            }
            let bytes = read_chunk(self.reader, self.domain, path, &chunk)?;
            present.put(&bytes, &ranges)?;
            self.report.counts.bytes += u64::from(chunk.length);
            self.progress.bytes_done(u64::from(chunk.length));
        }
        layout.finish()?;
        // The time says that it is complete, so it must not be kept before the data.
        rustix::fs::fdatasync(present.file())?;
        self.rules.apply(present.file(), path, entry, extra, &mut self.report);
        self.report.counts.files += 1;
        Ok(())
    }

    fn write_other(&mut self, item: &Item, temporary: &[u8], extra: &Extra) -> Result<(), Refusal> {
        let Item { path, entry, parent, .. } = item;
        match make_other(parent, temporary, entry, extra) {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(parent, temporary, AtFlags::empty())?;
                make_other(parent, temporary, entry, extra)?;
            }
            made => made?,
        }
        self.rules.apply_at((parent, temporary), path, entry, extra, &mut self.report);
        Ok(())
    }
}

fn make_other(
    parent: &OwnedFd,
    name: &[u8],
    entry: &FileEntry,
    extra: &Extra,
) -> Result<(), Errno> {
    let kind = match entry.kind {
        EntryKind::Symlink => return rustix::fs::symlinkat(&extra.target[..], parent, name),
        EntryKind::Fifo => FileType::Fifo,
        EntryKind::Socket => FileType::Socket,
        EntryKind::BlockDevice => FileType::BlockDevice,
        EntryKind::CharDevice => FileType::CharacterDevice,
        EntryKind::File | EntryKind::Folder => return Err(Errno::INVAL),
    };
    rustix::fs::mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, entry.device)
}

/// Makes a new file under a name that is ours.
fn create(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::openat(parent, name, flags, mode) {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
            rustix::fs::openat(parent, name, flags, mode)
        }
        other => other,
    }
}

pub(crate) fn write_all(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The name under which a file is written, made from its own by FNV-1a: the same each time.
pub(crate) fn temporary_name(name: &[u8]) -> Vec<u8> {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!(".strongroom-{hash:016x}.part").into_bytes()
}

/// Whether a file of this name could be taken for one that is being written.
pub(crate) fn is_temporary_name(name: &[u8]) -> bool {
    name.starts_with(b".strongroom-") && name.ends_with(b".part")
}
