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
