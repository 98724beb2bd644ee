//! A replica at a place that locks: its locks are extended by its own ledger, without a key.
//!
//! What the vault dropped is left to run out, and is deleted after the hold and the lock.

use std::time::Duration;

use format::VaultNames;
use places::{Clock, ErrorKind, ObjectLock, Place, Retaining, Retention, RetentionMode, Versions};
use replica::ReplicaOptions;

use crate::world::{World, back_up, condemn_a_pack, pass};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn a_replica_that_locks_outlives_who_has_its_credentials_and_lets_go_of_what_was_dropped() {
    let mut world = World::new(70);
    world.target = world.target.keeping_locks();
    let lock = ObjectLock::new(RetentionMode::Compliance, 30).unwrap();
    let locking = || Retaining::new(world.target.clone(), lock, world.clock.clone());
    let options = ReplicaOptions { lock: Some(lock), ..ReplicaOptions::default() };
    let mut vault = world.open(&world.source);
    back_up(&mut vault, &[7; 3000]);
    let mut replicator = world.replicator_with(options, world.source.clone(), locking());
    pass(&mut replicator).unwrap();
    let dropped = VaultNames::pack(&condemn_a_pack(&vault));

    let mut refused = 0;
    for _ in 0..40 {
        world.clock.advance(DAY);
        let done = pass(&mut replicator).unwrap();
        refused += done.held;
        let locks = done.locks.expect("a day later locks are looked after");
        assert!(locks.until.is_some_and(|until| until > world.clock.now().plus(14 * DAY)));
        assert_eq!(locks.touched_total, 0);
    }
    assert!(refused > 20, "the lock outlasts the hold");
    assert_eq!(world.target.stat(&dropped).unwrap(), None, "dropped, and let go by its lock");
    for name in world.target.names() {
        let destroyed = world.target.versions_of(&name).unwrap().pop().unwrap().id;
        let error = world.target.destroy(&name, &destroyed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{name}");
        assert!(world.target.retained_until(&name, None).unwrap().is_some());
    }
}
