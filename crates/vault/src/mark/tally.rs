//! How much of each pack is reached.
//!
//! One pass over the index in the order of the ids, so that all copies of a chunk are met together
//! and exactly one of them is chosen: the best of the classes that the caller gives the packs, then
//! the least name. Whoever deletes only packs without any chosen chunk leaves a copy of each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crypto::{Digest, DomainId, ObjectKind, SessionId, object_len};
use ledger::PackStanding;

use super::{Reach, go_on, in_parallel, is_readable};
use crate::Result;
use crate::index::{Index, Placed};
use crate::table::{Prefix, TableEntry, TablePack};

/// What a pack is good for when one copy of a chunk is chosen. The least is chosen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CopyClass {
    /// It stays, whatever comes out.
    Kept,
    /// It goes if nothing in it is needed.
    Candidate,
    /// It goes if nothing in it is needed, and nothing better is known to be there.
    LastResort,
    /// Its copies do not count.
    NotCounted,
}

/// How much of a pack is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackUse {
    /// Whose chunks it holds.
    pub(crate) domain: DomainId,
    /// Who made it.
    pub(crate) session: SessionId,
    /// Content or metadata.
    pub(crate) kind: ObjectKind,
    /// Chunks of it that were chosen: reached, and counted in no other pack.
    pub(crate) live_chunks: u64,
    /// Their part of its frames, in bytes as they are stored.
    pub(crate) live_bytes: u64,
    /// The bytes of the object.
    pub(crate) total_bytes: u64,
}

/// Says of each pack that the index knows and no record condemned how much of it is reached.
///
/// At most `at_once` threads work on it.
///
/// # Errors
/// When the cached index cannot be read, or it is cancelled.
pub(crate) fn tally(
    index: &Index,
    reach: &Reach,
    class: &dyn Fn(&TablePack, PackStanding) -> CopyClass,
    (at_once, cancel): (usize, &AtomicBool),
) -> Result<BTreeMap<Digest, PackUse>> {
    let tables: Vec<CountedTable> =
        (0..index.tables()).map(|table| CountedTable::new(index, table, class)).collect();
    let pass = Pass { index, reach, tables: &tables, careful: reach.has_unreadable() };
    let prefixes: Vec<Prefix> = Prefix::all(index.pass_bits(reach.layout())).collect();
    in_parallel(at_once, &prefixes, |part| {
        for prefix in part {
            go_on(cancel)?;
            pass.count(*prefix)?;
        }
        Ok(())
    })?;
    let mut used: BTreeMap<Digest, PackUse> = BTreeMap::new();
    let packs = tables.into_iter().flat_map(|table| table.packs);
    for pack in packs.filter(|pack| pack.is_there) {
        let (chunks, bytes) = (pack.chunks.into_inner(), pack.bytes.into_inner());
        let entry =
            used.entry(pack.name).or_insert(PackUse { live_chunks: 0, live_bytes: 0, ..pack.used });
        entry.live_chunks += chunks;
        entry.live_bytes += bytes;
    }
    Ok(used)
}

/// The packs of one table, counted.
struct CountedTable {
    packs: Vec<CountedPack>,
}

struct CountedPack {
    name: Digest,
    /// Whether the ledger knows it and it is not condemned. That a chunk is reached may have been
    /// noted at a copy in a pack that is condemned by now.
    is_there: bool,
    class: CopyClass,
    used: PackUse,
    chunks: AtomicU64,
    bytes: AtomicU64,
}

impl CountedTable {
    fn new(
        index: &Index,
        table: usize,
        class: &dyn Fn(&TablePack, PackStanding) -> CopyClass,
    ) -> Self {
        let packs = index.packs_of_table(table).map(|(pack, standing)| {
            let is_there = is_readable(standing);
            CountedPack {
                name: pack.name,
                is_there,
                class: if is_there { class(pack, standing) } else { CopyClass::NotCounted },
                used: PackUse {
                    domain: pack.domain,
                    session: pack.session,
                    kind: pack.kind,
                    live_chunks: 0,
                    live_bytes: 0,
                    total_bytes: object_len(pack.kind, pack.stream_length).unwrap_or_default(),
                },
                chunks: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
            }
        });
        Self { packs: packs.collect() }
    }
}

struct Pass<'a> {
    index: &'a Index,
    reach: &'a Reach,
    tables: &'a [CountedTable],
    /// Whether some copies are known not to give their chunk.
    careful: bool,
}

impl Pass<'_> {
    /// Chooses copies of all chunks whose ids begin so.
    fn count(&self, prefix: Prefix) -> Result<()> {
        let mut placed = self.index.placed_in(self.reach.layout(), prefix)?;
        let domain = |p: &Placed| self.pack(p).map(|pack| pack.used.domain);
        placed.retain(|p| domain(p).is_some());
        let key = |p: &Placed| (p.entry.id, p.entry.kind, domain(p));
        placed.sort_unstable_by_key(key);
        for copies in placed.chunk_by(|a, b| key(a) == key(b)) {
            if copies.iter().any(|copy| self.reach.holds(copy.ordinal)) {
                self.choose(copies);
            }
        }
        Ok(())
    }

    fn choose(&self, copies: &[Placed]) {
        let rank = |copy: &Placed| {
            let pack = self.pack(copy)?;
            let class = match self.careful && self.reach.is_unreadable(copy.ordinal) {
                true => CopyClass::NotCounted,
                false => pack.class,
            };
            Some((class, pack.name, copy.ordinal))
        };
        let ranked = copies.iter().filter_map(|copy| Some((rank(copy)?, copy)));
        let Some(((class, ..), chosen)) = ranked.min_by_key(|(rank, _)| *rank) else { return };
        if let Some(pack) = self.pack(chosen).filter(|_| class != CopyClass::NotCounted) {
            pack.chunks.fetch_add(1, Ordering::Relaxed);
            pack.bytes.fetch_add(stored_share(&chosen.entry), Ordering::Relaxed);
        }
    }

    fn pack(&self, placed: &Placed) -> Option<&CountedPack> {
        self.tables[placed.table].packs.get(placed.entry.pack as usize)
    }
}

/// A chunk's part of its frame as it is stored.
fn stored_share(entry: &TableEntry) -> u64 {
    let frame = entry.frame;
    let share = u64::from(frame.stored_length) * u64::from(entry.length);
    share.div_ceil(u64::from(frame.plain_length.max(1))).max(1)
}
