//! The command `replicate`, typed as users type it: without a key, killed at any moment, following.
//!
//! Waiting is for what really happens, never for a guess of how long it takes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A vault with two backups in a folder, and nothing else of a user's.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(scene.path("tree")).unwrap();
        scene.owner(&["init", "--label", "host"]);
        for content in ["one", "two"] {
            scene.back_up(content);
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Backs up a tree that has another file each time.
    fn back_up(&self, content: &str) {
        std::fs::write(self.path("tree").join(content), content.repeat(5000)).unwrap();
        self.owner(&["backup", "--name", "tree", "tree"]);
    }

    /// Runs the program with the owner's key, and a home.
    fn owner(&self, arguments: &[&str]) -> String {
        let mut command = self.program(&["--vault", "vault", "--key", "owner.key"]);
        command.env("HOME", self.path("home")).env("XDG_STATE_HOME", self.path("home/state"));
        said(&command.args(arguments).output().unwrap(), 0)
    }

    /// The program with nothing in its environment: no home, no key.
    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.current_dir(self.0.path()).env_clear().stdin(Stdio::null()).args(arguments);
        command
    }

    fn keyless(&self, arguments: &[&str], code: i32) -> String {
        said(&self.program(arguments).output().unwrap(), code)
    }

    /// How many snapshots a place shows, each of which was restored and compared.
    fn restored(&self, place: &str) -> usize {
        let listed = self.at(place, &["snapshots", "--json"]);
        let listed: serde_json::Value = serde_json::from_str(listed.trim()).unwrap();
        let snapshots = listed["snapshots"].as_array().unwrap();
        for (number, snapshot) in snapshots.iter().enumerate() {
            let to = tempfile::tempdir_in(self.0.path()).unwrap();
            let id = snapshot["id"].as_str().unwrap();
            self.at(place, &["restore", id, "--to", to.path().to_str().unwrap()]);
            let tree = to.path().join(self.path("tree").strip_prefix("/").unwrap());
            assert_eq!(std::fs::read_dir(tree).unwrap().count(), number + 1);
        }
        snapshots.len()
    }

    fn at(&self, place: &str, arguments: &[&str]) -> String {
        let mut command = self.program(&["--vault", place, "--key", "owner.key"]);
        command.env("HOME", self.path("home-of-nobody-else"));
        said(&command.args(arguments).output().unwrap(), 0)
    }
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
    out
}

#[test]
fn a_replica_is_made_and_verified_by_who_has_no_key_no_passphrase_and_no_home() {
    let scene = Scene::new();
    // Not even beside it.
    let key = scene.path("away").join("owner.key");
    std::fs::create_dir(scene.path("away")).unwrap();
    std::fs::rename(scene.path("owner.key"), &key).unwrap();
    std::fs::rename(scene.path("home"), scene.path("away/home")).unwrap();

    let out = scene.keyless(&["replicate", "--vault", "vault", "--to", "offsite"], 0);
    assert!(out.contains("offsite: copied"), "{out}");
    let verify = ["verify", "--vault", "vault", "--replica", "offsite", "--data"];
    let out = scene.keyless(&verify, 0);
    assert!(out.contains("the replica has all up to record"), "{out}");
    assert!(!scene.path("home").exists());

    std::fs::rename(&key, scene.path("owner.key")).unwrap();
    assert_eq!(scene.restored("offsite"), 2);
}

#[test]
fn what_is_there_after_a_kill_at_any_moment_restores_and_the_next_run_ends_it() {
    let scene = Scene::new();
    let replicate = ["replicate", "--vault", "vault", "--to", "offsite", "--progress", "none"];
    let (mut pause, mut kills, mut shown) = (Duration::from_millis(2), 0, 0);
    loop {
        let mut child = scene.program(&replicate).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(pause);
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        kills += 1;
        pause += pause / 2;
        if scene.path("offsite/ledger/0000000000000000").exists() {
            let now = scene.restored("offsite");
            assert!(now >= shown, "{now} snapshots, {shown} before");
            shown = now;
        }
    }
    assert!(kills > 0);
    scene.keyless(&["verify", "--vault", "vault", "--replica", "offsite", "--data"], 0);
    assert_eq!(scene.restored("offsite"), 2);
}

#[test]
fn who_follows_copies_a_backup_made_meanwhile_and_ends_with_130_at_an_interrupt() {
    let scene = Scene::new();
    let mut follow = scene.program(&["replicate", "--vault", "vault", "--follow"]);
    follow.args(["--every", "1s", "--to", "offsite", "--to", "second", "--json"]);
    let mut follow = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let first = [next(), next()];
    scene.back_up("three");
    let later = [next(), next()];
    interrupt(&follow);
    let ended = follow.wait().unwrap();

    for (first, later) in first.iter().zip(&later) {
        assert!(first["objects"].as_u64() > Some(3), "{first}");
        assert!(later["records"].as_u64() > Some(0), "{later}");
        assert!(later["head"].as_u64() > first["head"].as_u64(), "{later}");
    }
    assert_eq!(ended.code(), Some(130));
    for place in ["offsite", "second"] {
        assert_eq!(scene.restored(place), 3);
        assert_eq!(unfinished(&scene.path(place)), 0);
    }
}

#[test]
fn who_follows_waits_for_a_place_that_is_away_and_gives_up_on_another_history() {
    let scene = Scene::new();
    scene.keyless(&["replicate", "--vault", "vault", "--to", "offsite", "-q"], 0);
    std::fs::rename(scene.path("vault"), scene.path("moved")).unwrap();
    let away = ["replicate", "--vault", "vault", "--follow", "--to", "offsite"];
    scene.keyless(&away, 6);
    std::fs::rename(scene.path("moved"), scene.path("vault")).unwrap();

    let mut follow = scene.program(&["replicate", "--vault", "vault", "--follow"]);
    follow.args(["--every", "1s", "--to", "offsite"]);
    let mut follow = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut err = BufReader::new(follow.stderr.take().unwrap()).lines();
    assert!(out.next().unwrap().unwrap().contains("nothing to copy"));
    std::fs::rename(scene.path("vault/ledger"), scene.path("moved")).unwrap();
    let warning = err.next().unwrap().unwrap();
    assert!(warning.starts_with("warning: offsite: "), "{warning}");
    std::fs::rename(scene.path("moved"), scene.path("vault/ledger")).unwrap();
    scene.back_up("three");
    assert!(out.next().unwrap().unwrap().contains("offsite: copied"));
    // The newest record is taken away: another history, which no waiting mends.
    let mut records: Vec<_> = std::fs::read_dir(scene.path("vault/ledger")).unwrap().collect();
    records.sort_by_key(|record| record.as_ref().unwrap().file_name());
    std::fs::remove_file(records.pop().unwrap().unwrap().path()).unwrap();
    let ended = follow.wait().unwrap();
    let rest: String = err.map(|line| line.unwrap() + "\n").collect();
    assert_eq!(ended.code(), Some(7), "{rest}");
    assert!(rest.contains("the source was rolled back"), "{rest}");
}

fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Files that a put left behind.
fn unfinished(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let count = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => unfinished(&entry.path()),
        false => usize::from(entry.file_name().as_encoded_bytes().starts_with(b".")),
    };
    entries.map(count).sum()
}
