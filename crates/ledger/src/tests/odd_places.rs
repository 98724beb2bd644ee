//! Odd places: without put-if-absent, and with versions of what was written over.
//!
//! The first is a wrapper of a place in memory that changes what it says of itself.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use crypto::Role;
use format::{DomainId, Seq, VaultNames};
use places::{
    Capabilities, Listing, MemoryPlace, NamePrefix, ObjectName, Place, Put, PutOptions, Stat,
    Versions,
};

use super::world::{Host, World};
use crate::{Components, Draft, Error, ErrorKind, Ledger, ProcessMemory, Result};

/// A place that cannot refuse a second object.
struct Odd {
    inner: MemoryPlace,
}

impl Place for Odd {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> places::Result<Put> {
        self.inner.put(name, body, options)
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> places::Result<Bytes> {
        self.inner.get(name, range)
    }

    fn list(
        &self,
        prefix: &NamePrefix,
        start_after: Option<&ObjectName>,
    ) -> places::Result<Listing<'_>> {
        self.inner.list(prefix, start_after)
    }

    fn stat(&self, name: &ObjectName) -> places::Result<Option<Stat>> {
        self.inner.stat(name)
    }

    fn delete(&self, name: &ObjectName) -> places::Result<()> {
        self.inner.delete(name)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { if_absent: false, object_lock: false, versions: false }
    }

    fn describe(&self) -> String {
        "odd:".into()
    }
}

fn open_at(world: &World, components: Components) -> Result<Ledger> {
    let memory = Arc::new(ProcessMemory::new());
    let keyring = Some(world.root_keyring());
    Ledger::open(components, &world.config_bytes, keyring, memory, None)
}

#[test]
fn where_versions_are_kept_the_oldest_is_the_record() {
    let mut world = World::new();
    world.place = world.place.keeping_versions();
    let mut writer = world.member(Role::Writer);
    (0..3).for_each(|number| assert!(writer.snapshot(&world, &[number]) != world.session()));
    let (changed, hidden) = (VaultNames::record(Seq(4)), VaultNames::record(Seq(6)));
    let mut wrong = world.bytes(Seq(4)).to_vec();
    wrong[300] ^= 1;
    world.place.overwrite(&changed, wrong);
    world.place.hide(&hidden).unwrap();
    let without = MemoryPlace::new();
    for name in world.place.names() {
        let bytes = world.place.get(&name, None).unwrap();
        let _ = without.put(&name, bytes, &PutOptions::default()).unwrap();
    }
    let components = world.components_at(Arc::new(without));
    assert!(open_at(&world, components).unwrap().standing().broken().is_some());

    let healed = open_at(&world, world.components()).unwrap();
    assert!(healed.standing().broken().is_none());
    assert_eq!(healed.state(), writer.state());
}

#[test]
fn a_single_writers_records_carry_their_digest_and_a_second_one_stops_everything() {
    let world = World::uninitialised(5);
    let components = || world.components_at(Arc::new(Odd { inner: world.place.clone() }));
    let keyring = world.keyring_before_init();
    let mut owner = Ledger::init(components(), &world.config_bytes, keyring.clone()).unwrap();
    let certificate = world.certificate(&keyring, format::Epoch(0));
    owner.certify(&certificate, "one").unwrap();
    owner.add(Draft::open(world.session(), DomainId::DEFAULT, None));
    assert_eq!(open_at(&world, components()).unwrap().state(), owner.state());
    let plain = VaultNames::record(Seq(0));
    assert!(!world.place.names().contains(&plain), "the names carry digests");
    let able = world.components_at(Arc::new(world.place.clone()));
    let memory = Arc::new(ProcessMemory::new());
    let opened =
        Ledger::open(able, &world.config_bytes, Some(world.root_keyring()), memory, None).unwrap();
    assert!(opened.is_for_single_writer(), "the first record's name tells, whatever the place can");
    assert_eq!(opened.state(), owner.state());

    let second = format!("{}-{}", VaultNames::record(Seq(1)), format::Digest::of(b"second"));
    let name: ObjectName = second.parse().unwrap();
    let _ = world.place.put(&name, Bytes::from_static(b"second"), &Default::default()).unwrap();
    let error = open_at(&world, components()).err().expect("two records under one number");
    assert!(matches!(error, Error::TwoRecords { seq: Seq(1) }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
}
