//! Reading from anywhere, and what a reader refuses. The model is an ordered map in memory; damage
//! is every byte of every node changed, and nodes that no builder makes.

use crate::testing::{Map, any_key, any_map, boundary, build, entries, nodes, read, tiny};
use crate::{Cursor, Error, Flaw, MemoryNodes, NodeSink, NodeSource, Root, get, range};
use crypto::ChunkId;
use format::{Child, Node, NodeEncoder};
use proptest::prelude::*;
use std::ops::Bound;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_seek_finds_what_the_map_finds(
        map in any_map(300),
        seeks in prop::collection::vec((any_key(), 0..4usize), 1..40),
    ) {
        let nodes = nodes();
        let root = build(&nodes, tiny(), &map);
        let mut cursor = Cursor::new(&nodes, root.id);
        for (key, steps) in seeks {
            cursor.seek(&key).unwrap();
            let mut rest = map.range(key.clone()..);
            for _ in 0..steps {
                let entry = rest.next().map(|(key, value)| (&key[..], &value[..]));
                prop_assert_eq!(cursor.peek().unwrap(), entry);
                prop_assert_eq!(cursor.next().unwrap(), entry);
            }
            prop_assert_eq!(get(&nodes, root.id, &key).unwrap(), map.get(&key).cloned());
        }
    }

    #[test]
    fn a_range_is_what_the_map_says(map in any_map(200), a in any_key(), b in any_key()) {
        let nodes = nodes();
        let root = build(&nodes, tiny(), &map);
        let (a, b) = (a.clone().min(b.clone()), a.max(b));
        let mut bounds = vec![
            (Bound::Unbounded, Bound::Included(b.clone())),
            (Bound::Included(a.clone()), Bound::Excluded(b.clone())),
        ];
        if a < b {
            bounds.push((Bound::Excluded(a), Bound::Excluded(b)));
        }
        for bounds in bounds {
            let found: Result<Vec<_>, _> = range(&nodes, root.id, bounds.clone()).collect();
            let expected: Vec<_> =
                map.range(bounds).map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(found.unwrap(), expected);
        }
    }
}

#[test]
fn a_seek_reads_one_path_and_a_seek_close_by_nothing() {
    let nodes = nodes();
    let root = build(&nodes, boundary(13, 14), &entries(60_000));
    let mut cursor = Cursor::new(&nodes, root.id);
    nodes.take_reads();
    cursor.seek(b"folder-050/file-0025000").unwrap();
    assert_eq!(nodes.take_reads(), 3);
    cursor.seek(b"folder-050/file-0025000").unwrap();
    cursor.next().unwrap();
    cursor.seek(b"folder-050/file-0025000").unwrap();
    assert_eq!(nodes.take_reads(), 0);
}

#[test]
fn a_seek_goes_back_over_every_border() {
    let nodes = nodes();
    let map = entries(300);
    let root = build(&nodes, tiny(), &map);
    let mut cursor = Cursor::new(&nodes, root.id);
    for (before, key) in map.keys().zip(map.keys().skip(1)) {
        for sought in [key, before, key] {
            cursor.seek(sought).unwrap();
            assert_eq!(cursor.peek().unwrap().unwrap().0, sought);
        }
    }
}

#[test]
fn a_changed_byte_anywhere_is_refused_or_leaves_the_shape_as_it_was() {
    let nodes = nodes();
    let map: Map = entries(60).into_iter().map(|(k, v)| (k, v[..8].to_vec())).collect();
    let root = build(&nodes, tiny(), &map);
    assert!(root.level >= 2);
    let shape = |map: &Map| (map.len(), map.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>());
    for id in nodes.ids() {
        let whole = nodes.node(&id).unwrap();
        let level = Node::decode(&whole).unwrap().level();
        for (at, mask) in (0..whole.len()).flat_map(|at| [(at, 0x01), (at, 0x80), (at, 0xff)]) {
            let mut changed = whole.to_vec();
            changed[at] ^= mask;
            nodes.replace(id, changed);
            if let Ok(found) = read(&nodes, root.id) {
                assert_eq!(level, 0, "byte {at} of {id} was not noticed");
                assert_eq!(shape(&found), shape(&map), "byte {at} of {id}");
            }
        }
        nodes.replace(id, whole);
    }
    assert_eq!(read(&nodes, root.id), Ok(map));
}

fn leaf(nodes: &mut MemoryNodes, keys: &[&str]) -> Child {
    let mut encoder = NodeEncoder::new(0);
    keys.iter().for_each(|key| encoder.push(key.as_bytes(), b""));
    let id = nodes.put_node(&encoder.take()).unwrap();
    let bytes = keys.iter().map(|key| key.len() as u64 + 8).sum();
    Child { id, count: keys.len() as u64, bytes }
}

fn above(nodes: &mut MemoryNodes, level: u8, children: &[(&str, Child)]) -> Child {
    let mut encoder = NodeEncoder::new(level);
    children.iter().for_each(|(key, child)| encoder.push(key.as_bytes(), &child.encode()));
    let id = nodes.put_node(&encoder.take()).unwrap();
    let sum = |of: fn(&Child) -> u64| children.iter().fold(0, |s: u64, c| s.wrapping_add(of(&c.1)));
    Child { id, count: sum(|c| c.count), bytes: sum(|c| c.bytes) }
}

#[test]
fn a_node_that_is_not_what_its_parent_says_is_named() {
    let nodes = &mut nodes();
    let (a, b) = (leaf(nodes, &["a", "b"]), leaf(nodes, &["c", "d"]));
    let empty = leaf(nodes, &[]);
    let pair = above(nodes, 1, &[("b", a), ("d", b)]);
    let single = above(nodes, 1, &[("b", a)]);
    let overlapping = leaf(nodes, &["b", "e"]);
    let (c, d) = (leaf(nodes, &["e"]), leaf(nodes, &["f"]));
    let behind = above(nodes, 1, &[("e", c), ("f", d)]);
    let inner_single = above(nodes, 1, &[("d", b)]);
    let (e, f) = (leaf(nodes, &["a"]), leaf(nodes, &["b"]));
    let also_pair = above(nodes, 1, &[("a", e), ("b", f)]);
    let left_edge = above(nodes, 2, &[("b", also_pair), ("d", inner_single)]);
    let cases = [
        (vec![("b", a), ("e", b)], 1, b.id, Flaw::LastKey),
        (vec![("b", a), ("e", overlapping)], 1, overlapping.id, Flaw::Order),
        (vec![("b", a), ("d", pair)], 1, pair.id, Flaw::Level { expected: 0, actual: 1 }),
        (vec![("b", a), ("d", b)], 2, a.id, Flaw::Level { expected: 1, actual: 0 }),
        (vec![("b", a), ("e", empty)], 1, empty.id, Flaw::Entries { actual: 0, least: 1 }),
        (vec![("b", single), ("d", b)], 2, single.id, Flaw::Entries { actual: 1, least: 2 }),
        (
            vec![("d", left_edge), ("f", behind)],
            3,
            inner_single.id,
            Flaw::Entries { actual: 1, least: 2 },
        ),
        (
            vec![("b", a), ("d", Child { count: 3, ..b })],
            1,
            b.id,
            Flaw::Count { expected: 3, actual: 2 },
        ),
        (
            vec![("b", a), ("d", Child { bytes: 1, ..b })],
            1,
            b.id,
            Flaw::Weight { expected: 1, actual: 18 },
        ),
    ];
    for (children, level, node, what) in cases {
        let root = above(nodes, level, &children);
        assert_eq!(read(nodes, root.id), Err(Error::Malformed { node, what }));
    }
    assert_eq!(read(nodes, pair.id).unwrap().len(), 4);
}

#[test]
fn a_root_with_one_child_or_too_much_beneath_it_is_refused() {
    let nodes = &mut nodes();
    let (a, b) = (leaf(nodes, &["a", "b"]), leaf(nodes, &["c", "d"]));
    let single = above(nodes, 1, &[("b", a)]).id;
    let flaw = Flaw::Entries { actual: 1, least: 2 };
    assert_eq!(Root::read(nodes, single), Err(Error::Malformed { node: single, what: flaw }));
    let children = [("b", a), ("d", Child { count: u64::MAX, ..b })];
    let huge = above(nodes, 1, &children).id;
    assert_eq!(Root::read(nodes, huge), Err(Error::Malformed { node: huge, what: Flaw::Sum }));
}

#[test]
fn a_node_that_names_itself_ends_the_reading() {
    let nodes = &mut nodes();
    let id = ChunkId::from_bytes([1; 32]);
    let child = Child { id, count: 1, bytes: 9 };
    let mut encoder = NodeEncoder::new(5);
    encoder.push(b"a", &child.encode());
    encoder.push(b"b", &child.encode());
    nodes.replace(id, encoder.take());
    let what = Flaw::Level { expected: 4, actual: 5 };
    assert_eq!(read(nodes, id), Err(Error::Malformed { node: id, what }));
}

#[test]
fn a_missing_node_is_the_stores_error_and_the_rest_stays_readable() {
    let nodes = nodes();
    let map = entries(500);
    let root = build(&nodes, tiny(), &map);
    let first = Node::decode(&nodes.node(&root.id).unwrap()).unwrap();
    nodes.remove(&Child::decode(first.value(0)).unwrap().id);
    assert!(matches!(read(&nodes, root.id), Err(Error::Store(_))));
    let mut cursor = Cursor::new(&nodes, root.id);
    assert!(cursor.next().is_err());
    let (last_key, last_value) = map.last_key_value().unwrap();
    cursor.seek(last_key).unwrap();
    assert_eq!(cursor.next(), Ok(Some((&last_key[..], &last_value[..]))));
    assert_eq!(cursor.next(), Ok(None));
}
