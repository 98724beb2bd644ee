//! A backup host adds, incrementally, and can open nothing: not even its own old backups.
//!
//! What it may see of its own metadata comes from its cache, and is gone with it.

use crate::world::World;

fn source(world: &World) -> String {
    let source = world.path("source");
    std::fs::create_dir_all(source.join("folder")).unwrap();
    std::fs::write(source.join("folder/file"), b"what the host must not read again").unwrap();
    world.text("source")
}

#[test]
fn a_writer_backs_up_incrementally_and_the_owner_restores_it() {
    let world = World::new();
    let source = source(&world);
    world.run("writer", &["backup", &source]).expect(0);
    let records = |world: &World| std::fs::read_dir(world.path("vault/ledger")).unwrap().count();
    let before = records(&world);

    let again = world.run("writer", &["backup", &source, "--json"]).expect(0);

    assert_eq!(records(&world), before + 2, "an unchanged backup appends open and commit");
    assert!(again.out.contains("\"files_new\":0"), "{}", again.out);
    let target = world.text("target");
    world.run("owner", &["restore", &format!("latest:web-1:{source}"), "--to", &target]).expect(0);
    let restored = std::fs::read(world.path("target/folder/file")).unwrap();
    assert_eq!(restored, b"what the host must not read again");
}

#[test]
fn a_writer_reads_no_content_makes_no_member_and_mends_nothing() {
    let world = World::new();
    let source = source(&world);
    world.run("writer", &["backup", &source]).expect(0);
    let file = format!("latest:web-1:{source}/folder/file");
    let (target, key) = (world.text("target"), world.text("new.key"));
    for arguments in [
        &["cat", &file][..],
        &["restore", "latest:web-1", "--to", &target],
        &["key", "export", "--role", "owner", "--output", &key],
        &["key", "export", "--role", "writer", "--label", "x", "--output", &key],
    ] {
        let ran = world.run("writer", arguments).expect(5);
        assert!(ran.err.contains("error:") && ran.err.contains("hint:"), "{}", ran.err);
        assert!(!ran.out.contains("must not read"), "{arguments:?} printed content");
    }
    assert!(!world.path("new.key").exists());
}

#[test]
fn with_its_cache_a_writer_loses_all_sight_of_its_backups_and_still_stores_nothing_twice() {
    let world = World::new();
    let source = source(&world);
    std::fs::write(world.path("source/noise"), testkit::Forest::new(1).noise(3_000_000)).unwrap();
    world.run("writer", &["backup", &source]).expect(0);
    std::fs::remove_dir_all(world.path("writer-cache")).unwrap();

    let listed = world.run("writer", &["ls", &format!("latest:web-1:{source}")]);
    assert_ne!(listed.code, Some(0), "{}", listed.out);
    let again = world.run("writer", &["backup", &source, "--json"]).expect(0);
    let new = again.out.split("\"bytes_new\":").nth(1).unwrap();
    let new: u64 = new.split([',', '}']).next().unwrap().parse().unwrap();
    assert!(new < 10_000, "{new} bytes were stored again");
}
