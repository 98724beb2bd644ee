//! The builder against the rule written down naively, and at its limits. The naive form holds all
//! levels in memory; the builder must not, and gives the same nodes.

use crate::boundary::weight;
use crate::testing::{Map, any_map, build, entries, nodes, read, tiny};
use crate::{Boundary, Builder, Error, MemoryNodes, NodeSink, Root};
use format::{Child, Node, NodeEncoder, TREE_KEY_BYTES_MAX, TREE_VALUE_BYTES_MAX};
use proptest::prelude::*;

/// Cuts each level whole, from the leaves up, until one has a single node.
fn naive(mut nodes: MemoryNodes, boundary: &Boundary, map: &Map) -> Root {
    let mut row: Vec<(Vec<u8>, Vec<u8>, u64, u64)> =
        map.iter().map(|(k, v)| (k.clone(), v.clone(), 1, weight(k, v))).collect();
    for level in 0.. {
        let (mut above, mut start, mut before) = (Vec::new(), 0, 0);
        for end in 1..=row.len() {
            let (key, value, ..) = &row[end - 1];
            let weight = weight(key, value);
            let cut = boundary.cut(level, (end - start) as u64, before, key, weight);
            before += weight;
            if cut || end == row.len() {
                above.push(put(&mut nodes, level, &row[start..end]));
                (start, before) = (end, 0);
            }
        }
        if row.is_empty() {
            above.push(put(&mut nodes, level, &[]));
        }
        if let [(_, value, count, bytes)] = &above[..] {
            let child = Child::decode(value).unwrap();
            return Root { id: child.id, level, count: *count, bytes: *bytes };
        }
        row = above;
    }
    unreachable!("each level is shorter than the one below")
}

fn put(
    nodes: &mut MemoryNodes,
    level: u8,
    entries: &[(Vec<u8>, Vec<u8>, u64, u64)],
) -> (Vec<u8>, Vec<u8>, u64, u64) {
    let mut encoder = NodeEncoder::new(level);
    let (mut count, mut bytes) = (0, 0);
    for (key, value, more, heavier) in entries {
        encoder.push(key, value);
        (count, bytes) = (count + more, bytes + heavier);
    }
    let last_key = encoder.last_key().to_vec();
    let id = nodes.put_node(&encoder.take()).unwrap();
    (last_key, Child { id, count, bytes }.encode().to_vec(), count, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_tree_is_what_the_rule_says(map in any_map(300)) {
        let nodes = nodes();
        let root = build(&nodes, tiny(), &map);
        prop_assert_eq!(root, naive(nodes.clone(), &tiny(), &map));
        prop_assert_eq!(root, Root::read(&nodes, root.id).unwrap());
        prop_assert_eq!(read(&nodes, root.id).unwrap(), map);
    }
}

#[test]
fn an_empty_map_is_one_empty_leaf() {
    let nodes = nodes();
    let root = build(&nodes, tiny(), &Map::new());
    assert_eq!((root.level, root.count, root.bytes, nodes.len()), (0, 0, 0, 1));
    assert_eq!(read(&nodes, root.id), Ok(Map::new()));
}

#[test]
fn one_entry_is_one_leaf_even_when_it_fills_a_node() {
    for value_bytes in [0, 1, TREE_VALUE_BYTES_MAX] {
        let nodes = nodes();
        let map = Map::from([(b"key".to_vec(), vec![9; value_bytes])]);
        let root = build(&nodes, tiny(), &map);
        assert_eq!((root.level, root.count, nodes.len()), (0, 1, 1));
        assert_eq!(root.bytes, value_bytes as u64 + 3 + 8);
        assert_eq!(read(&nodes, root.id), Ok(map));
    }
}

#[test]
fn the_longest_keys_and_values_make_a_tree_of_bounded_depth() {
    let nodes = nodes();
    let map: Map =
        (0..40u8).map(|n| (vec![n; TREE_KEY_BYTES_MAX], vec![n; TREE_VALUE_BYTES_MAX])).collect();
    let root = build(&nodes, tiny(), &map);
    assert_eq!(root.level, 6, "40 leaves, two to a node");
    assert_eq!(read(&nodes, root.id), Ok(map));
}

#[test]
fn only_the_last_node_of_a_level_has_a_single_child() {
    let nodes = nodes();
    let root = build(&nodes, tiny(), &entries(2000));
    let is_single = |id| {
        let node = Node::decode(&crate::NodeSource::node(&nodes, &id).unwrap()).unwrap();
        node.level() > 0 && node.len() == 1
    };
    let singles = nodes.ids().into_iter().filter(|id| is_single(*id)).count();
    assert!(singles < usize::from(root.level), "{singles} below level {}", root.level);
}

#[test]
fn keys_out_of_order_are_refused_by_name() {
    let mut builder = Builder::new(tiny(), nodes());
    builder.push(b"b", b"").unwrap();
    for key in [&b"b"[..], b"a", b""] {
        let error = builder.push(key, b"").unwrap_err();
        assert_eq!(error, Error::Order { before: b"b".to_vec(), key: key.to_vec() });
    }
    let error = builder.push(b"a", b"").unwrap_err().to_string();
    assert_eq!(error, "keys must arrive in strict order: \"a\" came after \"b\"");
}

#[test]
fn what_is_too_long_is_refused_with_its_length() {
    let mut builder = Builder::new(tiny(), nodes());
    let error = builder.push(&[1; TREE_KEY_BYTES_MAX + 1], b"").unwrap_err();
    assert_eq!(error.to_string(), "a tree's key, in bytes, may be at most 8192, and is 8193");
    let error = builder.push(b"", &[1; TREE_VALUE_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.to_string(), "a tree's value, in bytes, may be at most 65536, and is 65537");
}
