//! The shapes that programs read: one object, or one a line and a summary.
//!
//! Errors are objects too. Fields may be added, so only those named here are promised.

use serde_json::Value;

use crate::world::World;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_result_is_one_object_with_its_version_and_command() {
    let world = World::with_vault();
    for (command, name) in [
        (&["backup", "tree"][..], "backup"),
        (&["snapshots"], "snapshots"),
        (&["restore", "latest", "--to", "out"], "restore"),
        (&["verify"], "verify"),
        (&["verify", "--no-key"], "verify"),
        (&["hold", "latest"], "hold"),
        (&["release", "latest"], "release"),
        (&["tag", "latest", "--add", "a"], "tag"),
        (&["forget", "--keep-last", "1"], "forget"),
        (&["forget", "latest"], "forget"),
        (&["key", "list"], "key list"),
        (&["key", "export", "--role", "writer", "--output", "w.key"], "key export"),
        (&["ledger", "verify"], "ledger verify"),
        (&["ledger", "head"], "ledger head"),
    ] {
        let ran = world.run(&[command, &["--json"]].concat()).expect(0);
        assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
        let value: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&value["version"], &value["command"]), (&1.into(), &name.into()));
        assert_eq!(ran.err, "", "{name}");
    }
}

#[test]
fn listings_are_one_object_a_line_and_a_summary() {
    let world = World::with_vault();
    world.run(&["backup", "tree"]).expect(0);
    let tree = world.text("tree");

    let listed = world.run(&["ls", &format!("latest:{tree}"), "--json"]).expect(0);
    let log = world.run(&["ledger", "log", "--json"]).expect(0);

    let lines = |text: &str| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let listed = lines(&listed.out);
    assert_eq!(listed.len(), 4);
    let entry = ["gid", "group", "mode", "mtime", "path", "size", "target", "type", "uid", "user"];
    assert_eq!(keys(&listed[2]), entry);
    assert_eq!(listed[2]["target"], "a.txt");
    assert_eq!(listed[0]["type"], "file");
    assert_eq!((&listed[3]["command"], &listed[3]["entries"]), (&"ls".into(), &3.into()));
    let kinds: Vec<_> = lines(&log.out).iter().map(|l| l["kind"].clone()).collect();
    assert_eq!(
        kinds,
        ["genesis".into(), "certify".into(), "open".into(), "commit".into(), Value::Null]
    );
}

#[test]
fn a_snapshot_says_whose_it_is_and_what_of() {
    let world = World::with_vault();
    world.run(&["backup", "tree", "--tag", "b", "--tag", "a"]).expect(0);
    let listed = world.json(&["snapshots"]);
    let [snapshot] = &listed["snapshots"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!(
        keys(snapshot),
        [
            "bytes",
            "domain",
            "end",
            "files",
            "folders",
            "held",
            "id",
            "label",
            "member",
            "name",
            "name_of_another",
            "others",
            "paths",
            "seq",
            "start",
            "tags",
            "time",
            "trashed",
            "unreadable"
        ]
    );
    assert_eq!(snapshot["paths"], serde_json::json!([world.text("tree")]));
    assert_eq!(snapshot["tags"], serde_json::json!(["a", "b"]));
    assert_eq!((&snapshot["label"], &snapshot["name"]), (&"host".into(), &"host".into()));
    assert_eq!(snapshot["id"].as_str().unwrap().len(), 32);
}

#[test]
fn a_path_that_is_no_text_keeps_its_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let world = World::with_vault();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    std::fs::write(world.path("tree").join(name), "bytes").unwrap();
    world.run(&["backup", "tree"]).expect(0);

    let listed = world.run(&["ls", &format!("latest:{}", world.text("tree")), "--json"]).expect(0);

    let line = listed.out.lines().find(|line| line.contains("path_hex")).unwrap();
    let entry: Value = serde_json::from_str(line).unwrap();
    assert!(entry["path"].as_str().unwrap().ends_with("/caf\u{fffd}"));
    assert!(entry["path_hex"].as_str().unwrap().ends_with("636166e9"));
    let mut path = format!("latest:{}/", world.text("tree")).into_bytes();
    path.extend(b"caf\xe9");
    let mut cat = world.command();
    cat.args(["--key", "owner.key", "cat"]).arg(std::ffi::OsStr::from_bytes(&path));
    assert_eq!(crate::world::Ran::of(&mut cat).expect(0).out, "bytes");
}

#[test]
fn an_error_is_an_object_on_standard_error() {
    let world = World::with_vault();
    for (arguments, kind, exit) in [
        (&["ls", "latest", "--json"][..], "not-found", 1),
        (&["ls", "--bogus", "--json"], "usage", 2),
        (&["ls", "--json"], "usage", 2),
        (&["init", "--json"], "conflict", 7),
    ] {
        let ran = world.run(arguments).expect(exit);
        assert_eq!(ran.out, "");
        let value: Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(keys(&value), ["error"]);
        assert_eq!(keys(&value["error"]), ["exit", "hint", "kind", "message"]);
        assert_eq!(
            (&value["error"]["kind"], &value["error"]["exit"]),
            (&kind.into(), &exit.into())
        );
    }
}
