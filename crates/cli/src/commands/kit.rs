//! `kit`: the recovery kit, a page of paper that opens the vault when every machine is lost.
//!
//! Each command of it is a file below. FORMAT.md §5.11.

mod check;
mod create;

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Result;
use crate::output::Report;

/// Prints the recovery kit, and checks one.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: KitCommand,
}

#[derive(Debug, Subcommand)]
enum KitCommand {
    Create(create::Args),
    Check(check::Args),
}

impl Args {
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            KitCommand::Create(_) => "kit create",
            KitCommand::Check(_) => "kit check",
        }
    }
}

/// Runs a command on kits.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Box<dyn Report>> {
    match &args.command {
        KitCommand::Create(args) => Ok(Box::new(create::run(args, context)?)),
        KitCommand::Check(args) => Ok(Box::new(check::run(args, context)?)),
    }
}
