//! Reads a file of a snapshot, whole or in part; holes read as zeros.
//!
//! The content of a sparse file is its data without the holes, so a place in the file is first a
//! place in the data. Each chunk is verified by its name where the vault reads it; here its length
//! is checked against what the file says. DESIGN.md §7, §10.

use bytes::Bytes;
use crypto::{ChunkId, DomainId};
use format::{ChunkKind, ChunkRef, Content, EntryKind, Extra, ExtraAt, FileEntry, Hole};
use tree::{RecipeChunk, RecipeReader};
use vault::{Nodes, Reader};

use crate::error::PathText;
use crate::nodes::tree_error_at;
use crate::{Error, Result};

/// The extra metadata of an entry, wherever it lies.
pub fn read_extra(
    reader: &Reader,
    domain: DomainId,
    path: &[u8],
    entry: &FileEntry,
) -> Result<Extra> {
    match &entry.extra {
        ExtraAt::None => Ok(Extra::default()),
        ExtraAt::Inline(extra) => Ok(extra.clone()),
        ExtraAt::Chunk(id) => {
            let bytes = reader.chunk(domain, ChunkRef { kind: ChunkKind::Extra, id: *id })?;
            let extra = Extra::decode(&bytes).map_err(|error| Error::decode(path, error))?;
            entry.check_extra(&extra).map_err(|error| Error::decode(path, error))?;
            Ok(extra)
        }
    }
}

/// The chunks of a file in order, each with where its bytes lie among the file's data.
pub(crate) struct Chunks {
    path: Vec<u8>,
    list: List,
}

enum List {
    Inline { chunks: std::vec::IntoIter<(ChunkId, u32)>, offset: u64 },
    Recipe(Box<RecipeReader<Nodes>>),
}

impl Chunks {
    pub(crate) fn new(reader: &Reader, domain: DomainId, path: &[u8], content: &Content) -> Self {
        let list = match content {
            Content::Chunks(chunks) => {
                List::Inline { chunks: chunks.clone().into_iter(), offset: 0 }
            }
            Content::Recipe { root, .. } => {
                List::Recipe(Box::new(RecipeReader::new(reader.recipes(domain), *root)))
            }
        };
        Self { path: path.to_vec(), list }
    }
}

impl Iterator for Chunks {
    type Item = Result<RecipeChunk>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.list {
            List::Inline { chunks, offset } => {
                let (id, length) = chunks.next()?;
                let chunk = RecipeChunk { id, offset: *offset, length };
                *offset += u64::from(length);
                Some(Ok(chunk))
            }
            List::Recipe(chunks) => {
                let chunk = chunks.next()?;
                Some(chunk.map_err(|error| tree_error_at(&self.path, error)))
            }
        }
    }
}

/// The bytes of a chunk of content, as long as the file says.
pub(crate) fn read_chunk(
    reader: &Reader,
    domain: DomainId,
    path: &[u8],
    chunk: &RecipeChunk,
) -> Result<Bytes> {
    let bytes = reader.chunk(domain, ChunkRef { kind: ChunkKind::Content, id: chunk.id })?;
    match bytes.len() as u64 == u64::from(chunk.length) {
        true => Ok(bytes),
        false => Err(Error::damaged(
            path,
            format_args!("chunk {} has {} bytes, not {}", chunk.id, bytes.len(), chunk.length),
        )),
    }
}

/// How many bytes of data a file has: its size without its holes.
pub(crate) fn data_length(path: &[u8], size: u64, holes: &[Hole]) -> Result<u64> {
    let end = holes.last().map_or(0, |hole| hole.offset + hole.length);
    let sum: u64 = holes.iter().map(|hole| hole.length).sum();
    match end <= size {
        true => Ok(size - sum),
        false => Err(Error::damaged(path, format_args!("a hole ends at {end} of {size} bytes"))),
    }
}

/// A regular file of a snapshot.
pub struct FileReader {
    reader: Reader,
    domain: DomainId,
    path: Vec<u8>,
    entry: FileEntry,
    holes: Vec<Hole>,
    /// Where the next read begins.
    position: u64,
    last: Option<LoadedChunk>,
}

/// A chunk of a file, and where its bytes lie among the file's data.
#[derive(Clone, Debug)]
pub(crate) struct LoadedChunk {
    start: u64,
    bytes: Bytes,
}

impl LoadedChunk {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn holds(&self, at: u64) -> bool {
        (self.start..self.end()).contains(&at)
    }
}

impl FileReader {
    /// A reader at the start of the file that `entry` describes. `path` is for messages.
    pub fn new(reader: &Reader, domain: DomainId, path: &[u8], entry: FileEntry) -> Result<Self> {
        if entry.kind != EntryKind::File {
            let expected = "regular file";
            return Err(Error::WrongKind { path: PathText::new(path), expected });
        }
        let holes = read_extra(reader, domain, path, &entry)?.holes;
        data_length(path, entry.size, &holes)?;
        let (reader, path) = (reader.clone(), path.to_vec());
        Ok(Self { reader, domain, path, entry, holes, position: 0, last: None })
    }

    /// The file's size in bytes, holes included.
    pub fn size(&self) -> u64 {
        self.entry.size
    }

    /// The file's entry.
    pub fn entry(&self) -> &FileEntry {
        &self.entry
    }

    /// Reads at `offset` as much as fits, up to the end of a chunk or hole; 0 at the end.
    pub fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        if offset >= self.entry.size || buffer.is_empty() {
            return Ok(0);
        }
        let (before, skipped) = self.holes_before(offset);
        if let Some(hole) = before.checked_sub(1).map(|at| self.holes[at])
            && offset < hole.offset + hole.length
        {
            let count = fit(hole.offset + hole.length - offset, buffer.len());
            buffer[..count].fill(0);
            return Ok(count);
        }
        let data_end = self.holes.get(before).map_or(self.entry.size, |hole| hole.offset);
        let LoadedChunk { start, bytes } = self.chunk_at(offset - skipped)?;
        let within = (offset - skipped - start) as usize;
        let count = fit(data_end - offset, buffer.len()).min(bytes.len() - within);
        buffer[..count].copy_from_slice(&bytes[within..within + count]);
        Ok(count)
    }

    /// How many holes begin at or before a place, and how long they are together.
    fn holes_before(&self, offset: u64) -> (usize, u64) {
        let before = self.holes.partition_point(|hole| hole.offset <= offset);
        (before, self.holes[..before].iter().map(|hole| hole.length).sum())
    }

    /// Where the file has no data, in order.
    pub(crate) fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// How long the data is, without the holes.
    pub(crate) fn data_length(&self) -> u64 {
        let holes: u64 = self.holes.iter().map(|hole| hole.length).sum();
        self.entry.size - holes
    }

    /// Whether reading at this place of the file needs another chunk than the last.
    pub(crate) fn needs_chunk(&self, offset: u64) -> bool {
        let at = offset.saturating_sub(self.holes_before(offset).1);
        self.last.as_ref().is_none_or(|last| !last.holds(at))
    }

    /// Takes a chunk that was loaded elsewhere, when reading at `offset` needs it.
    pub(crate) fn offer(&mut self, offset: u64, chunk: LoadedChunk) {
        let at = offset.saturating_sub(self.holes_before(offset).1);
        if chunk.holds(at) {
            self.last = Some(chunk);
        }
    }

    /// Where the chunk that was read last begins in the data.
    pub(crate) fn loaded_start(&self) -> Option<u64> {
        self.last.as_ref().map(|last| last.start)
    }

    /// Where it ends.
    pub(crate) fn loaded_end(&self) -> Option<u64> {
        self.last.as_ref().map(LoadedChunk::end)
    }

    /// Loads the chunk that holds a byte of the data.
    pub(crate) fn load(&mut self, at: u64) -> Result<LoadedChunk> {
        self.last = None;
        let loaded = self.chunk_at(at)?;
        self.last = None;
        Ok(loaded)
    }

    /// The chunk that holds a byte of the data.
    fn chunk_at(&mut self, at: u64) -> Result<LoadedChunk> {
        if let Some(last) = self.last.as_ref().filter(|last| last.holds(at)) {
            return Ok(last.clone());
        }
        let mut chunks = Chunks::new(&self.reader, self.domain, &self.path, &self.entry.content);
        if let List::Recipe(recipe) = &mut chunks.list {
            recipe.seek(at).map_err(|error| tree_error_at(&self.path, error))?;
        }
        for chunk in chunks {
            let chunk = chunk?;
            if at < chunk.offset + u64::from(chunk.length) {
                let bytes = read_chunk(&self.reader, self.domain, &self.path, &chunk)?;
                let loaded = LoadedChunk { start: chunk.offset, bytes };
                self.last = Some(loaded.clone());
                return Ok(loaded);
            }
        }
        Err(Error::damaged(&self.path, format_args!("its content ends before byte {at}")))
    }
}

fn fit(length: u64, room: usize) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX).min(room)
}

impl std::io::Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.read_at(self.position, buffer).map_err(std::io::Error::other)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl std::io::Seek for FileReader {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        let position = match to {
            std::io::SeekFrom::Start(position) => Some(position),
            std::io::SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
            std::io::SeekFrom::End(distance) => self.entry.size.checked_add_signed(distance),
        };
        let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
        self.position = position.ok_or_else(invalid)?;
        Ok(self.position)
    }
}
