//! The list of a long file's chunks, kept as a list tree.
//!
//! A leaf lists chunks with their lengths, a node above lists nodes with the sums of theirs. Nodes
//! end by the same rule as a map's, with the child's name in place of a key, so an insertion into a
//! file leaves the nodes behind it as they are. A reader goes to an offset by adding lengths along
//! one path. The root is the lowest level with exactly one node. FORMAT.md §8.

use crate::{Boundary, Error, Flaw, NodeSink, NodeSource, Visit};
use crypto::ChunkId;
use format::{CHUNK_BYTES_MAX, RecipeItem, RecipeNode, TREE_DEPTH_MAX};

/// A whole recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecipeRoot {
    /// The lowest node that lists everything.
    pub id: ChunkId,
    /// Its level; 0 is a leaf.
    pub level: u8,
    /// How many bytes all chunks have.
    pub length: u64,
}

/// Builds a recipe from chunks in order, holding one open node per level.
pub struct RecipeBuilder<K> {
    boundary: Boundary,
    sink: K,
    levels: Vec<Level>,
}

impl<K: NodeSink> RecipeBuilder<K> {
    /// Begins a recipe; `sink` takes recipe nodes.
    pub fn new(boundary: Boundary, sink: K) -> Self {
        Self { boundary, sink, levels: Vec::new() }
    }

    /// Adds the next chunk, `length` bytes long, which may not be 0.
    pub fn push(&mut self, chunk: ChunkId, length: u32) -> Result<(), Error<K::Error>> {
        Error::limit("a chunk, in bytes,", length as usize, CHUNK_BYTES_MAX as usize)?;
        if length == 0 {
            return Err(Error::Empty { what: "a chunk of a recipe" });
        }
        let mut item = RecipeItem { id: chunk, length: length.into() };
        for level in 0.. {
            if !self.add(level, item)? {
                break;
            }
            item = self.close(level)?;
        }
        Ok(())
    }

    /// Puts what is open and says what was built; a recipe has at least one chunk.
    pub fn finish(mut self) -> Result<RecipeRoot, Error<K::Error>> {
        if self.levels.is_empty() {
            return Err(Error::Empty { what: "a recipe" });
        }
        let mut level = 0;
        loop {
            if !self.levels[level].items.is_empty() {
                let item = self.close(level)?;
                if self.levels[level].nodes > 1 {
                    self.add(level + 1, item)?;
                }
            }
            match self.levels[level] {
                Level { nodes: 1, last: Some(RecipeItem { id, length }), .. } => {
                    return Ok(RecipeRoot { id, level: level as u8, length });
                }
                _ => level += 1,
            }
        }
    }

    /// Adds an item to the open node of a level and says whether the node ends there.
    fn add(&mut self, level: usize, item: RecipeItem) -> Result<bool, Error<K::Error>> {
        Error::limit("the depth of a recipe, in levels,", level, usize::from(TREE_DEPTH_MAX))?;
        if self.levels.len() == level {
            self.levels.push(Level::default());
        }
        let open = &mut self.levels[level];
        let before = open.items.len() as u64 * ITEM_WEIGHT;
        open.items.push(item);
        open.length = open.length.checked_add(item.length).ok_or(Error::Limit {
            what: "a recipe's length, in bytes,",
            value: u64::MAX,
            max: u64::MAX - item.length,
        })?;
        let entries = open.items.len() as u64;
        Ok(self.boundary.cut(level as u8, entries, before, item.id.as_bytes(), ITEM_WEIGHT))
    }

    /// Puts the open node of a level.
    fn close(&mut self, level: usize) -> Result<RecipeItem, Error<K::Error>> {
        let open = &mut self.levels[level];
        let node = RecipeNode { level: level as u8, items: std::mem::take(&mut open.items) };
        let length = std::mem::take(&mut open.length);
        let id = self.sink.put_node(&node.encode()).map_err(Error::Store)?;
        let item = RecipeItem { id, length };
        open.nodes += 1;
        open.last = Some(item);
        Ok(item)
    }
}

/// A chunk of a file, and where it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecipeChunk {
    /// The chunk.
    pub id: ChunkId,
    /// Where it begins, in bytes from the start.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u32,
}

/// Yields a recipe's chunks in order, holding one node per level; ends after the first error.
pub struct RecipeReader<S> {
    source: S,
    root: ChunkId,
    /// From the root down, with the position in each node: the next item to take.
    path: Vec<Step>,
    /// Where the next unit begins.
    offset: u64,
    is_done: bool,
}

impl<S: NodeSource> RecipeReader<S> {
    /// Stands at the first chunk; reads nothing yet.
    pub fn new(source: S, root: ChunkId) -> Self {
        Self { source, root, path: Vec::new(), offset: 0, is_done: false }
    }

    /// The whole recipe: its level and length, for comparison with who names it. Reads the root.
    pub fn root(&mut self) -> Result<RecipeRoot, Error<S::Error>> {
        let id = self.root;
        let node = self.start()?;
        Ok(RecipeRoot { id, level: node.level, length: length(node) })
    }

    /// Goes to the chunk that holds the byte at `offset`, forward or back, reading only the path to
    /// it; at or beyond the end, to the end. Says where that chunk begins, or the length.
    pub fn seek(&mut self, offset: u64) -> Result<u64, Error<S::Error>> {
        self.is_done = false;
        self.start()?;
        self.path.truncate(1);
        self.path[0].index = 0;
        self.offset = 0;
        loop {
            let Some(step) = self.path.last_mut() else { return Ok(self.offset) };
            while let Some(item) = step.node.items.get(step.index)
                && offset - self.offset >= item.length
            {
                self.offset += item.length;
                step.index += 1;
            }
            if step.node.level == 0 || step.index == step.node.items.len() {
                return Ok(self.offset);
            }
            self.expand()?;
        }
    }

    /// The next chunk, below nodes that `visit` lets it enter.
    pub(crate) fn step(
        &mut self,
        mut visit: impl FnMut(ChunkId) -> Visit,
    ) -> Result<Option<RecipeChunk>, Error<S::Error>> {
        self.start()?;
        loop {
            let Some(step) = self.path.last_mut() else { return Ok(None) };
            let Some(item) = step.node.items.get(step.index) else {
                if self.path.len() == 1 {
                    return Ok(None);
                }
                self.path.pop();
                continue;
            };
            if step.node.level > 0 && visit(item.id) == Visit::Enter {
                self.expand()?;
                continue;
            }
            let RecipeItem { id, length } = *item;
            let offset = self.offset;
            step.index += 1;
            self.offset += length;
            if step.node.level == 0 {
                // A leaf's lengths are those of chunks, checked when it was read.
                return Ok(Some(RecipeChunk { id, offset, length: length as u32 }));
            }
        }
    }

    /// Reads the root, once.
    fn start(&mut self) -> Result<&RecipeNode, Error<S::Error>> {
        if self.path.is_empty() {
            let node = self.load(self.root)?;
            check_items(&node, if node.level == 0 { 1 } else { 2 })
                .map_err(|flaw| Error::malformed(self.root, flaw))?;
            self.path.push(Step { node, index: 0 });
        }
        Ok(&self.path[0].node)
    }

    /// Reads the node at the index of the lowest node held, whose index goes behind it.
    fn expand(&mut self) -> Result<(), Error<S::Error>> {
        let Some(step) = self.path.last() else { return Ok(()) };
        let (item, expected) = (step.node.items[step.index], step.node.level - 1);
        let at_edge = step.index + 1 == step.node.items.len()
            && self.path.iter().rev().skip(1).all(|above| above.index == above.node.items.len());
        let node = self.load(item.id)?;
        check_child(&node, expected, item.length, at_edge)
            .map_err(|flaw| Error::malformed(item.id, flaw))?;
        if let Some(step) = self.path.last_mut() {
            step.index += 1;
        }
        self.path.push(Step { node, index: 0 });
        Ok(())
    }

    fn load(&self, id: ChunkId) -> Result<RecipeNode, Error<S::Error>> {
        let bytes = self.source.node(&id).map_err(Error::Store)?;
        RecipeNode::decode(&bytes).map_err(|error| Error::malformed(id, error))
    }
}

impl<S: NodeSource> Iterator for RecipeReader<S> {
    type Item = Result<RecipeChunk, Error<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let chunk = self.step(|_| Visit::Enter).transpose();
        self.is_done = !matches!(chunk, Some(Ok(_)));
        chunk
    }
}

/// The open node of a level, and what became of those before it.
#[derive(Default)]
struct Level {
    items: Vec<RecipeItem>,
    length: u64,
    nodes: u64,
    last: Option<RecipeItem>,
}

struct Step {
    node: RecipeNode,
    index: usize,
}

/// How many bytes a node stands for; the decoder has checked that the sum fits.
fn length(node: &RecipeNode) -> u64 {
    node.items.iter().map(|item| item.length).sum()
}

/// Checks a node against the item that names it.
fn check_child(node: &RecipeNode, level: u8, expected: u64, at_edge: bool) -> Result<(), Flaw> {
    if node.level != level {
        return Err(Flaw::Level { expected: level, actual: node.level });
    }
    check_items(node, if level > 0 && !at_edge { 2 } else { 1 })?;
    match length(node) {
        actual if actual == expected => Ok(()),
        actual => Err(Flaw::Weight { expected, actual }),
    }
}

/// Checks the number of items, and in a leaf that they can be chunks.
fn check_items(node: &RecipeNode, least: usize) -> Result<(), Flaw> {
    if node.items.len() < least {
        return Err(Flaw::Entries { actual: node.items.len(), least });
    }
    let too_long = |item: &&RecipeItem| item.length > u64::from(CHUNK_BYTES_MAX);
    match node.items.iter().find(too_long).filter(|_| node.level == 0) {
        Some(item) => Err(Flaw::Chunk { actual: item.length, max: CHUNK_BYTES_MAX }),
        None => Ok(()),
    }
}

/// What an item weighs: name, length, and what frames them.
const ITEM_WEIGHT: u64 = 32 + 8 + 8;

#[cfg(test)]
mod tests;
