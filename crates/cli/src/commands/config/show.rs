//! `config show`: which settings are in force, and where each comes from.
//!
//! Of the common options all are listed; of a command's own, those that a file sets. What may hold
//! a secret is not shown: a passphrase, the command that prints it, credentials in a URL.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, CommandFactory};
use serde_json::{Value, json};

use crate::args::{Cli, Common};
use crate::config::{IsRead, Setting, SettingValue};
use crate::context::Context;
use crate::exit::Result;
use crate::hooks::without_credentials;
use crate::output::{Fields, Report, fields, show_path};
use crate::table::{Align, Table};

/// Shows which settings are in force, and where each comes from.
///
/// Settings stand in files of TOML: common options at the top, a command's in a table of its name,
/// the same once more below [profile.NAME]. An option counts from the nearest of: the command line,
/// the environment, the profile, the command's table, the file's top; the user's file before the
/// system's. A list is not added to one that is further off, but stands instead of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// What is in force.
pub(crate) struct Shown {
    files: Vec<(String, IsRead)>,
    profile: Option<String>,
    rows: Vec<Row>,
}

struct Row {
    command: String,
    option: String,
    value: Value,
    from: From,
}

/// Where a setting comes from.
enum From {
    Typed,
    Environment(&'static str),
    File { file: String, line: usize },
    Default,
}

/// Shows the settings.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Shown> {
    let mut program = Cli::command();
    program.build();
    let config = &context.config;
    let mut rows = common_rows(&program, context)?;
    for path in config.commands() {
        let known = path.iter().try_fold(&program, |command, name| command.find_subcommand(name));
        let Some(command) = known else { continue };
        let in_force = config.in_force(command, path)?;
        let own = in_force.into_iter().filter(|setting| setting.command == path);
        rows.extend(own.map(|setting| Row {
            command: path.join(" "),
            option: setting.key.clone(),
            value: value_of(setting),
            from: from_file(setting),
        }));
    }
    let files = config.files.iter().map(|(path, is_read)| (show(path), *is_read)).collect();
    Ok(Shown { files, profile: config.profile.clone(), rows })
}

/// The common options, set or not.
fn common_rows(program: &Command, context: &Context) -> Result<Vec<Row>> {
    let path = ["config".to_owned(), "show".to_owned()];
    let show = path.iter().fold(program, |c, name| c.find_subcommand(name).unwrap_or(c));
    let in_force = context.config.in_force(show, &path)?;
    let mut rows = Vec::new();
    for argument in program.get_arguments() {
        let (id, Some(option)) = (argument.get_id().as_str(), argument.get_long()) else {
            continue;
        };
        if matches!(id, "help" | "version" | "config" | "profile") {
            continue;
        }
        let variables = &context.environment.options;
        let variable = variables.iter().find(|(_, of)| *of == id).map(|(name, _)| *name);
        let set = in_force.iter().find(|setting| setting.id == id);
        let (value, from) = match (context.config.is_typed(id), variable, set) {
            (true, ..) => (typed(&context.common, id), From::Typed),
            (_, Some(name), _) => (named(context, name), From::Environment(name)),
            (.., Some(setting)) => (value_of(setting), from_file(setting)),
            _ => (default(context, argument), From::Default),
        };
        let (command, option) = (String::new(), option.to_owned());
        rows.push(Row { command, option, value, from });
    }
    Ok(rows)
}

const HIDDEN: &str = "(not shown)";

fn value_of(setting: &Setting) -> Value {
    match &setting.value {
        _ if setting.id == "passphrase_command" => HIDDEN.into(),
        SettingValue::Given(given) => (*given).into(),
        SettingValue::One(text) => without_credentials(text).into(),
        SettingValue::Many(texts) => json!(texts),
    }
}

fn from_file(setting: &Setting) -> From {
    From::File { file: show(&setting.at.file), line: setting.at.line }
}

/// What was typed of a common option.
fn typed(common: &Common, id: &str) -> Value {
    let file = |path: &Option<std::path::PathBuf>| path.as_deref().map(show).into();
    match id {
        "vault" => common.vault.as_deref().map(url).into(),
        "key" => file(&common.key),
        "kit" => file(&common.kit),
        "passphrase_file" => file(&common.passphrase_file),
        "cache_dir" => file(&common.cache_dir),
        "state_dir" => file(&common.state_dir),
        "progress" => {
            let progress = clap::ValueEnum::to_possible_value(&common.progress);
            progress.map(|value| value.get_name().to_owned()).into()
        }
        "passphrase_command" => HIDDEN.into(),
        // Those without a value.
        _ => true.into(),
    }
}

fn named(context: &Context, variable: &str) -> Value {
    let environment = &context.environment;
    match variable {
        "STRONGROOM_VAULT" => environment.vault.as_deref().map(url).into(),
        "STRONGROOM_KEY" => environment.keys.key.as_deref().map(show).into(),
        "STRONGROOM_PASSPHRASE_FILE" => {
            environment.keys.passphrase_file.as_deref().map(show).into()
        }
        _ => HIDDEN.into(),
    }
}

fn default(context: &Context, argument: &clap::Arg) -> Value {
    let environment = &context.environment;
    match (argument.get_id().as_str(), argument.get_default_values()) {
        ("cache_dir", _) => environment.cache.as_deref().map(show).into(),
        ("state_dir", _) => environment.state.as_deref().map(show).into(),
        (_, []) => match argument.get_action().takes_values() {
            true => Value::Null,
            false => false.into(),
        },
        (_, [first, ..]) if first == "false" => false.into(),
        (_, [first, ..]) => first.to_string_lossy().into(),
    }
}

fn url(text: &OsStr) -> String {
    without_credentials(&OsString::from(text).to_string_lossy())
}

fn show(path: &Path) -> String {
    show_path(path.as_os_str().as_encoded_bytes())
}

impl Report for Shown {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (path, is_read) in &self.files {
            let state = match is_read {
                IsRead::Yes => "",
                IsRead::NotThere => " (not there)",
                IsRead::Unreadable => " (may not be read)",
            };
            writeln!(out, "file {path}{state}")?;
        }
        if let Some(profile) = &self.profile {
            writeln!(out, "profile {profile}")?;
        }
        writeln!(out)?;
        let columns = [("COMMAND", Align::Left), ("OPTION", Align::Left), ("VALUE", Align::Left)];
        let mut table = Table::new(&[&columns[..], &[("FROM", Align::Left)]].concat());
        for Row { command, option, value, from } in &self.rows {
            let command = if command.is_empty() { "(all)" } else { command };
            let value = match value {
                Value::Null => "(none)".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            table.row([command.to_owned(), option.clone(), value, from.to_string()]);
        }
        table.write(out)
    }

    fn fields(&self) -> Fields {
        let file = |(path, is_read): &(String, IsRead)| {
            let is_read = *is_read == IsRead::Yes;
            json!({ "path": path, "read": is_read })
        };
        let files: Vec<_> = self.files.iter().map(file).collect();
        let settings: Vec<_> = self.rows.iter().map(Row::object).collect();
        fields(json!({ "files": files, "profile": self.profile, "settings": settings }))
    }

    fn is_answer(&self) -> bool {
        true
    }
}

impl Row {
    fn object(&self) -> Value {
        let (kind, file, line) = match &self.from {
            From::Typed => ("flag", None, None),
            From::Environment(_) => ("environment", None, None),
            From::File { file, line } => ("file", Some(file), Some(line)),
            From::Default => ("default", None, None),
        };
        let variable = match &self.from {
            From::Environment(name) => Some(name),
            _ => None,
        };
        let command = Some(&self.command).filter(|command| !command.is_empty());
        json!({
            "command": command, "option": self.option, "value": self.value, "from": kind,
            "file": file, "line": line, "variable": variable,
        })
    }
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Typed => write!(f, "the command line"),
            Self::Environment(name) => write!(f, "{name}"),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Default => write!(f, "default"),
        }
    }
}
