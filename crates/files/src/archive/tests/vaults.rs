//! What a backup must hold while its vault changes under it.
//!
//! Another host of the same owner acts on the ledger in the midst of a walk. DESIGN.md §9, §10.

use std::sync::Mutex;

use crypto::{Digest, DomainId, SeededEntropy};
use format::{ChunkKind, ChunkRef, Content, Kind, VaultNames};
use ledger::Draft;
use places::Place;

use super::*;

/// Bytes that do not compress.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    crypto::Entropy::fill(&SeededEntropy::new(seed), &mut bytes);
    bytes
}

/// Lets another host act when the first files are done, and remembers what was read.
struct Other<F> {
    act: Mutex<Option<F>>,
    reads: Reads,
}

impl<F: FnOnce() + Send> Other<F> {
    fn new(act: F) -> Self {
        Self { act: Mutex::new(Some(act)), reads: Reads::default() }
    }
}

impl<F: FnOnce() + Send> Progress for Other<F> {
    fn file(&self, path: &[u8]) {
        self.reads.file(path);
    }

    fn files_done(&self, _count: u64) {
        if let Some(act) = self.act.lock().unwrap().take() {
            act();
        }
    }
}

fn chunk_of(world: &mut World, name: &str) -> ChunkRef {
    let (reader, snapshot) = (world.vault.reader().unwrap(), world.latest());
    match find(&reader, &snapshot, &world.path(name)).unwrap().entry.content {
        Content::Chunks(chunks) => ChunkRef { kind: ChunkKind::Content, id: chunks[0].0 },
        Content::Recipe { root, .. } => ChunkRef { kind: ChunkKind::Recipe, id: root },
    }
}

fn pack_of(world: &mut World, chunk: ChunkRef) -> Digest {
    world.vault.refresh().unwrap();
    let reader = world.vault.reader().unwrap();
    reader.locate(DomainId::DEFAULT, chunk).unwrap().unwrap().pack
}

fn mark(vault: &vault::Vault, kind: Kind, pack: Digest) {
    vault.ledger().append_one(Draft::on_packs(kind, [pack])).unwrap();
}

#[test]
fn what_comes_under_suspicion_during_the_walk_is_stored_again() {
    let mut world = World::new();
    world.write("a", noise(1, 100_000));
    world.backup();
    let chunk = chunk_of(&mut world, "a");
    let pack = pack_of(&mut world, chunk);
    let collector = world.another_host();
    // Another source: nothing is inherited, all is found in that pack.
    let options = BackupOptions { name: "again".to_owned(), ..world.options() };
    let other = Other::new(move || mark(&collector, Kind::Suspect, pack));

    let report = world.backup_with(&options, &other).unwrap();

    assert!(report.snapshot.is_some());
    assert_eq!(other.reads.names(), ["a", "a"], "the walk was repeated");
    assert_ne!(pack_of(&mut world, chunk), pack);
    assert_eq!(report.counts.files_new, 1, "the report is of the last walk");
}

#[test]
fn a_session_closed_during_the_walk_is_begun_anew() {
    let mut world = World::new();
    world.write("a", "a");
    world.backup();
    world.write("b", "b");
    let owner = world.another_host();
    let close = move || {
        owner.ledger().refresh().unwrap();
        let open: Vec<_> = owner.ledger().state().open_sessions().map(|(id, _)| id).collect();
        assert_eq!(open.len(), 1);
        owner.ledger().append_one(Draft::abandon(open[0])).unwrap();
    };
    let other = Other::new(close);
    let options = world.options();

    let report = world.backup_with(&options, &other).unwrap();

    assert_eq!(other.reads.names(), ["b", "b"]);
    assert_eq!((report.counts.files_new, report.counts.files_unchanged), (1, 1));
    assert_eq!(world.vault.snapshots().unwrap().len(), 2);
    assert!(report.base.is_some(), "the new session stands on the same base");
}

#[test]
fn what_only_a_lost_pack_holds_is_read_from_the_source_again() {
    let mut world = World::new();
    world.write("kept", noise(1, 100_000));
    world.backup();
    world.write("lost", noise(2, 100_000));
    world.backup();
    let chunk = chunk_of(&mut world, "lost");
    let pack = pack_of(&mut world, chunk);
    world.place.delete(&VaultNames::pack(&pack)).unwrap();
    mark(&world.another_host(), Kind::Lost, pack);
    let (options, reads) = (world.options(), Reads::default());

    let report = world.backup_with(&options, &reads).unwrap();

    assert_eq!(reads.names(), ["lost"]);
    assert_eq!(report.counts.files_unchanged, 2, "it was read, and is the same");
    assert!(world.restore().is_complete());
}

#[test]
fn a_recipe_that_only_a_lost_pack_holds_is_made_again() {
    let mut world = World::new();
    world.write("long", noise(3, 24 << 20));
    world.backup();
    let recipe = chunk_of(&mut world, "long");
    assert_eq!(recipe.kind, ChunkKind::Recipe);
    let pack = pack_of(&mut world, recipe);
    // Its bytes can still be read, but nobody may rely on them.
    mark(&world.another_host(), Kind::Lost, pack);
    let (options, reads) = (world.options(), Reads::default());

    world.backup_with(&options, &reads).unwrap();

    assert_eq!(reads.names(), ["long"]);
    world.place.delete(&VaultNames::pack(&pack)).unwrap();
    assert!(world.restore().is_complete());
}
