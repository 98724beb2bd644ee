//! Reads a tree in key order, from any key on.
//!
//! The cursor holds the nodes from the root to where it stands, one per level, and lends slices of
//! the leaf. It stands on a *unit*: an entry of a leaf, or a whole subtree that it has not read
//! yet. Readers of entries expand each subtree they come to; a diff and an update skip what they
//! know.

use crate::load::{Expected, load_child, load_root};
use crate::{Error, NodeSource};
use crypto::ChunkId;
use format::{Child, Node};

/// Looks up one key.
pub fn get<S: NodeSource>(
    source: &S,
    root: ChunkId,
    key: &[u8],
) -> Result<Option<Vec<u8>>, Error<S::Error>> {
    let mut cursor = Cursor::new(source, root);
    cursor.seek(key)?;
    Ok(cursor.peek()?.filter(|(found, _)| *found == key).map(|(_, value)| value.to_vec()))
}

/// A key and its value, lent by the node that holds them.
pub type Entry<'a> = (&'a [u8], &'a [u8]);

/// A place in a tree, from which it can be read.
pub struct Cursor<S> {
    source: S,
    root: ChunkId,
    /// From the root down. The node above names the node below at its `index`.
    path: Vec<Step>,
}

impl<S: NodeSource> Cursor<S> {
    /// Stands before the first entry; reads nothing yet.
    pub fn new(source: S, root: ChunkId) -> Self {
        Self { source, root, path: Vec::new() }
    }

    /// Goes to the first entry whose key is not less than `key`, forward or back. Nodes that the
    /// cursor holds are not read again.
    pub fn seek(&mut self, key: &[u8]) -> Result<(), Error<S::Error>> {
        self.start()?;
        while self.path.len() > 1 && !self.last_step_covers(key) {
            self.path.pop();
        }
        while let Some(step) = self.path.last_mut() {
            step.index = step.node.lower_bound(key);
            if step.node.level() == 0 || step.index == step.node.len() {
                break;
            }
            self.expand()?;
        }
        Ok(())
    }

    /// The entry where the cursor stands: its key and value; nothing at the end.
    pub fn peek(&mut self) -> Result<Option<Entry<'_>>, Error<S::Error>> {
        while let Some(Unit::Subtree { .. }) = self.unit()? {
            self.expand()?;
        }
        Ok(self.path.last().and_then(Step::entry))
    }

    /// Goes behind the entry where the cursor stands; does nothing at the end. Reads nothing.
    pub fn advance(&mut self) {
        if let Some(step) = self.path.last_mut() {
            step.index = (step.index + 1).min(step.node.len());
        }
    }

    /// The entry where the cursor stands; goes behind it.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend what it holds")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error<S::Error>> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        let Some(step) = self.path.last_mut() else { return Ok(None) };
        let index = step.index;
        step.index += 1;
        Ok(Some((step.node.key(index), step.node.value(index))))
    }

    /// What lies next, read or not; nothing at the end.
    pub(crate) fn unit(&mut self) -> Result<Option<Unit<'_>>, Error<S::Error>> {
        self.start()?;
        self.ascend();
        let at_edge = self.at_edge();
        let Some(step) = self.path.last() else { return Ok(None) };
        if let Some((key, value)) = step.entry() {
            return Ok(Some(Unit::Entry { key, value }));
        }
        let Some((level, last_key, child)) = step.child()? else { return Ok(None) };
        Ok(Some(Unit::Subtree { level, last_key, child, at_edge }))
    }

    /// Reads the subtree where the cursor stands and goes to its first unit.
    pub(crate) fn expand(&mut self) -> Result<(), Error<S::Error>> {
        let Some(step) = self.path.last() else { return Ok(()) };
        let Some((level, last_key, child)) = step.child()? else { return Ok(()) };
        let floor = floor(&self.path);
        let expected = Expected { level, child, last_key, floor, at_edge: self.at_edge() };
        let node = load_child(&self.source, &expected)?;
        self.path.push(Step { id: child.id, node, index: 0 });
        Ok(())
    }

    /// Whether no key from here on is less than `end`, as far as can be told without reading.
    pub(crate) fn is_beyond(&mut self, end: &[u8]) -> Result<bool, Error<S::Error>> {
        let key = match self.unit()? {
            None => return Ok(true),
            Some(Unit::Entry { key, .. }) => Some(key),
            Some(Unit::Subtree { .. }) => floor(&self.path),
        };
        Ok(key.is_some_and(|key| key >= end))
    }

    /// How many nodes it holds: those that it has entered and not left.
    pub(crate) fn depth(&self) -> usize {
        self.path.len()
    }

    /// Reads the root, once.
    fn start(&mut self) -> Result<(), Error<S::Error>> {
        if self.path.is_empty() {
            let node = load_root(&self.source, self.root)?;
            self.path.push(Step { id: self.root, node, index: 0 });
        }
        Ok(())
    }

    /// Leaves the nodes of which nothing is left; the root stays.
    fn ascend(&mut self) {
        while let [.., above, step] = &mut self.path[..]
            && step.index == step.node.len()
        {
            above.index += 1;
            self.path.pop();
        }
    }

    /// Whether nothing lies behind the unit where the cursor stands.
    fn at_edge(&self) -> bool {
        self.path.iter().all(|step| step.index + 1 == step.node.len())
    }

    /// Whether `key`, if it is there, is in or beneath the lowest node held.
    fn last_step_covers(&self, key: &[u8]) -> bool {
        let Some((_, above)) = self.path.split_last() else { return false };
        let ceiling = above.last().map(|step| step.node.key(step.index));
        floor(above).is_none_or(|floor| floor < key) && ceiling.is_none_or(|last| key <= last)
    }
}

/// What a cursor stands on.
pub(crate) enum Unit<'a> {
    /// An entry of a leaf.
    Entry { key: &'a [u8], value: &'a [u8] },
    /// A node of this level, not read yet; at the edge, nothing lies behind it.
    Subtree { level: u8, last_key: &'a [u8], child: Child, at_edge: bool },
}

/// A child's level, last key and record.
type ChildHere<'a> = (u8, &'a [u8], Child);

struct Step {
    id: ChunkId,
    node: Node,
    index: usize,
}

impl Step {
    /// The entry at the index, in a leaf.
    fn entry(&self) -> Option<Entry<'_>> {
        (self.node.level() == 0 && self.index < self.node.len())
            .then(|| (self.node.key(self.index), self.node.value(self.index)))
    }

    /// The node at the index, above the leaves.
    fn child<E>(&self) -> Result<Option<ChildHere<'_>>, Error<E>> {
        if self.index >= self.node.len() {
            return Ok(None);
        }
        let Some(level) = self.node.level().checked_sub(1) else { return Ok(None) };
        let child = Child::decode(self.node.value(self.index))
            .map_err(|error| Error::malformed(self.id, error))?;
        Ok(Some((level, self.node.key(self.index), child)))
    }
}

/// The last key before what the path leads to.
fn floor(path: &[Step]) -> Option<&[u8]> {
    path.iter().rev().find(|step| step.index > 0).map(|step| step.node.key(step.index - 1))
}

#[cfg(test)]
mod tests;
