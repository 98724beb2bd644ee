//! A diff is what comparing two maps gives, for fewer reads. What both trees share is counted as
//! unread.

use crate::testing::{
    Map, any_edits, any_key, any_map, apply, boundary, build, entries, nodes, tiny,
};
use crate::{Change, Diff, MemoryNodes, Root, diff};
use proptest::prelude::*;
use std::collections::BTreeSet;

type Found = Vec<(Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>)>;

fn found(nodes: &MemoryNodes, a: Root, b: Root) -> Found {
    let mut found = Vec::new();
    diff(nodes, a.id, nodes, b.id, |change| {
        found.push(match change {
            Change::Added { key, value } => (key.to_vec(), None, Some(value.to_vec())),
            Change::Removed { key, value } => (key.to_vec(), Some(value.to_vec()), None),
            Change::Changed { key, before, after } => {
                (key.to_vec(), Some(before.to_vec()), Some(after.to_vec()))
            }
        });
    })
    .unwrap();
    found
}

fn expected(a: &Map, b: &Map) -> Found {
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    keys.into_iter()
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| (key.clone(), a.get(key).cloned(), b.get(key).cloned()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn all_differences_come_in_order(
        a in any_map(300),
        edits in any_edits(40),
        other in any_map(99),
    ) {
        let nodes = nodes();
        let mut b = a.clone();
        apply(&mut b, &edits);
        let roots = [&a, &b, &other].map(|map| build(&nodes, tiny(), map));
        prop_assert_eq!(found(&nodes, roots[0], roots[1]), expected(&a, &b));
        prop_assert_eq!(found(&nodes, roots[1], roots[0]), expected(&b, &a));
        prop_assert_eq!(found(&nodes, roots[0], roots[2]), expected(&a, &other));
        prop_assert_eq!(found(&nodes, roots[2], roots[2]), vec![]);
    }

    #[test]
    fn a_range_gives_the_differences_that_lie_in_it(
        a in any_map(300),
        edits in any_edits(40),
        (start, end) in (any_key(), any_key()),
    ) {
        let nodes = nodes();
        let mut b = a.clone();
        apply(&mut b, &edits);
        let roots = [&a, &b].map(|map| build(&nodes, tiny(), map));
        let mut keys = Vec::new();
        let mut diff = Diff::new(&nodes, roots[0].id, &nodes, roots[1].id)
            .within(start.clone()..end.clone());
        while let Some(change) = diff.next().unwrap() {
            keys.push(match change {
                Change::Added { key, .. } | Change::Removed { key, .. } => key.to_vec(),
                Change::Changed { key, .. } => key.to_vec(),
            });
        }
        let within = |key: &Vec<u8>| start <= *key && *key < end;
        let expected = expected(&a, &b).into_iter().map(|(key, ..)| key).filter(within);
        prop_assert_eq!(keys, expected.collect::<Vec<_>>());
    }
}

#[test]
fn what_is_shared_is_not_read() {
    let nodes = nodes();
    let a = entries(60_000);
    let mut b = a.clone();
    for key in a.keys().step_by(6000) {
        b.insert(key.clone(), b"changed".to_vec());
    }
    let [root_a, root_b] = [&a, &b].map(|map| build(&nodes, boundary(13, 14), map));
    nodes.take_reads();
    assert_eq!(found(&nodes, root_a, root_a), vec![]);
    assert_eq!(nodes.take_reads(), 0);
    assert_eq!(found(&nodes, root_a, root_b).len(), 10);
    let reads = nodes.take_reads();
    assert!(reads <= 2 * 10 * 4, "{reads} nodes were read of {}", nodes.len());
}
