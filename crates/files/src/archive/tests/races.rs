//! What a backup must hold while its source changes under it.
//!
//! A hook in the progress acts between the walk and the read. DESIGN.md §10.

use std::path::Path;

use super::*;

/// Acts when the file of this name is about to be read, once.
struct At<'a, F> {
    name: &'a [u8],
    act: F,
    count: AtomicU32,
}

impl<'a, F: Fn() + Sync> At<'a, F> {
    fn new(name: &'a [u8], act: F) -> Self {
        Self { name, act, count: AtomicU32::new(0) }
    }
}

impl<F: Fn() + Sync> Progress for At<'_, F> {
    fn file(&self, path: &[u8]) {
        if path.ends_with(self.name) && self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            (self.act)();
        }
    }
}

fn content(world: &mut World, name: &str) -> Vec<u8> {
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    let mut content = Vec::new();
    let path = world.path(name);
    open_file(&reader, &snapshot, &path).unwrap().read_to_end(&mut content).unwrap();
    content
}

fn three_names(world: &World) {
    world.write("a", "shared");
    for name in ["m", "z"] {
        std::fs::hard_link(world.source().join("a"), world.source().join(name)).unwrap();
    }
}

#[test]
fn a_file_that_takes_the_place_of_a_linked_one_lends_its_content_to_no_other_name() {
    let mut world = World::new();
    three_names(&world);
    let (source, options) = (world.source(), world.options());
    let replace = || {
        std::fs::write(source.parent().unwrap().join("new"), "foreign").unwrap();
        std::fs::rename(source.parent().unwrap().join("new"), source.join("a")).unwrap();
    };

    let report = world.backup_with(&options, &At::new(b"/a", replace)).unwrap();

    assert!(report.is_complete(), "{:?}", report.problems);
    assert_eq!(content(&mut world, "a"), b"foreign");
    assert_eq!(content(&mut world, "m"), b"shared");
    assert_eq!(content(&mut world, "z"), b"shared");
}

#[test]
fn a_name_that_disappears_takes_no_other_name_along() {
    let mut world = World::new();
    three_names(&world);
    let (source, options) = (world.source(), world.options());
    let remove = || std::fs::remove_file(source.join("a")).unwrap();

    let report = world.backup_with(&options, &At::new(b"/a", remove)).unwrap();

    assert!(report.is_complete(), "{:?}", report.problems);
    assert_eq!(report.counts.files_new, 2);
    assert_eq!(content(&mut world, "m"), b"shared");
    assert_eq!(content(&mut world, "z"), b"shared");
}

#[test]
fn all_names_of_a_changed_file_count_as_changed() {
    let mut world = World::new();
    three_names(&world);
    world.backup();
    std::fs::write(world.source().join("z"), "other").unwrap();

    let report = world.backup();

    assert_eq!((report.counts.files_changed, report.counts.files_unchanged), (3, 0));
    assert_eq!(world.backup().counts.files_unchanged, 3);
}

#[test]
fn a_panic_in_a_reading_thread_ends_the_backup() {
    let mut world = World::new();
    for number in 0..9000 {
        let path = world.source().join(number.to_string());
        std::fs::write::<&Path, _>(&path, b"").unwrap();
    }
    let mut options = world.options();
    options.read_threads = std::num::NonZeroUsize::new(2);
    let panics = At::new(b"", || std::panic::resume_unwind(Box::new("as asked")));

    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        world.backup_with(&options, &panics).map(drop)
    }));

    assert!(ended.is_err());
    assert!(world.vault.snapshots().unwrap().is_empty());
}

#[test]
fn a_slow_stream_stops_when_asked() {
    /// Gives a byte at a time, for ever, and is asked to stop after the third.
    struct Slow<'a>(u32, &'a Cancel);
    impl std::io::Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            assert!(self.0 <= 4, "read on although asked to stop");
            if self.0 == 3 {
                self.1.raise();
            }
            buffer[0] = b'x';
            Ok(1)
        }
    }
    let mut world = World::new();
    let (options, cancel) = (world.options(), Cancel::new());
    let mut stream = Slow(0, &cancel);
    let stopped = backup_stream(&mut world.vault, &options, b"slow", &mut stream, &Quiet, &cancel);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}
