//! Visits every node of a tree or a recipe, leaving out what the caller has seen.
//!
//! For who asks which chunks something needs: a mark before a collection, a verification, a copy.
//! Trees share nodes, so the caller is asked before each node is read and may pass over all that
//! lies beneath it. What is read is checked as a reader checks it.

use crate::cursor::Unit;
use crate::{Cursor, Error, NodeSource, RecipeChunk, RecipeReader};
use crypto::ChunkId;

/// Whether to read a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Read it, and go on to what lies beneath.
    Enter,
    /// Pass over it and all that lies beneath.
    Skip,
}

/// Asks `node` before each node of the tree at `root` and calls `entry` with each entry of the
/// leaves that were entered, in key order.
pub fn walk<S: NodeSource>(
    source: S,
    root: ChunkId,
    mut node: impl FnMut(ChunkId) -> Visit,
    mut entry: impl FnMut(&[u8], &[u8]),
) -> Result<(), Error<S::Error>> {
    if node(root) == Visit::Skip {
        return Ok(());
    }
    let mut cursor = Cursor::new(source, root);
    while let Some(unit) = cursor.unit()? {
        match unit {
            Unit::Subtree { child, .. } if node(child.id) == Visit::Enter => cursor.expand()?,
            Unit::Subtree { .. } => cursor.advance(),
            Unit::Entry { key, value } => {
                entry(key, value);
                cursor.advance();
            }
        }
    }
    Ok(())
}

/// A tour through a tree that says where each node begins and ends, for who remembers what lies
/// beneath a node.
pub struct Tour<S> {
    cursor: Cursor<S>,
    /// The nodes that were entered and not left, from the root down.
    entered: Vec<ChunkId>,
    root: ChunkId,
    state: TourState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TourState {
    /// The root is to be asked for.
    Begin,
    /// The caller was asked for a node.
    Asked,
    /// An entry was lent, and is gone past before the next.
    Lent,
    Going,
    Done,
}

/// A step of a tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TourStep<'a> {
    /// A node that was not read yet: [`Tour::enter`] goes into it, else it is passed over.
    Node(ChunkId),
    /// An entry of the node that was entered last.
    Entry {
        /// Its key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// All of the node that was entered last, and not left, was seen.
    End(ChunkId),
}

impl<S: NodeSource> Tour<S> {
    /// Begins before the root; reads nothing yet.
    pub fn new(source: S, root: ChunkId) -> Self {
        let cursor = Cursor::new(source, root);
        Self { cursor, entered: Vec::new(), root, state: TourState::Begin }
    }

    /// Goes into the node that the last step named.
    pub fn enter(&mut self) -> Result<(), Error<S::Error>> {
        if self.state != TourState::Asked {
            return Ok(());
        }
        self.state = TourState::Going;
        let id = match self.cursor.unit()? {
            _ if self.entered.is_empty() => self.root,
            Some(Unit::Subtree { child, .. }) => {
                self.cursor.expand()?;
                child.id
            }
            _ => return Ok(()),
        };
        self.entered.push(id);
        Ok(())
    }

    /// The next step; nothing at the end.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend what it holds")]
    pub fn next(&mut self) -> Result<Option<TourStep<'_>>, Error<S::Error>> {
        match std::mem::replace(&mut self.state, TourState::Going) {
            TourState::Begin => {
                self.state = TourState::Asked;
                return Ok(Some(TourStep::Node(self.root)));
            }
            TourState::Asked if self.entered.is_empty() => self.state = TourState::Done,
            TourState::Done => self.state = TourState::Done,
            TourState::Asked | TourState::Lent => self.cursor.advance(),
            TourState::Going => {}
        }
        if self.state == TourState::Done {
            return Ok(None);
        }
        let is_end = self.cursor.unit()?.is_none();
        if (is_end || self.cursor.depth() < self.entered.len())
            && let Some(id) = self.entered.pop()
        {
            if self.entered.is_empty() {
                self.state = TourState::Done;
            }
            return Ok(Some(TourStep::End(id)));
        }
        match self.cursor.unit()? {
            Some(Unit::Subtree { child, .. }) => {
                self.state = TourState::Asked;
                Ok(Some(TourStep::Node(child.id)))
            }
            Some(Unit::Entry { key, value }) => {
                self.state = TourState::Lent;
                Ok(Some(TourStep::Entry { key, value }))
            }
            None => Ok(None),
        }
    }
}

/// Asks `node` before each node of the recipe at `root` and calls `chunk` with each chunk of the
/// leaves that were entered, in order.
pub fn walk_recipe<S: NodeSource>(
    source: S,
    root: ChunkId,
    mut node: impl FnMut(ChunkId) -> Visit,
    mut chunk: impl FnMut(RecipeChunk),
) -> Result<(), Error<S::Error>> {
    if node(root) == Visit::Skip {
        return Ok(());
    }
    let mut reader = RecipeReader::new(source, root);
    while let Some(next) = reader.step(&mut node)? {
        chunk(next);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{build, edit, entries, nodes, tiny};
    use crate::{MissingNode, RecipeBuilder};
    use std::collections::BTreeSet;

    /// Enters each node once.
    fn once(seen: &mut BTreeSet<ChunkId>) -> impl FnMut(ChunkId) -> Visit {
        |id| if seen.insert(id) { Visit::Enter } else { Visit::Skip }
    }

    #[test]
    fn a_walk_sees_every_node_once_and_every_entry() -> Result<(), Error<MissingNode>> {
        let nodes = nodes();
        let map = entries(1000);
        let root = build(&nodes, tiny(), &map);
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        walk(&nodes, root.id, once(&mut seen), |key, value| {
            found.push((key.to_vec(), value.to_vec()));
        })?;
        assert_eq!(seen.iter().copied().collect::<Vec<_>>(), nodes.ids());
        assert_eq!(found, map.clone().into_iter().collect::<Vec<_>>());

        let key = map.keys().next().cloned().expect("there are entries");
        let edited = edit(&nodes, tiny(), root, [(key, Some(vec![]))]);
        nodes.take_reads();
        walk(&nodes, edited.id, once(&mut seen), |_, _| ())?;
        assert_eq!(seen.len(), nodes.len());
        assert!(nodes.take_reads() < 30, "what both trees share is not read again");
        Ok(())
    }

    #[test]
    fn a_tour_says_where_each_node_ends() -> Result<(), Error<MissingNode>> {
        let nodes = nodes();
        for count in [0, 1, 7, 1000] {
            let map = entries(count);
            let root = build(&nodes, tiny(), &map);
            let (mut tour, mut open, mut found) = (Tour::new(&nodes, root.id), vec![], vec![]);
            let mut ended = BTreeSet::new();
            loop {
                match tour.next()? {
                    Some(TourStep::Node(id)) => {
                        tour.enter()?;
                        open.push(id);
                    }
                    Some(TourStep::Entry { key, .. }) => found.push(key.to_vec()),
                    Some(TourStep::End(id)) => {
                        assert_eq!(open.pop(), Some(id), "the last one entered ends first");
                        ended.insert(id);
                    }
                    None => break,
                }
            }
            assert!(open.is_empty() && ended.contains(&root.id));
            assert_eq!(found, map.into_keys().collect::<Vec<_>>());
        }
        Ok(())
    }

    #[test]
    fn a_tour_passes_over_what_is_not_entered() -> Result<(), Error<MissingNode>> {
        let nodes = nodes();
        let root = build(&nodes, tiny(), &entries(1000));
        let mut tour = Tour::new(&nodes, root.id);
        let (mut asked, mut entries) = (0, 0);
        while let Some(step) = tour.next()? {
            match step {
                TourStep::Node(_) if asked == 0 => {
                    asked += 1;
                    tour.enter()?;
                }
                TourStep::Node(_) => asked += 1,
                TourStep::Entry { .. } => entries += 1,
                TourStep::End(id) => assert_eq!(id, root.id),
            }
        }
        assert!(asked > 2, "the root names several nodes");
        assert_eq!(entries, 0, "none of them was entered");
        assert!(matches!(Tour::new(&nodes, root.id).next(), Ok(Some(TourStep::Node(_)))));
        Ok(())
    }

    #[test]
    fn a_walk_sees_every_node_of_a_recipe_once() -> Result<(), Error<MissingNode>> {
        let nodes = nodes();
        let mut builder = RecipeBuilder::new(tiny(), nodes.clone());
        for n in 0..500u32 {
            let id = crypto::Digest::of(&n.to_le_bytes());
            builder.push(ChunkId::from_bytes(*id.as_bytes()), 1 + n)?;
        }
        let root = builder.finish()?;
        let (mut seen, mut lengths) = (BTreeSet::new(), Vec::new());
        walk_recipe(&nodes, root.id, once(&mut seen), |chunk| lengths.push(chunk.length))?;
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), nodes.ids());
        assert_eq!(lengths, (1..=500).collect::<Vec<_>>());
        walk_recipe(&nodes, root.id, |_| Visit::Skip, |_| unreachable!("all is passed over"))
    }
}
