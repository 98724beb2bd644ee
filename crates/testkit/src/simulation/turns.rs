//! Who runs: one thread at a time, drawn by seed.
//!
//! Each actor is a thread that waits until it has the turn. Whoever has it passes it on at its
//! calls and sleeps, and gives it up at its end. Time moves only when a turn is passed: a little at
//! each, and to the next sleeper's hour when all sleep. After so many turns, or when a rule is seen
//! broken, the play is stopped: calls fail from then on, and sleeps end at once, so that all
//! threads come to their end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use places::{Clock, Time};

use super::Dice;

/// The turns of one play.
pub struct Turns {
    inner: Mutex<Inner>,
    /// One for each actor.
    changed: Vec<Condvar>,
}

struct Inner {
    dice: Dice,
    now: Time,
    actors: Vec<Actor>,
    holder: Option<usize>,
    /// Of 16 calls, how many keep the turn.
    calm: u64,
    turns: u64,
    turns_max: u64,
    stopped: bool,
    why: Option<String>,
}

#[derive(Clone, Copy)]
struct Actor {
    wakes: Time,
    over: bool,
    thread: Option<ThreadId>,
}

/// What an actor does.
pub type Part<'a> = Box<dyn FnOnce() + Send + 'a>;

impl Turns {
    /// For so many actors, from this time on, at most so many turns long. How often the turn is
    /// kept is drawn too: some plays change hands at every call, some rarely.
    pub fn new(mut dice: Dice, start: Time, actors: usize, turns_max: u64) -> Self {
        let calm = *dice.pick(&[0, 8, 12, 14, 15]).unwrap_or(&8);
        let inner = Inner {
            dice,
            now: start,
            actors: vec![Actor { wakes: start, over: false, thread: None }; actors],
            holder: None,
            calm,
            turns: 0,
            turns_max,
            stopped: false,
            why: None,
        };
        Self { inner: Mutex::new(inner), changed: (0..actors).map(|_| Condvar::new()).collect() }
    }

    /// Plays all parts to their ends. Gives the first rule that was seen broken.
    ///
    /// # Errors
    /// What was given to [`Self::stop`]; the message of a part that panicked.
    ///
    /// # Panics
    /// When there are more parts than actors.
    pub fn play(&self, parts: Vec<Part<'_>>) -> Result<(), String> {
        assert!(parts.len() <= self.changed.len(), "a part without an actor");
        for actor in parts.len()..self.changed.len() {
            self.lock().actors[actor].over = true;
        }
        std::thread::scope(|scope| {
            for (me, part) in parts.into_iter().enumerate() {
                scope.spawn(move || {
                    self.lock().actors[me].thread = Some(std::thread::current().id());
                    drop(self.wait(self.lock(), me));
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(part)) {
                        self.stop(format!("actor {me} panicked: {}", message(&panic)));
                    }
                    let mut inner = self.lock();
                    inner.actors[me].over = true;
                    self.hand_over(&mut inner);
                });
            }
            self.hand_over(&mut self.lock());
        });
        self.lock().why.take().map_or(Ok(()), Err)
    }

    /// Lets others go on: returns when `pause` has passed and the turn came back.
    ///
    /// # Panics
    /// When an actor's code calls from another thread than its own: no seed could replay that.
    pub fn pass(&self, me: usize, pause: Duration) {
        let mut inner = self.lock();
        let own = inner.actors[me].thread == Some(std::thread::current().id());
        assert!(own, "actor {me} makes calls from threads beside its own");
        inner.turns += 1;
        inner.stopped |= inner.turns > inner.turns_max;
        let moment = inner.dice.below(400);
        inner.now = inner.now.plus(Duration::from_millis(moment));
        inner.actors[me].wakes = inner.now.plus(pause);
        let calm = inner.calm;
        if pause.is_zero() && inner.dice.chance(calm, 16) {
            return;
        }
        self.hand_over(&mut inner);
        drop(self.wait(inner, me));
    }

    /// Lets an actor stand still for so long from now on, wherever it is: as a process may. None
    /// wakes one that sleeps or stands still.
    ///
    /// # Panics
    /// When there is no such actor.
    pub fn hold(&self, actor: usize, pause: Duration) {
        let mut inner = self.lock();
        inner.actors[actor].wakes = inner.now.plus(pause);
    }

    /// Stops the play for this reason; the first one counts.
    pub fn stop(&self, why: impl Into<String>) {
        let mut inner = self.lock();
        inner.stopped = true;
        inner.why.get_or_insert_with(|| why.into());
    }

    /// Whether the play was stopped.
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.lock().now
    }

    /// How many turns were passed.
    pub fn turns(&self) -> u64 {
        self.lock().turns
    }

    /// Gives the turn to one who is awake, or to who wakes first.
    fn hand_over(&self, inner: &mut Inner) {
        let there = inner.actors.iter().enumerate().filter(|(_, actor)| !actor.over);
        let awake: Vec<usize> = there
            .clone()
            .filter(|(_, actor)| inner.stopped || actor.wakes <= inner.now)
            .map(|(actor, _)| actor)
            .collect();
        let first = there.min_by_key(|(_, actor)| actor.wakes).map(|(number, _)| number);
        let next = inner.dice.pick(&awake).copied().or(first);
        if let Some(next) = next {
            inner.now = inner.now.max(inner.actors[next].wakes);
            self.changed[next].notify_one();
        }
        inner.holder = next;
    }

    fn wait<'a>(&self, mut inner: MutexGuard<'a, Inner>, me: usize) -> MutexGuard<'a, Inner> {
        while inner.holder != Some(me) {
            inner = self.changed[me].wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word").to_owned()
}

/// An actor's clock: it may be wrong by a constant.
pub struct SimulatedClock {
    turns: Arc<Turns>,
    actor: usize,
    wrong_by: Duration,
}

impl SimulatedClock {
    /// Fast by `wrong_by`.
    pub fn new(turns: Arc<Turns>, actor: usize, wrong_by: Duration) -> Self {
        Self { turns, actor, wrong_by }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Time {
        self.turns.now().plus(self.wrong_by)
    }

    fn sleep(&self, duration: Duration) {
        self.turns.pass(self.actor, duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64) -> Vec<usize> {
        let turns = Turns::new(Dice::new(seed), Time::EPOCH, 3, 1000);
        let seen = Mutex::new(Vec::new());
        let part = |me: usize| -> Part<'_> {
            let (turns, seen) = (&turns, &seen);
            Box::new(move || {
                for pause in 0..20 {
                    seen.lock().unwrap().push(me);
                    turns.pass(me, Duration::from_secs(pause % 2));
                }
            })
        };
        turns.play((0..3).map(part).collect()).unwrap();
        seen.into_inner().unwrap()
    }

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(order(4), order(4));
        assert_ne!(order(4), order(5));
    }

    #[test]
    fn a_month_passes_when_all_sleep_and_a_stop_wakes_all() {
        let turns = Turns::new(Dice::new(1), Time::EPOCH, 2, 1000);
        let month = Duration::from_secs(30 * 24 * 3600);
        let sleeper: Part<'_> = Box::new(|| turns.pass(0, month));
        let stopper: Part<'_> = Box::new(|| {
            turns.pass(1, month * 2);
            turns.stop("seen enough");
        });
        assert_eq!(turns.play(vec![sleeper, stopper]), Err("seen enough".into()));
        assert!(turns.now() >= Time::EPOCH.plus(month * 2));
    }
}
