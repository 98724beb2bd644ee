//! A place in memory, for tests and simulation.
//!
//! Clones share one content, so that several clients can meet in it. Tests may look at all of it,
//! damage single objects, and set it back to an earlier state: the storage an attacker controls.
//! It can be made to keep versions, and to lock them until a time, as a bucket does.

mod versions;

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::abilities::{Retention, RetentionMode, VersionId, Versions};
use crate::error::{Error, Result};
use crate::name::{NamePrefix, ObjectName};
use crate::place::{
    Capabilities, Listed, Listing, Place, Put, PutOptions, Start, Stat, check_range, check_size,
    refuse_retention,
};
use crate::time::{Clock, SystemClock, Time};

/// Objects in memory. Clones are handles on the same content.
#[derive(Clone)]
pub struct MemoryPlace {
    objects: Arc<Mutex<Objects>>,
    clock: Arc<dyn Clock>,
    keeping: Keeping,
}

/// What a place in memory keeps beside the objects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeping {
    Nothing,
    Versions,
    /// Versions, and each of them until its time.
    Locks,
}

impl MemoryPlace {
    /// An empty place that stamps objects with the machine's time.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty place that stamps objects with `clock`'s time.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { objects: Arc::default(), clock, keeping: Keeping::Nothing }
    }

    /// The same place, which keeps what is deleted or written over, as a versioned bucket does.
    #[must_use]
    pub fn keeping_versions(self) -> Self {
        Self { keeping: Keeping::Versions, ..self }
    }

    /// The same place, which keeps versions and locks them by its clock, as a bucket with Object
    /// Lock does.
    #[must_use]
    pub fn keeping_locks(self) -> Self {
        Self { keeping: Keeping::Locks, ..self }
    }

    /// Changes an object's bytes as no client could. Its time stays.
    ///
    /// # Panics
    /// When there is no such object: a test that damages nothing proves nothing.
    pub fn corrupt(&self, name: &ObjectName, change: impl FnOnce(&mut Vec<u8>)) {
        let mut objects = self.lock();
        let versions = objects.get_mut(name).expect("the object to corrupt is there");
        let newest = versions.last_mut().and_then(|version| version.bytes.as_mut());
        let stored = newest.expect("the object to corrupt is not hidden");
        let mut bytes = stored.to_vec();
        change(&mut bytes);
        *stored = bytes.into();
    }

    /// Sets everything back to how it was at `snapshot`.
    pub fn restore(&self, snapshot: &MemorySnapshot) {
        self.lock().clone_from(&snapshot.objects);
    }

    /// Remembers everything as it is. Costs no copy of the bytes.
    pub fn snapshot(&self) -> MemorySnapshot {
        MemorySnapshot { objects: self.lock().clone() }
    }

    /// All names, in byte order.
    pub fn names(&self) -> Vec<ObjectName> {
        let objects = self.lock();
        let there = objects.iter().filter(|(_, versions)| newest(versions).is_some());
        there.map(|(name, _)| name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Objects> {
        // Every change to the map is one call, so a panicking thread leaves it whole.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_found(&self, name: &ObjectName) -> Error {
        Error::NotFound { place: self.describe(), object: name.clone() }
    }
}

impl Default for MemoryPlace {
    fn default() -> Self {
        Self::new()
    }
}

impl Place for MemoryPlace {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
        check_size(name, &body)?;
        if self.keeping != Keeping::Locks {
            refuse_retention(self, options)?;
        }
        let mut objects = self.lock();
        if current(&objects, name).is_some() {
            return Ok(Put::Exists);
        }
        if let Some(other) = conflict(&objects, name) {
            return Err(Error::Corrupt {
                place: self.describe(),
                object: name.clone(),
                reason: format!("{other} lies there, and neither may be the folder of the other"),
            });
        }
        let versions = objects.entry(name.clone()).or_default();
        versions.push(Stored {
            id: next_id(versions),
            bytes: Some(body),
            stored_at: self.clock.now(),
            retained: options.retain_until.map(|until| (until, options.retention_mode)),
        });
        Ok(Put::Created)
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        let bytes = match current(&self.lock(), name) {
            Some((bytes, _)) => bytes.clone(),
            None => return Err(self.not_found(name)),
        };
        let range = check_range(self, name, range, bytes.len() as u64)?;
        Ok(bytes.slice(range.start as usize..range.end as usize))
    }

    fn get_start(&self, name: &ObjectName, most: u64) -> Result<Start> {
        let bytes = self.get(name, None)?;
        let kept = most.min(bytes.len() as u64) as usize;
        Ok(Start { whole_length: bytes.len() as u64, bytes: bytes.slice(..kept) })
    }

    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>> {
        let from = match start_after {
            Some(name) => Bound::Excluded(name.clone()),
            None => Bound::Unbounded,
        };
        let listed: Vec<_> = self
            .lock()
            .range((from, Bound::Unbounded))
            .filter(|(name, _)| name.starts_with(prefix))
            .filter_map(|(name, versions)| {
                let (bytes, stored_at) = newest(versions)?;
                Some(Listed { name: name.clone(), size: bytes.len() as u64, stored_at })
            })
            .collect();
        Ok(Box::new(listed.into_iter().map(Ok)))
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        let objects = self.lock();
        let there = current(&objects, name);
        Ok(there.map(|(bytes, stored_at)| Stat { size: bytes.len() as u64, stored_at }))
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        if self.keeping == Keeping::Nothing {
            self.lock().remove(name);
            return Ok(());
        }
        self.delete_version_kept(name)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            if_absent: true,
            object_lock: self.keeping == Keeping::Locks,
            versions: self.keeping != Keeping::Nothing,
        }
    }

    fn retention(&self) -> Option<&dyn Retention> {
        (self.keeping == Keeping::Locks).then_some(self)
    }

    fn versions(&self) -> Option<&dyn Versions> {
        (self.keeping != Keeping::Nothing).then_some(self)
    }

    fn describe(&self) -> String {
        "memory:".into()
    }
}

/// Everything a [`MemoryPlace`] held at one moment. Equal when names, bytes and times are.
#[derive(Clone, PartialEq, Eq)]
pub struct MemorySnapshot {
    objects: Objects,
}

/// The versions of each name, the newest last; never none.
type Objects = BTreeMap<ObjectName, Vec<Stored>>;

#[derive(Clone, PartialEq, Eq)]
struct Stored {
    id: VersionId,
    /// `None`: a delete marker.
    bytes: Option<Bytes>,
    stored_at: Time,
    retained: Option<(Time, RetentionMode)>,
}

/// What lies under a name, unless it is hidden.
fn current<'a>(objects: &'a Objects, name: &ObjectName) -> Option<(&'a Bytes, Time)> {
    newest(objects.get(name)?)
}

fn newest(versions: &[Stored]) -> Option<(&Bytes, Time)> {
    let newest = versions.last()?;
    Some((newest.bytes.as_ref()?, newest.stored_at))
}

/// Versions may be destroyed one by one, and no id may come again.
fn next_id(versions: &[Stored]) -> VersionId {
    let newest = versions.last().and_then(|version| version.id.as_str().parse::<u64>().ok());
    VersionId::new((newest.unwrap_or_default() + 1).to_string())
}

/// An object that could not lie beside `name` in a folder: memory is as strict as other places.
fn conflict(objects: &Objects, name: &ObjectName) -> Option<ObjectName> {
    let slashes = name.as_str().match_indices('/').map(|(index, _)| index);
    let above = slashes.map(|index| &name.as_str()[..index]);
    let mut above = above.filter_map(|above| objects.get_key_value(above));
    let above = above.find(|(_, versions)| newest(versions).is_some());
    let folder = format!("{name}/");
    let below = objects.range::<str, _>((Bound::Included(folder.as_str()), Bound::Unbounded));
    let mut below = below.take_while(|(other, _)| other.as_str().starts_with(&folder));
    let below = below.find(|(_, versions)| newest(versions).is_some());
    above.or(below).map(|(other, _)| other.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;
    use crate::error::ErrorKind::Denied;

    #[test]
    fn memory_keeps_the_contract() {
        conformance::run(MemoryPlace::new);
    }

    #[test]
    fn memory_that_keeps_versions_or_locks_keeps_their_contract() {
        conformance::run(|| MemoryPlace::new().keeping_versions());
        conformance::run(|| MemoryPlace::new().keeping_locks());
    }

    #[test]
    fn no_wrapper_drops_an_ability() {
        use crate::{Fault, Faulty, Rates, ReadOnly, Recording, RetryPolicy, Retrying, Throttled};
        let memory = || MemoryPlace::new().keeping_locks();
        let clock = || Arc::new(SystemClock);
        conformance::run(|| Recording::new(memory()));
        conformance::run(|| Retrying::new(memory(), RetryPolicy::default(), clock(), 1));
        conformance::run(|| Throttled::new(memory(), Rates::default(), clock()));
        conformance::run(|| Faulty::scripted(memory(), clock(), |_| Fault::None));
        conformance::run(|| Arc::new(Box::new(memory())));
        let read_only = ReadOnly::new(memory());
        assert!(read_only.versions().is_some() && read_only.retention().is_some());
        let plain = ReadOnly::new(MemoryPlace::new());
        assert!(plain.versions().is_none() && plain.retention().is_none());
    }

    #[test]
    fn a_locked_version_outlives_whoever_has_the_credentials() {
        let clock = crate::ManualClock::default();
        let place = MemoryPlace::with_clock(Arc::new(clock.clone())).keeping_locks();
        let name = ObjectName::parse("packs/0").unwrap();
        let options = PutOptions { retain_until: Some(Time::from_millis(9)), ..Default::default() };
        let _ = place.put(&name, Bytes::from_static(b"right"), &options).unwrap();
        place.overwrite(&name, "wrong");
        place.hide(&name).unwrap();

        let versions = place.versions_of(&name).unwrap();
        assert_eq!(versions.len(), 3);
        assert!(place.destroy(&name, &versions[0].id).is_ok());
        assert!(place.destroy(&name, &versions[1].id).is_ok());
        assert_eq!(place.destroy(&name, &versions[2].id).unwrap_err().kind(), Denied);
        assert_eq!(place.get(&name, None).unwrap(), "right");
        clock.set(Time::from_millis(9));
        assert!(place.destroy(&name, &versions[2].id).is_ok());
        assert!(place.versions_of(&name).unwrap().is_empty());
    }

    #[test]
    fn a_boxed_and_a_shared_place_keep_the_contract() {
        conformance::run(|| Box::new(MemoryPlace::new()) as Box<dyn Place>);
        conformance::run(|| Arc::new(MemoryPlace::new()));
    }

    #[test]
    fn no_name_is_the_folder_of_another() {
        let place = MemoryPlace::new();
        let put = |name: &str| {
            place.put(&ObjectName::parse(name).unwrap(), Bytes::new(), &PutOptions::default())
        };
        for name in ["a/b", "a-b", "ab/c", "a/bc"] {
            assert_eq!(put(name), Ok(Put::Created), "{name}");
        }
        for name in ["a", "a/b/c", "a/b/c/d", "ab"] {
            assert_eq!(put(name).unwrap_err().kind(), crate::ErrorKind::Corrupt, "{name}");
        }
    }

    #[test]
    fn a_restored_snapshot_forgets_what_came_later() {
        let place = MemoryPlace::new();
        let name = ObjectName::parse("ledger/0").unwrap();
        let empty = place.snapshot();
        let _ = place.put(&name, Bytes::from_static(b"record"), &PutOptions::default()).unwrap();
        place.clone().corrupt(&name, |bytes| bytes[0] ^= 1);
        assert_eq!(place.get(&name, None).unwrap(), "secord");
        place.restore(&empty);
        assert_eq!(place.names(), []);
        assert!(place.snapshot() == empty);
    }
}
