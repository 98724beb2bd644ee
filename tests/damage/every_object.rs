//! Each object of the vault, harmed in each way.
//!
//! Two judges read afterwards: a new machine that has only the key, and a host that has seen the
//! vault whole. The first must get identical data or an error; that the newest records are withheld
//! it cannot know. The second must notice that too (P2).

use places::{ObjectName, Place};

use crate::world::{Reading, World};
use strongroom::{Alarm, Result};

/// What can happen to an object's bytes.
type Harm = (&'static str, fn(&mut Vec<u8>));

const HARMS: [Harm; 9] = [
    ("its first byte flipped", |bytes| flip(bytes, |_| 0)),
    ("a byte of its first hundred flipped", |bytes| flip(bytes, |_| 97)),
    ("its middle flipped", |bytes| flip(bytes, |length| length / 2)),
    ("its last byte flipped", |bytes| flip(bytes, |length| length.saturating_sub(1))),
    ("its last byte cut off", |bytes| bytes.truncate(bytes.len().saturating_sub(1))),
    ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("emptied", Vec::clear),
    ("a byte added", |bytes| bytes.push(0)),
    ("garbage instead", |bytes| bytes.iter_mut().for_each(|b| *b = b.wrapping_mul(31) ^ 0x5a)),
];

fn flip(bytes: &mut [u8], at: fn(usize) -> usize) {
    let at = at(bytes.len());
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 0x10;
    }
}

#[test]
fn harmed_bytes_are_an_error_or_change_nothing() {
    let world = World::new(1);
    let whole = world.place.snapshot();
    for (number, name) in world.place.names().into_iter().enumerate() {
        for (harm, change) in HARMS {
            world.place.corrupt(&name, change);
            judge(&world, &format!("{name} with {harm}"), number, &name);
            world.place.restore(&whole);
        }
    }
}

#[test]
fn a_removed_object_is_an_error_or_changes_nothing() {
    let world = World::new(2);
    let whole = world.place.snapshot();
    for (number, name) in world.place.names().into_iter().enumerate() {
        world.place.delete(&name).unwrap();
        judge(&world, &format!("{name} removed"), number, &name);
        world.place.restore(&whole);
    }
}

#[test]
fn an_object_of_another_vault_is_an_error_or_changes_nothing() {
    let (world, foreign) = (World::new(3), World::new(4));
    let whole = world.place.snapshot();
    for (number, name) in world.place.names().into_iter().enumerate() {
        let folder = name.as_str().split('/').next().unwrap_or_default();
        let alike = foreign.place.names().into_iter().find(|other| {
            other == &name || other.as_str().split('/').next().unwrap_or_default() == folder
        });
        let alike = alike.expect("both vaults have the same kinds of objects");
        let bytes = foreign.place.get(&alike, None).unwrap();
        world.place.corrupt(&name, |old| *old = bytes.to_vec());
        judge(&world, &format!("{name} of another vault"), number, &name);
        world.place.restore(&whole);
    }
}

#[test]
fn an_older_record_replayed_under_a_newer_number_is_an_error() {
    let world = World::new(5);
    let whole = world.place.snapshot();
    let records: Vec<ObjectName> =
        world.place.names().into_iter().filter(|n| n.as_str().starts_with("ledger/")).collect();
    for (number, pair) in records.windows(2).enumerate() {
        let older = world.place.get(&pair[0], None).unwrap();
        world.place.corrupt(&pair[1], |bytes| *bytes = older.to_vec());
        judge(&world, &format!("{} replayed as {}", pair[0], pair[1]), number, &pair[1]);
        world.place.restore(&whole);
    }
}

#[test]
fn a_vault_rolled_back_to_an_older_state_is_noticed_by_who_has_seen_a_newer_one() {
    let world = World::new(6);
    let newest =
        world.place.names().into_iter().filter(|n| n.as_str().starts_with("ledger/")).max();
    world.place.delete(&newest.unwrap()).unwrap();

    let reading = world.read("remembering").unwrap();
    let noticed = reading.alarms.iter().any(|alarm| matches!(alarm, Alarm::RolledBack { .. }));
    assert!(noticed, "{:?}", reading.alarms);

    let mut vault = world.open(&world.place.clone(), "remembering").unwrap();
    let refused = vault.write(Default::default());
    assert!(refused.is_err(), "nothing may be appended to a vault that was rolled back");
}

/// Reads as a new machine and as a host that remembers.
fn judge(world: &World, what: &str, number: usize, harmed: &ObjectName) {
    let in_ledger = harmed.as_str().starts_with("ledger/");
    let fresh = format!("new-{number}-{}", what.len());
    match world.read(&fresh) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(reading) if is_identical(world, &reading) => {}
        Ok(reading) => {
            // With a record gone or void, later snapshots may be withheld; wrong data may not come.
            assert!(in_ledger, "{what}: other data came back");
            assert!(is_part(world, &reading), "{what}: wrong data came back");
        }
    }
    let remembering = world.read("remembering");
    assert!(is_noticed(world, &remembering), "{what}: a host that remembers did not notice");
}

fn is_identical(world: &World, reading: &Reading) -> bool {
    reading.contents == world.contents
}

fn is_part(world: &World, reading: &Reading) -> bool {
    reading.contents.iter().all(|(key, value)| world.contents.get(key) == Some(value))
}

/// Whether what was read is an error, raises an alarm, or is what it was.
fn is_noticed(world: &World, reading: &Result<Reading>) -> bool {
    match reading {
        Err(_) => true,
        Ok(reading) if is_identical(world, reading) => true,
        Ok(reading) => reading.alarms.iter().any(|alarm| {
            matches!(alarm, Alarm::Break(_) | Alarm::RolledBack { .. } | Alarm::Forked { .. })
        }),
    }
}
