//! From the first backup to the last restore, as an owner and as a writer.
//!
//! The trees are tiny; what is compared is what a user would: files, counts, records.

use std::path::Path;

use crate::world::World;

#[test]
fn what_was_backed_up_comes_back_as_it_was_then() {
    let world = World::with_vault();
    let tree = world.text("tree");
    let first = world.json(&["backup", "tree"]);
    assert_eq!((&first["files_new"], &first["folders"].is_u64()), (&2.into(), &true));
    copy(&world.path("tree"), &world.path("then"));
    world.write("tree/a.txt", "second, and longer\n");
    world.write("tree/c.txt", "new\n");
    std::fs::remove_file(world.path("tree/link")).unwrap();
    let second = world.json(&["backup", "tree"]);
    assert_eq!(second["base"], first["snapshot"]);
    assert_eq!(second["files_new"], 1);

    let first = first["snapshot"].as_str().unwrap();
    world.run(&["restore", &format!("{}:{tree}", &first[..8]), "--to", "old"]).expect(0);
    world.run(&["restore", "latest", "--to", "new"]).expect(0);

    assert_eq!(describe(&world.path("old")), describe(&world.path("then")));
    let restored = world.path("new").join(tree.trim_start_matches('/'));
    assert_eq!(describe(&restored), describe(&world.path("tree")));
    let cat = world.run(&["cat", &format!("{first}:{tree}/a.txt")]).expect(0);
    assert_eq!(cat.out, "first\n");
    let listed = world.run(&["ls", "--recursive", &format!("latest:{tree}")]).expect(0);
    let names: Vec<_> = listed.out.lines().map(|l| l.trim_start_matches(&tree)).collect();
    assert_eq!(names, ["/a.txt", "/below", "/c.txt", "/below/b.txt"]);
    for depth in [&["verify"][..], &["verify", "--data"], &["verify", "--no-key"]] {
        let verified = world.run(depth).expect(0);
        assert!(verified.out.contains("no damage found"), "{}", verified.out);
    }
}

#[test]
fn a_writer_adds_in_two_records_and_reads_nothing_back() {
    let world = World::with_vault();
    world
        .run(&["key", "export", "--role", "writer", "--label", "web", "--output", "web.key"])
        .expect(0);
    // A file that changed a moment before its backup is read again by the next one.
    wait_past_the_young();
    world.run_as("web.key", &["backup", "tree"]).expect(0);
    let records = |world: &World| world.json(&["ledger", "head"])["seq"].as_u64().unwrap();
    let before = records(&world);

    let again = world.run_as("web.key", &["backup", "tree", "--json"]).expect(0);

    let again: serde_json::Value = serde_json::from_str(again.out.trim()).unwrap();
    assert_eq!((&again["files_unchanged"], &again["bytes_read"]), (&2.into(), &0.into()));
    assert_eq!(again["name"], "web");
    assert_eq!(records(&world), before + 2);
    let file = format!("latest:{}/a.txt", world.text("tree"));
    for refused in [&["restore", "latest", "--to", "out"][..], &["cat", &file]] {
        let ran = world.run_as("web.key", refused).expect(5);
        assert!(ran.err.contains("error: ") && ran.err.contains("hint: "), "{}", ran.err);
        assert!(!world.path("out").exists());
    }
    world.run(&["restore", "latest:web", "--to", "out"]).expect(0);
}

#[test]
fn the_name_of_another_member_is_not_followed() {
    let world = World::with_vault();
    for (label, key) in [("web", "web.key"), ("thief", "thief.key")] {
        let export = ["key", "export", "--role", "writer", "--label", label, "--output", key];
        world.run(&export).expect(0);
    }
    world.run_as("web.key", &["backup", "tree"]).expect(0);
    world.write("tree/a.txt", "slipped in\n");
    world.run_as("thief.key", &["backup", "tree", "--name", "web"]).expect(0);

    let file = format!("latest:web:{}/a.txt", world.text("tree"));
    let cat = world.run(&["cat", &file]).expect(0);
    let listed = world.run(&["snapshots"]).expect(0);

    assert_eq!(cat.out, "first\n");
    assert!(listed.out.contains("web (by thief)"), "{}", listed.out);
}

#[test]
fn a_source_that_vanished_makes_an_incomplete_snapshot() {
    let world = World::with_vault();
    let ran = world.run(&["backup", "tree", "gone"]).expect(3);
    assert!(ran.err.contains("gone") && ran.err.contains("hint: "), "{}", ran.err);
    world.run(&["cat", &format!("latest:{}/a.txt", world.text("tree"))]).expect(0);
}

#[test]
fn excluded_files_are_left_out_and_included_ones_come_back() {
    let world = World::with_vault();
    world.write("tree/keep.log", "kept\n");
    world.write("tree/drop.log", "dropped\n");
    world.write("patterns", "# logs\n*.log\n!keep.log\n");
    world.run(&["backup", "tree", "--exclude-file", "patterns", "--exclude", "below/"]).expect(0);
    let tree = world.text("tree");
    let listed = world.run(&["ls", "-R", &format!("latest:{tree}")]).expect(0);
    let names: Vec<_> = listed.out.lines().map(|l| l.trim_start_matches(&tree)).collect();
    assert_eq!(names, ["/a.txt", "/keep.log", "/link"]);
}

#[test]
fn a_collector_forgets_by_policy_restores_nothing_and_a_reader_brings_it_back() {
    let world = World::with_vault();
    for (role, key) in [("collector", "collector.key"), ("reader", "reader.key")] {
        world.run(&["key", "export", "--role", role, "--label", role, "--output", key]).expect(0);
    }
    let made: Vec<_> = (0..4)
        .map(|_| world.json(&["backup", "tree"])["snapshot"].as_str().unwrap().to_owned())
        .collect();
    world.run_as("reader.key", &["hold", &made[0]]).expect(0);
    let live = |world: &World| -> Vec<String> {
        let listed = world.json(&["snapshots"]);
        let ids = listed["snapshots"].as_array().unwrap().iter();
        ids.map(|snapshot| snapshot["id"].as_str().unwrap().to_owned()).collect()
    };
    let policy = ["forget", "--keep-last", "1"];

    let told = world.run_as("collector.key", &[&policy[..], &["--dry-run"]].concat()).expect(0);
    assert_eq!(told.out.matches("would forget").count(), 2, "{}", told.out);
    assert_eq!(live(&world), made, "a dry run does nothing");
    let done = world.run_as("collector.key", &policy).expect(0);
    assert!(done.out.contains("held") && done.out.contains("forget --undo ID"), "{}", done.out);
    assert_eq!(live(&world), [made[0].clone(), made[3].clone()]);

    world.run_as("collector.key", &["restore", &made[1], "--to", "out"]).expect(5);
    world.run_as("collector.key", &["forget", "--undo", &made[1]]).expect(5);
    world.run_as("collector.key", &["forget", &made[0]]).expect(7);
    world.run_as("reader.key", &["forget", &made[3]]).expect(5);
    world.run(&["restore", &made[1], "--to", "out"]).expect(0);
    world.run_as("reader.key", &["forget", "--undo", &made[1], &made[2]]).expect(0);
    assert_eq!(live(&world), made);
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

/// Every entry below a folder: what it is and what it holds.
fn describe(folder: &Path) -> String {
    let script = "cd \"$0\" && find . -printf '%y %m %U:%G %T@ %p %l\\n' | sort && \
        find . -type f -exec md5sum {} + | sort";
    let output = std::process::Command::new("sh").args(["-c", script]).arg(folder).output();
    let output = output.unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn wait_past_the_young() {
    std::thread::sleep(std::time::Duration::from_millis(2100));
}
