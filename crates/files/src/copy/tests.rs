//! What a copy must bring over, and what it must not read, store or hide.
//!
//! The target has keys of its own and much shorter chunks, so nothing of the source's sealing,
//! names or cuts can be carried over. DESIGN.md §7, §10.

mod hurt;
mod rights;

use crypto::SeededEntropy;
use places::MemoryPlace;
use vault::{SnapshotStanding, TagEdit};

use super::*;
use crate::testing::{Reads, World, described, vault_of_small_chunks};
use crate::{BackupOptions, Quiet, RestoreOptions, backup, restore};

/// Bytes that do not compress.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    crypto::Entropy::fill(&SeededEntropy::new(seed), &mut bytes);
    bytes
}

fn other_vault(seed: u64) -> Vault {
    vault_of_small_chunks(&MemoryPlace::new(), seed)
}

/// Copies all live snapshots.
fn copy_all(source: &mut Vault, target: &mut Vault, progress: &dyn Progress) -> Vec<CopyOutcome> {
    let chosen = live(source);
    let mut copier = Copier::new(source, target, CopyOptions::default()).unwrap();
    let plan = copier.plan(&chosen).unwrap();
    let copied = plan.missing.iter().map(|s| copier.copy(s, progress, &Cancel::new()).unwrap());
    copied.collect()
}

/// The same, where nothing is refused and nothing lacks.
fn copy_whole(source: &mut Vault, target: &mut Vault) -> Vec<CopiedSnapshot> {
    let copied = copy_all(source, target, &Quiet).into_iter().map(|outcome| match outcome {
        CopyOutcome::Copied(copied) => {
            assert!(copied.problems.is_empty(), "{:?}", copied.problems);
            *copied
        }
        CopyOutcome::Refused(refused) => panic!("{refused:?}"),
    });
    copied.collect()
}

fn live(vault: &mut Vault) -> Vec<Snapshot> {
    let mut snapshots = vault.snapshots().unwrap();
    snapshots.retain(|snapshot| snapshot.standing == SnapshotStanding::Live);
    snapshots
}

fn restored(
    world: &World,
    vault: &mut Vault,
    snapshot: &Snapshot,
) -> std::collections::BTreeMap<std::path::PathBuf, String> {
    let options = RestoreOptions { path: world.path(""), ..RestoreOptions::new(world.target()) };
    let reader = vault.reader().unwrap();
    let report = restore(&reader, snapshot, &options, &Quiet, &Cancel::new()).unwrap();
    assert!(report.damaged.is_empty(), "{:?}", report.damaged);
    let files = described(&world.target());
    std::fs::remove_dir_all(world.target()).unwrap();
    files
}

/// All below the source: the folders above it are other tests' too, and change.
fn listed(world: &World, vault: &mut Vault, snapshot: &Snapshot) -> Vec<crate::ListedEntry> {
    let (reader, path) = (vault.reader().unwrap(), world.path(""));
    let entries = crate::list(&reader, snapshot, &path, crate::Depth::Subtree).unwrap();
    entries.map(|entry| entry.unwrap()).collect()
}

/// A tree with some of everything.
fn varied_world() -> World {
    let world = World::new();
    world.write("small", "a few bytes");
    world.write("empty", "");
    world.write("folder/long", noise(1, 1 << 20));
    // More than fits into an entry, here and at the target.
    world.write("folder/longer", noise(2, 12 << 20));
    world.write("folder/below/same as small", "a few bytes");
    let path = |name: &str| world.source().join(name);
    std::fs::hard_link(path("folder/long"), path("other name")).unwrap();
    std::os::unix::fs::symlink("small", path("link")).unwrap();
    let sparse = std::fs::File::create(path("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, &noise(3, 70_000), 500_000).unwrap();
    let name = "user.note";
    let _ = rustix::fs::fsetxattr(&sparse, name, &[7; 600], rustix::fs::XattrFlags::empty());
    world
}

#[test]
fn what_is_restored_from_a_copy_is_what_was_backed_up() {
    let (mut world, mut target) = (varied_world(), other_vault(41));
    let options = BackupOptions { tags: vec!["nightly".into()], ..world.options() };
    world.backup_with(&options, &Quiet).unwrap();
    let original = world.latest();

    let copied = copy_whole(&mut world.vault, &mut target);

    let copy = target.snapshot(copied[0].snapshot.unwrap()).unwrap();
    assert_eq!(restored(&world, &mut target, &copy), described(&world.source()));
    let (is, was) = (copy.descriptor.as_ref().unwrap(), original.descriptor.as_ref().unwrap());
    assert_eq!((&is.name, &is.paths, is.counts), (&was.name, &was.paths, was.counts));
    assert_eq!((is.start, is.end, copy.claimed), (was.start, was.end, original.claimed));
    assert_eq!(copy.tags, ["nightly"], "marks are no tags");
    let vault = world.vault.config().vault;
    assert_eq!(copy.origins(), [Origin { vault, snapshot: original.id }]);
}

#[test]
fn a_copy_has_the_chunks_that_a_backup_into_the_target_makes() {
    let (mut world, mut target) = (varied_world(), other_vault(42));
    world.backup();
    let options = world.options();
    backup(&mut target, &options, &Quiet, &Cancel::new()).unwrap();
    let own = live(&mut target).pop().unwrap();

    let copied = copy_whole(&mut world.vault, &mut target).pop().unwrap();

    let copy = target.snapshot(copied.snapshot.unwrap()).unwrap();
    assert_eq!(listed(&world, &mut target, &copy), listed(&world, &mut target, &own));
    let new = copied.counts.bytes_new;
    assert!(new < 16 << 10, "only a descriptor, and a leaf at most, is new: {new} bytes");
    assert_eq!(copied.counts.bytes_known, copied.counts.bytes_read);
}

#[test]
fn a_second_copy_copies_nothing_and_a_later_one_only_what_is_new() {
    let (mut world, mut target) = (varied_world(), other_vault(43));
    world.backup();
    copy_whole(&mut world.vault, &mut target);
    assert!(copy_all(&mut world.vault, &mut target, &Quiet).is_empty());

    world.backup();
    let later = copy_whole(&mut world.vault, &mut target);

    assert_eq!(later.len(), 1);
    assert_eq!(later[0].source, world.latest().id);
    assert_eq!(later[0].counts.bytes_read, 0);
    assert_eq!(live(&mut target).len(), 2);
}

#[test]
fn what_did_not_change_since_the_copy_before_is_not_read() {
    let (mut world, mut target) = (varied_world(), other_vault(44));
    world.backup();
    let first = copy_whole(&mut world.vault, &mut target).pop().unwrap();
    world.write("added", "new bytes");
    world.write("small", "other bytes");
    std::fs::remove_file(world.source().join("empty")).unwrap();
    // Its content stays, its entry does not.
    let long = std::fs::File::open(world.source().join("folder/longer")).unwrap();
    long.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    world.backup();
    let reads = Reads::default();

    let outcome = copy_all(&mut world.vault, &mut target, &reads).pop().unwrap();

    let CopyOutcome::Copied(copied) = outcome else { panic!("{outcome:?}") };
    assert_eq!(copied.base, first.snapshot);
    assert_eq!(reads.names(), ["added", "small"]);
    let copy = target.snapshot(copied.snapshot.unwrap()).unwrap();
    assert_eq!(restored(&world, &mut target, &copy), described(&world.source()));
    // The entries are those that reading everything makes.
    let mut afresh = vault_of_small_chunks(&MemoryPlace::new(), 44);
    let options = world.options();
    backup(&mut afresh, &options, &Quiet, &Cancel::new()).unwrap();
    let own = live(&mut afresh).pop().unwrap();
    assert_eq!(listed(&world, &mut target, &copy), listed(&world, &mut afresh, &own));
}

#[test]
fn snapshots_of_one_source_are_copied_oldest_first_whatever_their_order() {
    let (mut world, mut target) = (World::new(), other_vault(45));
    for round in 0..3 {
        world.write(&format!("file {round}"), noise(round, 1000));
        world.backup();
    }
    let mut chosen = live(&mut world.vault);
    chosen.reverse();
    let mut copier = Copier::new(&mut world.vault, &mut target, CopyOptions::default()).unwrap();

    let plan = copier.plan(&chosen).unwrap();
    let reads = Reads::default();
    for snapshot in &plan.missing {
        copier.copy(snapshot, &reads, &Cancel::new()).unwrap();
    }

    assert_eq!(reads.names(), ["file 0", "file 1", "file 2"], "each is read once");
    let copies = live(&mut target);
    let origins: Vec<_> = copies.iter().map(|copy| copy.origins()[0].snapshot).collect();
    chosen.reverse();
    assert_eq!(origins, chosen.iter().map(|snapshot| snapshot.id).collect::<Vec<_>>());
}

#[test]
fn a_copy_that_was_stopped_goes_on_with_what_it_stored() {
    let (mut world, mut target) = (World::new(), other_vault(46));
    for file in 0..12 {
        world.write(&format!("file {file:02}"), noise(file, 1 << 20));
    }
    world.backup();
    let cancel = Cancel::new();
    struct StopAt<'a>(&'a Cancel);
    impl Progress for StopAt<'_> {
        fn file(&self, path: &[u8]) {
            if path.ends_with(b"10") {
                self.0.raise();
            }
        }
    }
    let chosen = live(&mut world.vault);
    let read_threads = std::num::NonZeroUsize::new(1);
    let options = CopyOptions { read_threads, ..CopyOptions::default() };
    let mut copier = Copier::new(&mut world.vault, &mut target, options).unwrap();

    let stopped = copier.copy(&chosen[0], &StopAt(&cancel), &cancel);

    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(live(&mut target).is_empty());
    let copied = copy_whole(&mut world.vault, &mut target).pop().unwrap();
    let (all, new) = (12 << 20, copied.counts.bytes_new);
    assert!(new < all - (7 << 20), "two full packs of 4 MiB were kept: {new} bytes are new");
    let copy = live(&mut target).pop().unwrap();
    assert_eq!(restored(&world, &mut target, &copy), described(&world.source()));
}

#[test]
fn a_dry_run_stores_nothing_and_counts_what_two_snapshots_share_once() {
    let mut world = World::new();
    world.write("a", noise(1, 300_000));
    world.backup();
    world.write("b", noise(2, 100_000));
    world.backup();
    let place = MemoryPlace::new();
    let mut target = vault_of_small_chunks(&place, 47);
    let before = target.ledger().state().head();
    let chosen = live(&mut world.vault);
    let options = CopyOptions { dry_run: true, ..CopyOptions::default() };
    let mut copier = Copier::new(&mut world.vault, &mut target, options).unwrap();

    let outcomes: Vec<_> =
        chosen.iter().map(|s| copier.copy(s, &Quiet, &Cancel::new()).unwrap()).collect();

    let new = outcomes.iter().map(|outcome| match outcome {
        CopyOutcome::Copied(copied) => {
            assert_eq!(copied.snapshot, None);
            copied.counts.bytes_new
        }
        CopyOutcome::Refused(refused) => panic!("{refused:?}"),
    });
    let new: Vec<u64> = new.collect();
    assert!((300_000..310_000).contains(&new[0]), "{new:?}");
    assert!((100_000..110_000).contains(&new[1]), "{new:?}");
    target.refresh().unwrap();
    assert_eq!(target.ledger().state().head(), before);
    assert!(live(&mut target).is_empty());
}

#[test]
fn a_copy_of_a_copy_knows_both_and_nothing_comes_back_home() {
    let (mut first, mut second, mut third) = (World::new(), other_vault(48), other_vault(49));
    first.write("a", "bytes");
    first.backup();
    let original = first.latest();
    let edit = TagEdit { add: vec!["kept".into()], ..TagEdit::default() };
    first.vault.tag(original.id, &edit).unwrap();

    let in_second = copy_whole(&mut first.vault, &mut second).pop().unwrap().snapshot.unwrap();
    copy_whole(&mut second, &mut third);

    let copy = live(&mut third).pop().unwrap();
    let mut expected = vec![
        Origin { vault: first.vault.config().vault, snapshot: original.id },
        Origin { vault: second.config().vault, snapshot: in_second },
    ];
    expected.sort();
    assert_eq!(copy.origins(), expected);
    assert_eq!(copy.tags, ["kept"], "tags in force are copied");
    assert!(copy_all(&mut third, &mut first.vault, &Quiet).is_empty(), "the original is there");
    assert!(copy_all(&mut first.vault, &mut third, &Quiet).is_empty(), "its copy is there");
}
