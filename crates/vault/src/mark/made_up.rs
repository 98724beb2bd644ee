//! A vault of any size that is made up as it is read: to measure a mark where no disk would hold
//! the vault.
//!
//! A chunk is a number; its id holds the rank of the number among all, so the sorted index of a
//! hundred million chunks is written from front to back without sorting it, and the number can be
//! had back from the id. Number 0 is the root of a recipe tree whose nodes have [`FAN`] children;
//! what comes behind its last child is reached by nothing. The index is real: sealed tables in a
//! cache folder, of several sizes, as merging leaves them. Packs are not there, only listed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use crypto::{
    Bundle, Digest, DomainId, Epoch, Keyring, ObjectKind, RootSecret, SeededEntropy, SessionId,
    Suite,
};
use format::{ChunkId, ChunkKind, ChunkRef, RecipeItem, RecipeNode};
use ledger::PackStanding;
use places::MemoryPlace;

use super::{Care, CopyClass, CopyRank, Marker, Reach, ReadChunks, Root, tally};
use crate::home::Home;
use crate::index::{Found, Index, IndexContext, SHARD_ENTRIES, make_shard};
use crate::table::{FrameCodec, FramePlace, Prefix, TableBuilder, TableEntry, TablePack};
use crate::{Error, Folders, Result};

/// Children of a node.
const FAN: u64 = 200;
/// Of sixteen packs, those that lie in each table: the largest has half of all.
const TABLE_SHARES: [u64; 5] = [8, 4, 2, 1, 1];

/// A vault that is made up.
#[derive(Clone, Copy, Debug)]
pub struct MadeUpVault {
    /// Nodes of the tree; numbers from there on are content.
    nodes: u64,
    chunks: u64,
    pack_chunks: u64,
    /// Turns a number into its rank, and back.
    spread: u64,
    gather: u64,
}

/// What a mark of it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MadeUpMark {
    /// Chunks that count as reached.
    pub live_chunks: u64,
    /// Packs that the index lists.
    pub packs: u64,
    /// Packs without a chunk that counts.
    pub dead_packs: u64,
    /// Bytes of memory of the set of reached chunks.
    pub set_bytes: u64,
}

impl MadeUpVault {
    /// About so many chunks, of which about so many are reached, both at most 2^32 and the second
    /// some hundred thousand at least, in packs of so many.
    pub fn new(chunks: u64, reached: u64, pack_chunks: u64) -> Self {
        // A node's children are all nodes or all content.
        let nodes = reached.min(1 << 32) / FAN / FAN * FAN + 1;
        let mut chunks = chunks.min(1 << 32).max(nodes * FAN + 1);
        // The golden ratio of them, or the next number that has an inverse.
        let golden = |chunks: u64| (chunks as f64 * 0.618_033_988_7) as u64 | 1;
        while inverse(golden(chunks), chunks).is_none() {
            chunks += 1;
        }
        let spread = golden(chunks);
        let gather = inverse(spread, chunks).unwrap_or(1);
        Self { nodes, chunks, pack_chunks, spread, gather }
    }

    /// All chunks.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Chunks that the tree reaches.
    pub fn live_chunks(&self) -> u64 {
        self.nodes * FAN + 1
    }

    /// Writes its index into the cache below this folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_index(&self, folder: &Path) -> Result<()> {
        with_context(folder, |context| {
            (0..TABLE_SHARES.len()).try_for_each(|table| self.write_table(context, table))
        })
    }

    /// Opens that index, walks the tree and counts what is reached of each pack, with two threads.
    ///
    /// # Errors
    /// When the index cannot be read, or a chunk is missing.
    pub fn mark(&self, folder: &Path) -> Result<MadeUpMark> {
        with_context(folder, |context| {
            let mut index = Index::default();
            if let Some(tables) = context.home.cache_folder("index")? {
                index.load(context, &tables);
            }
            index.trust_all();
            let cancel = AtomicBool::new(false);
            let marker =
                Marker { index: &index, chunks: self, at_once: 2, cancel: &cancel, heard: &|_| {} };
            let reach = Reach::new(&index);
            reach.walk(&marker, &[self.root()])?;
            if let Some((_, stop)) = reach.stops().pop_first() {
                return Err(Error::object("a made-up vault", stop.reason));
            }
            let class = |_: &TablePack, _: PackStanding| CopyRank::from(CopyClass::Candidate);
            let used = tally(&index, &reach, &class, (2, &cancel))?;
            let dead = used.values().filter(|pack| pack.live_chunks == 0);
            Ok(MadeUpMark {
                live_chunks: used.values().map(|pack| pack.live_chunks).sum(),
                packs: used.len() as u64,
                dead_packs: dead.count() as u64,
                set_bytes: reach.memory() as u64,
            })
        })
    }

    fn root(&self) -> Root {
        let snapshot = SessionId::from_bytes([9; 16]);
        let chunk = ChunkRef { kind: self.kind(0), id: self.id(0) };
        Root { snapshot, domain: DomainId::DEFAULT, descriptor: Some(chunk), care: Care::Stop }
    }

    fn write_table(&self, context: &IndexContext<'_>, table: usize) -> Result<()> {
        let entries = self.chunks * TABLE_SHARES[table] / 16;
        let bits = entries.div_ceil(SHARD_ENTRIES as u64).max(1).next_power_of_two().ilog2() as u8;
        let mut builder = TableBuilder::default();
        let mut packs: BTreeMap<(bool, u64), TablePack> = BTreeMap::new();
        let mut rank = 0;
        for prefix in Prefix::all(bits) {
            while rank < self.chunks && Prefix::of(&self.id_at(rank), bits) == prefix {
                let number = self.number_at(rank);
                rank += 1;
                if table_of(number / self.pack_chunks) == table {
                    let key = (self.kind(number).is_content(), number / self.pack_chunks);
                    let pack = packs.entry(key).or_insert_with(|| pack(key));
                    builder.add_entry(self.entry(number), pack);
                }
            }
            let shard = make_shard(context, &builder.encode(prefix))?;
            let file = shard.path.as_deref().and_then(Path::file_name);
            let name = file.and_then(|name| name.to_str()?.parse().ok());
            builder.needs_sibling(
                name.ok_or_else(|| Error::object("a made-up vault", "its folder takes no table"))?,
            );
        }
        Ok(())
    }

    fn entry(&self, number: u64) -> TableEntry {
        let at = (number % self.pack_chunks * 50) as u32;
        let frame = FramePlace {
            offset: at,
            stored_length: 50,
            plain_length: 100,
            codec: FrameCodec::default(),
        };
        let (id, kind) = (self.id(number), self.kind(number));
        TableEntry { id, kind, pack: 0, frame, offset: 0, length: 100 }
    }

    fn kind(&self, number: u64) -> ChunkKind {
        if number < self.nodes { ChunkKind::Recipe } else { ChunkKind::Content }
    }

    fn id(&self, number: u64) -> ChunkId {
        self.id_at((u128::from(number) * u128::from(self.spread) % u128::from(self.chunks)) as u64)
    }

    fn number_at(&self, rank: u64) -> u64 {
        (u128::from(rank) * u128::from(self.gather) % u128::from(self.chunks)) as u64
    }

    /// The id of a rank: ids are spread evenly, with some noise.
    fn id_at(&self, rank: u64) -> ChunkId {
        let step = u64::MAX / self.chunks;
        let parts = [0, 1, 2, 3].map(|part| mix(rank * 4 + part));
        let mut bytes = [0; 32];
        for (bytes, part) in bytes.chunks_exact_mut(8).zip(parts) {
            bytes.copy_from_slice(&part.to_be_bytes());
        }
        bytes[..8].copy_from_slice(&(rank * step + parts[0] % step).to_be_bytes());
        ChunkId::from_bytes(bytes)
    }

    fn number_of(&self, id: &ChunkId) -> u64 {
        let (first, _) = id.as_bytes().split_first_chunk().expect("an id is 32 bytes");
        self.number_at(u64::from_be_bytes(*first) / (u64::MAX / self.chunks))
    }
}

impl ReadChunks for MadeUpVault {
    fn read_chunk(&self, _: DomainId, chunk: ChunkRef, _: &Found) -> Result<Bytes> {
        let first = self.number_of(&chunk.id) * FAN + 1;
        let items = (first..first + FAN).map(|n| RecipeItem { id: self.id(n), length: 1 });
        let level = u8::from(first < self.nodes);
        Ok(RecipeNode { level, items: items.collect() }.encode().into())
    }
}

/// In which table a pack's chunks lie.
fn table_of(pack: u64) -> usize {
    let mut below = 0;
    let holds = |share: &u64| {
        below += share;
        pack % 16 < below
    };
    TABLE_SHARES.iter().position(holds).unwrap_or_default()
}

fn pack((is_content, number): (bool, u64)) -> TablePack {
    TablePack {
        name: Digest::of(&[&number.to_le_bytes()[..], &[u8::from(is_content)]].concat()),
        session: SessionId::from_bytes([1; 16]),
        domain: DomainId::DEFAULT,
        kind: if is_content { ObjectKind::ContentPack } else { ObjectKind::MetadataPack },
        epoch: Epoch(0),
        stream_length: 1 << 25,
    }
}

/// The finishing steps of SplitMix64 (Steele, Lea, Flood 2014): noise from numbers.
fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The number that times `value` is 1 modulo `modulus`, by the extended algorithm of Euclid.
fn inverse(value: u64, modulus: u64) -> Option<u64> {
    let (mut a, mut b) = ((i128::from(value), 1), (i128::from(modulus), 0));
    while b.0 != 0 {
        let quotient = a.0 / b.0;
        (a, b) = (b, (a.0 - quotient * b.0, a.1 - quotient * b.1));
    }
    let found = a.1.rem_euclid(i128::from(modulus));
    (a.0 == 1).then_some(found as u64)
}

/// A context with the same keys each time.
fn with_context<T>(folder: &Path, work: impl FnOnce(&IndexContext<'_>) -> Result<T>) -> Result<T> {
    let keys = SeededEntropy::new(7);
    let bundle = Bundle::owner(RootSecret::draw(&keys), Suite::Aes256Gcm);
    let keyring = Keyring::from_bundle(bundle);
    let folders = Folders { cache: Some(folder.to_path_buf()), state: None };
    let home = Home::open(&folders, &keyring)?;
    let (place, entropy) = (MemoryPlace::new(), crypto::OsEntropy);
    work(&IndexContext { place: &place, keyring: &keyring, home: &home, entropy: &entropy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_live_chunks_are_reached_and_packs_of_the_rest_are_dead() {
        let folder = tempfile::tempdir().unwrap();
        let made_up = MadeUpVault::new(60_000, 50_000, 500);
        made_up.write_index(folder.path()).unwrap();
        let found = made_up.mark(folder.path()).unwrap();
        assert_eq!(found.live_chunks, made_up.live_chunks());
        let dead = (made_up.chunks() - made_up.live_chunks()) / 500;
        assert!((dead - 1..=dead + 1).contains(&found.dead_packs), "{found:?}, not {dead}");
        assert!(found.set_bytes <= made_up.chunks() / 8 + 8);
    }
}
