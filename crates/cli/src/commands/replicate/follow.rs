//! Replication that goes on until a signal: a thread for each target, a turn every now and then.
//!
//! A place that does not answer is tried again at the next turn, and said once until it answers;
//! what a person must settle ends the target, and the run when no target is left. What a pass did
//! is printed as it ends, when it did something.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use strongroom::ReplicaOptions;

use super::report::{Replica, named};
use super::{KEPT, Keeper};
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::progress::Display;
use crate::targets::Targets;

/// Keeps targets until it is stopped.
pub(super) struct Follower<'a> {
    targets: &'a Targets,
    options: ReplicaOptions,
    every: Duration,
    display: &'a Display,
    context: &'a Context,
    /// How many targets are in a pass.
    at_work: AtomicUsize,
    /// Held while a line is printed.
    printing: Mutex<()>,
}

/// What was said of a target.
#[derive(Default)]
struct Said {
    /// What went wrong last, while it does.
    failure: Option<String>,
    /// How many objects are missing, once a pass was printed.
    missing: Option<usize>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        targets: &'a Targets,
        options: ReplicaOptions,
        every: Duration,
        display: &'a Display,
        context: &'a Context,
    ) -> Self {
        display.meter().hide();
        let (at_work, printing) = Default::default();
        Self { targets, options, every, display, context, at_work, printing }
    }

    /// Keeps all targets until a signal, or until none can be kept; says why it ended.
    pub(super) fn follow(&self) -> Failure {
        let failures: Vec<_> = std::thread::scope(|scope| {
            let keep = |number| scope.spawn(move || self.keep(number));
            let threads: Vec<_> = (0..self.targets.count()).map(keep).collect();
            let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            ended
                .map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        if let Err(stopped) = self.context.check_stopped() {
            return stopped.when_stopped(KEPT);
        }
        // The gravest speaks for the run; each was said when it happened.
        let graver = |one: Failure, other: Failure| match one.exit.and(other.exit) == one.exit {
            true => one,
            false => other,
        };
        failures.into_iter().reduce(graver).unwrap_or_else(Failure::cancelled)
    }

    /// Keeps one target; says why it cannot be kept any more.
    fn keep(&self, number: usize) -> Failure {
        let (mut keeper, mut said) = (None, Said::default());
        loop {
            match self.turn(number, &mut keeper, &mut said) {
                Ok(()) => said.failure = None,
                Err(failure) if self.context.signal().is_some() => return failure,
                Err(failure) => {
                    let is_final =
                        matches!(failure.exit, Exit::Conflict | Exit::Tampered | Exit::Usage);
                    if said.failure.as_ref() != Some(&failure.message) {
                        self.warn(number, &failure);
                        said.failure = Some(failure.message.clone());
                    }
                    if is_final {
                        return failure;
                    }
                }
            }
            if let Err(stopped) = self.rest() {
                return stopped;
            }
        }
    }

    fn turn(&self, number: usize, keeper: &mut Option<Keeper>, said: &mut Said) -> Result<()> {
        let keeper = match keeper {
            Some(keeper) => keeper,
            None => {
                let opened = Keeper::open(self.targets, number, self.options, self.context)?;
                keeper.insert(opened)
            }
        };
        let begun = Instant::now();
        let pass = self.shown(|| keeper.pass(self.display.meter(), self.context))?;
        let is_idle = pass.records == 0 && pass.objects == 0 && pass.deleted == 0;
        if is_idle && said.missing == Some(pass.missing.len()) {
            return Ok(());
        }
        said.missing = Some(pass.missing.len());
        let done = Ok((pass, keeper.asked()));
        let replica = Replica { target: self.targets.name(number), done, elapsed: begun.elapsed() };
        self.context.note_exit(replica.exit());
        self.print(&replica)
    }

    /// Does something while its progress is shown: between passes there is none.
    fn shown<T>(&self, work: impl FnOnce() -> T) -> T {
        let meter = self.display.meter();
        self.at_work.fetch_add(1, Ordering::SeqCst);
        meter.show();
        let done = work();
        if self.at_work.fetch_sub(1, Ordering::SeqCst) == 1 {
            meter.hide();
        }
        done
    }

    fn print(&self, replica: &Replica) -> Result<()> {
        let output = self.context.output;
        let _printing = self.printing.lock().unwrap_or_else(PoisonError::into_inner);
        self.display.make_room();
        let mut out = std::io::stdout().lock();
        let written = match output.json {
            true => output.json_line(&mut out, "replicate", replica.fields()),
            false if output.quiet => Ok(()),
            false => replica.write_text(&mut out),
        };
        written.and_then(|()| out.flush()).map_err(Failure::output)?;
        if !output.json {
            for remark in replica.remarks(output.problems_most()) {
                match &remark.hint {
                    Some(hint) => output.warning_with_hint(&remark.message, hint),
                    None => output.warning(&remark.message),
                }
            }
        }
        Ok(())
    }

    fn warn(&self, number: usize, failure: &Failure) {
        let _printing = self.printing.lock().unwrap_or_else(PoisonError::into_inner);
        self.display.make_room();
        let message = named(&self.targets.name(number), failure);
        self.context.output.warning_with_hint(&message, &failure.hint);
    }

    /// Waits for the next turn; an error when a signal came.
    fn rest(&self) -> Result<()> {
        let until = Instant::now() + self.every;
        loop {
            self.context.check_stopped()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK_EVERY));
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(50);
