//! A place where every object is locked from the moment it is put.
//!
//! Who puts says nothing of it: the lock is part of the place, so no path of code can forget it.
//! Objects below `probe/` are not locked, because they are removed at once; a time that the caller
//! asks for is taken if it is later. Extending locks that run out is not done here: only the
//! ledger knows what is still needed. Wraps any [`Place`] that can keep objects. DESIGN.md §12.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::abilities::{ObjectLock, Retention, Versions};
use crate::error::Result;
use crate::name::{NamePrefix, ObjectName};
use crate::place::{Capabilities, ListCost, Listing, Place, Put, PutOptions, Start, Stat};
use crate::probe::PROBES;
use crate::time::Clock;

/// Locks what is put.
pub struct Retaining<P> {
    inner: P,
    lock: ObjectLock,
    clock: Arc<dyn Clock>,
}

impl<P: Place> Retaining<P> {
    /// Locks what is put at `inner` from now on, by `clock`. A place that cannot keep objects
    /// refuses each put as `Unsupported`; nothing is asked of it before.
    pub fn new(inner: P, lock: ObjectLock, clock: Arc<dyn Clock>) -> Self {
        Self { inner, lock, clock }
    }

    /// The place below.
    pub fn inner(&self) -> &P {
        &self.inner
    }
}

impl<P: Place> Place for Retaining<P> {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
        if name.as_str().starts_with(PROBES) {
            return self.inner.put(name, body, options);
        }
        let until = Some(self.lock.until(self.clock.now()));
        let (retain_until, retention_mode) = (options.retain_until.max(until), self.lock.mode);
        self.inner.put(name, body, &PutOptions { retain_until, retention_mode })
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
        self.inner.delete(name)
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
        self.inner.retention()
    }

    fn versions(&self) -> Option<&dyn Versions> {
        self.inner.versions()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abilities::RetentionMode;
    use crate::conformance;
    use crate::error::ErrorKind;
    use crate::memory::MemoryPlace;
    use crate::probe::probe;
    use crate::time::{ManualClock, Time};
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn lock(days: u32) -> ObjectLock {
        ObjectLock::new(RetentionMode::Governance, days).unwrap()
    }

    #[test]
    fn what_is_put_cannot_be_deleted_for_so_many_days() {
        let clock = ManualClock::new(Time::from_millis(1_000_000));
        let memory = MemoryPlace::with_clock(Arc::new(clock.clone())).keeping_locks();
        let place = Retaining::new(memory, lock(30), Arc::new(clock.clone()));
        let name = ObjectName::parse("packs/0").unwrap();
        let put = || place.put(&name, Bytes::from_static(b"a"), &PutOptions::default());

        assert_eq!(put(), Ok(Put::Created));
        clock.advance(30 * DAY - Duration::from_millis(1));
        assert_eq!(place.delete(&name).unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(put(), Ok(Put::Exists), "a second put neither replaces nor extends");
        clock.advance(Duration::from_millis(1));
        assert_eq!(place.delete(&name), Ok(()));
    }

    #[test]
    fn probes_are_not_locked_and_leave_nothing() {
        let memory = MemoryPlace::new().keeping_locks();
        let clock = Arc::new(ManualClock::new(Time::EPOCH.plus(400 * 365 * DAY)));
        let place = Retaining::new(memory.clone(), lock(1), clock);
        let mut drawn = 0;
        let mut entropy = |bytes: &mut [u8]| {
            drawn += 1;
            bytes.fill(drawn);
        };
        assert!(probe(&place, &mut entropy).unwrap().if_absent);
        assert_eq!(memory.names(), []);
    }

    #[test]
    fn a_place_that_cannot_keep_objects_is_refused() {
        for memory in [MemoryPlace::new(), MemoryPlace::new().keeping_versions()] {
            let clock = Arc::new(ManualClock::default());
            let place = Retaining::new(memory.clone(), lock(1), clock);
            let put = place.put(&"config".parse().unwrap(), Bytes::new(), &PutOptions::default());
            assert_eq!(put.unwrap_err().kind(), ErrorKind::Unsupported);
            assert_eq!(memory.names(), []);
        }
        let days = [0, 1, 36_500, 36_501];
        let lock = |days| ObjectLock::new(RetentionMode::Compliance, days).is_some();
        assert_eq!(days.map(lock), [false, true, true, false]);
    }

    #[test]
    fn an_expired_lock_lets_the_contract_hold() {
        // A clock in the past: every lock is over at once, and names become free again.
        conformance::run(|| {
            let memory = MemoryPlace::new().keeping_locks();
            Retaining::new(memory, lock(1), Arc::new(ManualClock::default()))
        });
    }
}
