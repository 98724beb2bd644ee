//! What restores must hold: everything comes back, nothing goes elsewhere, damage is named.
//!
//! Every test works in folders of its own and a vault in memory, so all run at once.
//! DESIGN.md §10.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use format::{ChunkKind, Content, Counts, FileEntry, PathKey, SnapshotContent};
use vault::{SnapshotDraft, WriteOptions};

mod options;

use super::*;
use crate::error::Error;
use crate::testing::{World, described};
use crate::{Patterns, Progress};

/// A source with one of everything that this user may make.
fn nasty(world: &World) {
    world.write("empty", "");
    world.write("small", "small");
    world.write("long", (0..400_000u32).flat_map(|n| (n ^ 7).to_le_bytes()).collect::<Vec<_>>());
    world.write("a/b/c/deep", "deep");
    world.write("a.b", "sorts between a and a/b in a plain order");
    let source = world.source();
    for name in [&b"\xff\xfe"[..], b"\x01\x02", b"new\nline", &[b'n'; 255]] {
        let name = std::ffi::OsString::from_vec(name.to_vec());
        std::fs::create_dir(source.join(&name)).unwrap();
        std::fs::write(source.join(&name).join(&name), b"odd").unwrap();
    }
    symlink("nowhere", source.join("link")).unwrap();
    symlink("a", source.join("folder-link")).unwrap();
    std::fs::hard_link(source.join("small"), source.join("a/b/again")).unwrap();
    std::fs::hard_link(source.join("small"), source.join("zzz")).unwrap();
    let fifo = source.join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o640),
        0,
    )
    .unwrap();
    let sparse = std::fs::File::create(source.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 1 << 20).unwrap();
    let xattrs = rustix::fs::XattrFlags::empty();
    let _ = rustix::fs::fsetxattr(&sparse, "user.note", &[9; 700], xattrs);
    let folder = std::fs::File::open(source.join("a")).unwrap();
    let _ = rustix::fs::fsetxattr(&folder, "user.folder", b"x", xattrs);
    for (name, mode) in [("a/b", 0o500), ("small", 0o604), ("long", 0o400), ("a", 0o1777)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(source.join(name), mode).unwrap();
    }
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(1_000_000, 123_456_789);
    for name in ["a/b/c", "a", "long"] {
        std::fs::File::open(source.join(name)).unwrap().set_modified(old).unwrap();
    }
}

#[test]
fn everything_comes_back_as_it_was() {
    let mut world = World::new();
    nasty(&world);
    let made = world.backup();
    assert!(made.is_complete(), "{:?}", made.problems);

    let report = world.restore();

    assert!(report.is_complete(), "{report:?}");
    assert!(report.metadata.is_empty(), "{:?}", report.metadata);
    let (before, after) = (described(&world.source()), described(&world.target()));
    for (path, what) in &before {
        assert_eq!(Some(what), after.get(path), "{}", path.display());
    }
    assert_eq!(before.len(), after.len());
    assert_eq!(report.counts.links, 2);
    let blocks = |root: &Path| root.join("sparse").metadata().unwrap().blocks();
    assert!(blocks(&world.target()) <= blocks(&world.source()) + 16, "holes stay holes");
}

#[test]
fn a_whole_snapshot_keeps_its_paths_and_a_file_comes_alone() {
    let mut world = World::new();
    world.write("x/y", "y");
    world.backup();
    world.restore_with(&RestoreOptions::new(world.target())).unwrap();
    let inside = world.target().join(world.source().strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(inside.join("x/y")).unwrap(), b"y");

    let single = world.target().join("single");
    let options = RestoreOptions { path: world.path("x/y"), ..RestoreOptions::new(&single) };
    world.restore_with(&options).unwrap();
    assert_eq!(described(&single).len(), 1);
    assert_eq!(std::fs::read(single.join("y")).unwrap(), b"y");
}

#[test]
fn a_full_target_is_refused_unless_asked_and_only_differences_are_written() {
    let mut world = World::new();
    world.write("same", "same");
    world.write("other", "new");
    world.write("kind/x", "x");
    world.backup();
    world.restore();
    std::fs::write(world.target().join("other"), "older").unwrap();
    std::fs::remove_dir_all(world.target().join("kind")).unwrap();
    symlink("/", world.target().join("kind")).unwrap();
    std::fs::write(world.target().join("foreign"), "stays").unwrap();

    let refused = {
        let options = world.restore_options();
        world.restore_with(&options)
    };
    assert!(matches!(refused, Err(Error::NotEmpty { .. })));
    let options = RestoreOptions { overwrite: Overwrite::Changed, ..world.restore_options() };
    let report = world.restore_with(&options).unwrap();

    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.counts.files, report.counts.files_kept), (2, 1));
    assert_eq!(std::fs::read(world.target().join("other")).unwrap(), b"new");
    assert_eq!(std::fs::read(world.target().join("kind/x")).unwrap(), b"x");
    assert!(!world.target().join("kind").is_symlink());
    assert_eq!(std::fs::read(world.target().join("foreign")).unwrap(), b"stays");
}

#[test]
fn an_interrupted_restore_goes_on_and_another_does_not() {
    struct StopAfter<'a>(std::sync::atomic::AtomicU32, &'a Cancel);
    impl Progress for StopAfter<'_> {
        fn files_done(&self, _count: u64) {
            if self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 100 {
                self.1.raise();
            }
        }
    }
    let mut world = World::new();
    for number in 0..600 {
        world.write(&format!("d{}/f{number}", number % 5), vec![7; number]);
    }
    world.backup();
    let (reader, snapshot, cancel) = (world.vault.reader().unwrap(), world.latest(), Cancel::new());
    let stop = StopAfter(0.into(), &cancel);
    let stopped = restore(&reader, &snapshot, &world.restore_options(), &stop, &cancel);
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    assert!(world.target().join(".strongroom-restore").exists());

    let elsewhere = RestoreOptions { path: world.path("d1"), ..world.restore_options() };
    assert!(matches!(world.restore_with(&elsewhere), Err(Error::NotEmpty { .. })));
    let report = world.restore();

    assert!(report.counts.files_kept >= 100, "{report:?}");
    assert_eq!(report.counts.files + report.counts.files_kept, 600);
    assert_eq!(described(&world.source()), described(&world.target()));
}

/// Commits a tree that no file system has: these paths, in key order.
fn commit_tree(world: &mut World, mut entries: Vec<(&[u8], FileEntry)>) {
    entries.sort_by_key(|(path, _)| PathKey::from_path(path).unwrap());
    let mut writer = world.vault.write(WriteOptions::default()).unwrap();
    let (leaf, interior) = writer.trees().files;
    let boundary = tree::Boundary::new(writer.tree_key(), leaf, interior);
    let mut lane = writer.lane();
    lane.store(ChunkKind::Content, b"evil").unwrap();
    let mut builder = tree::Builder::new(boundary, lane.nodes());
    for (path, entry) in entries {
        let key = PathKey::from_path(path).unwrap();
        builder.push(key.as_bytes(), &entry.encode()).unwrap();
    }
    let root = builder.finish().unwrap().id;
    lane.flush().unwrap();
    drop(lane);
    let draft = SnapshotDraft {
        name: "hostile".to_owned(),
        paths: vec![b"/".to_vec()],
        tags: Vec::new(),
        start: places::Time::EPOCH,
        end: None,
        root,
        content: SnapshotContent::Files,
        counts: Counts::default(),
    };
    assert!(matches!(writer.commit(draft), Ok(vault::CommitOutcome::Committed(_))));
}

fn entry(kind: EntryKind, target: &[u8]) -> FileEntry {
    let extra = format::Extra { target: target.to_vec(), ..format::Extra::default() };
    FileEntry {
        kind,
        mode: 0o6755,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        user: Vec::new(),
        group: Vec::new(),
        mtime: format::Timestamp::default(),
        ctime: format::Timestamp::default(),
        size: 0,
        inode: 1,
        link: None,
        device: 0,
        content: Content::EMPTY,
        extra: if target.is_empty() {
            format::ExtraAt::None
        } else {
            format::ExtraAt::Inline(extra)
        },
    }
}

#[test]
fn an_entry_below_a_link_is_refused() {
    let mut world = World::new();
    let outside = world.source();
    let link = entry(EntryKind::Symlink, outside.as_os_str().as_bytes());
    let folder = entry(EntryKind::Folder, b"");
    let file = entry(EntryKind::File, b"");
    commit_tree(
        &mut world,
        vec![
            (b"/", folder.clone()),
            (b"/a", link),
            (b"/a/b", file.clone()),
            (b"/a/c", folder),
            (b"/a/c/d", file.clone()),
            (b"/good", file.clone()),
            (b"/orphan/x", file),
        ],
    );

    let report = world.restore_with(&RestoreOptions::new(world.target())).unwrap();

    assert_eq!(report.skipped.total(), 4, "{report:?}");
    assert_eq!(described(&outside).len(), 0, "nothing was written outside");
    assert!(world.target().join("good").exists());
    assert!(world.target().join("a").is_symlink());
    assert_eq!(world.target().join("good").metadata().unwrap().mode() & 0o7777, 0o755);
    assert!(report.counts.privileges_masked > 0);
}

#[test]
fn a_link_that_takes_a_folder_s_place_meanwhile_does_not_lead_out() {
    struct Swap<'a>(&'a Path, &'a Path);
    impl Progress for Swap<'_> {
        fn file(&self, path: &[u8]) {
            if path.ends_with(b"/first") {
                let _ = std::fs::rename(self.0.join("sub"), self.0.join("moved"));
                let _ = symlink(self.1, self.0.join("sub"));
            }
        }
    }
    let mut world = World::new();
    for number in 0..300 {
        world.write(&format!("sub/deeper/{number}"), "x");
    }
    world.write("first", "x");
    world.backup();
    let outside = tempfile::tempdir().unwrap();
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let target = world.target();
    let options =
        RestoreOptions { threads: std::num::NonZeroUsize::new(1), ..world.restore_options() };

    let _ = restore(&reader, &snapshot, &options, &Swap(&target, outside.path()), &Cancel::new());

    assert_eq!(described(outside.path()).len(), 0, "nothing was written outside");
}

#[test]
fn a_damaged_file_is_named_and_not_made() {
    let mut world = World::new();
    let mut bad = entry(EntryKind::File, b"");
    bad.size = 4;
    bad.content = Content::Chunks(vec![(crypto::ChunkId::from_bytes([9; 32]), 4)]);
    let mut without_extra = bad.clone();
    without_extra.content = Content::EMPTY;
    without_extra.extra = format::ExtraAt::Chunk(crypto::ChunkId::from_bytes([8; 32]));
    let folder = entry(EntryKind::Folder, b"");
    let good = entry(EntryKind::File, b"");
    commit_tree(
        &mut world,
        vec![(b"/", folder), (b"/bad", bad), (b"/extra", without_extra), (b"/good", good)],
    );

    let report = world.restore_with(&RestoreOptions::new(world.target())).unwrap();

    let problems = report.damaged.named().iter();
    let mut named: Vec<_> = problems.map(|problem| &problem.path[..]).collect();
    named.sort();
    assert_eq!(named, [&b"/bad"[..], b"/extra"]);
    assert_eq!(described(&world.target()).len(), 1, "only the good file is there");
}

#[test]
fn patterns_choose_and_the_way_there_is_made() {
    let mut world = World::new();
    for name in ["a/keep.txt", "a/drop.bin", "b/deep/keep.txt", "c/x.bin"] {
        world.write(name, name);
    }
    std::fs::set_permissions(world.source().join("b/deep"), std::fs::Permissions::from_mode(0o711))
        .unwrap();
    world.backup();
    let patterns = Patterns::new().include("*.txt");
    let options = RestoreOptions { patterns, ..world.restore_options() };
    let counted = RestoreOptions { dry_run: true, ..options.clone() };
    assert_eq!(world.restore_with(&counted).unwrap().counts.files, 2);
    assert!(!world.target().exists(), "a dry run writes nothing");

    world.restore_with(&options).unwrap();

    let made: Vec<_> = described(&world.target()).into_keys().collect();
    let expected =
        ["a", "a/keep.txt", "b", "b/deep", "b/deep/keep.txt"].map(std::path::PathBuf::from);
    assert_eq!(made, expected);
    let mode = world.target().join("b/deep").metadata().unwrap().mode();
    assert_eq!(mode & 0o7777, 0o711);
}

#[test]
fn names_that_a_restore_uses_itself_are_left_out() {
    let mut world = World::new();
    let temporary = super::write::temporary_name(b"x");
    let path = [b"/", &temporary[..]].concat();
    let folder = entry(EntryKind::Folder, b"");
    let mut evil = entry(EntryKind::File, b"");
    evil.size = 4;
    evil.content = Content::Chunks(vec![(content_id(&mut world, b"evil"), 4)]);
    let x = entry(EntryKind::File, b"");
    commit_tree(&mut world, vec![(b"/", folder), (&path, evil), (b"/x", x)]);

    let report = world.restore_with(&RestoreOptions::new(world.target())).unwrap();

    assert_eq!(report.skipped.total(), 1, "{report:?}");
    assert_eq!(described(&world.target()).len(), 1);
    assert_eq!(world.target().join("x").metadata().unwrap().len(), 0);
}

/// The name under which this vault stores content.
fn content_id(world: &mut World, content: &[u8]) -> crypto::ChunkId {
    let writer = world.vault.write(WriteOptions::default()).unwrap();
    let id = writer.lane().store(ChunkKind::Content, content).unwrap().chunk.id;
    writer.abandon().unwrap();
    id
}

#[test]
fn a_link_group_shares_an_inode_only_where_it_shares_content() {
    let mut world = World::new();
    let mut lost = entry(EntryKind::File, b"");
    lost.link = Some(format::LinkGroup { device: 1 });
    lost.size = 4;
    lost.content = Content::Chunks(vec![(crypto::ChunkId::from_bytes([9; 32]), 4)]);
    // Says that it is the same file, and is not.
    let mut other = lost.clone();
    other.content = Content::Chunks(vec![(content_id(&mut world, b"evil"), 4)]);
    let folder = entry(EntryKind::Folder, b"");
    commit_tree(
        &mut world,
        vec![(b"/", folder), (b"/a", lost.clone()), (b"/b", lost), (b"/c", other)],
    );
    // What lies there under the first name is not what the snapshot had.
    std::fs::create_dir(world.target()).unwrap();
    std::fs::write(world.target().join("a"), "older than the snapshot").unwrap();

    let options =
        RestoreOptions { overwrite: Overwrite::Changed, ..RestoreOptions::new(world.target()) };
    let report = world.restore_with(&options).unwrap();

    assert_eq!(report.damaged.total(), 2, "{report:?}");
    assert!(!world.target().join("b").exists());
    assert_eq!(std::fs::read(world.target().join("c")).unwrap(), b"evil");
}

#[test]
fn an_interrupted_restore_that_replaces_all_goes_on_replacing_all() {
    let mut world = World::new();
    world.write("a", "right");
    world.backup();
    std::fs::create_dir(world.target()).unwrap();
    std::fs::write(world.target().join("a"), "wrong").unwrap();
    let modified = world.source().join("a").metadata().unwrap().modified().unwrap();
    let wrong = std::fs::File::options().write(true).open(world.target().join("a")).unwrap();
    wrong.set_modified(modified).unwrap();
    let options = RestoreOptions { overwrite: Overwrite::Always, ..world.restore_options() };
    let (reader, snapshot, cancel) = (world.vault.reader().unwrap(), world.latest(), Cancel::new());
    cancel.raise();
    let stopped = restore(&reader, &snapshot, &options, &crate::Quiet, &cancel);
    assert!(matches!(stopped, Err(Error::Cancelled)));

    world.restore_with(&options).unwrap();

    assert_eq!(std::fs::read(world.target().join("a")).unwrap(), b"right");
}

#[test]
fn setuid_and_devices_are_asked_for_one_by_one() {
    let mut world = World::new();
    let folder = entry(EntryKind::Folder, b"");
    let program = entry(EntryKind::File, b"");
    let mut device = entry(EntryKind::CharDevice, b"");
    device.device = 0x103;
    device.mode = 0o600;
    commit_tree(&mut world, vec![(b"/", folder), (b"/device", device), (b"/program", program)]);
    for (privileges, devices, masked, skipped) in [
        (Privileges::Mask, Devices::Skip, 1, 1),
        (Privileges::Keep, Devices::Skip, 0, 1),
        (Privileges::Mask, Devices::Make, 1, 0),
        (Privileges::Keep, Devices::Make, 0, 0),
    ] {
        let target = world.target().join(format!("{privileges:?}-{devices:?}"));
        let options = RestoreOptions { privileges, devices, ..RestoreOptions::new(&target) };
        let report = world.restore_with(&options).unwrap();
        let counts = report.counts;
        assert_eq!((counts.privileges_masked, counts.devices_skipped), (masked, skipped));
        let mode = target.join("program").metadata().unwrap().mode() & 0o7777;
        assert_eq!(mode, if masked == 0 { 0o6755 } else { 0o755 });
        // Who may not make devices is told so; none is made unasked.
        let is_made = target.join("device").exists();
        assert_eq!(is_made, devices == Devices::Make && report.is_complete(), "{report:?}");
    }
}

#[test]
fn an_entry_that_contradicts_itself_hides_no_other() {
    let mut world = World::new();
    let folder = entry(EntryKind::Folder, b"");
    let mut bad = entry(EntryKind::File, b"");
    bad.size = u64::MAX;
    let good = entry(EntryKind::File, b"");
    commit_tree(&mut world, vec![(b"/", folder), (b"/bad", bad), (b"/good", good)]);

    let report = world.restore_with(&RestoreOptions::new(world.target())).unwrap();

    assert_eq!(report.damaged.total(), 1, "{report:?}");
    assert_eq!(report.damaged.named()[0].path, b"/bad");
    assert!(world.target().join("good").exists());
}

#[test]
fn a_panic_in_a_writing_thread_ends_the_restore() {
    struct Panics;
    impl Progress for Panics {
        fn file(&self, _path: &[u8]) {
            std::panic::resume_unwind(Box::new("as asked"));
        }
    }
    let mut world = World::new();
    world.write("a", "a");
    world.backup();
    let (reader, snapshot, options) =
        (world.vault.reader().unwrap(), world.latest(), world.restore_options());
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        restore(&reader, &snapshot, &options, &Panics, &Cancel::new()).map(drop)
    }));
    assert!(ended.is_err());
}

#[test]
fn further_names_of_links_and_pipes_are_names_of_one_inode_again() {
    use std::os::unix::fs::MetadataExt;
    let mut world = World::new();
    let source = world.source();
    symlink("nowhere", source.join("link")).unwrap();
    let (fifo, mode) = (source.join("pipe"), rustix::fs::Mode::from_raw_mode(0o640));
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for name in ["link", "pipe"] {
        std::fs::hard_link(source.join(name), source.join(format!("{name}-again"))).unwrap();
    }
    world.backup();

    let report = world.restore();

    assert!(report.is_complete() && report.counts.links == 2, "{report:?}");
    for name in ["link", "pipe"] {
        let names = [name.to_owned(), format!("{name}-again")];
        let [first, again] =
            names.map(|name| std::fs::symlink_metadata(world.target().join(name)).unwrap().ino());
        assert_eq!(first, again, "{name}");
    }
}
