//! A place that fails on purpose: before the act, after it with the answer lost, hanging, for good.
//!
//! A script decides per call, so a test can fail exactly one put, crash at every operation in turn,
//! or let a seed choose. What fails is [`ErrorKind::Unavailable`] unless the script names an error;
//! a hang passes by the [`Clock`]. A listing is one operation, decided when it begins.
//! Wraps any [`Place`]; the bytes below stay for whoever opens the place next.
//!
//! [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::abilities::{
    Retention, RetentionMode, Version, VersionId, VersionListing, Versions, cannot_retain,
    keeps_no_versions,
};
use crate::error::{Error, Result};
use crate::name::{NamePrefix, ObjectName};
use crate::place::{Capabilities, ListCost, Listing, Place, Put, PutOptions, Stat};
use crate::recording::Verb;
use crate::seed::Seeded;
use crate::time::{Clock, Time};

/// Fails as its script says.
pub struct Faulty<P> {
    inner: P,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// A call that is about to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// How many operations came before it.
    pub index: u64,
    /// What is asked.
    pub verb: Verb,
    /// The object's name, or the prefix of a listing.
    pub subject: &'a str,
}

/// What becomes of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It succeeds as usual.
    None,
    /// It does not happen, and is answered `Unavailable`.
    Before,
    /// It happens, but the answer is lost: `Unavailable`.
    After,
    /// It does not happen; after this time it is answered `Unavailable`.
    Hang(Duration),
    /// It does not happen, and is answered with this error.
    Refuse(Error),
    /// It does not happen, and from now on nothing does.
    CrashBefore,
    /// It happens, the answer is lost, and from now on nothing happens.
    CrashAfter,
}

/// How often each fault occurs, in operations of a thousand; the rest succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// [`Fault::Before`]
    pub before_permille: u32,
    /// [`Fault::After`]
    pub after_permille: u32,
    /// [`Fault::Hang`], for 30 seconds each.
    pub hang_permille: u32,
}

impl<P: Place> Faulty<P> {
    /// Asks `script` before each operation. The script runs under a lock: operations are decided
    /// one at a time, and it must not call the place.
    pub fn scripted(
        inner: P,
        clock: Arc<dyn Clock>,
        script: impl FnMut(&Operation<'_>) -> Fault + Send + 'static,
    ) -> Self {
        let state = State { script: Box::new(script), operations: 0, crashed: false };
        Self { inner, clock, state: Mutex::new(state) }
    }

    /// Lets `seed` choose faults at `rates`. One thread and one seed: one sequence of faults.
    pub fn seeded(inner: P, clock: Arc<dyn Clock>, seed: u64, rates: FaultRates) -> Self {
        let seeded = Seeded::new(seed);
        Self::scripted(inner, clock, move |_| rates.choose(seeded.below(1000) as u32))
    }

    /// Crashes before operation `index` (the first is 0): it and all later ones do not happen.
    pub fn crashing_before(inner: P, clock: Arc<dyn Clock>, index: u64) -> Self {
        Self::scripted(inner, clock, move |operation| {
            if operation.index == index { Fault::CrashBefore } else { Fault::None }
        })
    }

    /// Crashes after operation `index` (the first is 0): it happens, but nobody is told.
    pub fn crashing_after(inner: P, clock: Arc<dyn Clock>, index: u64) -> Self {
        Self::scripted(inner, clock, move |operation| {
            if operation.index == index { Fault::CrashAfter } else { Fault::None }
        })
    }

    /// The place below, without faults.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    /// Operations asked for so far, failed ones too.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Whether a crash has happened.
    pub fn has_crashed(&self) -> bool {
        self.lock().crashed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act<T>(&self, verb: Verb, subject: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let lost = |reason: &str| {
            let (place, subject) = (self.describe(), subject.to_owned());
            Err(Error::Unavailable { place, subject, reason: reason.to_owned() })
        };
        // Bound first, so that the lock is free again while the operation happens.
        let fault = self.lock().decide(verb, subject);
        match fault {
            Fault::None => act(),
            Fault::Before => lost("the call did not get through"),
            Fault::Hang(duration) => {
                self.clock.sleep(duration);
                lost("no answer came in time")
            }
            Fault::Refuse(error) => Err(error),
            Fault::CrashBefore => lost("the connection is gone"),
            Fault::After | Fault::CrashAfter => match act() {
                Ok(_) => lost("the answer was lost"),
                Err(error) => Err(error),
            },
        }
    }
}

impl<P: Place> Place for Faulty<P> {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
        self.act(Verb::Put, name.as_str(), || self.inner.put(name, body, options))
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        self.act(Verb::Get, name.as_str(), || self.inner.get(name, range))
    }

    fn list_cost(&self) -> ListCost {
        self.inner.list_cost()
    }

    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>> {
        self.act(Verb::List, prefix.as_str(), || self.inner.list(prefix, start_after))
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        self.act(Verb::Stat, name.as_str(), || self.inner.stat(name))
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.act(Verb::Delete, name.as_str(), || self.inner.delete(name))
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

impl<P: Place> Faulty<P> {
    fn inner_retention(&self) -> Result<&dyn Retention> {
        self.inner.retention().ok_or_else(|| cannot_retain(self.describe()))
    }

    fn inner_versions(&self) -> Result<&dyn Versions> {
        self.inner.versions().ok_or_else(|| keeps_no_versions(self.describe()))
    }
}

impl<P: Place> Retention for Faulty<P> {
    fn extend_retention(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
        until: Time,
        mode: RetentionMode,
    ) -> Result<()> {
        let inner = self.inner_retention()?;
        let extend = || inner.extend_retention(name, version, until, mode);
        self.act(Verb::Put, name.as_str(), extend)
    }

    fn retained_until(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Option<Time>> {
        let inner = self.inner_retention()?;
        self.act(Verb::Stat, name.as_str(), || inner.retained_until(name, version))
    }
}

impl<P: Place> Versions for Faulty<P> {
    fn list_versions(&self, prefix: &NamePrefix) -> Result<VersionListing<'_>> {
        let inner = self.inner_versions()?;
        self.act(Verb::List, prefix.as_str(), || inner.list_versions(prefix))
    }

    fn versions_of(&self, name: &ObjectName) -> Result<Vec<Version>> {
        let inner = self.inner_versions()?;
        self.act(Verb::List, name.as_str(), || inner.versions_of(name))
    }

    fn get_version(
        &self,
        name: &ObjectName,
        version: &VersionId,
        range: Option<Range<u64>>,
    ) -> Result<Bytes> {
        let inner = self.inner_versions()?;
        self.act(Verb::Get, name.as_str(), || inner.get_version(name, version, range))
    }

    fn hide(&self, name: &ObjectName) -> Result<()> {
        let inner = self.inner_versions()?;
        self.act(Verb::Delete, name.as_str(), || inner.hide(name))
    }
}

type Script = Box<dyn FnMut(&Operation<'_>) -> Fault + Send>;

struct State {
    script: Script,
    operations: u64,
    crashed: bool,
}

impl State {
    fn decide(&mut self, verb: Verb, subject: &str) -> Fault {
        let operation = Operation { index: self.operations, verb, subject };
        self.operations += 1;
        if self.crashed {
            return Fault::CrashBefore;
        }
        let fault = (self.script)(&operation);
        self.crashed = matches!(fault, Fault::CrashBefore | Fault::CrashAfter);
        fault
    }
}

impl FaultRates {
    fn choose(self, draw: u32) -> Fault {
        let before = self.before_permille;
        let after = before.saturating_add(self.after_permille);
        let hang = after.saturating_add(self.hang_permille);
        if draw < before {
            Fault::Before
        } else if draw < after {
            Fault::After
        } else if draw < hang {
            Fault::Hang(HANG)
        } else {
            Fault::None
        }
    }
}

const HANG: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;
    use crate::error::ErrorKind;
    use crate::memory::MemoryPlace;
    use crate::time::ManualClock;

    fn put(place: &dyn Place, name: &str) -> Result<Put> {
        place.put(&ObjectName::parse(name)?, Bytes::new(), &PutOptions::default())
    }

    fn names(place: &MemoryPlace) -> Vec<String> {
        place.names().iter().map(ObjectName::to_string).collect()
    }

    #[test]
    fn without_faults_the_contract_is_kept() {
        let clock = Arc::new(ManualClock::default());
        conformance::run(|| Faulty::scripted(MemoryPlace::new(), clock.clone(), |_| Fault::None));
    }

    #[test]
    fn a_fault_before_leaves_nothing_and_a_fault_after_leaves_the_object() {
        let (memory, clock) = (MemoryPlace::new(), ManualClock::default());
        let full = Error::Unsupported { place: "here".into(), what: "do this".into() };
        let expected = full.clone();
        let place = Faulty::scripted(memory.clone(), Arc::new(clock.clone()), move |operation| {
            match operation.subject {
                "before" => Fault::Before,
                "after" => Fault::After,
                "hang" => Fault::Hang(Duration::from_secs(7)),
                _ => Fault::Refuse(full.clone()),
            }
        });
        for name in ["before", "after", "hang"] {
            assert_eq!(put(&place, name).unwrap_err().kind(), ErrorKind::Unavailable, "{name}");
        }
        assert_eq!(put(&place, "refused").unwrap_err(), expected);
        assert_eq!(names(&memory), ["after"]);
        assert_eq!(clock.now().as_millis(), 7000);
    }

    #[test]
    fn after_a_crash_nothing_happens_any_more() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        for (crash_after, left) in [(false, ["0", "1"].as_slice()), (true, &["0", "1", "2"])] {
            let memory = MemoryPlace::new();
            let place = match crash_after {
                false => Faulty::crashing_before(memory.clone(), clock.clone(), 2),
                true => Faulty::crashing_after(memory.clone(), clock.clone(), 2),
            };
            let answered = (0..5).filter(|name| put(&place, &name.to_string()).is_ok()).count();
            assert_eq!((answered, place.operations()), (2, 5));
            assert!(place.has_crashed());
            assert_eq!(names(&memory), left);
        }
    }

    #[test]
    fn an_operation_that_hangs_does_not_hold_up_the_others() {
        struct Waiting(std::sync::Barrier);
        impl Clock for Waiting {
            fn now(&self) -> crate::time::Time {
                crate::time::Time::EPOCH
            }
            fn sleep(&self, _: Duration) {
                self.0.wait();
            }
        }
        let clock = Arc::new(Waiting(std::sync::Barrier::new(2)));
        let place =
            Faulty::scripted(MemoryPlace::new(), clock, |_| Fault::Hang(Duration::from_secs(1)));
        std::thread::scope(|scope| {
            for name in ["a", "b"] {
                let place = &place;
                scope.spawn(move || put(place, name).unwrap_err());
            }
        });
        assert_eq!(place.operations(), 2);
    }

    #[test]
    fn one_seed_chooses_the_same_faults_again() {
        let clock = Arc::new(ManualClock::default());
        let rates = FaultRates { before_permille: 200, after_permille: 200, hang_permille: 200 };
        let run = |seed| {
            let place = Faulty::seeded(MemoryPlace::new(), clock.clone(), seed, rates);
            (0..100).map(|index| put(&place, &index.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        let failed = run(3).iter().filter(|put| put.is_err()).count();
        assert!((30..90).contains(&failed), "{failed} of 100 failed, 60 expected");
    }
}
