//! Cuts a stream into chunks and stores them, with one buffer per thread whatever the file's size.
//!
//! A file of few chunks names them in its entry; one of many names a recipe. The chunks of a long
//! one are shared out to idle threads (`share.rs`). DESIGN.md §7, §8.

use std::cell::RefCell;

use bytes::Bytes;
use chunker::{Chunker, Stream};
use crypto::ChunkId;
use format::{CHUNK_BYTES_MAX, CHUNKS_INLINE_MAX, ChunkKind, Content};
use tree::{Boundary, NodeSink, RecipeBuilder};
use vault::{Lane, Writer};

use super::share::{Job, Pending, Share};
use crate::nodes::tree_error;
use crate::progress::{Cancel, Progress};
use crate::{Error, Result};

/// Stores the content of one file after another.
pub(crate) struct ContentStore<'a> {
    writer: &'a Writer,
    lane: RefCell<Lane<'a>>,
    share: Option<Share>,
    chunker: Chunker,
    recipes: Boundary,
    buffer: Vec<u8>,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

/// How much is read at a time; what no cut decides yet stays in front of it.
const BUFFER_BYTES: usize = 6 << 20;
/// A vault whose chunks are longer gets a buffer that holds two of the longest.
const BUFFER_BYTES_MAX: usize = 2 * CHUNK_BYTES_MAX as usize;

/// A chunk that was cut elsewhere.
pub(crate) enum Carried {
    /// The vault holds it under this name.
    Known { id: ChunkId, length: u32 },
    /// Its bytes, at most [`CHUNK_BYTES_MAX`].
    Read(Bytes),
}

/// Why content could not be stored.
pub(crate) enum ContentError<E> {
    /// The file could not be read.
    Source(E),
    /// The vault refused, or the work was stopped.
    Vault(Error),
}

impl<E> From<Error> for ContentError<E> {
    fn from(error: Error) -> Self {
        Self::Vault(error)
    }
}

impl<'a> ContentStore<'a> {
    pub(crate) fn new(writer: &'a Writer, progress: &'a dyn Progress, cancel: &'a Cancel) -> Self {
        let (leaf, interior) = writer.trees().recipes;
        Self {
            writer,
            lane: RefCell::new(writer.lane()),
            share: None,
            chunker: writer.chunker(),
            recipes: Boundary::new(writer.tree_key(), leaf, interior),
            // Zeroed pages that no read fills are never touched.
            buffer: vec![0; BUFFER_BYTES],
            progress,
            cancel,
        }
    }

    /// From here on chunks of long files are shared out.
    pub(crate) fn share_out(&mut self, share: Share) {
        self.share = Some(share);
    }

    /// From here on no chunks are shared out.
    pub(crate) fn share_no_more(&mut self) {
        self.share = None;
    }

    /// Stores a chunk that another thread cut.
    pub(crate) fn help(&self, job: Job) {
        let stored = self.cancel.check().and_then(|()| store_chunk(&self.lane, &job.bytes));
        job.answer(stored);
    }

    /// Stores what `read` gives until it gives nothing, and says how long that was.
    pub(crate) fn store<E>(
        &mut self,
        mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(Content, u64), ContentError<E>> {
        let Self { writer, lane, share, chunker, recipes, buffer, progress, cancel } = self;
        let lane = &*lane;
        chunker.reset();
        let mut list = ChunkList { lane, boundary: recipes, chunks: Vec::new(), recipe: None };
        let mut store = |chunk: &[u8]| store_chunk(lane, chunk);
        let mut pending = Pending::new(None);
        let (mut filled, mut length) = (0, 0);
        loop {
            let (count, end) = fill(&mut buffer[filled..], &mut read, cancel, *progress)?;
            filled += count;
            length += count as u64;
            if end == Stream::Continues {
                pending.share_with(share.as_ref());
            }
            let mut start = 0;
            for &cut in chunker.cut(&buffer[..filled], end) {
                cancel.check()?;
                let next = start + cut as usize;
                pending.push(&buffer[start..next], &mut store)?;
                while let Some((chunk, length)) = pending.pop_named(&mut store)? {
                    list.push(chunk, length)?;
                }
                start = next;
            }
            if end == Stream::Ends {
                while let Some((chunk, length)) = pending.pop(&mut store)? {
                    list.push(chunk, length)?;
                }
                return Ok((list.finish()?, length));
            }
            progress.written(&writer.written());
            buffer.copy_within(start..filled, 0);
            filled -= start;
            if filled == buffer.len() {
                // Nothing was decided: this vault's chunks are longer than the buffer.
                buffer.resize((2 * filled).min(BUFFER_BYTES_MAX), 0);
            }
        }
    }

    /// Stores chunks as they were cut elsewhere by the same rule, and says how long they are.
    pub(crate) fn carry<E>(
        &mut self,
        chunks: impl Iterator<Item = Result<Carried, E>>,
    ) -> Result<(Content, u64), ContentError<E>> {
        let Self { writer, lane, recipes, progress, cancel, .. } = self;
        let lane = &*lane;
        let mut list = ChunkList { lane, boundary: recipes, chunks: Vec::new(), recipe: None };
        let mut all = 0;
        for chunk in chunks {
            cancel.check()?;
            let (id, length) = match chunk.map_err(ContentError::Source)? {
                Carried::Known { id, length } => {
                    progress.bytes_skipped(length.into());
                    (id, length)
                }
                Carried::Read(bytes) => {
                    progress.bytes_done(bytes.len() as u64);
                    progress.written(&writer.written());
                    (store_chunk(lane, &bytes)?, bytes.len() as u32)
                }
            };
            all += u64::from(length);
            list.push(id, length)?;
        }
        Ok((list.finish()?, all))
    }

    /// Stores metadata that does not fit into an entry.
    pub(crate) fn store_extra(&self, bytes: &[u8]) -> Result<ChunkId> {
        Ok(self.lane.borrow_mut().store(ChunkKind::Extra, bytes)?.chunk.id)
    }

    /// Hands over what waits for company.
    pub(crate) fn flush(&self) -> Result<()> {
        Ok(self.lane.borrow_mut().flush()?)
    }
}

fn store_chunk(lane: &RefCell<Lane<'_>>, chunk: &[u8]) -> Result<ChunkId> {
    Ok(lane.borrow_mut().store(ChunkKind::Content, chunk)?.chunk.id)
}

/// Reads until the buffer is full or the stream ends.
fn fill<E>(
    buffer: &mut [u8],
    read: &mut impl FnMut(&mut [u8]) -> Result<usize, E>,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<(usize, Stream), ContentError<E>> {
    let mut filled = 0;
    while filled < buffer.len() {
        // A slow source gives little at a time.
        cancel.check()?;
        match read(&mut buffer[filled..]).map_err(ContentError::Source)? {
            0 => return Ok((filled, Stream::Ends)),
            count => {
                filled += count;
                progress.bytes_done(count as u64);
            }
        }
    }
    Ok((filled, Stream::Continues))
}

/// The chunks of one file: a few as they are, more in a recipe.
struct ChunkList<'c, 'a> {
    lane: &'c RefCell<Lane<'a>>,
    boundary: &'c Boundary,
    chunks: Vec<(ChunkId, u32)>,
    recipe: Option<RecipeBuilder<RecipeSink<'c, 'a>>>,
}

impl ChunkList<'_, '_> {
    fn push(&mut self, chunk: ChunkId, length: u32) -> Result<()> {
        if let Some(recipe) = &mut self.recipe {
            return recipe.push(chunk, length).map_err(tree_error);
        }
        if self.chunks.len() < CHUNKS_INLINE_MAX {
            self.chunks.push((chunk, length));
            return Ok(());
        }
        let mut recipe = RecipeBuilder::new(self.boundary.clone(), RecipeSink(self.lane));
        for (chunk, length) in self.chunks.drain(..) {
            recipe.push(chunk, length).map_err(tree_error)?;
        }
        recipe.push(chunk, length).map_err(tree_error)?;
        self.recipe = Some(recipe);
        Ok(())
    }

    fn finish(self) -> Result<Content> {
        match self.recipe {
            None => Ok(Content::Chunks(self.chunks)),
            Some(recipe) => {
                let root = recipe.finish().map_err(tree_error)?;
                Ok(Content::Recipe { root: root.id, level: root.level })
            }
        }
    }
}

/// Stores recipe nodes through the lane that stores the chunks.
struct RecipeSink<'c, 'a>(&'c RefCell<Lane<'a>>);

impl NodeSink for RecipeSink<'_, '_> {
    type Error = vault::Error;

    fn put_node(&mut self, bytes: &[u8]) -> vault::Result<ChunkId> {
        self.0.borrow_mut().recipes().put_node(bytes)
    }
}
