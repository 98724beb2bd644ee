//! `config`: the settings that files give.
//!
//! Each command of it is a file below.

mod show;

use clap::Subcommand;

use crate::context::Context;
use crate::exit::Result;
use crate::output::Report;

/// Shows the settings that are in force.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Show(show::Args),
}

impl Args {
    pub(crate) fn name(&self) -> &'static str {
        match self.command {
            ConfigCommand::Show(_) => "config show",
        }
    }
}

/// Runs a command on settings.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Box<dyn Report>> {
    match &args.command {
        ConfigCommand::Show(args) => Ok(Box::new(show::run(args, context)?)),
    }
}
