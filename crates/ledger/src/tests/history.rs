//! Memory: a place that shows another history than it did, replicas, recovery after a loss.
//!
//! The place is set back as an attacker would; the memory is what notices.

use std::sync::Arc;

use crypto::Role;
use format::{FORMAT_NUMBER, Kind, RecordAt, Ref, Seq, VaultNames};
use places::Place;

use super::world::{Host, World};
use crate::{Alarm, Draft, Error, ErrorKind, Ledger, Memory, ProcessMemory, SessionStatus};

/// A writer with a memory of its own, and what the place held before its last two snapshots.
fn remembering() -> (World, Ledger, Arc<ProcessMemory>, places::MemorySnapshot) {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let memory = Arc::new(ProcessMemory::new());
    writer.snapshot(&world, &[1]);
    let earlier = world.place.snapshot();
    writer.snapshot(&world, &[2]);
    writer.snapshot(&world, &[3]);
    let writer = world.open_with(writer.keyring().unwrap().clone(), memory.clone(), None);
    (world, writer, memory, earlier)
}

fn snapshots(world: &World, ledger: &mut Ledger, numbers: std::ops::Range<u8>) {
    for number in numbers {
        ledger.snapshot(world, &[number]);
    }
}

fn again(world: &World, ledger: &Ledger, memory: &Arc<ProcessMemory>) -> Ledger {
    world.open_with(ledger.keyring().unwrap().clone(), memory.clone(), None)
}

#[test]
fn the_first_contact_is_said_once_and_a_known_head_is_no_alarm() {
    let (world, first, memory, _) = remembering();
    assert!(matches!(first.standing().alarms[..], [Alarm::HeadForgotten { .. }]));
    let second = again(&world, &first, &memory);
    assert_eq!(second.standing().alarms, []);
    assert_eq!(memory.head().unwrap(), Some(second.state().head()));
}

#[test]
fn a_place_that_was_rolled_back_is_noticed_now_and_at_the_next_opening() {
    let (world, mut writer, memory, earlier) = remembering();
    let seen = writer.state().head();
    world.place.restore(&earlier);
    let error = writer.append_one(Draft::new(Kind::Report)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tampering, "{error}");

    let mut later = again(&world, &writer, &memory);
    let found = later.state().head();
    assert_eq!(later.standing().alarms, [Alarm::RolledBack { remembered: seen, found }]);
    assert_eq!(later.state().snapshots().count(), 1, "reading goes on");
    assert_eq!(
        later.append_one(Draft::new(Kind::Report)).unwrap_err().kind(),
        ErrorKind::Tampering
    );
    assert_eq!(memory.head().unwrap(), Some(seen), "the memory is never lowered");
}

#[test]
fn a_fork_is_noticed_whether_it_is_shorter_or_longer() {
    for count in [1, 2, 5] {
        let (world, mut writer, memory, earlier) = remembering();
        let seen = writer.state().head();
        world.place.restore(&earlier);
        let mut other = world.member(Role::Writer);
        snapshots(&world, &mut other, 0..count);

        let later = again(&world, &writer, &memory);
        let error = later.standing().forbids_append().expect("an alarm");
        assert_eq!(error.kind(), ErrorKind::Tampering, "{error}");
        writer.refresh().unwrap();
        assert!(writer.standing().forbids_append().is_some());
        assert_eq!(memory.head().unwrap(), Some(seen));
    }
}

#[test]
fn a_cached_state_is_gone_on_from_and_dropped_when_it_is_not_on_the_chain() {
    let (world, writer, memory, earlier) = remembering();
    let cached = writer.state().clone();
    let keyring = writer.keyring().unwrap().clone();
    let mut other = world.member(Role::Writer);
    other.snapshot(&world, &[4]);
    let resumed = world.open_with(keyring.clone(), memory, Some(cached.clone()));
    assert_eq!(resumed.state(), other.state());

    world.place.restore(&earlier);
    let mut fork = world.member(Role::Writer);
    snapshots(&world, &mut fork, 0..5);
    let forgetful = Arc::new(ProcessMemory::new());
    let dropped = world.open_with(keyring, forgetful, Some(cached));
    assert_eq!(dropped.state(), fork.state());
}

#[test]
fn nobody_appends_at_a_replica_until_the_owner_recovers_to_it() {
    let (world, writer, memory, earlier) = remembering();
    let remembered = writer.state().head();
    world.place.restore(&earlier);
    let mark = places::PutOptions::default();
    let _ = world.place.put(&VaultNames::replica(), vec![3; 16].into(), &mark).unwrap();

    let mut behind = again(&world, &writer, &memory);
    let lag = remembered.seq.0 - behind.state().head().seq.0;
    assert_eq!(behind.standing().alarms, [Alarm::Replica { lag }], "lag is no roll-back");
    assert!(matches!(behind.append_one(Draft::new(Kind::Report)), Err(Error::Replica)));

    let mut root = world.root();
    let head = root.state().head();
    let recover = |place| Draft {
        refs: vec![Ref::Place(place), Ref::Record(head), Ref::LostAfter(head.seq)],
        ..Draft::new(Kind::Recover)
    };
    assert!(matches!(root.append_one(recover([4; 16])), Err(Error::Replica)));
    root.add(recover([3; 16]));
    behind.refresh().unwrap();
    assert_eq!(behind.standing().alarms, []);
    behind.snapshot(&world, &[7]);
    assert_eq!(memory.head().unwrap(), Some(behind.state().head()));
}

#[test]
fn a_recover_closes_open_sessions_and_is_followed_once() {
    let (world, writer, memory, earlier) = remembering();
    world.place.restore(&earlier);
    let mut other = world.member(Role::Writer);
    let session = other.begin(&world);
    let mut root = world.root();
    let head = root.state().head();
    let refs = vec![Ref::Place([0; 16]), Ref::Record(head), Ref::LostAfter(Seq(3))];
    root.add(Draft { refs, ..Draft::new(Kind::Recover) });
    assert_eq!(root.state().session(session).unwrap().status, SessionStatus::Recovered);
    let recovered = world.place.snapshot();

    let mut follower = again(&world, &writer, &memory);
    assert_eq!(follower.standing().alarms, []);
    snapshots(&world, &mut follower, 0..3);
    world.place.restore(&recovered);
    let later = again(&world, &writer, &memory);
    let alarms = &later.standing().alarms;
    assert!(matches!(alarms[..], [Alarm::RolledBack { .. }]), "{alarms:?}");
}

#[test]
fn a_vault_of_a_newer_format_is_read_and_not_appended_to() {
    let (world, mut writer, ..) = remembering();
    let number = FORMAT_NUMBER + 1;
    let raise =
        |number| Draft { refs: vec![Ref::FormatNumber(number)], ..Draft::new(Kind::Policy) };
    world.root().refused(raise(FORMAT_NUMBER));
    world.root().add(raise(number));
    let error = writer.append_one(Draft::new(Kind::Report)).unwrap_err();
    assert!(matches!(error, Error::NewerFormat { number: found } if found == number));
    assert_eq!(writer.state().snapshots().count(), 3);
}

#[test]
fn a_memory_is_never_lowered() {
    let memory = ProcessMemory::new();
    let at = |seq| RecordAt { seq: Seq(seq), hash: format::Digest::of(b"x") };
    memory.remember(at(5)).unwrap();
    memory.remember(at(4)).unwrap();
    assert_eq!(memory.head().unwrap(), Some(at(5)));
}
