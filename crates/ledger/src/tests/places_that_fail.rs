//! Places that fail: a lost answer or a crash makes no second record and loses none.
//!
//! A session id is valid once, so a doubled record would show as a void one.

use std::sync::Arc;

use crypto::Role;
use format::{DomainId, SessionId};
use places::{FaultRates, Faulty};

use super::world::World;
use crate::{Components, Draft, ErrorKind, Ledger, ProcessMemory, Result};

fn open_at(world: &World, components: Components, keys: &Arc<crypto::Keyring>) -> Result<Ledger> {
    let memory = Arc::new(ProcessMemory::new());
    Ledger::open(components, &world.config_bytes, Some(keys.clone()), memory, None)
}

/// Opens three sessions; says which were acknowledged before the first error.
fn work(world: &World, components: Components, keys: &Arc<crypto::Keyring>) -> Vec<SessionId> {
    let mut done = Vec::new();
    let mut openings = (0..9).map(|_| open_at(world, components.clone(), keys));
    let Some(mut ledger) = openings.find_map(Result::ok) else { return done };
    for _ in 0..3 {
        let session = world.session();
        if ledger.append_one(Draft::open(session, DomainId::DEFAULT, None)).is_ok() {
            done.push(session);
        }
    }
    done
}

/// Everything acknowledged stands once, and nothing was appended twice.
fn assert_kept(world: &World, done: &[SessionId]) {
    let root = world.root();
    assert!(root.standing().forbids_append().is_none(), "{:?}", root.standing());
    assert_eq!(root.state().voids().count, 0, "a record was appended twice");
    assert!(root.state().sessions().count() <= 3);
    for session in done {
        assert!(root.state().session(*session).is_some(), "an acknowledged record is gone");
    }
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged_and_doubles_nothing() {
    for (after, index) in (0..60).flat_map(|index| [(false, index), (true, index)]) {
        let world = World::new();
        let keys = world.keyring(Role::Writer, DomainId::DEFAULT);
        world.certify(&keys);
        let (place, clock) = (world.place.clone(), Arc::new(world.clock.clone()));
        let crashing = match after {
            true => Faulty::crashing_after(place, clock, index),
            false => Faulty::crashing_before(place, clock, index),
        };
        let done = work(&world, world.components_at(Arc::new(crashing)), &keys);
        assert_kept(&world, &done);
    }
}

#[test]
fn lost_answers_are_settled_by_looking() {
    let rates = FaultRates { before_permille: 20, after_permille: 60, hang_permille: 5 };
    let mut acknowledged = 0;
    for seed in 0..40 {
        let world = World::new();
        let keys = world.keyring(Role::Writer, DomainId::DEFAULT);
        world.certify(&keys);
        let (place, clock) = (world.place.clone(), Arc::new(world.clock.clone()));
        let faulty = Faulty::seeded(place, clock, seed, rates);
        let done = work(&world, world.components_at(Arc::new(faulty)), &keys);
        acknowledged += done.len();
        assert_kept(&world, &done);
    }
    assert!(acknowledged > 40, "only {acknowledged} appends of 120 came through");
}

#[test]
fn a_place_that_never_answers_is_given_up_with_an_error_that_says_so() {
    let world = World::new();
    let keys = world.keyring(Role::Writer, DomainId::DEFAULT);
    world.certify(&keys);
    let clock = Arc::new(world.clock.clone());
    let script = |operation: &places::Operation<'_>| match operation.verb {
        places::Verb::Put => places::Fault::Before,
        _ => places::Fault::None,
    };
    let faulty = Faulty::scripted(world.place.clone(), clock, script);
    let mut ledger = open_at(&world, world.components_at(Arc::new(faulty)), &keys).unwrap();
    let draft = Draft::open(world.session(), DomainId::DEFAULT, None);
    let error = ledger.append_one(draft).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
