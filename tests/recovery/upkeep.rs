//! A replica over the years: what is held and deleted, by whose clock, and who is refused.
//!
//! Costs are counts of requests; what a rehearsal says is compared with what the pass then does.
//! DESIGN §12.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use format::{NamedObject, Seq, VaultNames};
use places::{
    Clock, Fault, Faulty, ManualClock, MemoryPlace, Operation, Place, PutOptions, Recording, Time,
    Verb,
};
use replica::{Comparison, Error, Pass, ReadBack, Rehearsal, ReplicaOptions, Result, compare};
use vault::{CollectOptions, CollectProgress, Vault};

use crate::world::{HOLD, World, back_up, condemn_a_pack, pass};

fn compared(world: &World) -> Result<Comparison> {
    let (source, target) = (world.source.clone(), world.target.clone());
    compare(&world.components(source), &world.components(target), &AtomicBool::new(false))
}

fn rehearsed(world: &World) -> Pass {
    let options = ReplicaOptions { rehearsal: Rehearsal::Yes, ..ReplicaOptions::default() };
    pass(&mut world.replicator_with(options, world.source.clone(), world.target.clone())).unwrap()
}

fn back_up_some(vault: &mut Vault, count: u8) {
    for index in 0..count {
        back_up(vault, &[index; 2000]);
    }
}

/// Merges the index runs, and leaves at the source what that replaced.
fn merge_runs(vault: &mut Vault) {
    let options = CollectOptions {
        small_runs_max: 1,
        reader_grace: Duration::from_secs(365 * 24 * 3600),
        ..CollectOptions::default()
    };
    let merged = vault.collect(&options, &Silent, &AtomicBool::new(false)).unwrap().merged;
    assert!(merged.runs > 1, "{} runs", merged.runs);
}

struct Silent;

impl CollectProgress for Silent {
    fn marked(&self, _: u64) {}
    fn deleted(&self, _: &str, _: u64) {}
}

fn is_pack(name: &places::ObjectName) -> bool {
    matches!(NamedObject::parse(name), Some(NamedObject::Pack(_)))
}

#[test]
fn a_rehearsal_writes_nothing_and_says_to_the_byte_what_the_pass_then_does() {
    let world = World::new(20);
    let mut vault = world.open(&world.source);
    let work: [&dyn Fn(&mut Vault); 5] = [
        &|vault| back_up_some(vault, 1),
        // Enough records for a bundle.
        &|vault| back_up_some(vault, 12),
        &|vault| merge_runs(vault),
        &|vault| assert!(!condemn_a_pack(vault).as_bytes().is_empty()),
        &|_| world.clock.advance(HOLD),
    ];
    let mut deleted = 0;
    for (step, work) in work.iter().enumerate() {
        work(&mut vault);
        let names = world.target.names();
        let said = rehearsed(&world);
        assert_eq!(world.target.names(), names, "step {step}");
        let target = Arc::new(Recording::new(world.target.clone()));
        let mut replicator = world.replicator_between(world.source.clone(), target.clone());
        let done = pass(&mut replicator).unwrap();
        let counts = |pass: &Pass| {
            let Pass { records, record_bytes, objects, bytes, deleted, held, .. } = *pass;
            [records, record_bytes, objects, bytes, deleted, held]
        };
        assert_eq!(counts(&said), counts(&done), "step {step}");
        assert_eq!(said.lag, done.lag, "step {step}");
        let probes = u64::from(done.deleted > 0);
        assert_eq!(target.count(Verb::Put), done.objects + done.records + probes, "step {step}");
        assert_eq!(target.count(Verb::Delete), done.deleted + probes, "step {step}");
        deleted += done.deleted;
    }
    assert!(deleted > 2, "a pack and replaced runs: {deleted}");
}

#[test]
fn the_hold_ends_by_the_clock_of_the_target_and_not_by_this_hosts() {
    let mut world = World::new(21);
    let place_clock = Arc::new(ManualClock::new(Time::from_millis(1_600_000_000_000)));
    world.target = MemoryPlace::with_clock(place_clock.clone());
    let mut vault = world.open(&world.source);
    back_up(&mut vault, b"soon gone");
    pass(&mut world.replicator()).unwrap();
    let name = VaultNames::pack(&condemn_a_pack(&vault));
    pass(&mut world.replicator()).unwrap();

    // This host's clock is years ahead.
    let early = pass(&mut world.replicator()).unwrap();
    assert_eq!((early.deleted, early.held), (0, 1));
    assert!(world.target.stat(&name).unwrap().is_some());
    place_clock.advance(HOLD);
    let late = pass(&mut world.replicator()).unwrap();

    assert_eq!((late.deleted, late.held), (1, 0));
    assert!(world.target.stat(&name).unwrap().is_none());
    let left: Vec<_> = world.target.names();
    assert!(!left.iter().any(|name| name.as_str().starts_with("probe/")), "{left:?}");
}

#[test]
fn deletions_come_in_bounded_batches_the_oldest_drops_first() {
    let world = World::new(22);
    let mut vault = world.open(&world.source);
    back_up(&mut vault, b"one");
    back_up(&mut vault, b"two");
    pass(&mut world.replicator()).unwrap();
    let first = condemn_a_pack(&vault);
    let second = condemn_a_pack(&vault);
    pass(&mut world.replicator()).unwrap();
    world.clock.advance(HOLD);

    let options = ReplicaOptions { deletions_max: 1, ..ReplicaOptions::default() };
    let mut replicator = world.replicator_with(options, world.source.clone(), world.target.clone());
    let there = |pack| world.target.stat(&VaultNames::pack(pack)).unwrap().is_some();
    let done = pass(&mut replicator).unwrap();
    assert_eq!((done.deleted, done.held), (1, 1));
    assert_eq!((there(&first), there(&second)), (false, true));
    let done = pass(&mut replicator).unwrap();
    assert_eq!((done.deleted, done.held), (1, 0));
    assert!(!there(&second));
}

#[test]
fn what_was_deleted_after_its_hold_is_not_copied_again_while_the_source_still_has_it() {
    let world = World::new(23);
    let mut vault = world.open(&world.source);
    back_up_some(&mut vault, 4);
    pass(&mut world.replicator()).unwrap();
    merge_runs(&mut vault);
    let pack = VaultNames::pack(&condemn_a_pack(&vault));
    let runs = |place: &MemoryPlace| place.list(&VaultNames::runs(), None).unwrap().count();
    let before = runs(&world.source);
    pass(&mut world.replicator()).unwrap();
    assert_eq!(runs(&world.target), before);
    world.clock.advance(HOLD);

    let done = pass(&mut world.replicator()).unwrap();
    assert!(done.deleted > 2, "{}", done.deleted);
    for _ in 0..2 {
        let done = pass(&mut world.replicator()).unwrap();
        assert_eq!((done.objects, done.deleted, done.held), (0, 0, 0));
    }
    assert!(world.source.stat(&pack).unwrap().is_some());
    assert_eq!(runs(&world.source), before);
    assert_eq!(runs(&world.target), 1);
}

#[test]
fn what_is_condemned_beyond_the_replicas_head_is_copied_while_it_is_there_and_not_missed_later() {
    for is_gone in [false, true] {
        let world = World::new(24);
        let mut vault = world.open(&world.source);
        back_up(&mut vault, b"one");
        pass(&mut world.replicator()).unwrap();
        let (snapshot, _) = back_up(&mut vault, b"two");
        let newer = vault.ledger().state().snapshot(snapshot).unwrap().seq;
        let of_newer = |seq: Seq| seq == newer;
        let names: Vec<_> = {
            let ledger = vault.ledger();
            let packs = ledger.state().packs().filter(|(_, origin)| of_newer(origin.seq));
            packs.map(|(digest, _)| *digest).collect()
        };
        let suspect = ledger::Draft::on_packs(format::Kind::Suspect, names.clone());
        let suspect = vault.ledger().append_one(suspect).unwrap().at.seq;
        vault.ledger().append_one(ledger::Draft::condemn(suspect, names.clone())).unwrap();
        if is_gone {
            names.iter().for_each(|name| world.source.delete(&VaultNames::pack(name)).unwrap());
        }

        let done = pass(&mut world.replicator()).unwrap();

        assert!(done.missing.is_empty(), "{:?}", done.missing);
        assert_eq!(done.head, Some(vault.ledger().state().head()));
        let there = |name| world.target.stat(&VaultNames::pack(name)).unwrap().is_some();
        assert!(names.iter().all(|name| there(name) != is_gone));
    }
}

#[test]
fn an_idle_pass_is_a_handful_of_requests_whatever_waits_to_be_deleted() {
    let world = World::new(25);
    let mut vault = world.open(&world.source);
    back_up_some(&mut vault, 10);
    let source = Arc::new(Recording::new(world.source.clone()));
    let target = Arc::new(Recording::new(world.target.clone()));
    let mut replicator = world.replicator_between(source.clone(), target.clone());
    pass(&mut replicator).unwrap();
    condemn_a_pack(&vault);
    assert_eq!(pass(&mut replicator).unwrap().held, 1);
    source.reset();
    target.reset();

    assert_eq!(pass(&mut replicator).unwrap().held, 1);

    let all = |place: &Recording<MemoryPlace>| -> u64 {
        Verb::ALL.iter().map(|verb| place.count(*verb)).sum()
    };
    assert_eq!(all(&target), 0);
    assert!(all(&source) <= 4, "{:?}", source.log());
}

#[test]
fn a_pass_lists_the_source_once_however_much_is_lacking_and_not_at_all_for_little() {
    let world = World::new(26);
    let mut vault = world.open(&world.source);
    back_up_some(&mut vault, 20);
    let source = Arc::new(Recording::new(world.source.clone()));
    let mut replicator = world.replicator_between(source.clone(), world.target.clone());
    let lists_of_packs = || {
        let log = source.log();
        log.iter().filter(|call| call.verb == Verb::List && call.subject == "packs/").count()
    };
    pass(&mut replicator).unwrap();
    assert_eq!(lists_of_packs(), 1);
    back_up(&mut vault, b"one more");
    pass(&mut replicator).unwrap();
    assert_eq!(lists_of_packs(), 1);
}

#[test]
fn what_comes_without_a_record_is_found_within_the_hour() {
    let world = World::new(27);
    back_up(&mut world.open(&world.source), b"x");
    let mut replicator = world.replicator();
    pass(&mut replicator).unwrap();
    let slot = VaultNames::slot(&[7; 16]);
    let _ = world.source.put(&slot, b"a new slot".as_slice().into(), &PutOptions::default());
    let lost = world.target.names().into_iter().find(is_pack).unwrap();
    world.target.delete(&lost).unwrap();

    assert_eq!(pass(&mut replicator).unwrap().objects, 0);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(pass(&mut replicator).unwrap().objects, 2);

    assert!(world.target.stat(&slot).unwrap().is_some());
    assert!(world.target.stat(&lost).unwrap().is_some());
}

#[test]
fn a_source_that_is_rolled_back_while_it_is_followed_is_told_and_nothing_is_written() {
    let world = World::new(28);
    let mut vault = world.open(&world.source);
    back_up(&mut vault, b"one");
    let before = world.source.snapshot();
    back_up(&mut vault, b"two");
    let mut replicator = world.replicator();
    pass(&mut replicator).unwrap();
    let names = world.target.names();

    world.source.restore(&before);
    let rolled_back = pass(&mut replicator).unwrap_err();
    let first = match rolled_back {
        Error::Behind { first, .. } => first,
        other => panic!("{other}"),
    };
    back_up(&mut world.open(&world.source), b"another two");
    back_up(&mut world.open(&world.source), b"and three");
    let forked = pass(&mut replicator).unwrap_err();

    assert!(matches!(forked, Error::Fork { first: at, .. } if at == first), "{forked}");
    assert_eq!(world.target.names(), names);
}

#[test]
fn a_copy_of_another_vault_is_refused_however_little_of_it_there_is() {
    let world = World::new(29);
    back_up(&mut world.open(&world.source), b"x");
    let other = World::new(30);
    for last in [VaultNames::config(), VaultNames::record(Seq(0))] {
        let target = MemoryPlace::with_clock(world.clock.clone());
        let clock: Arc<dyn Clock> = world.clock.clone();
        let script = move |operation: &Operation<'_>| match operation.verb == Verb::Put
            && operation.subject == last.as_str()
        {
            true => Fault::CrashAfter,
            false => Fault::None,
        };
        let crashing = Faulty::scripted(target.clone(), clock, script);
        pass(&mut other.replicator_between(other.source.clone(), crashing)).unwrap_err();
        let names = target.names();
        let mut replicator = world.replicator_between(world.source.clone(), target.clone());
        let refused = pass(&mut replicator).unwrap_err();
        assert!(matches!(refused, Error::NoReplica { .. }), "{refused}");
        assert_eq!(target.names(), names);
    }
}

#[test]
fn two_replicators_may_keep_one_target() {
    let world = World::new(31);
    let mut vault = world.open(&world.source);
    back_up_some(&mut vault, 6);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| pass(&mut world.replicator()).unwrap());
        }
    });
    let compared = compared(&world).unwrap();
    assert!(compared.missing.is_empty() && compared.lag.records == 0, "{compared:?}");
    let idle = pass(&mut world.replicator()).unwrap();
    assert_eq!((idle.records, idle.objects), (0, 0));
}

#[test]
fn what_a_target_gives_back_otherwise_is_named_when_it_is_read_back() {
    let world = World::new(32);
    back_up(&mut world.open(&world.source), b"x");
    for (read_back, named) in [(ReadBack::No, 0), (ReadBack::Yes, 2)] {
        let target = Forgetful(MemoryPlace::with_clock(world.clock.clone()));
        let options = ReplicaOptions { read_back, ..ReplicaOptions::default() };
        let mut replicator = world.replicator_with(options, world.source.clone(), target);
        let done = pass(&mut replicator).unwrap();
        assert_eq!(done.missing.len(), named, "{:?}", done.missing);
    }
}

/// A place that gives packs back with a byte changed.
struct Forgetful(MemoryPlace);

impl Place for Forgetful {
    fn put(
        &self,
        name: &places::ObjectName,
        body: bytes::Bytes,
        options: &PutOptions,
    ) -> places::Result<places::Put> {
        self.0.put(name, body, options)
    }

    fn get(
        &self,
        name: &places::ObjectName,
        range: Option<std::ops::Range<u64>>,
    ) -> places::Result<bytes::Bytes> {
        let mut bytes = self.0.get(name, range)?.to_vec();
        if is_pack(name) {
            bytes[7] ^= 1;
        }
        Ok(bytes.into())
    }

    fn list(
        &self,
        prefix: &places::NamePrefix,
        start_after: Option<&places::ObjectName>,
    ) -> places::Result<places::Listing<'_>> {
        self.0.list(prefix, start_after)
    }

    fn stat(&self, name: &places::ObjectName) -> places::Result<Option<places::Stat>> {
        self.0.stat(name)
    }

    fn delete(&self, name: &places::ObjectName) -> places::Result<()> {
        self.0.delete(name)
    }

    fn capabilities(&self) -> places::Capabilities {
        self.0.capabilities()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[test]
fn a_comparison_says_how_far_a_replica_is_behind_and_names_what_is_not_as_it_should_be() {
    let world = World::new(33);
    let mut vault = world.open(&world.source);
    back_up(&mut vault, b"one");
    assert!(matches!(compared(&world), Err(Error::NoReplica { .. })));
    pass(&mut world.replicator()).unwrap();
    let whole = compared(&world).unwrap();
    assert_eq!((whole.lag.records, whole.objects, whole.missing.len()), (0, 3, 0));

    world.clock.advance(Duration::from_secs(60));
    back_up(&mut vault, b"two");
    world.clock.advance(Duration::from_secs(60));
    let packs: Vec<_> = world.target.names().into_iter().filter(is_pack).collect();
    world.target.delete(&packs[0]).unwrap();
    world.target.corrupt(&packs[1], |bytes| bytes.truncate(1000));
    let behind = compared(&world).unwrap();
    assert_eq!((behind.lag.records, behind.lag.time), (2, Duration::from_secs(60)));
    assert!(behind.lag.bytes > 0);
    let named: Vec<_> = behind.missing.iter().map(|missing| missing.object.clone()).collect();
    assert_eq!(named, packs);

    // What the source has given up since is not missed, and a damaged source harms no replica.
    pass(&mut world.replicator()).unwrap();
    world.target.delete(&packs[1]).unwrap();
    pass(&mut world.replicator()).unwrap();
    world.source.corrupt(&packs[1], |bytes| bytes.truncate(1000));
    let pack = VaultNames::pack(&condemn_a_pack(&vault));
    world.target.delete(&pack).unwrap();
    let compared = compared(&world).unwrap();
    assert!(compared.missing.is_empty(), "{:?}", compared.missing);
    assert_eq!(compared.dropped_since.into_iter().collect::<Vec<_>>(), [pack]);
}

#[test]
fn a_break_at_the_source_hides_nothing_that_was_copied_and_stops_nothing_that_is_older() {
    let world = World::new(34);
    let mut vault = world.open(&world.source);
    back_up_some(&mut vault, 2);
    pass(&mut world.replicator()).unwrap();
    let head = vault.ledger().state().head();
    let broken = VaultNames::record(Seq(head.seq.0 - 1));
    let whole = world.source.snapshot();
    world.source.corrupt(&broken, |bytes| bytes[200] ^= 1);

    let done = pass(&mut world.replicator()).unwrap();
    assert!(done.broken.is_some());
    assert_eq!((done.head, done.records, done.objects), (Some(head), 0, 0));

    // What is not the record that it was is not copied: its right bytes come back.
    let behind = MemoryPlace::with_clock(world.clock.clone());
    let mut replicator = world.replicator_between(world.source.clone(), behind.clone());
    let done = pass(&mut replicator).unwrap();
    assert_eq!(done.head.map(|head| head.seq), Some(Seq(head.seq.0 - 2)));
    world.source.restore(&whole);
    assert_eq!(pass(&mut replicator).unwrap().head, Some(head));

    // At the target it is for somebody to look at.
    world.target.corrupt(&broken, |bytes| bytes[200] ^= 1);
    let refused = pass(&mut world.replicator()).unwrap_err();
    assert!(matches!(refused, Error::Broken { .. }), "{refused}");
    for seq in head.seq.0 - 1..=head.seq.0 {
        world.target.delete(&VaultNames::record(Seq(seq))).unwrap();
    }
    assert_eq!(pass(&mut world.replicator()).unwrap().head, Some(head));
}

#[test]
fn names_that_anybody_put_at_the_source_are_not_copied_when_they_can_be_nothing() {
    let world = World::new(35);
    back_up(&mut world.open(&world.source), b"x");
    let junk = [
        VaultNames::pack(&format::Digest::of(b"of no record")),
        VaultNames::run(&format::Digest::of(b"of no record")),
        VaultNames::slot(&[9; 16]),
        VaultNames::probe(&[9; 16]),
        VaultNames::bundle(Seq(1024), Seq(2047)),
    ];
    let much = bytes::Bytes::from(vec![0; (1 << 20) + 1]);
    for name in &junk {
        let _ = world.source.put(name, much.clone(), &PutOptions::default()).unwrap();
    }
    pass(&mut world.replicator()).unwrap();
    assert!(junk.iter().all(|name| world.target.stat(name).unwrap().is_none()));
}
