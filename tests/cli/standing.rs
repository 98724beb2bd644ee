//! A vault that was rolled back, whose ledger is broken, or whose packs are damaged.
//!
//! Reading goes on and says so, adding is refused, and the owner can mend a break.

use crate::world::World;

fn copy(world: &World, from: &str, to: &str) {
    let _ = std::fs::remove_dir_all(world.path(to));
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([world.path(from), world.path(to)])
        .status();
    assert!(status.unwrap().success());
}

fn record(number: u64) -> String {
    format!("vault/ledger/{number:016x}")
}

#[test]
fn a_roll_back_is_said_and_ends_with_four() {
    let world = World::with_vault();
    world.run(&["backup", "tree"]).expect(0);
    copy(&world, "vault", "older");
    world.run(&["backup", "tree"]).expect(0);
    copy(&world, "older", "vault");

    for reading in [&["snapshots"][..], &["ls", "latest"], &["ledger", "verify"], &["verify"]] {
        let ran = world.run(reading).expect(4);
        assert!(ran.err.contains("warning: the ledger was rolled back"), "{}", ran.err);
        assert!(ran.err.contains("hint: bring the newest records back"), "{}", ran.err);
        assert!(!ran.out.is_empty());
    }
    let refused = world.run(&["backup", "tree"]).expect(4);
    assert!(refused.err.contains("error: the ledger was rolled back"), "{}", refused.err);
    let exported = world.run(&["key", "export", "--role", "writer", "--output", "w.key"]).expect(4);
    assert!(exported.err.contains("hint: "), "{}", exported.err);
    assert!(!world.path("w.key").exists());
}

#[test]
fn a_missing_record_ends_with_seven_until_the_owner_mends_it() {
    let world = World::with_vault();
    world.run(&["backup", "tree"]).expect(0);
    world.run(&["backup", "tree"]).expect(0);
    std::fs::remove_file(world.path(&record(3))).unwrap();
    // Without the state that this host keeps, as on another host.
    std::fs::remove_dir_all(world.path("home")).unwrap();

    let reading = world.run(&["ledger", "log"]).expect(7);
    let refused = world.run(&["backup", "tree"]).expect(7);
    let planned = world.run(&["ledger", "mend", "--dry-run"]).expect(7);
    world.run(&["ledger", "mend"]).expect(0);

    assert!(reading.err.contains("warning: the ledger is broken: record 3"), "{}", reading.err);
    assert!(refused.err.contains("ledger mend"), "{}", refused.err);
    assert!(planned.out.contains("would mend"), "{}", planned.out);
    world.run(&["ledger", "verify"]).expect(0);
    world.run(&["backup", "tree"]).expect(0);
}

#[test]
fn damage_names_the_files_that_it_hurts() {
    let world = World::with_vault();
    world.write("tree/large", &"0123456789abcdef".repeat(5000));
    world.run(&["backup", "tree", "--compression", "none"]).expect(0);
    let packs = std::process::Command::new("find")
        .args([world.path("vault/packs")])
        .args(["-type", "f", "-size", "+64k"])
        .output();
    let packs = String::from_utf8(packs.unwrap().stdout).unwrap();
    let pack = packs.lines().next().unwrap();
    let mut bytes = std::fs::read(pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(pack).unwrap();
    std::fs::write(pack, bytes).unwrap();

    let verified = world.run(&["verify", "--data"]).expect(4);
    let keyless = world.run(&["verify", "--no-key"]).expect(4);
    let restored = world.run(&["restore", "latest", "--to", "out"]).expect(4);

    for ran in [&verified, &restored] {
        assert!(ran.err.contains("/tree/large"), "{}", ran.err);
        assert!(ran.err.contains("hint: "), "{}", ran.err);
    }
    assert!(keyless.err.contains("packs/"), "{}", keyless.err);
}

/// Changes the middle byte of each object below a folder of the vault that `is_meant`.
fn damage(world: &World, folder: &str, is_meant: impl Fn(&[u8]) -> bool) -> usize {
    let files =
        std::process::Command::new("find").arg(world.path(folder)).args(["-type", "f"]).output();
    let files = String::from_utf8(files.unwrap().stdout).unwrap();
    let mut count = 0;
    for file in files.lines() {
        let mut bytes = std::fs::read(file).unwrap();
        if is_meant(&bytes) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::remove_file(file).unwrap();
            std::fs::write(file, bytes).unwrap();
            count += 1;
        }
    }
    count
}

#[test]
fn a_damaged_snapshot_is_listed_and_says_why_it_cannot_be_read() {
    let world = World::with_vault();
    world.run(&["backup", "tree"]).expect(0);
    copy(&world, "vault/packs", "whole");
    world.write("tree/new.txt", "second\n");
    world.run(&["backup", "tree"]).expect(0);
    let old = std::process::Command::new("find").arg(world.path("whole")).output().unwrap();
    let old = String::from_utf8(old.stdout).unwrap();
    let is_new = |bytes: &[u8]| {
        !old.lines().any(|path| std::fs::read(path).is_ok_and(|whole| whole == bytes))
    };
    assert!(damage(&world, "vault/packs", is_new) > 0);
    std::fs::remove_dir_all(world.path("home/cache")).unwrap();

    let listed = world.run(&["snapshots"]).expect(4);
    let json = world.run(&["snapshots", "--json"]).expect(4);
    let newest = world.run(&["ls", "latest"]).expect(4);
    let restored = world.run(&["restore", "latest", "--to", "out"]).expect(4);
    let named = world.run(&["ls", "latest:host"]).expect(4);

    assert!(listed.out.contains("(by host; damaged)"), "{}", listed.out);
    for ran in [&listed, &newest, &restored] {
        assert!(ran.err.contains(" is damaged: "), "{}", ran.err);
        assert!(ran.err.contains("hint: `strongroom verify`"), "{}", ran.err);
    }
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(json["snapshots"][0].get("problem").is_none(), "{json}");
    assert!(json["snapshots"][1]["problem"].is_string(), "{json}");
    // The older one is shown, and that a newer one may have been meant.
    assert!(!named.out.is_empty() && named.err.contains("is newer and damaged"), "{}", named.err);
}

#[test]
fn an_index_run_that_was_passed_over_is_said() {
    let world = World::with_vault();
    world.run(&["backup", "tree"]).expect(0);
    assert!(damage(&world, "vault/index", |_| true) > 0);
    std::fs::remove_dir_all(world.path("home/cache")).unwrap();

    let listed = world.run(&["snapshots"]);
    let verified = world.run(&["verify"]).expect(4);

    assert!(listed.err.contains("warning: what this run lists is not found"), "{}", listed.err);
    // Each damaged object is named once.
    let twice = |line: &str| line.split("index/").nth(2).is_some();
    let damaged = verified.err.lines().filter(|line| line.starts_with("warning: index/"));
    assert!(damaged.clone().count() > 0 && !damaged.into_iter().any(twice), "{}", verified.err);
    assert!(listed.err.contains("hint: "), "{}", listed.err);
}

#[test]
fn a_first_contact_is_said_once() {
    let world = World::with_vault();
    std::fs::remove_dir_all(world.path("home")).unwrap();
    let first = world.run(&["snapshots"]).expect(0);
    let second = world.run(&["snapshots"]).expect(0);
    assert!(first.err.contains("note: no earlier head"), "{}", first.err);
    assert_eq!(second.err, "");
}

#[test]
fn without_a_home_it_goes_on_and_says_so() {
    let world = World::with_vault();
    let mut command = world.command();
    command.env_remove("HOME").env_remove("XDG_CACHE_HOME").env("XDG_STATE_HOME", "/proc/none");
    command.args(["--key", "owner.key", "backup", "tree"]);
    let ran = crate::world::Ran::of(&mut command).expect(0);
    assert!(ran.err.contains("going on without a memory of what was seen"), "{}", ran.err);
}
