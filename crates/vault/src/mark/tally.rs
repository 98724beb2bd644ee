//! How much of each pack is reached.
//!
//! One pass over the index in the order of the ids, so that all copies of a chunk are met together
//! and exactly one of them is chosen: the best of the ranks that the caller gives the packs, then
//! the least name. Whoever deletes only packs without any chosen chunk leaves a copy of each.
//! [`chosen_in`] says which chunks those are, for who moves them. A rank must follow from the
//! ledger's records alone, and never from what is live: all who mark then choose alike.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crypto::{Digest, DomainId, ObjectKind, SessionId, object_len};
use format::Seq;
use ledger::PackStanding;

use super::{Reach, beginning, go_on, in_parallel, is_readable};
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

/// Which of several copies of a chunk is chosen: the least.
///
/// Within a class it is the one whose session was opened last. What a compaction wrote is so chosen
/// before what it read, and the packs that it emptied look dead from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CopyRank {
    /// What the pack is good for.
    pub(crate) class: CopyClass,
    /// The `open` record of its session.
    pub(crate) opened: Reverse<Option<Seq>>,
}

impl From<CopyClass> for CopyRank {
    fn from(class: CopyClass) -> Self {
        Self { class, opened: Reverse(None) }
    }
}

/// How the caller ranks packs.
pub(crate) type RankOf<'a> = &'a dyn Fn(&TablePack, PackStanding) -> CopyRank;

/// How much of a pack is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackUse {
    /// Whose chunks it holds.
    pub(crate) domain: DomainId,
    /// Who made it.
    pub(crate) session: SessionId,
    /// Content or metadata.
    pub(crate) kind: ObjectKind,
    /// What it was counted as.
    pub(crate) class: CopyClass,
    /// Chunks of it that were chosen: reached, and counted in no other pack.
    pub(crate) live_chunks: u64,
    /// Their part of its frames, in bytes as they are stored.
    pub(crate) live_bytes: u64,
    /// The bytes of all its chunks, counted alike.
    pub(crate) held_bytes: u64,
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
    rank: RankOf<'_>,
    (at_once, cancel): (usize, &AtomicBool),
) -> Result<BTreeMap<Digest, PackUse>> {
    let tables = counted_tables(index, rank);
    let pass = Pass { index, reach, tables: &tables, careful: reach.has_unreadable() };
    pass.over_all(at_once, cancel, &|copies, chosen, (): &mut ()| pass.count(copies, chosen))?;
    let mut used: BTreeMap<Digest, PackUse> = BTreeMap::new();
    let packs = tables.into_iter().flat_map(|table| table.packs);
    for pack in packs.filter(|pack| pack.is_there) {
        let entry = used.entry(pack.name).or_insert(pack.used);
        entry.live_chunks += pack.chunks.into_inner();
        entry.live_bytes += pack.bytes.into_inner();
        entry.held_bytes += pack.held.into_inner();
    }
    Ok(used)
}

/// The chunks that were chosen in these packs, each with the number that its pack has in `wanted`:
/// as many as [`tally`] counted there with the same ranks.
///
/// # Errors
/// As [`tally`].
pub(crate) fn chosen_in(
    index: &Index,
    reach: &Reach,
    rank: RankOf<'_>,
    wanted: &HashMap<Digest, u32>,
    (at_once, cancel): (usize, &AtomicBool),
) -> Result<Vec<(u32, TableEntry)>> {
    let tables = counted_tables(index, rank);
    let pass = Pass { index, reach, tables: &tables, careful: reach.has_unreadable() };
    let gather = |_: &[Placed], chosen: Option<&Placed>, found: &mut Vec<(u32, TableEntry)>| {
        let chosen = chosen.and_then(|chosen| Some((chosen, pass.pack(chosen)?)));
        if let Some((chosen, number)) =
            chosen.and_then(|(chosen, pack)| Some((chosen, wanted.get(&pack.name)?)))
        {
            found.push((*number, chosen.entry));
        }
    };
    let parts = pass.over_all(at_once, cancel, &gather)?;
    Ok(parts.into_iter().flatten().collect())
}

fn counted_tables(index: &Index, rank: RankOf<'_>) -> Vec<CountedTable> {
    (0..index.tables()).map(|table| CountedTable::new(index, table, rank)).collect()
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
    rank: CopyRank,
    used: PackUse,
    chunks: AtomicU64,
    bytes: AtomicU64,
    held: AtomicU64,
}

impl CountedTable {
    fn new(index: &Index, table: usize, rank: RankOf<'_>) -> Self {
        let packs = index.packs_of_table(table).map(|(pack, standing)| {
            let is_there = is_readable(standing);
            let not_counted = CopyRank::from(CopyClass::NotCounted);
            let rank = if is_there { rank(pack, standing) } else { not_counted };
            CountedPack {
                name: pack.name,
                is_there,
                rank,
                used: PackUse {
                    domain: pack.domain,
                    session: pack.session,
                    kind: pack.kind,
                    class: rank.class,
                    live_chunks: 0,
                    live_bytes: 0,
                    held_bytes: 0,
                    total_bytes: object_len(pack.kind, pack.stream_length).unwrap_or_default(),
                },
                chunks: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
                held: AtomicU64::new(0),
            }
        });
        Self { packs: packs.collect() }
    }
}

/// Hears all copies of a chunk, and which one was chosen, if any.
type Hear<'a, O> = dyn Fn(&[Placed], Option<&Placed>, &mut O) + Sync + 'a;

struct Pass<'a> {
    index: &'a Index,
    reach: &'a Reach,
    tables: &'a [CountedTable],
    /// Whether some copies are known not to give their chunk.
    careful: bool,
}

impl Pass<'_> {
    /// Hears of each chunk all its copies, and which one was chosen, if any.
    fn over_all<O: Default + Send>(
        &self,
        at_once: usize,
        cancel: &AtomicBool,
        hear: &Hear<'_, O>,
    ) -> Result<Vec<O>> {
        let prefixes: Vec<Prefix> =
            Prefix::all(self.index.pass_bits(self.reach.layout())).collect();
        in_parallel(at_once, &prefixes, |part| {
            let mut heard = O::default();
            for prefix in part {
                go_on(cancel)?;
                self.over(*prefix, |copies, chosen| hear(copies, chosen, &mut heard))?;
            }
            Ok(heard)
        })
    }

    /// Chooses copies of all chunks whose ids begin so.
    fn over(&self, prefix: Prefix, mut hear: impl FnMut(&[Placed], Option<&Placed>)) -> Result<()> {
        let mut placed = self.index.placed_in(self.reach.layout(), prefix)?;
        let domain = |p: &Placed| self.pack(p).map(|pack| pack.used.domain);
        placed.retain(|p| domain(p).is_some());
        let key = |p: &Placed| (p.entry.id, p.entry.kind, domain(p));
        placed.sort_unstable_by(|a, b| {
            let by_beginning = beginning(a.entry.id).cmp(&beginning(b.entry.id));
            by_beginning.then_with(|| key(a).cmp(&key(b)))
        });
        for copies in placed.chunk_by(|a, b| key(a) == key(b)) {
            let is_reached = copies.iter().any(|copy| self.reach.holds(copy.ordinal));
            hear(copies, if is_reached { self.choose(copies) } else { None });
        }
        Ok(())
    }

    fn choose<'p>(&self, copies: &'p [Placed]) -> Option<&'p Placed> {
        let rank = |copy: &Placed| {
            let pack = self.pack(copy)?;
            let rank = match self.careful && self.reach.is_unreadable(copy.ordinal) {
                true => CopyClass::NotCounted.into(),
                false => pack.rank,
            };
            Some((rank, pack.name, copy.ordinal))
        };
        let ranked = copies.iter().filter_map(|copy| Some((rank(copy)?, copy)));
        let ((rank, ..), chosen) = ranked.min_by_key(|(rank, _)| *rank)?;
        (rank.class != CopyClass::NotCounted).then_some(chosen)
    }

    fn count(&self, copies: &[Placed], chosen: Option<&Placed>) {
        for (nth, copy) in copies.iter().enumerate() {
            let Some(pack) = self.pack(copy) else { continue };
            // A pack that several runs list holds the chunk once.
            let is_name = |other: &Placed| self.pack(other).is_some_and(|p| p.name == pack.name);
            if !copies[..nth].iter().any(is_name) {
                pack.held.fetch_add(stored_share(&copy.entry), Ordering::Relaxed);
            }
        }
        if let Some((chosen, pack)) = chosen.and_then(|chosen| Some((chosen, self.pack(chosen)?))) {
            pack.chunks.fetch_add(1, Ordering::Relaxed);
            pack.bytes.fetch_add(stored_share(&chosen.entry), Ordering::Relaxed);
        }
    }

    fn pack(&self, placed: &Placed) -> Option<&CountedPack> {
        self.tables[placed.table].packs.get(placed.entry.pack as usize)
    }
}

/// A chunk's part of its frame as it is stored.
pub(crate) fn stored_share(entry: &TableEntry) -> u64 {
    let frame = entry.frame;
    let share = u64::from(frame.stored_length) * u64::from(entry.length);
    share.div_ceil(u64::from(frame.plain_length.max(1))).max(1)
}
