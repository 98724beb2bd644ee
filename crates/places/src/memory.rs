//! A place in memory, for tests and simulation.
//!
//! Clones share one content, so that several clients can meet in it. Tests may look at all of it,
//! damage single objects, and set it back to an earlier state: the storage an attacker controls.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

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
}

impl MemoryPlace {
    /// An empty place that stamps objects with the machine's time.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty place that stamps objects with `clock`'s time.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { objects: Arc::default(), clock }
    }

    /// Changes an object's bytes as no client could. Its time stays.
    ///
    /// # Panics
    /// When there is no such object: a test that damages nothing proves nothing.
    pub fn corrupt(&self, name: &ObjectName, change: impl FnOnce(&mut Vec<u8>)) {
        let mut objects = self.lock();
        let stored = objects.get_mut(name).expect("the object to corrupt is there");
        let mut bytes = stored.bytes.to_vec();
        change(&mut bytes);
        stored.bytes = bytes.into();
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
        self.lock().keys().cloned().collect()
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
        refuse_retention(self, options)?;
        let stored = Stored { bytes: body, stored_at: self.clock.now() };
        let mut objects = self.lock();
        if objects.contains_key(name) {
            return Ok(Put::Exists);
        }
        if let Some(other) = conflict(&objects, name) {
            return Err(Error::Corrupt {
                place: self.describe(),
                object: name.clone(),
                reason: format!("{other} lies there, and neither may be the folder of the other"),
            });
        }
        objects.insert(name.clone(), stored);
        Ok(Put::Created)
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        let bytes = match self.lock().get(name) {
            Some(stored) => stored.bytes.clone(),
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
            .map(|(name, stored)| Listed {
                name: name.clone(),
                size: stored.bytes.len() as u64,
                stored_at: stored.stored_at,
            })
            .collect();
        Ok(Box::new(listed.into_iter().map(Ok)))
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        Ok(self
            .lock()
            .get(name)
            .map(|stored| Stat { size: stored.bytes.len() as u64, stored_at: stored.stored_at }))
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.lock().remove(name);
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { if_absent: true, object_lock: false, versions: false }
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

type Objects = BTreeMap<ObjectName, Stored>;

#[derive(Clone, PartialEq, Eq)]
struct Stored {
    bytes: Bytes,
    stored_at: Time,
}

/// An object that could not lie beside `name` in a folder: memory is as strict as other places.
fn conflict(objects: &Objects, name: &ObjectName) -> Option<ObjectName> {
    let slashes = name.as_str().match_indices('/').map(|(index, _)| index);
    let above = slashes.map(|index| &name.as_str()[..index]);
    let above = above.filter_map(|above| objects.get_key_value(above)).next();
    let folder = format!("{name}/");
    let below = objects.range::<str, _>((Bound::Included(folder.as_str()), Bound::Unbounded));
    let below = below.take(1).find(|(other, _)| other.as_str().starts_with(&folder));
    above.or(below).map(|(other, _)| other.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[test]
    fn memory_keeps_the_contract() {
        conformance::run(MemoryPlace::new);
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
