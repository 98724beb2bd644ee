//! What the tests of this crate share: one boundary, one way to name nodes, made-up entries. Keys
//! come from a small set, so that edits meet entries.

use crate::{Boundary, Builder, Cursor, Edit, Error, MemoryNodes, MissingNode, Root, update};
use crypto::{ChunkId, Digest, DomainId, Keyring, RootSecret, Suite};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

pub(crate) type Map = BTreeMap<Vec<u8>, Vec<u8>>;

static BOUNDARY_KEY: LazyLock<Arc<crypto::TreeKey>> = LazyLock::new(|| {
    let keyring = Keyring::owner(RootSecret::from_bytes([7; 32].into()), Suite::Aes256Gcm);
    Arc::new(keyring.tree(DomainId::DEFAULT).unwrap())
});

pub(crate) fn boundary(leaf_exponent: u8, interior_exponent: u8) -> Boundary {
    Boundary::new(BOUNDARY_KEY.clone(), leaf_exponent, interior_exponent)
}

/// Nodes so small that few entries make a deep tree.
pub(crate) fn tiny() -> Boundary {
    boundary(7, 8)
}

pub(crate) fn nodes() -> MemoryNodes {
    MemoryNodes::new(|bytes| ChunkId::from_bytes(*Digest::of(bytes).as_bytes()))
}

pub(crate) fn build(nodes: &MemoryNodes, boundary: Boundary, map: &Map) -> Root {
    let mut builder = Builder::new(boundary, nodes.clone());
    for (key, value) in map {
        builder.push(key, value).unwrap();
    }
    builder.finish().unwrap()
}

pub(crate) fn read(nodes: &MemoryNodes, root: ChunkId) -> Result<Map, Error<MissingNode>> {
    let mut cursor = Cursor::new(nodes, root);
    let mut map = Map::new();
    while let Some((key, value)) = cursor.next()? {
        let after_all = map.last_key_value().is_none_or(|(last, _)| &last[..] < key);
        assert!(after_all, "a reader gives keys in strict order");
        map.insert(key.to_vec(), value.to_vec());
    }
    Ok(map)
}

pub(crate) fn edit(
    nodes: &MemoryNodes,
    boundary: Boundary,
    root: Root,
    edits: impl IntoIterator<Item = Edit>,
) -> Root {
    update(nodes, nodes.clone(), boundary, root.id, edits).unwrap()
}

/// Entries like a file tree's: paths and about a hundred bytes each.
pub(crate) fn entries(count: u64) -> Map {
    let mut random = Random(1);
    (0..count)
        .map(|n| {
            let value = vec![random.next() as u8; 60 + (random.next() % 80) as usize];
            (format!("folder-{:03}/file-{n:07}", n / 500).into_bytes(), value)
        })
        .collect()
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Keys from a small set, so that edits meet entries; of several lengths, the empty one too.
pub(crate) fn any_key() -> impl Strategy<Value = Vec<u8>> {
    (0..400u32, 0..3usize).prop_map(|(n, form)| match (n, form) {
        (0, _) => Vec::new(),
        (_, 0) => n.to_be_bytes()[2..].to_vec(),
        (_, 1) => format!("{n}").into_bytes(),
        _ => vec![(n % 251) as u8; (n % 60) as usize],
    })
}

pub(crate) fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (any::<u8>(), 0..40usize).prop_map(|(byte, length)| vec![byte; length]),
        1 => (any::<u8>(), 0..2000usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

pub(crate) fn any_map(entries: usize) -> impl Strategy<Value = Map> {
    prop::collection::btree_map(any_key(), any_value(), 0..entries)
}

/// Inserts, overwrites and removals, in order.
pub(crate) fn any_edits(edits: usize) -> impl Strategy<Value = BTreeMap<Vec<u8>, Option<Vec<u8>>>> {
    prop::collection::btree_map(any_key(), prop::option::of(any_value()), 0..edits)
}

pub(crate) fn apply(map: &mut Map, edits: &BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
    for (key, value) in edits {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}
