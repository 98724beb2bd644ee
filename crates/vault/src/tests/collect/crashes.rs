//! A collection that dies at any change of the place: the next one finishes it.
//!
//! What only reads changes nothing, so dying between two changes is dying after the first.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A place that dies at its `number`-th change: before it, or after it with the answer lost.
fn dying(world: &World, number: u64, fault: Fault) -> (Arc<dyn Place>, Arc<AtomicU64>) {
    let changes = Arc::new(AtomicU64::new(0));
    let counted = changes.clone();
    let script = move |operation: &Operation<'_>| match operation.verb {
        Verb::Put | Verb::Delete => match counted.fetch_add(1, Ordering::Relaxed) {
            at if at == number => fault.clone(),
            _ => Fault::None,
        },
        _ => Fault::None,
    };
    (Arc::new(Faulty::scripted(world.place.clone(), world.clock.clone(), script)), changes)
}

/// Runs a collection that dies at every change in turn; whoever comes next must finish it.
fn die_at_every_change(fault: &Fault, options: CollectOptions) {
    let world = World::new(230);
    let mut vault = world.open();
    let mut wanted = BTreeMap::new();
    for number in 0..3 {
        let contents = files([number, number + 1]);
        wanted.insert(back_up_tree(&mut vault, &contents), contents);
    }
    let gone = back_up_tree(&mut vault, &files(50..56));
    if options.compact.is_some() {
        let contents = files(50..52);
        wanted.insert(back_up_tree(&mut vault, &contents), contents);
    }
    forget(&mut vault, gone);
    let options = CollectOptions { small_runs_max: 2, ..options };
    let bundle = match options.compact {
        None => vault.issue_bundle(Role::Collector, DomainChoice::Default, "gc").unwrap(),
        Some(_) => Bundle::decode(&world.bundle.encode()).unwrap(),
    };
    let open = |place: Arc<dyn Place>, host: &str| {
        world.open_with(place, host, Bundle::decode(&bundle.encode()).unwrap())
    };
    let before = world.place.snapshot();
    for number in 0.. {
        world.place.restore(&before);
        let (place, changes) = dying(&world, number, fault.clone());
        let host = format!("gc-{number}");
        let result = try_collect(&mut open(place, &host), &options);
        let died = changes.load(Ordering::Relaxed) > number;
        assert!(died || result.is_ok(), "{result:?}");
        world.expect_whole(&wanted);

        let other = if number % 2 == 0 { host } else { format!("other-{number}") };
        let mut other = open(Arc::new(world.place.clone()), &other);
        collect(&mut other, &options);
        world.clock.advance(8 * DAY);
        let found = collect(&mut other, &options);

        let left = found.compaction.as_ref().map(|compaction| compaction.plan.packs);
        assert_eq!(left.unwrap_or_default(), 0, "{number}: {found:?}");
        assert!(found.stopped.is_empty() && found.kept.is_empty(), "{number}: {found:?}");
        world.expect_whole(&wanted);
        let state = other.ledger().state().clone();
        assert_eq!((state.suspicions().count(), state.open_sessions().count()), (0, 0));
        assert!(state.condemned().all(|(_, condemned)| condemned.swept.is_some()), "{number}");
        assert_eq!(world.packs(), state.packs().map(|(name, _)| *name).collect(), "{number}");
        if !died {
            assert!(number > 8, "it died at {number} changes only");
            return;
        }
    }
}

#[test]
fn a_collection_that_dies_before_any_change_is_finished_by_the_next() {
    die_at_every_change(&Fault::CrashBefore, at_once());
}

#[test]
fn a_collection_that_dies_after_any_change_is_finished_by_the_next() {
    die_at_every_change(&Fault::CrashAfter, at_once());
}

#[test]
fn a_compaction_that_dies_before_any_change_is_finished_by_the_next() {
    die_at_every_change(&Fault::CrashBefore, compacting());
}

#[test]
fn a_compaction_that_dies_after_any_change_is_finished_by_the_next() {
    die_at_every_change(&Fault::CrashAfter, compacting());
}
