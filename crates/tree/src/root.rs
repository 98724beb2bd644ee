//! The root of a tree: its top node, and what lies beneath it. A snapshot names a root by its id
//! alone; the rest is read from the node.

use crate::load::{load_root, sums};
use crate::{Error, NodeSource};
use crypto::ChunkId;
use format::Child;

/// A whole tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The lowest node that holds everything.
    pub id: ChunkId,
    /// Its level; 0 is a leaf.
    pub level: u8,
    /// How many entries the tree has.
    pub count: u64,
    /// The sum of their weights, key + value + 8 bytes each.
    pub bytes: u64,
}

impl Root {
    /// Reads the top node to learn the rest from its name.
    pub fn read<S: NodeSource>(source: &S, id: ChunkId) -> Result<Self, Error<S::Error>> {
        let node = load_root(source, id)?;
        let (count, bytes) = sums(&node).map_err(|flaw| Error::malformed(id, flaw))?;
        Ok(Self { id, level: node.level(), count, bytes })
    }

    pub(crate) fn new(level: u8, child: Child) -> Self {
        Self { id: child.id, level, count: child.count, bytes: child.bytes }
    }
}
