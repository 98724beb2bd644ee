//! `ledger`: the log of all that was done, and whether it holds together.
//!
//! Each command of it is a file below. DESIGN.md §9.

mod head;
mod log;
mod mend;
mod verify;

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Result;
use crate::output::Report;

/// Looks at the log of all that was done in the vault.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    Log(log::Args),
    Verify(verify::Args),
    Head(head::Args),
    Mend(mend::Args),
}

impl Args {
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            LedgerCommand::Log(_) => "ledger log",
            LedgerCommand::Verify(_) => "ledger verify",
            LedgerCommand::Head(_) => "ledger head",
            LedgerCommand::Mend(_) => "ledger mend",
        }
    }
}

/// Runs a command on the ledger.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Box<dyn Report>> {
    match &args.command {
        LedgerCommand::Log(args) => Ok(Box::new(log::run(args, context)?)),
        LedgerCommand::Verify(args) => Ok(Box::new(verify::run(args, context)?)),
        LedgerCommand::Head(args) => Ok(Box::new(head::run(args, context)?)),
        LedgerCommand::Mend(args) => Ok(Box::new(mend::run(args, context)?)),
    }
}
