//! The mark over trees that are made up as they are read: millions of chunks, no packs.
//!
//! A chunk is a number; its id holds the number times an odd constant, so that ids are spread and
//! the number can be had back. Number 0 is the root of a recipe tree whose nodes have FAN children.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use crypto::{Digest, Epoch, ObjectKind, SeededEntropy, SessionId};
use format::{
    ChunkEntry, ChunkId, ChunkKind, ChunkRef, Codec, Directory, FrameEntry, PackListing,
    RecipeItem, RecipeNode,
};

use super::*;
use crate::index::IndexContext;
use crate::table::TableBuilder;

const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const FAN: u64 = 200;
const PACK_CHUNKS: u64 = 1000;

fn id(number: u64) -> ChunkId {
    let mut bytes = [0; 32];
    let parts =
        [number, number ^ 1, number ^ 2, number ^ 3].map(|n| n.wrapping_mul(SPREAD >> 1 | 1));
    for (bytes, part) in bytes.chunks_exact_mut(8).zip(parts) {
        bytes.copy_from_slice(&(part ^ (part >> 29)).wrapping_mul(SPREAD).to_be_bytes());
    }
    bytes[..8].copy_from_slice(&number.wrapping_mul(SPREAD).to_be_bytes());
    ChunkId::from_bytes(bytes)
}

fn number(id: &ChunkId) -> u64 {
    // The inverse of an odd number modulo 2^64, by Newton's iteration.
    let inverse =
        (0..6).fold(SPREAD, |x: u64, _| x.wrapping_mul(2u64.wrapping_sub(SPREAD.wrapping_mul(x))));
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.as_bytes()[..8]);
    u64::from_be_bytes(bytes).wrapping_mul(inverse)
}

/// A tree of so many nodes; numbers from there on are content.
#[derive(Clone, Copy)]
struct Grown {
    nodes: u64,
}

impl Grown {
    fn chunks(self) -> u64 {
        self.nodes * FAN + 1
    }

    fn kind(self, number: u64) -> ChunkKind {
        if number < self.nodes { ChunkKind::Recipe } else { ChunkKind::Content }
    }

    fn chunk(self, number: u64) -> ChunkRef {
        ChunkRef { kind: self.kind(number), id: id(number) }
    }

    /// Whole levels. A node's children must be all nodes or all content: else the number of nodes
    /// is one more than a multiple of FAN.
    fn of_levels(levels: u32) -> Self {
        Self { nodes: (0..levels).map(|level| FAN.pow(level)).sum() }
    }
}

impl ReadChunks for Grown {
    fn read_chunk(&self, _: DomainId, chunk: ChunkRef, found: &Found) -> Result<Bytes> {
        assert_eq!(found.entry.id, chunk.id);
        let first = number(&chunk.id) * FAN + 1;
        let items = (first..first + FAN).map(|n| RecipeItem { id: id(n), length: 1 });
        let level = u8::from(first < self.nodes);
        Ok(RecipeNode { level, items: items.collect() }.encode().into())
    }
}

/// An index of these chunks in tables of this many, packs in the order of the numbers.
fn index_of(
    context: &IndexContext<'_>,
    tree: Grown,
    numbers: impl Iterator<Item = u64>,
    table_chunks: usize,
) -> Index {
    let mut index = Index::default();
    let mut builder = TableBuilder::default();
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let some: Vec<u64> = numbers.by_ref().take(PACK_CHUNKS as usize).collect();
        for (kind, part) in [ObjectKind::MetadataPack, ObjectKind::ContentPack]
            .map(|kind| (kind, some.iter().filter(move |n| is_of(kind, tree.kind(**n)))))
        {
            let frames: Vec<_> = part.map(|n| frame(tree.chunk(*n))).collect();
            if !frames.is_empty() {
                let name = Digest::of(&[&some[0].to_le_bytes()[..], &[kind.to_u8()]].concat());
                builder.add(&listing(name, kind, frames), DomainId::DEFAULT);
            }
        }
        if builder.len() >= table_chunks {
            index.add_table(context, std::mem::take(&mut builder));
        }
    }
    index.add_table(context, builder);
    index.trust_all();
    index
}

fn is_of(pack: ObjectKind, chunk: ChunkKind) -> bool {
    (pack == ObjectKind::ContentPack) == chunk.is_content()
}

fn frame(chunk: ChunkRef) -> FrameEntry {
    let chunks = vec![ChunkEntry { chunk, length: 100 }];
    FrameEntry { codec: Codec::None, stored_length: 50, chunks }
}

fn listing(name: Digest, kind: ObjectKind, frames: Vec<FrameEntry>) -> PackListing {
    PackListing {
        name,
        session: SessionId::from_bytes([1; 16]),
        kind,
        epoch: Epoch(0),
        stream_length: 1 << 22,
        directory: Directory { frames },
    }
}

fn root(tree: Grown) -> Root {
    let descriptor = Some(tree.chunk(0));
    let snapshot = SessionId::from_bytes([9; 16]);
    Root { snapshot, domain: DomainId::DEFAULT, descriptor, care: Care::Stop }
}

fn marker<'a>(index: &'a Index, tree: &'a Grown, cancel: &'a AtomicBool) -> Marker<'a> {
    Marker { index, chunks: tree, at_once: 4, cancel, heard: &|_| {} }
}

/// A context of a world without a vault.
fn with_context<T>(work: impl FnOnce(&IndexContext<'_>) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let entropy = SeededEntropy::new(7);
    let root = crypto::RootSecret::draw(&entropy);
    let bundle = crypto::Bundle::owner(root, crypto::Suite::Aes256Gcm);
    let keyring = crypto::Keyring::from_bundle(bundle);
    let folders = crate::Folders { cache: Some(folder.path().join("cache")), state: None };
    let home = crate::home::Home::open(&folders, &keyring).unwrap();
    let place = places::MemoryPlace::new();
    work(&IndexContext { place: &place, keyring: &keyring, home: &home, entropy: &entropy })
}

fn all_kept(_: &crate::table::TablePack, _: PackStanding) -> CopyRank {
    CopyClass::Kept.into()
}

static GO: AtomicBool = AtomicBool::new(false);

#[test]
fn every_chunk_of_a_tree_is_reached_and_no_other() {
    with_context(|context| {
        let tree = Grown::of_levels(2);
        let strangers = 10_000_000..10_003_000;
        let numbers = (0..tree.chunks()).chain(strangers);
        let index = index_of(context, tree, numbers, 5000);
        let reach = Reach::new(&index);
        reach.walk(&marker(&index, &tree, &GO), &[root(tree)]).unwrap();
        assert!(reach.is_whole());

        let used = tally(&index, &reach, &all_kept, (4, &GO)).unwrap();

        let live: u64 = used.values().map(|pack| pack.live_chunks).sum();
        assert_eq!(live, tree.chunks());
        let bytes: u64 = used.values().map(|pack| pack.live_bytes).sum();
        assert_eq!(bytes, 50 * tree.chunks());
        let dead = used.values().filter(|pack| pack.live_chunks == 0).count();
        assert!(dead >= 2, "the strangers fill at least two packs of their own, {dead} are dead");
    });
}

#[test]
fn of_two_copies_the_one_that_stays_anyway_counts_and_of_two_candidates_exactly_one() {
    with_context(|context| {
        let tree = Grown { nodes: 1 };
        let mut index = index_of(context, tree, 0..tree.chunks(), 1000);
        let names = ["other", "candidate"].map(|name| Digest::of(name.as_bytes()));
        for name in names {
            let mut builder = TableBuilder::default();
            let frames = (1..tree.chunks()).map(|n| frame(tree.chunk(n))).collect();
            builder.add(&listing(name, ObjectKind::ContentPack, frames), DomainId::DEFAULT);
            index.add_table(context, builder);
        }
        index.trust_all();
        let reach = Reach::new(&index);
        reach.walk(&marker(&index, &tree, &GO), &[root(tree)]).unwrap();

        let live = |candidates: &[Digest]| {
            let class = |pack: &crate::table::TablePack, _: PackStanding| {
                let is_candidate = candidates.contains(&pack.name);
                let class = if is_candidate { CopyClass::Candidate } else { CopyClass::NotCounted };
                CopyRank::from(class)
            };
            let used = tally(&index, &reach, &class, (4, &GO)).unwrap();
            names.map(|name| used[&name].live_chunks)
        };

        assert_eq!(live(&names[..1]), [FAN, 0]);
        assert_eq!(live(&names[1..]), [0, FAN]);
        let both = live(&names);
        assert_eq!(both.iter().sum::<u64>(), FAN);
        assert!(both.contains(&0), "one of the two is free to go: {both:?}");
    });
}

#[test]
fn a_missing_chunk_stops_its_domain_unless_the_snapshot_is_written_off() {
    with_context(|context| {
        let tree = Grown::of_levels(2);
        for missing in [3, tree.nodes + 17] {
            let numbers = (0..tree.chunks()).filter(|number| *number != missing);
            let index = index_of(context, tree, numbers, 5000);
            let strict = Reach::new(&index);
            strict.walk(&marker(&index, &tree, &GO), &[root(tree)]).unwrap();
            let stop = &strict.stops()[&DomainId::DEFAULT];
            assert_eq!(stop.chunk, Some(tree.chunk(missing)));

            let lenient = Reach::new(&index);
            let root = Root { care: Care::PassOver, ..root(tree) };
            lenient.walk(&marker(&index, &tree, &GO), &[root]).unwrap();
            assert_eq!((lenient.stops().len(), lenient.passed_over()), (0, 1));
            assert!(!lenient.is_whole());
            let used = tally(&index, &lenient, &all_kept, (4, &GO)).unwrap();
            let live: u64 = used.values().map(|pack| pack.live_chunks).sum();
            let below = if missing < tree.nodes { FAN } else { 0 };
            assert_eq!(live, tree.chunks() - 1 - below);
        }
    });
}

#[test]
fn what_was_met_before_is_not_read_again_also_after_the_index_grew() {
    struct Counting(Grown, Mutex<HashMap<ChunkId, u32>>);
    impl ReadChunks for Counting {
        fn read_chunk(&self, domain: DomainId, chunk: ChunkRef, found: &Found) -> Result<Bytes> {
            *lock(&self.1).entry(chunk.id).or_default() += 1;
            self.0.read_chunk(domain, chunk, found)
        }
    }
    with_context(|context| {
        let tree = Grown::of_levels(2);
        let counting = Counting(tree, Mutex::default());
        let mut index = index_of(context, tree, 1..tree.chunks(), 5000);
        let below = |number| Root { descriptor: Some(tree.chunk(number)), ..root(tree) };
        let mut reach = Reach::new(&index);
        fn of<'a>(index: &'a Index, chunks: &'a Counting) -> Marker<'a> {
            Marker { index, chunks, at_once: 4, cancel: &GO, heard: &|_| {} }
        }
        reach.walk(&of(&index, &counting), &[below(1), below(2), below(1)]).unwrap();

        let mut builder = TableBuilder::default();
        let name = Digest::of(b"new");
        let new = listing(name, ObjectKind::MetadataPack, vec![frame(tree.chunk(0))]);
        builder.add(&new, DomainId::DEFAULT);
        index.add_table(context, builder);
        index.trust_all();
        reach.grow(&index);
        reach.walk(&of(&index, &counting), &[root(tree)]).unwrap();

        assert_eq!(lock(&counting.1).len() as u64, tree.nodes);
        assert!(lock(&counting.1).values().all(|read| *read == 1));
        let used = tally(&index, &reach, &all_kept, (4, &GO)).unwrap();
        assert_eq!(used.values().map(|p| p.live_chunks).sum::<u64>(), tree.chunks());
    });
}

/// Marks a tree and gives the most memory that the process took above what the index takes.
fn memory_of_a_mark(nodes: u64, table_chunks: usize) -> (u64, usize, usize) {
    with_context(|context| {
        let tree = Grown { nodes };
        let index = index_of(context, tree, 0..tree.chunks(), table_chunks);
        let (before, most) = (resident(), std::sync::atomic::AtomicUsize::new(0));
        let heard = |_| {
            most.fetch_max(resident(), Ordering::Relaxed);
        };
        let reach = Reach::new(&index);
        let marker =
            Marker { index: &index, chunks: &tree, at_once: 4, cancel: &GO, heard: &heard };
        reach.walk(&marker, &[root(tree)]).unwrap();
        heard(0);
        let used = tally(&index, &reach, &all_kept, (4, &GO)).unwrap();
        heard(0);
        assert_eq!(used.values().map(|p| p.live_chunks).sum::<u64>(), tree.chunks());
        let grown = most.into_inner().saturating_sub(before);
        (tree.chunks(), reach.memory(), grown)
    })
}

/// The process's memory in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_mark_of_many_chunks_keeps_one_bit_of_each() {
    let (chunks, bits, grown) = memory_of_a_mark(1001, 40_000);
    assert!(chunks > 200_000 && bits as u64 <= chunks / 8 + 8, "{bits} bytes for {chunks}");
    // What waits to be looked up, opened parts of the index, threads: 200 bytes of each chunk.
    assert!(grown < 40 << 20, "{grown} bytes more than before");
}
