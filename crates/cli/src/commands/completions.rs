//! `completions`: a script that completes our commands and options in a shell.
//!
//! It is made from the definitions that the command line is parsed by, so it is never behind.

use std::io::{self, Write};

use clap::{CommandFactory, ValueEnum};

use crate::args::Cli;
use crate::exit::Result;
use crate::output::{Fields, Report, fields};

/// Prints a script that completes commands and options in a shell.
///
/// Where one user's scripts go: bash reads
/// ~/.local/share/bash-completion/completions/strongroom, fish
/// ~/.config/fish/completions/strongroom.fish, zsh _strongroom in a folder of its fpath.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The script.
pub(crate) struct Script(Vec<u8>);

/// Makes the script.
pub(crate) fn run(args: &Args) -> Result<Script> {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "strongroom", &mut script);
    Ok(Script(script))
}

impl Report for Script {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.0)
    }

    fn fields(&self) -> Fields {
        fields(serde_json::json!({ "script": String::from_utf8_lossy(&self.0) }))
    }

    fn is_answer(&self) -> bool {
        true
    }
}
