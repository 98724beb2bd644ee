//! Damage, from its discovery to its repair by the next backup.
//!
//! A pack is damaged or goes missing; verification says what it hurts and notes it as lost; the
//! next backup stores those chunks again; what is restored then is the source.

use std::path::{Path, PathBuf};

use crate::world::World;

/// The packs of the vault, the largest first.
fn packs(world: &World) -> Vec<PathBuf> {
    let mut packs: Vec<PathBuf> = folders(&world.path("vault/packs")).collect();
    packs.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).unwrap().len()));
    packs
}

fn folders(packs: &Path) -> impl Iterator<Item = PathBuf> {
    let fans = std::fs::read_dir(packs).unwrap().map(|fan| fan.unwrap().path());
    fans.flat_map(|fan| std::fs::read_dir(fan).unwrap().map(|pack| pack.unwrap().path()))
}

fn flip_middle(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Backs up a tree that no backup will look into again, unless it must.
fn world_with_old_files() -> World {
    let world = World::with_vault();
    world.write("tree/large", &"0123456789abcdef".repeat(20_000));
    // Files that changed a moment ago are read again anyway.
    let old = std::process::Command::new("find")
        .args([world.path("tree").as_os_str(), "-exec".as_ref()])
        .args(["touch", "-h", "-d", "2020-01-01", "{}", "+"])
        .status();
    assert!(old.unwrap().success());
    std::thread::sleep(std::time::Duration::from_millis(2100));
    world.run(&["backup", "tree", "--compression", "none"]).expect(0);
    world
}

fn assert_restored(world: &World) {
    let out = format!("out-{}", std::fs::read_dir(world.path("")).unwrap().count());
    let inside = format!("latest:{}", world.text("tree"));
    world.run(&["restore", &inside, "--to", &out]).expect(0);
    let differences = std::process::Command::new("diff")
        .arg("-r")
        .args([world.path("tree"), world.path(&out)])
        .output()
        .unwrap();
    assert!(differences.status.success(), "{}", String::from_utf8_lossy(&differences.stdout));
}

#[test]
fn the_next_backup_stores_again_what_a_damaged_pack_held() {
    let world = world_with_old_files();
    let pack = packs(&world).remove(0);
    flip_middle(&pack);

    let found = world.run(&["verify", "--data"]).expect(4);
    assert!(found.err.contains("/tree/large"), "{}", found.err);
    assert!(found.out.contains("noted as lost: 1 pack"), "{}", found.out);
    let again = world.run(&["verify", "--data"]).expect(4);
    assert!(!again.out.contains("noted as lost"), "{}", again.out);

    world.run(&["backup", "tree"]).expect(0);

    let healed = world.run(&["verify", "--data"]).expect(0);
    assert!(healed.out.contains("1 lost pack: nothing needs"), "{}", healed.out);
    assert_restored(&world);
}

#[test]
fn the_next_backup_stores_again_what_a_missing_pack_held() {
    for number in 0..2 {
        let world = world_with_old_files();
        std::fs::remove_file(packs(&world).remove(number)).unwrap();

        world.run(&["verify"]).expect(4);
        world.run(&["backup", "tree"]).expect(0);

        // The first snapshot's own descriptor may be what was lost: that one stays hurt.
        let newest = world.json(&["snapshots"])["snapshots"][1]["id"].as_str().unwrap().to_owned();
        let after = world.run(&["verify", "--data", "--json"]);
        let after: serde_json::Value = serde_json::from_str(&after.out).unwrap();
        let hurt = after["hurt_snapshots"].as_array().unwrap();
        assert!(!hurt.iter().any(|id| id.as_str() == Some(newest.as_str())), "{after}");
        assert_restored(&world);
    }
}

#[test]
fn a_pack_that_comes_back_is_found_again() {
    let world = world_with_old_files();
    let pack = packs(&world).remove(0);
    let whole = std::fs::read(&pack).unwrap();
    std::fs::remove_file(&pack).unwrap();
    world.run(&["verify"]).expect(4);
    std::fs::write(&pack, whole).unwrap();

    let found = world.run(&["verify"]).expect(0);

    assert!(found.out.contains("found again: 1 pack"), "{}", found.out);
    let log = world.run(&["ledger", "log"]).expect(0);
    assert!(log.out.contains("  lost") && log.out.contains("  found"), "{}", log.out);
}
