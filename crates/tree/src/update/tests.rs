//! An update is a build from scratch that reads less. Each test compares roots, so one byte of
//! difference in any node fails it.

use crate::testing::{
    Map, any_edits, any_map, apply, boundary, build, edit, entries, nodes, read, tiny,
};
use crate::{Error, update};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_updated_tree_is_the_tree_that_is_built_from_scratch(
        start in any_map(300),
        batches in prop::collection::vec(any_edits(60), 1..6),
    ) {
        for boundary in [tiny(), boundary(4, 4), boundary(8, 7)] {
            let nodes = nodes();
            let mut map = start.clone();
            let mut root = build(&nodes, boundary.clone(), &map);
            for edits in &batches {
                root = edit(&nodes, boundary.clone(), root, edits.clone());
                apply(&mut map, edits);
                prop_assert_eq!(root, build(&nodes, boundary.clone(), &map));
            }
            prop_assert_eq!(read(&nodes, root.id).unwrap(), map);
        }
    }

    #[test]
    fn few_edits_to_a_deep_tree_give_the_same_root(edits in any_edits(4), cut in 0..400u32) {
        let nodes = nodes();
        let mut map: Map =
            (0..400u32).map(|n| (n.to_be_bytes()[2..].to_vec(), vec![n as u8; 20])).collect();
        let root = build(&nodes, tiny(), &map);
        let mut edits = edits;
        edits.extend((cut..cut + cut % 90).map(|n| (n.to_be_bytes()[2..].to_vec(), None)));
        let updated = edit(&nodes, tiny(), root, edits.clone());
        apply(&mut map, &edits);
        prop_assert_eq!(updated, build(&nodes, tiny(), &map));
    }

    #[test]
    fn a_tree_forgets_the_order_in_which_its_entries_came(
        entries in prop::collection::vec((any_key_and_value(), 0..5usize), 0..200),
    ) {
        let nodes = nodes();
        let map: Map = entries.iter().map(|(entry, _)| entry.clone()).collect();
        let mut root = build(&nodes, tiny(), &Map::new());
        for batch in 0..5 {
            let edits: Map = entries.iter()
                .filter(|(_, its_batch)| *its_batch == batch)
                .map(|((key, _), _)| (key.clone(), map[key].clone()))
                .collect();
            root = edit(&nodes, tiny(), root, edits.into_iter().map(|(k, v)| (k, Some(v))));
        }
        prop_assert_eq!(root, build(&nodes, tiny(), &map));
    }
}

fn any_key_and_value() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (crate::testing::any_key(), crate::testing::any_value())
}

#[test]
fn removing_all_leaves_the_empty_tree_and_all_can_come_back() {
    let nodes = nodes();
    let map = entries(3000);
    let full = build(&nodes, tiny(), &map);
    let empty = edit(&nodes, tiny(), full, map.keys().map(|key| (key.clone(), None)));
    assert_eq!(empty, build(&nodes, tiny(), &Map::new()));
    let again = edit(&nodes, tiny(), empty, map.into_iter().map(|(k, v)| (k, Some(v))));
    assert_eq!(again, full);
}

#[test]
fn a_deep_tree_of_which_one_end_is_left_is_as_low_as_if_built_so() {
    let nodes = nodes();
    let map = entries(3000);
    let full = build(&nodes, tiny(), &map);
    for kept in [1, 2, 20, 300] {
        for skipped in [0, map.len() - kept] {
            let left: Map =
                map.iter().skip(skipped).take(kept).map(|(k, v)| (k.clone(), v.clone())).collect();
            let gone = map.keys().filter(|key| !left.contains_key(*key));
            let root = edit(&nodes, tiny(), full, gone.map(|key| (key.clone(), None)));
            assert_eq!(root, build(&nodes, tiny(), &left), "{kept} left after {skipped}");
        }
    }
}

#[test]
fn no_edits_read_the_root_alone() {
    let nodes = nodes();
    let root = build(&nodes, tiny(), &entries(1000));
    nodes.take_reads();
    nodes.take_puts();
    assert_eq!(edit(&nodes, tiny(), root, []), root);
    assert_eq!((nodes.take_reads(), nodes.take_puts()), (1, 0));
}

#[test]
fn one_edit_of_a_large_tree_reads_and_writes_a_few_nodes() {
    let nodes = nodes();
    let map = entries(60_000);
    let root = build(&nodes, boundary(13, 14), &map);
    assert_eq!(root.level, 2);
    let (mut reads, mut puts) = (0, 0);
    let keys: Vec<_> = map.keys().step_by(997).collect();
    for (index, key) in keys.iter().enumerate() {
        let change = match index % 3 {
            0 => ((*key).clone(), Some(vec![1; 90])),
            1 => ((*key).clone(), None),
            _ => ([&key[..], b"-new"].concat(), Some(vec![1; 90])),
        };
        nodes.take_reads();
        nodes.take_puts();
        edit(&nodes, boundary(13, 14), root, [change]);
        reads += nodes.take_reads();
        puts += nodes.take_puts();
    }
    let each = (reads as f64 / keys.len() as f64, puts as f64 / keys.len() as f64);
    assert!(each.0 < 4.0 && each.1 < 4.0, "{each:?} nodes read and written for each edit");
}

#[test]
fn edits_out_of_order_are_refused() {
    let nodes = nodes();
    let root = build(&nodes, tiny(), &entries(100));
    let orders = [["b", "a"], ["z", "a"], ["b", "b"], ["folder-000/file-0000050", "a"]];
    for keys in orders {
        let edits = keys.map(|key| (key.as_bytes().to_vec(), None));
        let error = update(&nodes, nodes.clone(), tiny(), root.id, edits).unwrap_err();
        let [before, key] = keys.map(|key| key.as_bytes().to_vec());
        assert_eq!(error, Error::Order { before, key });
    }
}
