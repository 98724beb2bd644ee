//! Breaks: what a changed, removed, swapped or hostile record does to who reads it.
//!
//! Every reader stops at the same number; the owner mends, and all agree on what is left.

use crypto::Role;
use format::{Digest, Kind, Ref, Seq};

use super::world::{Host, World, sample};
use crate::{Alarm, Break, Draft, Error, ErrorKind, Ledger, Outcome, VoidReason};

/// A vault with ten records, of which 3 to 9 are a writer's sessions and snapshots.
fn busy() -> (World, Ledger) {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    for number in 0..4 {
        writer.snapshot(&world, &[number]);
    }
    assert_eq!(writer.state().head().seq, Seq(9));
    (world, writer)
}

fn break_of(ledger: &Ledger) -> Break {
    ledger.standing().broken().expect("the ledger is broken").clone()
}

/// A new client of the damaged vault reads up to the break and may not append.
fn assert_broken_at(world: &World, seq: u64) {
    let mut root = world.root();
    assert_eq!(break_of(&root).seq(), Seq(seq));
    assert_eq!(root.state().next(), Seq(seq), "reading goes on up to the break");
    let error = root.append_one(sample(Kind::Policy, vec![])).unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(root.state().next(), Seq(seq));
}

/// The owner settles the break, and everybody agrees on what is left.
fn assert_heals(world: &World, old: &mut Ledger, snapshots_left: usize) {
    assert_eq!(old.state().snapshots().count(), 4, "the old client still knows all");
    let mut root = world.root();
    root.mend().unwrap();
    assert!(root.standing().broken().is_none());
    let fresh = world.root();
    assert!(fresh.standing().forbids_append().is_none(), "{:?}", fresh.standing());
    assert_eq!(fresh.state().snapshots().count(), snapshots_left);
    old.refresh().unwrap();
    assert_eq!(old.state(), fresh.state());
    old.snapshot(world, &[9]);
    root.refresh().unwrap();
    assert_eq!(root.state(), old.state());
}

fn is_genesis_broken(world: &World) -> bool {
    match world.init() {
        Err(Error::Broken(found)) => matches!(*found, Break::Genesis { .. }),
        _ => false,
    }
}

#[test]
fn a_changed_record_breaks_the_chain_after_it_and_a_mend_heals_it() {
    let (world, mut old) = busy();
    world.change(Seq(5), |bytes| bytes[300] ^= 1);
    assert_broken_at(&world, 6);
    assert_heals(&world, &mut old, 3);
}

#[test]
fn a_removed_record_is_missed_and_a_mend_heals_it() {
    let (world, mut old) = busy();
    world.remove(Seq(5));
    assert_eq!(break_of(&world.root()), Break::Missing { seq: Seq(5), above: Seq(6) });
    assert_broken_at(&world, 5);
    assert_heals(&world, &mut old, 3);
}

#[test]
fn several_removed_records_are_missed_however_far_the_next_one_is() {
    let (world, mut old) = busy();
    (4..8).for_each(|seq| world.remove(Seq(seq)));
    assert_eq!(break_of(&world.root()), Break::Missing { seq: Seq(4), above: Seq(8) });
    assert_heals(&world, &mut old, 2);
}

#[test]
fn swapped_records_break_the_chain() {
    let (world, mut old) = busy();
    let (one, two) = (world.bytes(Seq(5)), world.bytes(Seq(6)));
    world.change(Seq(5), |bytes| *bytes = two.to_vec());
    world.change(Seq(6), |bytes| *bytes = one.to_vec());
    assert_broken_at(&world, 7);
    assert_heals(&world, &mut old, 2);
}

#[test]
fn whatever_lies_in_a_records_place_breaks_the_chain_and_nothing_worse() {
    let foreign = World::uninitialised(77);
    foreign.init().unwrap();
    let forged: [Vec<u8>; 5] = [
        vec![],
        vec![0; 1024],
        vec![7; 3 << 20],
        vec![0xff; 1 << 20],
        foreign.bytes(Seq(0)).to_vec(),
    ];
    for bytes in forged {
        let (world, mut old) = busy();
        world.change(Seq(5), |old| *old = bytes);
        assert_broken_at(&world, 6);
        assert_heals(&world, &mut old, 3);
    }
}

#[test]
fn a_member_that_signs_for_another_history_breaks_the_ledger_until_it_is_mended() {
    let (world, mut old) = busy();
    let hostile = world.member(Role::Writer);
    let id = hostile.keyring().unwrap().member_id().unwrap();
    let next = hostile.state().next();
    let draft = Draft::new(Kind::Report);
    let bytes = world.forge(&hostile, &draft, |record| record.prev = Digest::of(b"other"));
    world.put(next, bytes);
    let error = old.append_one(draft).unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error}");
    assert_broken_at(&world, next.0);
    assert_heals(&world, &mut old, 4);
    let refs = vec![Ref::Member(id)];
    world.root().append_one(Draft { refs, ..Draft::new(Kind::Revoke) }).unwrap();
    assert_eq!(world.root().state().voids().newest[0].reason, VoidReason::Mended);
}

#[test]
fn only_the_owner_mends_and_only_what_is_broken() {
    let (world, mut writer) = busy();
    assert!(matches!(world.root().mend(), Err(Error::NotBroken)));
    world.remove(Seq(5));
    assert_eq!(writer.mend().unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn void_records_at_the_tail_move_nothing_and_the_ledger_goes_on_over_them() {
    let (world, mut writer) = busy();
    let before = writer.state().clone();
    let replayed = world.bytes(Seq(4));
    let foreign = World::uninitialised(77);
    foreign.init().unwrap();
    let forged = [
        vec![],
        vec![1; 5000],
        vec![0; 2 << 20],
        replayed.to_vec(),
        foreign.bytes(Seq(0)).to_vec(),
    ];
    for (step, bytes) in forged.into_iter().enumerate() {
        world.put(Seq(10 + step as u64), bytes);
    }
    writer.refresh().unwrap();
    let voids = writer.state().voids();
    let reasons: Vec<_> = voids.newest.iter().map(|void| void.reason).collect();
    use VoidReason::{Malformed, OtherNumber, OtherVault, TooLong};
    assert_eq!(reasons, [Malformed, Malformed, TooLong, OtherNumber, OtherVault]);
    assert_eq!(writer.state().packs().count(), before.packs().count());
    assert_eq!(writer.state().open_sessions().count(), 0);
    writer.snapshot(&world, &[9]);
    assert_eq!(world.root().state().voids().count, 5);
    assert!(world.root().standing().forbids_append().is_none());
}

#[test]
fn junk_behind_a_record_does_not_unbind_it_from_the_chain() {
    let (world, mut writer) = busy();
    world.put(Seq(10), vec![1; 1024]);
    writer.snapshot(&world, &[9]);
    world.change(Seq(9), |bytes| bytes[300] ^= 1);
    assert_eq!(break_of(&world.root()).seq(), Seq(11));
}

#[test]
fn a_missing_list_object_stops_everybody_alike() {
    let (world, _) = busy();
    let mut owner = world.member(Role::Owner);
    let named = (0..5000_u32).map(|n| format::Digest::of(&n.to_le_bytes()));
    let lost = owner.append_one(Draft::on_packs(Kind::Lost, named)).unwrap();
    let lists = format::VaultNames::lists();
    let list = world.place.names().into_iter().find(|name| name.starts_with(&lists)).unwrap();
    let bytes = places::Place::get(&world.place, &list, None).unwrap();
    places::Place::delete(&world.place, &list).unwrap();
    assert!(matches!(break_of(&world.root()), Break::List { seq, .. } if seq == lost.at.seq));
    let _ = places::Place::put(&world.place, &list, bytes, &Default::default()).unwrap();
    assert!(world.root().standing().broken().is_none());
}

#[test]
fn another_record_in_the_genesis_place_is_refused() {
    let world = World::uninitialised(1);
    world.put(Seq(0), vec![1; 1024]);
    assert!(is_genesis_broken(&world));
    let other = World::uninitialised(2);
    other.init().unwrap();
    world.change(Seq(0), |bytes| *bytes = other.bytes(Seq(0)).to_vec());
    assert!(is_genesis_broken(&world));
}

#[test]
fn a_replay_tells_what_became_of_each_record() {
    let (world, writer) = busy();
    let mut outcomes = Vec::new();
    let state = writer
        .replay(|_, applied| {
            outcomes.extend(applied.map(|applied| applied.outcome));
            Ok(())
        })
        .unwrap();
    assert_eq!(&state, writer.state());
    assert_eq!(outcomes, vec![Outcome::Valid; 9]);
    let entry = writer.read(Seq(2)).unwrap();
    assert_eq!(entry.record.unwrap().kind, Kind::Open);
    assert_eq!(writer.read(Seq(99)).unwrap_err().kind(), ErrorKind::NotFound);
    let alarms = &world.root().standing().alarms.clone();
    assert!(matches!(alarms[..], [Alarm::HeadForgotten { .. }]));
}
