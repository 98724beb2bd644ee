//! Sessions beside one another, sessions that die, sessions whose ground moves.
//!
//! What was acknowledged stays whole, what was published is found again.

use super::*;
use format::Digest;

fn only_pack_of(vault: &mut Vault, chunk: ChunkRef) -> Digest {
    let reader = vault.reader().unwrap();
    reader.locate(format::DomainId::DEFAULT, chunk).unwrap().unwrap().pack
}

#[test]
fn a_session_that_died_is_abandoned_and_what_it_published_is_not_stored_again() {
    let world = World::new(10);
    let contents: Vec<Vec<u8>> = (0..80).map(|n| noise(n, 1_000_000)).collect();
    let contents: Vec<&[u8]> = contents.iter().map(|c| &c[..]).collect();
    let mut vault = world.open();
    let dead = vault.write(WriteOptions::default()).unwrap();
    store(&dead, &contents);
    let dead_session = dead.session();
    // As a killed process would: nothing is said, the lock is let go.
    drop(dead);

    let mut vault = world.open();
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let (_, root) = store(&writer, &contents);
    let written = writer.written();
    assert!(matches!(writer.commit(draft(root)), Ok(CommitOutcome::Committed(_))));

    assert!(written.bytes_known >= 40_000_000, "{written:?}");
    let status = vault.ledger().state().session(dead_session).unwrap().status;
    assert_eq!(status, ledger::SessionStatus::Abandoned);
    assert!(verify(&mut vault, Reading::All).damage.is_empty());
}

#[test]
fn several_hosts_back_up_at_the_same_time() {
    let world = World::new(11);
    let shared = noise(1, 300_000);
    std::thread::scope(|scope| {
        for host in ["a", "b", "c", "d"] {
            let (world, shared) = (&world, &shared);
            scope.spawn(move || {
                let own = noise(host.len() as u64 + u64::from(host.as_bytes()[0]), 200_000);
                for _ in 0..3 {
                    let place = Arc::new(world.place.clone());
                    back_up(&mut world.open_at(place, host), &[shared, &own]);
                }
            });
        }
    });
    let mut vault = world.open();
    assert_eq!(vault.snapshots().unwrap().len(), 12);
    assert!(verify(&mut vault, Reading::All).damage.is_empty());
}

#[test]
fn a_pack_that_comes_under_suspicion_is_not_relied_on() {
    for kind in [Kind::Suspect, Kind::Lost] {
        let world = World::new(12);
        let content = noise(1, 300_000);
        let (chunks, _) = back_up(&mut world.open(), &[&content]);
        let mut vault = world.open();
        let pack = only_pack_of(&mut vault, chunks[0]);
        let mut writer = vault.write(WriteOptions::default()).unwrap();
        let (_, root) = store(&writer, &[&content]);
        assert_eq!(writer.written().chunks_new, 0, "all is there already");

        let mut collector = world.open_at(Arc::new(world.place.clone()), "collector");
        collector.ensure_member().unwrap();
        collector.ledger().append_one(Draft::on_packs(kind, [pack])).unwrap();

        assert_eq!(writer.commit(draft(root)).unwrap(), CommitOutcome::Again);
        let (again, root) = store(&writer, &[&content]);
        assert!(matches!(writer.commit(draft(root)), Ok(CommitOutcome::Committed(_))));
        assert_ne!(only_pack_of(&mut vault, again[0]), pack);
    }
}

#[test]
fn a_session_closed_by_another_cannot_commit_and_its_packs_are_found() {
    let world = World::new(13);
    let content = noise(1, 300_000);
    let mut vault = world.open();
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let (_, root) = store(&writer, &[&content]);
    let mut owner = world.open_at(Arc::new(world.place.clone()), "owner");
    owner.ensure_member().unwrap();
    owner.ledger().append_one(Draft::abandon(writer.session())).unwrap();

    let error = writer.commit(draft(root)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    drop(writer);
    back_up(&mut vault, &[&content]);
    assert!(verify(&mut vault, Reading::All).damage.is_empty());
}

#[test]
fn a_writer_reads_its_own_metadata_from_its_copies_and_no_content() {
    let world = World::new(14);
    let mut owner = world.open();
    let bundle = owner.issue_bundle(Role::Writer, DomainChoice::Default, "web-1").unwrap();
    let open = || {
        let bundle = Bundle::decode(&bundle.encode()).unwrap();
        world.open_with(Arc::new(world.place.clone()), "web-1", bundle)
    };
    let content = noise(1, 300_000);
    let (chunks, committed) = back_up(&mut open(), &[&content]);

    let mut vault = open();
    let base = vault.base_for("test", &[b"/srv".to_vec()]).unwrap().unwrap();
    assert_eq!(base.id, committed.snapshot);
    let reader = vault.reader().unwrap();
    let root = base.descriptor.unwrap().root_ref();
    assert!(reader.chunk(base.domain, root).is_ok(), "its own tree is in its cache");
    let refused = reader.chunk(base.domain, chunks[0]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);

    std::fs::remove_dir_all(world.folder.path().join("web-1/cache")).unwrap();
    let mut vault = open();
    assert!(vault.base_for("test", &[b"/srv".to_vec()]).unwrap().is_none());
    let writer = vault.write(WriteOptions::default()).unwrap();
    store(&writer, &[&content]);
    assert_eq!(writer.written().bytes_new, 0, "dedup needs no base");
}

#[test]
fn a_place_that_fails_stops_the_session_and_harms_no_snapshot() {
    let world = World::new(15);
    back_up(&mut world.open(), &[b"first"]);
    for failing in 0..6 {
        let content = noise(100 + failing, 6_000_000);
        let puts = std::sync::atomic::AtomicU64::new(0);
        let script = move |operation: &Operation<'_>| {
            let is_put = operation.verb == Verb::Put;
            let number = puts.fetch_add(u64::from(is_put), std::sync::atomic::Ordering::Relaxed);
            if is_put && number >= failing { Fault::CrashBefore } else { Fault::None }
        };
        let place = Faulty::scripted(world.place.clone(), world.clock.clone(), script);
        let mut vault = world.open_at(Arc::new(place), "host");
        let failed = (|| {
            let mut writer = vault.write(WriteOptions::default())?;
            let mut lane = writer.lane();
            for piece in content.chunks(1_000_000) {
                lane.store(ChunkKind::Content, piece)?;
            }
            let leaf = format::NodeEncoder::new(0).take();
            let root = lane.store(ChunkKind::Node, &leaf)?.chunk;
            lane.flush()?;
            drop(lane);
            writer.commit(draft(root))
        })();
        let error = failed.err();
        let mut vault = world.open();
        let snapshots = vault.snapshots().unwrap().len() as u64;
        assert!(error.is_some() == (snapshots == 1), "put {failing}: {error:?}, {snapshots}");
        assert!(verify(&mut vault, Reading::All).damage.is_empty());
        if snapshots > 1 {
            break;
        }
    }
}

#[test]
fn a_rehearsal_counts_and_writes_nothing() {
    let world = World::new(16);
    let names = world.place.names();
    let mut vault = world.open();
    let options = WriteOptions { rehearsal: Rehearsal::Yes, ..WriteOptions::default() };
    let mut writer = vault.write(options).unwrap();
    let content = noise(1, 300_000);
    let (_, root) = store(&writer, &[&content]);
    assert!(writer.written().bytes_new >= 300_000);
    assert_eq!(writer.commit(draft(root)).unwrap(), CommitOutcome::Rehearsed);
    assert_eq!(world.place.names(), names);
}

#[test]
fn a_pack_that_another_session_claims_first_stops_the_commit() {
    let world = World::new(17);
    let mut vault = world.open();
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let packs = || world.place.names().into_iter().filter(|n| n.as_str().starts_with("packs/"));
    let content = noise(1, 6_000_000);
    let mut lane = writer.lane();
    for piece in content.chunks(1_000_000) {
        lane.store(ChunkKind::Content, piece).unwrap();
    }
    let leaf = format::NodeEncoder::new(0).take();
    let root = lane.store(ChunkKind::Node, &leaf).unwrap().chunk;
    lane.flush().unwrap();
    drop(lane);
    while writer.written().packs == 0 {
        std::thread::yield_now();
    }
    let uploaded = packs().next();
    let name = uploaded.unwrap().as_str().rsplit('/').next().unwrap().parse().unwrap();

    let mut thief = world.open_at(Arc::new(world.place.clone()), "thief");
    let session = thief.write(WriteOptions::default()).unwrap().session();
    let needs = vec![format::ObjectRef::Pack(name)];
    thief.ledger().append_one(Draft::packs(session, needs)).unwrap();

    let error = writer.commit(draft(root)).unwrap_err();
    assert!(
        matches!(&error, Error::Taken { object } if *object == format::VaultNames::pack(&name)),
        "{error}"
    );
}

#[test]
fn a_commit_tried_again_after_an_error_still_publishes_what_was_stored() {
    let world = World::new(12);
    // All tries of the first call to put the commit, which is the fourth record.
    let mut unanswered = 12;
    let script = move |operation: &Operation<'_>| match operation.verb {
        Verb::Put if operation.subject.ends_with("003") && unanswered > 0 => {
            unanswered -= 1;
            Fault::Before
        }
        _ => Fault::None,
    };
    let faulty = Faulty::scripted(world.place.clone(), world.clock.clone(), script);
    let mut vault = world.open_at(Arc::new(faulty), "host");
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let content = noise(1, 1000);
    let (chunks, root) = store(&writer, &[&content]);

    let first = writer.commit(draft(root)).unwrap_err();
    let second = writer.commit(draft(root)).unwrap();

    assert_eq!(first.kind(), ErrorKind::Unavailable);
    assert!(matches!(second, CommitOutcome::Committed(_)), "{second:?}");
    let mut other = world.open_at(Arc::new(world.place.clone()), "other");
    let reader = other.reader().unwrap();
    assert_eq!(reader.chunk(format::DomainId::DEFAULT, chunks[0]).unwrap(), content);
}
