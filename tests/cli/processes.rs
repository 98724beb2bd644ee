//! The program among others: signals, closed pipes, children.
//!
//! Waiting is for what really happens, never for a guess of how long it takes.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::{PROGRAM, Ran, World};

/// A backup of standard input that has read something and waits for more.
fn waiting_backup(world: &World) -> (Child, std::process::ChildStdin) {
    let mut command = world.command();
    command.args(["--key", "owner.key", "--progress", "json"]);
    command.args(["backup", "-", "--stdin-name", "dump", "--name", "dump"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&[7; 100_000]).unwrap();
    // Progress is shown, so the work has begun.
    let mut first = [0; 1];
    child.stderr.as_mut().unwrap().read_exact(&mut first).unwrap();
    (child, input)
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_signal_ends_a_backup_cleanly_and_the_next_one_goes_on() {
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let world = World::with_vault();
        let (mut child, input) = waiting_backup(&world);

        let sent = Instant::now();
        signal(&child, name);
        let status = child.wait().unwrap();

        assert_eq!(status.code(), Some(code));
        assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains(&format!("error: stopped by SIG{}", &name[1..])), "{said}");
        assert!(said.contains("hint: no snapshot was made"), "{said}");
        drop(input);
        assert_eq!(world.json(&["snapshots"])["snapshots"], serde_json::json!([]));
        world.run(&["backup", "tree"]).expect(0);
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let world = World::with_vault();
    world.write("tree/long", &"a line\n".repeat(200_000));
    world.run(&["backup", "tree"]).expect(0);
    let file = format!("latest:{}/long", world.text("tree"));
    let mut shell = Command::new("/bin/bash");
    world.prepare(&mut shell);
    let script = "set -o pipefail; strongroom --vault vault --key owner.key cat \"$0\" | head -n 1";
    let ran = Ran::of(shell.args(["-c", script, &file])).expect(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("a line\n", ""));
}

#[test]
fn two_sources_are_refused_before_any_command_runs() {
    let world = World::with_vault();
    let mut command = world.command();
    command.env("STRONGROOM_PASSPHRASE", "secret");
    command.args(["--passphrase-command", "touch ran; echo secret", "snapshots"]);
    Ran::of(&mut command).expect(2);
    assert!(!world.path("ran").exists());
}

/// Runs the program at a terminal where these answers are typed at its prompts.
fn at_a_terminal(world: &World, answers: &str, arguments: &[&str]) -> Ran {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/terminal.py");
    let mut python = Command::new("python3");
    world.prepare(&mut python);
    Ran::of(python.args([script, answers, PROGRAM]).args(arguments))
}

#[test]
fn a_passphrase_is_asked_for_twice_and_never_shown() {
    let world = World::empty();
    let init = ["init", "--vault", "vault", "--kdf-memory", "64KiB"];
    let snapshots = ["snapshots", "--vault", "vault"];

    let differing = at_a_terminal(&world, "secret,secrets", &init).expect(2);
    let made = at_a_terminal(&world, "secret,secret", &init).expect(0);
    let empty = at_a_terminal(&world, "", &snapshots).expect(2);
    let listed = at_a_terminal(&world, "secret", &snapshots).expect(0);
    let stopped = at_a_terminal(&world, "^C", &snapshots).expect(130);

    assert!(differing.out.contains("error: the two passphrases differ"), "{}", differing.out);
    assert!(made.out.contains("made vault"), "{}", made.out);
    assert!(empty.out.contains("error: the passphrase from the terminal is empty"));
    assert!(listed.out.contains("no snapshots yet"), "{}", listed.out);
    for ran in [differing, made, empty, listed, stopped] {
        assert!(!ran.out.contains("secret"), "{}", ran.out);
    }
}

#[test]
fn progress_goes_to_standard_error_alone() {
    let world = World::with_vault();
    let (mut child, input) = waiting_backup(&world);
    drop(input);
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{err}");
    assert!(out.contains("snapshot") && !out.contains("progress"), "{out}");
    assert!(err.contains("\"progress\":"), "{err}");
}

/// A run of the program that writes `begun` when it is where a signal is to find it.
fn begun(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command();
    command.args(["--key", "owner.key"]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    while !world.path("begun").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn ended(mut child: Child, code: i32) -> String {
    let sent = Instant::now();
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(code));
    // A second and what a busy machine adds to it.
    assert!(sent.elapsed() < Duration::from_secs(5), "{:?}", sent.elapsed());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

#[test]
fn a_signal_stops_a_hook_and_the_work_after_it() {
    let world = World::with_vault();
    let before = ["--before", "touch begun; exec sleep 100"];
    let failed = ["--on-failure", "echo $STRONGROOM_EXIT >told"];
    let said = ended(begun(&world, &[&["backup", "tree"], &before[..], &failed].concat()), 130);
    assert!(said.contains("error: stopped by SIGINT"), "{said}");
    assert_eq!(std::fs::read_to_string(world.path("told")).unwrap(), "130\n");
    assert_eq!(world.json(&["snapshots"])["snapshots"], serde_json::json!([]));
}

#[test]
fn a_signal_after_the_work_says_that_the_work_is_done() {
    let world = World::with_vault();
    let after = ["--after", "touch begun; exec sleep 100"];
    let said = ended(begun(&world, &[&["backup", "tree"], &after[..]].concat()), 130);
    assert!(said.contains("warning: the --after command was stopped"), "{said}");
    assert_eq!(world.json(&["snapshots"])["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn a_signal_stops_a_command_that_is_backed_up() {
    let world = World::with_vault();
    let command = ["--stdin-from-command", "--", "sh", "-c", "touch begun; exec sleep 100"];
    let said = ended(begun(&world, &[&["backup"], &command[..]].concat()), 130);
    assert!(said.contains("hint: no snapshot was made, and nothing was stored"), "{said}");
    world.run(&["backup", "tree"]).expect(0);
}

#[test]
fn a_signal_is_heard_while_something_takes_its_time() {
    let world = World::with_vault();
    // At this level a few megabytes take seconds.
    let words = (0..900_000u32).map(|n| n.wrapping_mul(n) % 100_003);
    let text: String = words.map(|word| format!("{word:x} ")).collect();
    world.write("tree/long", &text);
    let slow = ["--compression", "max", "--before", "touch begun"];
    let failed = ["--on-failure", "echo $STRONGROOM_EXIT >told"];
    let said = ended(begun(&world, &[&["backup", "tree"], &slow[..], &failed].concat()), 130);
    assert!(said.contains("error: stopped by SIGINT\nhint: no"), "{said}");
    assert_eq!(std::fs::read_to_string(world.path("told")).unwrap(), "130\n");
    assert_eq!(world.json(&["snapshots"])["snapshots"], serde_json::json!([]));
    world.run(&["backup", "tree"]).expect(0);
}
