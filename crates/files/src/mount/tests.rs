//! What a mount must hold beyond what tests of the program see: roles, and bounded memory.
//!
//! Where FUSE does not work these say so and check nothing. DESIGN.md §10.

use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

use crypto::Role;

use super::*;
use crate::testing::World;

/// Remembers what could not be shown.
#[derive(Default)]
struct Heard(Mutex<Vec<Problem>>);

impl MountEvents for Heard {
    fn problem(&self, problem: &Problem) {
        self.0.lock().unwrap().push(problem.clone());
    }
}

/// Mounts the world's newest snapshot of its source, as `reader` may read it.
fn mounted(world: &mut World, reader: Reader, heard: &Arc<Heard>) -> Option<Mount> {
    let snapshot = world.latest();
    std::fs::create_dir_all(world.target()).unwrap();
    let options = MountOptions::new(world.target());
    match mount_snapshot(reader, &snapshot, &world.path(""), &options, heard.clone()) {
        Ok(mount) => Some(mount),
        Err(error @ Error::NoFuse { .. }) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_browser_sees_names_and_metadata_and_reads_no_content() {
    let mut world = World::new();
    world.write("a/file", "content");
    std::os::unix::fs::symlink("file", world.source().join("a/link")).unwrap();
    world.backup();
    let mut browser = world.with_role(Role::Browser);
    let heard = Arc::new(Heard::default());
    let reader = browser.reader().unwrap();
    let Some(mount) = mounted(&mut world, reader, &heard) else { return };

    let length = world.target().join("a/file").metadata().unwrap().len();
    let target = std::fs::read_link(world.target().join("a/link")).unwrap();
    let read = std::fs::read(world.target().join("a/file"));
    mount.unmount().unwrap();

    assert_eq!((length, target.as_os_str().as_bytes()), (7, &b"file"[..]));
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    let heard = heard.0.lock().unwrap();
    assert!(heard.len() == 1 && heard[0].path.ends_with(b"/a/file"), "{heard:?}");
}

#[test]
fn a_folder_of_thousands_is_listed_whole_and_forwards_and_back() {
    let mut world = World::new();
    for number in 0..1500 {
        world.write(&format!("file-{number}-with-a-name-that-fills-answers"), "");
    }
    world.backup();
    let reader = world.vault.reader().unwrap();
    let Some(mount) = mounted(&mut world, reader, &Arc::default()) else { return };

    let first = std::fs::read_dir(world.target()).unwrap().count();
    let again = std::fs::read_dir(world.target()).unwrap().count();
    mount.unmount().unwrap();

    assert_eq!((first, again), (1500, 1500));
}
