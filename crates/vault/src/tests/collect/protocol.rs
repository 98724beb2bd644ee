//! The protocol step by step: what each collection does, and what it leaves alone.
//!
//! One rule of DESIGN §9 for each test, seen from outside.

use super::*;

#[test]
fn what_only_a_purged_snapshot_needs_is_deleted_and_the_rest_stays() {
    let world = World::new(200);
    let (old, kept) = (files(0..9), files(6..12));
    let mut vault = world.open();
    let first = back_up_tree(&mut vault, &old);
    let second = back_up_tree(&mut vault, &kept);
    let third = back_up_tree(&mut vault, &files(100..104));
    let before = world.packs().len();
    forget(&mut vault, third);

    let found = collect(&mut world.collector(), &at_once());

    assert_eq!(found.purged, [third]);
    assert_eq!((found.condemned.objects, found.packs.objects), (2, 2), "{found:?}");
    assert!(found.stopped.is_empty() && found.kept.is_empty());
    assert_eq!(world.packs().len(), before - 2);
    assert!(found.packs.bytes > 8000 && found.freed_bytes() == found.packs.bytes);
    world.expect_whole([(&first, &old), (&second, &kept)]);
    let state_swept = {
        let mut vault = world.open();
        vault.refresh().unwrap();
        let ledger = vault.ledger();
        ledger.state().condemned().all(|(_, condemned)| condemned.swept.is_some())
    };
    assert!(state_swept, "what was deleted is said to be");
}

#[test]
fn a_rehearsal_says_the_same_and_changes_nothing() {
    let world = World::new(201);
    let mut vault = world.open();
    back_up_tree(&mut vault, &files(0..4));
    let gone = back_up_tree(&mut vault, &files(10..14));
    forget(&mut vault, gone);
    let before = world.place.names();

    let rehearsal = CollectOptions { mode: CollectMode::Rehearse, ..at_once() };
    let said = collect(&mut world.host("rehearsal"), &rehearsal);
    assert_eq!(world.place.names(), before);
    let done = collect(&mut vault, &at_once());

    assert_eq!((said.purged, said.condemned), (done.purged, done.condemned));
    assert_eq!(said.domains, done.domains);
}

#[test]
fn the_trash_and_the_reader_grace_are_waited_for() {
    let world = World::new(202);
    let mut vault = world.open();
    let contents = files(0..4);
    let snapshot = back_up_tree(&mut vault, &contents);
    forget(&mut vault, snapshot);
    let options = CollectOptions::default();

    world.clock.advance(6 * DAY);
    assert_eq!(collect(&mut vault, &options).purged, []);
    world.expect_whole([(&snapshot, &contents)]);

    world.clock.advance(DAY);
    let found = collect(&mut vault, &options);
    assert_eq!((found.purged.len(), found.condemned.objects, found.packs.objects), (1, 2, 0));
    assert_eq!((found.waiting.objects, found.waiting.bytes), (2, found.condemned.bytes));
    assert_eq!(found.waiting.until, Some(world.clock.now().plus(DAY)));

    world.clock.advance(DAY);
    let found = collect(&mut vault, &options);
    assert_eq!((found.packs.objects, found.waiting.objects), (2, 0));
    assert!(world.packs().is_empty());
}

#[test]
fn a_collector_that_sleeps_a_month_between_condemning_and_deleting_hurts_nobody() {
    let world = World::new(203);
    let contents = files(0..4);
    let mut vault = world.open();
    let gone = back_up_tree(&mut vault, &contents);
    forget(&mut vault, gone);
    let mut collector = world.collector();
    let options = CollectOptions { trash: Duration::ZERO, ..Default::default() };
    assert_eq!(collect(&mut collector, &options).condemned.objects, 2);

    // The same files again: their old packs are there, and nobody relies on them.
    let again = back_up_tree(&mut world.host("other"), &contents);
    world.clock.advance(30 * DAY);
    let found = collect(&mut collector, &options);

    assert_eq!((found.packs.objects, found.condemned.objects), (2, 0));
    world.expect_whole([(&again, &contents)]);
}

#[test]
fn a_collection_with_nothing_to_do_appends_nothing_and_reads_no_node() {
    let world = World::new(204);
    let mut vault = world.open();
    back_up_tree(&mut vault, &files(0..30));
    collect(&mut vault, &at_once());
    let recording = Arc::new(Recording::new(world.place.clone()));
    let mut again = world.open_at(recording.clone(), "host");
    recording.reset();

    let found = collect(&mut again, &at_once());

    assert_eq!((found.suspected, found.domains[0].packs), (0, 2));
    let calls = recording.log();
    assert!(calls.iter().all(|call| !matches!(call.verb, Verb::Put | Verb::Delete)), "{calls:?}");
    let reads = calls.iter().filter(|c| c.verb == Verb::Get && c.subject.starts_with("packs/"));
    assert_eq!(reads.count(), 0, "all nodes are known from before");

    let new = back_up_tree(&mut vault, &files(5..40));
    collect(&mut again, &at_once());
    world.expect_whole([(&new, &files(5..40))]);
}

#[test]
fn a_remembered_mark_is_not_believed_once_a_root_is_gone() {
    let world = World::new(205);
    let mut vault = world.open();
    let gone = back_up_tree(&mut vault, &files(0..6));
    let kept = back_up_tree(&mut vault, &files(6..12));
    collect(&mut vault, &at_once());
    forget(&mut vault, gone);
    let found = collect(&mut vault, &at_once());
    assert_eq!(found.packs.objects, 2);
    world.expect_whole([(&kept, &files(6..12))]);
}

#[test]
fn the_trash_and_the_base_of_an_open_session_are_marked() {
    let world = World::new(206);
    let contents = files(0..5);
    let mut vault = world.open();
    let base = back_up_tree(&mut vault, &contents);
    let mut host = world.host("writer");
    let options = WriteOptions { base: Some(base), ..Default::default() };
    let mut writer = host.write(options).unwrap();
    assert_eq!(writer.base(), Some(base));
    forget(&mut vault, base);

    let found = collect(&mut vault, &at_once());
    assert_eq!((found.purged.as_slice(), found.condemned.objects), (&[base][..], 0));

    // It inherits everything, unseen.
    let root = vault_root(&world, base);
    let committed = writer.commit(draft(root)).unwrap();
    let CommitOutcome::Committed(committed) = committed else { panic!("{committed:?}") };
    collect(&mut vault, &at_once());
    world.expect_whole([(&committed.snapshot, &contents)]);
}

/// The root of a snapshot, also of a purged one.
fn vault_root(world: &World, snapshot: SessionId) -> ChunkRef {
    let mut vault = world.host("reader");
    let (domain, body) = {
        let ledger = vault.ledger();
        let found = ledger.state().snapshot(snapshot).unwrap();
        (found.domain, found.body.unwrap())
    };
    let bytes = vault.reader().unwrap().chunk(domain, body.descriptor).unwrap();
    format::Descriptor::decode(&bytes).unwrap().root_ref()
}

#[test]
fn a_silent_session_is_abandoned_and_its_packs_wait_a_week_for_its_host() {
    let world = World::new(207);
    let mut host = world.host("writer");
    let writer = host.write(WriteOptions::default()).unwrap();
    let session = writer.session();
    let stranger = lone_pack(&world, session);
    let mut vault = world.open();

    world.clock.advance(DAY / 2);
    assert!(collect(&mut vault, &at_once()).abandoned.is_empty());
    assert!(world.packs().contains(&stranger), "its session is open");
    world.clock.advance(DAY);
    let found = collect(&mut vault, &at_once());
    assert_eq!((found.abandoned, found.waiting.objects), (vec![session], 1));
    assert!(world.packs().contains(&stranger));
    world.clock.advance(7 * DAY);
    assert_eq!(collect(&mut vault, &at_once()).strangers.objects, 1);
    assert!(world.packs().is_empty());
    drop(writer);
}

/// Puts a pack of this session that no record names.
fn lone_pack(world: &World, session: SessionId) -> Digest {
    let vault = world.host("maker");
    let (suite, vault_id) = (vault.config().suite, vault.config().vault);
    let kind = crypto::ObjectKind::MetadataPack;
    let header = crypto::Header { suite, kind, vault_id, session, epoch: crypto::Epoch(0) };
    let key = crypto::KemPublic::from_bytes(
        &vault.ledger().state().epoch_keys(crypto::Epoch(0)).unwrap().meta[..],
    )
    .unwrap();
    let wrapping = crypto::Wrapping::Kem(&key);
    let sealer =
        crypto::ObjectSealer::new(header, wrapping, world.entropy.as_ref(), Vec::new()).unwrap();
    let padded = crypto::padded_stream_len(sealer.stream_len());
    let object = sealer.finish(padded).unwrap();
    let name = format::VaultNames::pack(&object.name);
    let _ = world.place.put(&name, object.bytes.into(), &places::PutOptions::default()).unwrap();
    object.name
}

#[test]
fn strangers_of_unknown_sessions_stay_and_those_of_committed_ones_go() {
    let world = World::new(208);
    let mut vault = world.open();
    let contents = files(0..3);
    let session = back_up_tree(&mut vault, &contents);
    let over = lone_pack(&world, session);
    let unknown = lone_pack(&world, SessionId::from_bytes([9; 16]));

    let found = collect(&mut vault, &at_once());

    assert_eq!((found.strangers.objects, found.strangers_kept), (1, 1));
    assert!(!world.packs().contains(&over) && world.packs().contains(&unknown));
    world.expect_whole([(&session, &contents)]);
}

#[test]
fn a_pack_whose_own_header_names_an_open_session_is_never_condemned() {
    let world = World::new(209);
    let mut host = world.host("writer");
    let writer = host.write(WriteOptions::default()).unwrap();
    let pack = lone_pack(&world, writer.session());
    // Somebody else names it first and commits.
    let mut other = world.host("other");
    let liar = other.write(WriteOptions::default()).unwrap();
    let needs = vec![format::ObjectRef::Pack(pack)];
    other.ledger().append_one(Draft::commit_packs(liar.session(), needs)).unwrap();

    collect(&mut world.open(), &at_once());

    assert!(world.packs().contains(&pack));
    drop(writer);
}

#[test]
fn many_small_runs_become_one_and_every_chunk_is_still_found() {
    let world = World::new(210);
    let mut wanted = BTreeMap::new();
    let mut vault = world.open();
    for number in 0..34 {
        let contents = files([number, number + 1]);
        wanted.insert(back_up_tree(&mut vault, &contents), contents);
    }
    let runs = || world.place.names().iter().filter(|n| n.as_str().starts_with("index/")).count();
    assert_eq!(runs(), 34);

    let found = collect(&mut world.collector(), &at_once());

    assert_eq!((found.merged.runs, found.merged.into, found.runs.objects), (34, 1, 34));
    assert_eq!(runs(), 1);
    world.expect_whole(&wanted);
    assert!(verify(&mut world.host("fresh"), Reading::All).damage.is_empty());
    let again = collect(&mut world.collector(), &at_once());
    assert_eq!((again.merged.runs, again.suspected), (0, 0));
}

#[test]
fn a_damaged_node_or_a_missing_run_stops_its_domain_and_no_other() {
    for damage in ["packs/", "index/"] {
        let world = World::new(211);
        let mut vault = world.open();
        let kept = back_up_tree(&mut vault, &files(0..4));
        let gone = back_up_tree(&mut vault, &files(10..14));
        let bundle = vault.issue_bundle(Role::Writer, DomainChoice::Own, "apart").unwrap();
        let mut apart = world.open_with(Arc::new(world.place.clone()), "apart", bundle);
        let other_kept = back_up_tree(&mut apart, &files(20..24));
        let other_gone = back_up_tree(&mut apart, &files(30..34));
        forget(&mut vault, gone);
        forget(&mut vault, other_gone);
        let victim =
            if damage == "packs/" { node_pack(&world, kept) } else { run_of(&world, kept) };
        let bytes = world.place.get(&victim, None).unwrap();
        world.place.delete(&victim).unwrap();

        let found = collect(&mut world.collector(), &at_once());

        assert_eq!(found.stopped.len(), 1, "{found:?}");
        assert_eq!(found.stopped[0].domain, format::DomainId::DEFAULT);
        assert_eq!(found.packs.objects, 2, "the other domain is collected");
        world.expect_whole([(&other_kept, &files(20..24))]);

        let _ = world.place.put(&victim, bytes, &places::PutOptions::default()).unwrap();
        let found = collect(&mut world.collector(), &at_once());
        assert_eq!((found.stopped.len(), found.packs.objects), (0, 2), "{found:?}");
        world.expect_whole([(&kept, &files(0..4)), (&other_kept, &files(20..24))]);
    }
}

/// The metadata pack that holds a snapshot's root.
fn node_pack(world: &World, snapshot: SessionId) -> places::ObjectName {
    let root = vault_root(world, snapshot);
    let reader = world.host("reader").reader().unwrap();
    let at = reader.locate(format::DomainId::DEFAULT, root).unwrap().unwrap();
    format::VaultNames::pack(&at.pack)
}

fn run_of(world: &World, snapshot: SessionId) -> places::ObjectName {
    let vault = world.host("reader");
    let ledger = vault.ledger();
    let run = ledger.state().runs().find(|(_, origin)| origin.session == snapshot).unwrap();
    format::VaultNames::run(run.0)
}

#[test]
fn a_written_off_snapshot_is_passed_over_and_all_that_it_reaches_is_kept() {
    let world = World::new(212);
    let mut vault = world.open();
    let hurt = back_up_tree(&mut vault, &files(0..4));
    let gone = back_up_tree(&mut vault, &files(10..14));
    forget(&mut vault, gone);
    world.place.delete(&node_pack(&world, hurt)).unwrap();
    assert_eq!(collect(&mut vault, &at_once()).stopped.len(), 1);

    vault.ledger().append_one(Draft::on_snapshots(Kind::WriteOff, [hurt])).unwrap();
    let found = collect(&mut vault, &at_once());

    assert!(found.stopped.is_empty() && found.passed_over > 0);
    assert!(found.packs.objects >= 2);
}

#[test]
fn what_the_place_refuses_to_delete_is_reported_and_tried_again() {
    let world = World::new(213);
    let mut vault = world.open();
    let kept = back_up_tree(&mut vault, &files(0..4));
    let gone = back_up_tree(&mut vault, &files(10..14));
    forget(&mut vault, gone);
    let locked = Faulty::scripted(world.place.clone(), world.clock.clone(), |operation| {
        if operation.verb != Verb::Delete {
            return Fault::None;
        }
        let (place, subject) = ("memory".into(), operation.subject.to_owned());
        let reason = "it is locked".into();
        Fault::Refuse(places::Error::Denied { place, subject, reason })
    });

    let found = collect(&mut world.open_at(Arc::new(locked), "host"), &at_once());
    assert_eq!((found.condemned.objects, found.packs.objects, found.kept.len()), (2, 0, 2));
    assert!(found.kept.iter().all(|kept| kept.reason.contains("locked") && kept.bytes > 0));

    let found = collect(&mut vault, &at_once());
    assert_eq!((found.packs.objects, found.kept.len()), (2, 0));
    world.expect_whole([(&kept, &files(0..4))]);
}

#[test]
fn a_suspicion_that_was_left_behind_is_cleared_and_writers_trust_the_packs_again() {
    let world = World::new(214);
    let contents = files(0..4);
    let mut vault = world.open();
    let kept = back_up_tree(&mut vault, &contents);
    let packs = world.packs();
    let mut dead = world.collector();
    dead.ensure_member().unwrap();
    dead.ledger().append_one(Draft::on_packs(Kind::Suspect, packs.clone())).unwrap();

    assert_eq!(collect(&mut vault, &at_once()).cleared, 0, "its collector may be at work");
    world.clock.advance(DAY);
    assert_eq!(collect(&mut vault, &at_once()).cleared, 1);
    let state = vault.ledger().state().clone();
    assert!(packs.iter().all(|pack| state.pack_standing(pack) == PackStanding::Good));
    world.expect_whole([(&kept, &contents)]);
}

#[test]
fn a_key_of_another_role_is_refused_before_anything_happens() {
    let world = World::new(215);
    for role in [Role::Writer, Role::Reader, Role::Browser, Role::Auditor] {
        let bundle = world.open().issue_bundle(role, DomainChoice::Default, "other").unwrap();
        let before = world.place.names();
        let mut vault = world.open_with(Arc::new(world.place.clone()), "other", bundle);
        let refused = try_collect(&mut vault, &at_once()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Denied, "{role}: {refused}");
        assert_eq!(world.place.names(), before);
    }
}

#[test]
fn chunks_in_two_packs_keep_exactly_one_of_them() {
    let world = World::new(216);
    let contents = files(0..4);
    let mut first = world.host("a");
    let mut second = world.host("b");
    // Neither knows of the other: both store everything.
    let mut writers = [
        first.write(WriteOptions::default()).unwrap(),
        second.write(WriteOptions::default()).unwrap(),
    ];
    let roots = [0, 1].map(|n| store_tree(&writers[n], &contents).unwrap());
    let mut wanted = BTreeMap::new();
    for (writer, root) in writers.iter_mut().zip(roots) {
        let outcome = writer.commit(draft(root)).unwrap();
        let CommitOutcome::Committed(committed) = outcome else { panic!("{outcome:?}") };
        wanted.insert(committed.snapshot, contents.clone());
    }
    let before = world.packs().len();

    let found = collect(&mut world.open(), &at_once());

    assert!(found.packs.objects >= 1, "{found:?}");
    assert_eq!(world.packs().len() as u64, before as u64 - found.packs.objects);
    world.expect_whole(&wanted);
}
