//! Versions and locks of a place in memory.
//!
//! They behave as a bucket's do: a delete hides, what was written over stays readable below, and
//! a version that is locked outlives every credential but one that may end a governed lock, which
//! nobody has here. [`MemoryPlace::overwrite`] and [`MemoryPlace::destroy`] are what somebody with
//! the bucket's credentials can do beside the contract.

use std::ops::Range;

use bytes::Bytes;

use super::{Keeping, MemoryPlace, Stored, newest, next_id};
use crate::abilities::{
    Retention, RetentionMode, Version, VersionContent, VersionId, VersionListing, Versions,
};
use crate::error::{Error, Result};
use crate::name::{NamePrefix, ObjectName};
use crate::place::{Place, check_range};
use crate::time::Time;

impl MemoryPlace {
    /// Writes over an object, as no client of the contract does. Where versions are kept, what was
    /// there stays readable as one of them.
    pub fn overwrite(&self, name: &ObjectName, bytes: impl Into<Bytes>) {
        let mut objects = self.lock();
        let versions = objects.entry(name.clone()).or_default();
        let (id, stored_at) = (next_id(versions), self.clock.now());
        if self.keeping == Keeping::Nothing {
            versions.clear();
        }
        versions.push(Stored { id, bytes: Some(bytes.into()), stored_at, retained: None });
    }

    /// Removes a version for good.
    ///
    /// # Errors
    /// `Denied` while it is locked; `NotFound`.
    pub fn destroy(&self, name: &ObjectName, version: &VersionId) -> Result<()> {
        let now = self.clock.now();
        let mut objects = self.lock();
        let versions = objects.get_mut(name).ok_or_else(|| self.not_found(name))?;
        let at = versions.iter().position(|stored| stored.id == *version);
        let at = at.ok_or_else(|| self.not_found(name))?;
        if let Some(until) = versions[at].locked_at(now) {
            return Err(self.locked(name, until));
        }
        versions.remove(at);
        if versions.is_empty() {
            objects.remove(name);
        }
        Ok(())
    }

    /// Hides an object, unless a lock keeps it.
    pub(super) fn delete_version_kept(&self, name: &ObjectName) -> Result<()> {
        let now = self.clock.now();
        let until = self.lock().get(name).and_then(|versions| versions.last()?.locked_at(now));
        match until {
            Some(until) => Err(self.locked(name, until)),
            None => self.hide(name),
        }
    }

    fn locked(&self, name: &ObjectName, until: Time) -> Error {
        Error::Denied {
            place: self.describe(),
            subject: name.to_string(),
            reason: format!("it is locked until {} ms after 1970", until.as_millis()),
        }
    }

    /// Acts on one version, the newest when none is named.
    fn with_version<T>(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
        act: impl FnOnce(&mut Stored) -> T,
    ) -> Result<T> {
        let mut objects = self.lock();
        let versions = objects.get_mut(name).map(Vec::as_mut_slice).unwrap_or_default();
        let found = match version {
            None => versions.last_mut(),
            Some(id) => versions.iter_mut().find(|stored| stored.id == *id),
        };
        match found.filter(|stored| stored.bytes.is_some()) {
            Some(stored) => Ok(act(stored)),
            None => Err(self.not_found(name)),
        }
    }
}

impl Stored {
    fn locked_at(&self, now: Time) -> Option<Time> {
        self.retained.map(|(until, _)| until).filter(|until| *until > now)
    }

    fn describe(&self, name: &ObjectName) -> Version {
        let content = match &self.bytes {
            Some(bytes) => VersionContent::Object { size: bytes.len() as u64 },
            None => VersionContent::DeleteMarker,
        };
        Version { name: name.clone(), id: self.id.clone(), stored_at: self.stored_at, content }
    }
}

impl Retention for MemoryPlace {
    fn extend_retention(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
        until: Time,
        mode: RetentionMode,
    ) -> Result<()> {
        self.with_version(name, version, |stored| match &mut stored.retained {
            None => stored.retained = Some((until, mode)),
            Some((held_until, held_mode)) => {
                *held_until = until.max(*held_until);
                if mode == RetentionMode::Compliance {
                    *held_mode = mode;
                }
            }
        })
    }

    fn retained_until(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Option<Time>> {
        let now = self.clock.now();
        self.with_version(name, version, |stored| stored.locked_at(now))
    }
}

impl Versions for MemoryPlace {
    fn list_versions(&self, prefix: &NamePrefix) -> Result<VersionListing<'_>> {
        let objects = self.lock();
        let below = objects.iter().filter(|(name, _)| name.starts_with(prefix));
        let versions =
            below.flat_map(|(name, all)| all.iter().rev().map(move |stored| stored.describe(name)));
        let versions: Vec<_> = versions.collect();
        Ok(Box::new(versions.into_iter().map(Ok)))
    }

    fn versions_of(&self, name: &ObjectName) -> Result<Vec<Version>> {
        let objects = self.lock();
        let all = objects.get(name).map(Vec::as_slice).unwrap_or_default();
        Ok(all.iter().rev().map(|stored| stored.describe(name)).collect())
    }

    fn get_version(
        &self,
        name: &ObjectName,
        version: &VersionId,
        range: Option<Range<u64>>,
    ) -> Result<Bytes> {
        let bytes = self.with_version(name, Some(version), |stored| stored.bytes.clone())?;
        let bytes = bytes.ok_or_else(|| self.not_found(name))?;
        let range = check_range(self, name, range, bytes.len() as u64)?;
        Ok(bytes.slice(range.start as usize..range.end as usize))
    }

    fn hide(&self, name: &ObjectName) -> Result<()> {
        let stored_at = self.clock.now();
        let mut objects = self.lock();
        let Some(versions) = objects.get_mut(name) else { return Ok(()) };
        if newest(versions).is_some() {
            let id = next_id(versions);
            versions.push(Stored { id, bytes: None, stored_at, retained: None });
        }
        Ok(())
    }
}
