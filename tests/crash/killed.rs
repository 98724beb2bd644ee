//! The program itself, killed with SIGKILL at many moments of a backup. Every vault that is left
//! behind verifies, and the next backup and every restore are whole.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{Forest, Nastiness};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom");

struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { folder: tempfile::tempdir().unwrap() };
        let key = host.path("key");
        host.run(&["init", "--key", &key, "--pack-size", "4MiB"], 0);
        host
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().env("STRONGROOM_VAULT", self.path("vault"));
        if arguments[0] != "init" {
            command.env("STRONGROOM_KEY", self.path("key"));
        }
        command.args(["--cache-dir", &self.path("cache"), "--state-dir", &self.path("state")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn a_killed_backup_leaves_earlier_snapshots_whole_and_the_next_one_goes_on() {
    let host = Host::new();
    let source = host.folder.path().join("source");
    let mut forest = Forest::new(1);
    forest.grow(&source, 12, Nastiness::Plain).unwrap();
    let source_text = host.path("source");
    host.run(&["backup", &source_text], 0);
    let before = testkit::look(&source).unwrap();

    let mut killed = 0;
    for delay_ms in [5, 20, 40, 60, 90, 130, 180, 250, 350, 500] {
        std::fs::write(source.join("big"), forest.noise(40_000_000)).unwrap();
        let mut child = host.command(&["backup", &source_text]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        host.run(&["verify"], 0);
    }
    assert!(killed > 0, "every backup was faster than its killer");

    host.run(&["backup", &source_text], 0);
    host.run(&["verify", "--data"], 0);
    let newest = host.path("newest");
    host.run(&["restore", &format!("latest:{source_text}"), "--to", &newest], 0);
    compare(&testkit::look(&source).unwrap(), Path::new(&newest));

    let snapshots = host.run(&["snapshots", "--json"], 0);
    let first = snapshots.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let oldest = host.path("oldest");
    host.run(&["restore", &format!("{first}:{source_text}"), "--to", &oldest], 0);
    compare(&before, Path::new(&oldest));
}

/// Compares all but the root's own times, which the restore's target keeps for itself.
fn compare(
    expected: &std::collections::BTreeMap<std::path::PathBuf, testkit::Seen>,
    target: &Path,
) {
    let restored = testkit::look(target).unwrap();
    for (path, seen) in expected.iter().filter(|(path, _)| !path.as_os_str().is_empty()) {
        assert_eq!(restored.get(path), Some(seen), "{path:?}");
    }
    assert_eq!(restored.len(), expected.len());
}
