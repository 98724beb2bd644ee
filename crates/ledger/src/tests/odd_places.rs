//! Odd places: without put-if-absent, and with versions of what was written over.
//!
//! Both are wrappers of a place in memory that change what it says of itself.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use crypto::Role;
use format::{DomainId, Seq, VaultNames};
use places::{
    Capabilities, Listing, MemoryPlace, NamePrefix, ObjectName, Place, Put, PutOptions, Stat, Time,
    Version, VersionContent, VersionId, VersionListing, Versions,
};

use super::world::{Host, World};
use crate::{Draft, Error, ErrorKind, Ledger, ProcessMemory, Result};

/// A place that cannot refuse a second object, or one that keeps the first version of each.
struct Odd {
    inner: MemoryPlace,
    first_versions: Option<MemoryPlace>,
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
        let versions = self.first_versions.is_some();
        Capabilities { if_absent: versions, object_lock: false, versions }
    }

    fn versions(&self) -> Option<&dyn Versions> {
        self.first_versions.as_ref().map(|_| self as &dyn Versions)
    }

    fn describe(&self) -> String {
        "odd:".into()
    }
}

impl Versions for Odd {
    fn list_versions(&self, prefix: &NamePrefix) -> places::Result<VersionListing<'_>> {
        let first = self.first_versions.as_ref().expect("only asked where there are versions");
        let listed = first.list(prefix, None)?;
        Ok(Box::new(listed.flat_map(|listed| {
            let listed = listed.expect("a place in memory lists");
            let version = |id: &str, content| Version {
                name: listed.name.clone(),
                id: VersionId::new(id),
                stored_at: Time::EPOCH,
                content,
            };
            let oldest = version("1", VersionContent::Object { size: listed.size });
            let newest = match self.inner.get(&listed.name, None) {
                Ok(bytes) if bytes == first.get(&listed.name, None).unwrap() => None,
                Ok(bytes) => Some(VersionContent::Object { size: bytes.len() as u64 }),
                Err(_) => Some(VersionContent::DeleteMarker),
            };
            let newest = newest.map(|content| version("2", content));
            newest.into_iter().chain([oldest]).map(Ok)
        })))
    }

    fn get_version(
        &self,
        name: &ObjectName,
        version: &VersionId,
        range: Option<Range<u64>>,
    ) -> places::Result<Bytes> {
        assert_eq!(version.as_str(), "1", "the oldest version is the record");
        self.first_versions.as_ref().expect("as above").get(name, range)
    }
}

fn open_at(world: &World, place: Odd) -> Result<Ledger> {
    let components = world.components_at(Arc::new(place));
    let memory = Arc::new(ProcessMemory::new());
    let keyring = Some(world.root_keyring());
    Ledger::open(components, &world.config_bytes, keyring, memory, None)
}

#[test]
fn where_versions_are_kept_the_oldest_is_the_record() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    (0..3).for_each(|number| assert!(writer.snapshot(&world, &[number]) != world.session()));
    let first_versions = MemoryPlace::new();
    first_versions.restore(&world.place.snapshot());
    world.change(Seq(4), |bytes| bytes[300] ^= 1);
    world.remove(Seq(6));
    assert!(world.root().standing().broken().is_some());

    let odd = Odd { inner: world.place.clone(), first_versions: Some(first_versions) };
    let healed = open_at(&world, odd).unwrap();
    assert!(healed.standing().broken().is_none());
    assert_eq!(healed.state(), writer.state());
}

#[test]
fn a_single_writers_records_carry_their_digest_and_a_second_one_stops_everything() {
    let world = World::uninitialised(5);
    let odd = || Odd { inner: world.place.clone(), first_versions: None };
    let components = || world.components_at(Arc::new(odd()));
    let keyring = world.keyring_before_init();
    let mut owner = Ledger::init(components(), &world.config_bytes, keyring.clone()).unwrap();
    let certificate = world.certificate(&keyring, format::Epoch(0));
    owner.certify(&certificate, "one").unwrap();
    owner.add(Draft::open(world.session(), DomainId::DEFAULT, None));
    assert_eq!(open_at(&world, odd()).unwrap().state(), owner.state());
    let plain = VaultNames::record(Seq(0));
    assert!(!world.place.names().contains(&plain), "the names carry digests");

    let second = format!("{}-{}", VaultNames::record(Seq(1)), format::Digest::of(b"second"));
    let name: ObjectName = second.parse().unwrap();
    let _ = world.place.put(&name, Bytes::from_static(b"second"), &Default::default()).unwrap();
    let error = open_at(&world, odd()).err().expect("two records under one number");
    assert!(matches!(error, Error::TwoRecords { seq: Seq(1) }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
}
