//! A node of an ordered map: keys in strict order, each with a value.
//!
//! A key is stored without the bytes that it shares with the key before it; every 16th is whole,
//! and the offsets of those end the node, so a reader may search without reading all. Values of a
//! node above the leaves name the node below, with the number and weight of what lies there. Equal
//! content has equal bytes: the decoder refuses anything else. FORMAT.md §8.

use crate::{
    ChunkId, DecodeError, Decoder, Encoder, NODE_BYTES_MAX, TREE_DEPTH_MAX, TREE_KEY_BYTES_MAX,
    TREE_VALUE_BYTES_MAX,
};

const VERSION: u8 = 1;
const ENTRY_BYTES_MIN: usize = 2 + 2 + 4;
/// Every so many entries the whole key is stored.
const RESTART_ENTRIES: usize = 16;

/// Builds the bytes of a node from its entries, in order.
pub struct NodeEncoder {
    level: u8,
    count: u32,
    last_key: Vec<u8>,
    restarts: Vec<u32>,
    entries: Encoder,
}

impl NodeEncoder {
    /// A node of this level without entries; 0 is a leaf.
    pub fn new(level: u8) -> Self {
        Self {
            level,
            count: 0,
            last_key: Vec::new(),
            restarts: Vec::new(),
            entries: Encoder::new(),
        }
    }

    /// Adds the next entry; keys must arrive in strict order and keep the limits.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        debug_assert!(self.count == 0 || key > &self.last_key[..], "keys arrive in strict order");
        let mut shared = 0;
        if (self.count as usize).is_multiple_of(RESTART_ENTRIES) {
            self.restarts.push(u32::try_from(self.entries.len()).expect("a node is small"));
        } else {
            shared = self.last_key.iter().zip(key).take_while(|(a, b)| a == b).count();
        }
        let suffix = &key[shared..];
        self.entries.u16(u16::try_from(shared).expect("a key is at most 8 KiB"));
        self.entries.u16(u16::try_from(suffix.len()).expect("a key is at most 8 KiB"));
        self.entries.raw(suffix).bytes(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(suffix);
        self.count += 1;
    }

    /// How many entries were added.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The key added last; empty before the first.
    pub fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// The node's bytes; the encoder is ready for the next node of its level.
    pub fn take(&mut self) -> Vec<u8> {
        let entries = std::mem::take(&mut self.entries);
        let mut e = Encoder::new();
        e.u8(VERSION).u8(self.level).u32(self.count).raw(entries.as_slice());
        for restart in self.restarts.drain(..) {
            e.u32(restart);
        }
        self.count = 0;
        self.last_key.clear();
        e.finish()
    }
}

/// A node that was read, all keys whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    level: u8,
    keys: Vec<u8>,
    values: Vec<u8>,
    ends: Vec<(u32, u32)>,
}

impl Node {
    /// Reads a node.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > NODE_BYTES_MAX {
            let (value, max) = (bytes.len() as u64, NODE_BYTES_MAX as u64);
            return Err(DecodeError::Limit { at: 0, value, max });
        }
        let mut d = Decoder::new(bytes);
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "a tree node", version, known: VERSION });
        }
        let level = d.u8()?;
        if level > TREE_DEPTH_MAX {
            return Err(d.invalid("the level of a tree node", level.into()));
        }
        let count = d.count(NODE_BYTES_MAX / ENTRY_BYTES_MIN, ENTRY_BYTES_MIN)?;
        let mut node = Self {
            level,
            keys: Vec::with_capacity(bytes.len()),
            values: Vec::with_capacity(bytes.len()),
            ends: Vec::with_capacity(count),
        };
        let start = d.position();
        let mut restarts = Vec::with_capacity(count.div_ceil(RESTART_ENTRIES));
        for index in 0..count {
            if index.is_multiple_of(RESTART_ENTRIES) {
                restarts.push((d.position() - start) as u32);
            }
            node.decode_entry(&mut d, index)?;
        }
        for restart in restarts {
            let stored = d.u32()?;
            if stored != restart {
                return Err(d.invalid("a restart offset", stored.into()));
            }
        }
        d.finish()?;
        Ok(node)
    }

    fn decode_entry(&mut self, d: &mut Decoder<'_>, index: usize) -> Result<(), DecodeError> {
        let shared = d.u16()? as usize;
        let suffix_length = d.u16()? as usize;
        let suffix = d.raw(suffix_length)?;
        let (from, to) = match index {
            0 => (0, 0),
            _ => (self.key_start(index - 1), self.keys.len()),
        };
        let whole = index.is_multiple_of(RESTART_ENTRIES);
        if shared > to - from || (whole && shared > 0) {
            return Err(d.invalid("the shared length of a key", shared as u64));
        }
        if shared + suffix_length > TREE_KEY_BYTES_MAX {
            return Err(d.invalid("a key's length", (shared + suffix_length) as u64));
        }
        let previous_tail = &self.keys[from + shared..to];
        // Strict order, and sharing as much as there is: the one canonical form.
        let canonical = match (previous_tail.first(), suffix.first()) {
            _ if index == 0 => true,
            _ if whole => &self.keys[from..to] < suffix,
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(now)) => before < now,
        };
        if !canonical {
            return Err(DecodeError::NotCanonical { what: "the order of a node's keys" });
        }
        self.keys.extend_from_within(from..from + shared);
        self.keys.extend_from_slice(suffix);
        self.values.extend_from_slice(d.bytes(TREE_VALUE_BYTES_MAX)?);
        self.ends.push((self.keys.len() as u32, self.values.len() as u32));
        Ok(())
    }

    /// 0 for a leaf.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has no entries: only the leaf of an empty map.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key of an entry.
    ///
    /// # Panics
    /// When `index` is not less than [`Self::len`].
    pub fn key(&self, index: usize) -> &[u8] {
        &self.keys[self.key_start(index)..self.ends[index].0 as usize]
    }

    /// The value of an entry.
    ///
    /// # Panics
    /// When `index` is not less than [`Self::len`].
    pub fn value(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].1 as usize);
        &self.values[start..self.ends[index].1 as usize]
    }

    /// The first entry whose key is not less than `key`.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn key_start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before].0 as usize)
    }
}

/// The value of an entry above the leaves: the node below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// The node below.
    pub id: ChunkId,
    /// How many entries its leaves hold.
    pub count: u64,
    /// The sum of their weights, key + value + 8 bytes each.
    pub bytes: u64,
}

impl Child {
    /// How many bytes a child's value takes.
    pub const BYTES: usize = 48;

    /// The value's bytes.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(self.id.as_bytes());
        bytes[32..40].copy_from_slice(&self.count.to_le_bytes());
        bytes[40..].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let child = Self { id: ChunkId::from_bytes(d.array()?), count: d.u64()?, bytes: d.u64()? };
        d.finish()?;
        Ok(child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut encoder = NodeEncoder::new(0);
        for (key, value) in entries {
            encoder.push(key, value);
        }
        encoder.take()
    }

    fn entries() -> Vec<(Vec<u8>, Vec<u8>)> {
        (0..40u32).map(|n| (format!("folder/{n:04}").into_bytes(), vec![n as u8; 3])).collect()
    }

    #[test]
    fn a_node_reads_back_with_every_key_whole() {
        let node = Node::decode(&encode(&entries())).unwrap();
        assert_eq!(node.len(), 40);
        for (index, (key, value)) in entries().iter().enumerate() {
            assert_eq!((node.key(index), node.value(index)), (&key[..], &value[..]));
            assert_eq!(node.lower_bound(key), index);
        }
        assert_eq!(node.lower_bound(b"z"), 40);
        assert!(Node::decode(&encode(&[])).unwrap().is_empty());
    }

    #[test]
    fn any_changed_byte_is_refused_or_changes_what_is_read() {
        let bytes = encode(&entries());
        let whole = Node::decode(&bytes).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            if let Ok(node) = Node::decode(&changed) {
                assert_ne!(node, whole, "byte {at} has no meaning");
            }
        }
    }
}
