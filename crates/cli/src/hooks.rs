//! Commands that run around the work: before it, after it, and when it fails.
//!
//! They learn what happened from their environment, which holds every single value that `--json`
//! would print, and nothing that leads to a key. What they print goes to standard error. A failing
//! `--before` stops the work; a failing `--after` makes it incomplete. DESIGN.md §15.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::context::Context;
use crate::environment::without_keys;
use crate::exit::{Exit, Failure, Result, plain};
use crate::output::{Fields, Output, Report};
use crate::signals::Signals;

/// What runs around the work.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct HookArgs {
    /// Run a shell command first; when it fails, nothing else is done
    #[arg(long, value_name = "COMMAND")]
    before: Option<OsString>,
    /// Run a shell command when the work is done
    #[arg(long, value_name = "COMMAND")]
    after: Option<OsString>,
    /// Run a shell command when the work failed or was stopped
    #[arg(long, value_name = "COMMAND")]
    on_failure: Option<OsString>,
}

/// The hooks of one run.
#[derive(Clone)]
pub(crate) struct Hooks {
    args: HookArgs,
    facts: Vec<(String, OsString)>,
    output: Output,
    signals: Signals,
}

impl Hooks {
    /// Hooks around a command of which this is known before it begins.
    pub(crate) fn new(args: &HookArgs, context: &Context, command: &str, known: &Fields) -> Self {
        let mut facts = vec![(variable("command"), command.into())];
        if let Ok(url) = context.place_url() {
            facts.push((variable("vault"), without_credentials(&url.to_string()).into()));
        }
        facts.extend(facts_of(known));
        Self { args: args.clone(), facts, output: context.output, signals: context.signals.clone() }
    }

    /// Does the work, and runs the hooks around it.
    pub(crate) fn around<R: Report>(
        &self,
        context: &Context,
        work: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        match self.before().and_then(|()| work()) {
            Ok(report) => {
                self.after(&report, context);
                Ok(report)
            }
            Err(failure) => {
                let failure = match context.signal() {
                    Some(signal) => failure.stopped_by(signal),
                    None => failure,
                };
                self.on_failure(&failure);
                Err(failure)
            }
        }
    }

    /// Tells of a failure.
    pub(crate) fn on_failure(&self, failure: &Failure) {
        let facts = [
            (variable("exit"), failure.exit.code().to_string().into()),
            (variable("error"), failure.message.clone().into()),
        ];
        self.tell_failure(facts.to_vec());
    }

    fn before(&self) -> Result<()> {
        let Some(command) = &self.args.before else { return Ok(()) };
        self.run("before", command, &[]).map_err(|ended| match ended {
            Ended::Stopped => Failure::cancelled(),
            Ended::Badly(how) => Failure::failed(
                format!("the --before command {how}"),
                "nothing was done; run the command by hand until it ends with 0",
            ),
        })
    }

    fn after(&self, report: &dyn Report, context: &Context) {
        let exit = report.exit().and(context.noted());
        let mut facts: Vec<_> = facts_of(&report.fields()).collect();
        facts.push((variable("exit"), exit.code().to_string().into()));
        if !matches!(exit, Exit::Done | Exit::Incomplete) {
            let error = report.remarks().pop().map(|remark| remark.message);
            facts.push((variable("error"), error.unwrap_or_default().into()));
            self.tell_failure(facts);
            return;
        }
        let Some(command) = &self.args.after else { return };
        let (how, exit) = match self.run("after", command, &facts) {
            Ok(()) => return,
            Err(Ended::Badly(how)) => (how, Exit::Incomplete),
            Err(Ended::Stopped) => {
                let exit = context.signal().map_or(Exit::Incomplete, Exit::Stopped);
                ("was stopped".to_owned(), exit)
            }
        };
        let text = format!("the --after command {how}");
        self.output.warning_with_hint(&text, "the work itself is done: only run this again");
        context.note_exit(exit);
    }

    fn tell_failure(&self, facts: Vec<(String, OsString)>) {
        let Some(command) = &self.args.on_failure else { return };
        if let Err(ended) = self.run("on-failure", command, &facts) {
            let how = match ended {
                Ended::Badly(how) => how,
                Ended::Stopped => "was stopped".to_owned(),
            };
            self.output.warning(&format!("the --on-failure command {how}"));
        }
    }

    fn run(
        &self,
        hook: &str,
        command: &OsString,
        facts: &[(String, OsString)],
    ) -> Result<(), Ended> {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command);
        without_keys(&mut shell);
        let facts = self.facts.iter().chain(facts).cloned();
        shell.envs(facts).env(variable("hook"), hook);
        shell.stdin(Stdio::null()).stdout(std::io::stderr());
        // A signal that came before, as to a stopped backup, is no reason to stop this too.
        let was_stopped = self.signals.received().is_some();
        let badly = |error: &std::io::Error| Ended::Badly(format!("cannot run: {}", plain(error)));
        let mut child = shell.spawn().map_err(|error| badly(&error))?;
        loop {
            match child.try_wait().map_err(|error| badly(&error))? {
                Some(status) if status.success() => return Ok(()),
                Some(_) if !was_stopped && self.signals.received().is_some() => {
                    return Err(Ended::Stopped);
                }
                Some(status) => return Err(Ended::Badly(how(status))),
                None if !was_stopped && self.signals.received().is_some() => {
                    stop(&mut child);
                    return Err(Ended::Stopped);
                }
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}

/// How a hook ended, when not well.
enum Ended {
    Badly(String),
    Stopped,
}

const LOOK_EVERY: Duration = Duration::from_millis(10);
const STOPPING_MAX: Duration = Duration::from_millis(500);

/// Asks a child to end; ends it, when it does not.
fn stop(child: &mut Child) {
    if let Some(pid) = rustix::process::Pid::from_raw(child.id() as i32) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let begun = Instant::now();
    while begun.elapsed() < STOPPING_MAX {
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// How a command ended, in words.
pub(crate) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end well".to_owned(),
    }
}

fn variable(name: &str) -> String {
    format!("STRONGROOM_{}", name.to_ascii_uppercase())
}

/// The single values of a report, as variables.
fn facts_of(fields: &Fields) -> impl Iterator<Item = (String, OsString)> {
    fields.iter().filter_map(|(name, value)| {
        let text = match value {
            Value::String(text) if !text.contains('\0') => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(is) => is.to_string(),
            _ => return None,
        };
        Some((variable(name), text.into()))
    })
}

/// A URL without what gives rights: the user before `@`, and secrets among its parameters.
pub(crate) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_secret = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default().to_ascii_lowercase();
        ["key", "secret", "token", "password"].iter().any(|word| name.contains(word))
    };
    let query = query.map(|query| query.split('&').filter(|part| !is_secret(part)));
    let query = query.map(|parts| parts.collect::<Vec<_>>().join("&"));
    let query = query.filter(|query| !query.is_empty()).map(|query| format!("?{query}"));
    format!("{scheme}://{host}{path}{}", query.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_without_what_gives_rights() {
        for (url, told) in [
            ("/srv/vault", "/srv/vault"),
            ("s3://bucket/prefix?region=eu", "s3://bucket/prefix?region=eu"),
            ("s3://id:key@bucket/p@q?secret_key=1&region=eu", "s3://bucket/p@q?region=eu"),
            ("https://token@host:8080?session_token=x", "https://host:8080"),
        ] {
            assert_eq!(without_credentials(url), told);
        }
    }

    #[test]
    fn single_values_become_variables() {
        let fields = crate::output::fields(serde_json::json!({
            "files_new": 3, "snapshot": "ab", "dry_run": false, "paths": ["x"], "seq": null,
        }));
        let mut facts: Vec<_> = facts_of(&fields).collect();
        facts.sort();
        let expected = [
            ("STRONGROOM_DRY_RUN", "false"),
            ("STRONGROOM_FILES_NEW", "3"),
            ("STRONGROOM_SNAPSHOT", "ab"),
        ];
        assert_eq!(facts, expected.map(|(name, value)| (name.to_owned(), value.into())));
    }
}
