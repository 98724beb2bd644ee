//! Long files that several threads store are cut as by one.
//!
//! Every vault of these tests has the same keys, so the same bytes have the same names in all.

use proptest::prelude::*;

use super::*;

/// Bytes that differ everywhere, with runs of zeros in between.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state % 100_000 {
            0 => bytes.resize(bytes.len() + (state >> 44) as usize, 0),
            _ => bytes.extend_from_slice(&state.to_le_bytes()),
        }
    }
    bytes.truncate(length);
    bytes
}

/// The content of the file as a backup with so many threads keeps it.
fn kept(world: &mut World, threads: usize) -> format::Content {
    let options = BackupOptions {
        read_threads: std::num::NonZeroUsize::new(threads),
        compression: vault::Compression::None,
        parent: crate::Parent::None,
        name: format!("with {threads}"),
        ..world.options()
    };
    let report = world.backup_with(&options, &Quiet).unwrap();
    assert!(report.is_complete(), "{:?}", report.problems);
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    find(&reader, &snapshot, &world.path("long")).unwrap().entry.content
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn however_many_threads_store_a_file_its_chunks_are_the_same(
        seed in any::<u64>(),
        length in 5usize << 20..24 << 20,
        threads in 2usize..5,
    ) {
        // Each in a vault of its own, so that each stores everything; the keys are the same.
        let bytes = content(seed, length);
        let [alone, shared] = [1, threads].map(|threads| {
            let mut world = World::new();
            world.write("long", &bytes);
            let kept = kept(&mut world, threads);
            let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
            let mut file = open_file(&reader, &snapshot, &world.path("long")).unwrap();
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert!(read == bytes);
            kept
        });
        prop_assert_eq!(alone, shared);
    }
}

#[test]
fn a_stream_is_cut_as_a_file() {
    let mut world = World::new();
    let bytes = content(7, 13 << 20);
    world.write("long", &bytes);
    let as_file = kept(&mut world, 3);
    let options = BackupOptions { read_threads: std::num::NonZeroUsize::new(3), ..world.options() };
    let stream = &mut &bytes[..];
    backup_stream(&mut world.vault, &options, b"dump", stream, &Quiet, &Cancel::new()).unwrap();
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    assert_eq!(find(&reader, &snapshot, b"/dump").unwrap().entry.content, as_file);
}

#[test]
fn a_stream_that_ends_badly_commits_nothing() {
    struct Broken(usize);
    impl std::io::Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.min(buffer.len());
            self.0 -= count;
            if count == 0 { Err(std::io::Error::other("it ended badly")) } else { Ok(count) }
        }
    }
    let mut world = World::new();
    let options = world.options();
    let stream = &mut Broken(20 << 20);
    let ended = backup_stream(&mut world.vault, &options, b"dump", stream, &Quiet, &Cancel::new());
    assert!(ended.unwrap_err().to_string().contains("it ended badly"));
    assert!(world.vault.snapshots().unwrap().is_empty());
}
