//! A place that moves no more bytes per second than it may.
//!
//! One token bucket each way, a second deep: a short burst passes at once, and what goes beyond
//! waits by the [`Clock`]. A put waits before it is sent; a get waits after it was answered, for
//! only then is its size known. All threads share the rates. Wraps any [`Place`].

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::abilities::{
    Retention, Version, VersionId, VersionListing, Versions, keeps_no_versions,
};
use crate::error::Result;
use crate::name::{NamePrefix, ObjectName};
use crate::place::{Capabilities, ListCost, Listing, Place, Put, PutOptions, Start, Stat};
use crate::time::Clock;

/// Keeps to rates.
pub struct Throttled<P> {
    inner: P,
    upload: Option<Bucket>,
    download: Option<Bucket>,
    clock: Arc<dyn Clock>,
}

/// Bytes per second each way; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Bytes per second of all puts together.
    pub upload: Option<NonZeroU64>,
    /// Bytes per second of all gets together.
    pub download: Option<NonZeroU64>,
}

impl<P: Place> Throttled<P> {
    /// Keeps what goes to and comes from `inner` to `rates`, by `clock`.
    pub fn new(inner: P, rates: Rates, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            upload: rates.upload.map(Bucket::new),
            download: rates.download.map(Bucket::new),
            clock,
        }
    }

    /// The place below.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    fn wait(&self, bucket: &Option<Bucket>, bytes: usize) {
        let Some(bucket) = bucket else { return };
        let wait = bucket.take(bytes as u64, self.clock.now().as_millis());
        if !wait.is_zero() {
            self.clock.sleep(wait);
        }
    }
}

impl<P: Place> Place for Throttled<P> {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
        self.wait(&self.upload, body.len());
        self.inner.put(name, body, options)
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        let bytes = self.inner.get(name, range)?;
        self.wait(&self.download, bytes.len());
        Ok(bytes)
    }

    fn get_start(&self, name: &ObjectName, most: u64) -> Result<Start> {
        let start = self.inner.get_start(name, most)?;
        self.wait(&self.download, start.bytes.len());
        Ok(start)
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
        self.inner.versions().is_some().then_some(self)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl<P: Place> Throttled<P> {
    fn inner_versions(&self) -> Result<&dyn Versions> {
        self.inner.versions().ok_or_else(|| keeps_no_versions(self.describe()))
    }
}

impl<P: Place> Versions for Throttled<P> {
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
        let bytes = self.inner_versions()?.get_version(name, version, range)?;
        self.wait(&self.download, bytes.len());
        Ok(bytes)
    }

    fn hide(&self, name: &ObjectName) -> Result<()> {
        self.inner_versions()?.hide(name)
    }
}

/// A token bucket told as the moment until which all tokens are spent: a virtual scheduling
/// algorithm (GCRA, ITU-T I.371), which needs no refill and rounds nothing away.
struct Bucket {
    bytes_per_second: NonZeroU64,
    /// Milliseconds since the epoch times the rate, so that no fraction is lost.
    spent_until: Mutex<i128>,
}

impl Bucket {
    fn new(bytes_per_second: NonZeroU64) -> Self {
        let bytes_per_second = bytes_per_second.min(BYTES_PER_SECOND_MAX);
        Self { bytes_per_second, spent_until: Mutex::new(i128::MIN) }
    }

    /// Spends `bytes` at `now_millis` and says how long the spender has to wait.
    fn take(&self, bytes: u64, now_millis: i64) -> Duration {
        let rate = i128::from(self.bytes_per_second.get());
        let now = i128::from(now_millis) * rate;
        let mut spent_until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock set back must not make anyone wait for it to come round again.
        let from = (*spent_until).clamp(now - BURST_MILLIS * rate, now + DEBT_MILLIS_MAX * rate);
        *spent_until = from + i128::from(bytes) * 1000;
        let wait = (*spent_until - now + rate - 1).div_euclid(rate);
        Duration::from_millis(u64::try_from(wait).unwrap_or(0))
    }
}

const BURST_MILLIS: i128 = 1000;
/// No machine reaches it; below it no time times rate overflows.
const BYTES_PER_SECOND_MAX: NonZeroU64 = NonZeroU64::new(1 << 60).expect("it is not zero");
/// Debts beyond this come from a clock that jumped, not from threads that wait.
const DEBT_MILLIS_MAX: i128 = 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;
    use crate::memory::MemoryPlace;
    use crate::time::{ManualClock, Time};

    fn throttled(upload: u64, download: u64) -> (Throttled<MemoryPlace>, ManualClock) {
        let clock = ManualClock::new(Time::from_millis(1_000_000));
        let rates = Rates { upload: NonZeroU64::new(upload), download: NonZeroU64::new(download) };
        (Throttled::new(MemoryPlace::new(), rates, Arc::new(clock.clone())), clock)
    }

    #[test]
    fn throttling_keeps_the_contract() {
        conformance::run(|| throttled(1 << 20, 1 << 20).0);
    }

    #[test]
    fn ten_seconds_of_bytes_take_nine_seconds_after_the_burst() {
        let (place, clock) = throttled(1000, 500);
        let start = clock.now();
        for index in 0..10 {
            let name = ObjectName::parse(&format!("packs/{index}")).unwrap();
            let _ = place.put(&name, vec![0; 1000].into(), &PutOptions::default()).unwrap();
        }
        assert_eq!(clock.now().since(start), Duration::from_secs(9));

        let start = clock.now();
        for _ in 0..10 {
            place.get(&"packs/0".parse().unwrap(), Some(0..500)).unwrap();
        }
        assert_eq!(clock.now().since(start), Duration::from_secs(9), "each way has its own rate");
    }

    #[test]
    fn without_rates_nothing_waits() {
        let (place, clock) = throttled(0, 0);
        let start = clock.now();
        let name = ObjectName::parse("packs/0").unwrap();
        let _ = place.put(&name, vec![0; 1 << 20].into(), &PutOptions::default()).unwrap();
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_world() {
        let bucket = Bucket::new(NonZeroU64::new(1000).unwrap());
        bucket.take(1000, 1_000_000_000_000);
        assert!(bucket.take(1000, 0) <= Duration::from_secs(60 * 60 + 1));
        for extreme in [i64::MIN, i64::MAX] {
            Bucket::new(NonZeroU64::MAX).take(u64::MAX, extreme);
        }
    }
}
