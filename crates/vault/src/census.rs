//! A census: what lies in the place by type, and how many chunks lie in packs.
//!
//! Both need no tree: the first lists names and sizes, the second passes once over the index, group
//! by group, so memory does not grow with the vault beyond the packs. Numbers of chunks are of
//! packs that may be read; a chunk that lies in several packs is unique once. DESIGN §7.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use crypto::{Digest, ObjectKind};
use format::{DomainId, NamedObject};
use ledger::PackStanding;
use places::NamePrefix;

use crate::index::Index;
use crate::table::Prefix;
use crate::{Result, Vault};

/// Objects and the bytes that they take in the place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub objects: u64,
    /// Their bytes together.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What lies in a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Packs of content.
    pub content_packs: Amount,
    /// Packs of metadata.
    pub metadata_packs: Amount,
    /// Packs that the index does not know.
    pub other_packs: Amount,
    /// Index runs.
    pub runs: Amount,
    /// Records of the ledger, bundles of them, their lists, checkpoints.
    pub ledger: Amount,
    /// The config, key slots, streams and whatever else lies there.
    pub others: Amount,
    /// Of all packs: those under suspicion.
    pub suspect: Amount,
    /// Of all packs: those that a record says are lost and that lie there.
    pub lost: Amount,
    /// Of all packs: those that are condemned and not deleted yet.
    pub condemned: Amount,
}

impl Inventory {
    /// All of it.
    pub fn total(&self) -> Amount {
        let Self { content_packs, metadata_packs, other_packs, runs, ledger, others, .. } = self;
        let all = [content_packs, metadata_packs, other_packs, runs, ledger, others];
        Amount {
            objects: all.iter().map(|amount| amount.objects).sum(),
            bytes: all.iter().map(|amount| amount.bytes).sum(),
        }
    }
}

/// Chunks of one type in packs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkTotals {
    /// Different chunks.
    pub chunks: u64,
    /// Their plain bytes.
    pub plain_bytes: u64,
    /// The plain bytes of further copies of them.
    pub copied_bytes: u64,
    /// What all frames take in packs, copies too, in bytes.
    pub frame_bytes: u64,
}

impl ChunkTotals {
    /// How many plain bytes one stored byte stands for; `None` when nothing is stored.
    pub fn compression(&self) -> Option<f64> {
        let plain = self.plain_bytes + self.copied_bytes;
        (self.frame_bytes > 0).then(|| plain as f64 / self.frame_bytes as f64)
    }
}

/// The chunks that packs hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredChunks {
    /// Of files and stores.
    pub content: ChunkTotals,
    /// Of trees, recipes, descriptors.
    pub metadata: ChunkTotals,
}

impl Vault {
    /// Lists the place.
    ///
    /// # Errors
    /// When the index cannot be had; errors of the place.
    pub fn inventory(&mut self) -> Result<Inventory> {
        self.sync_index()?;
        let kinds: HashMap<Digest, ObjectKind> = {
            let index = self.index().read().unwrap_or_else(PoisonError::into_inner);
            let packs = (0..index.tables()).flat_map(|table| index.packs_of_table(table));
            packs.map(|(pack, _)| (pack.name, pack.kind)).collect()
        };
        let mut inventory = Inventory::default();
        for object in self.components().place.list(&NamePrefix::everything(), None)? {
            let object = object?;
            let size = object.size;
            let amount = match NamedObject::parse(&object.name) {
                Some(NamedObject::Pack(pack)) => {
                    let standing = self.ledger().state().pack_standing(&pack);
                    match standing {
                        PackStanding::Suspect => inventory.suspect.add(size),
                        PackStanding::Lost => inventory.lost.add(size),
                        PackStanding::Condemned => inventory.condemned.add(size),
                        _ => {}
                    }
                    match kinds.get(&pack) {
                        Some(ObjectKind::ContentPack) => &mut inventory.content_packs,
                        Some(ObjectKind::MetadataPack) => &mut inventory.metadata_packs,
                        _ => &mut inventory.other_packs,
                    }
                }
                Some(NamedObject::Run(_)) => &mut inventory.runs,
                Some(
                    NamedObject::Record(_)
                    | NamedObject::Bundle(..)
                    | NamedObject::List(_)
                    | NamedObject::Checkpoint(_),
                ) => &mut inventory.ledger,
                _ => &mut inventory.others,
            };
            amount.add(size);
        }
        Ok(inventory)
    }

    /// Counts the chunks that packs hold.
    ///
    /// # Errors
    /// When the index cannot be had or read.
    pub fn stored_chunks(&mut self) -> Result<StoredChunks> {
        self.sync_index()?;
        let index = self.index().read().unwrap_or_else(PoisonError::into_inner);
        count(&index)
    }
}

/// A pack of a table, as it counts.
#[derive(Clone, Copy)]
struct Counted {
    domain: DomainId,
    kind: ObjectKind,
}

fn count(index: &Index) -> Result<StoredChunks> {
    // A pack that several tables list counts in the first one.
    let mut met = HashSet::new();
    let mut tables: Vec<Vec<Option<Counted>>> = Vec::new();
    for table in 0..index.tables() {
        let packs = index.packs_of_table(table).map(|(pack, standing)| {
            let is_there = !matches!(standing, PackStanding::Unknown | PackStanding::Condemned);
            let counted = Counted { domain: pack.domain, kind: pack.kind };
            (is_there && met.insert(pack.name)).then_some(counted)
        });
        tables.push(packs.collect());
    }
    let layout = index.layout();
    let mut stored = StoredChunks::default();
    for prefix in Prefix::all(index.pass_bits(&layout)) {
        let placed = index.placed_in(&layout, prefix)?;
        let counted = placed.iter().filter_map(|placed| {
            let pack = (*tables.get(placed.table)?.get(placed.entry.pack as usize)?)?;
            Some((placed.entry.id, pack.domain, pack.kind.to_u8(), placed.entry))
        });
        let mut counted: Vec<_> = counted.collect();
        counted.sort_unstable();
        for copies in counted.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            for (nth, (_, _, kind, entry)) in copies.iter().enumerate() {
                let totals = match *kind == ObjectKind::ContentPack.to_u8() {
                    true => &mut stored.content,
                    false => &mut stored.metadata,
                };
                match nth {
                    0 => {
                        totals.chunks += 1;
                        totals.plain_bytes += u64::from(entry.length);
                    }
                    _ => totals.copied_bytes += u64::from(entry.length),
                }
                // Each frame has one first chunk.
                if entry.offset == 0 {
                    totals.frame_bytes += u64::from(entry.frame.stored_length);
                }
            }
        }
    }
    Ok(stored)
}
