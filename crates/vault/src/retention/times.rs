//! When snapshots were made, as far as it can be known.
//!
//! A host claims; the place stores. Effective time goes by the claim, but never beyond what the
//! place says by more than ten minutes and never back before an earlier record. So a false clock or
//! a lie makes a snapshot's own times doubtful and moves nobody else's. DESIGN §9.

use std::time::Duration;

use places::Time;

/// What is more than this apart is not of one day; a claim that is so far off is not believed.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// How far a host's clock may run ahead of the place's.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(600);

/// What clocks say of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// When its record claims to be made.
    pub(crate) claimed: Time,
    /// When the place stored that, when it says.
    pub(crate) stored: Option<Time>,
}

/// The effective times of these commits, given in the order of the ledger; they never fall. A
/// claim that the place says nothing about goes up to `now`.
pub(crate) fn effective_times(
    commits: impl IntoIterator<Item = Clocks>,
    now: Time,
) -> impl Iterator<Item = Time> {
    let mut previous = Time::from_millis(i64::MIN);
    commits.into_iter().map(move |Clocks { claimed, stored }| {
        let latest = stored.map_or(now, |stored| stored.plus(CLOCK_TOLERANCE));
        previous = previous.max(claimed.min(latest));
        previous
    })
}

/// How far apart two times are.
pub(crate) fn apart(one: Time, other: Time) -> Duration {
    one.since(other).max(other.since(one))
}
