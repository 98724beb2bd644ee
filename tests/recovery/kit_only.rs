//! The building burned down. There is a copy of the vault, a page of paper, and this program.
//!
//! All is typed as users type it: on a machine that has seen nothing, with no home, what the page
//! itself says. What comes back is compared byte for byte.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A tree that was backed up, and what survived.
struct Fire {
    folder: TempDir,
}

impl Fire {
    /// Backs a tree up, prints the kit, and keeps a replica; then all but these is lost.
    fn new() -> Self {
        let fire = Self { folder: tempfile::tempdir().unwrap() };
        let tree = fire.path("tree/deep/er");
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(fire.path("tree/letter.txt"), "dear vault\n").unwrap();
        std::fs::write(tree.join("big"), noise(700_000)).unwrap();
        std::fs::write(tree.join("empty"), "").unwrap();
        std::os::unix::fs::symlink("../letter.txt", tree.join("link")).unwrap();
        fire.owner(&["init", "--kdf-memory", "64KiB", "--label", "web-1"]);
        fire.owner(&["backup", "tree", "--name", "site"]);
        std::fs::create_dir(fire.path("offsite")).unwrap();
        let copied = Command::new("cp")
            .args(["-r", "vault/.", "offsite"])
            .current_dir(fire.folder.path())
            .status();
        assert!(copied.unwrap().success());
        std::fs::write(fire.path("offsite/replica"), [7; 16]).unwrap();
        let offsite = fire.path("offsite");
        let place = offsite.to_str().unwrap();
        fire.owner(&["kit", "create", "--words", "--place", place, "--output", "paper.txt"]);
        std::fs::remove_dir_all(fire.path("vault")).unwrap();
        std::fs::remove_dir_all(fire.path("home")).unwrap();
        fire
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// The program on the vault's own machine.
    fn owner(&self, arguments: &[&str]) {
        let mut command = self.program();
        command.env("HOME", self.path("home")).env("XDG_STATE_HOME", self.path("home/state"));
        command.env("STRONGROOM_PASSPHRASE", "correct horse").env("STRONGROOM_VAULT", "vault");
        said(&command.args(arguments).output().unwrap(), 0);
    }

    /// The program on a machine that has seen nothing.
    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn typed(&self, arguments: &[&str], code: i32) -> String {
        said(&self.program().args(arguments).output().unwrap(), code)
    }

    /// The tree came back into this folder as it was.
    fn assert_restored(&self, into: &str) {
        let tree = self.path("tree");
        let restored = self.path(into).join(tree.strip_prefix("/").unwrap());
        let differences = Command::new("diff")
            .args(["-r", "--no-dereference"])
            .args([&tree, &restored])
            .output()
            .unwrap();
        assert!(differences.status.success(), "{}", String::from_utf8_lossy(&differences.stdout));
        let link = std::fs::read_link(restored.join("deep/er/link")).unwrap();
        assert_eq!(link, Path::new("../letter.txt"));
    }

    /// The vault at this place takes backups, collects, verifies and restores.
    fn assert_works(&self, place: &str, key: &[&str]) {
        std::fs::write(self.path("tree/after.txt"), "after the fire\n").unwrap();
        let on = |arguments: &[&str]| {
            self.typed(&[arguments, &["--vault", place], key].concat(), 0);
        };
        on(&["backup", "tree", "--name", "site"]);
        on(&["verify", "--data"]);
        on(&["forget", "--keep-last", "1", "--no-floor"]);
        on(&["collect", "--trash-days", "0", "--reader-grace", "0"]);
        on(&["verify", "--data"]);
        on(&["restore", "latest", "--to", "after"]);
        self.assert_restored("after");
    }
}

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    out
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn with_the_copys_place_and_the_kits_text_all_comes_back_and_goes_on() {
    let fire = Fire::new();
    let kit = ["--kit", "paper.txt"];
    fire.typed(&["restore", "latest", "--to", "at-once", "--vault", "offsite", kit[0], kit[1]], 0);
    fire.assert_restored("at-once");

    fire.typed(&["recover", "--from", "offsite", "--to", "new/vault", kit[0], kit[1]], 0);
    fire.assert_works("new/vault", &kit);
}

#[test]
fn with_the_words_alone_as_somebody_wrote_them_down() {
    let fire = Fire::new();
    let text = std::fs::read_to_string(fire.path("paper.txt")).unwrap();
    let words = text.split_once("words:").unwrap().1.split_once("----").unwrap().0.to_uppercase();
    std::fs::write(fire.path("words.txt"), words).unwrap();
    let kit = ["--kit", "words.txt"];
    fire.typed(&["recover", "--from", "offsite", "--to", "new", kit[0], kit[1]], 0);
    fire.assert_works("new", &kit);
}

#[test]
fn with_the_passphrase() {
    let fire = Fire::new();
    std::fs::write(fire.path("pass"), "correct horse\n").unwrap();
    let key = ["--passphrase-file", "pass"];
    fire.typed(&["recover", "--from", "offsite", "--to", "new", key[0], key[1]], 0);
    fire.assert_works("new", &key);
}

#[test]
fn what_the_page_says_can_be_typed_by_who_never_saw_the_program() {
    let fire = Fire::new();
    let page = std::fs::read_to_string(fire.path("paper.txt")).unwrap();
    let (offsite, lost) = (fire.path("offsite"), fire.path("vault"));
    // The page says to name the place where the vault lies by now.
    let page = page.replace(&format!("'{}'", lost.display()), &format!("'{}'", offsite.display()));
    let from = page.find("kit: 1").unwrap();
    let to = page.find("---- end of the kit").unwrap();
    std::fs::write(fire.path("kit.txt"), &page[from..to]).unwrap();
    let commands: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("       ")).collect();
    assert_eq!(commands.len(), 5, "{commands:?}");
    let bin = Path::new(env!("CARGO_BIN_EXE_strongroom")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    for command in commands {
        let command = command.replace("/SOME/FOLDER", fire.path("tree/deep").to_str().unwrap());
        let mut shell = Command::new("/bin/sh");
        shell.current_dir(fire.folder.path()).env_clear().stdin(Stdio::null());
        shell.env("PATH", format!("{}:{path}", bin.display()));
        let output = shell.arg("-c").arg(&command).output().unwrap();
        // The lost place is on the kit and is not found: the check says so and ends with 3.
        let code = if command.contains("kit check") { 3 } else { 0 };
        said(&output, code);
    }
    fire.assert_restored("restored");
    fire.typed(&["verify", "--data", "--vault", "NEW-FOLDER", "--kit", "kit.txt"], 0);
}

#[test]
fn a_recovery_killed_by_the_system_is_gone_on_with() {
    let fire = Fire::new();
    let arguments = ["recover", "--from", "offsite", "--to", "new", "--kit", "paper.txt"];
    for pause in [0, 5, 15, 40] {
        let mut child = fire.program().args(arguments).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(pause));
        let _ = child.kill();
        child.wait().unwrap();
    }
    fire.typed(&arguments, 0);
    fire.assert_works("new", &["--kit", "paper.txt"]);
}
