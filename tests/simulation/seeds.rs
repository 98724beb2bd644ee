//! Plays many seeds. `STRONGROOM_SIMULATION_SEEDS` says how many, `STRONGROOM_SIMULATION_FIRST`
//! from which one on, and `STRONGROOM_SIMULATION_SEED` plays one again. They are shared out among
//! eight tests, which run at the same time.

use vault::{Rule, Rules};

use crate::oracle::Counts;
use crate::play::{Cast, play};
use crate::staged::{Scene, play_scene};

/// Enough for every change: four minutes of a processor. `make simulate` plays for hours.
const SEEDS: u64 = 2000;
/// The tests that share them.
const SPANS: u64 = 8;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Plays each eighth seed, from the `span`th on; the first span plays the one that is asked for.
#[track_caller]
fn nothing_is_lost(span: u64) {
    let one = number("STRONGROOM_SIMULATION_SEED");
    let first = one.or_else(|| number("STRONGROOM_SIMULATION_FIRST")).unwrap_or(0);
    let many = number("STRONGROOM_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let count = one.map_or(many, |_| 1);
    let mut total = Counts::default();
    let mut played = 0;
    for seed in (first..first + count).skip(span as usize).step_by(SPANS as usize) {
        let ended = play(seed, Rules::ALL, Cast::Drawn);
        if let Some(rule) = ended.broken {
            panic!("seed {seed}: {rule}\nrepeat it: {}", repeat(seed));
        }
        total += ended.counts;
        played += 1;
    }
    println!("{played} seeds: {total:?}");
    let much = total.commits > 2 * played && total.deleted > played && total.crashes > 0;
    let much = much && total.moved > 0;
    assert!(played < 20 || much, "too little happened: {total:?}");
}

#[test]
fn thousands_of_seeds_lose_nothing() {
    nothing_is_lost(0);
}

macro_rules! each_further_span {
    ($($test:ident: $span:literal),+ $(,)?) => {$(
        #[test]
        fn $test() {
            nothing_is_lost($span);
        }
    )+};
}

each_further_span! {
    thousands_of_seeds_lose_nothing_second_span: 1,
    thousands_of_seeds_lose_nothing_third_span: 2,
    thousands_of_seeds_lose_nothing_fourth_span: 3,
    thousands_of_seeds_lose_nothing_fifth_span: 4,
    thousands_of_seeds_lose_nothing_sixth_span: 5,
    thousands_of_seeds_lose_nothing_seventh_span: 6,
    thousands_of_seeds_lose_nothing_eighth_span: 7,
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

/// Seeds that are tried to see what a rule prevents, from the first one that is known to show it.
const SEARCHED: u64 = 400;

/// Without the rule a play of one of the seeds loses something; with it the same play does not.
#[track_caller]
fn finds_a_violation_without(rule: Rule, first: u64, play: impl Fn(u64, Rules) -> Option<String>) {
    let rules = Rules::ALL.without(rule);
    let mut seeds = first..first + SEARCHED;
    let found = seeds.find_map(|seed| Some((seed, play(seed, rules)?)));
    let (seed, broken) = found.unwrap_or_else(|| panic!("nobody notices that {rule:?} is off"));
    println!("without {rule:?}, seed {seed}: {broken}");
    assert_eq!(play(seed, Rules::ALL), None, "seed {seed}, all rules");
}

/// Each test: the rule that is off, the first seed, how it is played.
macro_rules! each_rule {
    ($($test:ident: $rule:ident, $first:literal, $play:expr;)+) => {$(
        #[test]
        fn $test() {
            finds_a_violation_without(Rule::$rule, $first, $play);
        }
    )+};
}

fn crowded(seed: u64, rules: Rules) -> Option<String> {
    play(seed, rules, Cast::Crowded).broken
}

fn compacting(seed: u64, rules: Rules) -> Option<String> {
    play(seed, rules, Cast::Compacting).broken
}

fn restored(seed: u64, rules: Rules) -> Option<String> {
    play_scene(seed, rules, Scene::Restored)
}

fn bereaved(seed: u64, rules: Rules) -> Option<String> {
    play_scene(seed, rules, Scene::Bereaved)
}

fn undermined(seed: u64, rules: Rules) -> Option<String> {
    play_scene(seed, rules, Scene::Undermined)
}

fn damaged(seed: u64, rules: Rules) -> Option<String> {
    play_scene(seed, rules, Scene::Damaged)
}

each_rule! {
    without_deduplicate_onto_trusted_a_seed_finds_a_violation: DeduplicateOntoTrusted, 39, crowded;
    without_check_before_commit_a_seed_finds_a_violation: CheckBeforeCommit, 7, crowded;
    without_name_the_base_a_seed_finds_a_violation: NameTheBase, 0, undermined;
    without_mark_after_suspicion_a_seed_finds_a_violation: MarkAfterSuspicion, 6, crowded;
    without_mark_trash_a_seed_finds_a_violation: MarkTrash, 3, crowded;
    without_mark_bases_a_seed_finds_a_violation: MarkBases, 0, undermined;
    without_pass_foreign_suspects_a_seed_finds_a_violation: PassForeignSuspects, 1, restored;
    without_pass_lost_a_seed_finds_a_violation: PassLost, 6, bereaved;
    without_collect_only_closed_a_seed_finds_a_violation: CollectOnlyClosed, 7, crowded;
    without_mark_what_was_moved_a_seed_finds_a_violation: MarkWhatWasMoved, 25, compacting;
    without_stop_at_unreadable_a_seed_finds_a_violation: StopAtUnreadable, 0, damaged;
}
