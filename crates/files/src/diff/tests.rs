//! A diff names exactly what was changed, as comparing both trees on disk does.
//!
//! Edits are drawn at random; the judge is what the file system says before and after.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use format::{DomainId, EntryKind};
use proptest::prelude::*;
use testkit::{Forest, Nastiness, Seen, look};

use super::*;
use crate::testing::World;

/// The letter of each changed path, as the command shows it.
fn letters(world: &mut World, under: &str) -> BTreeMap<Vec<u8>, char> {
    let snapshots = world.vault.snapshots().unwrap();
    let [.., before, after] = &snapshots[..] else { panic!("two snapshots") };
    let reader = world.vault.reader().unwrap();
    let changes = diff(&reader, before, after, &world.path(under)).unwrap();
    let letter = |kind| match kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Type => 'T',
        ChangeKind::Content => 'M',
        ChangeKind::Metadata => 'm',
        ChangeKind::Moved { .. } => unreachable!("nobody asked for moves"),
    };
    changes.map(|change| change.unwrap()).map(|c| (c.path, letter(c.kind))).collect()
}

/// What two looks at a tree differ in.
fn expected(
    root: &Path,
    before: &BTreeMap<PathBuf, Seen>,
    after: &BTreeMap<PathBuf, Seen>,
) -> BTreeMap<Vec<u8>, char> {
    let letter = |path: &PathBuf| match (before.get(path), after.get(path)) {
        (None, _) => Some('+'),
        (_, None) => Some('-'),
        (Some(old), Some(new)) if old.mode & 0o170_000 != new.mode & 0o170_000 => Some('T'),
        (Some(old), Some(new)) if old.content != new.content => Some('M'),
        (Some(old), Some(new)) => {
            let seen = |s: &Seen| (s.mode, s.owner, s.mtime, s.attributes.clone());
            (seen(old) != seen(new)).then_some('m')
        }
    };
    let paths = before.keys().chain(after.keys());
    let absolute = |path: &PathBuf| {
        let path = if path.as_os_str().is_empty() { root.into() } else { root.join(path) };
        path.as_os_str().as_bytes().to_vec()
    };
    paths.filter_map(|path| Some((absolute(path), letter(path)?))).collect()
}

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, Vec<u8>),
    Add(usize, u8),
    Remove(usize),
    Mode(usize, u32),
    Turn(usize),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let at = 0..1000_usize;
    prop_oneof![
        (at.clone(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(at, bytes)| Edit::Write(at, bytes)),
        (at.clone(), any::<u8>()).prop_map(|(at, n)| Edit::Add(at, n)),
        at.clone().prop_map(Edit::Remove),
        (at.clone(), 0..0o777_u32).prop_map(|(at, mode)| Edit::Mode(at, 0o700 | mode)),
        at.prop_map(Edit::Turn),
    ]
}

/// Applies an edit to one of the files that are there.
fn apply(root: &Path, edit: &Edit) {
    let seen = look(root).unwrap();
    let files: Vec<_> = seen.iter().filter(|(_, s)| s.mode & 0o170_000 == 0o100_000).collect();
    let file = |at: usize| files.get(at % files.len().max(1)).map(|(path, _)| root.join(path));
    let (Edit::Write(at, _)
    | Edit::Add(at, _)
    | Edit::Remove(at)
    | Edit::Mode(at, _)
    | Edit::Turn(at)) = edit;
    let Some(path) = file(*at) else { return };
    match edit {
        Edit::Write(_, bytes) => fs::write(path, bytes).unwrap(),
        Edit::Add(_, n) => fs::write(path.with_extension(n.to_string()), [*n]).unwrap(),
        Edit::Remove(_) => fs::remove_file(path).unwrap(),
        Edit::Mode(_, mode) => {
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        Edit::Turn(_) => {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            fs::write(path.join("within"), "it was a file").unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_diff_names_exactly_what_was_edited(
        seed in any::<u64>(),
        edits in prop::collection::vec(any_edit(), 0..12),
    ) {
        let mut world = World::new();
        let root = world.source();
        Forest::new(seed).grow(&root, 24, Nastiness::Plain).unwrap();
        let before = look(&root).unwrap();
        world.backup();
        edits.iter().for_each(|edit| apply(&root, edit));
        let after = look(&root).unwrap();
        // Files that are edited within one tick of their clock are not to be taken for unchanged.
        let options = crate::BackupOptions { force: true, ..world.options() };
        world.backup_with(&options, &crate::Quiet).unwrap();

        prop_assert_eq!(letters(&mut world, ""), expected(&root, &before, &after));
    }
}

#[test]
fn only_what_lies_below_the_path_is_compared() {
    let mut world = World::new();
    for path in ["a/b/one", "a/b.c", "a/c/two", "b/three"] {
        world.write(path, path);
    }
    world.backup();
    for path in ["a/b/one", "a/b.c", "a/c/two", "b/three"] {
        world.write(path, "changed");
    }
    world.backup();

    let paths = |changes: BTreeMap<_, _>| changes.into_keys().collect::<Vec<_>>();
    assert_eq!(paths(letters(&mut world, "a/b")), [world.path("a/b/one")]);
    assert_eq!(paths(letters(&mut world, "b/three")), [world.path("b/three")]);
    assert_eq!(letters(&mut world, "a").len(), 3);
    let snapshot = world.latest();
    let reader = world.vault.reader().unwrap();
    let missing = diff(&reader, &snapshot, &snapshot, b"/nowhere").err().unwrap();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
}

#[test]
fn links_and_types_are_told_from_metadata() {
    let mut world = World::new();
    std::os::unix::fs::symlink("one", world.source().join("link")).unwrap();
    world.write("same", "same");
    world.write("sparse", [0; 100]);
    world.backup();
    fs::remove_file(world.source().join("link")).unwrap();
    std::os::unix::fs::symlink("two", world.source().join("link")).unwrap();
    // A new inode with all that a restore would bring back: no change.
    let (same, copy) = (world.source().join("same"), world.source().join("copy"));
    let mtime = fs::metadata(&same).unwrap().modified().unwrap();
    fs::copy(&same, &copy).unwrap();
    fs::File::open(&copy).unwrap().set_modified(mtime).unwrap();
    fs::rename(&copy, &same).unwrap();
    assert!(fs::metadata(&same).unwrap().ino() > 0);
    world.backup();

    let mut changes = letters(&mut world, "");
    assert_eq!(changes.remove(&world.path("")), Some('m'), "the folder's time");
    assert_eq!(changes.remove(&world.path("link")), Some('M'));
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn a_moved_file_is_told_from_a_new_one() {
    let mut world = World::new();
    for (path, content) in [("a/one", "1"), ("a/two", "2"), ("a/twin", "2"), ("a/empty", "")] {
        world.write(path, content);
    }
    world.backup();
    fs::rename(world.source().join("a"), world.source().join("b")).unwrap();
    fs::rename(world.source().join("b/one"), world.source().join("uno")).unwrap();
    world.backup();

    let snapshots = world.vault.snapshots().unwrap();
    let reader = world.vault.reader().unwrap();
    let differences = || diff(&reader, &snapshots[0], &snapshots[1], b"/").unwrap();
    let mut moves = Moves::find(differences()).unwrap();
    let told: Vec<_> = differences().filter_map(|change| moves.tell(change.unwrap())).collect();

    let moved = |from: &str, to: &str| {
        let kind = ChangeKind::Moved { from: world.path(from) };
        told.iter().any(|change| change.path == world.path(to) && change.kind == kind)
    };
    assert!(moved("a/one", "uno") && moved("a/two", "b/two") && moved("a/twin", "b/twin"));
    let kind = |path: &str| told.iter().find(|c| c.path == world.path(path)).map(|c| &c.kind);
    assert_eq!(kind("a/one"), None, "it is told once");
    assert_eq!(kind("b/empty"), Some(&ChangeKind::Added), "nothing tells empty files apart");
    assert_eq!(kind("a/empty"), Some(&ChangeKind::Removed));
    assert_eq!(kind("a"), Some(&ChangeKind::Removed));
}

#[test]
fn domains_share_no_names_so_files_are_compared_by_size_and_time() {
    let mut world = World::new();
    world.write("same", "same");
    world.write("longer", "1");
    world.write("touched", "1");
    world.backup();
    world.write("longer", "22");
    fs::write(world.source().join("touched"), "2").unwrap();
    let other = DomainId::from_bytes([9; 16]);
    let options = crate::BackupOptions { domain: Some(other), ..world.options() };
    world.backup_with(&options, &crate::Quiet).unwrap();

    let snapshots = world.vault.snapshots().unwrap();
    assert_eq!(comparison(&snapshots[0], &snapshots[1]), Comparison::SizeAndTime);
    let changes = letters(&mut world, "");
    assert_eq!(changes.get(&world.path("longer")), Some(&'M'));
    assert_eq!(changes.get(&world.path("touched")), Some(&'M'));
    assert_eq!(changes.len(), 2, "{changes:?}");
}

#[test]
fn what_two_snapshots_share_is_not_read() {
    let mut world = World::new();
    for number in 0..400 {
        world.write(&format!("folder-{}/file-{number}", number % 20), number.to_string());
    }
    world.backup();
    world.write("folder-7/file-7", "changed");
    world.backup();
    let snapshots = world.vault.snapshots().unwrap();
    let reader = world.vault.reader().unwrap();
    // The folders above it are everybody's.
    let source = world.path("folder-7");
    let source = &source[..source.len() - b"/folder-7".len()];
    let changes: Vec<_> = diff(&reader, &snapshots[0], &snapshots[1], source).unwrap().collect();
    let [Ok(change)] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(
        (&change.path, &change.kind),
        (&world.path("folder-7/file-7"), &ChangeKind::Content)
    );
    let entry = |entry: &Option<FileEntry>| entry.as_ref().map(|e| (e.kind, e.size));
    assert_eq!(entry(&change.before), Some((EntryKind::File, 1)));
    assert_eq!(entry(&change.after), Some((EntryKind::File, 7)));
}
