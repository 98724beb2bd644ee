//! Where nodes come from and where they go.
//!
//! Both traits speak of a node's bytes and its name only. A tree's nodes and a recipe's nodes use
//! the same pair of traits with different implementors, since the kind of chunk is part of a name.
//! The name of a node is a digest of its bytes: equal bytes, equal name, in one store.

use bytes::Bytes;
use crypto::ChunkId;

/// Finds nodes by name.
pub trait NodeSource {
    /// Why a node cannot be had.
    type Error;

    /// The bytes of a node, checked against its name.
    fn node(&self, id: &ChunkId) -> Result<Bytes, Self::Error>;
}

/// Takes nodes and names them.
pub trait NodeSink {
    /// Why a node cannot be taken.
    type Error;

    /// Takes a node, which may be there already, and says its name.
    fn put_node(&mut self, bytes: &[u8]) -> Result<ChunkId, Self::Error>;
}

impl<S: NodeSource + ?Sized> NodeSource for &S {
    type Error = S::Error;

    fn node(&self, id: &ChunkId) -> Result<Bytes, Self::Error> {
        (**self).node(id)
    }
}

impl<K: NodeSink + ?Sized> NodeSink for &mut K {
    type Error = K::Error;

    fn put_node(&mut self, bytes: &[u8]) -> Result<ChunkId, Self::Error> {
        (**self).put_node(bytes)
    }
}
