//! Trees of a vault, as this crate reads them: owned sources, and errors in our words.

use bytes::Bytes;
use crypto::{ChunkId, DomainId};
use format::{ChunkKind, ChunkRef};
use tree::NodeSource;
use vault::Reader;

use crate::Error;
use crate::error::PathText;

/// Recipe nodes of a domain, for who must own the source.
#[derive(Clone)]
pub(crate) struct Recipes {
    pub(crate) reader: Reader,
    pub(crate) domain: DomainId,
}

impl NodeSource for Recipes {
    type Error = vault::Error;

    fn node(&self, id: &ChunkId) -> vault::Result<Bytes> {
        self.reader.chunk(self.domain, ChunkRef { kind: ChunkKind::Recipe, id: *id })
    }
}

/// A tree's error, when no file can be named for it.
pub(crate) fn tree_error(error: tree::Error<vault::Error>) -> Error {
    tree_error_at(b"/", error)
}

/// A tree's error, met at this path.
pub(crate) fn tree_error_at(path: &[u8], error: tree::Error<vault::Error>) -> Error {
    match error {
        tree::Error::Store(error) => Error::Vault(error),
        other => Error::Tree { path: PathText::new(path), message: other.to_string() },
    }
}
