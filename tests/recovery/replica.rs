//! A replica of a real vault, over places in memory: complete, killed at any request, forked.
//!
//! The vault is small and real; the replicator holds no key of it. What lies at the target is
//! looked at with the owner's key, as after a disaster. DESIGN §12.

use std::sync::Arc;

use crypto::SessionId;
use format::{ChunkRef, Kind};
use ledger::{Draft, SnapshotStanding};
use places::{Clock, Faulty, MemoryPlace, Place, Recording, Verb};

use replica::{Error, ErrorKind};

use crate::world::{HOLD, World, back_up, condemn_a_pack, pass};

#[test]
fn a_replica_restores_what_its_source_holds_and_follows_it() {
    let world = World::new(1);
    let mut vault = world.open(&world.source);
    let (_, first) = back_up(&mut vault, b"the first");
    let mut replicator = world.replicator();
    let done = pass(&mut replicator).unwrap();
    assert_eq!(done.records, vault.ledger().state().head().seq.0 + 1);
    assert_eq!((done.lag.records, done.missing.len()), (done.records, 0));

    let (_, second) = back_up(&mut vault, b"the second");
    let done = pass(&mut replicator).unwrap();
    assert_eq!(done.records, 2, "an open and a commit");
    let idle = pass(&mut replicator).unwrap();
    assert_eq!((idle.records, idle.objects, idle.bytes, idle.lag.records), (0, 0, 0, 0));

    let mut copy = world.open(&world.target);
    let reader = copy.reader().unwrap();
    for (chunk, content) in [(first, b"the first".as_slice()), (second, b"the second")] {
        assert_eq!(&reader.chunk(format::DomainId::DEFAULT, chunk).unwrap()[..], content);
    }
    let refused = copy.ledger().append_one(Draft::on_snapshots(Kind::Forget, []));
    assert!(matches!(refused, Err(ledger::Error::Replica)), "{refused:?}");
}

#[test]
fn a_pass_killed_at_any_request_leaves_only_snapshots_that_restore_and_the_next_ends_it() {
    let world = World::new(2);
    let mut vault = world.open(&world.source);
    let contents: Vec<_> = (0..3).map(|index| vec![index; 1000]).collect();
    let made: Vec<_> = contents.iter().map(|content| back_up(&mut vault, content)).collect();
    let (mut at, mut ended) = (0, false);
    while !ended {
        let target = MemoryPlace::with_clock(world.clock.clone());
        let clock: Arc<dyn Clock> = world.clock.clone();
        let crashing = Faulty::crashing_after(target.clone(), clock, at);
        let mut replicator = world.replicator_between(world.source.clone(), crashing);
        ended = pass(&mut replicator).is_ok();
        snapshots_there_restore(&world, &target, &made, &contents);
        let mut replicator = world.replicator_between(world.source.clone(), target.clone());
        pass(&mut replicator).unwrap();
        assert_eq!(snapshots_there_restore(&world, &target, &made, &contents), made.len());
        at += 1;
    }
    assert!(at > 20, "{at} requests");
}

/// How many snapshots the target shows, all of which restore.
fn snapshots_there_restore(
    world: &World,
    target: &MemoryPlace,
    made: &[(SessionId, ChunkRef)],
    contents: &[Vec<u8>],
) -> usize {
    let first = format::VaultNames::record(format::Seq(0));
    if target.stat(&first).unwrap().is_none() {
        return 0;
    }
    let mut copy = world.open(target);
    let there: Vec<_> = copy.snapshots().unwrap();
    let reader = copy.reader().unwrap();
    for snapshot in &there {
        assert_eq!(snapshot.problem, None);
        let index = made.iter().position(|(id, _)| *id == snapshot.id).unwrap();
        let chunk = reader.chunk(snapshot.domain, made[index].1).unwrap();
        assert_eq!(&chunk[..], contents[index]);
    }
    there.len()
}

#[test]
fn what_a_record_drops_is_deleted_after_the_hold_and_not_before() {
    let world = World::new(3);
    let mut vault = world.open(&world.source);
    back_up(&mut vault, b"soon gone");
    let mut replicator = world.replicator();
    pass(&mut replicator).unwrap();
    let pack = condemn_a_pack(&vault);
    let name = format::VaultNames::pack(&pack);
    world.source.delete(&name).unwrap();
    let done = pass(&mut replicator).unwrap();
    assert_eq!((done.deleted, done.held, done.missing.len()), (0, 1, 0));
    assert!(world.target.stat(&name).unwrap().is_some());
    world.clock.advance(HOLD);
    let done = pass(&mut world.replicator()).unwrap();
    assert_eq!((done.deleted, done.held), (1, 0));
    assert!(world.target.stat(&name).unwrap().is_none());
}

#[test]
fn an_object_that_the_source_lost_is_named_and_the_rest_is_copied() {
    let world = World::new(4);
    let mut vault = world.open(&world.source);
    back_up(&mut vault, b"lost");
    let pack = vault.ledger().state().packs().map(|(name, _)| *name).next().unwrap();
    let name = format::VaultNames::pack(&pack);
    world.source.corrupt(&name, |bytes| bytes[100] ^= 1);
    let done = pass(&mut world.replicator()).unwrap();
    assert_eq!(done.missing.len(), 1);
    assert_eq!(done.missing[0].object, name);
    assert!(done.missing[0].reason.contains("damaged"), "{}", done.missing[0].reason);
    assert_eq!(done.head, Some(vault.ledger().state().head()));
    assert!(world.target.stat(&name).unwrap().is_none());
}

#[test]
fn a_target_with_another_history_is_a_fork_and_nothing_is_copied() {
    let world = World::new(5);
    let mut vault = world.open(&world.source);
    let before = world.source.snapshot();
    back_up(&mut vault, b"one");
    pass(&mut world.replicator()).unwrap();
    world.source.restore(&before);
    let rolled_back = pass(&mut world.replicator()).unwrap_err();
    assert!(matches!(rolled_back, Error::Behind { .. }), "{rolled_back}");
    back_up(&mut world.open(&world.source), b"another");
    back_up(&mut world.open(&world.source), b"and more");
    let names = world.target.names();
    let forked = pass(&mut world.replicator()).unwrap_err();
    assert!(matches!(forked, Error::Fork { .. }), "{forked}");
    assert_eq!(world.target.names(), names);
}

#[test]
fn a_vault_is_not_taken_for_a_replica() {
    let world = World::new(6);
    let mut other = World::new(7);
    std::mem::swap(&mut other.target, &mut other.source);
    let target = other.target.clone();
    let mut replicator = world.replicator_between(world.source.clone(), target.clone());
    let names = target.names();
    let refused = pass(&mut replicator).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    assert_eq!(target.names(), names);
}

#[test]
fn a_replica_of_a_replica_is_as_good() {
    let world = World::new(8);
    let mut vault = world.open(&world.source);
    let made = [back_up(&mut vault, b"far away")];
    pass(&mut world.replicator()).unwrap();
    let third = MemoryPlace::with_clock(world.clock.clone());
    pass(&mut world.replicator_between(world.target.clone(), third.clone())).unwrap();
    let contents = [b"far away".to_vec()];
    assert_eq!(snapshots_there_restore(&world, &third, &made, &contents), 1);
}

#[test]
fn an_idle_pass_asks_little_of_the_target() {
    let world = World::new(9);
    back_up(&mut world.open(&world.source), b"x");
    let target = Arc::new(Recording::new(world.target.clone()));
    let mut replicator = world.replicator_between(world.source.clone(), target.clone());
    pass(&mut replicator).unwrap();
    target.reset();
    pass(&mut replicator).unwrap();
    assert_eq!(target.count(Verb::Put), 0);
    assert_eq!(target.count(Verb::Get), 0);
}

#[test]
fn snapshots_that_are_forgotten_at_the_source_are_so_at_the_replica() {
    let world = World::new(11);
    let mut vault = world.open(&world.source);
    let (id, _) = back_up(&mut vault, b"x");
    vault.ledger().append_one(Draft::on_snapshots(Kind::Forget, [id])).unwrap();
    pass(&mut world.replicator()).unwrap();
    let copy = world.open(&world.target);
    let standing = copy.ledger().state().snapshot(id).map(|snapshot| snapshot.standing);
    assert_eq!(standing, Some(SnapshotStanding::Trashed));
}
