//! A server process that never outlives the test: a shell waits beside it, and kills it when the
//! test's end of a pipe closes, however the test ended. What the server leaves outside its folder
//! goes then, too.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// One running server.
pub(crate) struct Warden {
    shell: Child,
    /// Closed, it kills the server.
    leash: Option<ChildStdin>,
    server: Pid,
}

impl Warden {
    /// Starts a program in a folder; what it prints goes to [`log_file`]. `litter` are the files
    /// that it leaves behind elsewhere.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        folder: &Path,
        litter: &[String],
    ) -> Self {
        let log = log_file(folder);
        let log = File::options().create(true).append(true).open(&log).expect("it is our folder");
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            // HTTP/2 with TLS hangs clients of this server; and no credentials but our own.
            .env("GODEBUG", "http2server=0")
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("LITTER", litter.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("there is a shell");
        let mut line = String::new();
        let output = shell.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("the shell says the server's number");
        let server = line.trim().parse().ok().and_then(Pid::from_raw).expect("it is a number");
        let leash = shell.stdin.take();
        Self { shell, leash, server }
    }

    /// Kills the server at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        let _gone = kill_process(self.server, Signal::KILL);
        self.leash = None;
        let _status = self.shell.wait();
    }

    /// Whether the server runs.
    pub(crate) fn runs(&self) -> bool {
        // The shell reaps its child only at its own end, so the number stays the server's.
        let status =
            std::fs::read_to_string(format!("/proc/{}/stat", self.server.as_raw_nonzero()));
        status.is_ok_and(|text| !text.contains(") Z "))
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a server in this folder writes what it says.
pub(crate) fn log_file(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// Starts the server, says its process number, waits for the leash to close, kills it
/// and sees it dead.
const SCRIPT: &str = r#"
"$@" </dev/null >&2 & echo $!
exec >/dev/null
read -r _
kill -9 $!
wait $!
rm -f $LITTER
"#;
