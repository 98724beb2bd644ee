//! Losing any single object other than a pack costs no data.
//!
//! Each object in turn is removed or changed; the host that had seen the vault whole repairs it;
//! then that host and a new machine read all of it, and verification finds nothing. Of what a
//! damaged pack hurts, everything else is salvaged. A repair that crashes at any step is run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use places::{Fault, Faulty, MemoryPlace, ObjectName, Operation, Place, Verb};
use strongroom::*;

use crate::world::{Silent, World, components};

fn is_pack(name: &ObjectName) -> bool {
    name.as_str().starts_with("packs/")
}

fn is_slot(name: &ObjectName) -> bool {
    name.as_str().starts_with("keys/")
}

fn all_data() -> RepairOptions {
    RepairOptions { reading: Reading::All, ..RepairOptions::default() }
}

fn repair(world: &World, host: &str) -> (Vault, Repair) {
    world.repair(Arc::new(world.place.clone()), host, &all_data()).unwrap()
}

fn steps_left(repair: &Repair) -> Vec<&RepairStep> {
    repair.steps.iter().filter(|step| step.outcome == StepOutcome::Left).collect()
}

/// All of it is there, for the host and for a new machine.
fn assert_whole(world: &World, host: &str, what: &str) {
    for host in [host, &format!("new after {host}")] {
        let reading = world.read(host).unwrap();
        assert!(reading.contents == world.contents, "{what}: other data as {host}");
        let harmless = |alarm: &Alarm| matches!(alarm, Alarm::HeadForgotten { .. });
        assert!(reading.alarms.iter().all(harmless), "{what}: {:?}", reading.alarms);
    }
    let never = AtomicBool::new(false);
    let components = components(&world.place, &world.clock());
    let found = verify_keyless(&components, Reading::All, &Silent, &never).unwrap();
    let others: Vec<_> = found.damage.iter().filter(|d| !d.object.starts_with("keys/")).collect();
    assert!(others.is_empty(), "{what}: {others:?}");
}

#[test]
fn losing_any_single_object_other_than_a_pack_costs_no_data() {
    let world = World::new(30);
    let whole = world.place.snapshot();
    let mut lost = 0;
    for (number, name) in world.place.names().into_iter().enumerate() {
        if is_pack(&name) {
            continue;
        }
        let host = format!("repairing-{number}");
        world.read(&host).unwrap();
        world.place.delete(&name).unwrap();

        let (vault, done) = repair(&world, &host);
        drop(vault);

        assert!(steps_left(&done).is_empty() && done.hurt.is_empty(), "{name}: {:?}", done.steps);
        let named = done.steps.iter().any(|step| step.object == name.as_str());
        assert!(named || is_slot(&name), "{name}: {:?}", done.steps);
        assert_whole(&world, &host, &format!("{name} removed"));
        world.place.restore(&whole);
        lost += 1;
    }
    assert!(lost > 8, "{lost} objects");
}

#[test]
fn a_damaged_object_is_put_aside_and_replaced() {
    let world = World::new(31);
    let whole = world.place.snapshot();
    for (number, name) in world.place.names().into_iter().enumerate() {
        // That a slot is damaged only its passphrase can tell.
        if is_pack(&name) || is_slot(&name) {
            continue;
        }
        let host = format!("repairing-{number}");
        world.read(&host).unwrap();
        world.place.corrupt(&name, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let damaged = world.place.get(&name, None).unwrap();
        let quarantine = world.scratch(&format!("quarantine-{number}"));
        let options = RepairOptions { quarantine: Some(quarantine.clone()), ..all_data() };

        let (vault, done) = world.repair(Arc::new(world.place.clone()), &host, &options).unwrap();
        drop(vault);

        assert!(steps_left(&done).is_empty(), "{name}: {:?}", done.steps);
        // A run is not replaced: the ledger drops it.
        if !name.as_str().starts_with("index/") {
            let kept = std::fs::read_dir(&quarantine).into_iter().flatten().flatten().next();
            let kept = kept.unwrap_or_else(|| panic!("{name} was not kept: {:?}", done.steps));
            assert_eq!(std::fs::read(kept.path()).unwrap(), damaged, "{name}");
        }
        assert_whole(&world, &host, &format!("{name} damaged"));
        world.place.restore(&whole);
    }
}

#[test]
fn a_plan_names_what_is_wrong_and_changes_nothing() {
    let world = World::new(32);
    world.read("planning").unwrap();
    let names = world.place.names();
    let run = names.iter().find(|name| name.as_str().starts_with("index/")).unwrap();
    let config: ObjectName = "config".parse().unwrap();
    world.place.delete(run).unwrap();
    world.place.delete(&config).unwrap();
    let before = world.place.names();

    let options = RepairOptions { mode: RepairMode::Plan, ..all_data() };
    let place = Arc::new(world.place.clone());
    let (_, planned) = world.repair(place, "planning", &options).unwrap();

    assert_eq!(world.place.names(), before);
    for name in [run, &config] {
        let step = planned.steps.iter().find(|step| step.object == name.as_str()).unwrap();
        assert_eq!(step.outcome, StepOutcome::Planned, "{step:?}");
    }
}

#[test]
fn what_is_readable_of_a_hurt_snapshot_is_salvaged_once() {
    let world = World::new(33);
    let whole = world.place.snapshot();
    let packs: Vec<_> = world.place.names().into_iter().filter(is_pack).collect();
    let mut salvaged = 0;
    for (number, pack) in packs.iter().enumerate() {
        world.place.corrupt(pack, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let host = format!("salvaging-{number}");

        let (mut vault, done) = repair(&world, &host);
        let (snapshots, reader) = (vault.snapshots().unwrap(), vault.reader().unwrap());
        let made: Vec<_> = snapshots.iter().filter(|s| is_incomplete(s)).collect();
        assert!(made.len() <= done.hurt.len());
        for snapshot in &made {
            let descriptor = snapshot.descriptor.as_ref().unwrap();
            assert_eq!(descriptor.name, "source-salvaged");
            assert!(descriptor.counts.unreadable > 0, "{descriptor:?}");
            assert_readable(&world, &reader, snapshot);
        }
        salvaged += made.len();
        let count = snapshots.len();
        drop(vault);

        let (mut vault, again) = repair(&world, &host);
        assert_eq!(vault.snapshots().unwrap().len(), count, "{:?}", again.steps);
        drop(vault);
        world.place.restore(&whole);
    }
    assert!(salvaged > 0, "no pack's damage left a snapshot to salvage");
}

/// Every entry of a salvaged snapshot is whole and as it was in the one it is of.
fn assert_readable(world: &World, reader: &Reader, snapshot: &Snapshot) {
    let tags = &snapshot.descriptor.as_ref().unwrap().tags;
    let of = tags.iter().find_map(|tag| tag.strip_prefix("of-")).unwrap();
    let mut files = 0;
    for listed in list(reader, snapshot, b"/", Depth::Subtree).unwrap() {
        let listed = listed.unwrap();
        if listed.entry.kind != EntryKind::File {
            continue;
        }
        let mut content = Vec::new();
        let mut file = open_file(reader, snapshot, &listed.path).unwrap();
        std::io::Read::read_to_end(&mut file, &mut content).unwrap();
        let original = (of.parse().unwrap(), listed.path);
        assert_eq!(world.contents[&original].1, content, "{:?}", original.1);
        files += 1;
    }
    assert!(files > 0, "nothing was salvaged");
}

#[test]
fn a_metadata_pack_comes_back_from_the_copy_of_the_host_that_made_it() {
    let world = World::new(34);
    // The header's type follows magic and suite: 2 is a pack of metadata.
    let is_metadata = |name: &ObjectName| world.place.get(name, Some(10..11)).unwrap()[0] == 2;
    let packs: Vec<_> =
        world.place.names().into_iter().filter(|n| is_pack(n) && is_metadata(n)).collect();
    assert!(packs.len() >= 2);
    for pack in packs {
        world.place.delete(&pack).unwrap();
        let (vault, done) = repair(&world, "first host");
        drop(vault);
        let step = done.steps.iter().find(|step| step.object == pack.as_str()).unwrap();
        assert_eq!(step.outcome, StepOutcome::Done, "{step:?}");
        assert_whole(&world, "first host", pack.as_str());
    }
}

#[test]
fn a_repair_that_crashes_at_any_step_is_run_again() {
    let world = World::new(35);
    let names = world.place.names();
    let run = names.iter().find(|name| name.as_str().starts_with("index/")).unwrap();
    let config: ObjectName = "config".parse().unwrap();
    let whole = world.place.snapshot();
    for step in 0..100 {
        let host = format!("crashing-{step}");
        world.read(&host).unwrap();
        world.place.delete(run).unwrap();
        world.place.corrupt(&config, |bytes| bytes[40] ^= 1);
        let changes = AtomicU32::new(0);
        let place: Faulty<MemoryPlace> = Faulty::scripted(
            world.place.clone(),
            world.clock(),
            move |operation: &Operation<'_>| {
                let is_change = matches!(operation.verb, Verb::Put | Verb::Delete)
                    && !operation.subject.starts_with("probe/");
                match is_change && changes.fetch_add(1, Ordering::Relaxed) == step {
                    true => Fault::CrashAfter,
                    false => Fault::None,
                }
            },
        );
        let is_over = world.repair(Arc::new(place), &host, &all_data()).is_ok();

        let (vault, done) = repair(&world, &host);
        drop(vault);

        assert!(steps_left(&done).is_empty(), "crash after change {step}: {:?}", done.steps);
        assert_whole(&world, &host, &format!("crash after change {step}"));
        world.place.restore(&whole);
        if is_over {
            assert!(step > 4, "the repair made only {step} changes");
            return;
        }
    }
    panic!("the repair never came to its end");
}
