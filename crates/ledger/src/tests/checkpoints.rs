//! Checkpoints: whose word counts for what, and that a state taken is the state replayed.
//!
//! Long ledgers are mostly junk, which is quick to make; what matters is signed.

use std::sync::Arc;

use crypto::Role;
use format::{BUNDLE_RECORDS, Kind, Seq, VaultNames};
use places::{Place, Recording, Verb};

use super::states::{fill, random_history};
use super::world::{Host, World, pack};
use crate::{Alarm, Draft, Error, Ledger, Memory, ProcessMemory, Vouched};

/// Opens without a cache; says how many requests that took.
fn open_counted(world: &World, by: &Ledger) -> (Ledger, u64) {
    let recording = Arc::new(Recording::new(world.place.clone()));
    let components = world.components_at(recording.clone());
    let memory = Arc::new(ProcessMemory::new());
    let keyring = by.keyring().cloned();
    let ledger = Ledger::open(components, &world.config_bytes, keyring, memory, None).unwrap();
    let asked = Verb::ALL.into_iter().map(|verb| recording.count(verb)).sum();
    (ledger, asked)
}

/// A long ledger whose checkpoint is by a member of this role, with a tail behind it.
fn with_checkpoint_by(role: Role) -> (World, Ledger) {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let mut signer = world.member(role);
    writer.snapshot(&world, &[1, 2]);
    fill(&world, &mut writer, 3 * BUNDLE_RECORDS);
    signer.refresh().unwrap();
    signer.add(Draft::new(Kind::Report));
    assert!(signer.write_checkpoint().unwrap().is_some());
    writer.snapshot(&world, &[3]);
    fill(&world, &mut writer, 40);
    signer.refresh().unwrap();
    signer.write_bundles().unwrap();
    (world, signer)
}

fn change_checkpoint(world: &World, at: Seq, change: impl FnOnce(&mut Vec<u8>)) {
    world.place.corrupt(&VaultNames::checkpoint(at), change);
}

#[test]
fn a_new_client_takes_the_owners_checkpoint_and_reads_only_the_tail() {
    let (world, owner) = with_checkpoint_by(Role::Owner);
    let (fresh, asked) = open_counted(&world, &owner);
    assert_eq!(fresh.state(), owner.state());
    assert_eq!(fresh.standing().vouched, Vouched::ByOwner);
    assert!(asked < 100, "{asked} requests");
    let mut fresh = fresh;
    fresh.add(Draft::on_packs(Kind::Suspect, [pack(1)]));
    assert_eq!(fresh.replay(|_, _| Ok(())).unwrap(), *fresh.state());
    fresh.replay_anew().unwrap();
    assert_eq!(fresh.standing().vouched, Vouched::Replayed);
}

#[test]
fn a_collectors_checkpoint_counts_for_a_writer_and_for_nobody_else() {
    let (world, collector) = with_checkpoint_by(Role::Collector);
    let owner = world.member(Role::Owner);
    assert_eq!(owner.standing().vouched, Vouched::Replayed);
    let other = world.member(Role::Collector);
    assert_eq!(other.standing().vouched, Vouched::Replayed);
    let itself = open_counted(&world, &collector).0;
    assert_eq!(itself.standing().vouched, Vouched::ByOwner, "its own word is as good as its own");

    let mut writer = world.member(Role::Writer);
    assert_eq!(writer.standing().vouched, Vouched::ByCollector);
    assert_eq!(writer.state(), world.root().state());
    writer.snapshot(&world, &[9]);
    for kind in [Kind::Suspect, Kind::Condemn, Kind::Forget, Kind::Purge, Kind::Mend, Kind::Lost] {
        let refused = writer.append_one(Draft::new(kind));
        assert!(matches!(refused, Err(Error::Vouched { .. })), "{kind}: {refused:?}");
    }
    writer.replay_anew().unwrap();
    assert_eq!(writer.standing().vouched, Vouched::Replayed);
    assert!(matches!(writer.append_one(Draft::new(Kind::Lost)), Err(Error::Void { .. })));
}

#[test]
fn what_a_hostile_collector_says_makes_no_owner_condemn_anything() {
    let (world, mut collector) = with_checkpoint_by(Role::Collector);
    // It signs a state in which all packs are condemned.
    let at = collector.state().checkpoint().unwrap().at;
    let bytes = collector.pretended_checkpoint(at);
    change_checkpoint(&world, at.seq, |honest| *honest = bytes);

    let owner = world.member(Role::Owner);

    assert_eq!(owner.standing().vouched, Vouched::Replayed);
    assert_eq!(owner.state().condemned().count(), 0);
    assert_eq!(owner.state().packs().count(), 3);
    let fooled = world.member(Role::Writer);
    assert_eq!(fooled.state().condemned().count(), 3, "a writer uploads again");
    assert_eq!(fooled.standing().vouched, Vouched::ByCollector);
}

#[test]
fn a_checkpoint_that_is_damaged_or_of_another_chain_is_passed_over() {
    let (world, owner) = with_checkpoint_by(Role::Owner);
    let at = owner.state().checkpoint().unwrap().at.seq;
    let name = VaultNames::checkpoint(at);
    let honest = world.place.get(&name, None).unwrap();
    for byte in [0, 1, 33, 41, 73, 105, 121, 130, 190, 300, honest.len() / 2, honest.len() - 1] {
        change_checkpoint(&world, at, |bytes| {
            *bytes = honest.to_vec();
            bytes[byte] ^= 1;
        });
        let (fresh, _) = open_counted(&world, &owner);
        assert_eq!(fresh.standing().vouched, Vouched::Replayed, "byte {byte}");
        assert_eq!(fresh.state(), owner.state());
    }
    change_checkpoint(&world, at, |bytes| *bytes = honest[..honest.len() / 3].to_vec());
    assert_eq!(open_counted(&world, &owner).0.standing().vouched, Vouched::Replayed);
    // The record that it stands on is another.
    change_checkpoint(&world, at, |bytes| *bytes = honest.to_vec());
    world.change(at, |bytes| *bytes = vec![0]);
    assert_eq!(open_counted(&world, &owner).0.standing().vouched, Vouched::Replayed);
}

#[test]
fn a_client_that_remembers_a_head_takes_no_checkpoint_above_it() {
    let (world, owner) = with_checkpoint_by(Role::Owner);
    let below = owner.state().checkpoint().unwrap().at.seq.0 - 5;
    let entry = owner.read(Seq(below)).unwrap();
    let memory = Arc::new(ProcessMemory::new());
    let forked = format::RecordAt { seq: Seq(below), hash: format::Digest::of(b"another") };
    memory.remember(forked).unwrap();

    let fresh = world.open_with(owner.keyring().unwrap().clone(), memory, None);

    assert_eq!(fresh.standing().vouched, Vouched::Replayed);
    let alarm = Alarm::Forked { remembered: forked, found: entry.hash };
    assert!(fresh.standing().alarms.contains(&alarm), "{:?}", fresh.standing());
}

#[test]
fn a_rolled_back_place_is_noticed_whatever_its_checkpoint_says() {
    let (world, owner) = with_checkpoint_by(Role::Owner);
    let memory = Arc::new(ProcessMemory::new());
    memory.remember(owner.state().head()).unwrap();
    let at = owner.state().checkpoint().unwrap().seq;
    (at.0 + 1..owner.state().next().0).for_each(|seq| world.remove(Seq(seq)));

    let fresh = world.open_with(owner.keyring().unwrap().clone(), memory, None);

    assert_eq!(fresh.standing().vouched, Vouched::ByOwner);
    let rolled = fresh.standing().alarms.iter().any(|a| matches!(a, Alarm::RolledBack { .. }));
    assert!(rolled, "{:?}", fresh.standing());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(6))]

    #[test]
    fn a_checkpoint_and_the_tail_lead_where_replay_leads(seed: u64) {
        let (world, mut owner) = random_history(seed, 30);
        owner.add(Draft::new(Kind::Report));
        owner.write_checkpoint().unwrap().expect("an owner may");
        owner.snapshot(&world, &[4, 5]);
        let (memory, keyring) = (Arc::new(ProcessMemory::new()), owner.keyring().unwrap());
        let mut taken = world.open_with(keyring.clone(), memory, None);
        taken.begin_at_checkpoint();
        proptest::prop_assert_eq!(taken.standing().vouched, Vouched::ByOwner);
        proptest::prop_assert_eq!(taken.state(), owner.state());
        let replayed = taken.replay(|_, _| Ok(())).unwrap();
        proptest::prop_assert_eq!(&replayed, taken.state());
    }
}

#[test]
fn a_checkpoint_is_due_when_the_ledger_has_grown_and_only_for_those_who_may() {
    let world = World::new();
    let (mut owner, mut writer) = (world.member(Role::Owner), world.member(Role::Writer));
    assert!(owner.write_due_checkpoint().unwrap().is_none());
    assert!(writer.write_checkpoint().unwrap().is_none());
    let puts = Recording::new(world.place.clone());
    assert_eq!(puts.count(Verb::Put), 0);
    assert!(owner.write_checkpoint().unwrap().is_some());
    let checkpoint = *owner.state().checkpoint().unwrap();
    assert_eq!(checkpoint.at.seq.next(), checkpoint.seq);
    assert_eq!(
        writer.refresh().map(|()| writer.state().checkpoint().copied()).unwrap(),
        Some(checkpoint)
    );
}
