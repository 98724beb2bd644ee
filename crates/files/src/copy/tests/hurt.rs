//! A source that is damaged: what can be read is copied, and what cannot is named.
//!
//! Packs are taken away, as a lost disk would; the source is opened anew, so nothing is remembered.
//! DESIGN.md §15.

use places::Place;

use super::*;
use crate::list::find;
use format::{ChunkKind, ChunkRef, Content, VaultNames};

/// Takes away the pack that holds the first chunk of a file in the newest snapshot.
fn lose_content(world: &mut World, name: &str) {
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let found = find(&reader, &snapshot, &world.path(name)).unwrap();
    let Content::Chunks(chunks) = found.entry.content else { panic!("{name} has many chunks") };
    let chunk = ChunkRef { kind: ChunkKind::Content, id: chunks[0].0 };
    let pack = reader.locate(snapshot.domain, chunk).unwrap().unwrap().pack;
    world.place.delete(&VaultNames::pack(&pack)).unwrap();
}

fn problems(copied: &CopiedSnapshot) -> Vec<&[u8]> {
    copied.problems.named().iter().map(|problem| &problem.path[..]).collect()
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_all_others_are_copied() {
    let (mut world, mut target) = (World::new(), other_vault(51));
    world.write("whole", noise(1, 100_000));
    world.backup();
    world.write("hurt", noise(2, 300_000));
    world.backup();
    lose_content(&mut world, "hurt");
    world.vault = world.opened_at(&world.place, 9);

    let outcomes = copy_all(&mut world.vault, &mut target, &Quiet);

    let [CopyOutcome::Copied(first), CopyOutcome::Copied(second)] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert!(first.problems.is_empty());
    assert_eq!(problems(second), [world.path("hurt")]);
    let copy = target.snapshot(second.snapshot.unwrap()).unwrap();
    let counts = copy.descriptor.as_ref().unwrap().counts;
    assert_eq!((counts.files, counts.bytes, counts.unreadable), (1, 100_000, 1));
    let reader = target.reader().unwrap();
    assert!(find(&reader, &copy, &world.path("whole")).is_ok());
    assert!(find(&reader, &copy, &world.path("hurt")).is_err());
}

#[test]
fn what_a_copy_lacks_is_copied_again_once_the_source_is_whole_and_the_copy_forgotten() {
    let (mut world, mut target) = (World::new(), other_vault(52));
    world.write("file", noise(1, 100_000));
    world.backup();
    let whole = world.place.snapshot();
    lose_content(&mut world, "file");
    world.vault = world.opened_at(&world.place, 9);
    copy_all(&mut world.vault, &mut target, &Quiet);
    let lacking = live(&mut target).pop().unwrap();
    assert!(copy_all(&mut world.vault, &mut target, &Quiet).is_empty(), "it is there");

    world.place.restore(&whole);
    target.forget(&[lacking.id]).unwrap();
    let again = copy_whole(&mut world.vault, &mut target);

    assert_eq!(again.len(), 1);
    assert_eq!(again[0].base, None, "a copy that lacks files is none to build on");
    let copy = live(&mut target).pop().unwrap();
    assert_eq!(restored(&world, &mut target, &copy), described(&world.source()));
}

#[test]
fn a_snapshot_whose_tree_is_gone_is_refused_and_the_next_is_copied() {
    let (mut world, mut target) = (World::new(), other_vault(53));
    world.write("a", "one");
    world.backup();
    let snapshot = world.latest();
    let root = snapshot.descriptor.as_ref().unwrap().root_ref();
    let reader = world.vault.reader().unwrap();
    let pack = reader.locate(snapshot.domain, root).unwrap().unwrap().pack;
    let other = BackupOptions { name: "other".into(), force: true, ..world.options() };
    world.write("b", "two");
    world.backup_with(&other, &Quiet).unwrap();
    let mut chosen = live(&mut world.vault);
    world.place.delete(&VaultNames::pack(&pack)).unwrap();
    world.vault = world.opened_at(&world.place, 9);
    // Its descriptor lay in that pack too, and was read before.
    chosen.sort_by_key(|snapshot| snapshot.seq);
    let mut copier = Copier::new(&mut world.vault, &mut target, CopyOptions::default()).unwrap();

    let outcomes: Vec<_> =
        chosen.iter().map(|s| copier.copy(s, &Quiet, &Cancel::new()).unwrap()).collect();

    let [CopyOutcome::Refused(refused), CopyOutcome::Copied(copied)] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(refused.source, snapshot.id);
    assert!(refused.is_damaged && refused.reason.contains(&pack.to_string()), "{refused:?}");
    assert!(copied.problems.is_empty());
}

#[test]
fn a_source_that_is_gone_as_a_whole_is_no_damage_of_files() {
    let (mut world, mut target) = (World::new(), other_vault(54));
    world.write("file", noise(1, 300_000));
    world.backup();
    let chosen = live(&mut world.vault);
    let mut copier = Copier::new(&mut world.vault, &mut target, CopyOptions::default()).unwrap();
    world.place.restore(&MemoryPlace::new().snapshot());

    let outcome = copier.copy(&chosen[0], &Quiet, &Cancel::new());

    assert!(!matches!(outcome, Ok(CopyOutcome::Copied(_))), "{outcome:?}");
    assert!(live(&mut target).is_empty());
}
