//! What a walk must hold on trees that people and attackers really have.
//!
//! Every test works in folders of its own and a vault in memory, so all run at once.
//! DESIGN.md §10.

use std::collections::BTreeSet;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use proptest::prelude::*;
use rustix::fs::{Mode, OFlags};

use super::*;
use crate::exclude::Patterns;

fn walk(paths: &[&Path], patterns: &Patterns) -> (Vec<Found>, Problems) {
    let paths: Vec<_> = paths.iter().map(|p| p.as_os_str().as_bytes().to_vec()).collect();
    let patterns = patterns.clone();
    let matcher = Exclusions { patterns, ..Exclusions::default() }.compile().unwrap();
    let mut problems = Problems::default();
    let source = Source::new(&paths).unwrap();
    let mut walker = Walker::new(source, &matcher, FileSystems::All, &mut problems).unwrap();
    let mut found = Vec::new();
    while let Some(file) = walker.next(&mut problems) {
        found.push(file);
    }
    assert_eq!(walker.levels.len(), 0);
    (found, problems)
}

/// What the standard library sees, in any order, with all that leads there.
fn expected(root: &Path) -> BTreeSet<PathKey> {
    let mut keys: BTreeSet<_> = root.ancestors().map(key_of).collect();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            keys.insert(key_of(&path));
            if path.symlink_metadata().unwrap().is_dir() {
                folders.push(path);
            }
        }
    }
    keys
}

fn key_of(path: &Path) -> PathKey {
    PathKey::from_path(path.as_os_str().as_bytes()).unwrap()
}

fn temporary() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (folder, path)
}

fn name(bytes: &[u8]) -> std::ffi::OsString {
    std::ffi::OsString::from_vec(bytes.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_walk_is_in_the_order_of_keys(
        paths in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(prop::sample::select(
                vec![1u8, 2, 3, b'a', b'b', b'.', 0xff, b'/' + 1],
            ), 1..4), 1..5),
            1..24,
        )
    ) {
        let (_guard, root) = temporary();
        for components in &paths {
            let mut path = root.clone();
            for component in components {
                path.push(name(&[b"x", &component[..]].concat()));
            }
            // Where a file already stands in the way, the path is left out.
            let _ = std::fs::create_dir_all(path.parent().unwrap());
            let _ = std::fs::write(&path, b"");
        }
        let (found, problems) = walk(&[&root], &Patterns::new());
        prop_assert!(problems.is_empty());
        prop_assert!(found.is_sorted_by(|a, b| a.key < b.key));
        let keys: BTreeSet<_> = found.iter().map(|file| file.key.clone()).collect();
        prop_assert_eq!(keys, expected(&root));
    }
}

#[test]
fn a_path_far_longer_than_the_system_takes_is_walked() {
    let (_guard, root) = temporary();
    let component = [b'd'; 255];
    let mut fd = open_folder(CWD, root.as_os_str().as_bytes()).unwrap();
    // Two branches on each level make the walk come back up past closed folders.
    for _ in 0..FOLDERS_OPEN_MAX {
        fd = deeper(&fd, b"short");
    }
    for _ in 0..24 {
        fd = deeper(&fd, &component);
    }

    let (found, problems) = walk(&[&root], &Patterns::new());

    assert!(problems.is_empty(), "{problems:?}");
    let deepest = found.iter().map(|file| file.path().len()).max().unwrap();
    assert!(deepest > 6 << 10, "{deepest}");
    let files = found.iter().filter(|file| file.name == b"z").count();
    assert_eq!(files, FOLDERS_OPEN_MAX + 24);
    assert!(found.is_sorted_by(|a, b| a.key < b.key));
}

fn deeper(fd: &OwnedFd, name: &[u8]) -> OwnedFd {
    rustix::fs::mkdirat(fd, name, Mode::RWXU).unwrap();
    rustix::fs::mkdirat(fd, "y", Mode::RWXU).unwrap();
    let y = open_folder(fd, b"y").unwrap();
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(&y, "z", flags, Mode::RUSR).unwrap();
    open_folder(fd, name).unwrap()
}

#[test]
fn a_path_beyond_the_limit_is_named_and_passed_over() {
    let (_guard, root) = temporary();
    let mut fd = open_folder(CWD, root.as_os_str().as_bytes()).unwrap();
    for _ in 0..34 {
        rustix::fs::mkdirat(&fd, &[b'd'; 250][..], Mode::RWXU).unwrap();
        fd = open_folder(&fd, &[b'd'; 250]).unwrap();
    }
    let (_, problems) = walk(&[&root], &Patterns::new());
    assert_eq!(problems.total(), 1);
    assert!(problems.named()[0].reason.contains("8192"), "{problems:?}");
}

#[test]
fn only_what_is_named_is_walked_and_what_leads_there() {
    let (_guard, root) = temporary();
    for path in ["a/in/x", "a/out/x", "b", "c/d/e"] {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), b"").unwrap();
    }
    std::os::unix::fs::symlink("a", root.join("link")).unwrap();
    let paths = ["a/in", "b", "link", "gone"].map(|p| root.join(p));
    let paths: Vec<&Path> = paths.iter().map(|p| &**p).collect();

    let (found, problems) = walk(&paths, &Patterns::new().exclude("in"));

    let mut expected: BTreeSet<_> = root.ancestors().map(key_of).collect();
    expected.extend(["a", "a/in", "a/in/x", "b", "link"].map(|p| key_of(&root.join(p))));
    let keys: BTreeSet<_> = found.iter().map(|file| file.key.clone()).collect();
    assert_eq!(keys, expected, "a path that is named is not subject to patterns");
    assert_eq!(problems.total(), 1, "{problems:?}");
    assert!(problems.named()[0].path.ends_with(b"/gone"));
}

#[test]
fn an_excluded_folder_is_not_looked_into() {
    let (_guard, root) = temporary();
    for path in ["keep/x.o", "cache/y", "keep/y.c"] {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), b"").unwrap();
    }
    let patterns = Patterns::new().exclude("*.o").exclude("cache/").include("y");

    let (found, _) = walk(&[&root], &patterns);

    let names: Vec<_> = found.iter().map(|file| &file.name[..]).rev().take(2).collect();
    assert_eq!(names, [&b"y.c"[..], b"keep"]);
}
