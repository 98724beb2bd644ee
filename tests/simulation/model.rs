//! The protocol as a small state machine, explored exhaustively.
//!
//! Two writers, two collectors, two chunks: every schedule of their steps within small budgets is
//! tried, each state once. After each step every chunk of every snapshot that is live or in the
//! trash lies in a pack that is there, known, whole and not condemned. With any one rule switched
//! off some schedule breaks this, and the shortest one is found: so no rule is idle. An append is
//! one step, because put-if-absent lets it happen only on the state that was checked. DESIGN §9.

// What the world looks like between two steps.
mod world;

// Who may do what, and the rules that hold them back.
mod steps;

use std::collections::{HashSet, VecDeque};

use steps::{Rule, Rules, Step};
use world::{Budget, World};

/// States that a search may meet before it is called too large.
const STATES_MAX: usize = 4_000_000;

/// What a search found.
struct Found {
    states: usize,
    /// The shortest schedule to a violation.
    violation: Option<Vec<Step>>,
}

/// Tries every schedule, breadth first.
fn explore(budget: Budget, rules: Rules) -> Found {
    let begin = World::new(budget);
    let mut met = HashSet::from([begin.fingerprint()]);
    let mut from = vec![None];
    let mut queue = VecDeque::from([(0, begin)]);
    while let Some((index, world)) = queue.pop_front() {
        for step in world.steps(rules) {
            let mut next = world.clone();
            next.take(step, rules);
            if !met.insert(next.fingerprint()) {
                continue;
            }
            from.push(Some((index, step)));
            if next.violation().is_some() {
                return Found { states: from.len(), violation: Some(path(&from)) };
            }
            assert!(from.len() < STATES_MAX, "the budget lets in more than {STATES_MAX} states");
            queue.push_back((from.len() - 1, next));
        }
    }
    Found { states: from.len(), violation: None }
}

/// The steps to the newest state.
fn path(from: &[Option<(usize, Step)>]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = from.len() - 1;
    while let Some((before, step)) = from[at] {
        steps.push(step);
        at = before;
    }
    steps.reverse();
    steps
}

#[test]
fn no_schedule_loses_a_chunk() {
    for budget in Budget::EACH {
        let found = explore(budget, Rules::ALL);
        assert!(found.violation.is_none(), "{budget:?}: {:?}", found.violation);
        assert!(found.states > 100_000, "{budget:?}: only {} states", found.states);
    }
}

#[test]
fn without_any_one_rule_some_schedule_loses_a_chunk() {
    for rule in Rule::EACH {
        let budgets = Budget::EACH;
        let rules = Rules::without(rule);
        let violated = budgets.into_iter().find_map(|budget| explore(budget, rules).violation);
        assert!(violated.is_some(), "nothing breaks without {rule:?}: it is idle, or untested");
    }
}
