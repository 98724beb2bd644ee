//! The program itself, killed with SIGKILL at many moments of a backup, a restore, a collection.
//! Every vault that is left behind verifies, and the command run again ends well: what only a
//! process does, with files of its state, its cache and a restore's target, is stopped here.

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

/// Runs a command that is killed after each of these times; whether any was.
fn kill_at_many_moments(host: &Host, arguments: &[&str], delays_ms: &[u64]) -> bool {
    let killed = |delay_ms: &u64| {
        let mut child = host.command(arguments).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(*delay_ms));
        child.kill().unwrap();
        !child.wait().unwrap().success()
    };
    delays_ms.iter().filter(|delay| killed(delay)).count() > 0
}

#[test]
fn a_killed_restore_over_other_files_is_finished_by_the_next() {
    let host = Host::new();
    let source = host.folder.path().join("source");
    let mut forest = Forest::new(2);
    forest.grow(&source, 12, Nastiness::Plain).unwrap();
    std::fs::write(source.join("big"), forest.noise(20_000_000)).unwrap();
    let source_text = host.path("source");
    host.run(&["backup", &source_text], 0);
    let target = host.path("target");
    std::fs::create_dir(&target).unwrap();
    for (name, length) in [("big", 20_000_000), ("other", 1_000_000), ("third", 10)] {
        std::fs::write(Path::new(&target).join(name), forest.noise(length)).unwrap();
    }

    let selector = format!("latest:{source_text}");
    let restore = ["restore", &selector, "--to", &target, "--overwrite", "always", "--delete"];
    assert!(kill_at_many_moments(&host, &restore, &[5, 15, 25, 40, 60, 90, 130]));
    host.run(&restore, 0);

    compare(&testkit::look(&source).unwrap(), Path::new(&target));
}

#[test]
fn a_killed_collection_loses_nothing_and_the_next_finishes_it() {
    let host = Host::new();
    let source = host.folder.path().join("source");
    let mut forest = Forest::new(3);
    forest.grow(&source, 12, Nastiness::Plain).unwrap();
    let source_text = host.path("source");
    let mut ids = Vec::new();
    for _ in 0..6 {
        std::fs::write(source.join("changing"), forest.noise(5_000_000)).unwrap();
        let report = host.run(&["backup", &source_text, "--json"], 0);
        let id = report.split("\"snapshot\":\"").nth(1).unwrap().split('"').next().unwrap();
        ids.push(id.to_owned());
    }
    let forget = [&["forget"], &ids[..4].iter().map(String::as_str).collect::<Vec<_>>()[..]];
    host.run(&forget.concat(), 0);

    let collect = ["collect", "--trash-days", "0", "--reader-grace", "0"];
    assert!(kill_at_many_moments(&host, &collect, &[3, 6, 10, 15, 20, 30, 45, 60]));
    host.run(&["verify", "--data"], 0);
    host.run(&collect, 0);

    host.run(&["verify", "--data"], 0);
    let target = host.path("target");
    host.run(&["restore", &format!("latest:{source_text}"), "--to", &target], 0);
    compare(&testkit::look(&source).unwrap(), Path::new(&target));
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
