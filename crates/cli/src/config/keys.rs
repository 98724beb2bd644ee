//! What a file of settings says, checked key by key against clap's definitions.
//!
//! A key is an option's name, or the name of what is given without one, such as `paths`. Values are
//! parsed by the option's own parser, so that a wrong one is told with its file and line, whichever
//! command runs. Passphrases have no option, so there is no key for one.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Position, Setting, SettingValue};
use crate::exit::{Failure, Result};
use crate::suggestion::nearest_text;

/// A file that is being read.
pub(super) struct Reading<'t> {
    path: Arc<Path>,
    text: &'t str,
    home: Option<&'t Path>,
    pub(super) settings: Vec<Setting>,
    pub(super) profiles: BTreeSet<String>,
    /// The first setting that makes us run a command.
    pub(super) runs: Option<Setting>,
}

/// Where in a file a key stands: below which profile, and which command.
#[derive(Clone, Default)]
struct Table {
    profile: Option<String>,
    command: Vec<String>,
}

impl<'t> Reading<'t> {
    /// A file with this text.
    pub(super) fn new(path: &Path, text: &'t str, home: Option<&'t Path>) -> Self {
        let (settings, profiles) = (Vec::new(), BTreeSet::new());
        Self { path: path.into(), text, home, settings, profiles, runs: None }
    }

    /// Reads and checks all of it.
    pub(super) fn check(&mut self, program: &Command) -> Result<()> {
        let document = DeTable::parse(self.text).map_err(|error| {
            let at = self.at(&error.span().unwrap_or(0..0));
            let message = format!("{at}: {}", error.message().replace('\n', " "));
            Failure::usage(message, "a file of settings is TOML, such as: vault = \"/srv/vault\"")
        })?;
        self.table(document.get_ref(), program, program, &Table::default())
    }

    fn table(
        &mut self,
        entries: &DeTable<'_>,
        program: &Command,
        command: &Command,
        table: &Table,
    ) -> Result<()> {
        for (key, value) in entries {
            let name = key.get_ref().as_ref();
            let is_table = matches!(value.get_ref(), DeValue::Table(_));
            let is_top = table.command.is_empty() && table.profile.is_none();
            if is_top && name == "profile" {
                self.profile_tables(value, program)?;
                continue;
            }
            match (argument(command, name), subcommand(command, name)) {
                // `key` and others are both: a table is the command's.
                (_, Some(below)) if is_table => self.command_table(value, program, below, table)?,
                (Some(argument), _) => self.setting(argument, name, value, table)?,
                (None, Some(_)) if !NOT_IN_FILES.contains(&name) => {
                    let at = self.at(&key.span());
                    let message = format!("{at}: {name} is a command, and needs a table");
                    let heading = table.below(name);
                    return Err(Failure::usage(
                        message,
                        format!("write [{heading}] above its keys"),
                    ));
                }
                _ => return Err(self.unknown(name, &key.span(), program, command, table)),
            }
        }
        Ok(())
    }

    fn command_table(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        program: &Command,
        command: &Command,
        above: &Table,
    ) -> Result<()> {
        let DeValue::Table(entries) = value.get_ref() else { return Ok(()) };
        let mut table = above.clone();
        table.command.push(command.get_name().to_owned());
        self.table(entries, program, command, &table)
    }

    fn profile_tables(&mut self, value: &Spanned<DeValue<'_>>, program: &Command) -> Result<()> {
        let no_table = |at: Position| {
            Failure::usage(
                format!("{at}: a profile is a table"),
                "write [profile.NAME] above its keys; --profile NAME chooses it",
            )
        };
        let DeValue::Table(profiles) = value.get_ref() else {
            return Err(no_table(self.at(&value.span())));
        };
        for (name, value) in profiles {
            let DeValue::Table(entries) = value.get_ref() else {
                return Err(no_table(self.at(&name.span())));
            };
            let name = name.get_ref().to_string();
            self.profiles.insert(name.clone());
            let table = Table { profile: Some(name), command: Vec::new() };
            self.table(entries, program, program, &table)?;
        }
        Ok(())
    }

    fn setting(
        &mut self,
        argument: &Arg,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        table: &Table,
    ) -> Result<()> {
        let at = self.at(&value.span());
        let wrong = |message: String| {
            let hint = format!("`strongroom {} --help` tells what it takes", table.words());
            Failure::usage(format!("{at}: {message}"), hint.replace("  ", " "))
        };
        let read = match (argument.get_action(), value.get_ref()) {
            (ArgAction::SetTrue, DeValue::Boolean(given)) => SettingValue::Given(*given),
            (ArgAction::SetTrue, other) => {
                let message = format!("{key} is true or false, not {}", kind(other));
                return Err(wrong(message));
            }
            (ArgAction::Append, DeValue::Array(values)) => {
                let values = values.iter().map(|value| self.text(value.get_ref(), key));
                SettingValue::Many(values.collect::<Result<_, _>>().map_err(wrong)?)
            }
            (ArgAction::Append, value) => {
                SettingValue::Many(vec![self.text(value, key).map_err(wrong)?])
            }
            (_, value) => SettingValue::One(self.text(value, key).map_err(wrong)?),
        };
        let texts = match &read {
            SettingValue::Given(_) => &[],
            SettingValue::One(text) => std::slice::from_ref(text),
            SettingValue::Many(texts) => &texts[..],
        };
        texts.iter().try_for_each(|text| check(argument, key, text)).map_err(wrong)?;
        let Table { profile, command } = table.clone();
        let (id, key) = (argument.get_id().to_string(), key.to_owned());
        let is_positional = argument.is_positional();
        let value = read;
        let setting = Setting { id, key, value, at, command, profile, file: 0, is_positional };
        if self.runs.is_none() && runs_a_command(argument) {
            self.runs = Some(setting.clone());
        }
        self.settings.push(setting);
        Ok(())
    }

    /// A value as it would be typed. As in a shell, `~/` is the home folder.
    fn text(&self, value: &DeValue<'_>, key: &str) -> Result<String, String> {
        match value {
            DeValue::String(text) => match (text.strip_prefix("~/"), self.home) {
                (Some(rest), Some(home)) => Ok(home.join(rest).display().to_string()),
                _ => Ok(text.to_string()),
            },
            DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
            DeValue::Float(number) => Ok(number.as_str().to_owned()),
            DeValue::Datetime(time) => Ok(time.to_string()),
            other => Err(format!("{key} takes a text or a number, not {}", kind(other))),
        }
    }

    fn unknown(
        &self,
        name: &str,
        span: &Range<usize>,
        program: &Command,
        command: &Command,
        table: &Table,
    ) -> Failure {
        let at = self.at(span);
        let message = match table.heading() {
            heading if heading.is_empty() => format!("{at}: there is no key {name}"),
            heading => format!("{at}: there is no key {name} in [{heading}]"),
        };
        let hint = if name.eq_ignore_ascii_case("passphrase") {
            "a passphrase never stands in a file of settings: give passphrase-file or \
             passphrase-command"
                .to_owned()
        } else if NOT_IN_FILES.contains(&name) {
            format!("--{name} is for the command line and the environment")
        } else if let Some(meant) = command.find_subcommand(name) {
            format!("did you mean {}?", meant.get_name())
        } else if let [first, ..] = &commands_with(program, name)[..] {
            let top = Table { profile: table.profile.clone(), command: Vec::new() };
            format!("{name} is an option of `{first}`: write it in [{}]", top.below(first))
        } else {
            let commands = command.get_subcommands().map(|below| below.get_name().to_owned());
            let keys = command.get_arguments().filter_map(key_of);
            let all: Vec<_> = keys.chain(commands).collect();
            match nearest_text(name, all.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("`strongroom {} --help` lists the options", table.words())
                    .replace("  ", " "),
            }
        };
        Failure::usage(message, hint)
    }

    fn at(&self, span: &Range<usize>) -> Position {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Position { file: self.path.clone(), line }
    }
}

impl Table {
    /// Its name in the file.
    fn heading(&self) -> String {
        let profile = self.profile.iter().flat_map(|name| ["profile", name]);
        profile.chain(self.command.iter().map(String::as_str)).collect::<Vec<_>>().join(".")
    }

    /// The heading of a table below this one.
    fn below(&self, command: &str) -> String {
        let mut below = self.clone();
        below.command.extend(command.split(' ').map(str::to_owned));
        below.heading()
    }

    /// The command as it is typed.
    fn words(&self) -> String {
        self.command.join(" ")
    }
}

/// Options that decide about files, and so cannot stand in one.
const NOT_IN_FILES: [&str; 4] = ["config", "profile", "help", "version"];

/// What an argument is called in a file, when it may stand in one.
fn key_of(argument: &Arg) -> Option<String> {
    let key = match argument.get_long() {
        Some(long) => long.to_owned(),
        None => argument.get_id().as_str().replace('_', "-"),
    };
    (!NOT_IN_FILES.contains(&&*key)).then_some(key)
}

fn argument<'c>(command: &'c Command, key: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|argument| key_of(argument).as_deref() == Some(key))
}

/// A command by its own name: an alias is not a second place for its keys.
fn subcommand<'c>(command: &'c Command, name: &str) -> Option<&'c Command> {
    command.get_subcommands().find(|below| below.get_name() == name)
}

/// The commands that have an option of this name.
fn commands_with(program: &Command, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<_> =
        program.get_subcommands().map(|command| (command, String::new())).collect();
    open.reverse();
    while let Some((command, above)) = open.pop() {
        let name = format!("{above} {}", command.get_name()).trim().to_owned();
        open.extend(command.get_subcommands().map(|below| (below, name.clone())));
        if argument(command, key).is_some() {
            found.push(name);
        }
    }
    found
}

/// Whether the setting decides what is run.
fn runs_a_command(argument: &Arg) -> bool {
    let names = argument.get_value_names().unwrap_or_default();
    let is_named_so = argument.get_long().is_some_and(|long| long.ends_with("command"));
    is_named_so || names.iter().any(|name| name.as_str() == "COMMAND")
}

/// What the option's own parser says of a value.
fn check(argument: &Arg, key: &str, text: &str) -> Result<(), String> {
    let names = argument.get_value_names().unwrap_or_default().iter().cloned();
    let mut alone = Arg::new(STAND_IN).long(STAND_IN).action(ArgAction::Append);
    alone = alone.value_parser(argument.get_value_parser().clone()).value_names(names);
    if let Some(delimiter) = argument.get_value_delimiter() {
        alone = alone.value_delimiter(delimiter);
    }
    let command = Command::new("strongroom").no_binary_name(true).arg(alone);
    match command.try_get_matches_from([format!("--{STAND_IN}={text}")]) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = Failure::usage_of_clap(&error, "strongroom").message;
            Err(message.replacen(&format!("'--{STAND_IN}"), &format!("'--{key}"), 1))
        }
    }
}

/// What an option is called while a value is checked alone.
const STAND_IN: &str = "checked-value";

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(number) if number.radix() != 10 => "a number that is not decimal",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
