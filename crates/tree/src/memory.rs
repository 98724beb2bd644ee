//! Nodes in memory, for tests and examples.
//!
//! Clones share one set of nodes, so one clone may be read while another is written to. It counts
//! what is read and what is new, so that a test can say how much work an operation did. It does not
//! check bytes against names, so that a test can say what happens when a node is not what it was.

use crate::{NodeSink, NodeSource};
use bytes::Bytes;
use crypto::ChunkId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A set of nodes in memory.
#[derive(Clone)]
pub struct MemoryNodes {
    name: Arc<Name>,
    state: Arc<Mutex<State>>,
}

impl MemoryNodes {
    /// An empty set whose nodes are named by `name`, which must tell different bytes apart.
    pub fn new(name: impl Fn(&[u8]) -> ChunkId + Send + Sync + 'static) -> Self {
        Self { name: Arc::new(name), state: Arc::default() }
    }

    /// Puts bytes under a name that need not be theirs.
    pub fn replace(&self, id: ChunkId, bytes: impl Into<Bytes>) {
        self.state().nodes.insert(id, bytes.into());
    }

    /// Takes a node away.
    pub fn remove(&self, id: &ChunkId) {
        self.state().nodes.remove(id);
    }

    /// The names of all nodes, sorted.
    pub fn ids(&self) -> Vec<ChunkId> {
        let mut ids: Vec<ChunkId> = self.state().nodes.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.state().nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many nodes were read since the last call.
    pub fn take_reads(&self) -> u64 {
        std::mem::take(&mut self.state().reads)
    }

    /// How many nodes were put since the last call, also those that were there already.
    pub fn take_puts(&self) -> u64 {
        std::mem::take(&mut self.state().puts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeSource for MemoryNodes {
    type Error = MissingNode;

    fn node(&self, id: &ChunkId) -> Result<Bytes, MissingNode> {
        let mut state = self.state();
        state.reads += 1;
        state.nodes.get(id).cloned().ok_or(MissingNode(*id))
    }
}

impl NodeSink for MemoryNodes {
    type Error = MissingNode;

    fn put_node(&mut self, bytes: &[u8]) -> Result<ChunkId, MissingNode> {
        let id = (self.name)(bytes);
        let mut state = self.state();
        state.puts += 1;
        state.nodes.entry(id).or_insert_with(|| Bytes::copy_from_slice(bytes));
        Ok(id)
    }
}

/// A node that is not in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {0} is not there")]
pub struct MissingNode(pub ChunkId);

type Name = dyn Fn(&[u8]) -> ChunkId + Send + Sync;

#[derive(Default)]
struct State {
    nodes: HashMap<ChunkId, Bytes>,
    reads: u64,
    puts: u64,
}
