//! The engine through its public door, over a place in memory.
//!
//! Each test is a small world: one place, one clock, entropy from a seed, a home in a temporary
//! folder. Faults are injected by wrapping the place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crypto::{Bundle, Keyring, Role, SeededEntropy, Suite};
use format::{ChunkKind, ChunkRef, Counts, Kind, SnapshotContent};
use ledger::Draft;
use places::{Fault, Faulty, ManualClock, MemoryPlace, Operation, Place, Recording, Time, Verb};

use crate::*;

mod collect;
mod damage;
mod forget;
mod review;
mod sessions;
mod verification;
mod versions;

/// One vault and one host.
struct World {
    place: MemoryPlace,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    folder: tempfile::TempDir,
    bundle: Bundle,
}

impl World {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Time::from_millis(1_700_000_000_000)));
        let place = MemoryPlace::with_clock(clock.clone());
        let entropy = Arc::new(SeededEntropy::new(seed));
        let components = Components {
            place: Arc::new(place.clone()),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let folders = folders_in(&folder, "host");
        let (_, bundle) = Vault::create(components, &folders, &options()).unwrap();
        Self { place, clock, entropy, folder, bundle }
    }

    fn components(&self, place: Arc<dyn Place>) -> Components {
        Components { place, clock: self.clock.clone(), entropy: self.entropy.clone() }
    }

    /// The owner's view from the first host.
    fn open(&self) -> Vault {
        self.open_at(Arc::new(self.place.clone()), "host")
    }

    fn open_at(&self, place: Arc<dyn Place>, host: &str) -> Vault {
        let bundle = Bundle::decode(&self.bundle.encode()).unwrap();
        self.open_with(place, host, bundle)
    }

    fn open_with(&self, place: Arc<dyn Place>, host: &str, bundle: Bundle) -> Vault {
        let folders = folders_in(&self.folder, host);
        Vault::open(self.components(place), &folders, Keyring::from_bundle(bundle), host).unwrap()
    }
}

fn folders_in(folder: &tempfile::TempDir, host: &str) -> Folders {
    let base = folder.path().join(host);
    Folders { cache: Some(base.join("cache")), state: Some(base.join("state")) }
}

fn options() -> CreateOptions<'static> {
    CreateOptions {
        suite: Suite::Aes256Gcm,
        protection: Protection::KeyFile,
        label: "host",
        pack_size: Some(4 << 20),
    }
}

/// Stores these contents, and one node that stands for the tree.
fn store(writer: &Writer, contents: &[&[u8]]) -> (Vec<ChunkRef>, ChunkRef) {
    let mut lane = writer.lane();
    let chunks =
        contents.iter().map(|c| lane.store(ChunkKind::Content, c).unwrap().chunk).collect();
    let empty_leaf = format::NodeEncoder::new(0).take();
    let root = lane.store(ChunkKind::Node, &empty_leaf).unwrap().chunk;
    lane.flush().unwrap();
    (chunks, root)
}

#[test]
fn an_empty_chunk_and_one_beyond_the_limit_are_refused() {
    let world = World::new(59);
    let mut vault = world.open();
    let writer = vault.write(WriteOptions::default()).unwrap();
    for length in [0, format::CHUNK_BYTES_MAX as usize + 1] {
        let stored = writer.lane().store(ChunkKind::Content, &vec![0; length]);
        assert_eq!(stored.err().map(|error| error.kind()), Some(ErrorKind::Invalid));
    }
}

fn draft(root: ChunkRef) -> SnapshotDraft {
    SnapshotDraft {
        name: "test".into(),
        paths: vec![b"/srv".to_vec()],
        tags: vec![],
        start: Time::from_millis(5),
        end: None,
        root: root.id,
        content: SnapshotContent::Files,
        counts: Counts::default(),
    }
}

/// A whole session: stores and commits.
fn back_up(vault: &mut Vault, contents: &[&[u8]]) -> (Vec<ChunkRef>, Committed) {
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let (chunks, root) = store(&writer, contents);
    match writer.commit(draft(root)).unwrap() {
        CommitOutcome::Committed(committed) => (chunks, committed),
        other => panic!("the commit ended as {other:?}"),
    }
}

/// Bytes that do not compress.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    crypto::Entropy::fill(&SeededEntropy::new(seed), &mut bytes);
    bytes
}

struct Quiet;

impl VerifyProgress for Quiet {
    fn object(&self, _: &str, _: u64) {}
}

fn verify(vault: &mut Vault, reading: Reading) -> Verification {
    let options = VerifyOptions { reading, reporting: Reporting::Never };
    vault.verify(&options, &Quiet, &AtomicBool::new(false)).unwrap()
}

#[test]
fn what_is_stored_comes_back_from_another_host() {
    let world = World::new(1);
    let contents = [noise(1, 700_000), b"small".to_vec(), vec![7], noise(2, 5_000_000)];
    let contents: Vec<&[u8]> = contents.iter().map(|c| &c[..]).collect();
    let (chunks, committed) = back_up(&mut world.open(), &contents);

    let mut other = world.open_at(Arc::new(world.place.clone()), "other");
    let snapshot = other.snapshot(committed.snapshot).unwrap();
    let reader = other.reader().unwrap();

    for (chunk, content) in chunks.iter().zip(contents) {
        assert_eq!(reader.chunk(snapshot.domain, *chunk).unwrap(), content);
    }
    assert_eq!(snapshot.descriptor.unwrap().name, "test");
    assert!(verify(&mut other, Reading::All).damage.is_empty());
}

#[test]
fn an_unchanged_backup_writes_two_records_one_pack_and_one_run() {
    let world = World::new(2);
    let content = noise(3, 100_000);
    back_up(&mut world.open(), &[&content]);
    let recording = Arc::new(Recording::new(world.place.clone()));

    back_up(&mut world.open_at(recording.clone(), "host"), &[&content]);

    let puts: Vec<String> = recording
        .log()
        .into_iter()
        .filter(|call| call.verb == Verb::Put)
        .map(|call| call.subject.split('/').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(puts, ["ledger", "packs", "index", "ledger"]);
}

#[test]
fn full_packs_are_all_of_one_length() {
    let world = World::new(3);
    let contents: Vec<Vec<u8>> = (0..14).map(|n| noise(n, 1_000_000)).collect();
    let contents: Vec<&[u8]> = contents.iter().map(|c| &c[..]).collect();
    back_up(&mut world.open(), &contents);

    let mut lengths = BTreeMap::new();
    for name in world.place.names() {
        if name.as_str().starts_with("packs/") {
            let length = world.place.stat(&name).unwrap().unwrap().size;
            *lengths.entry(length).or_insert(0) += 1;
        }
    }
    let full = crypto::object_len(crypto::ObjectKind::ContentPack, 4 << 20).unwrap();
    assert!(lengths[&full] >= 3, "{lengths:?}");
    assert!(lengths.keys().all(|length| *length <= full), "{lengths:?}");
}

#[test]
fn making_a_vault_twice_is_refused_and_an_interrupted_init_is_finished() {
    let world = World::new(4);
    let components = world.components(Arc::new(world.place.clone()));
    let again = Vault::create(components, &Folders::default(), &options());
    assert!(matches!(again, Err(Error::VaultExists { .. })));

    let unfinished = MemoryPlace::new();
    let protection = Protection::Passphrase {
        passphrase: b"correct horse",
        parameters: crypto::Argon2Parameters::CHEAP_FOR_TESTS,
    };
    let options = CreateOptions { protection, ..options() };
    let crashing =
        Faulty::scripted(unfinished.clone(), world.clock.clone(), |operation: &Operation<'_>| {
            match operation.verb {
                Verb::Put if operation.subject.starts_with("ledger/") => Fault::CrashBefore,
                _ => Fault::None,
            }
        });
    let components = world.components(Arc::new(crashing));
    assert!(Vault::create(components, &Folders::default(), &options).is_err());

    let components = world.components(Arc::new(unfinished.clone()));
    Vault::create(components, &Folders::default(), &options).unwrap();
    let config = read_config(&unfinished).unwrap().0;
    assert!(open_slot(&unfinished, config.vault, b"correct horse").is_ok());
    let wrong = open_slot(&unfinished, config.vault, b"wrong").err().unwrap();
    assert_eq!(wrong.kind(), ErrorKind::Denied);
}

#[test]
fn a_deleted_cache_is_made_anew_and_many_runs_become_one_table() {
    let world = World::new(5);
    let mut all = Vec::new();
    for number in 0..30u64 {
        let content = noise(number, 3000);
        let (chunks, _) = back_up(&mut world.open(), &[&content]);
        all.push((chunks[0], content));
    }
    for host in ["host", "fresh"] {
        let mut vault = world.open_at(Arc::new(world.place.clone()), host);
        let reader = vault.reader().unwrap();
        for (chunk, content) in &all {
            assert_eq!(reader.chunk(format::DomainId::DEFAULT, *chunk).unwrap(), content);
        }
    }
    let tables = walk_files(&world.folder.path().join("host/cache"), "index");
    assert!(tables <= 14, "{tables} tables after 30 runs");
}

fn walk_files(folder: &std::path::Path, within: &str) -> usize {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| match entry.path().is_dir() {
            true => walk_files(&entry.path(), within),
            false => usize::from(folder.ends_with(within)),
        })
        .sum()
}

#[test]
fn an_init_with_a_kept_key_is_finished_with_the_same_key_alone() {
    let world = World::new(6);
    let unfinished = MemoryPlace::new();
    let draw = || Bundle::owner(crypto::RootSecret::draw(world.entropy.as_ref()), Suite::Aes256Gcm);
    let (kept, other) = (draw(), draw());
    let crashing =
        Faulty::scripted(unfinished.clone(), world.clock.clone(), |operation: &Operation<'_>| {
            match operation.verb {
                Verb::Put if operation.subject.starts_with("ledger/") => Fault::CrashBefore,
                _ => Fault::None,
            }
        });
    let create = |place: Arc<dyn Place>, bundle: &Bundle| {
        let options = CreateOptions { protection: Protection::Kept(bundle), ..options() };
        Vault::create(world.components(place), &Folders::default(), &options).map(|_| ())
    };
    assert!(create(Arc::new(crashing), &kept).is_err());

    let refused = create(Arc::new(unfinished.clone()), &other);
    assert!(matches!(refused, Err(Error::Unfinished { .. })));
    create(Arc::new(unfinished.clone()), &kept).unwrap();
    let again = create(Arc::new(unfinished.clone()), &kept);
    assert!(matches!(again, Err(Error::VaultExists { .. })));
}
