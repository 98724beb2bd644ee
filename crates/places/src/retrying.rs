//! A place that tries again, and settles whether an unanswered put happened.
//!
//! Only what is [transient](Error::is_transient) is retried, with exponential back-off and full
//! jitter, within a number of attempts and a deadline. A put whose answer is lost may have
//! happened, or happen later: from then on the bytes under its name decide. Own bytes are
//! `Created`, other bytes are `Exists`, nothing means put again. So a caller never sees its own
//! object as another's. A listing is retried until it begins; after an error in its midst it is
//! asked to go on where it stood, which a place that reads in pages can, and ends where the place
//! cannot: the part already handed out has no order to resume from. Wraps any [`Place`].

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::abilities::{
    Retention, RetentionMode, Version, VersionId, VersionListing, Versions, cannot_retain,
    keeps_no_versions,
};
use crate::error::{Error, ErrorKind, Result};
use crate::name::{NamePrefix, ObjectName};
use crate::place::{Capabilities, ListCost, Listed, Listing, Place, Put, PutOptions, Start, Stat};
use crate::seed::Seeded;
use crate::time::{Clock, Time};

/// Retries what is worth retrying.
pub struct Retrying<P> {
    inner: P,
    policy: RetryPolicy,
    clock: Arc<dyn Clock>,
    jitter: Seeded,
    has_answered: AtomicBool,
}

/// How often and how long to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first included; at least one is made.
    pub attempts: u32,
    /// The longest pause after the first try; it doubles with each one.
    pub base: Duration,
    /// The longest pause of all.
    pub cap: Duration,
    /// No try begins later than this after the first.
    pub deadline: Duration,
    /// The same while the place has never answered yet: who named it wrong is told soon.
    pub deadline_unanswered: Duration,
}

impl RetryPolicy {
    /// For places across a network, which goes away and comes back: as many tries as `deadline`
    /// has room for, a minute for the first answer, with pauses up to 200 ms, doubling to 20 s.
    pub fn network(deadline: Duration) -> Self {
        Self {
            attempts: u32::MAX,
            base: Duration::from_millis(200),
            cap: Duration::from_secs(20),
            deadline,
            deadline_unanswered: deadline.min(Duration::from_secs(60)),
        }
    }
}

impl Default for RetryPolicy {
    /// Ten tries, pauses up to 100 ms, doubling to 30 s, five minutes in all.
    fn default() -> Self {
        Self {
            attempts: 10,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(30),
            deadline: Duration::from_secs(300),
            deadline_unanswered: Duration::from_secs(300),
        }
    }
}

impl<P: Place> Retrying<P> {
    /// Retries calls to `inner`; `seed` draws the jitter, `clock` lets the pauses pass.
    pub fn new(inner: P, policy: RetryPolicy, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let (jitter, has_answered) = (Seeded::new(seed), AtomicBool::new(false));
        Self { inner, policy, clock, jitter, has_answered }
    }

    /// The place below.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    fn retry<T>(&self, mut call: impl FnMut() -> Result<T>) -> Result<T> {
        let start = self.clock.now();
        let mut attempt = 1;
        loop {
            match call() {
                Err(error) if error.is_transient() => {
                    self.pause(attempt, start).ok_or(error)?;
                }
                ended => {
                    self.has_answered.store(true, Ordering::Relaxed);
                    return ended;
                }
            }
            attempt += 1;
        }
    }

    /// Lets time pass before the next try; `None` when there is none left.
    /// Full jitter: M. Brooker, "Exponential Backoff And Jitter", 2015.
    fn pause(&self, attempt: u32, start: Time) -> Option<()> {
        if attempt >= self.policy.attempts {
            return None;
        }
        let factor = 2_u32.saturating_pow(attempt - 1);
        let longest = self.policy.base.saturating_mul(factor).min(self.policy.cap);
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX - 1);
        let pause = Duration::from_nanos(self.jitter.below(nanos.saturating_add(1)));
        let deadline = match self.has_answered.load(Ordering::Relaxed) {
            true => self.policy.deadline,
            false => self.policy.deadline_unanswered,
        };
        if self.clock.now().since(start).saturating_add(pause) > deadline {
            return None;
        }
        self.clock.sleep(pause);
        Some(())
    }

    /// What lies under the name of a put whose answer was lost, `None` when nothing does.
    fn settle(&self, name: &ObjectName, body: &Bytes) -> Result<Option<Put>> {
        match self.inner.get(name, None) {
            Ok(found) if found == body => Ok(Some(Put::Created)),
            Ok(_) => Ok(Some(Put::Exists)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn unsettled(&self, name: &ObjectName, error: Error) -> Error {
        if error.kind() == ErrorKind::Unavailable {
            return error;
        }
        Error::Unavailable {
            place: self.describe(),
            subject: name.to_string(),
            reason: format!("the answer to a put was lost, and then: {error}"),
        }
    }
}

impl<P: Place> Place for Retrying<P> {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
        let mut answer_lost = false;
        let ended = self.retry(|| {
            if answer_lost && let Some(put) = self.settle(name, &body)? {
                return Ok(put);
            }
            match self.inner.put(name, body.clone(), options) {
                // The put that was lost may have arrived after it was looked for.
                Ok(Put::Exists) if answer_lost => {
                    Ok(self.settle(name, &body)?.unwrap_or(Put::Exists))
                }
                Err(error) if error.is_transient() => {
                    answer_lost = true;
                    Err(error)
                }
                ended => ended,
            }
        });
        // Any other error would say that the put has not happened, which nobody knows now.
        ended.map_err(|error| if answer_lost { self.unsettled(name, error) } else { error })
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        self.retry(|| self.inner.get(name, range.clone()))
    }

    fn get_start(&self, name: &ObjectName, most: u64) -> Result<Start> {
        self.retry(|| self.inner.get_start(name, most))
    }

    fn list_cost(&self) -> ListCost {
        self.inner.list_cost()
    }

    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>> {
        let listing = self.retry(|| self.inner.list(prefix, start_after))?;
        Ok(Box::new(Resumed { retrying: self, listing, is_over: false }))
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        self.retry(|| self.inner.stat(name))
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        self.retry(|| self.inner.delete(name))
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

impl<P: Place> Retention for Retrying<P> {
    fn extend_retention(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
        until: Time,
        mode: RetentionMode,
    ) -> Result<()> {
        self.retry(|| self.inner_retention()?.extend_retention(name, version, until, mode))
    }

    fn retained_until(
        &self,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<Option<Time>> {
        self.retry(|| self.inner_retention()?.retained_until(name, version))
    }
}

impl<P: Place> Versions for Retrying<P> {
    fn list_versions(&self, prefix: &NamePrefix) -> Result<VersionListing<'_>> {
        self.retry(|| self.inner_versions()?.list_versions(prefix))
    }

    fn versions_of(&self, name: &ObjectName) -> Result<Vec<Version>> {
        self.retry(|| self.inner_versions()?.versions_of(name))
    }

    fn get_version(
        &self,
        name: &ObjectName,
        version: &VersionId,
        range: Option<Range<u64>>,
    ) -> Result<Bytes> {
        self.retry(|| self.inner_versions()?.get_version(name, version, range.clone()))
    }

    fn hide(&self, name: &ObjectName) -> Result<()> {
        self.retry(|| self.inner_versions()?.hide(name))
    }
}

impl<P: Place> Retrying<P> {
    fn inner_retention(&self) -> Result<&dyn Retention> {
        self.inner.retention().ok_or_else(|| cannot_retain(self.describe()))
    }

    fn inner_versions(&self) -> Result<&dyn Versions> {
        self.inner.versions().ok_or_else(|| keeps_no_versions(self.describe()))
    }
}

/// A listing that goes on after an error where its place can.
struct Resumed<'a, P> {
    retrying: &'a Retrying<P>,
    listing: Listing<'a>,
    is_over: bool,
}

impl<P: Place> Iterator for Resumed<'_, P> {
    type Item = Result<Listed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let mut failed = None;
        let (mut attempt, start) = (1, self.retrying.clock.now());
        loop {
            match self.listing.next() {
                Some(Ok(listed)) => return Some(Ok(listed)),
                Some(Err(error)) if error.is_transient() => {
                    let may_go_on = self.retrying.pause(attempt, start).is_some();
                    failed = Some(error);
                    if may_go_on {
                        attempt += 1;
                        continue;
                    }
                }
                Some(Err(error)) => failed = Some(error),
                // The end after an error is a walk that cannot go on.
                None => {}
            }
            self.is_over = true;
            return failed.map(Err);
        }
    }
}

#[cfg(test)]
mod tests;
