//! What each option of a restore must hold, one by one.
//!
//! DESIGN.md §10.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::super::*;
use super::{commit_tree, entry};
use crate::Patterns;
use crate::testing::{World, described};
use format::EntryKind;

fn changed(world: &World) -> RestoreOptions {
    RestoreOptions { overwrite: Overwrite::Changed, ..world.restore_options() }
}

fn deleting(world: &World) -> RestoreOptions {
    RestoreOptions { delete: true, ..changed(world) }
}

fn names(world: &World) -> Vec<String> {
    described(&world.target()).into_keys().map(|path| path.display().to_string()).collect()
}

#[test]
fn what_the_snapshot_does_not_have_is_deleted_and_links_are_not_followed() {
    let mut world = World::new();
    world.write("kept/a", "a");
    world.write("file", "was a folder in the target");
    world.backup();
    world.restore();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("precious"), "x").unwrap();
    let target = world.target();
    std::fs::create_dir_all(target.join("foreign/deep/er")).unwrap();
    std::fs::write(target.join("foreign/deep/er/f"), "x").unwrap();
    symlink(outside.path(), target.join("foreign/link")).unwrap();
    symlink(outside.path(), target.join("kept/link")).unwrap();
    std::fs::remove_file(target.join("file")).unwrap();
    std::fs::create_dir_all(target.join("file/full")).unwrap();

    let listed = world.restore_with(&RestoreOptions { dry_run: true, ..deleting(&world) });
    let listed = listed.unwrap();
    assert!(target.join("foreign/deep/er/f").exists(), "a dry run deletes nothing");
    let report = world.restore_with(&deleting(&world)).unwrap();

    assert!(report.is_complete(), "{report:?}");
    assert_eq!(described(&world.source()), described(&target));
    assert!(outside.path().join("precious").exists());
    assert_eq!(listed.deleted.total(), 2, "{listed:?}");
    assert_eq!((listed.counts.deleted, report.counts.deleted), (6, 8), "{report:?}");
}

#[test]
fn without_being_asked_nothing_is_deleted() {
    let mut world = World::new();
    world.write("a", "a");
    world.backup();
    world.restore();
    std::fs::write(world.target().join("foreign"), "x").unwrap();
    std::fs::create_dir_all(world.target().join("sub/full")).unwrap();

    world.restore_with(&changed(&world)).unwrap();

    assert_eq!(names(&world), ["a", "foreign", "sub", "sub/full"]);
}

#[test]
fn nothing_is_deleted_in_folders_that_the_backup_only_passed_through() {
    let mut world = World::new();
    world.write("deep/inside", "x");
    world.backup();
    let whole = RestoreOptions::new(world.target());
    world.restore_with(&whole).unwrap();
    let inside = world.target().join(world.source().strip_prefix("/").unwrap());
    let above = inside.parent().unwrap().join("neighbour");
    std::fs::write(&above, "of nobody's backup").unwrap();
    std::fs::write(world.target().join("top"), "of nobody's backup").unwrap();
    std::fs::write(inside.join("deep/foreign"), "goes").unwrap();

    let options = RestoreOptions { overwrite: Overwrite::Changed, delete: true, ..whole };
    let report = world.restore_with(&options).unwrap();

    assert!(above.exists() && world.target().join("top").exists());
    assert!(!inside.join("deep/foreign").exists());
    assert_eq!(report.counts.deleted, 1);
}

#[test]
fn what_is_protected_or_left_out_by_patterns_is_not_deleted() {
    let mut world = World::new();
    world.write("a", "a");
    world.backup();
    world.restore();
    let target = world.target();
    std::fs::create_dir_all(target.join("disk/vault/packs")).unwrap();
    std::fs::write(target.join("disk/other"), "beside the vault").unwrap();
    std::fs::write(target.join("keep.me"), "x").unwrap();
    std::fs::write(target.join("goes"), "x").unwrap();

    let report = world
        .restore_with(&RestoreOptions {
            protected: vec![target.join("disk/vault")],
            patterns: Patterns::new().exclude("*.me"),
            ..deleting(&world)
        })
        .unwrap();

    assert_eq!(
        names(&world),
        ["a", "disk", "disk/other", "disk/vault", "disk/vault/packs", "keep.me"]
    );
    assert_eq!(report.skipped.named()[0].path, world.path("disk"), "{report:?}");
}

#[test]
fn stripped_folders_are_gone_and_two_files_never_become_one() {
    let mut world = World::new();
    for path in ["one/x/f", "two/x/f", "two/y/g", "top"] {
        world.write(path, path);
    }
    world.backup();

    let options = RestoreOptions { strip: 1, ..world.restore_options() };
    let report = world.restore_with(&options).unwrap();

    assert_eq!(names(&world), ["x", "x/f", "y", "y/g"]);
    assert_eq!(std::fs::read_to_string(world.target().join("x/f")).unwrap(), "one/x/f");
    let refused: Vec<_> = report.skipped.named().iter().map(|p| p.path.clone()).collect();
    assert_eq!(refused, [world.path("two/x"), world.path("two/x/f")]);
}

#[test]
fn owners_go_by_name_where_there_is_one_else_by_number() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root may give files away.
    }
    let mut world = World::new();
    let folder = entry(EntryKind::Folder, b"");
    let mut named = entry(EntryKind::File, b"");
    (named.uid, named.gid) = (54_321, 54_322);
    (named.user, named.group) = (b"daemon".to_vec(), b"no-such-group".to_vec());
    let mut root = entry(EntryKind::File, b"");
    (root.uid, root.user) = (0, b"daemon".to_vec());
    commit_tree(&mut world, vec![(b"/", folder), (b"/named", named), (b"/root", root)]);
    let owner = |name: &str, options: RestoreOptions, world: &mut World| {
        let report = world.restore_with(&options).unwrap();
        assert!(report.metadata.is_empty() && report.counts.owners_skipped == 0, "{report:?}");
        let meta = options.target.join(name).metadata().unwrap();
        (meta.uid(), meta.gid())
    };
    let fresh = |at: &str, world: &World| RestoreOptions::new(world.target().join(at));

    let by_name = fresh("names", &world);
    let by_number = RestoreOptions { numeric_ids: true, ..fresh("numbers", &world) };
    let mine = RestoreOptions { owner: Owner::No, ..fresh("mine", &world) };

    let daemon = crate::owners::OwnerNumbers::of_system();
    let of_daemon =
        format::FileEntry { uid: 9, user: b"daemon".to_vec(), ..entry(EntryKind::File, b"") };
    let expected = daemon.owner(&of_daemon);
    assert_eq!(owner("named", by_name.clone(), &mut world), (expected.0, 54_322));
    assert_eq!(owner("named", by_number, &mut world), (54_321, 54_322));
    let gid = rustix::process::getegid().as_raw();
    assert_eq!(owner("named", mine, &mut world), (0, gid));
    assert_eq!(by_name.target.join("root").metadata().unwrap().uid(), 0);
}

/// A file of several chunks, of which the middle one differs in the target.
fn world_with_a_large_file() -> World {
    let mut world = World::new();
    let noise = |seed: u64| move |n: u64| (n + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7;
    let content: Vec<_> = (0..1_500_000).map(noise(1)).flat_map(u64::to_le_bytes).collect();
    world.write("image", &content);
    world.backup();
    let mut other = content.clone();
    other[6_000_000..6_000_100].fill(0);
    std::fs::create_dir(world.target()).unwrap();
    std::fs::write(world.target().join("image"), other).unwrap();
    world
}

#[test]
fn what_the_target_holds_of_a_file_is_not_fetched_again() {
    let mut world = world_with_a_large_file();
    let before = world.target().join("image").metadata().unwrap().ino();

    let report = world.restore_with(&changed(&world)).unwrap();

    assert_eq!(described(&world.source()), described(&world.target()));
    let missed = report.counts.bytes - report.counts.bytes_reused;
    assert!(missed > 0 && missed <= 4 << 20, "{report:?}");
    assert_ne!(world.target().join("image").metadata().unwrap().ino(), before);
}

#[test]
fn a_file_that_is_mended_in_place_gets_only_what_differs() {
    let mut world = world_with_a_large_file();
    let before = world.target().join("image").metadata().unwrap().ino();

    let options = RestoreOptions { in_place: true, ..changed(&world) };
    let report = world.restore_with(&options).unwrap();

    assert_eq!(described(&world.source()), described(&world.target()));
    assert!(report.counts.bytes > 0 && report.counts.bytes <= 4 << 20, "{report:?}");
    assert_eq!(world.target().join("image").metadata().unwrap().ino(), before);
}

#[test]
fn a_file_with_another_name_outside_is_not_mended_in_place() {
    let mut world = world_with_a_large_file();
    let elsewhere = world.target().parent().unwrap().join("elsewhere");
    std::fs::hard_link(world.target().join("image"), &elsewhere).unwrap();
    let before = std::fs::read(&elsewhere).unwrap();

    let options = RestoreOptions { in_place: true, ..changed(&world) };
    world.restore_with(&options).unwrap();

    assert!(std::fs::read(&elsewhere).unwrap() == before);
    assert_eq!(described(&world.source()), described(&world.target()));
}

#[test]
fn holes_come_back_where_a_file_in_place_had_data() {
    let mut world = World::new();
    let sparse = std::fs::File::create(world.source().join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 1 << 20).unwrap();
    world.backup();
    std::fs::create_dir(world.target()).unwrap();
    std::fs::write(world.target().join("sparse"), vec![7; 4 << 20]).unwrap();

    let options = RestoreOptions { in_place: true, ..changed(&world) };
    world.restore_with(&options).unwrap();

    assert_eq!(described(&world.source()), described(&world.target()));
    let blocks = |root: std::path::PathBuf| root.join("sparse").metadata().unwrap().blocks();
    assert!(blocks(world.target()) <= blocks(world.source()) + 16);
}

#[test]
fn always_compares_content_and_writes_only_what_differs() {
    let mut world = World::new();
    world.write("same", "same");
    world.write("sly", "right");
    world.backup();
    world.restore();
    let sly = world.target().join("sly");
    let modified = sly.metadata().unwrap().modified().unwrap();
    std::fs::write(&sly, "wrong").unwrap();
    std::fs::File::options().write(true).open(&sly).unwrap().set_modified(modified).unwrap();
    let same = world.target().join("same").metadata().unwrap().ino();

    let trusting = world.restore_with(&changed(&world)).unwrap();
    assert_eq!(trusting.counts.files, 0, "size and time say that it is complete");
    let options = RestoreOptions { overwrite: Overwrite::Always, ..world.restore_options() };
    let report = world.restore_with(&options).unwrap();

    assert_eq!((report.counts.files, report.counts.files_kept), (1, 1));
    assert_eq!(std::fs::read_to_string(sly).unwrap(), "right");
    assert_eq!(world.target().join("same").metadata().unwrap().ino(), same);
}

#[test]
fn what_does_not_read_back_as_it_was_written_is_named() {
    struct Spoil<'a>(&'a std::path::Path);
    impl crate::Progress for Spoil<'_> {
        fn file(&self, path: &[u8]) {
            // The reading back begins with this file when the last one is written.
            if path.ends_with(b"/a") && self.0.join("b").exists() {
                std::fs::write(self.0.join("b"), "other").unwrap();
            }
        }
    }
    let mut world = World::new();
    world.write("a", "aaaaa");
    world.write("b", "bbbbb");
    world.backup();
    let (reader, snapshot, target) =
        (world.vault.reader().unwrap(), world.latest(), world.target());
    let threads = std::num::NonZeroUsize::new(1);
    let options = RestoreOptions { verify: true, threads, ..world.restore_options() };

    let report = restore(&reader, &snapshot, &options, &Spoil(&target), &Cancel::new()).unwrap();
    let again = RestoreOptions { overwrite: Overwrite::Always, ..options };
    let sound = world.restore_with(&again).unwrap();

    assert_eq!(report.unequal.named()[0].path, world.path("b"), "{report:?}");
    assert_eq!(report.counts.verified, 1);
    assert!(sound.unequal.is_empty() && sound.counts.verified == 2, "{sound:?}");
}

#[test]
fn a_restore_that_goes_on_gives_the_target_that_it_made_its_metadata() {
    struct Stop<'a>(&'a Cancel);
    impl crate::Progress for Stop<'_> {
        fn file(&self, _path: &[u8]) {
            self.0.raise();
        }
    }
    let mut world = World::new();
    world.write("a", "a");
    let mode = std::fs::Permissions::from_mode(0o751);
    std::fs::set_permissions(world.source(), mode).unwrap();
    world.backup();
    let (reader, snapshot, cancel) = (world.vault.reader().unwrap(), world.latest(), Cancel::new());
    let stopped = restore(&reader, &snapshot, &world.restore_options(), &Stop(&cancel), &cancel);
    assert!(matches!(stopped, Err(crate::Error::Cancelled)) || stopped.is_ok());
    let was_made = world.target().join(".strongroom-restore").exists();

    world.restore_with(&changed(&world)).unwrap();

    let meta = world.target().metadata().unwrap();
    assert!(was_made, "it was stopped");
    assert_eq!(meta.mode() & 0o7777, 0o751);
    assert_eq!(meta.mtime(), world.source().metadata().unwrap().mtime());
}

#[test]
fn attributes_that_the_snapshot_does_not_have_are_taken_off() {
    let mut world = World::new();
    world.write("sub/a", "a");
    world.backup();
    world.restore();
    let target = world.target();
    // A default ACL: user::rwx, group::rwx, mask::rwx, other::r-x.
    let acl: Vec<u8> = [2_u32.to_le_bytes().to_vec()]
        .into_iter()
        .chain([(1_u16, 7_u16), (4, 7), (16, 7), (32, 5)].map(|(tag, rights)| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &u32::MAX.to_le_bytes()].concat()
        }))
        .flatten()
        .collect();
    let folder = std::fs::File::open(target.join("sub")).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    let set = rustix::fs::fsetxattr(&folder, "system.posix_acl_default", &acl, flags);
    if set.is_err() || rustix::fs::fsetxattr(&folder, "user.foreign", b"x", flags).is_err() {
        return; // This file system keeps neither.
    }
    std::fs::remove_file(target.join("sub/a")).unwrap();

    world.restore_with(&changed(&world)).unwrap();

    assert_eq!(described(&world.source()), described(&target));
}

#[test]
fn what_is_there_already_needs_no_room_again() {
    let mut world = world_with_a_large_file();
    world.write("second", vec![3; 100_000]);
    world.backup();
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let options = RestoreOptions { in_place: true, ..changed(&world) };
    let needed = |options: &RestoreOptions| {
        let matcher = options.patterns.compile().unwrap();
        let top = crate::find(&reader, &snapshot, &options.path).unwrap();
        let restorer = Restorer {
            reader: &reader,
            domain: snapshot.domain,
            root: files_root(&snapshot).unwrap(),
            top: &top,
            options,
            rules: &Rules::new(options),
            sources: &[],
            matcher: &matcher,
            progress: &crate::Quiet,
            cancel: &Cancel::new(),
        };
        let target = Mark::new(snapshot.id, options).open(&options.target, options.overwrite);
        restorer.bytes_needed(&target.unwrap().target, options.overwrite).unwrap()
    };

    assert_eq!(needed(&options), 100_000);
    assert_eq!(needed(&RestoreOptions { in_place: false, ..options }), 12_100_000);
}

#[test]
fn a_folder_whose_listing_is_damaged_loses_nothing() {
    let mut world = World::new();
    world.write("a", "a");
    world.backup();
    world.restore();
    std::fs::write(world.target().join("foreign"), "x").unwrap();
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let target = {
        use std::os::unix::ffi::OsStrExt;
        target::Target::open(world.target().as_os_str().as_bytes()).unwrap()
    };
    let matcher = Patterns::new().compile().unwrap();
    let sources = [world.path("")];
    let sweep = |root| {
        let context = sweep::SweepContext {
            reader: &reader,
            domain: snapshot.domain,
            root,
            matcher: &matcher,
            sources: &sources,
            protected: &[],
        };
        let sweeper = sweep::Sweeper::new(context, &target, sweep::Deed::Delete).unwrap();
        let mut report = RestoreReport::default();
        sweeper.sweep(b"", &sources[0], &mut report);
        report
    };

    let damaged = sweep(crypto::ChunkId::from_bytes([7; 32]));
    let is_left = world.target().join("foreign").exists();
    let sound = sweep(files_root(&snapshot).unwrap());

    assert!(is_left && damaged.damaged.total() == 1, "{damaged:?}");
    assert_eq!((sound.counts.deleted, names(&world)), (1, vec!["a".to_owned()]));
}
