//! A place that changes nothing: puts and deletes are denied, reads pass through.
//!
//! For readers, auditors and drills, so that a mistake above cannot reach the objects. How long
//! objects are kept and what versions there are can be read; extending and hiding are denied.
//! Wraps any [`Place`].

use std::ops::Range;

use bytes::Bytes;

use crate::abilities::{
    Retention, RetentionMode, Version, VersionId, VersionListing, Versions, cannot_retain,
    keeps_no_versions,
};
use crate::error::{Error, Result};
use crate::name::{NamePrefix, ObjectName};
use crate::place::{Capabilities, ListCost, Listing, Place, Put, PutOptions, Start, Stat};
use crate::time::Time;

/// Denies every change.
#[derive(Clone, Debug)]
pub struct ReadOnly<P> {
    inner: P,
}

impl<P: Place> ReadOnly<P> {
    /// Lets only reads through to `inner`.
    pub fn new(inner: P) -> Self {
        Self { inner }
    }

    /// The place below.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    fn denied(&self, name: &ObjectName) -> Error {
        Error::Denied {
            place: self.describe(),
            subject: name.to_string(),
            reason: "the place was opened for reading only".into(),
        }
    }
}

impl<P: Place> Place for ReadOnly<P> {
    fn put(&self, name: &ObjectName, _body: Bytes, _options: &PutOptions) -> Result<Put> {
        Err(self.denied(name))
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        self.inner.get(name, range)
    }

    fn get_start(&self, name: &ObjectName, most: u64) -> Result<Start> {
        self.inner.get_start(name, most)
    }

    fn list_cost(&self) -> ListCost {
        self.inner.list_cost()
    }

    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>> {
        self.inner.list(prefix, start_after)
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        self.inner.stat(name)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        Err(self.denied(name))
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn calls_at_once(&self) -> usize {
        self.inner.calls_at_once()
    }

    fn puts_at_once(&self) -> usize {
        self.inner.puts_at_once()
    }

    fn retention(&self) -> Option<&dyn Retention> {
        self.inner.retention().is_some().then_some(self)
    }

    fn versions(&self) -> Option<&dyn Versions> {
        self.inner.versions().is_some().then_some(self)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl<P: Place> ReadOnly<P> {
    fn inner_versions(&self) -> Result<&dyn Versions> {
        self.inner.versions().ok_or_else(|| keeps_no_versions(self.describe()))
    }
}

impl<P: Place> Retention for ReadOnly<P> {
    fn extend_retention(
        &self,
        name: &ObjectName,
        _version: Option<&VersionId>,
        _until: Time,
        _mode: RetentionMode,
    ) -> Result<()> {
        Err(self.denied(name))
    }

    fn retained_until(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Option<Time>> {
        let inner = self.inner.retention().ok_or_else(|| cannot_retain(self.describe()))?;
        inner.retained_until(name, version)
    }
}

impl<P: Place> Versions for ReadOnly<P> {
    fn list_versions(&self, prefix: &NamePrefix) -> Result<VersionListing<'_>> {
        self.inner_versions()?.list_versions(prefix)
    }

    fn versions_of(&self, name: &ObjectName) -> Result<Vec<Version>> {
        self.inner_versions()?.versions_of(name)
    }

    fn get_version(
        &self,
        name: &ObjectName,
        version: &VersionId,
        range: Option<Range<u64>>,
    ) -> Result<Bytes> {
        self.inner_versions()?.get_version(name, version, range)
    }

    fn hide(&self, name: &ObjectName) -> Result<()> {
        Err(self.denied(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::memory::MemoryPlace;

    #[test]
    fn reads_pass_and_changes_are_denied() {
        let memory = MemoryPlace::new();
        let name = ObjectName::parse("config").unwrap();
        let options = PutOptions::default();
        assert_eq!(memory.put(&name, Bytes::from_static(b"a"), &options).unwrap(), Put::Created);
        let place = ReadOnly::new(memory.clone());

        assert_eq!(place.get(&name, None).unwrap(), "a");
        assert_eq!(place.list(&NamePrefix::everything(), None).unwrap().count(), 1);
        assert_eq!(place.delete(&name).unwrap_err().kind(), ErrorKind::Denied);
        let put = place.put(&"other".parse().unwrap(), Bytes::new(), &options);
        assert_eq!(put.unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(memory.names(), [name]);
    }
}
