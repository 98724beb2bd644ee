//! `key`: who may do what, and key files for unattended hosts.
//!
//! Roles are DESIGN.md §6. Each command of it is a file below.

mod export;
mod list;
mod policy;

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Result;
use crate::output::Report;

/// Lists the keys of a vault, makes key files, and prints policies for buckets.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    List(list::Args),
    Export(export::Args),
    Policy(policy::Args),
}

impl Args {
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            KeyCommand::List(_) => "key list",
            KeyCommand::Export(_) => "key export",
            KeyCommand::Policy(_) => "key policy",
        }
    }
}

/// Runs a command on keys.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Box<dyn Report>> {
    match &args.command {
        KeyCommand::List(args) => Ok(Box::new(list::run(args, context)?)),
        KeyCommand::Export(args) => Ok(Box::new(export::run(args, context)?)),
        KeyCommand::Policy(args) => Ok(Box::new(policy::run(args, context)?)),
    }
}
