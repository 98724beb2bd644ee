//! What hostile members, damaged runs and careless callers may not achieve.
//!
//! Each test is an attack or a mishap that would lose, hide or hold up what others stored.

use super::*;
use bytes::Bytes;
use crypto::{Header, ObjectKind, ObjectSealer, Wrapping};
use format::{DomainId, ObjectRef, Run, VaultNames};
use places::{ObjectName, PutOptions};

/// Opens the one run that the place holds.
fn only_run(vault: &Vault) -> (format::Digest, Run) {
    let ledger = vault.ledger();
    let (name, _) = ledger.state().runs().next().unwrap();
    let bytes = vault.components().place.get(&VaultNames::run(name), None).unwrap();
    (*name, crate::index::open_run(vault.keyring(), &bytes, DomainId::DEFAULT).unwrap())
}

/// Publishes a run of this session, as a writer that obeys no rule might.
fn publish_run(vault: &Vault, session: format::SessionId, domain: DomainId, run: &Run) {
    let (keyring, entropy) = (vault.keyring(), vault.components().entropy.clone());
    let header = Header {
        suite: Suite::Aes256Gcm,
        kind: ObjectKind::IndexRun,
        vault_id: keyring.vault_id(),
        session,
        epoch: format::Epoch(0),
    };
    let key = keyring.index(domain, format::Epoch(0)).unwrap();
    let mut sealer =
        ObjectSealer::new(header, Wrapping::Keyed(&key), entropy.as_ref(), Vec::new()).unwrap();
    sealer.write(&run.encode());
    let length = crypto::padded_stream_len(sealer.stream_len());
    let object = sealer.finish(length).unwrap();
    let place = &vault.components().place;
    let name = VaultNames::run(&object.name);
    let _ = place.put(&name, Bytes::from(object.bytes), &PutOptions::default()).unwrap();
    let needs = vec![ObjectRef::Run(object.name)];
    vault.ledger().append_one(Draft::packs(session, needs)).unwrap();
}

fn hostile(world: &World, domain: DomainChoice) -> Vault {
    let bundle = world.open().issue_bundle(Role::Writer, domain, "mallory").unwrap();
    world.open_with(Arc::new(world.place.clone()), "mallory", bundle)
}

fn names_under(world: &World, prefix: &str) -> Vec<ObjectName> {
    world.place.names().into_iter().filter(|name| name.as_str().starts_with(prefix)).collect()
}

/// The files of one folder of the first host's cache.
fn cached(world: &World, folder: &str) -> Vec<std::path::PathBuf> {
    let below = |path: &std::path::PathBuf| {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries.collect::<Vec<_>>()
    };
    let vaults = below(&world.folder.path().join("host/cache"));
    below(&below(&vaults[0])[0].join(folder))
}

#[test]
fn what_lies_in_a_suspect_or_lost_pack_can_still_be_read() {
    for kind in [Kind::Suspect, Kind::Lost] {
        let world = World::new(40);
        let content = noise(1, 300_000);
        let (chunks, _) = back_up(&mut world.open(), &[&content]);
        let mut vault = world.open();
        let reader = vault.reader().unwrap();
        let pack = reader.locate(DomainId::DEFAULT, chunks[0]).unwrap().unwrap().pack;
        vault.ensure_member().unwrap();
        vault.ledger().append_one(Draft::on_packs(kind, [pack])).unwrap();

        let mut other = world.open_at(Arc::new(world.place.clone()), "other");
        let read = other.reader().unwrap().chunk(DomainId::DEFAULT, chunks[0]);
        assert_eq!(read.unwrap(), content, "{kind:?}");
    }
}

#[test]
fn a_run_that_cannot_be_read_hides_only_what_it_lists() {
    let world = World::new(41);
    let (first, second) = (noise(1, 300_000), noise(2, 300_000));
    let (lost, _) = back_up(&mut world.open(), &[&first]);
    let run = names_under(&world, "index/").remove(0);
    let (kept, _) = back_up(&mut world.open(), &[&second]);
    world.place.corrupt(&run, |bytes| bytes[2000] ^= 1);

    let mut fresh = world.open_at(Arc::new(world.place.clone()), "fresh");
    let reader = fresh.reader().unwrap();
    assert_eq!(reader.chunk(DomainId::DEFAULT, kept[0]).unwrap(), second);
    let error = reader.chunk(DomainId::DEFAULT, lost[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(run.as_str()), "{error}");
    let snapshots = fresh.snapshots().unwrap();
    assert_eq!(snapshots.len(), 2);
    assert!(snapshots[0].problem.is_some() && snapshots[1].problem.is_none());
    back_up(&mut fresh, &[&first, &second]);
}

#[test]
fn a_writer_that_names_a_run_that_is_not_there_stops_nobody() {
    let world = World::new(42);
    let content = noise(1, 300_000);
    let (chunks, _) = back_up(&mut world.open(), &[&content]);
    let mut mallory = hostile(&world, DomainChoice::Own);
    let session = mallory.write(WriteOptions::default()).unwrap().session();
    let needs = vec![ObjectRef::Run(format::Digest::of(b"nothing"))];
    mallory.ledger().append_one(Draft::packs(session, needs)).unwrap();

    let mut fresh = world.open_at(Arc::new(world.place.clone()), "fresh");
    let reader = fresh.reader().unwrap();
    assert_eq!(reader.chunk(DomainId::DEFAULT, chunks[0]).unwrap(), content);
}

#[test]
fn a_run_that_lists_a_pack_of_another_session_hides_nothing() {
    for own_domain in [true, false] {
        let world = World::new(43);
        let content = noise(1, 300_000);
        let (chunks, _) = back_up(&mut world.open(), &[&content]);
        let owner = world.open();
        let (_, mut run) = only_run(&owner);
        let choice = if own_domain { DomainChoice::Own } else { DomainChoice::Default };
        let mut mallory = hostile(&world, choice);
        let session = mallory.write(WriteOptions::default()).unwrap().session();
        // Some lie in the ledger's own order before the honest run, some behind it.
        for (number, same_session) in (0..12).zip([true, false].into_iter().cycle()) {
            for pack in &mut run.packs {
                pack.stream_length = (8 << 20) + number;
                pack.session = if same_session { pack.session } else { session };
            }
            publish_run(&mallory, session, mallory.keyring().domain(), &run);
        }

        let mut fresh = world.open_at(Arc::new(world.place.clone()), "fresh");
        let reader = fresh.reader().unwrap();
        assert_eq!(reader.chunk(DomainId::DEFAULT, chunks[0]).unwrap(), content);
        let found = verify(&mut fresh, Reading::All);
        assert!(found.damage.is_empty(), "{:?}", found.damage);
    }
}

#[test]
fn a_session_whose_lane_was_dropped_unflushed_cannot_be_committed() {
    let world = World::new(44);
    let mut vault = world.open();
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    writer.lane().store(ChunkKind::Content, b"never flushed").unwrap();
    let (chunks, root) = store(&writer, &[b"never flushed"]);
    assert_eq!(writer.written().chunks_known, 1, "{chunks:?}");

    let error = writer.commit(draft(root)).unwrap_err();
    assert!(matches!(error, Error::Unstored { chunks: 1 }), "{error}");
    writer.abandon().unwrap();
    assert!(world.open().snapshots().unwrap().is_empty());
}

#[test]
fn a_pack_lost_while_its_own_session_is_open_is_stored_again() {
    let world = World::new(45);
    let mut vault = world.open();
    let content = noise(1, 300_000);
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    // Enough for the session to publish.
    let more: Vec<Vec<u8>> = (2..80).map(|n| noise(n, 1_000_000)).collect();
    let contents: Vec<&[u8]> =
        std::iter::once(&content[..]).chain(more.iter().map(|c| &c[..])).collect();
    let (chunks, root) = store(&writer, &contents);
    let mut other = world.open_at(Arc::new(world.place.clone()), "other");
    other.ensure_member().unwrap();
    let located = other.reader().unwrap().locate(DomainId::DEFAULT, chunks[0]).unwrap();
    let pack = located.expect("16 packs are published").pack;
    other.ledger().append_one(Draft::on_packs(Kind::Lost, [pack])).unwrap();
    world.place.delete(&VaultNames::pack(&pack)).unwrap();

    assert_eq!(writer.commit(draft(root)).unwrap(), CommitOutcome::Again);
    let (_, root) = store(&writer, &contents);
    assert!(matches!(writer.commit(draft(root)), Ok(CommitOutcome::Committed(_))));
    drop(writer);
    let read = vault.reader().unwrap().chunk(DomainId::DEFAULT, chunks[0]);
    assert_eq!(read.unwrap(), content);
}

#[test]
fn a_pack_of_the_base_lost_after_the_walk_makes_it_walk_again() {
    let world = World::new(46);
    let content = noise(1, 300_000);
    let (chunks, committed) = back_up(&mut world.open(), &[&content]);
    let mut vault = world.open();
    let options = WriteOptions { base: Some(committed.snapshot), ..WriteOptions::default() };
    let mut writer = vault.write(options).unwrap();
    assert!(!writer.must_check_inherited());
    let (_, root) = store(&writer, &[]);
    let mut other = world.open_at(Arc::new(world.place.clone()), "other");
    other.ensure_member().unwrap();
    let pack = other.reader().unwrap().locate(DomainId::DEFAULT, chunks[0]).unwrap().unwrap().pack;
    other.ledger().append_one(Draft::on_packs(Kind::Lost, [pack])).unwrap();

    assert_eq!(writer.commit(draft(root)).unwrap(), CommitOutcome::Again);
    assert!(writer.must_check_inherited());
    assert!(!writer.is_stored(chunks[0]).unwrap());
    let (_, root) = store(&writer, &[&content]);
    assert!(matches!(writer.commit(draft(root)), Ok(CommitOutcome::Committed(_))));
}

#[test]
fn tables_in_shards_find_every_chunk_and_survive_a_damaged_file() {
    let world = World::new(47);
    let contents: Vec<Vec<u8>> = (0..400).map(|n| noise(n, 100)).collect();
    let mut all = Vec::new();
    for some in contents.chunks(10) {
        let some: Vec<&[u8]> = some.iter().map(|c| &c[..]).collect();
        all.extend(back_up(&mut world.open(), &some).0);
    }
    let read_all = |vault: &mut Vault| -> Result<()> {
        let reader = vault.reader()?;
        for (chunk, content) in all.iter().zip(&contents) {
            assert_eq!(reader.chunk(DomainId::DEFAULT, *chunk)?, content);
        }
        Ok(())
    };
    read_all(&mut world.open()).unwrap();
    let files = cached(&world, "index");
    assert!((4..40).contains(&files.len()), "{files:?}");
    for file in files {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        // What is damaged is read at once or given up, and made anew by the next who opens.
        let _ = read_all(&mut world.open());
        read_all(&mut world.open()).unwrap();
    }
}

#[test]
fn a_damaged_copy_of_a_pack_is_dropped_and_the_pack_itself_read() {
    let world = World::new(48);
    back_up(&mut world.open(), &[b"some"]);
    let copies = cached(&world, "packs");
    assert_eq!(copies.len(), 1);
    let mut bytes = std::fs::read(&copies[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&copies[0], bytes).unwrap();

    assert!(world.open().snapshots().unwrap()[0].descriptor.is_some());
    assert!(cached(&world, "packs").is_empty());
}

#[test]
fn copies_of_packs_that_no_snapshot_can_need_are_dropped() {
    let world = World::new(49);
    let (chunks, _) = back_up(&mut world.open(), &[b"some"]);
    let mut vault = world.open();
    let root = vault.snapshots().unwrap()[0].descriptor.clone().unwrap().root_ref();
    let pack = vault.reader().unwrap().locate(DomainId::DEFAULT, root).unwrap().unwrap().pack;
    vault.ensure_member().unwrap();
    let suspect = vault.ledger().append_one(Draft::on_packs(Kind::Suspect, [pack])).unwrap();
    vault.ledger().append_one(Draft::condemn(suspect.at.seq, [pack])).unwrap();

    drop(vault.write(WriteOptions::default()).unwrap());
    assert!(cached(&world, "packs").is_empty(), "{chunks:?}");
}

#[test]
fn an_open_session_goes_on_under_the_keys_of_a_new_epoch() {
    let world = World::new(50);
    let mut vault = world.open();
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let first = noise(1, 5_000_000);
    let (mut chunks, _) = store(&writer, &[&first]);

    let epoch = format::Epoch(1);
    let mut owner = world.open_at(Arc::new(world.place.clone()), "owner");
    owner.ensure_member().unwrap();
    let root = world.bundle.root().unwrap();
    let keys = format::EpochKeys {
        epoch,
        content: Box::new(*root.content_secret(epoch).public().as_bytes()),
        meta: Box::new(*root.meta_secret(epoch).public().as_bytes()),
    };
    let rotate = Draft { refs: vec![format::Ref::EpochKeys(keys)], ..Draft::new(Kind::Rotate) };
    owner.ledger().append_one(rotate).unwrap();
    // The next pack that is stored is published, and the session hears of the rotation.
    world.clock.advance(std::time::Duration::from_secs(100));
    let contents: Vec<Vec<u8>> = (2..22).map(|n| noise(n, 1_000_000)).collect();
    let contents: Vec<&[u8]> = contents.iter().map(|c| &c[..]).collect();
    let (more, root) = store(&writer, &contents);
    chunks.extend(more);
    assert!(matches!(writer.commit(draft(root)), Ok(CommitOutcome::Committed(_))));

    let mut epochs = std::collections::BTreeSet::new();
    for name in names_under(&world, "packs/") {
        let bytes = world.place.get(&name, None).unwrap();
        epochs.insert(Header::peek(&bytes).unwrap().epoch);
    }
    assert_eq!(epochs.into_iter().collect::<Vec<_>>(), [format::Epoch(0), epoch]);
    drop(writer);
    let mut fresh = world.open_at(Arc::new(world.place.clone()), "fresh");
    let reader = fresh.reader().unwrap();
    let contents = std::iter::once(&first[..]).chain(contents);
    for (chunk, content) in chunks.iter().zip(contents) {
        assert_eq!(reader.chunk(DomainId::DEFAULT, *chunk).unwrap(), content);
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_by_the_next_try() {
    let world = World::new(51);
    let silent = Arc::new(AtomicBool::new(false));
    let down = silent.clone();
    let script = move |operation: &Operation<'_>| {
        let is_record = operation.subject.starts_with("ledger/");
        match down.load(std::sync::atomic::Ordering::Relaxed) && is_record {
            true if operation.verb == Verb::Put => Fault::After,
            true if operation.subject.ends_with('3') => Fault::Before,
            _ => Fault::None,
        }
    };
    let place = Faulty::scripted(world.place.clone(), world.clock.clone(), script);
    let mut vault = world.open_at(Arc::new(place), "host");
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let (_, root) = store(&writer, &[b"some"]);
    silent.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = writer.commit(draft(root)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    silent.store(false, std::sync::atomic::Ordering::Relaxed);

    assert!(matches!(writer.commit(draft(root)), Ok(CommitOutcome::Committed(_))));
    assert_eq!(world.open().snapshots().unwrap().len(), 1);
}
