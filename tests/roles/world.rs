//! A vault, an owner and a backup host, each with a home of its own.
//!
//! The program is run as a user would; only its environment is emptied first.

use std::path::PathBuf;
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom");

pub(crate) struct World {
    folder: tempfile::TempDir,
}

/// How a run ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    /// With a vault, the owner's key and a writer's key.
    pub(crate) fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        let key = world.text("owner.key");
        world.run("owner", &["init", "--key", &key]).expect(0);
        let writer = world.text("writer.key");
        let export = ["key", "export", "--role", "writer", "--label", "web-1", "--output", &writer];
        world.run("owner", &export).expect(0);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Runs the program as the holder of a key: `owner` or `writer`.
    pub(crate) fn run(&self, role: &str, arguments: &[&str]) -> Ran {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().stdin(Stdio::null());
        command.args(["--vault", &self.text("vault")]);
        command.args(["--cache-dir", &self.text(&format!("{role}-cache"))]);
        command.args(["--state-dir", &self.text(&format!("{role}-state"))]);
        if !arguments.contains(&"--key") && !arguments.contains(&"--no-key") {
            command.args(["--key", &self.text(&format!("{role}.key"))]);
        }
        let output = command.output().unwrap();
        Ran {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }
}
