//! What backups must hold: nothing unchanged is read, nothing read is lost, nobody is misled.
//!
//! Every test works in folders of its own and a vault in memory, so all run at once.
//! DESIGN.md §10.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

mod long_files;
mod options;
mod races;
mod vaults;

use super::*;
use crate::testing::{Reads, World};
use crate::{Depth, Quiet, find, list, open_file};

#[test]
fn only_what_changed_is_read_again() {
    let mut world = World::new();
    for name in ["a", "b", "sub/c", "sub/deep/d"] {
        world.write(name, name);
    }
    let first = world.backup();
    world.write("sub/c", "changed");
    world.write("new", "new");
    std::fs::remove_file(world.source().join("b")).unwrap();

    let reads = Reads::default();
    let options = world.options();
    let second = world.backup_with(&options, &reads).unwrap();

    assert_eq!(first.counts.files_new, 4);
    assert_eq!(reads.names(), ["c", "new"]);
    let BackupCounts { files_new, files_changed, files_unchanged, .. } = second.counts;
    assert_eq!((files_new, files_changed, files_unchanged), (1, 1, 2));
    assert_eq!(second.base, first.snapshot);
    assert_eq!(second.counts.bytes_read, 10);
}

#[test]
fn an_unchanged_source_has_the_same_entries() {
    let mut world = World::new();
    for number in 0..1500 {
        world.write(&format!("d{}/f{number}", number % 7), number.to_string());
    }
    let entries = |world: &mut World| {
        let report = world.backup();
        let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
        // What leads to the source belongs to all tests, and changes.
        let listed = list(&reader, &snapshot, &world.path(""), Depth::Subtree).unwrap();
        (listed.map(|listed| listed.unwrap()).collect::<Vec<_>>(), report)
    };
    let (before, _) = entries(&mut world);
    let (after, second) = entries(&mut world);
    assert!(before == after);
    assert_eq!(after.len(), 1507);
    assert_eq!(second.counts.files_unchanged, 1500);
    assert_eq!(second.counts.bytes_read, 0);
}

#[test]
fn force_reads_all_and_young_files_are_read_again() {
    let mut world = World::new();
    world.write("a", "a");
    let mut options = world.options();
    world.backup();
    options.force = true;
    let forced = world.backup_with(&options, &Quiet).unwrap().counts;
    assert_eq!((forced.bytes_read, forced.files_unchanged), (1, 1), "read, and found the same");

    // A backup that began within two seconds of the change may have missed another change.
    options.force = false;
    options.start = options.start.minus(std::time::Duration::from_secs(60));
    world.backup_with(&options, &Quiet).unwrap();
    assert_eq!(world.backup_with(&options, &Quiet).unwrap().counts.bytes_read, 1);
    options.ignore_ctime = true;
    assert_eq!(world.backup_with(&options, &Quiet).unwrap().counts.bytes_read, 0);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_named_and_kept() {
    struct Meddler<'a>(&'a std::path::Path, AtomicU32);
    impl Progress for Meddler<'_> {
        fn bytes_done(&self, _count: u64) {
            if self.1.fetch_add(1, Ordering::Relaxed) == 0 {
                std::fs::write(self.0, b"other").unwrap();
            }
        }
    }
    let mut world = World::new();
    world.write("victim", vec![7; 100_000]);
    let path = world.source().join("victim");
    let options = world.options();

    let report = world.backup_with(&options, &Meddler(&path, AtomicU32::new(0))).unwrap();

    assert_eq!(report.problems.total(), 1, "{:?}", report.problems);
    assert!(report.problems.named()[0].reason.contains("changed"));
    let reader = world.vault.reader().unwrap();
    let mut file = open_file(&reader, &world.latest(), &world.path("victim")).unwrap();
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert_eq!(content.len() as u64, file.size());
    assert!(world.backup().counts.bytes_read > 0, "the change is seen by the next backup");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_kept() {
    let mut world = World::new();
    world.write("open", "x");
    world.write("closed/inside", "x");
    let closed = world.source().join("closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    let report = world.backup();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o755)).unwrap();

    if rustix::process::geteuid().is_root() {
        return; // Nothing is closed to root.
    }
    assert_eq!(report.problems.total(), 1);
    assert_eq!(report.counts.files_new, 1);
}

#[test]
fn a_file_that_gives_nothing_is_named_and_one_of_unknown_length_is_read_whole() {
    let mut world = World::new();
    world.write("good", "x");
    let mut options = world.options();
    // To begin with, a process has no memory at address 0; and the system's files say size 0.
    let memory = format!("/proc/{}/mem", std::process::id()).into_bytes();
    options.paths.extend([memory.clone(), b"/proc/version".to_vec()]);

    let report = world.backup_with(&options, &Quiet).unwrap();

    let named: Vec<_> = report.problems.named().iter().map(|problem| &problem.path).collect();
    assert_eq!(named, [&memory], "{:?}", report.problems);
    assert_eq!(report.counts.files_new, 2);
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    assert!(matches!(find(&reader, &snapshot, &memory), Err(Error::NotFound { .. })));
    let mut version = Vec::new();
    open_file(&reader, &snapshot, b"/proc/version").unwrap().read_to_end(&mut version).unwrap();
    assert_eq!(version, std::fs::read("/proc/version").unwrap());
}

#[test]
fn long_files_names_of_one_inode_and_holes_read_back() {
    let mut world = World::new();
    let long: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    world.write("long", &long);
    world.write("one", "twice");
    std::fs::hard_link(world.source().join("one"), world.source().join("two")).unwrap();
    let sparse = std::fs::File::create(world.source().join("sparse")).unwrap();
    sparse.set_len(5 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", (5 << 20) - 3).unwrap();

    let report = world.backup();

    assert_eq!(report.counts.files_new, 4);
    assert!(report.counts.bytes_read <= long.len() as u64 + 5 + (5 << 20));
    let reader = world.vault.reader().unwrap();
    let snapshot = world.latest();
    for name in ["long", "one", "two", "sparse"] {
        let mut file = open_file(&reader, &snapshot, &world.path(name)).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert!(content == std::fs::read(world.source().join(name)).unwrap(), "{name}");
    }
    let mut file = open_file(&reader, &snapshot, &world.path("long")).unwrap();
    for at in [0, 1, 6_000_001, 11_999_999] {
        let mut byte = [0];
        assert_eq!(file.read_at(at, &mut byte).unwrap(), 1);
        assert_eq!(byte[0], long[at as usize]);
    }
    assert_eq!(file.read_at(12_000_000, &mut [0]).unwrap(), 0);
}

#[test]
fn a_listing_shows_a_folder_or_all_below() {
    let mut world = World::new();
    for name in ["a", "b/c", "b/d/e"] {
        world.write(name, "");
    }
    world.backup();
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let names = |path: &str, depth| {
        let listed = list(&reader, &snapshot, &world.path(path), depth).unwrap();
        let prefix = world.path("").len() + 1;
        let name = |listed: crate::ListedEntry| listed.path[prefix..].to_vec();
        let names: Vec<_> = listed.map(|entry| name(entry.unwrap())).collect();
        String::from_utf8(names.join(&b' ')).unwrap()
    };
    assert_eq!(names("", Depth::Folder), "a b");
    assert_eq!(names("", Depth::Subtree), "a b b/c b/d b/d/e");
    assert_eq!(names("b", Depth::Subtree), "b/c b/d b/d/e");
    assert_eq!(names("a", Depth::Folder), "a");
    assert!(matches!(find(&reader, &snapshot, &world.path("gone")), Err(Error::NotFound { .. })));
    assert!(find(&reader, &snapshot, b"/").is_ok());
}

#[test]
fn a_stream_becomes_a_file_at_the_top() {
    let mut world = World::new();
    let options = world.options();
    let content = vec![3; 300_000];
    let vault = &mut world.vault;
    backup_stream(vault, &options, b"dump.sql", &mut &content[..], &Quiet, &Cancel::new()).unwrap();
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let mut read = Vec::new();
    open_file(&reader, &snapshot, b"/dump.sql").unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, content);
    assert_eq!(snapshot.descriptor.unwrap().paths, [b"/dump.sql"]);
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let mut world = World::new();
    world.write("a", "a");
    world.backup();
    world.write("b", "bb");
    let options = BackupOptions { dry_run: true, ..world.options() };
    let report = world.backup_with(&options, &Quiet).unwrap();
    assert_eq!((report.counts.files_new, report.counts.files_unchanged), (1, 1));
    assert_eq!(report.snapshot, None);
    assert_eq!(world.vault.snapshots().unwrap().len(), 1);
}

#[test]
fn a_raised_flag_stops_the_backup_without_a_snapshot() {
    let mut world = World::new();
    world.write("a", "a");
    let (options, cancel) = (world.options(), Cancel::new());
    cancel.raise();
    let stopped = backup(&mut world.vault, &options, &Quiet, &cancel);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert!(world.vault.snapshots().unwrap().is_empty());
}

#[test]
fn a_source_that_is_not_there_is_a_mistake() {
    let mut world = World::new();
    let mut options = world.options();
    options.paths = vec![world.path("gone")];
    let refused = world.backup_with(&options, &Quiet);
    assert!(matches!(refused, Err(Error::NoSource { count: 1, .. })));
    options.paths.push(world.path(""));
    assert!(world.backup_with(&options, &Quiet).is_ok(), "the nested path is the other's part");
}
