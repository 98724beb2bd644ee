//! Settings from files: what they say, and which of them are in force.
//!
//! A file is TOML whose keys are the options' names: common ones at its top, a command's own in a
//! table of its name, and the same once more below `[profile.NAME]`. Every key and value is checked
//! against clap's definitions when the file is read, whichever command runs. For each option the
//! nearest word counts: typed, environment, profile, the command's table, the file's top; of two
//! files the user's. What contradicts a nearer word is passed over. DESIGN.md §15.

mod file;
mod keys;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, Command};

use crate::environment::Environment;
use crate::exit::{Failure, Result};
use crate::output::show_path;
use crate::suggestion::nearest_text;

/// The settings of a run.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The files that were looked for, the nearest last, and whether each was read.
    pub(crate) files: Vec<(PathBuf, IsRead)>,
    /// The profile in use.
    pub(crate) profile: Option<String>,
    /// What must be heard of the files.
    pub(crate) notes: Vec<String>,
    /// Which options were typed or are set by the environment, by their ids.
    near: BTreeSet<String>,
    /// Which of them were typed.
    typed: BTreeSet<String>,
    settings: Vec<Setting>,
    /// Which profiles there are.
    profiles: BTreeSet<String>,
}

/// Whether a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsRead {
    Yes,
    NotThere,
    Unreadable,
}

/// What was typed, as far as it decides about settings.
#[derive(Debug)]
pub(crate) struct Typed {
    /// The ids of the options that were typed.
    pub(crate) ids: BTreeSet<String>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) profile: Option<String>,
}

/// What a file says of an option.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The option's id, which is the name of its field.
    pub(crate) id: String,
    /// The option's name without dashes.
    pub(crate) key: String,
    pub(crate) value: SettingValue,
    pub(crate) at: Position,
    pub(crate) command: Vec<String>,
    profile: Option<String>,
    /// Which file of the run it stands in.
    file: usize,
    is_positional: bool,
}

/// What an option is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettingValue {
    /// An option without a value: given or not.
    Given(bool),
    /// A single value.
    One(String),
    /// An option that may be given again.
    Many(Vec<String>),
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) file: Arc<Path>,
    pub(crate) line: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = show_path(self.file.as_os_str().as_encoded_bytes());
        write!(f, "{file}:{}", self.line)
    }
}

/// What the settings add to a command line.
#[derive(Debug, Default)]
pub(crate) struct Added {
    pub(crate) options: Vec<OsString>,
    pub(crate) positional: Vec<OsString>,
}

impl Added {
    pub(crate) fn is_empty(&self) -> bool {
        self.options.is_empty() && self.positional.is_empty()
    }
}

/// The system's file of settings.
const SYSTEM_FILE: &str = "/etc/strongroom/config.toml";

impl Config {
    /// Reads the files that were named, or the usual ones, and checks all that they say.
    pub(crate) fn load(program: &Command, typed: Typed, environment: &Environment) -> Result<Self> {
        let near = environment.options.iter().map(|(_, id)| (*id).to_owned());
        let mut config = Self {
            near: near.chain(typed.ids.iter().cloned()).collect(),
            typed: typed.ids,
            profile: typed.profile.or_else(|| environment.profile.clone()),
            ..Self::default()
        };
        match typed.config.as_ref().or(environment.config.as_ref()) {
            Some(named) => config.read(named, file::Need::Must, program, environment)?,
            None => {
                let system = Path::new(SYSTEM_FILE);
                config.read(system, file::Need::MayBeClosed, program, environment)?;
                if let Some(user) = &environment.user_config {
                    config.read(user, file::Need::May, program, environment)?;
                }
            }
        }
        config.check_profile()?;
        Ok(config)
    }

    /// The settings of a command that are in force, by the options' names.
    pub(crate) fn in_force(&self, command: &Command, path: &[String]) -> Result<Vec<&Setting>> {
        let applies = |setting: &&Setting| {
            let is_of_profile = setting.profile.is_none() || setting.profile == self.profile;
            is_of_profile && path.starts_with(&setting.command)
        };
        let mut candidates: Vec<_> = self.settings.iter().filter(applies).collect();
        candidates.sort_by_key(|setting| std::cmp::Reverse(setting.nearness()));
        let mut hidden = self.near.clone();
        let mut chosen: Vec<&Setting> = Vec::new();
        for setting in candidates {
            if hidden.contains(&setting.id) {
                continue;
            }
            let contradicts = |id: &str| setting.is_given() && contradict(command, &setting.id, id);
            let rival = chosen.iter().find(|other| other.is_given() && contradicts(&other.id));
            match rival {
                Some(rival) if rival.nearness() == setting.nearness() => {
                    return Err(both_given(rival, setting));
                }
                Some(_) => continue,
                None if self.near.iter().any(|id| contradicts(id)) => continue,
                None => {}
            }
            hidden.insert(setting.id.clone());
            chosen.push(setting);
        }
        chosen.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(chosen)
    }

    /// What the settings add to what was typed.
    pub(crate) fn arguments(&self, command: &Command, path: &[String]) -> Result<Added> {
        let mut added = Added::default();
        for setting in self.in_force(command, path)? {
            let texts = match &setting.value {
                SettingValue::Given(false) => continue,
                SettingValue::Given(true) => {
                    added.options.push(format!("--{}", setting.key).into());
                    continue;
                }
                SettingValue::One(text) => std::slice::from_ref(text),
                SettingValue::Many(texts) => texts,
            };
            for text in texts {
                match setting.is_positional {
                    true => added.positional.push(text.into()),
                    false => added.options.push(format!("--{}={text}", setting.key).into()),
                }
            }
        }
        Ok(added)
    }

    /// The commands that the files in use say something of.
    pub(crate) fn commands(&self) -> BTreeSet<&[String]> {
        let in_use =
            |setting: &&Setting| setting.profile.is_none() || setting.profile == self.profile;
        let settings = self.settings.iter().filter(in_use);
        settings.map(|setting| &setting.command[..]).filter(|path| !path.is_empty()).collect()
    }

    /// Whether the option of this id was typed.
    pub(crate) fn is_typed(&self, id: &str) -> bool {
        self.typed.contains(id)
    }

    fn read(
        &mut self,
        path: &Path,
        need: file::Need,
        program: &Command,
        environment: &Environment,
    ) -> Result<()> {
        let number = self.files.len();
        let is_read = match file::read(path, need)? {
            file::Found::Text(text) => {
                let mut reading = keys::Reading::new(path, &text, environment.home.as_deref());
                reading.check(program)?;
                let settings = reading.settings.into_iter();
                self.settings.extend(settings.map(|setting| Setting { file: number, ..setting }));
                self.profiles.extend(reading.profiles);
                if let Some(setting) = reading.runs {
                    file::refuse_if_writable_by_others(path, &setting)?;
                }
                IsRead::Yes
            }
            file::Found::Nothing => IsRead::NotThere,
            file::Found::Closed(why) => {
                let shown = show_path(path.as_os_str().as_encoded_bytes());
                self.notes.push(format!("{shown}: {why}: going on without it"));
                IsRead::Unreadable
            }
        };
        self.files.push((path.to_owned(), is_read));
        Ok(())
    }

    fn check_profile(&self) -> Result<()> {
        let Some(name) = self.profile.as_ref().filter(|name| !self.profiles.contains(*name)) else {
            return Ok(());
        };
        let there: Vec<_> = self.profiles.iter().map(String::as_str).collect();
        let hint = match (nearest_text(name, there.iter().copied()), &there[..]) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, []) => "`strongroom config show` tells which files are read".to_owned(),
            (None, there) => format!("there are: {}", there.join(", ")),
        };
        Err(Failure::usage(format!("no file of settings has a profile {name}"), hint))
    }
}

impl Setting {
    /// How near it is: of two settings of an option, the one with the greater counts.
    fn nearness(&self) -> (bool, usize, usize) {
        (self.profile.is_some(), self.command.len(), self.file)
    }

    /// Whether it gives the option at all.
    fn is_given(&self) -> bool {
        self.value != SettingValue::Given(false)
    }
}

/// Whether two options of a command cannot be given together.
fn contradict(command: &Command, one: &str, other: &str) -> bool {
    let are_both = |sources: &[&str]| sources.contains(&one) && sources.contains(&other);
    if one != other && (are_both(&KEY_SOURCES) || are_both(&FROM_KEY_SOURCES)) {
        return true;
    }
    let find = |id: &str| command.get_arguments().find(|argument| argument.get_id() == id);
    let (Some(one), Some(other)) = (find(one), find(other)) else { return false };
    let rules_out = |one: &Arg, other: &Arg| {
        command.get_arg_conflicts_with(one).iter().any(|arg| arg.get_id() == other.get_id())
    };
    rules_out(one, other) || rules_out(other, one)
}

/// The options that say where the key comes from: a nearer one stands for all of them.
const KEY_SOURCES: [&str; 4] = ["key", "kit", "passphrase_file", "passphrase_command"];
/// The same of the vault that is copied from.
const FROM_KEY_SOURCES: [&str; 3] = ["from_key", "from_passphrase_file", "from_passphrase_command"];

fn both_given(one: &Setting, other: &Setting) -> Failure {
    let (first, second) = if one.at.line <= other.at.line { (one, other) } else { (other, one) };
    let Setting { at, key, .. } = second;
    let (other_key, line) = (&first.key, first.at.line);
    let message = format!("{at}: {key} cannot be given together with {other_key} (line {line})");
    Failure::usage(message, "give only one of them")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    /// What is in force for `backup`, of a system's and a user's file, each as `key=value`.
    fn in_force(system: &str, user: &str, profile: Option<&str>, typed: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Cli::command();
        program.build();
        let near: BTreeSet<_> = typed.iter().map(|id| (*id).to_owned()).collect();
        let profile = profile.map(str::to_owned);
        let mut config = Config { near, profile, ..Config::default() };
        for (name, text) in [("system", system), ("user", user)] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            config.read(&path, file::Need::Must, &program, &Environment::read()).unwrap();
        }
        config.check_profile().unwrap();
        let backup = program.find_subcommand("backup").unwrap();
        let settings = config.in_force(backup, &["backup".to_owned()]).unwrap();
        let show = |setting: &&Setting| match &setting.value {
            SettingValue::Given(given) => format!("{}={given}", setting.key),
            SettingValue::One(text) => format!("{}={text}", setting.key),
            SettingValue::Many(texts) => format!("{}={}", setting.key, texts.join("+")),
        };
        settings.iter().map(show).collect()
    }

    #[test]
    fn of_two_files_the_users_counts_and_of_two_tables_the_nearer() {
        let system = "vault = \"a\"\nkey = \"k\"\n[backup]\nname = \"s\"\n\
                      [profile.p]\nvault = \"c\"\n[profile.p.backup]\nname = \"p\"\n";
        let user = "vault = \"b\"\n[backup]\nkey = \"l\"\ntag = [\"x\", \"y\"]\n";

        let plain = in_force(system, user, None, &[]);
        let of_profile = in_force(system, user, Some("p"), &[]);
        let typed = in_force(system, user, Some("p"), &["name", "vault"]);

        assert_eq!(plain, ["key=l", "name=s", "tag=x+y", "vault=b"]);
        assert_eq!(of_profile, ["key=l", "name=p", "tag=x+y", "vault=c"]);
        assert_eq!(typed, ["key=l", "tag=x+y"]);
    }

    #[test]
    fn what_contradicts_a_nearer_word_is_passed_over() {
        let system = "quiet = true\npassphrase-file = \"f\"\n";

        assert_eq!(
            in_force(system, "verbose = true\n", None, &[]),
            ["passphrase-file=f", "verbose=true"]
        );
        assert_eq!(in_force(system, "quiet = false\n", None, &["key"]), ["quiet=false"]);
        assert_eq!(in_force(system, "", None, &["verbose", "passphrase_command"]), [""; 0]);
    }

    #[test]
    fn a_name_of_an_option_and_a_command_is_the_commands_where_it_has_a_table() {
        let system = "[key.export]\nlabel = \"x\"\n[key]\nprogress = \"none\"\n";

        assert_eq!(in_force(system, "key = \"k\"\n", None, &[]), ["key=k"]);
    }
}
