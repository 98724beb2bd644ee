//! The program: arguments in, exit code out.
//!
//! `args` is what was typed, `context` what that means on this machine, `commands` has one file
//! per command, and `exit` says how it ended. The work itself is `strongroom`'s. DESIGN.md §15.

mod args;
mod command_line;
mod commands;
mod config;
mod context;
mod entry;
mod environment;
mod exit;
mod filter;
mod hooks;
mod keys;
mod locks;
mod output;
mod prices;
mod progress;
mod quantities;
mod requests;
mod run;
mod selector;
mod signals;
mod sizes;
mod sources;
mod suggestion;
mod table;
mod targets;
mod time;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::run()
}
