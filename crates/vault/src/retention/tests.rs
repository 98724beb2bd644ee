//! What a policy keeps and forgets, and what nobody can make it forget.
//!
//! Snapshots are made up: a source, the times that a host claims and that the place says, tags.

use proptest::prelude::*;

use super::*;

const HOUR_MILLIS: i64 = 3_600_000;
/// A Sunday at noon.
const START: i64 = 20_779 * 24 * HOUR_MILLIS + 12 * HOUR_MILLIS;

/// A commit: its source, and hours since the start, as claimed and as stored.
#[derive(Clone, Debug)]
struct Made {
    source: &'static str,
    claimed: f64,
    stored: f64,
    tags: &'static [&'static str],
    held: bool,
}

fn made(source: &'static str, hour: f64) -> Made {
    Made { source, claimed: hour, stored: hour, tags: &[], held: false }
}

fn at(hour: f64) -> Time {
    Time::from_millis(START + (hour * HOUR_MILLIS as f64) as i64)
}

fn candidates(commits: &[Made]) -> Vec<Candidate> {
    let clocks =
        commits.iter().map(|c| Clocks { claimed: at(c.claimed), stored: Some(at(c.stored)) });
    let effective = effective_times(clocks, at(1e6));
    let candidates =
        commits.iter().zip(effective).enumerate().map(|(index, (commit, effective))| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(index as u64).to_be_bytes());
            Candidate {
                id: SessionId::from_bytes(id),
                source: Some(Source { name: Some(commit.source.into()), ..Source::default() }),
                effective,
                drift: apart(at(commit.claimed), effective),
                tags: commit.tags.iter().map(|tag| (*tag).to_owned()).collect(),
                held: commit.held,
            }
        });
    candidates.collect()
}

fn is_forgotten(verdict: &Verdict) -> bool {
    *verdict == Verdict::Forget
}

/// The candidates that are left after forgetting.
fn left(retention: &Retention, candidates: &[Candidate]) -> Vec<Candidate> {
    let verdicts = plan(retention, candidates).unwrap();
    let pairs = candidates.iter().zip(verdicts);
    pairs.filter(|(_, verdict)| !is_forgotten(verdict)).map(|(c, _)| c.clone()).collect()
}

fn reasons(retention: &Retention, commits: &[Made]) -> Vec<String> {
    let show = |verdict| match verdict {
        Verdict::Keep(reasons) => reasons.iter().map(|r| format!("{r:?} ")).collect(),
        Verdict::Forget => "forget".to_owned(),
        Verdict::LeftAlone(reason) => format!("{reason:?}"),
    };
    let shown: Vec<String> =
        plan(retention, &candidates(commits)).unwrap().into_iter().map(show).collect();
    shown.iter().map(|text| text.trim_end().to_owned()).collect()
}

#[test]
fn each_snapshot_is_told_why_it_stays() {
    let mut commits: Vec<_> =
        [0.0, 24.0, 25.0, 48.0, 72.0, 73.0].map(|hour| made("web", hour)).to_vec();
    commits[0].held = true;
    commits[1].tags = &["release"];
    let retention = Retention {
        last: 1,
        daily: 2,
        tags: vec!["release".into()],
        within: Some(Duration::from_secs(3600)),
        ..Retention::default()
    };
    assert_eq!(
        reasons(&retention, &commits),
        [
            "Held",
            "Tag(\"release\")",
            "forget",
            "NewestOf(Day)",
            "Within",
            "Within Last NewestOf(Day)",
        ]
    );
}

#[test]
fn the_newest_of_each_period_stays() {
    // One a day for ninety days.
    let commits: Vec<_> = (0..90).map(|day| made("web", f64::from(day) * 24.0)).collect();
    let kept = |retention: &Retention| -> Vec<usize> {
        let verdicts = plan(retention, &candidates(&commits)).unwrap();
        (0..90).filter(|at| !is_forgotten(&verdicts[*at])).collect()
    };
    let none = Retention { floor: Floor::None, ..Retention::default() };
    // Day 0 is Sunday, 2026-11-22; day 89 is Friday, 2027-02-19.
    assert_eq!(kept(&Retention { weekly: 3, ..none.clone() }), [77, 84, 89]);
    assert_eq!(kept(&Retention { monthly: 9, ..none.clone() }), [8, 39, 70, 89]);
    assert_eq!(kept(&Retention { yearly: 5, ..none.clone() }), [39, 89]);
    assert_eq!(kept(&Retention { daily: 2, weekly: 2, ..none }), [84, 88, 89]);
}

#[test]
fn a_policy_without_a_rule_is_refused() {
    let commits = [made("web", 0.0)];
    let refused = plan(&Retention::default(), &candidates(&commits));
    assert!(matches!(refused, Err(Error::NoRules)));
}

#[test]
fn the_floor_keeps_what_no_rule_keeps() {
    let commits = [0.0, 24.0, 49.0, 50.0].map(|hour| made("web", hour));
    let retention = Retention { tags: vec!["none has it".into()], ..Retention::default() };
    assert_eq!(reasons(&retention, &commits), ["forget", "Floor", "forget", "Newest"]);
    let retention = Retention { floor: Floor::None, ..retention };
    assert_eq!(reasons(&retention, &commits), ["forget"; 4]);
}

#[test]
fn a_burst_of_a_thousand_junk_snapshots_leaves_the_last_good_day() {
    let good: Vec<_> = (0..10).map(|day| made("web", f64::from(day) * 24.0)).collect();
    let junk = (0..1000).map(|n| made("web", 9.0 * 24.0 + 20.0 + f64::from(n) * 0.01));
    let commits: Vec<_> = good.into_iter().chain(junk).collect();
    let retention = Retention { last: 10, hourly: 8, ..Retention::default() };
    let verdicts = plan(&retention, &candidates(&commits)).unwrap();
    assert_eq!(verdicts[9], Verdict::Keep(vec![KeepReason::Floor]));
    let without = Retention { floor: Floor::None, ..retention };
    let verdicts = plan(&without, &candidates(&commits)).unwrap();
    assert!(verdicts[..10].iter().all(is_forgotten), "only the floor kept it");
}

#[test]
fn a_snapshot_whose_clock_was_a_day_off_is_neither_counted_nor_forgotten() {
    let mut commits: Vec<_> = (0..5).map(|day| made("web", f64::from(day) * 24.0)).collect();
    // A clock that came up at 1970, one a year ahead, and one twenty hours slow.
    commits.push(Made { claimed: -400_000.0, ..made("web", 98.0) });
    commits.push(Made { claimed: 9_000.0, ..made("web", 99.0) });
    commits.push(Made { claimed: 80.0, ..made("web", 100.0) });
    let verdicts = plan(&Retention { last: 2, ..Retention::default() }, &candidates(&commits));
    let verdicts = verdicts.unwrap();
    let clock = |v: &Verdict| matches!(v, Verdict::LeftAlone(LeftAloneReason::Clock(_)));
    assert!(clock(&verdicts[5]) && clock(&verdicts[6]), "{verdicts:?}");
    assert_eq!(verdicts[7], Verdict::Keep(vec![KeepReason::Last]));
    assert_eq!(verdicts[4], Verdict::Keep(vec![KeepReason::Last]));
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let mut unread = candidates(&[made("web", 0.0), made("web", 1.0)]);
    unread[0].source = None;
    let verdicts = plan(&Retention { last: 1, ..Retention::default() }, &unread).unwrap();
    assert_eq!(verdicts[0], Verdict::LeftAlone(LeftAloneReason::Unread));
}

#[test]
fn a_record_that_the_place_says_nothing_about_is_believed_up_to_now() {
    let clocks = [0.0, 5.0, 50.0].map(|hour| Clocks { claimed: at(hour), stored: None });
    let effective: Vec<_> = effective_times(clocks, at(20.0)).collect();
    assert_eq!(effective, [at(0.0), at(5.0), at(20.0)]);
}

fn some_retention() -> impl Strategy<Value = Retention> {
    let counts = (0..4u32, 0..4u32, 0..4u32, 0..3u32, 0..3u32, 0..2u32);
    let rest = (prop::option::of(0..200u64), any::<bool>(), any::<bool>());
    (counts, rest).prop_map(
        |((last, hourly, daily, weekly, monthly, yearly), (within, tag, floor))| Retention {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
            within: within.map(|hours| Duration::from_secs(hours * 3600)),
            tags: if tag { vec!["t".into()] } else { vec![] },
            floor: if floor { Floor::LastGoodDay } else { Floor::None },
            ..Retention::default()
        },
    )
}

/// Commits in ledger order, stored at honest times, claimed at any. They are at least twelve
/// minutes apart: within ten, a lie moves the next one.
fn some_commits() -> impl Strategy<Value = Vec<Made>> {
    let commit = (0..3usize, 0.2..40.0f64, prop::option::of(-2000.0..2000.0f64), 0..4u8, 0..8u8);
    prop::collection::vec(commit, 1..60).prop_map(|steps| {
        let mut now = 0.0;
        let commits = steps.into_iter().map(|(source, step, lie, tag, hold)| {
            now += step;
            Made {
                source: ["web", "mail", "disk"][source],
                claimed: now + lie.unwrap_or(0.0),
                stored: now,
                tags: if tag == 0 { &["t"] } else { &[] },
                held: hold == 0,
            }
        });
        commits.collect()
    })
}

proptest! {
    #[test]
    fn another_rule_never_forgets_more(
        commits in some_commits(), some in some_retention(), other in some_retention(),
    ) {
        prop_assume!(!some.has_no_rules());
        let more = Retention {
            last: some.last.max(other.last),
            hourly: some.hourly.max(other.hourly),
            daily: some.daily.max(other.daily),
            weekly: some.weekly.max(other.weekly),
            monthly: some.monthly.max(other.monthly),
            yearly: some.yearly.max(other.yearly),
            within: some.within.max(other.within),
            tags: [some.tags.clone(), other.tags].concat(),
            ..some.clone()
        };
        let candidates = candidates(&commits);
        let before = plan(&some, &candidates).unwrap();
        let after = plan(&more, &candidates).unwrap();
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(!is_forgotten(after) || is_forgotten(before));
        }
    }

    #[test]
    fn planning_again_forgets_nothing_more(
        commits in some_commits(), retention in some_retention(),
    ) {
        prop_assume!(!retention.has_no_rules());
        let once = left(&retention, &candidates(&commits));
        prop_assert_eq!(&left(&retention, &once), &once);
    }

    #[test]
    fn the_floor_of_every_source_stands_and_what_is_held_stays(
        commits in some_commits(), retention in some_retention(),
    ) {
        let retention = Retention { floor: Floor::LastGoodDay, ..retention };
        prop_assume!(!retention.has_no_rules());
        let candidates = candidates(&commits);
        let left = left(&retention, &candidates);
        prop_assert!(candidates.iter().filter(|c| c.held).all(|c| left.contains(c)));
        for source in ["web", "mail", "disk"] {
            let of = |c: &&Candidate| {
                c.drift < DAY && c.source.as_ref().unwrap().name.as_deref() == Some(source)
            };
            let Some(newest) = candidates.iter().rev().find(of) else { continue };
            prop_assert!(left.contains(newest));
            let old = |c: &&Candidate| newest.effective.since(c.effective) > DAY;
            let floor = candidates.iter().rev().filter(of).find(old);
            prop_assert!(floor.is_none_or(|floor| left.contains(floor)));
        }
    }

    #[test]
    fn whatever_a_host_claims_no_other_source_loses_more(
        commits in some_commits(), retention in some_retention(),
    ) {
        prop_assume!(!retention.has_no_rules());
        let honest: Vec<_> = commits
            .iter()
            .map(|commit| match commit.source {
                "web" => commit.clone(),
                _ => Made { claimed: commit.stored, ..commit.clone() },
            })
            .collect();
        let alone: Vec<_> = honest.iter().filter(|c| c.source != "web").cloned().collect();
        let is_web = |c: &Candidate| c.source.as_ref().unwrap().name.as_deref() == Some("web");
        let seen = |c: &Candidate| (c.source.clone(), c.effective);
        let expected: Vec<_> = left(&retention, &candidates(&alone)).iter().map(seen).collect();
        let found = left(&retention, &candidates(&honest));
        let found: Vec<_> = found.iter().filter(|c| !is_web(c)).map(seen).collect();
        prop_assert_eq!(found, expected);
    }
}
