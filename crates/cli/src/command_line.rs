//! One command line, of what was typed and what the files of settings add to it.
//!
//! What the files say is turned into arguments and parsed with what was typed: so there is one list
//! of names, types and conflicts, that of clap. Nothing typed is ever changed; what stands nearer
//! to the user hides what lies further off, see `config`. DESIGN.md §15.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, Parser};

use crate::args::Cli;
use crate::config::{Config, Typed};
use crate::environment::Environment;
use crate::exit::Failure;

/// Why there is nothing to run.
pub(crate) enum Refusal {
    /// Help or the version was asked for: this is it.
    Help(String),
    /// The command line or a file of settings is wrong.
    Failure(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Parses what was typed, with what the files of settings add.
pub(crate) fn parse(
    arguments: &[OsString],
    environment: &Environment,
) -> Result<(Cli, Config), Refusal> {
    let alone = Cli::try_parse_from(arguments);
    match &alone {
        // What is missing may stand in a file.
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {}
        Err(error) => return Err(refusal(error, arguments)),
        Ok(_) => {}
    }
    let matches = as_far_as_known(arguments);
    let (path, leaf) = innermost(&matches);
    if WITHOUT_SETTINGS.contains(&path.first().map_or("", String::as_str)) {
        let cli = alone.map_err(|error| refusal(&error, arguments))?;
        return Ok((cli, Config::default()));
    }
    let mut program = Cli::command();
    program.build();
    let command = below(&program, &path);
    let typed = typed(command, leaf);
    let config = Config::load(&program, typed, environment)?;
    let added = config.arguments(command, &path)?;
    if added.is_empty() {
        return Ok((alone.map_err(|error| refusal(&error, arguments))?, config));
    }
    let (before, after) = arguments.split_at(end_of_command(arguments, path.len()));
    let has_end_of_options = after.iter().any(|argument| argument == "--");
    let mut all = [before, &added.options, after].concat();
    if !added.positional.is_empty() && !has_end_of_options {
        all.push("--".into());
    }
    all.extend(added.positional);
    let cli = Cli::try_parse_from(&all).map_err(|error| {
        let failure = Failure::usage_of_clap(&error, &typed_command(arguments));
        let hint = format!("{}; `strongroom config show` shows what files add", failure.hint);
        failure.with_hint(hint)
    })?;
    Ok((cli, config))
}

/// The commands that say how the program is used, which a wrong file must not prevent.
const WITHOUT_SETTINGS: [&str; 2] = ["completions", "man"];

fn refusal(error: &clap::Error, arguments: &[OsString]) -> Refusal {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Refusal::Help(error.render().to_string())
        }
        _ => Refusal::Failure(Failure::usage_of_clap(error, &typed_command(arguments))),
    }
}

/// What was typed, whatever is missing.
fn as_far_as_known(arguments: &[OsString]) -> ArgMatches {
    Cli::command().ignore_errors(true).get_matches_from(arguments)
}

/// The command that was typed, by the names from the program's down, and what was given to it.
fn innermost(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let (mut path, mut leaf) = (Vec::new(), matches);
    while let Some((name, below)) = leaf.subcommand() {
        path.push(name.to_owned());
        leaf = below;
    }
    (path, leaf)
}

fn below<'c>(program: &'c Command, path: &[String]) -> &'c Command {
    path.iter().fold(program, |command, name| command.find_subcommand(name).unwrap_or(command))
}

fn typed(command: &Command, leaf: &ArgMatches) -> Typed {
    let is_typed = |id: &str| leaf.value_source(id) == Some(ValueSource::CommandLine);
    let ids = command.get_arguments().map(|argument| argument.get_id().to_string());
    // What clap adds to each command by itself is nothing that a file could set.
    let ids = ids.filter(|id| !matches!(&**id, "help" | "version"));
    Typed {
        ids: ids.filter(|id| is_typed(id)).collect(),
        config: leaf.try_get_one("config").ok().flatten().cloned(),
        profile: leaf.try_get_one("profile").ok().flatten().cloned(),
    }
}

/// How many arguments it takes until the whole command has been named: what belongs to it follows.
fn end_of_command(arguments: &[OsString], depth: usize) -> usize {
    let names_it = |count: &usize| {
        let matches = as_far_as_known(&arguments[..*count]);
        innermost(&matches).0.len() == depth
    };
    (1..arguments.len()).find(names_it).unwrap_or(arguments.len())
}

/// The command that was meant, as far as its words are known.
fn typed_command(arguments: &[OsString]) -> String {
    let program = Cli::command();
    let mut typed = vec![program.get_name()];
    let mut command = &program;
    for argument in arguments.iter().skip(1) {
        if let Some(below) = command.find_subcommand(argument) {
            typed.push(below.get_name());
            command = below;
        }
    }
    typed.join(" ")
}
