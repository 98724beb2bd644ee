//! A restore to disk while a pack is damaged.
//!
//! The files that the damage hurts are named and absent; all others are whole; no temporary file
//! and no wrong byte is left behind.

use std::fs;
use std::path::{Path, PathBuf};

use strongroom::{Cancel, Quiet, RestoreOptions, restore};

use crate::world::World;

#[test]
fn what_a_damaged_pack_hurts_is_named_and_all_else_is_restored() {
    let world = World::new(20);
    let whole = world.place.snapshot();
    let packs: Vec<_> =
        world.place.names().into_iter().filter(|n| n.as_str().starts_with("packs/")).collect();
    let mut hurt = 0;
    for (number, pack) in packs.iter().enumerate() {
        world.place.corrupt(pack, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let target = world.scratch(&format!("target-{number}"));
        hurt += usize::from(restore_newest(&world, &target, number));
        world.place.restore(&whole);
    }
    assert!(hurt > 0, "no pack's damage hurt any file");
}

/// Restores the newest snapshot from a new machine; whether anything was found damaged.
fn restore_newest(world: &World, target: &Path, number: usize) -> bool {
    let Ok(mut vault) = world.open(&world.place.clone(), &format!("restoring-{number}")) else {
        return true;
    };
    let Ok(snapshots) = vault.snapshots() else { return true };
    let newest = snapshots.last().expect("two snapshots were made");
    let reader = vault.reader().unwrap();
    let options = RestoreOptions::new(target);
    let Ok(report) = restore(&reader, newest, &options, &Quiet, &Cancel::new()) else {
        return true;
    };
    let expected = world.contents.iter().filter(|((id, _), _)| *id == newest.id);
    for ((_, path), (entry, content)) in expected {
        let text = String::from_utf8_lossy(path).into_owned();
        let restored = target.join(text.trim_start_matches('/'));
        let named = report.damaged.named().iter().any(|p| &p.path == path);
        match fs::read(&restored) {
            Ok(bytes) => assert_eq!(&bytes, content, "{text} holds wrong bytes"),
            Err(_) if entry.kind != strongroom::EntryKind::File => {}
            Err(_) => assert!(named, "{text} is missing and not named"),
        }
    }
    assert_eq!(left_behind(target), Vec::<PathBuf>::new());
    !report.damaged.is_empty()
}

/// Temporary files below a folder.
fn left_behind(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            let path = entry.path();
            match path.is_dir() {
                true => left_behind(&path),
                false => {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let ours = name.starts_with(".strongroom") && !name.ends_with("-restore");
                    if ours { vec![path] } else { vec![] }
                }
            }
        })
        .collect()
}
