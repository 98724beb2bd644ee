//! A place that counts and remembers what is asked of it.
//!
//! Tests state costs as counts of verbs and bytes ("an unchanged tree writes two records"), and a
//! log shows the order of calls. Counting happens when a call ends; a listing counts once, however
//! long it is. Calls about retention and versions count as the verb that a service bills them as.
//! Wraps any [`Place`]; share it through an `Arc` to look while it is in use.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::abilities::{
    Retention, RetentionMode, Version, VersionId, VersionListing, Versions, cannot_retain,
    keeps_no_versions,
};
use crate::error::{ErrorKind, Result};
use crate::name::{NamePrefix, ObjectName};
use crate::place::{Capabilities, ListCost, Listing, Place, Put, PutOptions, Start, Stat};
use crate::time::Time;

/// Counts and logs every call.
pub struct Recording<P> {
    inner: P,
    record: Mutex<Record>,
}

impl<P: Place> Recording<P> {
    /// Records what is asked of `inner` from now on.
    pub fn new(inner: P) -> Self {
        Self { inner, record: Mutex::default() }
    }

    /// The place below.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// Calls of `verb` so far, with whatever end.
    pub fn count(&self, verb: Verb) -> u64 {
        self.lock().counts[verb as usize]
    }

    /// Bytes that went in by puts (also those answered `Exists`), or came out by gets. Other verbs
    /// carry none.
    pub fn bytes(&self, verb: Verb) -> u64 {
        self.lock().bytes[verb as usize]
    }

    /// The calls in the order in which they ended: the last [`LOG_CALLS_MAX`] of them.
    pub fn log(&self) -> Vec<Call> {
        self.lock().log.iter().cloned().collect()
    }

    /// Forgets all calls.
    pub fn reset(&self) {
        *self.lock() = Record::default();
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, verb: Verb, subject: &str, bytes: usize, result: &Result<T>) {
        let mut record = self.lock();
        let bytes = bytes as u64;
        record.counts[verb as usize] += 1;
        record.bytes[verb as usize] += bytes;
        if record.log.len() == LOG_CALLS_MAX {
            record.log.pop_front();
        }
        let error = result.as_ref().err().map(|error| error.kind());
        record.log.push_back(Call { verb, subject: subject.to_owned(), bytes, error });
    }
}

impl<P: Place> Place for Recording<P> {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
        let bytes = body.len();
        let result = self.inner.put(name, body, options);
        self.note(Verb::Put, name.as_str(), if result.is_ok() { bytes } else { 0 }, &result);
        result
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        let result = self.inner.get(name, range);
        self.note(Verb::Get, name.as_str(), result.as_ref().map_or(0, Bytes::len), &result);
        result
    }

    fn get_start(&self, name: &ObjectName, most: u64) -> Result<Start> {
        let result = self.inner.get_start(name, most);
        let length = result.as_ref().map_or(0, |start| start.bytes.len());
        self.note(Verb::Get, name.as_str(), length, &result);
        result
    }

    fn list_cost(&self) -> ListCost {
        self.inner.list_cost()
    }

    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>> {
        let result = self.inner.list(prefix, start_after);
        self.note(Verb::List, prefix.as_str(), 0, &result);
        result
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        let result = self.inner.stat(name);
        self.note(Verb::Stat, name.as_str(), 0, &result);
        result
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let result = self.inner.delete(name);
        self.note(Verb::Delete, name.as_str(), 0, &result);
        result
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

impl<P: Place> Recording<P> {
    fn inner_retention(&self) -> Result<&dyn Retention> {
        self.inner.retention().ok_or_else(|| cannot_retain(self.describe()))
    }

    fn inner_versions(&self) -> Result<&dyn Versions> {
        self.inner.versions().ok_or_else(|| keeps_no_versions(self.describe()))
    }
}

impl<P: Place> Retention for Recording<P> {
    fn extend_retention(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
        until: Time,
        mode: RetentionMode,
    ) -> Result<()> {
        let result = self.inner_retention()?.extend_retention(name, version, until, mode);
        self.note(Verb::Put, name.as_str(), 0, &result);
        result
    }

    fn retained_until(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Option<Time>> {
        let result = self.inner_retention()?.retained_until(name, version);
        self.note(Verb::Stat, name.as_str(), 0, &result);
        result
    }
}

impl<P: Place> Versions for Recording<P> {
    fn list_versions(&self, prefix: &NamePrefix) -> Result<VersionListing<'_>> {
        let result = self.inner_versions()?.list_versions(prefix);
        self.note(Verb::List, prefix.as_str(), 0, &result);
        result
    }

    fn versions_of(&self, name: &ObjectName) -> Result<Vec<Version>> {
        let result = self.inner_versions()?.versions_of(name);
        self.note(Verb::List, name.as_str(), 0, &result);
        result
    }

    fn get_version(
        &self,
        name: &ObjectName,
        version: &VersionId,
        range: Option<Range<u64>>,
    ) -> Result<Bytes> {
        let result = self.inner_versions()?.get_version(name, version, range);
        self.note(Verb::Get, name.as_str(), result.as_ref().map_or(0, Bytes::len), &result);
        result
    }

    fn hide(&self, name: &ObjectName) -> Result<()> {
        let result = self.inner_versions()?.hide(name);
        self.note(Verb::Delete, name.as_str(), 0, &result);
        result
    }
}

/// What can be asked of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// [`Place::put`], and [`Retention::extend_retention`] without bytes.
    Put,
    /// [`Place::get`] and [`Versions::get_version`]
    Get,
    /// [`Place::list`], [`Versions::list_versions`] and [`Versions::versions_of`]
    List,
    /// [`Place::stat`] and [`Retention::retained_until`]
    Stat,
    /// [`Place::delete`] and [`Versions::hide`]
    Delete,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Verb; 5] = [Verb::Put, Verb::Get, Verb::List, Verb::Stat, Verb::Delete];
}

/// One call, as it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub verb: Verb,
    /// The object's name, or the prefix of a listing.
    pub subject: String,
    /// Bytes put or got.
    pub bytes: u64,
    /// How it failed, if it did.
    pub error: Option<ErrorKind>,
}

/// The most calls a log remembers; older ones are dropped, though still counted.
pub const LOG_CALLS_MAX: usize = 1 << 16;

#[derive(Default)]
struct Record {
    counts: [u64; Verb::ALL.len()],
    bytes: [u64; Verb::ALL.len()],
    log: VecDeque<Call>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;
    use crate::memory::MemoryPlace;

    #[test]
    fn recording_keeps_the_contract() {
        conformance::run(|| Recording::new(MemoryPlace::new()));
    }

    #[test]
    fn verbs_and_bytes_are_counted_and_logged_in_order() {
        let place = Recording::new(MemoryPlace::new());
        let name = ObjectName::parse("packs/0").unwrap();
        let put = place.put(&name, Bytes::from_static(b"12345"), &PutOptions::default()).unwrap();
        assert_eq!(put, Put::Created);
        place.get(&name, Some(1..3)).unwrap();
        place.get(&"absent".parse().unwrap(), None).unwrap_err();

        assert_eq!(Verb::ALL.map(|verb| place.count(verb)), [1, 2, 0, 0, 0]);
        assert_eq!(Verb::ALL.map(|verb| place.bytes(verb)), [5, 2, 0, 0, 0]);
        let log = place.log();
        assert_eq!(
            (log[0].verb, log[0].subject.as_str(), log[0].error),
            (Verb::Put, "packs/0", None)
        );
        assert_eq!(log[2].error, Some(ErrorKind::NotFound));
        place.reset();
        assert_eq!((place.count(Verb::Get), place.log().len()), (0, 0));
    }
}
