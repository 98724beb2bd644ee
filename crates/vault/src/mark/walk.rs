//! Walks from roots to everything that they reach.
//!
//! Nodes that were met and not read yet lie on a stack; a batch of them is read side by side in the
//! order in which they lie in packs. What they refer to is gathered, sorted by id and looked up in
//! one sweep through the index. Chunks without references wait until there are many. The stack is
//! bounded: the more lies on it, the fewer nodes are read at once, until one by one, which is a
//! walk in depth.

use crypto::DomainId;
use format::{ChunkId, ChunkKind, ChunkRef};

use super::{Marker, Reach, Root, beginning, go_on, in_parallel, is_damage, is_readable};
use crate::index::{Found, Placed};
use crate::references::each_reference;
use crate::{Error, Result};

/// Nodes that are read at once while the stack is short.
const BATCH: usize = 256;
/// Above this many nodes on the stack fewer are read at once; above four times as many, one.
const STACK_MANY: usize = 1 << 17;
/// Chunks without references that wait, at most, before they are looked up.
const LEAVES_MAX: usize = if cfg!(test) { 1 << 16 } else { 1 << 20 };

/// How many chunks are remembered as met: 13 MiB.
const NEWEST: usize = 1 << 18;

/// A chunk that was met.
#[derive(Clone, Copy)]
struct Met {
    chunk: ChunkRef,
    /// Index into the roots.
    root: u32,
}

/// A node that is to be read.
#[derive(Clone, Copy)]
struct Node {
    met: Met,
    /// Where its first copy lies: the table, its pack in it, the frame in the pack.
    at: (u32, u32, u32),
}

pub(super) fn walk(reach: &Reach, marker: &Marker<'_>, roots: &[Root]) -> Result<()> {
    let walk = Walk { reach, marker, roots };
    let mut leaves = Vec::new();
    let mut newest = Newest::new();
    let mut stack = walk.claim_nodes(walk.begin())?;
    while !stack.is_empty() {
        go_on(marker.cancel)?;
        let count = match stack.len() {
            length if length > 4 * STACK_MANY => 1,
            length if length > STACK_MANY => BATCH / 16,
            _ => BATCH,
        };
        let batch = stack.split_off(stack.len().saturating_sub(count));
        let mut nodes = Vec::new();
        for part in in_parallel(marker.at_once, &batch, |part| walk.read(part))? {
            for met in part {
                match has_references(met.chunk.kind) {
                    true => nodes.push(met),
                    false if newest.is_new(walk.key(&met)) => leaves.push(met),
                    false => {}
                }
            }
        }
        (marker.heard)(batch.len() as u64);
        if leaves.len() >= LEAVES_MAX {
            walk.claim_leaves(&mut leaves)?;
        }
        stack.extend(walk.claim_nodes(nodes)?);
    }
    walk.claim_leaves(&mut leaves)
}

fn has_references(kind: ChunkKind) -> bool {
    !matches!(kind, ChunkKind::Content | ChunkKind::Extra | ChunkKind::Body)
}

/// What makes a chunk one.
type Key = (ChunkId, ChunkKind, DomainId);

/// Chunks that were met last, at most one for each beginning of an id. Snapshots that differ little
/// refer to the same chunks again and again, and what is here need not be looked up anew.
struct Newest {
    met: Vec<Option<Key>>,
}

impl Newest {
    fn new() -> Self {
        Self { met: vec![None; NEWEST] }
    }

    /// Whether the chunk is not among them; it is from now on.
    fn is_new(&mut self, key: Key) -> bool {
        let place = &mut self.met[beginning(key.0) as usize % NEWEST];
        place.replace(key) != Some(key)
    }
}

struct Walk<'a> {
    reach: &'a Reach,
    marker: &'a Marker<'a>,
    roots: &'a [Root],
}

impl Walk<'_> {
    /// The descriptors of all roots.
    fn begin(&self) -> Vec<Met> {
        let mut met = Vec::with_capacity(self.roots.len());
        for (number, root) in self.roots.iter().enumerate() {
            match root.descriptor {
                Some(chunk) => met.push(Met { chunk, root: number as u32 }),
                None => {
                    let reason = "the body of its commit record does not open";
                    self.reach.miss(root, None, reason.into());
                }
            }
        }
        met
    }

    /// Reads these nodes: what they refer to.
    fn read(&self, nodes: &[Node]) -> Result<Vec<Met>> {
        let mut found = Vec::new();
        for node in nodes {
            go_on(self.marker.cancel)?;
            let Met { chunk, root } = node.met;
            if !self.reach.is_stopped(self.domain(root)) {
                self.read_node(chunk, root, &mut found)?;
            }
        }
        Ok(found)
    }

    /// Reads one node from the best copy that gives it.
    fn read_node(&self, chunk: ChunkRef, number: u32, found: &mut Vec<Met>) -> Result<()> {
        let root = &self.roots[number as usize];
        let mut copies = self.copies(root.domain, &chunk)?;
        copies.sort_by_key(|(copy, placed)| (copy.standing as u8, copy.pack.name, placed.ordinal));
        let mut last = Error::ChunkMissing { chunk, domain: root.domain };
        for (copy, placed) in copies {
            let before = found.len();
            let bytes = self.marker.chunks.read_chunk(root.domain, chunk, &copy);
            let walked = bytes.and_then(|bytes| {
                each_reference(chunk, &bytes, |chunk, _| found.push(Met { chunk, root: number }))
            });
            match walked {
                Ok(()) => return Ok(()),
                Err(error) if is_damage(&error) => {
                    found.truncate(before);
                    self.reach.note_unreadable(root, &placed, &error);
                    last = error;
                }
                Err(error) => return Err(error),
            }
        }
        self.reach.miss(root, Some(chunk), last.to_string());
        Ok(())
    }

    /// Takes those nodes that no walk met before, in the order in which they should be read: the
    /// last one first.
    fn claim_nodes(&self, mut met: Vec<Met>) -> Result<Vec<Node>> {
        self.sort(&mut met);
        let new = in_parallel(self.marker.at_once, &met, |part| {
            let mut new = Vec::new();
            for met in part {
                if let Some(first) = self.claim(met)? {
                    let at = (first.table as u32, first.entry.pack, first.entry.frame.offset);
                    new.push(Node { met: *met, at });
                }
            }
            Ok(new)
        })?;
        let mut new: Vec<Node> = new.into_iter().flatten().collect();
        new.sort_unstable_by_key(|node| std::cmp::Reverse(node.at));
        Ok(new)
    }

    fn claim_leaves(&self, met: &mut Vec<Met>) -> Result<()> {
        self.sort(met);
        in_parallel(self.marker.at_once, met, |part| {
            go_on(self.marker.cancel)?;
            part.iter().try_for_each(|met| self.claim(met).map(|_| ()))
        })?;
        met.clear();
        Ok(())
    }

    /// Sorted by id, neighbours are looked up in the same part of the index.
    fn sort(&self, met: &mut Vec<Met>) {
        met.sort_unstable_by(|a, b| {
            let by_beginning = beginning(a.chunk.id).cmp(&beginning(b.chunk.id));
            by_beginning.then_with(|| self.key(a).cmp(&self.key(b)))
        });
        met.dedup_by_key(|met| self.key(met));
    }

    fn key(&self, met: &Met) -> Key {
        (met.chunk.id, met.chunk.kind, self.domain(met.root))
    }

    /// Adds a chunk to what is reached: its first copy when it was not there.
    fn claim(&self, met: &Met) -> Result<Option<Placed>> {
        let root = &self.roots[met.root as usize];
        if self.reach.is_stopped(root.domain) {
            return Ok(None);
        }
        let copies = self.copies(root.domain, &met.chunk)?;
        let Some(first) = copies.iter().map(|(_, placed)| placed).min_by_key(|p| p.ordinal) else {
            let missing = Error::ChunkMissing { chunk: met.chunk, domain: root.domain };
            self.reach.miss(root, Some(met.chunk), missing.to_string());
            return Ok(None);
        };
        Ok(self.reach.add(first.ordinal).then_some(*first))
    }

    /// Where a chunk may be read.
    fn copies(&self, domain: DomainId, chunk: &ChunkRef) -> Result<Vec<(Found, Placed)>> {
        let placed = self.marker.index.placed(self.reach.layout(), domain, chunk)?;
        let found = placed.into_iter().filter_map(|p| Some((self.marker.index.found(&p)?, p)));
        Ok(found.filter(|(found, _)| is_readable(found.standing)).collect())
    }

    fn domain(&self, root: u32) -> DomainId {
        self.roots[root as usize].domain
    }
}
