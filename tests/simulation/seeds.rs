//! Plays many seeds. `STRONGROOM_SIMULATION_SEEDS` says how many, `STRONGROOM_SIMULATION_FIRST`
//! from which one on, and `STRONGROOM_SIMULATION_SEED` plays one again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use vault::{Rule, Rules};

use crate::oracle::Counts;
use crate::play::{Cast, play};

/// Enough for every change; `make simulate` plays for hours.
const SEEDS: u64 = 1500;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[test]
fn thousands_of_seeds_lose_nothing() {
    let one = number("STRONGROOM_SIMULATION_SEED");
    let (first, count) = match one {
        Some(seed) => (seed, 1),
        None => (
            number("STRONGROOM_SIMULATION_FIRST").unwrap_or(0),
            number("STRONGROOM_SIMULATION_SEEDS").unwrap_or(SEEDS),
        ),
    };
    let next = AtomicU64::new(first);
    let total = Mutex::new(Counts::default());
    let broken = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while broken.lock().unwrap().is_empty() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let ended = play(seed, Rules::ALL, Cast::Drawn);
                    *total.lock().unwrap() += ended.counts;
                    if let Some(rule) = ended.broken {
                        broken.lock().unwrap().push((seed, rule));
                    }
                }
            });
        }
    });
    if let Some((seed, rule)) = broken.into_inner().unwrap().into_iter().min() {
        panic!("seed {seed}: {rule}\nrepeat it: {}", repeat(seed));
    }
    let total = total.into_inner().unwrap();
    println!("{count} seeds: {total:?}");
    let much = total.commits > 2 * count && total.deleted > count && total.crashes > 0;
    assert!(one.is_some() || much, "too little happened: {total:?}");
}

fn repeat(seed: u64) -> String {
    format!(
        "STRONGROOM_SIMULATION_SEED={seed} \
         cargo nextest run --test simulation thousands_of_seeds --no-capture"
    )
}

#[test]
fn a_seed_run_twice_ends_in_the_same_state() {
    for seed in 0..40 {
        let [one, again] = [(); 2].map(|()| play(seed, Rules::ALL, Cast::Drawn));
        assert_eq!(one.history, again.history, "seed {seed} took another way");
        assert_eq!(one.turns, again.turns, "seed {seed}");
        assert!(one.objects == again.objects, "seed {seed} left other objects");
    }
}

/// Seeds that are tried to see what a rule prevents.
const SEARCHED: u64 = 400;

#[track_caller]
fn finds_a_violation_without(rule: Rule) {
    let rules = Rules::ALL.without(rule);
    let mut plays = (0..SEARCHED).flat_map(|seed| [(seed, Cast::Crowded), (seed, Cast::Drawn)]);
    let found = plays.find_map(|(seed, cast)| Some((seed, play(seed, rules, cast).broken?)));
    let (seed, broken) = found.unwrap_or_else(|| panic!("nobody notices that {rule:?} is off"));
    println!("without {rule:?}, seed {seed}: {broken}");
}

macro_rules! each_rule {
    ($($test:ident: $rule:ident),+ $(,)?) => {$(
        #[test]
        fn $test() {
            finds_a_violation_without(Rule::$rule);
        }
    )+};
}

each_rule! {
    without_deduplicate_onto_trusted_a_seed_finds_a_violation: DeduplicateOntoTrusted,
    without_check_before_commit_a_seed_finds_a_violation: CheckBeforeCommit,
    without_name_the_base_a_seed_finds_a_violation: NameTheBase,
    without_mark_after_suspicion_a_seed_finds_a_violation: MarkAfterSuspicion,
    without_mark_trash_a_seed_finds_a_violation: MarkTrash,
    without_mark_bases_a_seed_finds_a_violation: MarkBases,
    without_collect_only_closed_a_seed_finds_a_violation: CollectOnlyClosed,
    without_stop_at_unreadable_a_seed_finds_a_violation: StopAtUnreadable,
}
