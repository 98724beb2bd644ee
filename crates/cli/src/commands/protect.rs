//! `protect`: extends the locks of what the vault still needs.
//!
//! `collect` and `replicate` do the same at their ends; this command is for vaults that are seldom
//! collected, and for looking. DESIGN.md §12.

use std::io::{self, Write};

use serde_json::json;
use strongroom::{LockReport, ProtectMode};

use crate::context::{Access, Context};
use crate::exit::{Exit, Failure, Result};
use crate::locks;
use crate::output::{Fields, Remark, Report, fields};

/// Extends the locks of what the vault still needs.
///
/// Give the bucket's --lock-mode and --lock-days, as for backups. Locks of which less than half of
/// the days is left are extended to all of them; what a record dropped is left to run out. Run it,
/// or `collect` with these options, at least each quarter of the days: then no lock ends while its
/// object is needed. Objects that somebody wrote over or hid are named, and end the run with exit
/// code 4.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ask about every lock, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Extends them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Extended> {
    let Some(lock) = context.common.lock()? else {
        return Err(Failure::usage(
            "nothing says how long objects are locked",
            "give --lock-mode governance (or compliance) and --lock-days, such as --lock-days 30",
        ));
    };
    let mode = if args.dry_run { ProtectMode::Look } else { ProtectMode::Extend };
    let mut vault = context.open(Access::Read)?;
    let report = vault.extend_locks(lock, mode, context.signals.stop())?;
    if !report.is_whole {
        context.check_stopped().map_err(|stopped| {
            stopped.when_stopped("what was extended stays so; run it again for the rest")
        })?;
    }
    Ok(Extended { report, is_rehearsal: args.dry_run })
}

/// What was extended.
pub(crate) struct Extended {
    report: LockReport,
    is_rehearsal: bool,
}

impl Report for Extended {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.is_rehearsal {
            writeln!(out, "nothing was changed:")?;
        }
        locks::write_text(&self.report, out)
    }

    fn fields(&self) -> Fields {
        fields(json!({ "dry_run": self.is_rehearsal, "locks": locks::value(&self.report) }))
    }

    fn exit(&self) -> Exit {
        locks::exit(&self.report)
    }

    fn remarks(&self) -> Vec<Remark> {
        locks::remarks(&self.report)
    }
}
