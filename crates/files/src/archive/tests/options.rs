//! What each option of a backup does, by what is in the snapshot afterwards.
//!
//! A test whose file system or machine lacks what it is about says nothing.

use std::os::unix::fs::{FileExt, symlink};

use rustix::fs::XattrFlags;

use super::*;
use crate::{BlockDevices, Depth, Exclusions, GitIgnore, Marker, Parent, Patterns};

/// The names of all that a backup with these exclusions takes, below the source.
fn taken(world: &mut World, exclusions: Exclusions) -> String {
    let options = BackupOptions { exclusions, ..world.options() };
    let report = world.backup_with(&options, &Quiet).unwrap();
    assert!(report.is_complete(), "{:?}", report.problems);
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let prefix = world.path("").len() + 1;
    let listed = list(&reader, &snapshot, &world.path(""), Depth::Subtree).unwrap();
    let names: Vec<_> = listed.map(|entry| entry.unwrap().path[prefix..].to_vec()).collect();
    String::from_utf8(names.join(&b' ')).unwrap()
}

#[test]
fn a_marked_folder_is_kept_with_nothing_but_its_marker() {
    let mut world = World::new();
    let signature = "Signature: 8a477f597d28d172789f06886806bc55\n# a cache";
    for (name, content) in [
        ("cache/CACHEDIR.TAG", signature),
        ("cache/a/b", "b"),
        ("other/CACHEDIR.TAG", "Signature: none"),
        ("other/c", "c"),
        ("skipped/.nobackup", ""),
        ("skipped/d", "d"),
    ] {
        world.write(name, content);
    }
    std::fs::create_dir(world.source().join("linked")).unwrap();
    symlink("../cache/CACHEDIR.TAG", world.source().join("linked/CACHEDIR.TAG")).unwrap();

    let caches = Exclusions { markers: vec![Marker::cache()], ..Exclusions::default() };
    let named = Marker { name: b".nobackup".to_vec(), header: Vec::new() };
    let named = Exclusions { markers: vec![named], ..Exclusions::default() };

    let all = "cache linked other skipped";
    let rest = "linked/CACHEDIR.TAG other/CACHEDIR.TAG other/c skipped/.nobackup";
    assert_eq!(taken(&mut world, caches), format!("{all} cache/CACHEDIR.TAG {rest} skipped/d"));
    assert_eq!(
        taken(&mut world, named),
        format!("{all} cache/CACHEDIR.TAG cache/a cache/a/b {rest}")
    );
}

#[test]
fn files_above_a_size_are_passed_over_and_named_ones_are_not() {
    let mut world = World::new();
    world.write("exact", "12345");
    world.write("long", "123456");
    let exclusions = Exclusions { larger_than: Some(5), ..Exclusions::default() };
    assert_eq!(taken(&mut world, exclusions.clone()), "exact");

    let options = BackupOptions { exclusions, paths: vec![world.path("long")], ..world.options() };
    assert_eq!(world.backup_with(&options, &Quiet).unwrap().counts.files_new, 1);
}

#[test]
fn gitignore_files_hold_for_their_folder_and_below() {
    let mut world = World::new();
    for (name, content) in [
        (".gitignore", "*.o\n/build/\n!keep.o\n[\n\\#x\n"),
        ("a.o", ""),
        ("keep.o", ""),
        ("build/x", ""),
        ("sub/.gitignore", "!b.o\nlocal\n"),
        ("sub/b.o", ""),
        ("sub/c.o", ""),
        ("sub/local", ""),
        ("sub/build/y", ""),
        ("nested/.git/HEAD", ""),
        ("nested/d.o", ""),
        ("local", ""),
    ] {
        world.write(name, content);
    }
    let gitignore = GitIgnore::Obeyed;
    let exclusions = Exclusions { gitignore, ..Exclusions::default() };
    assert_eq!(
        taken(&mut world, exclusions),
        ".gitignore keep.o local nested sub nested/.git nested/d.o nested/.git/HEAD \
         sub/.gitignore sub/b.o sub/build sub/build/y"
    );
    // A pattern of the backup's own is stronger.
    let patterns = Patterns::new().exclude("sub").include("a.o").exclude("nested");
    let exclusions = Exclusions { gitignore, patterns, ..Exclusions::default() };
    assert_eq!(taken(&mut world, exclusions), ".gitignore a.o keep.o local");
}

#[test]
fn a_gitignore_that_is_too_long_is_named_and_leaves_nothing_out() {
    let mut world = World::new();
    world.write(".gitignore", "x\n".repeat(9000));
    world.write("x", "");
    let exclusions = Exclusions { gitignore: GitIgnore::Obeyed, ..Exclusions::default() };
    let options = BackupOptions { exclusions, ..world.options() };
    let report = world.backup_with(&options, &Quiet).unwrap();
    assert_eq!(report.counts.files_new, 2);
    assert!(report.problems.named()[0].reason.contains("9000 rules"), "{:?}", report.problems);
}

#[test]
fn nothing_is_committed_when_nothing_changed() {
    let mut world = World::new();
    world.write("a", "a");
    let options = BackupOptions { skip_if_unchanged: true, ..world.options() };
    let mut last = world.backup();
    // What leads to the source belongs to all tests, and may change in between.
    for _ in 0..100 {
        let next = world.backup_with(&options, &Quiet).unwrap();
        if next.snapshot.is_none() {
            assert_eq!(next.unchanged_since, last.snapshot);
            break;
        }
        last = next;
    }
    let count = world.vault.snapshots().unwrap().len();
    let renamed = BackupOptions { name: "else".into(), ..options.clone() };
    let renamed = world.backup_with(&renamed, &Quiet).unwrap();
    world.write("b", "b");
    let changed = world.backup_with(&options, &Quiet).unwrap();

    assert!(count < 100, "it was skipped at last");
    assert!(renamed.snapshot.is_some() && renamed.unchanged_since.is_none());
    assert!(changed.snapshot.is_some() && changed.unchanged_since.is_none());
    assert_eq!(world.vault.snapshots().unwrap().len(), count + 2);
}

#[test]
fn a_parent_is_chosen_or_none() {
    let mut world = World::new();
    world.write("a", "a");
    let first = world.backup();
    let snapshot = Box::new(world.latest());
    world.backup();

    let none = BackupOptions { parent: Parent::None, ..world.options() };
    let none = world.backup_with(&none, &Quiet).unwrap();
    let parent = Parent::Snapshot(snapshot);
    let chosen = BackupOptions { parent, name: "else".into(), ..world.options() };
    let chosen = world.backup_with(&chosen, &Quiet).unwrap();

    assert_eq!((none.base, none.counts.files_new, none.counts.bytes_read), (None, 1, 1));
    assert_eq!((chosen.base, chosen.counts.files_unchanged), (first.snapshot, 1));
}

#[test]
fn a_claimed_time_is_the_commits_and_not_the_walks() {
    let mut world = World::new();
    world.write("a", "a");
    let claimed = places::Time::from_millis(1_000_000_000_000);
    let options = BackupOptions { claimed: Some(claimed), ..world.options() };
    world.backup_with(&options, &Quiet).unwrap();
    let snapshot = world.latest();
    assert_eq!(snapshot.claimed, claimed);
    assert_eq!(snapshot.descriptor.unwrap().start, options.start);
}

#[test]
fn other_inodes_and_ctimes_may_be_ignored() {
    let mut world = World::new();
    world.write("a", "abc");
    world.backup();
    let path = world.source().join("a");
    let times = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(world.source().join("copy"), "xyz").unwrap();
    std::fs::File::open(world.source().join("copy")).unwrap().set_modified(times).unwrap();
    std::fs::rename(world.source().join("copy"), &path).unwrap();

    let all = BackupOptions { dry_run: true, ..world.options() };
    let inode = BackupOptions { ignore_inode: true, ..all.clone() };
    let ctime = BackupOptions { ignore_ctime: true, ..all.clone() };
    let both = BackupOptions { ignore_inode: true, ignore_ctime: true, ..all.clone() };
    let read = [all, inode, ctime, both]
        .map(|options| world.backup_with(&options, &Quiet).unwrap().counts.bytes_read);

    assert_eq!(read, [3, 3, 3, 0]);
}

#[test]
fn long_attributes_are_refreshed_where_the_content_is_not_read_again() {
    let mut world = World::new();
    world.write("a", "abc");
    let file = std::fs::File::open(world.source().join("a")).unwrap();
    let set = |value: &[u8]| rustix::fs::fsetxattr(&file, "user.x", value, XattrFlags::empty());
    if set(&[1; 2000]).is_err() {
        return; // This file system has no attributes.
    }
    world.backup();
    set(&[2; 2000]).unwrap();
    let options = BackupOptions { ignore_ctime: true, ..world.options() };
    let report = world.backup_with(&options, &Quiet).unwrap();

    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let entry = find(&reader, &snapshot, &world.path("a")).unwrap().entry;
    let extra = crate::read_extra(&reader, snapshot.domain, &world.path("a"), &entry).unwrap();
    assert_eq!(report.counts.bytes_read, 0);
    assert_eq!(extra.xattrs[0].value, [2; 2000]);
}

#[test]
fn a_rehearsal_counts_what_would_be_new_and_stored() {
    let mut world = World::new();
    world.write("a", "0123456789".repeat(10_000));
    let rehearsed = BackupOptions { dry_run: true, ..world.options() };
    let rehearsed = world.backup_with(&rehearsed, &Quiet).unwrap().counts;
    let real = world.backup().counts;
    assert_eq!(rehearsed.bytes_read, 100_000);
    assert!(rehearsed.bytes_new >= 100_000 && rehearsed.bytes_stored < 50_000, "{rehearsed:?}");
    // The descriptors differ by a few bytes.
    assert!(rehearsed.bytes_new.abs_diff(real.bytes_new) < 500, "{rehearsed:?} {real:?}");
}

#[test]
fn of_a_sparse_image_only_the_data_is_read() {
    let mut world = World::new();
    let image = std::fs::File::create(world.source().join("image")).unwrap();
    image.set_len(20 << 30).unwrap();
    image.write_all_at(&[7; 1 << 20], 5 << 30).unwrap();
    image.write_all_at(&[8; 1 << 20], (20 << 30) - (1 << 20)).unwrap();
    if rustix::fs::seek(&image, rustix::fs::SeekFrom::Data(0)) == Ok(0) {
        return; // This file system knows no holes.
    }
    let counts = world.backup().counts;
    assert_eq!(counts.bytes, 20 << 30);
    assert!(counts.bytes_read <= 3 << 20, "{counts:?}");
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let mut file = open_file(&reader, &snapshot, &world.path("image")).unwrap();
    for (at, byte) in [(0, 0), (5 << 30, 7), ((5 << 30) + (1 << 20), 0), ((20 << 30) - 1, 8)] {
        let mut read = [9];
        assert_eq!(file.read_at(at, &mut read).unwrap(), 1);
        assert_eq!(read[0], byte, "at {at}");
    }
}

/// A loop device over a file with this content; `None` where none can be made.
fn loop_device(world: &World, content: &[u8]) -> Option<String> {
    world.write("image", content);
    let image = world.source().join("image");
    let made = std::process::Command::new("losetup").args(["-f", "--show"]).arg(image).output();
    let made = made.ok().filter(|made| made.status.success())?;
    Some(String::from_utf8(made.stdout).unwrap().trim().to_owned())
}

#[test]
fn a_block_device_is_kept_as_a_device_or_as_what_it_holds() {
    let mut world = World::new();
    let content: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).take(1 << 19).collect();
    let Some(device) = loop_device(&world, &content) else { return };
    let paths = vec![device.clone().into_bytes()];
    let as_device = BackupOptions { paths, ..world.options() };
    let as_content = BackupOptions { block_devices: BlockDevices::Content, ..as_device.clone() };
    let mut kinds = Vec::new();
    let mut read = Vec::new();
    for options in [&as_device, &as_content, &as_content, &as_device] {
        let report = world.backup_with(options, &Quiet).unwrap();
        let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
        kinds.push(find(&reader, &snapshot, device.as_bytes()).unwrap().entry.kind);
        read.push(report.counts.bytes_read);
        if kinds.len() == 3 {
            let mut file = open_file(&reader, &snapshot, device.as_bytes()).unwrap();
            let mut held = Vec::new();
            file.read_to_end(&mut held).unwrap();
            assert!(held == content);
        }
    }
    let detached = std::process::Command::new("losetup").args(["-d", &device]).status();
    assert!(detached.unwrap().success());
    use format::EntryKind::{BlockDevice, File};
    assert_eq!(kinds, [BlockDevice, File, File, BlockDevice]);
    assert_eq!(read, [0, 1 << 19, 1 << 19, 0]);
}
