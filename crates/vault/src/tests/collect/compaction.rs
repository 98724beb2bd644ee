//! Compaction: live chunks leave half-dead and small packs, and nothing else changes.
//!
//! Most of each vault here is dead, or in packs that hardly hold anything. What a test expects is
//! seen from outside: packs in the place, and every byte of every snapshot.

use super::*;

/// Packs and their bytes in the place.
fn stored(world: &World) -> (usize, u64) {
    let packs = world.packs();
    let length = |name| world.place.stat(&format::VaultNames::pack(name)).unwrap().unwrap().size;
    (packs.len(), packs.iter().map(length).sum())
}

fn compact_with(compact: CompactOptions) -> CollectOptions {
    CollectOptions { compact: Some(compact), ..at_once() }
}

/// A vault of which most is dead: what stays, and its files.
fn half_dead(world: &World) -> (SessionId, Vec<Vec<u8>>) {
    let mut vault = world.open();
    let gone = back_up_tree(&mut vault, &files(0..60));
    let contents = files((0..60).step_by(10));
    let kept = back_up_tree(&mut vault, &contents);
    forget(&mut vault, gone);
    (kept, contents)
}

#[test]
fn what_lives_leaves_a_half_dead_pack_and_the_pack_is_deleted() {
    let world = World::new(240);
    let (kept, contents) = half_dead(&world);
    let plain = collect(&mut world.open(), &at_once());
    assert!(!plain.half_dead.is_empty(), "{plain:?}");
    let (_, before) = stored(&world);

    let found = collect(&mut world.open(), &compact_with(CompactOptions::default()));

    let compaction = found.compaction.unwrap();
    assert_eq!(compaction.packs, plain.half_dead.len() as u64, "{compaction:?}");
    assert!(compaction.chunks >= 6, "{compaction:?}");
    assert_eq!(compaction.moved_bytes, compaction.plan.moved_bytes);
    let went = (found.condemned.objects, found.packs.objects);
    assert_eq!(went, (compaction.packs, compaction.packs));
    assert!(found.half_dead.is_empty() && compaction.unmoved.is_empty());
    let (_, after) = stored(&world);
    assert!(after < before / 3, "{before} bytes became {after}");
    let freed = before - after;
    let planned = compaction.plan.freed_bytes();
    assert!(planned.abs_diff(freed) < freed / 10, "planned {planned}, freed {freed}");
    world.expect_whole([(&kept, &contents)]);
    let fresh = &mut world.host("fresh");
    assert!(verify(fresh, Reading::All).damage.is_empty());

    let again = collect(&mut world.open(), &compact_with(CompactOptions::default()));
    assert_eq!(again.compaction.unwrap().plan, CompactionPlan::default());
}

#[test]
fn a_rehearsal_plans_the_same_and_stores_nothing() {
    let world = World::new(241);
    half_dead(&world);
    let before = world.place.names();
    let options = compact_with(CompactOptions::default());
    let rehearsal = CollectOptions { mode: CollectMode::Rehearse, ..options };
    let said = collect(&mut world.host("rehearsal"), &rehearsal).compaction.unwrap();
    assert_eq!(world.place.names(), before);
    assert_eq!((said.packs, said.sessions.len()), (0, 0));

    let done = collect(&mut world.open(), &options).compaction.unwrap();
    assert_eq!(said.plan, done.plan);
    assert!(done.plan.packs > 0 && done.packs == done.plan.packs, "{done:?}");
}

#[test]
fn many_small_packs_are_merged_and_every_snapshot_keeps_its_own() {
    let world = World::new(242);
    let contents = files(0..3);
    let mut vault = world.open();
    let snapshots: Vec<_> = (0..40).map(|_| back_up_tree(&mut vault, &contents)).collect();
    let (before, _) = stored(&world);
    assert!(before > 40);

    let found = collect(&mut vault, &compact_with(CompactOptions::default()));

    let plan = found.compaction.unwrap().plan;
    assert_eq!((plan.packs, plan.small_packs), (40, 40));
    assert_eq!(stored(&world).0, 2, "one of content, one of metadata");
    world.expect_whole(snapshots.iter().map(|snapshot| (snapshot, &contents)));
}

#[test]
fn no_more_is_moved_than_the_limit_and_the_next_run_goes_on() {
    let world = World::new(243);
    let mut vault = world.open();
    let mut wanted = BTreeMap::new();
    for number in 0..4 {
        let seeds = number * 100..number * 100 + 40;
        let gone = back_up_tree(&mut vault, &files(seeds.clone()));
        let contents = files(seeds.take(4));
        wanted.insert(back_up_tree(&mut vault, &contents), contents);
        forget(&mut vault, gone);
    }
    let max_moved = Some(20_000);
    let options = compact_with(CompactOptions { max_moved, ..Default::default() });

    let first = collect(&mut vault, &options).compaction.unwrap();
    assert!(first.packs > 0 && first.plan.left_packs > 0, "{first:?}");
    assert!(first.moved_bytes <= 20_000);
    let second = collect(&mut vault, &options).compaction.unwrap();
    assert!(second.packs > 0 && second.moved_bytes <= 20_000);
    let third = collect(&mut vault, &options).compaction.unwrap();
    assert_eq!(third.plan, CompactionPlan::default());
    world.expect_whole(&wanted);
}

#[test]
fn more_chunks_than_are_held_in_memory_move_in_rounds() {
    let world = World::new(244);
    let mut vault = world.open();
    let mut wanted = BTreeMap::new();
    for number in 0..3 {
        let contents = files(number * 100..number * 100 + 50);
        wanted.insert(back_up_tree(&mut vault, &contents), contents);
    }

    let found = collect(&mut vault, &compacting()).compaction.unwrap();

    assert!(found.sessions.len() >= 2, "{found:?}");
    assert_eq!(found.packs, found.plan.packs);
    world.expect_whole(&wanted);
}

#[test]
fn a_backup_that_relied_on_the_old_pack_walks_again() {
    let world = World::new(245);
    let (kept, contents) = half_dead(&world);
    let mut other = world.host("other");
    let mut writer = other.write(WriteOptions::default()).unwrap();
    // Some of it moves, some is dead for all that the compaction can know.
    let wider = files(0..30);
    let root = store_tree(&writer, &wider).unwrap();

    let found = collect(&mut world.open(), &compact_with(CompactOptions::default()));
    assert!(found.compaction.unwrap().packs > 0 && found.packs.objects > 0);

    assert_eq!(writer.commit(draft(root)).unwrap(), CommitOutcome::Again);
    let root = store_tree(&writer, &wider).unwrap();
    let CommitOutcome::Committed(committed) = writer.commit(draft(root)).unwrap() else {
        panic!("nobody collected meanwhile");
    };
    world.expect_whole([(&kept, &contents), (&committed.snapshot, &wider)]);
}

#[test]
fn a_backup_that_commits_first_keeps_the_old_pack() {
    let world = World::new(246);
    let (kept, contents) = half_dead(&world);
    let wider = files(0..40);
    let snapshot = Arc::new(std::sync::Mutex::new(None));
    let (told, place, clock) = (snapshot.clone(), world.place.clone(), world.clock.clone());
    let mut other = world.host("other");
    let late = wider.clone();
    // Commits just before the collection appends its suspicion: between compaction and mark.
    let opens = std::sync::atomic::AtomicU64::new(0);
    let other = std::sync::Mutex::new(move || back_up_tree(&mut other, &late));
    let script = move |operation: &Operation<'_>| {
        if operation.verb == Verb::Put
            && operation.subject.starts_with("packs/")
            && opens.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0
        {
            *told.lock().unwrap() = Some(other.lock().unwrap()());
        }
        Fault::None
    };
    let place: Arc<dyn Place> = Arc::new(Faulty::scripted(place, clock, script));

    let options = compact_with(CompactOptions::default());
    let found = collect(&mut world.open_at(place, "compactor"), &options);

    assert!(found.compaction.unwrap().packs > 0);
    let snapshot = snapshot.lock().unwrap().expect("it committed meanwhile");
    world.expect_whole([(&kept, &contents), (&snapshot, &wider)]);
}

#[test]
fn only_the_owner_compacts() {
    let world = World::new(247);
    half_dead(&world);
    let before = world.place.names();
    for mode in [CollectMode::Collect, CollectMode::Rehearse] {
        let options = CollectOptions { mode, ..compacting() };
        let mut collector = world.collector();
        let names = world.place.names();
        let refused = try_collect(&mut collector, &options).unwrap_err();
        assert!(matches!(refused, Error::MayNotCompact { role: Role::Collector }), "{refused}");
        assert_eq!(world.place.names(), names);
    }
    assert!(before.len() < world.place.names().len(), "the collectors were certified");
}

#[test]
fn a_chunk_that_does_not_read_stays_with_its_pack_and_is_reported() {
    let world = World::new(248);
    let (kept, contents) = half_dead(&world);
    let content = world.open();
    let content = {
        let ledger = content.ledger();
        let first = ledger.state().packs().map(|(name, _)| *name);
        let is_content = |name: &Digest| {
            let bytes = world.place.get(&format::VaultNames::pack(name), None).unwrap();
            crypto::Header::peek(&bytes).unwrap().kind == crypto::ObjectKind::ContentPack
        };
        first.filter(is_content).max_by_key(|name| {
            world.place.stat(&format::VaultNames::pack(name)).unwrap().unwrap().size
        })
    };
    let name = format::VaultNames::pack(&content.unwrap());
    world.place.corrupt(&name, |bytes| bytes[2000] ^= 1);

    let found = collect(&mut world.host("compactor"), &compact_with(CompactOptions::default()));

    let compaction = found.compaction.unwrap();
    assert_eq!(compaction.unmoved.len(), 1, "{compaction:?}");
    assert_eq!(compaction.packs, compaction.plan.packs - 1);
    assert_eq!(Some(compaction.unmoved[0].pack), content);
    assert!(compaction.unmoved[0].chunks > 0);
    world.place.corrupt(&name, |bytes| bytes[2000] ^= 1);
    world.expect_whole([(&kept, &contents)]);
}
