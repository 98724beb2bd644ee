//! What each snapshot takes: how much of its content no other snapshot has, how much it added.
//!
//! All snapshots are walked, source after source, each source in the order of its commits. Of each
//! chunk and each node it is kept, in about 50 bytes, who holds it and which source met it last; a
//! node is read again only when that changes for all that lies beneath it. Numbers are plain bytes
//! of content chunks, each chunk counted once; holes and metadata take none. DESIGN.md §8.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crypto::ChunkId;
use format::{Content, FileEntry, SnapshotContent};
use tree::Visit;
use vault::{Reader, Snapshot};

use crate::list::files_root;
use crate::nodes::tree_error_at;
use crate::{Cancel, Error, Result};

/// What one snapshot takes, in plain bytes of content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotUsage {
    /// In chunks that no other snapshot holds: with it they would go.
    pub unique: u64,
    /// In chunks that no earlier snapshot of its source holds.
    pub added: u64,
    /// Why its tree could not be walked to the end; then its numbers are too small, and those of
    /// others may be too large.
    pub problem: Option<String>,
}

/// What all snapshots take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// One for each snapshot, in the order in which they were given.
    pub snapshots: Vec<SnapshotUsage>,
    /// In all different chunks, in bytes.
    pub unique: u64,
    /// In chunks that only chosen snapshots hold: with all of these they would go.
    pub chosen: u64,
    /// Different chunks.
    pub chunks: u64,
}

/// Walks these snapshots of files; others hold nothing here. `is_chosen` says which are asked for
/// together.
///
/// # Errors
/// [`Error::Cancelled`], and when the place does not answer or a key is missing.
pub fn usage(
    reader: &Reader,
    snapshots: &[Snapshot],
    is_chosen: impl Fn(&Snapshot) -> bool,
    cancel: &Cancel,
) -> Result<Usage> {
    let mut sources: HashMap<_, u32> = HashMap::new();
    let mut order = Vec::new();
    for (at, snapshot) in snapshots.iter().enumerate() {
        let Some(descriptor) = &snapshot.descriptor else { continue };
        if descriptor.content == SnapshotContent::Files {
            let next = sources.len() as u32;
            let source = *sources.entry((&descriptor.name, &descriptor.paths)).or_insert(next);
            order.push((source, snapshot.seq, at));
        }
    }
    order.sort_unstable();
    let mut walk = Walk::default();
    let mut found = vec![SnapshotUsage::default(); snapshots.len()];
    for (source, _, at) in order {
        let snapshot = &snapshots[at];
        let side = if is_chosen(snapshot) { CHOSEN } else { OTHERS };
        walk.visitor = Visitor { owner: at as u32, source, side };
        walk.added = 0;
        match walk.snapshot(reader, snapshot, cancel) {
            Ok(()) => {}
            Err(error) if is_damage(&error) => found[at].problem = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        found[at].added = walk.added;
    }
    let mut usage = Usage { snapshots: found, ..Usage::default() };
    for Holding { met, length } in walk.chunks.into_values() {
        let bytes = u64::from(length);
        usage.chunks += 1;
        usage.unique += bytes;
        if met.sides == CHOSEN {
            usage.chosen += bytes;
        }
        if let Some(one) = usage.snapshots.get_mut(met.owner as usize) {
            one.unique += bytes;
        }
    }
    Ok(usage)
}

/// More than one snapshot.
const SEVERAL: u32 = u32::MAX;
const CHOSEN: u8 = 1;
const OTHERS: u8 = 2;

/// Who comes by.
#[derive(Clone, Copy, Default)]
struct Visitor {
    owner: u32,
    source: u32,
    side: u8,
}

/// Who came by a chunk or a node.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Met {
    /// The one snapshot, or [`SEVERAL`].
    owner: u32,
    /// The source that came last.
    source: u32,
    sides: u8,
}

impl Met {
    fn first(visitor: Visitor) -> Self {
        Self { owner: visitor.owner, source: visitor.source, sides: visitor.side }
    }

    fn and(self, visitor: Visitor) -> Self {
        let owner = if self.owner == visitor.owner { self.owner } else { SEVERAL };
        Self { owner, source: visitor.source, sides: self.sides | visitor.side }
    }
}

/// A chunk of content.
struct Holding {
    met: Met,
    length: u32,
}

/// Ids are digests, so half of one tells them apart well enough to count.
type Half = [u8; 16];

fn half(id: &ChunkId) -> Half {
    let mut half = [0; 16];
    half.copy_from_slice(&id.as_bytes()[..16]);
    half
}

#[derive(Default)]
struct Walk {
    chunks: HashMap<Half, Holding>,
    nodes: HashMap<Half, Met>,
    visitor: Visitor,
    /// What the visitor met that its source had not.
    added: u64,
}

impl Walk {
    fn snapshot(&mut self, reader: &Reader, snapshot: &Snapshot, cancel: &Cancel) -> Result<()> {
        let root = files_root(snapshot)?;
        let mut entries: Vec<FileEntry> = Vec::new();
        let mut broken = None;
        let mut tour = tree::Tour::new(reader.nodes(snapshot.domain), root);
        let failed = |error| tree_error_at(b"/", error);
        while let Some(step) = tour.next().map_err(failed)? {
            match step {
                tree::TourStep::Node(id) => {
                    cancel.check()?;
                    if self.visit(&id) == Visit::Enter {
                        tour.enter().map_err(failed)?;
                    }
                }
                tree::TourStep::Entry { key, value } => match crate::list::decode(key, value) {
                    Ok(listed) => entries.push(listed.entry),
                    Err(error) => broken = broken.or(Some(error)),
                },
                tree::TourStep::End(_) => {}
            }
            for entry in entries.drain(..) {
                self.content(reader, snapshot, &entry.content)?;
            }
        }
        broken.map_or(Ok(()), Err)
    }

    fn content(&mut self, reader: &Reader, snapshot: &Snapshot, content: &Content) -> Result<()> {
        match content {
            Content::Chunks(chunks) => {
                chunks.iter().for_each(|(id, length)| self.chunk(id, *length));
                Ok(())
            }
            Content::Recipe { root, .. } => {
                let mut chunks = Vec::new();
                let recipes = reader.recipes(snapshot.domain);
                let visit = |id: ChunkId| self.visit(&id);
                tree::walk_recipe(recipes, *root, visit, |c| chunks.push((c.id, c.length)))
                    .map_err(|error| tree_error_at(b"/", error))?;
                chunks.iter().for_each(|(id, length)| self.chunk(id, *length));
                Ok(())
            }
        }
    }

    /// Whether what lies beneath a node has to hear of the visitor.
    fn visit(&mut self, id: &ChunkId) -> Visit {
        match self.nodes.entry(half(id)) {
            Entry::Vacant(place) => {
                place.insert(Met::first(self.visitor));
                Visit::Enter
            }
            Entry::Occupied(mut place) => {
                let met = place.get().and(self.visitor);
                let before = place.insert(met);
                if before == met { Visit::Skip } else { Visit::Enter }
            }
        }
    }

    fn chunk(&mut self, id: &ChunkId, length: u32) {
        match self.chunks.entry(half(id)) {
            Entry::Vacant(place) => {
                place.insert(Holding { met: Met::first(self.visitor), length });
                self.added += u64::from(length);
            }
            Entry::Occupied(mut place) => {
                let held = place.get_mut();
                if held.met.source != self.visitor.source {
                    self.added += u64::from(length);
                }
                held.met = held.met.and(self.visitor);
            }
        }
    }
}

/// Whether an error is of one snapshot's tree, not of the place or the key.
fn is_damage(error: &Error) -> bool {
    use vault::ErrorKind::{Corrupt, Invalid, NotFound};
    matches!(
        error.kind(),
        crate::ErrorKind::NotFound
            | crate::ErrorKind::Invalid
            | crate::ErrorKind::Vault(Corrupt | Invalid | NotFound)
    )
}

#[cfg(test)]
mod tests;
