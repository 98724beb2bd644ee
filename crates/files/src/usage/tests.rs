//! Numbers against what was counted by hand.
//!
//! Files are so small that each is one chunk, but for one that is cut into many.

use super::*;
use crate::testing::World;
use crate::{BackupOptions, Quiet};

/// Three snapshots of one source and one of another, whose files are single chunks:
/// - 0: a (10), b (20)
/// - 1: a, b changed (25), c (40)
/// - 2: a, b as at first, d = c's content
/// - 3, another source: a, e (7)
fn world() -> World {
    let mut world = World::new();
    world.write("one/a", [b'a'; 10]);
    world.write("one/b", [b'b'; 20]);
    world.write("two/a", [b'a'; 10]);
    world.write("two/e", [b'e'; 7]);
    let of = |world: &World, name: &str| BackupOptions {
        force: true,
        ..BackupOptions::new(name, vec![world.path(name)], world.options().start)
    };
    let (one, two) = (of(&world, "one"), of(&world, "two"));
    world.backup_with(&one, &Quiet).unwrap();
    world.write("one/b", [b'B'; 25]);
    world.write("one/c", [b'c'; 40]);
    world.backup_with(&one, &Quiet).unwrap();
    world.write("one/b", [b'b'; 20]);
    std::fs::rename(world.source().join("one/c"), world.source().join("one/d")).unwrap();
    world.backup_with(&one, &Quiet).unwrap();
    world.backup_with(&two, &Quiet).unwrap();
    world
}

fn numbers(world: &mut World, chosen: &[usize]) -> (Vec<(u64, u64)>, Usage) {
    let snapshots = world.vault.snapshots().unwrap();
    let reader = world.vault.reader().unwrap();
    let ids: Vec<_> = chosen.iter().map(|at| snapshots[*at].id).collect();
    let is_chosen = |snapshot: &Snapshot| ids.contains(&snapshot.id);
    let usage = usage(&reader, &snapshots, is_chosen, &Cancel::new()).unwrap();
    (usage.snapshots.iter().map(|one| (one.unique, one.added)).collect(), usage)
}

#[test]
fn unique_and_added_bytes_are_as_counted_by_hand() {
    let mut world = world();
    let (each, all) = numbers(&mut world, &[]);
    // (unique, added): what came back in the third was held by the first; "a" is of both sources.
    assert_eq!(each, [(0, 30), (25, 65), (0, 0), (7, 17)]);
    assert_eq!((all.chunks, all.unique, all.chosen), (5, 10 + 20 + 25 + 40 + 7, 0));
    assert!(all.snapshots.iter().all(|one| one.problem.is_none()));

    let stored = world.vault.stored_chunks().unwrap();
    assert_eq!((stored.content.chunks, stored.content.plain_bytes), (5, all.unique));
    assert_eq!(stored.content.copied_bytes, 0);
}

#[test]
fn snapshots_that_are_chosen_together_count_together() {
    let mut world = world();
    assert_eq!(numbers(&mut world, &[0, 2]).1.chosen, 20, "b");
    assert_eq!(numbers(&mut world, &[1, 2]).1.chosen, 25 + 40);
    assert_eq!(numbers(&mut world, &[0, 1, 2]).1.chosen, 20 + 25 + 40, "a is held by the other");
    assert_eq!(numbers(&mut world, &[0, 1, 2, 3]).1.chosen, 102);
}

#[test]
fn long_files_count_by_their_chunks() {
    let mut world = World::new();
    let long: Vec<u8> =
        (0..4_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    world.write("long", &long);
    world.backup();
    let mut longer = long.clone();
    longer.extend_from_slice(b"one chunk more or another last one");
    world.write("long", &longer);
    world.backup();
    let (each, all) = numbers(&mut world, &[]);
    assert_eq!(each[0].1, long.len() as u64);
    let shared = all.unique - each[0].0 - each[1].0;
    assert_eq!(shared + each[0].0, long.len() as u64);
    assert_eq!(shared + each[1].0, longer.len() as u64);
    assert!(shared > 8_000_000 && each[1].0 < 8_000_000, "{shared} are shared");
}

#[test]
fn what_is_walked_is_small_and_stops_on_request() {
    assert!(size_of::<(Half, Holding)>() <= 40, "with the table's slack less than 100 bytes");
    let mut world = world();
    let snapshots = world.vault.snapshots().unwrap();
    let reader = world.vault.reader().unwrap();
    let cancel = Cancel::new();
    cancel.raise();
    assert!(matches!(usage(&reader, &snapshots, |_| false, &cancel), Err(Error::Cancelled)));
}
