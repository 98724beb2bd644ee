//! A folder of its own, and the program in it: nothing of the user's is read or touched.
//!
//! Vaults are made with a key file, which costs no passphrase guessing. What is printed comes back
//! as text, with the exit code.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The program's own folder.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom");

/// A folder and what lies in it.
pub(crate) struct World {
    folder: TempDir,
}

/// What a run printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A vault `vault` with the key `owner.key`, and a small tree `tree`.
    pub(crate) fn with_vault() -> Self {
        let world = Self::empty();
        world.run(&["init", "--label", "host"]).expect(0);
        world.write("tree/a.txt", "first\n");
        world.write("tree/below/b.txt", &"line\n".repeat(2000));
        std::os::unix::fs::symlink("a.txt", world.path("tree/link")).unwrap();
        world
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        // The real path, as the program will store it.
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// The same, as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Runs the program on the vault with the owner's key.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_as("owner.key", arguments)
    }

    /// Runs the program on the vault with a key file.
    pub(crate) fn run_as(&self, key: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(["--key", key]).args(arguments))
    }

    /// The last line of standard output as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat()).expect(0);
        serde_json::from_str(ran.out.lines().last().unwrap()).unwrap()
    }

    /// The program, on the vault, in a clean environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        self.prepare(&mut command);
        command.args(["--vault", "vault"]);
        command
    }

    /// The program, in a clean environment, on no vault.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        self.prepare(&mut command);
        command
    }

    /// Puts a command into the folder and a clean environment.
    pub(crate) fn prepare(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        let program = Path::new(PROGRAM).parent().unwrap();
        command
            .current_dir(self.path(""))
            .env_clear()
            .env("PATH", format!("{}:{path}", program.display()))
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("home/cache"))
            .env("XDG_STATE_HOME", self.path("home/state"))
            .stdin(Stdio::null());
    }
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same, when it ended so.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }
}
