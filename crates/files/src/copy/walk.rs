//! What of a snapshot's tree is to be copied, in key order: all of it, or what changed.
//!
//! Against the snapshot that was copied before, both trees of the source are compared, and subtrees
//! that they share are not even read. A file whose content did not change takes it from the copy
//! before. DESIGN.md §8.

use format::{Content, EntryKind, FileEntry};
use tree::{Change, Cursor, Diff};
use vault::Nodes;

use crate::Result;
use crate::list::{ListedEntry, decode};
use crate::nodes::tree_error;

/// An entry to copy, or to take out.
pub(crate) enum Item {
    Copy {
        found: Box<ListedEntry>,
        /// What the copy before has of the same content.
        known: Option<Content>,
    },
    Remove {
        key: Vec<u8>,
    },
}

/// The entries to copy.
pub(crate) enum Walk {
    All(Cursor<Nodes>),
    Since {
        diff: Box<Diff<Nodes, Nodes>>,
        /// The tree of the copy before; none from where it cannot be read.
        copy: Option<Cursor<Nodes>>,
    },
}

impl Walk {
    /// The next entry; nothing at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Item>> {
        let (diff, copy) = match self {
            Self::All(cursor) => {
                let Some((key, value)) = cursor.next().map_err(tree_error)? else {
                    return Ok(None);
                };
                let found = Box::new(decode(key, value)?);
                return Ok(Some(Item::Copy { found, known: None }));
            }
            Self::Since { diff, copy } => (diff, copy),
        };
        let Some(change) = diff.next().map_err(tree_error)? else { return Ok(None) };
        Ok(Some(match change {
            Change::Removed { key, .. } => Item::Remove { key: key.to_vec() },
            Change::Added { key, value } => {
                Item::Copy { found: Box::new(decode(key, value)?), known: None }
            }
            Change::Changed { key, before, after } => {
                let (before, found) = (decode(key, before)?, Box::new(decode(key, after)?));
                let is_same = found.entry.kind == EntryKind::File
                    && before.entry.content == found.entry.content;
                let known = if is_same { content_in(copy, key) } else { None };
                Item::Copy { found, known }
            }
        }))
    }
}

/// The content of a file in the copy before; one that cannot be read costs time only.
fn content_in(copy: &mut Option<Cursor<Nodes>>, key: &[u8]) -> Option<Content> {
    let cursor = copy.as_mut()?;
    if cursor.seek(key).is_err() {
        *copy = None;
        return None;
    }
    let (at, value) = cursor.peek().ok().flatten()?;
    let entry = FileEntry::decode(value).ok().filter(|_| at == key)?;
    (entry.kind == EntryKind::File).then_some(entry.content)
}
