//! A node of a recipe: the list of a long file's chunks.
//!
//! A recipe is a list tree. A leaf names content chunks, a node above names the nodes below; each
//! item says how many bytes it stands for, so a reader finds an offset by adding, and an insertion
//! leaves all other items as they are. FORMAT.md §8.

use crate::{ChunkId, DecodeError, Decoder, Encoder, NODE_BYTES_MAX, TREE_DEPTH_MAX};

const VERSION: u8 = 1;
const ITEM_BYTES: usize = 32 + 8;

/// A node of a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeNode {
    /// 0 for a leaf.
    pub level: u8,
    /// The chunks of a leaf, or the nodes below.
    pub items: Vec<RecipeItem>,
}

/// One chunk, or one node below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecipeItem {
    /// A content chunk in a leaf, else a recipe node.
    pub id: ChunkId,
    /// How many bytes of the file it stands for.
    pub length: u64,
}

impl RecipeNode {
    /// The node's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).u8(self.level).list(&self.items, |e, item| {
            e.raw(item.id.as_bytes()).u64(item.length);
        });
        e.finish()
    }

    /// Reads a node.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "a recipe node", version, known: VERSION });
        }
        let level = d.u8()?;
        if level > TREE_DEPTH_MAX {
            return Err(d.invalid("the level of a recipe node", level.into()));
        }
        let items: Vec<RecipeItem> = d.list(NODE_BYTES_MAX / ITEM_BYTES, ITEM_BYTES, |d| {
            let id = ChunkId::from_bytes(d.array()?);
            let length = d.u64()?;
            match length {
                0 => Err(d.invalid("the length of a recipe's item", 0)),
                _ => Ok(RecipeItem { id, length }),
            }
        })?;
        d.finish()?;
        if items.is_empty() || items.iter().try_fold(0u64, |s, i| s.checked_add(i.length)).is_none()
        {
            return Err(DecodeError::NotCanonical { what: "a recipe node's items" });
        }
        Ok(Self { level, items })
    }
}
