//! What a metadata chunk refers to: the chunks that must exist for it to be of use.
//!
//! Verification walks them from each snapshot's root, as a collector's mark will. Everything is a
//! node of some tree, so no content key is needed. FORMAT.md §8.

use format::{Child, ChunkId, ChunkKind, ChunkRef, Content, ExtraAt, FileEntry, Node, RecipeNode};

use crate::{Error, Result};

/// A reference from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) chunk: ChunkRef,
    /// The key of the file's entry that refers to it, or the last key of the node below.
    pub(crate) key: Option<Vec<u8>>,
}

/// All references of a chunk of this kind; none for chunks that are leaves of everything.
pub(crate) fn references(chunk: ChunkRef, bytes: &[u8]) -> Result<Vec<Reference>> {
    match chunk.kind {
        ChunkKind::Node => node_references(chunk, bytes),
        ChunkKind::Recipe => recipe_references(chunk, bytes),
        _ => Ok(Vec::new()),
    }
}

fn node_references(chunk: ChunkRef, bytes: &[u8]) -> Result<Vec<Reference>> {
    let called = || format!("tree node {}", chunk.id);
    let node = Node::decode(bytes).map_err(Error::decode(called()))?;
    let mut found = Vec::new();
    for index in 0..node.len() {
        if node.level() > 0 {
            let child = Child::decode(node.value(index)).map_err(Error::decode(called()))?;
            let key = Some(node.key(index).to_vec());
            found.push(Reference { chunk: reference(ChunkKind::Node, child.id), key });
            continue;
        }
        let entry = FileEntry::decode(node.value(index)).map_err(Error::decode(called()))?;
        let key = || Some(node.key(index).to_vec());
        match &entry.content {
            Content::Chunks(chunks) => found.extend(chunks.iter().map(|(id, _)| Reference {
                chunk: reference(ChunkKind::Content, *id),
                key: key(),
            })),
            Content::Recipe { root, .. } => {
                found.push(Reference { chunk: reference(ChunkKind::Recipe, *root), key: key() });
            }
        }
        if let ExtraAt::Chunk(id) = entry.extra {
            found.push(Reference { chunk: reference(ChunkKind::Extra, id), key: key() });
        }
    }
    Ok(found)
}

fn recipe_references(chunk: ChunkRef, bytes: &[u8]) -> Result<Vec<Reference>> {
    let node =
        RecipeNode::decode(bytes).map_err(Error::decode(format!("recipe node {}", chunk.id)))?;
    let kind = if node.level > 0 { ChunkKind::Recipe } else { ChunkKind::Content };
    let items = node.items.iter();
    Ok(items.map(|item| Reference { chunk: reference(kind, item.id), key: None }).collect())
}

fn reference(kind: ChunkKind, id: ChunkId) -> ChunkRef {
    ChunkRef { kind, id }
}
