//! Why a tree cannot be read or built.
//!
//! [`Error::Store`] passes on what the store said. [`Error::Malformed`] names the node that is not
//! what its parent says; the store vouches for a node's bytes, so this is a tree that was never
//! built by these rules. The others are the caller's: keys out of order, values beyond a limit.

use crypto::{ChunkId, DecodeError};

/// Why a tree cannot be read or built; `E` is the store's own error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The store cannot give or take a node.
    #[error(transparent)]
    Store(E),
    /// A node is not what it should be where it was found.
    #[error("node {node} of a tree is malformed: {what}")]
    Malformed {
        /// Which node.
        node: ChunkId,
        /// What is wrong with it.
        what: Flaw,
    },
    /// Keys did not arrive in strict order.
    #[error("keys must arrive in strict order: {} came after {}", shown(key), shown(before))]
    Order {
        /// The key that came first.
        before: Vec<u8>,
        /// The key that is not greater.
        key: Vec<u8>,
    },
    /// Something is larger than the format allows.
    #[error("{what} may be at most {max}, and is {value}")]
    Limit {
        /// What is measured, with its unit.
        what: &'static str,
        /// How much it is.
        value: u64,
        /// How much it may be.
        max: u64,
    },
    /// A recipe has no chunks, or a chunk has no bytes.
    #[error("{what} is empty")]
    Empty {
        /// What is empty.
        what: &'static str,
    },
}

impl<E> Error<E> {
    pub(crate) fn malformed(node: ChunkId, what: impl Into<Flaw>) -> Self {
        Self::Malformed { node, what: what.into() }
    }

    /// Checks `value` against a limit.
    pub(crate) fn limit(what: &'static str, value: usize, max: usize) -> Result<(), Self> {
        match value <= max {
            true => Ok(()),
            false => Err(Self::Limit { what, value: value as u64, max: max as u64 }),
        }
    }
}

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Its bytes are not a node.
    #[error(transparent)]
    Bytes(#[from] DecodeError),
    /// It lies at another level than right beneath its parent.
    #[error("its level is {actual}, and its parent expects {expected}")]
    Level {
        /// The level right beneath its parent's.
        expected: u8,
        /// The level that it says.
        actual: u8,
    },
    /// It has fewer entries than a node in its place may have.
    #[error("it has {actual} entries, and a node in its place has at least {least}")]
    Entries {
        /// How many it has.
        actual: usize,
        /// How many it must have.
        least: usize,
    },
    /// Its first key is not greater than the last key of the node before it.
    #[error("its first key is not greater than the last key before it")]
    Order,
    /// Its last key is not the key that its parent holds for it.
    #[error("its last key is not the one that its parent holds for it")]
    LastKey,
    /// Its entries' number is not what its parent says.
    #[error("it holds {actual} entries, and its parent says {expected}")]
    Count {
        /// What the parent says.
        expected: u64,
        /// What it holds.
        actual: u64,
    },
    /// Its entries' weight or length is not what its parent says.
    #[error("what it holds is {actual} bytes, and its parent says {expected}")]
    Weight {
        /// What the parent says.
        expected: u64,
        /// What it holds.
        actual: u64,
    },
    /// The sum over its entries does not fit in 64 bits.
    #[error("what it holds adds up to more than 2^64")]
    Sum,
    /// A leaf of a recipe holds a chunk that is longer than chunks are.
    #[error("it holds a chunk of {actual} bytes, and a chunk has at most {max}")]
    Chunk {
        /// What it says.
        actual: u64,
        /// The longest chunk.
        max: u32,
    },
}

/// A key for a message: printable, and not longer than a line.
fn shown(key: &[u8]) -> String {
    const BYTES_SHOWN: usize = 64;
    match key.split_at_checked(BYTES_SHOWN) {
        Some((start, rest)) if !rest.is_empty() => {
            format!("\"{}…\" ({} bytes)", start.escape_ascii(), key.len())
        }
        _ => format!("\"{}\"", key.escape_ascii()),
    }
}
