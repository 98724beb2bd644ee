//! Where versions are kept, who holds the place's credentials destroys nothing that matters.
//!
//! Each object of a small vault is written over, or hidden, or all of them are; what comes back is
//! compared with what lay there, byte for byte. The repair holds no key.

use super::*;
use bytes::Bytes;
use format::NamedObject;
use places::{ErrorKind as PlaceErrorKind, ObjectName, Retaining, Retention, Versions};

type Harm = fn(&MemoryPlace, &ObjectName);

/// What somebody may do to an object.
const HARMS: [(&str, Harm); 4] = [
    ("written over", |place, name| place.overwrite(name, "junk")),
    ("hidden", |place, name| place.hide(name).unwrap()),
    ("hidden twice", |place, name| {
        place.hide(name).unwrap();
        place.overwrite(name, "junk");
        place.hide(name).unwrap();
    }),
    ("written over with one bit changed", |place, name| {
        let mut bytes = place.get(name, None).unwrap().to_vec();
        bytes[0] ^= 1;
        place.overwrite(name, bytes);
    }),
];

/// A vault of two backups at a place that keeps versions, and locks if asked to.
fn world(seed: u64, keeping: fn(MemoryPlace) -> MemoryPlace) -> World {
    let mut world = World::new(seed);
    world.place = keeping(world.place);
    let mut vault = world.open();
    back_up(&mut vault, &[&noise(1, 200_000)]);
    back_up(&mut vault, &[&noise(2, 200_000)]);
    world
}

/// All that lies there, by name.
fn contents(place: &MemoryPlace) -> BTreeMap<ObjectName, Bytes> {
    let names = place.names().into_iter();
    names.map(|name| (name.clone(), place.get(&name, None).unwrap())).collect()
}

fn repair(world: &World, mode: RepairMode) -> Vec<Step> {
    let components = world.components(Arc::new(world.place.clone()));
    repair_versions(&components, mode, &AtomicBool::new(false)).unwrap()
}

#[test]
fn each_object_that_was_written_over_or_hidden_is_put_back_without_a_key() {
    let world = world(90, MemoryPlace::keeping_versions);
    let (before, whole) = (contents(&world.place), world.place.snapshot());
    for name in before.keys() {
        for (harm, act) in HARMS {
            act(&world.place, name);
            assert!(contents(&world.place) != before, "{name} {harm}");
            let planned = repair(&world, RepairMode::Plan);
            assert_eq!(planned.len(), 1, "{name} {harm}: {planned:?}");
            assert_eq!(planned[0].outcome, StepOutcome::Planned);
            assert!(contents(&world.place) != before, "a plan changes nothing");

            let steps = repair(&world, RepairMode::Make);
            assert_eq!(steps.len(), 1, "{name} {harm}: {steps:?}");
            assert_eq!(
                (&steps[0].object[..], steps[0].outcome),
                (name.as_str(), StepOutcome::Done)
            );
            assert!(contents(&world.place) == before, "{name} {harm}");
            assert_eq!(repair(&world, RepairMode::Make), [], "the second time nothing is wrong");
            world.place.restore(&whole);
        }
    }
}

#[test]
fn a_bucket_of_which_every_object_was_hidden_or_written_over_is_whole_again() {
    for (_, act) in HARMS {
        let world = world(91, MemoryPlace::keeping_versions);
        let before = contents(&world.place);
        before.keys().for_each(|name| act(&world.place, name));

        let steps = repair(&world, RepairMode::Make);
        assert_eq!(steps.len(), before.len(), "{steps:?}");
        assert!(contents(&world.place) == before);
        assert_eq!(world.open().snapshots().unwrap().len(), 2);
        assert!(verify(&mut world.open(), Reading::All).damage.is_empty());
    }
}

#[test]
fn a_vault_whose_config_and_records_were_hidden_opens_before_it_is_repaired() {
    let world = world(92, MemoryPlace::keeping_versions);
    for name in world.place.names() {
        if matches!(NamedObject::parse(&name), Some(NamedObject::Config | NamedObject::Record(_))) {
            world.place.hide(&name).unwrap();
        }
    }
    let mut vault = world.open_at(Arc::new(world.place.clone()), "new machine");
    assert_eq!(vault.snapshots().unwrap().len(), 2);
}

#[test]
fn what_a_collection_deleted_stays_deleted() {
    let world = world(93, MemoryPlace::keeping_versions);
    let mut vault = world.open();
    let first = vault.snapshots().unwrap()[0].id;
    vault.forget(&[first]).unwrap();
    world.clock.advance(std::time::Duration::from_secs(8 * 24 * 3600));
    let options =
        CollectOptions { reader_grace: std::time::Duration::ZERO, ..CollectOptions::default() };
    let found = vault.collect(&options, &Quiet, &AtomicBool::new(false)).unwrap();
    assert!(found.packs.objects > 0);
    let before = contents(&world.place);
    assert_eq!(repair(&world, RepairMode::Make), []);
    assert!(contents(&world.place) == before);
}

#[test]
fn a_deleted_slot_comes_back_only_when_no_other_is_left() {
    let world = World::new(94);
    let place = world.place.clone().keeping_versions();
    let slot = |passphrase: &[u8]| {
        let parameters = crypto::Argon2Parameters::CHEAP_FOR_TESTS;
        let bundle = Bundle::decode(&world.bundle.encode()).unwrap();
        let sealed = crypto::Slot::seal(passphrase, parameters, &bundle, &*world.entropy).unwrap();
        crate::create::put_slot(&place, &*world.entropy, sealed).unwrap()
    };
    let [replaced, current] = [slot(b"old"), slot(b"new")];
    place.delete(&replaced).unwrap();
    let components = world.components(Arc::new(place.clone()));
    let repair = || repair_versions(&components, RepairMode::Make, &AtomicBool::new(false));

    assert_eq!(repair().unwrap(), [], "its passphrase was replaced");
    place.hide(&current).unwrap();
    let mut back: Vec<_> = repair().unwrap().into_iter().map(|step| step.object).collect();
    back.sort();
    let mut both = [replaced.to_string(), current.to_string()];
    both.sort();
    assert_eq!(back, both, "nobody could open the vault with a passphrase");
}

#[test]
fn what_no_version_can_give_back_is_left_and_named() {
    let world = world(95, MemoryPlace::keeping_versions);
    let pack = world.place.names().into_iter().find(|name| name.as_str().starts_with("packs/"));
    let pack = pack.unwrap();
    world.place.overwrite(&pack, "junk");
    let oldest = world.place.versions_of(&pack).unwrap().pop().unwrap();
    world.place.overwrite(&pack, "more junk");
    world.place.destroy(&pack, &oldest.id).unwrap();
    let [step] = &repair(&world, RepairMode::Make)[..] else { panic!("one step") };
    assert_eq!((&step.object[..], step.outcome), (pack.as_str(), StepOutcome::Left));
}

#[test]
fn a_place_without_versions_says_so() {
    let world = World::new(96);
    let components = world.components(Arc::new(world.place.clone()));
    let refused = repair_versions(&components, RepairMode::Make, &AtomicBool::new(false));
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("cannot read back what was written over"), "{text}");
}

#[test]
fn nobody_with_the_credentials_empties_a_bucket_that_locks() {
    let world = World::new(97);
    let memory = world.place.clone().keeping_locks();
    let lock = places::ObjectLock::new(places::RetentionMode::Compliance, 30).unwrap();
    let place = Retaining::new(memory.clone(), lock, world.clock.clone());
    let mut vault = world.open_at(Arc::new(place), "host");
    back_up(&mut vault, &[&noise(1, 200_000)]);
    vault.extend_locks(lock, ledger::ProtectMode::Extend, &AtomicBool::new(false)).unwrap();
    let before = contents(&memory);

    let until = |name: &ObjectName| memory.retained_until(name, None).unwrap();
    assert!(before.keys().all(|name| until(name) > Some(places::Clock::now(&*world.clock))));
    for name in before.keys() {
        memory.overwrite(name, "junk");
        memory.hide(name).unwrap();
        for version in memory.versions_of(name).unwrap() {
            let destroyed = memory.destroy(name, &version.id);
            let kind = destroyed.err().map(|error| error.kind());
            assert!(matches!(kind, None | Some(PlaceErrorKind::Denied)));
        }
    }
    // The junk went, and what was locked lies there as before.
    assert!(contents(&memory) == before);
    let report = vault.extend_locks(lock, ledger::ProtectMode::Look, &AtomicBool::new(false));
    assert_eq!(report.unwrap().touched_total, 0);
}

#[test]
fn a_collector_waits_for_locks_that_run_out_and_extends_none_of_what_it_dropped() {
    let world = World::new(98);
    let memory = world.place.clone().keeping_locks();
    let lock = places::ObjectLock::new(places::RetentionMode::Compliance, 30).unwrap();
    let place = Arc::new(Retaining::new(memory.clone(), lock, world.clock.clone()));
    let mut vault = world.open_at(place, "host");
    let (_, first) = back_up(&mut vault, &[&noise(1, 200_000)]);
    back_up(&mut vault, &[&noise(2, 200_000)]);
    vault.forget(&[first.snapshot]).unwrap();
    let day = std::time::Duration::from_secs(24 * 3600);
    let options = CollectOptions { reader_grace: day, ..CollectOptions::default() };
    let stop = AtomicBool::new(false);
    let (mut deleted, mut refused) = (Vec::new(), 0);
    for number in 0..60 {
        world.clock.advance(day);
        let found = vault.collect(&options, &Quiet, &stop).unwrap();
        refused += found.kept.len();
        if found.packs.objects > 0 {
            deleted.push(number);
        }
        for kept in &found.kept {
            assert!(kept.until.is_some(), "until when it is kept is told: {kept:?}");
        }
        let report = vault.extend_locks(lock, ledger::ProtectMode::Extend, &stop).unwrap();
        assert!(
            report
                .until
                .is_some_and(|until| until > places::Clock::now(&*world.clock).plus(13 * day))
        );
    }
    assert!(refused > 0, "deletions were asked for while locks held");
    assert!(!deleted.is_empty() && deleted[0] >= 28, "deleted on days {deleted:?}");
    let condemned: Vec<_> = vault.ledger().state().condemned().map(|(name, _)| *name).collect();
    for name in condemned {
        assert_eq!(memory.stat(&format::VaultNames::pack(&name)).unwrap(), None);
    }
    assert!(verify(&mut vault, Reading::All).damage.is_empty());
}
