//! The commands, one file each.
//!
//! Each has its `Args` (what it takes), its `run` (what it does) and a report that prints itself as
//! text or JSON. DESIGN.md §15.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod cat;
pub(crate) mod collect;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod diff;
pub(crate) mod find;
pub(crate) mod forget;
pub(crate) mod hold;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod kit;
pub(crate) mod ledger;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod mount;
pub(crate) mod protect;
pub(crate) mod recover;
pub(crate) mod release;
pub(crate) mod repair;
pub(crate) mod replicate;
pub(crate) mod restore;
pub(crate) mod snapshots;
pub(crate) mod stats;
pub(crate) mod tag;
pub(crate) mod verify;

use crate::args::Command;
use crate::context::Context;
use crate::exit::Result;
use crate::output::Report;

/// Runs a command.
pub(crate) fn run(command: Command, context: &Context) -> Result<Box<dyn Report>> {
    match command {
        Command::Init(args) => Ok(Box::new(init::run(&args, context)?)),
        Command::Backup(args) => Ok(Box::new(backup::run(&args, context)?)),
        Command::Snapshots(args) => Ok(Box::new(snapshots::run(&args, context)?)),
        Command::Ls(args) => Ok(Box::new(ls::run(&args, context)?)),
        Command::Find(args) => Ok(Box::new(find::run(&args, context)?)),
        Command::Cat(args) => Ok(Box::new(cat::run(&args, context)?)),
        Command::Diff(args) => Ok(Box::new(diff::run(&args, context)?)),
        Command::Mount(args) => Ok(Box::new(mount::run(&args, context)?)),
        Command::Restore(args) => restore::run(&args, context),
        Command::Forget(args) => forget::run(&args, context),
        Command::Hold(args) => Ok(Box::new(hold::run(&args, context)?)),
        Command::Release(args) => Ok(Box::new(release::run(&args, context)?)),
        Command::Tag(args) => Ok(Box::new(tag::run(&args, context)?)),
        Command::Copy(args) => Ok(Box::new(copy::run(&args, context)?)),
        Command::Collect(args) => Ok(Box::new(collect::run(&args, context)?)),
        Command::Stats(args) => Ok(Box::new(stats::run(&args, context)?)),
        Command::Protect(args) => Ok(Box::new(protect::run(&args, context)?)),
        Command::Verify(args) => Ok(Box::new(verify::run(&args, context)?)),
        Command::Repair(args) => Ok(Box::new(repair::run(&args, context)?)),
        Command::Replicate(args) => Ok(Box::new(replicate::run(&args, context)?)),
        Command::Recover(args) => Ok(Box::new(recover::run(&args, context)?)),
        Command::Key(args) => key::run(&args, context),
        Command::Kit(args) => kit::run(&args, context),
        Command::Ledger(args) => ledger::run(&args, context),
        Command::Config(args) => config::run(&args, context),
        Command::Bench(args) => Ok(Box::new(bench::run(&args, context)?)),
        Command::Completions(args) => Ok(Box::new(completions::run(&args)?)),
        Command::Man(args) => man::run(&args),
    }
}
