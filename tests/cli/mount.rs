//! Snapshots as folders: what is read there is what was backed up, and nothing is left behind.
//!
//! Where FUSE does not work these tests say so and check nothing: a machine may well lack it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Forest, Nastiness, look};

use crate::world::{PROGRAM, Ran, World};

/// A mount, unmounted whatever becomes of the test.
struct Mounted {
    child: Child,
    path: PathBuf,
}

impl Mounted {
    /// Mounts and waits until it is ready; `None` where FUSE does not work.
    fn new(world: &World, key: &str, arguments: &[&str]) -> Option<Self> {
        let path = world.path("mounted");
        std::fs::create_dir_all(&path).unwrap();
        let mut command = world.command();
        command.args(["--key", key, "mount", "mounted"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        if line.starts_with("mounted on ") {
            return Some(Self { child, path });
        }
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        child.wait().unwrap();
        assert!(said.contains("error: FUSE"), "{said}");
        eprintln!("skipped: {said}");
        None
    }

    /// Asks it to end, and says how it did and what it had said.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.wait()
    }

    fn wait(&mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the mount does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        }
    }
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// What `ls -lR` prints, without the sums of blocks, which file systems count differently.
fn listed(folder: &Path) -> Vec<String> {
    let mut command = Command::new("ls");
    let ran = Ran::of(command.args(["-1AR", "--quoting-style=escape"]).current_dir(folder));
    ran.expect(0).out.lines().map(str::to_owned).collect()
}

#[test]
fn a_copy_out_of_a_mount_is_what_was_backed_up() {
    let world = World::with_vault();
    let mut forest = Forest::new(11);
    forest.grow(&world.path("tree/forest"), 150, Nastiness::Nasty).unwrap();
    let large = forest.noise(9 << 20);
    std::fs::write(world.path("tree/large"), &large).unwrap();
    world.run(&["backup", "tree"]).expect(0);
    let arguments = ["--snapshot", &format!("latest:{}", world.text("tree")), "--allow-dev"];
    let Some(mounted) = Mounted::new(&world, "owner.key", &arguments) else { return };

    let copied = Command::new("cp").arg("-a").arg(&mounted.path).arg(world.path("copy")).status();
    let names = listed(&mounted.path);
    let file = std::fs::File::open(mounted.path.join("large")).unwrap();
    for step in 0..200_u64 {
        let at = (step * 7_919_777) % (9 << 20);
        let mut bytes = [0; 5000];
        let count = file.read_at(&mut bytes, at).unwrap();
        assert!(bytes[..count] == large[at as usize..at as usize + count], "at {at}");
        assert!(count == 5000 || at as usize + count == large.len());
    }
    drop(file);
    let written = std::fs::write(mounted.path.join("new"), "x");
    let ended = mounted.end("-INT");

    assert!(copied.unwrap().success());
    assert_eq!(names, listed(&world.path("tree")));
    let (before, after) = (look(&world.path("tree")).unwrap(), look(&world.path("copy")).unwrap());
    for (path, seen) in &before {
        assert!(after.get(path) == Some(seen), "{} is not as it was", path.display());
    }
    assert_eq!(before.len(), after.len());
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(ended, (Some(0), String::new()));
    assert!(is_empty(&world.path("mounted")));
}

#[test]
fn all_snapshots_are_there_by_id_name_and_tag_and_new_ones_appear() {
    let world = World::with_vault();
    let backup = |arguments: &[&str]| {
        let made = world.json(&[&["backup", "tree"], arguments].concat());
        made["snapshot"].as_str().unwrap().to_owned()
    };
    let first = backup(&["--tag", "nightly"]);
    let Some(mut mounted) = Mounted::new(&world, "owner.key", &[]) else { return };
    let top = mounted.path.clone();
    let inside = |id: &str| top.join(format!("ids/{id}{}/a.txt", world.text("tree")));
    let link = |path: &str| {
        let target = std::fs::read_link(top.join(path)).unwrap();
        target.file_name().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(std::fs::read_to_string(inside(&first)).unwrap(), "first\n");
    for shelf in ["latest", "names/host/latest", "hosts/host/latest", "tags/nightly/latest"] {
        assert_eq!(link(shelf), first, "{shelf}");
    }

    world.write("tree/a.txt", "second, and longer\n");
    let second = backup(&["--name", "other"]);

    // What is looked for and not known is looked for in the vault, at most once a second.
    let begun = Instant::now();
    while !inside(&second).exists() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(std::fs::read_to_string(inside(&second)).unwrap(), "second, and longer\n");
    assert_eq!(std::fs::read_to_string(inside(&first)).unwrap(), "first\n");
    assert_eq!(link("names/other/latest"), second);
    let again = world.run(&["mount", "mounted"]).expect(1);
    assert!(again.err.contains("has a file system mounted by FUSE already"), "{}", again.err);
    assert!(Command::new("umount").arg(&mounted.path).status().unwrap().success());
    assert_eq!(mounted.wait(), (Some(0), String::new()));
    assert!(is_empty(&mounted.path));
}

#[test]
fn a_mount_in_use_goes_out_of_sight_when_it_is_stopped() {
    let world = World::with_vault();
    world.run(&["backup", "tree"]).expect(0);
    let arguments = ["--snapshot", &format!("latest:{}", world.text("tree"))];
    let Some(mounted) = Mounted::new(&world, "owner.key", &arguments) else { return };
    let open = std::fs::File::open(mounted.path.join("a.txt")).unwrap();

    let (code, said) = mounted.end("-TERM");

    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: mounted is in use") && said.contains("hint: "), "{said}");
    assert!(is_empty(&world.path("mounted")));
    drop(open);
}

#[test]
fn what_is_damaged_is_an_error_and_is_named() {
    let world = World::with_vault();
    let noise = Forest::new(5).noise(2 << 20);
    std::fs::write(world.path("tree/large"), &noise).unwrap();
    world.run(&["backup", "tree"]).expect(0);
    let mut find = Command::new("find");
    let packs = Ran::of(find.arg(world.path("vault/packs")).args(["-size", "+1024k"])).expect(0);
    for pack in packs.out.lines() {
        let mut bytes = std::fs::read(pack).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::remove_file(pack).unwrap();
        std::fs::write(pack, bytes).unwrap();
    }
    let arguments = ["--snapshot", &format!("latest:{}", world.text("tree"))];
    let Some(mounted) = Mounted::new(&world, "owner.key", &arguments) else { return };

    let read = std::fs::read(mounted.path.join("large"));
    let sound = std::fs::read_link(mounted.path.join("link"));
    let (code, said) = mounted.end("-INT");

    assert_eq!(read.unwrap_err().raw_os_error(), Some(5));
    assert!(sound.is_ok() && code == Some(0));
    assert_eq!(said.lines().count(), 1, "each path is named once: {said}");
    assert!(said.contains("/large: ") && said.contains("packs/"), "{said}");
}

#[test]
fn without_fuse_it_says_what_to_install() {
    let world = World::with_vault();
    world.run(&["backup", "tree"]).expect(0);
    std::fs::create_dir(world.path("mounted")).unwrap();
    let mut shell = Command::new("unshare");
    world.prepare(&mut shell);
    let script = "mount -t tmpfs none /dev && \
        exec \"$0\" mount mounted --vault vault --key owner.key --cache-dir c --state-dir s";
    let ran = Ran::of(shell.args(["-m", "sh", "-c", script, PROGRAM]));
    if !ran.err.contains("error: ") {
        eprintln!("skipped: no mounts of its own here: {}", ran.err);
        return;
    }
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("error: FUSE, which a mount needs, does not work here: /dev/fuse"));
    assert!(ran.err.contains("hint: install fuse3"), "{}", ran.err);
}
