//! Every command, over a place that dies at one operation, for each of its operations in turn.
//!
//! Before an operation: the request is lost. After a change: it happened, the answer is lost (after
//! what only reads, the place is as before it). From then on nothing answers, as for a process that
//! was killed. What is left reads and verifies on a new machine, and the same host, with the home
//! that the crash left it, brings the command to its end. A new command is one value in
//! `commands.rs` and one line here.

use std::sync::Arc;

use places::{Fault, Faulty, MemoryPlace, Operation, Verb};

use crate::base::{Base, HOST, Stage};
use crate::commands::{self, Command, Dies, Finds};

/// No command here takes more operations.
const STEPS_MAX: u64 = 500;

/// Where a command is stopped.
#[derive(Clone, Copy, Debug)]
enum Moment {
    BeforeOperation,
    AfterChange,
}

/// A place that dies at the `step`-th such moment.
fn dying(base: &Base, place: &MemoryPlace, moment: Moment, step: u64) -> Faulty<MemoryPlace> {
    let mut moments = 0;
    let script = move |operation: &Operation<'_>| {
        let (counts, fault) = match moment {
            Moment::BeforeOperation => (true, Fault::CrashBefore),
            Moment::AfterChange => {
                (matches!(operation.verb, Verb::Put | Verb::Delete), Fault::CrashAfter)
            }
        };
        moments += u64::from(counts);
        if counts && moments == step + 1 { fault } else { Fault::None }
    };
    Faulty::scripted(place.clone(), base.clock.clone(), script)
}

fn stop_at_every_step(command: &Command) {
    let mut base = Base::new();
    (command.ready)(&mut base);
    let (start, target) = (base.place.snapshot(), base.target.snapshot());
    for moment in [Moment::BeforeOperation, Moment::AfterChange] {
        let reached = (0..STEPS_MAX).find(|step| {
            base.place.restore(&start);
            base.target.restore(&target);
            let stopped = stop_and_go_on(&base, command, moment, *step);
            !stopped
        });
        let reached = reached.expect("a command ends");
        // Some commands only read the place that dies.
        let least = if matches!(moment, Moment::BeforeOperation) { 3 } else { 0 };
        assert!(reached >= least, "{}: {moment:?}: stopped at {reached} steps", command.name);
    }
}

/// Whether the command was stopped.
fn stop_and_go_on(base: &Base, command: &Command, moment: Moment, step: u64) -> bool {
    let what = format!("{}, {moment:?} {step}", command.name);
    let home = format!("{moment:?}-{step}");
    base.copy_home(HOST, &home);
    let mortal = match command.dies {
        Dies::Vault => &base.place,
        Dies::Target => &base.target,
    };
    let mortal = Arc::new(dying(base, mortal, moment, step));
    let mut stage = Stage {
        base,
        place: Arc::new(base.place.clone()),
        target: Arc::new(base.target.clone()),
        home: home.clone(),
    };
    let whole = (stage.place.clone(), stage.target.clone());
    match command.dies {
        Dies::Vault => stage.place = mortal.clone(),
        Dies::Target => stage.target = mortal.clone(),
    }

    let ended = (command.run)(&stage);

    (stage.place, stage.target) = whole;
    let stopped = mortal.has_crashed();
    if let Err(error) = &ended {
        assert!(stopped, "{what}: {error}");
        assert!(!error.to_string().is_empty(), "{what}");
    }
    check(base, command.finds, &what);
    if ended.is_err() {
        (command.run)(&stage).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    }
    (command.done)(&stage);
    check(base, if command.finds == Finds::Mendable { Finds::Whole } else { command.finds }, &what);
    base.remove_home(&home);
    stopped
}

fn check(base: &Base, finds: Finds, what: &str) {
    match finds {
        Finds::Whole => base.check(what),
        Finds::Hurt => drop(base.check_readable(what)),
        Finds::Nothing | Finds::Mendable => {}
    }
}

macro_rules! each_command {
    ($($test:ident: $command:ident),+ $(,)?) => {$(
        #[test]
        fn $test() {
            stop_at_every_step(&commands::$command);
        }
    )+};
}

each_command! {
    an_init_stopped_at_any_step_is_finished_by_the_next: INIT,
    a_backup_stopped_at_any_step_loses_nothing_and_the_next_goes_on: BACKUP,
    a_forget_stopped_at_any_step_is_finished_by_the_next: FORGET,
    an_undo_stopped_at_any_step_is_finished_by_the_next: UNDO,
    a_hold_stopped_at_any_step_is_finished_by_the_next: HOLD,
    a_release_stopped_at_any_step_is_finished_by_the_next: RELEASE,
    a_tag_stopped_at_any_step_is_finished_by_the_next: TAG,
    a_collection_stopped_at_any_step_loses_nothing_and_the_next_finishes_it: COLLECT,
    a_compaction_stopped_at_any_step_loses_nothing_and_the_next_finishes_it: COMPACT,
    a_verification_stopped_at_any_step_reports_the_lost_pack_when_run_again: VERIFY,
    a_verification_of_what_is_due_stopped_at_any_step_goes_on: COVERAGE,
    a_repair_stopped_at_any_step_is_finished_by_the_next: REPAIR,
    a_restore_stopped_at_any_step_is_finished_by_the_next: RESTORE,
    a_replication_whose_source_dies_at_any_step_is_finished_by_the_next: REPLICATE_FROM,
    a_replication_whose_target_dies_at_any_step_is_finished_by_the_next: REPLICATE_TO,
    a_copy_whose_source_dies_at_any_step_is_finished_by_the_next: COPY_FROM,
    a_copy_whose_target_dies_at_any_step_is_finished_by_the_next: COPY_TO,
    a_key_export_stopped_at_any_step_is_finished_by_the_next: KEY_EXPORT,
    a_mend_stopped_at_any_step_is_finished_by_the_next: MEND,
    a_checkpoint_stopped_at_any_step_harms_nothing: CHECKPOINT,
}
