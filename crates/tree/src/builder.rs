//! Builds a tree from entries in key order, holding one open node per level.
//!
//! An entry goes into the open leaf; where the boundary rule cuts, the leaf is put and becomes an
//! entry of the open node above it, and so on upwards. The root is the lowest level that has
//! exactly one node. An update also hands in whole nodes of an older tree, at places where every
//! node up to that level has just begun: from there the rule would make the same nodes again.

use crate::boundary::weight;
use crate::{Boundary, Error, NodeSink, Root};
use format::{Child, NodeEncoder, TREE_DEPTH_MAX, TREE_KEY_BYTES_MAX, TREE_VALUE_BYTES_MAX};

/// Builds a tree; of no further use after an error.
pub struct Builder<K> {
    boundary: Boundary,
    sink: K,
    levels: Vec<Level>,
    last_key: Option<Vec<u8>>,
}

impl<K: NodeSink> Builder<K> {
    /// Begins an empty tree.
    pub fn new(boundary: Boundary, sink: K) -> Self {
        Self { boundary, sink, levels: vec![Level::new(0)], last_key: None }
    }

    /// Adds the next entry; keys must arrive in strict order.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error<K::Error>> {
        Error::limit("a tree's key, in bytes,", key.len(), TREE_KEY_BYTES_MAX)?;
        Error::limit("a tree's value, in bytes,", value.len(), TREE_VALUE_BYTES_MAX)?;
        self.follow(key)?;
        self.add(0, key, value, Sums { count: 1, bytes: weight(key, value) })
    }

    /// Puts what is open and says what was built. A tree without entries is one empty leaf.
    pub fn finish(mut self) -> Result<Root, Error<K::Error>> {
        let mut level = 0;
        loop {
            let open = &self.levels[level];
            if open.entries() > 0 || (level == 0 && open.nodes == 0) {
                let last_key = open.encoder.last_key().to_vec();
                let child = self.close(level)?;
                if self.levels[level].nodes > 1 {
                    // What is open above is closed next in any case: no need to ask for a cut.
                    let sums = Sums { count: child.count, bytes: child.bytes };
                    self.open(level + 1)?.push(&last_key, &child.encode(), sums)?;
                }
            }
            match self.levels[level] {
                Level { nodes: 1, last: Some(child), .. } => {
                    return Ok(Root::new(level as u8, child));
                }
                _ => level += 1,
            }
        }
    }

    /// Whether a node that begins here, of this level or below, begins a node of its own: nothing
    /// is open that it would belong to.
    pub(crate) fn is_fresh(&self, level: u8) -> bool {
        self.levels.iter().take(usize::from(level) + 1).all(|open| open.entries() == 0)
    }

    /// Whether a node of this level was put or handed in.
    pub(crate) fn has_nodes(&self, level: u8) -> bool {
        self.levels.get(usize::from(level)).is_some_and(|open| open.nodes > 0)
    }

    /// Takes over a node of an older tree that was built with the same boundary and that ended by a
    /// cut, or that is the last one; `level` must be fresh.
    pub(crate) fn push_node(
        &mut self,
        level: u8,
        last_key: &[u8],
        child: Child,
    ) -> Result<(), Error<K::Error>> {
        debug_assert!(self.is_fresh(level), "a node begins where one ended");
        self.follow(last_key)?;
        self.open(usize::from(level))?;
        for below in &mut self.levels[..usize::from(level)] {
            // At least two: only the last node of a level may have a single child.
            below.nodes = below.nodes.saturating_add(2);
        }
        let open = &mut self.levels[usize::from(level)];
        open.nodes += 1;
        open.last = Some(child);
        let sums = Sums { count: child.count, bytes: child.bytes };
        self.add(usize::from(level) + 1, last_key, &child.encode(), sums)
    }

    /// Keeps the order of keys.
    fn follow(&mut self, key: &[u8]) -> Result<(), Error<K::Error>> {
        match &mut self.last_key {
            Some(before) if &before[..] >= key => {
                Err(Error::Order { before: before.clone(), key: key.to_vec() })
            }
            Some(before) => {
                before.clear();
                before.extend_from_slice(key);
                Ok(())
            }
            None => {
                self.last_key = Some(key.to_vec());
                Ok(())
            }
        }
    }

    /// Adds an entry to a level and closes nodes from there upwards as the boundary says. Each has
    /// `key` as its last key.
    fn add(
        &mut self,
        mut level: usize,
        key: &[u8],
        value: &[u8],
        sums: Sums,
    ) -> Result<(), Error<K::Error>> {
        let before = self.open(level)?.push(key, value, sums)?;
        let mut cut = self.cuts(level, before, key, weight(key, value));
        while cut {
            let child = self.close(level)?;
            let value = child.encode();
            level += 1;
            let sums = Sums { count: child.count, bytes: child.bytes };
            let before = self.open(level)?.push(key, &value, sums)?;
            cut = self.cuts(level, before, key, weight(key, &value));
        }
        Ok(())
    }

    fn cuts(&self, level: usize, before: u64, key: &[u8], weight: u64) -> bool {
        self.boundary.cut(level as u8, self.levels[level].entries(), before, key, weight)
    }

    /// Puts the open node of a level.
    fn close(&mut self, level: usize) -> Result<Child, Error<K::Error>> {
        let open = &mut self.levels[level];
        let sums = std::mem::take(&mut open.sums);
        open.weight = 0;
        let id = self.sink.put_node(&open.encoder.take()).map_err(Error::Store)?;
        let child = Child { id, count: sums.count, bytes: sums.bytes };
        open.nodes += 1;
        open.last = Some(child);
        Ok(child)
    }

    /// The open node of a level, and of each below it.
    fn open(&mut self, level: usize) -> Result<&mut Level, Error<K::Error>> {
        Error::limit("the depth of a tree, in levels,", level, usize::from(TREE_DEPTH_MAX))?;
        while self.levels.len() <= level {
            self.levels.push(Level::new(self.levels.len() as u8));
        }
        Ok(&mut self.levels[level])
    }
}

/// The open node of a level, and what became of those before it.
struct Level {
    encoder: NodeEncoder,
    /// What the open node's entries weigh at this level.
    weight: u64,
    /// What lies in or beneath the open node.
    sums: Sums,
    /// How many nodes the level has so far, the open one not counted; exact up to 1.
    nodes: u64,
    last: Option<Child>,
}

impl Level {
    fn new(level: u8) -> Self {
        let encoder = NodeEncoder::new(level);
        Self { encoder, weight: 0, sums: Sums::default(), nodes: 0, last: None }
    }

    /// Adds an entry and says what the node weighed before.
    fn push<E>(&mut self, key: &[u8], value: &[u8], sums: Sums) -> Result<u64, Error<E>> {
        self.sums.add(sums)?;
        self.encoder.push(key, value);
        let before = self.weight;
        self.weight += weight(key, value);
        Ok(before)
    }

    fn entries(&self) -> u64 {
        self.encoder.count().into()
    }
}

/// What lies beneath: entries and their weights.
#[derive(Clone, Copy, Default)]
struct Sums {
    count: u64,
    bytes: u64,
}

impl Sums {
    fn add<E>(&mut self, other: Self) -> Result<(), Error<E>> {
        let sum = |a: u64, b: u64, what| {
            a.checked_add(b).ok_or(Error::Limit { what, value: a.max(b), max: u64::MAX - a.min(b) })
        };
        self.count = sum(self.count, other.count, "a tree's number of entries")?;
        self.bytes = sum(self.bytes, other.bytes, "a tree's weight, in bytes,")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
