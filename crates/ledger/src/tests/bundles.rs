//! Bundles that mislead, and what writing them asks of the place.
//!
//! A bundle may be by anybody, so each test puts or provokes one and opens a new client.

use std::sync::Arc;

use crypto::Role;
use format::{BUNDLE_RECORDS, Encoder, Kind, Seq, VaultNames};
use places::{Place, PutOptions, Recording, Verb};

use super::world::{Host, World, whole};
use crate::state::State;
use crate::{Context, Draft, Ledger, NoLists, ProcessMemory, RecordBytes, Trust};

fn bundle(records: &[RecordBytes]) -> Vec<u8> {
    let mut e = Encoder::new();
    e.u8(1).u64(0).count(records.len());
    for record in records {
        e.u64(record.whole_length).bytes(&record.bytes);
    }
    e.finish()
}

#[test]
fn a_member_cannot_hide_what_others_appended_behind_a_record_of_its_own() {
    let world = World::new();
    let hostile = world.member(Role::Writer);
    let mut honest = world.member(Role::Writer);
    let next = honest.state().next();
    honest.snapshot(&world, &[1]);
    // Junk where the honest records lie, and the hostile one for that history at the very end.
    let context = Context { trust: Trust::Check, lists: &NoLists, keyring: None };
    let mut records: Vec<_> = (0..next.0).map(|seq| whole(world.bytes(Seq(seq)))).collect();
    let mut state = State::begin(&world.config_bytes, &records[0], Trust::Check).unwrap();
    for record in &records[1..] {
        state.apply(record, &context).unwrap();
    }
    for seq in next.0..BUNDLE_RECORDS - 1 {
        if seq > next.0 + 1 {
            world.put(Seq(seq), vec![0]);
        }
        records.push(whole(vec![0].into()));
        state.apply(&whole(vec![0].into()), &context).unwrap();
    }
    let last = world.forge_on(&state, &hostile, &Draft::new(Kind::Report), |_| ());
    world.put(Seq(BUNDLE_RECORDS - 1), last.clone());
    records.push(whole(last));
    let name = VaultNames::bundle(Seq(0), Seq(BUNDLE_RECORDS - 1));
    let put = world.place.put(&name, bundle(&records).into(), &PutOptions::default());
    assert!(put.is_ok());

    let fresh = world.stranger();
    assert_eq!(fresh.state().snapshots().count(), 1, "the snapshot is hidden");
    assert!(fresh.standing().broken().is_some());
}

#[test]
fn where_nothing_may_be_appended_no_bundle_is_written() {
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    for _ in 0..BUNDLE_RECORDS {
        owner.add(Draft::new(Kind::Report));
    }
    world.put(Seq(owner.state().next().0 + 1), vec![0]);
    assert_eq!(world.root().write_bundles().unwrap(), 0);
}

#[test]
fn bundles_are_looked_for_once_for_each_span() {
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    for _ in 0..BUNDLE_RECORDS {
        owner.add(Draft::new(Kind::Report));
    }
    assert_eq!(owner.write_bundles().unwrap(), 1);
    let recording = Arc::new(Recording::new(world.place.clone()));
    let components = world.components_at(recording.clone());
    let memory = Arc::new(ProcessMemory::new());
    let mut other = Ledger::open(components, &world.config_bytes, None, memory, None).unwrap();
    recording.reset();
    assert_eq!(other.write_bundles().unwrap(), 0);
    assert_eq!(other.write_bundles().unwrap(), 0);
    assert_eq!(recording.log().len(), 1, "one stat");
    assert_eq!(recording.count(Verb::Stat), 1);
}
