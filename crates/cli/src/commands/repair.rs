//! `repair`: puts back what can be had from elsewhere in the vault, and destroys nothing.
//!
//! Each thing that was wrong is one line: what it was, what was done, what is left. What is left
//! ends the run with exit code 4.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};
use strongroom::{
    Elsewhere, Reading, Repair, RepairMode, RepairOptions, RepairStep, StepOutcome, VaultError,
    repair_versions,
};

use super::verify::{damage_object, hurts, paths_most};
use crate::context::{Access, Context, parse_url};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Fields, Remark, Report, fields, short};
use crate::progress::Display;
use crate::sizes;

/// Puts back what can be had from elsewhere.
///
/// The config comes from its copy in the ledger, records from bundles and from what this host kept,
/// index runs from the packs themselves. Of a damaged snapshot all that can be read goes into a new
/// one, NAME-salvaged, tagged `incomplete`; the old one stays. Nothing is destroyed: a damaged
/// object is copied away before the right one takes its place. Needs the owner's key for most of
/// it. It can be run again at any time.
///
/// In a bucket that keeps versions, --versions brings back objects that somebody with the bucket's
/// credentials wrote over or deleted: for each name the version whose digest is the name, for
/// numbers the oldest that is on the chain. That needs no key: with --no-key it is all that is
/// done.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// First put back what somebody wrote over or hid, where the bucket keeps versions
    #[arg(long)]
    versions: bool,
    /// Do only what needs no key: --versions
    #[arg(long, requires = "versions")]
    no_key: bool,
    /// Read every byte to find damage, not only what is missing
    #[arg(long)]
    data: bool,
    /// Another copy of the vault, such as a replica, to fetch from what is missing or damaged here
    /// (several times)
    #[arg(long, value_name = "URL")]
    from: Vec<OsString>,
    /// Where to keep copies of damaged objects [default: quarantine, below the state folder]
    #[arg(long, value_name = "DIR")]
    quarantine: Option<PathBuf>,
}

/// Repairs.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Repaired> {
    let options = RepairOptions {
        reading: if args.data { Reading::All } else { Reading::Structure },
        mode: if args.dry_run { RepairMode::Plan } else { RepairMode::Make },
        quarantine: args.quarantine.clone(),
    };
    let mut others = Vec::new();
    for url in &args.from {
        let place = context.place_at(&parse_url(url)?);
        others.push(place.map_err(|error| {
            let hint = "check how --from is spelled and that its disk is mounted";
            error.with_hint(hint)
        })?);
    }
    let mut put_back = match args.versions {
        true => versions(context, options.mode)?,
        false => Vec::new(),
    };
    if args.no_key {
        let repair = Repair { steps: put_back, ..Repair::default() };
        let is_verbose = context.output.verbose;
        return Ok(Repaired { repair, is_plan: args.dry_run, is_verbose });
    }
    let (mut vault, first) = context.open_for_repair(&options, &others)?;
    let elsewhere = Elsewhere::new(others);
    let display = Display::start(context, "objects", None);
    let done = vault.repair(&options, &elsewhere, display.meter(), context.signals.stop());
    drop(display);
    let mut repair = done.map_err(|error: VaultError| match context.check_stopped() {
        Err(stopped) => stopped.when_stopped("what was repaired stays; run it again for the rest"),
        Ok(()) => Failure::from(error),
    })?;
    put_back.extend(first);
    repair.steps.splice(0..0, put_back);
    context.hear_alarms(&vault, Access::Read)?;
    Ok(Repaired { repair, is_plan: args.dry_run, is_verbose: context.output.verbose })
}

/// Puts back what was written over or hidden.
fn versions(context: &Context, mode: RepairMode) -> Result<Vec<RepairStep>> {
    let components = context.open_place_limited(None)?;
    let done = repair_versions(&components, mode, context.signals.stop());
    done.map_err(|error| match context.check_stopped() {
        Err(stopped) => stopped.when_stopped("what was put back stays; run it again for the rest"),
        Ok(()) => Failure::from(error),
    })
}

/// What was repaired.
pub(crate) struct Repaired {
    repair: Repair,
    is_plan: bool,
    is_verbose: bool,
}

impl Repaired {
    fn count(&self, outcome: StepOutcome) -> u64 {
        self.repair.steps.iter().filter(|step| step.outcome == outcome).count() as u64
    }
}

impl Report for Repaired {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for RepairStep { object, wrong, action, .. } in
            self.repair.steps.iter().filter(|step| step.outcome != StepOutcome::Left)
        {
            writeln!(out, "{object}: {wrong}: {action}")?;
        }
        let (done, planned) = (self.count(StepOutcome::Done), self.count(StepOutcome::Planned));
        let left = self.count(StepOutcome::Left);
        match (self.is_plan, done + planned + left) {
            (_, 0) => return writeln!(out, "nothing to repair"),
            (true, _) => write!(out, "would repair {}", sizes::plural(planned, "thing"))?,
            (false, _) => write!(out, "repaired {}", sizes::plural(done, "thing"))?,
        }
        match left {
            0 => writeln!(out),
            left => writeln!(out, "; {} left", sizes::count(left)),
        }
    }

    fn fields(&self) -> Fields {
        let step = |step: &RepairStep| -> Value {
            let outcome = match step.outcome {
                StepOutcome::Done => "done",
                StepOutcome::Planned => "planned",
                StepOutcome::Left => "left",
            };
            json!({
                "object": step.object, "wrong": step.wrong, "action": step.action,
                "outcome": outcome,
            })
        };
        let damage = self.repair.verification.damage.iter().map(damage_object);
        fields(json!({
            "dry_run": self.is_plan,
            "steps": self.repair.steps.iter().map(step).collect::<Vec<_>>(),
            "hurt_snapshots": self.repair.hurt.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "lost": self.repair.verification.reported.lost,
            "found": self.repair.verification.reported.found,
            "damage": damage.collect::<Vec<_>>(),
        }))
    }

    fn exit(&self) -> Exit {
        match self.count(StepOutcome::Left) == 0 && self.repair.hurt.is_empty() {
            true => Exit::Done,
            false => Exit::Tampered,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let left = self.repair.steps.iter().filter(|step| step.outcome == StepOutcome::Left);
        let mut remarks = Vec::new();
        for step in left {
            let said = match step.wrong.contains(&step.object) {
                true => step.wrong.clone(),
                false => format!("{}: {}", step.object, step.wrong),
            };
            remarks.push(Remark::new(said));
            let damage = &self.repair.verification.damage;
            if let Some(damage) = damage.iter().find(|damage| damage.object == step.object) {
                remarks.extend(hurts(damage, paths_most(self.is_verbose)));
            }
            let last = remarks.pop().map(|last| last.hint(&step.action));
            remarks.extend(last);
        }
        if !self.repair.hurt.is_empty() {
            let ids: Vec<String> = self.repair.hurt.iter().map(short).collect();
            let text = format!("not whole: snapshots {}", ids.join(", "));
            remarks.push(Remark::new(text).hint(
                "they stay as they are; `strongroom snapshots` shows what was salvaged of them",
            ));
        }
        remarks
    }
}
