//! What a command prints as the source of a backup.
//!
//! The stream ends well only when the command does: else reading ends with an error, so nothing is
//! committed. What it says on its standard error goes to ours, and its last line into our error.
//! It inherits nothing that leads to a key, and does not outlive the backup.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::stream::Piped;
use crate::environment::without_keys;
use crate::exit::{Failure, Result, plain};
use crate::hooks::how;
use crate::signals::Signals;

/// What standard input is called when nothing else is said: the program's name.
pub(super) fn default_name(command: &[OsString]) -> Result<OsString> {
    let program = command.first().and_then(|program| Path::new(program).file_name());
    program.map(OsStr::to_owned).ok_or_else(|| {
        let hint = "give it after --, such as `--stdin-from-command -- pg_dump db`";
        Failure::usage("there is no command to run", hint)
    })
}

/// A running command's output.
pub(super) struct CommandOutput<'a> {
    program: String,
    child: Child,
    output: Piped<'a, ChildStdout>,
    signals: &'a Signals,
    relay: Option<JoinHandle<()>>,
    last_said: Arc<Mutex<String>>,
    failure: Option<Failure>,
}

impl<'a> CommandOutput<'a> {
    /// Starts a command.
    pub(super) fn of(command: &[OsString], signals: &'a Signals) -> Result<Self> {
        default_name(command)?;
        let (program, arguments) = command.split_first().expect("it has a name, seen above");
        let shown = program.to_string_lossy().into_owned();
        let mut started = Command::new(program);
        started.args(arguments).stdin(Stdio::null());
        started.stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error: &io::Error| {
            let message = format!("the command {shown} cannot be started: {}", plain(error));
            Failure::failed(message, "check how it is spelled, its mode, and PATH")
        };
        let mut child = without_keys(&mut started).spawn().map_err(|error| failed(&error))?;
        let last_said = Arc::new(Mutex::new(String::new()));
        let relay = child.stderr.take().and_then(|stderr| {
            let last_said = last_said.clone();
            let relay = move || relay(stderr, &last_said);
            std::thread::Builder::new().name("stderr".into()).spawn(relay).ok()
        });
        let output = child.stdout.take().expect("it was asked for above");
        let output = Piped::new(output, signals);
        Ok(Self { program: shown, child, output, signals, relay, last_said, failure: None })
    }

    /// Why the command did not end well, once it did not.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// Waits for the command's end; an error unless it ended well.
    fn end(&mut self) -> io::Result<()> {
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if self.signals.received().is_some() => {
                    return Err(io::Error::other("stopped on request"));
                }
                None => std::thread::sleep(LOOK_EVERY),
            }
        };
        if status.success() {
            return Ok(());
        }
        // Its last words may still be on their way; a child of its own may keep the pipe open.
        let begun = Instant::now();
        while self.relay.as_ref().is_some_and(|relay| !relay.is_finished())
            && begun.elapsed() < LAST_WORDS_MAX
        {
            std::thread::sleep(LOOK_EVERY);
        }
        let said = self.last_said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let message = format!("the command {} {}{said}", self.program, how(status));
        let hint = "no snapshot was made; run the command by hand until it ends with 0";
        self.failure = Some(Failure::failed(message, hint));
        Err(io::Error::other("the command did not end well"))
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(10);
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);

impl Read for CommandOutput<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.output.read(buffer)? {
            0 if !buffer.is_empty() => self.end().map(|()| 0),
            count => Ok(count),
        }
    }
}

impl Drop for CommandOutput<'_> {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Lines are remembered up to so many bytes.
const SAID_BYTES_MAX: u64 = 1000;

/// Passes on what a command says, and remembers its last line.
fn relay(stderr: ChildStderr, last_said: &Mutex<String>) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    while lines.by_ref().take(SAID_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        let _ = io::stderr().write_all(&line);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if !text.is_empty() {
            let shown = text.replace(|c: char| c.is_control(), " ");
            *last_said.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        }
        line.clear();
    }
}
