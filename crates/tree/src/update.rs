//! A new tree from an older one and a sorted list of edits.
//!
//! The result is the tree that a builder makes from the edited entries, to the byte: where a node
//! ends depends on nothing before its start, so a subtree without edits that begins where the new
//! tree has a cut at every level below is taken over unread. Around each edit, nodes are read from
//! the start of a node until a new cut meets an old one. The last node of a level ended because the
//! entries did, so it is taken over only when nothing follows.

use crate::cursor::Unit;
use crate::{Boundary, Builder, Cursor, Error, NodeSink, NodeSource, Root};
use crypto::ChunkId;
use std::iter::Peekable;

/// A key, with its new value or nothing to remove it. To remove a key that is not there is no
/// error.
pub type Edit = (Vec<u8>, Option<Vec<u8>>);

/// Applies edits, in strict key order, to the tree at `root`, which must have been built with the
/// same boundary.
pub fn update<S, K, E>(
    source: &S,
    sink: K,
    boundary: Boundary,
    root: ChunkId,
    edits: impl IntoIterator<Item = Edit>,
) -> Result<Root, Error<E>>
where
    S: NodeSource<Error = E>,
    K: NodeSink<Error = E>,
{
    let mut edits = Edits { edits: edits.into_iter().peekable(), last_key: None };
    if edits.next_key().is_none() {
        return Root::read(source, root);
    }
    let mut cursor = Cursor::new(source, root);
    let mut builder = Builder::new(boundary, sink);
    while let Some(unit) = cursor.unit()? {
        match unit {
            Unit::Subtree { level, last_key, child, at_edge } => {
                let next_edit = edits.next_key();
                let is_untouched = next_edit.is_none_or(|key| key > last_key);
                let ends_alike = !at_edge || (next_edit.is_none() && builder.has_nodes(level));
                if is_untouched && ends_alike && builder.is_fresh(level) {
                    builder.push_node(level, last_key, child)?;
                    cursor.advance();
                } else {
                    cursor.expand()?;
                }
            }
            Unit::Entry { key, value } => {
                if edits.next_key().is_none_or(|edited| edited > key) {
                    builder.push(key, value)?;
                    cursor.advance();
                    continue;
                }
                let replaces = edits.next_key() == Some(key);
                edits.apply(&mut builder)?;
                if replaces {
                    cursor.advance();
                }
            }
        }
    }
    while edits.next_key().is_some() {
        edits.apply(&mut builder)?;
    }
    builder.finish()
}

/// The edits that are left.
struct Edits<I: Iterator<Item = Edit>> {
    edits: Peekable<I>,
    last_key: Option<Vec<u8>>,
}

impl<I: Iterator<Item = Edit>> Edits<I> {
    fn next_key(&mut self) -> Option<&[u8]> {
        self.edits.peek().map(|(key, _)| &key[..])
    }

    /// Takes the next edit and hands its entry, if it makes one, to the builder.
    fn apply<K: NodeSink>(&mut self, builder: &mut Builder<K>) -> Result<(), Error<K::Error>> {
        let Some((key, value)) = self.edits.next() else { return Ok(()) };
        if let Some(before) = self.last_key.take().filter(|before| *before >= key) {
            return Err(Error::Order { before, key });
        }
        if let Some(value) = value {
            builder.push(&key, &value)?;
        }
        self.last_key = Some(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
