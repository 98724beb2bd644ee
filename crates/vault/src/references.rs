//! What a metadata chunk refers to: the chunks that must exist for it to be of use.
//!
//! Verification walks them from each snapshot's root, as a collector's mark will. Everything is a
//! node of some tree, so no content key is needed. FORMAT.md §8.

use format::{
    Child, ChunkId, ChunkKind, ChunkRef, Content, DecodeError, Descriptor, ExtraAt, FileEntry,
    Node, RecipeNode,
};

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
    let mut found = Vec::new();
    each_reference(chunk, bytes, |chunk, key| {
        found.push(Reference { chunk, key: key.map(<[u8]>::to_vec) });
    })?;
    Ok(found)
}

/// Gives each reference of a chunk, with its key, as [`references`] does.
///
/// # Errors
/// When the bytes do not decode, or the chunk is of a kind whose references are not known: it must
/// not be taken for one without any.
pub(crate) fn each_reference(
    chunk: ChunkRef,
    bytes: &[u8],
    mut each: impl FnMut(ChunkRef, Option<&[u8]>),
) -> Result<()> {
    match chunk.kind {
        ChunkKind::Node => node_references(chunk, bytes, each),
        ChunkKind::Recipe => recipe_references(chunk, bytes, each),
        ChunkKind::Descriptor => {
            let descriptor = Descriptor::decode(bytes).map_err(undecodable("descriptor", chunk))?;
            each(descriptor.root_ref(), None);
            Ok(())
        }
        ChunkKind::Content | ChunkKind::Extra | ChunkKind::Body => Ok(()),
        ChunkKind::Links => {
            let reason = "this program does not know what it refers to";
            Err(Error::object(format!("{} chunk {}", chunk.kind, chunk.id), reason))
        }
    }
}

fn node_references(
    chunk: ChunkRef,
    bytes: &[u8],
    mut each: impl FnMut(ChunkRef, Option<&[u8]>),
) -> Result<()> {
    let undecodable = undecodable("tree node", chunk);
    let node = Node::decode(bytes).map_err(undecodable)?;
    for index in 0..node.len() {
        let key = Some(node.key(index));
        if node.level() > 0 {
            let child = Child::decode(node.value(index)).map_err(undecodable)?;
            each(reference(ChunkKind::Node, child.id), key);
            continue;
        }
        let entry = FileEntry::decode(node.value(index)).map_err(undecodable)?;
        match &entry.content {
            Content::Chunks(chunks) => {
                chunks.iter().for_each(|(id, _)| each(reference(ChunkKind::Content, *id), key));
            }
            Content::Recipe { root, .. } => each(reference(ChunkKind::Recipe, *root), key),
        }
        if let ExtraAt::Chunk(id) = entry.extra {
            each(reference(ChunkKind::Extra, id), key);
        }
    }
    Ok(())
}

fn recipe_references(
    chunk: ChunkRef,
    bytes: &[u8],
    mut each: impl FnMut(ChunkRef, Option<&[u8]>),
) -> Result<()> {
    let node = RecipeNode::decode(bytes).map_err(undecodable("recipe node", chunk))?;
    let kind = if node.level > 0 { ChunkKind::Recipe } else { ChunkKind::Content };
    node.items.iter().for_each(|item| each(reference(kind, item.id), None));
    Ok(())
}

/// Names the chunk only when there is an error: millions of entries are decoded.
fn undecodable(what: &str, chunk: ChunkRef) -> impl Fn(DecodeError) -> Error + Copy {
    move |error| Error::object(format!("{what} {}", chunk.id), error)
}

fn reference(kind: ChunkKind, id: ChunkId) -> ChunkRef {
    ChunkRef { kind, id }
}
