//! Locks are extended for what is needed, and for nothing else, at a bounded cost.
//!
//! The place locks by the world's clock; packs and runs lie there as real objects.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use crypto::Role;
use format::VaultNames;
use places::{
    Clock, ErrorKind, ObjectLock, ObjectName, Place, PutOptions, Recording, Retaining, Retention,
    RetentionMode, Time, Verb, Versions,
};

use super::world::{Host, World, pack};
use crate::{Draft, LockReport, ProtectMode, ProtectOptions, Protected, Result, protect};

const DAY: Duration = Duration::from_secs(24 * 3600);
const DAYS: u32 = 30;

fn lock() -> ObjectLock {
    ObjectLock::new(RetentionMode::Compliance, DAYS).unwrap()
}

/// A vault at a place that locks, and a way to put packs there.
fn locking() -> World {
    let mut world = World::new();
    world.place = world.place.keeping_locks();
    world.clock.advance(400 * DAY);
    for number in [1, 2] {
        put_pack(&world, number);
    }
    world
}

/// Puts a pack's bytes as a host does that locks what it puts.
fn put_pack(world: &World, number: u8) -> ObjectName {
    let name = VaultNames::pack(&pack(number));
    let place = Retaining::new(world.place.clone(), lock(), Arc::new(world.clock.clone()));
    let _ = place.put(&name, Bytes::from(vec![number]), &PutOptions::default()).unwrap();
    name
}

fn run(world: &World, mode: ProtectMode, known: Option<Protected>) -> Result<LockReport> {
    let options = ProtectOptions { lock: lock(), mode, known };
    let ledger = world.stranger();
    protect(&world.components(), ledger.state(), &options, &AtomicBool::new(false))
}

fn locked_until(world: &World, name: &ObjectName) -> Option<Time> {
    world.place.retained_until(name, None).unwrap()
}

#[test]
fn what_no_record_dropped_is_locked_and_what_was_condemned_is_not() {
    let world = locking();
    let mut writer = world.member(Role::Writer);
    writer.snapshot(&world, &[1, 2]);
    let mut collector = world.member(Role::Collector);
    let suspect = collector.add(Draft::on_packs(format::Kind::Suspect, vec![pack(2)]));
    collector.add(Draft::condemn(suspect.at.seq, vec![pack(2)]));
    let stranger = put_pack(&world, 9);
    world.clock.advance(29 * DAY);

    let report = run(&world, ProtectMode::Extend, None).unwrap();

    let end = lock().until(world.clock.now());
    let [needed, condemned] = [1, 2].map(|number| VaultNames::pack(&pack(number)));
    assert_eq!(report.until, Some(end));
    assert_eq!((report.extended, report.touched_total), (report.objects, 0));
    assert_eq!(locked_until(&world, &needed), Some(end));
    for name in world.place.names().into_iter().filter(|name| name.as_str().starts_with("ledger")) {
        assert_eq!(locked_until(&world, &name), Some(end), "{name}");
    }
    world.clock.advance(2 * DAY);
    for name in [&condemned, &stranger] {
        assert_eq!(locked_until(&world, name), None, "{name} is let go");
        assert_eq!(world.place.delete(name), Ok(()), "{name}");
    }
    assert_eq!(world.place.delete(&needed).unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn over_a_year_of_passes_no_lock_ends_and_each_is_asked_for_once_in_half_of_the_days() {
    let world = locking();
    let mut writer = world.member(Role::Writer);
    writer.snapshot(&world, &[1, 2]);
    let place = Arc::new(Recording::new(world.place.clone()));
    let components = world.components_at(place.clone());
    let (mut known, mut objects) = (None, 0);
    for day in 0..365_u64 {
        let options = ProtectOptions { lock: lock(), mode: ProtectMode::Extend, known };
        let state = world.stranger();
        let report =
            protect(&components, state.state(), &options, &AtomicBool::new(false)).unwrap();
        assert!(report.until.is_some_and(|until| until > world.clock.now().plus(14 * DAY)));
        (known, objects) = (report.protected, report.objects);
        for name in world.place.names() {
            let until = locked_until(&world, &name);
            assert!(until.is_some(), "{name} is not locked on day {day}");
        }
        world.clock.advance(DAY);
    }
    let (asked, extended) = (place.count(Verb::Stat), place.count(Verb::Put));
    // Each is extended once in half of the days. Until the newest are known for sure, days pass.
    assert!(extended <= objects * 25, "{extended} extensions of {objects} objects");
    assert!(asked <= objects * 4, "{asked} questions about {objects} objects");
}

#[test]
fn without_what_an_earlier_pass_found_everything_is_asked_and_only_what_is_due_extended() {
    let world = locking();
    world.member(Role::Writer).snapshot(&world, &[1, 2]);
    let first = run(&world, ProtectMode::Extend, None).unwrap();
    world.clock.advance(5 * DAY);

    let again = run(&world, ProtectMode::Extend, None).unwrap();
    assert_eq!((again.asked, again.extended), (first.objects, 0));
    assert_eq!(again.until, first.until);

    let known = run(&world, ProtectMode::Extend, again.protected).unwrap();
    assert_eq!((known.asked, known.until), (0, first.until));
}

#[test]
fn looking_changes_nothing_and_counts_what_has_no_lock() {
    let world = locking();
    world.member(Role::Writer).snapshot(&world, &[1]);
    let before = world.place.snapshot();
    let report = run(&world, ProtectMode::Look, None).unwrap();
    assert!(world.place.snapshot() == before);
    assert_eq!(report.until, None, "the records have no lock");
    assert_eq!((report.unlocked, report.extended), (report.objects - 1, report.objects - 1));
}

#[test]
fn an_object_that_somebody_wrote_over_or_hid_keeps_its_lock_and_is_named() {
    let world = locking();
    world.member(Role::Writer).snapshot(&world, &[1, 2]);
    run(&world, ProtectMode::Extend, None).unwrap();
    let [over, hidden] = [1, 2].map(|number| VaultNames::pack(&pack(number)));
    world.place.overwrite(&over, "junk");
    world.place.hide(&hidden).unwrap();
    world.clock.advance(29 * DAY);

    let report = run(&world, ProtectMode::Extend, None).unwrap();
    let mut touched = report.touched.clone();
    touched.sort();
    let mut expected = vec![over.clone(), hidden.clone()];
    expected.sort();
    assert_eq!((touched, report.touched_total), (expected, 2));
    world.clock.advance(2 * DAY);
    for name in [over, hidden] {
        let versions = world.place.versions_of(&name).unwrap();
        let oldest = versions.last().unwrap();
        assert_eq!(
            world.place.destroy(&name, &oldest.id).unwrap_err().kind(),
            ErrorKind::Denied,
            "{name}: what was there first is still locked"
        );
    }
}

#[test]
fn a_place_without_locks_is_refused_and_a_stopped_pass_remembers_nothing() {
    let plain = World::new();
    let refused = run(&plain, ProtectMode::Extend, None).unwrap_err();
    assert!(refused.to_string().contains("cannot keep objects"), "{refused}");

    let world = locking();
    let options = ProtectOptions { lock: lock(), mode: ProtectMode::Extend, known: None };
    let ledger = world.stranger();
    let stopped = AtomicBool::new(true);
    let report = protect(&world.components(), ledger.state(), &options, &stopped).unwrap();
    assert_eq!((report.is_whole, report.protected), (false, None));
}

#[test]
fn a_hidden_or_overwritten_end_of_the_ledger_is_read_below() {
    let world = locking();
    let mut writer = world.member(Role::Writer);
    writer.snapshot(&world, &[1]);
    let head = writer.state().head();
    let newest = VaultNames::record(head.seq);
    let before = world.place.snapshot();
    world.place.hide(&newest).unwrap();
    assert_eq!(world.stranger().state().head(), head, "behind a delete marker");

    world.place.restore(&before);
    world.place.overwrite(&newest, "junk");
    assert_eq!(world.stranger().state().head(), head, "below other bytes");

    world.place.restore(&before);
    world.place.hide(&VaultNames::record(format::Seq(0))).unwrap();
    assert_eq!(world.stranger().state().head(), head, "the first record hidden");
}
