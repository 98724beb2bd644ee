//! Reads a node and checks that it may lie where it was found.
//!
//! Levels fall by exactly one, so depth is bounded by the root's level and nothing loops; a child's
//! last key is its parent's key for it, so no child can be named twice; order holds across nodes;
//! count and weight agree with the parent's record at every step. Only the last node of a level may
//! have a single child, and the root may not.

use crate::boundary::weight;
use crate::{Error, Flaw, NodeSource};
use crypto::ChunkId;
use format::{Child, Node};

/// What a parent knows of a child.
pub(crate) struct Expected<'a> {
    /// The level right beneath the parent's.
    pub level: u8,
    /// The parent's record.
    pub child: Child,
    /// The parent's key for the child.
    pub last_key: &'a [u8],
    /// The last key of all that lies before.
    pub floor: Option<&'a [u8]>,
    /// Whether nothing lies behind the child.
    pub at_edge: bool,
}

/// Reads the top node of a tree.
pub(crate) fn load_root<S: NodeSource>(source: &S, id: ChunkId) -> Result<Node, Error<S::Error>> {
    let node = load(source, id)?;
    let least = if node.level() == 0 { 0 } else { 2 };
    check_entries(&node, least)
        .and_then(|()| sums(&node).map(drop))
        .map_err(|flaw| Error::malformed(id, flaw))?;
    Ok(node)
}

/// Reads a node below another.
pub(crate) fn load_child<S: NodeSource>(
    source: &S,
    expected: &Expected<'_>,
) -> Result<Node, Error<S::Error>> {
    let id = expected.child.id;
    let node = load(source, id)?;
    check(&node, expected).map_err(|flaw| Error::malformed(id, flaw))?;
    Ok(node)
}

/// How many entries lie in or beneath a node, and what they weigh.
pub(crate) fn sums(node: &Node) -> Result<(u64, u64), Flaw> {
    let (mut count, mut bytes) = (0u64, 0u64);
    for index in 0..node.len() {
        let (more, heavier) = match node.level() {
            0 => (1, weight(node.key(index), node.value(index))),
            _ => {
                let child = Child::decode(node.value(index))?;
                (child.count, child.bytes)
            }
        };
        count = count.checked_add(more).ok_or(Flaw::Sum)?;
        bytes = bytes.checked_add(heavier).ok_or(Flaw::Sum)?;
    }
    Ok((count, bytes))
}

fn load<S: NodeSource>(source: &S, id: ChunkId) -> Result<Node, Error<S::Error>> {
    let bytes = source.node(&id).map_err(Error::Store)?;
    Node::decode(&bytes).map_err(|error| Error::malformed(id, error))
}

fn check(node: &Node, expected: &Expected<'_>) -> Result<(), Flaw> {
    if node.level() != expected.level {
        return Err(Flaw::Level { expected: expected.level, actual: node.level() });
    }
    let least = if node.level() > 0 && !expected.at_edge { 2 } else { 1 };
    check_entries(node, least)?;
    if expected.floor.is_some_and(|floor| node.key(0) <= floor) {
        return Err(Flaw::Order);
    }
    if node.key(node.len() - 1) != expected.last_key {
        return Err(Flaw::LastKey);
    }
    let (count, bytes) = sums(node)?;
    if count != expected.child.count {
        return Err(Flaw::Count { expected: expected.child.count, actual: count });
    }
    if bytes != expected.child.bytes {
        return Err(Flaw::Weight { expected: expected.child.bytes, actual: bytes });
    }
    Ok(())
}

fn check_entries(node: &Node, least: usize) -> Result<(), Flaw> {
    match node.len() >= least {
        true => Ok(()),
        false => Err(Flaw::Entries { actual: node.len(), least }),
    }
}
