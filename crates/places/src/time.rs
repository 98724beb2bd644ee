//! Time as an argument: [`Time`] is a point, [`Clock`] is who is asked for it and who sleeps.
//!
//! Nothing in Strongroom is safe because of a clock; clocks serve comfort only (ages, back-off,
//! rates). Sleeping goes through the clock too, so that a test of an hour of retries takes no time
//! and one seed replays the world. DESIGN.md §3.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time: milliseconds since the Unix epoch, before it negative. Arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The Unix epoch, 1970-01-01T00:00:00Z.
    pub const EPOCH: Time = Time(0);

    /// The point `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This point and `duration` more; fractions of a millisecond are dropped.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The point `duration` before this one; fractions of a millisecond are dropped.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long after `earlier` this point lies; zero when it lies before.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(millis(after)),
            Err(before) => Self(-millis(before.duration())),
        }
    }
}

/// Tells the time and lets it pass. A component: passed beside options, never inside them.
pub trait Clock: Send + Sync {
    /// The current time. May jump in either direction.
    fn now(&self) -> Time;

    /// Returns when `duration` has passed by this clock.
    fn sleep(&self, duration: Duration);
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Time {
        (**self).now()
    }

    fn sleep(&self, duration: Duration) {
        (**self).sleep(duration);
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Time {
        (**self).now()
    }

    fn sleep(&self, duration: Duration) {
        (**self).sleep(duration);
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::from(SystemTime::now())
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that stands still until told: `sleep` advances it and returns at once.
/// Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Time) -> Self {
        Self { now: Arc::new(AtomicI64::new(start.0)) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        let moved = |now: i64| Some(now.saturating_add(millis(duration)));
        self.now
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved)
            .expect("the closure always answers Some");
    }

    /// Sets the clock, back as well as forward.
    pub fn set(&self, now: Time) {
        self.now.store(now.0, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new(Time::EPOCH)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.now.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let last = Time::from_millis(i64::MAX);
        let first = Time::from_millis(i64::MIN);
        assert_eq!(last.plus(Duration::MAX), last);
        assert_eq!(first.minus(Duration::MAX), first);
        assert_eq!(first.since(last), Duration::ZERO);
        assert_eq!(last.since(first), Duration::from_millis(i64::MAX as u64));
    }

    #[test]
    fn sleeping_moves_every_clone_of_a_manual_clock() {
        let clock = ManualClock::new(Time::from_millis(5));
        let other = clock.clone();
        clock.sleep(Duration::from_secs(3600));
        assert_eq!(other.now(), Time::from_millis(3_600_005));
        other.set(Time::EPOCH);
        assert_eq!(clock.now(), Time::EPOCH);
    }

    #[test]
    fn times_before_the_epoch_are_negative() {
        let before = UNIX_EPOCH - Duration::from_millis(7);
        assert_eq!(Time::from(before), Time::from_millis(-7));
    }
}
