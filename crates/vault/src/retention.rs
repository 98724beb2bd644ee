//! Which snapshots a policy keeps: a pure function, without I/O and without a clock.
//!
//! Rules are applied per source: what they keep is the union of what each keeps, so another rule
//! never forgets more. Time is the *effective* time of a commit, which no host's clock can move by
//! more than ten minutes beyond what the place says. A snapshot whose own claims are a day off it
//! is left alone: neither counted nor forgotten. What is held stays. The floor keeps the newest
//! snapshot of a source, and the newest that is more than a day older: a burst of junk cannot push
//! the last good day out. Planning again after forgetting forgets nothing more. DESIGN §9.

mod foreign;
mod periods;
mod times;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use crypto::{MemberId, SessionId};
use format::Descriptor;
use places::Time;

pub use foreign::foreign_names;
pub use periods::{Period, UtcOffset};
pub(crate) use times::{Clocks, DAY, apart, effective_times};

use crate::{Error, Result, Snapshot};

/// What to keep of each source. A count of 0 and an empty list are no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest.
    pub last: u32,
    /// The newest of each of so many hours that have any.
    pub hourly: u32,
    /// The same of days.
    pub daily: u32,
    /// The same of weeks, which begin on Monday.
    pub weekly: u32,
    /// The same of months.
    pub monthly: u32,
    /// The same of years.
    pub yearly: u32,
    /// All that are not older than the newest of their source by more than this.
    pub within: Option<Duration>,
    /// All with one of these tags.
    pub tags: Vec<String>,
    /// What stays whatever the rules say.
    pub floor: Floor,
    /// What makes a source.
    pub group_by: Vec<GroupBy>,
    /// Where hours, days, weeks, months and years begin.
    pub utc_offset: UtcOffset,
}

/// What of a source stays whatever the rules say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Floor {
    /// The newest snapshot, and the newest that is more than a day older.
    #[default]
    LastGoodDay,
    /// Nothing.
    None,
}

/// What snapshots of one source have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupBy {
    /// The name.
    Name,
    /// The paths.
    Paths,
    /// The member that made them.
    Member,
    /// The tags in force.
    Tags,
}

impl Default for Retention {
    /// No rule at all; sources are of one name and one set of paths; periods are in UTC.
    fn default() -> Self {
        Self {
            last: 0,
            hourly: 0,
            daily: 0,
            weekly: 0,
            monthly: 0,
            yearly: 0,
            within: None,
            tags: Vec::new(),
            floor: Floor::LastGoodDay,
            group_by: vec![GroupBy::Name, GroupBy::Paths],
            utc_offset: UtcOffset::UTC,
        }
    }
}

impl Retention {
    /// Whether it has no rule, so that nothing says what to keep.
    pub fn has_no_rules(&self) -> bool {
        self.last == 0
            && self.periods().iter().all(|(_, count)| *count == 0)
            && self.within.is_none()
            && self.tags.is_empty()
    }

    fn periods(&self) -> [(Period, u32); 5] {
        [
            (Period::Hour, self.hourly),
            (Period::Day, self.daily),
            (Period::Week, self.weekly),
            (Period::Month, self.monthly),
            (Period::Year, self.yearly),
        ]
    }
}

/// A source, as far as snapshots are grouped by what it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Its name.
    pub name: Option<String>,
    /// Its sorted paths.
    pub paths: Option<Vec<Vec<u8>>>,
    /// The member: asked for, or because the name is another's. That makes a source of its own.
    pub member: Option<MemberId>,
    /// Its tags.
    pub tags: Option<Vec<String>>,
}

impl Source {
    /// The source of a snapshot that can be read; `foreign` when its name is another member's.
    pub(crate) fn of(
        snapshot: &Snapshot,
        descriptor: &Descriptor,
        group_by: &[GroupBy],
        foreign: bool,
    ) -> Self {
        let by = |aspect| group_by.contains(&aspect);
        Self {
            name: by(GroupBy::Name).then(|| descriptor.name.clone()),
            paths: by(GroupBy::Paths).then(|| descriptor.paths.clone()),
            member: (foreign || by(GroupBy::Member)).then_some(snapshot.member),
            tags: by(GroupBy::Tags).then(|| snapshot.tags.clone()),
        }
    }
}

/// What the rules look at of a live snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The snapshot.
    pub id: SessionId,
    /// Its source; `None` when it cannot be read.
    pub source: Option<Source>,
    /// Its effective time.
    pub effective: Time,
    /// How far the times that its host claims are from what is known.
    pub drift: Duration,
    /// Its tags in force.
    pub tags: Vec<String>,
    /// Whether it is held.
    pub held: bool,
}

/// What becomes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, for at least one reason.
    Keep(Vec<KeepReason>),
    /// It goes to the trash.
    Forget,
    /// It is none of the policy's business.
    LeftAlone(LeftAloneReason),
}

/// Why a snapshot is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepReason {
    /// It is held.
    Held,
    /// It is one of the newest.
    Last,
    /// It is the newest of its period.
    NewestOf(Period),
    /// It is not much older than the newest.
    Within,
    /// It has this tag.
    Tag(String),
    /// No rule keeps it, but it is the newest of its source.
    Newest,
    /// No rule keeps it, but it is the newest that is more than a day older than the newest.
    Floor,
}

/// Why a snapshot is neither counted nor forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftAloneReason {
    /// What it is of cannot be read: it is damaged, or not for this key.
    Unread,
    /// The times that its host claims are off by so much: a false clock, or it was imported.
    Clock(Duration),
}

/// Decides about these snapshots, given in the order of their commits. The verdicts stand in the
/// same order. Costs a walk for each rule.
///
/// # Errors
/// [`Error::NoRules`] when nothing says what to keep.
pub fn plan(retention: &Retention, candidates: &[Candidate]) -> Result<Vec<Verdict>> {
    if retention.has_no_rules() {
        return Err(Error::NoRules);
    }
    let mut verdicts: Vec<_> = candidates.iter().map(before_rules).collect();
    let mut sources: BTreeMap<&Source, Vec<usize>> = BTreeMap::new();
    for (at, candidate) in candidates.iter().enumerate().rev() {
        if let (Some(source), Verdict::Keep(_)) = (&candidate.source, &verdicts[at]) {
            sources.entry(source).or_default().push(at);
        }
    }
    for newest_first in sources.values() {
        let chosen: Vec<_> = newest_first.iter().map(|at| &candidates[*at]).collect();
        for (at, reasons) in newest_first.iter().zip(keep(retention, &chosen)) {
            verdicts[*at] = match reasons.is_empty() {
                true => Verdict::Forget,
                false => Verdict::Keep(reasons),
            };
        }
    }
    Ok(verdicts)
}

/// What is left alone; all else is kept until a rule was asked.
fn before_rules(candidate: &Candidate) -> Verdict {
    if candidate.source.is_none() {
        Verdict::LeftAlone(LeftAloneReason::Unread)
    } else if candidate.drift >= DAY {
        Verdict::LeftAlone(LeftAloneReason::Clock(candidate.drift))
    } else {
        Verdict::Keep(Vec::new())
    }
}

/// Why each snapshot of a source is kept, newest first.
fn keep(retention: &Retention, newest_first: &[&Candidate]) -> Vec<Vec<KeepReason>> {
    let Some(newest) = newest_first.first() else { return Vec::new() };
    let mut kept = vec![Vec::new(); newest_first.len()];
    for (reasons, candidate) in kept.iter_mut().zip(newest_first) {
        if candidate.held {
            reasons.push(KeepReason::Held);
        }
        let age = newest.effective.since(candidate.effective);
        if retention.within.is_some_and(|within| age <= within) {
            reasons.push(KeepReason::Within);
        }
        let tag = retention.tags.iter().find(|tag| candidate.tags.contains(tag));
        reasons.extend(tag.cloned().map(KeepReason::Tag));
    }
    for reasons in kept.iter_mut().take(retention.last as usize) {
        reasons.push(KeepReason::Last);
    }
    for (period, count) in retention.periods() {
        for at in newest_of_each(period, count, retention.utc_offset, newest_first) {
            kept[at].push(KeepReason::NewestOf(period));
        }
    }
    if retention.floor == Floor::LastGoodDay {
        let is_older = |c: &&Candidate| newest.effective.since(c.effective) > DAY;
        let floor = newest_first.iter().position(is_older);
        for (at, reason) in [(Some(0), KeepReason::Newest), (floor, KeepReason::Floor)] {
            if let Some(reasons) = at.and_then(|at| kept.get_mut(at)).filter(|r| r.is_empty()) {
                reasons.push(reason);
            }
        }
    }
    kept
}

/// Where the newest snapshots of the newest `count` periods stand.
fn newest_of_each(
    period: Period,
    count: u32,
    offset: UtcOffset,
    newest_first: &[&Candidate],
) -> Vec<usize> {
    let mut before = None;
    let newest = newest_first.iter().enumerate().filter(move |(_, candidate)| {
        let number = period.number(candidate.effective, offset);
        before.replace(number) != Some(number)
    });
    newest.map(|(at, _)| at).take(count as usize).collect()
}
