//! A recipe is a list of chunks, readable from any byte. It shares what an insertion leaves, and
//! its reader refuses what does not add up.

use crate::testing::{Random, boundary, nodes, tiny};
use crate::{
    Error, Flaw, MemoryNodes, NodeSink, NodeSource, RecipeBuilder, RecipeChunk, RecipeReader,
    RecipeRoot,
};
use crypto::ChunkId;
use format::{CHUNK_BYTES_MAX, RecipeItem, RecipeNode};
use proptest::prelude::*;

type Chunks = Vec<(ChunkId, u32)>;

fn chunks(count: usize, seed: u64) -> Chunks {
    let mut random = Random(seed);
    (0..count)
        .map(|_| {
            let mut id = [0; 32];
            id.chunks_exact_mut(8).for_each(|part| {
                part.copy_from_slice(&random.next().to_le_bytes());
            });
            (ChunkId::from_bytes(id), 1 + (random.next() % 4_000_000) as u32)
        })
        .collect()
}

fn build(nodes: &MemoryNodes, boundary: crate::Boundary, chunks: &[(ChunkId, u32)]) -> RecipeRoot {
    let mut builder = RecipeBuilder::new(boundary, nodes.clone());
    for (id, length) in chunks {
        builder.push(*id, *length).unwrap();
    }
    builder.finish().unwrap()
}

fn read(nodes: &MemoryNodes, root: ChunkId) -> Result<Chunks, Error<crate::MissingNode>> {
    RecipeReader::new(nodes, root).map(|chunk| chunk.map(|c| (c.id, c.length))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_recipe_reads_back_from_any_byte(
        count in 1..400usize,
        seed: u64,
        repeated in 0..50usize,
        at in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let nodes = nodes();
        let mut chunks = chunks(count, seed);
        let zeros = chunks[0];
        chunks.splice(count / 2..count / 2, std::iter::repeat_n(zeros, repeated));
        let root = build(&nodes, tiny(), &chunks);
        let length = chunks.iter().map(|(_, length)| u64::from(*length)).sum();
        prop_assert_eq!(root.length, length);
        let mut reader = RecipeReader::new(&nodes, root.id);
        prop_assert_eq!(reader.root().unwrap(), root);
        prop_assert_eq!(read(&nodes, root.id).unwrap(), chunks.clone());
        for at in at {
            let index = at.index(chunks.len());
            let start: u64 = chunks[..index].iter().map(|(_, length)| u64::from(*length)).sum();
            let (id, length) = chunks[index];
            for offset in [start, start + u64::from(length) / 2, start + u64::from(length) - 1] {
                prop_assert_eq!(reader.seek(offset).unwrap(), start);
                let chunk = RecipeChunk { id, offset: start, length };
                prop_assert_eq!(reader.next(), Some(Ok(chunk)));
                prop_assert_eq!(reader.by_ref().count(), chunks.len() - index - 1);
            }
        }
        prop_assert_eq!(reader.seek(length).unwrap(), length);
        prop_assert_eq!(reader.next(), None);
        prop_assert_eq!(reader.seek(u64::MAX).unwrap(), length);
    }
}

#[test]
fn the_root_of_a_fixed_list_never_changes() {
    let root = build(&nodes(), boundary(13, 14), &chunks(5000, 3));
    assert_eq!((root.level, &root.id.to_string()[..16]), (1, "0203878d5cc10d29"));
}

#[test]
fn an_insertion_makes_a_few_new_nodes() {
    let nodes = nodes();
    let mut chunks = chunks(50_000, 1);
    build(&nodes, boundary(13, 14), &chunks);
    let before = nodes.len();
    chunks.insert(20_000, (ChunkId::from_bytes([9; 32]), 77));
    build(&nodes, boundary(13, 14), &chunks);
    let more = nodes.len() - before;
    assert!(more <= 8, "{more} nodes more than {before}");
}

#[test]
fn a_seek_reads_only_the_path() {
    let nodes = nodes();
    let root = build(&nodes, boundary(13, 14), &chunks(60_000, 2));
    assert_eq!(root.level, 2);
    let mut reader = RecipeReader::new(&nodes, root.id);
    nodes.take_reads();
    reader.seek(root.length / 3).unwrap();
    assert_eq!(nodes.take_reads(), 3);
    reader.seek(0).unwrap();
    assert_eq!(nodes.take_reads(), 2, "the root is held");
}

#[test]
fn a_recipe_without_chunks_and_a_chunk_without_bytes_are_refused() {
    let mut builder = RecipeBuilder::new(tiny(), nodes());
    let id = ChunkId::from_bytes([1; 32]);
    assert!(matches!(builder.push(id, 0), Err(Error::Empty { .. })));
    assert!(matches!(builder.push(id, CHUNK_BYTES_MAX + 1), Err(Error::Limit { .. })));
    assert!(matches!(builder.finish(), Err(Error::Empty { .. })));
}

#[test]
fn a_changed_byte_anywhere_is_refused_or_leaves_the_length_as_it_was() {
    let nodes = nodes();
    let root = build(&nodes, tiny(), &chunks(40, 5));
    assert!(root.level >= 2);
    for node in nodes.ids() {
        let whole = nodes.node(&node).unwrap();
        let level = whole[1];
        for (at, mask) in (0..whole.len()).flat_map(|at| [(at, 0x01), (at, 0x80), (at, 0xff)]) {
            let mut changed = whole.to_vec();
            changed[at] ^= mask;
            nodes.replace(node, changed);
            let mut reader = RecipeReader::new(&nodes, root.id);
            let named_alike = reader.root().is_ok_and(|found| found == root);
            if let Ok(found) = read(&nodes, root.id)
                && named_alike
            {
                assert_eq!((level, found.len()), (0, 40), "byte {at} of {node} was not noticed");
            }
            let _ = reader.seek(root.length / 2);
        }
        nodes.replace(node, whole);
    }
}

#[test]
fn a_node_that_is_not_what_its_parent_says_is_named() {
    let nodes = &mut nodes();
    let chunk = RecipeItem { id: ChunkId::from_bytes([1; 32]), length: 10 };
    let put = |nodes: &mut MemoryNodes, level, items: &[RecipeItem]| {
        let id = nodes.put_node(&RecipeNode { level, items: items.to_vec() }.encode()).unwrap();
        RecipeItem { id, length: items.iter().map(|item| item.length).sum() }
    };
    let leaf = put(nodes, 0, &[chunk]);
    let single = put(nodes, 1, &[leaf]);
    let pair = put(nodes, 1, &[leaf, leaf]);
    let ends_single = put(nodes, 2, &[pair, single]);
    let long = put(nodes, 0, &[RecipeItem { length: 1 << 40, ..chunk }]);
    let cases = [
        (
            1,
            [leaf, RecipeItem { length: 11, ..leaf }],
            leaf.id,
            Flaw::Weight { expected: 11, actual: 10 },
        ),
        (2, [leaf, leaf], leaf.id, Flaw::Level { expected: 1, actual: 0 }),
        (2, [single, single], single.id, Flaw::Entries { actual: 1, least: 2 }),
        (3, [ends_single, ends_single], single.id, Flaw::Entries { actual: 1, least: 2 }),
        (1, [leaf, long], long.id, Flaw::Chunk { actual: 1 << 40, max: CHUNK_BYTES_MAX }),
    ];
    for (level, items, node, what) in cases {
        let root = put(nodes, level, &items);
        assert_eq!(read(nodes, root.id), Err(Error::Malformed { node, what }));
    }
    assert!(matches!(read(nodes, single.id), Err(Error::Malformed { .. })));
}
