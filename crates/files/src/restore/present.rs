//! What is in the target already of a file that is to be restored.
//!
//! Bytes found there count only by their chunk's id, as if they had been fetched. What is written
//! on comes from memory, never from the file again: it may change meanwhile. DESIGN.md §10.

use std::ops::Range;

use crypto::DomainId;
use format::{ChunkKind, EntryKind, Extra, FileEntry, Hole};
use rustix::fd::OwnedFd;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::Errno;
use tree::RecipeChunk;
use vault::Reader;

use super::write::write_all;
use crate::content::Chunks;
use crate::error::Error;
use crate::extra::holes_of;
use crate::layout::Layout;
use crate::progress::Cancel;
use crate::stat::Stat;

/// An open file of the target.
pub(crate) struct Present {
    file: OwnedFd,
    stat: Stat,
    buffer: Vec<u8>,
}

/// So much is read at once where a hole should be.
const ZEROS_BYTES: usize = 1 << 20;

/// Who asks: the vault that the file came from.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) domain: DomainId,
    pub(crate) cancel: &'a Cancel,
}

impl Present {
    /// Opens a regular file; `None` when it is none, or not for this user to read.
    pub(crate) fn open(folder: &OwnedFd, name: &[u8], access: OFlags) -> Option<Self> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, name, flags, Mode::empty()).ok()?;
        let stat = Stat::of(&file).ok()?;
        let is_file = stat.kind == EntryKind::File;
        is_file.then_some(Self { file, stat, buffer: Vec::new() })
    }

    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Whether it has no other name.
    pub(crate) fn is_alone(&self) -> bool {
        self.stat.names == 1
    }

    /// The chunk's bytes, when they lie in these ranges.
    pub(crate) fn chunk(
        &mut self,
        origin: Origin<'_>,
        chunk: &RecipeChunk,
        ranges: &[Range<u64>],
    ) -> Result<Option<&[u8]>, Error> {
        if ranges.last().is_some_and(|last| last.end > self.stat.size) {
            return Ok(None);
        }
        self.buffer.resize(chunk.length as usize, 0);
        let mut rest = &mut self.buffer[..];
        for range in ranges {
            let length = (range.end - range.start) as usize;
            let (now, later) = rest.split_at_mut(length.min(rest.len()));
            if read_all(&self.file, now, range.start).is_err() {
                return Ok(None);
            }
            rest = later;
        }
        let id = origin.reader.chunk_id(origin.domain, ChunkKind::Content, &self.buffer)?;
        Ok((id == chunk.id).then_some(&self.buffer[..]))
    }

    /// Whether its content is the entry's, wherever it is stored.
    pub(crate) fn is_equal(
        &mut self,
        origin: Origin<'_>,
        path: &[u8],
        entry: &FileEntry,
        extra: &Extra,
    ) -> Result<bool, Error> {
        if self.stat.size != entry.size
            || !(self.has_holes(entry, extra) || self.reads_zeros(&extra.holes))
        {
            return Ok(false);
        }
        let mut layout = Layout::new(path, entry, &extra.holes)?;
        for chunk in Chunks::new(origin.reader, origin.domain, path, &entry.content) {
            origin.cancel.check()?;
            let chunk = chunk?;
            let ranges = layout.take(chunk.length)?;
            if self.chunk(origin, &chunk, &ranges)?.is_none() {
                return Ok(false);
            }
        }
        layout.finish()?;
        Ok(true)
    }

    /// Whether nothing is stored where the entry has holes.
    pub(crate) fn has_holes(&self, entry: &FileEntry, extra: &Extra) -> bool {
        if extra.holes.is_empty() {
            return true;
        }
        let present = holes_of(&self.file, entry.size);
        extra.holes.iter().all(|hole| {
            let end = hole.offset + hole.length;
            let at = present.partition_point(|other| other.offset <= hole.offset);
            let around = at.checked_sub(1).map(|at| present[at]);
            around.is_some_and(|other| other.offset + other.length >= end)
        })
    }

    /// Whether all of these ranges read as zeros, as holes do.
    fn reads_zeros(&mut self, holes: &[Hole]) -> bool {
        self.buffer.resize(ZEROS_BYTES, 0);
        holes.iter().all(|hole| {
            let end = hole.offset + hole.length;
            (hole.offset..end).step_by(ZEROS_BYTES).all(|at| {
                let length = (end - at).min(ZEROS_BYTES as u64) as usize;
                let buffer = &mut self.buffer[..length];
                read_all(&self.file, buffer, at).is_ok() && buffer.iter().all(|byte| *byte == 0)
            })
        })
    }

    /// Gives the file the entry's size and holes; what stood in a hole is gone.
    pub(crate) fn shape(&mut self, entry: &FileEntry, extra: &Extra) -> Result<(), Errno> {
        if self.stat.size != entry.size {
            rustix::fs::ftruncate(&self.file, entry.size)?;
            self.stat.size = entry.size;
        }
        if self.has_holes(entry, extra) {
            return Ok(());
        }
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for hole in &extra.holes {
            rustix::fs::fallocate(&self.file, flags, hole.offset, hole.length)?;
        }
        Ok(())
    }

    /// Writes a chunk's bytes into these ranges.
    pub(crate) fn put(&self, bytes: &[u8], ranges: &[Range<u64>]) -> Result<(), Errno> {
        put(&self.file, bytes, ranges)
    }
}

/// Writes consecutive bytes of data into these ranges of a file.
pub(crate) fn put(file: &OwnedFd, bytes: &[u8], ranges: &[Range<u64>]) -> Result<(), Errno> {
    let mut rest = bytes;
    for range in ranges {
        let length = (range.end - range.start) as usize;
        let (now, later) = rest.split_at(length.min(rest.len()));
        write_all(file, now, range.start)?;
        rest = later;
    }
    Ok(())
}

fn read_all(file: &OwnedFd, mut buffer: &mut [u8], mut offset: u64) -> Result<(), Errno> {
    while !buffer.is_empty() {
        match rustix::io::pread(file, &mut *buffer, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
