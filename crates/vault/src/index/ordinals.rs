//! Numbers every entry of the index, so that a set of chunks is a bitmap.
//!
//! An ordinal counts entries through the tables in their order, through the shards of each, and
//! through the entries of each shard. It keeps its meaning as long as the tables stay as they are:
//! [`Index::extend`] only adds behind, merging makes all ordinals void. A chunk that lies in
//! several packs has several.

use format::{ChunkRef, Digest, DomainId};
use ledger::PackStanding;

use super::{Found, Index, file_name};
use crate::Result;
use crate::table::{FilterUse, Prefix, TableEntry, TablePack};

/// Entries that a pass over the index looks at together, about.
const PREFIX_ENTRIES: u64 = if cfg!(test) { 1 << 12 } else { 1 << 14 };
/// With more entries than this a mark passes by the filters, which would not fit into memory with
/// all that it needs: it searches in the order of the ids, so it opens each part of a table anyway.
const FILTERED_MAX: u64 = if cfg!(test) { 1 << 14 } else { 1 << 23 };

/// Where each table's and each shard's entries begin in the order of all entries.
pub(crate) struct Layout {
    /// For each table, the first ordinal of each of its shards.
    shards: Vec<Vec<u64>>,
    entries: u64,
}

impl Layout {
    /// How many entries there are: every ordinal is less.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    fn filter_use(&self) -> FilterUse {
        if self.entries > FILTERED_MAX { FilterUse::PassBy } else { FilterUse::Ask }
    }
}

/// An entry with its ordinal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) ordinal: u64,
    /// Index into the index's tables.
    pub(crate) table: usize,
    pub(crate) entry: TableEntry,
}

impl Index {
    /// The ordinals of all entries as the tables are now.
    pub(crate) fn layout(&self) -> Layout {
        let mut entries = 0;
        let shards = self.tables.iter().map(|indexed| {
            let shards = indexed.shards.iter().map(|shard| {
                let first = entries;
                entries += shard.table.len() as u64;
                first
            });
            shards.collect()
        });
        let shards = shards.collect();
        Layout { shards, entries }
    }

    /// Every entry of a chunk in a domain, whatever becomes of its pack.
    pub(crate) fn placed(
        &self,
        layout: &Layout,
        domain: DomainId,
        chunk: &ChunkRef,
    ) -> Result<Vec<Placed>> {
        let mut found = Vec::new();
        for (table, (indexed, firsts)) in self.tables.iter().zip(&layout.shards).enumerate() {
            let at = Prefix::of(&chunk.id, indexed.bits).value as usize;
            let shard = &indexed.shards[at];
            let entries = shard.table.find_at(chunk, layout.filter_use());
            let entries = entries.map_err(|error| shard.give_up(error))?;
            found.extend(entries.into_iter().filter_map(|(position, entry)| {
                let pack = indexed.packs.get(entry.pack as usize)?;
                let ordinal = firsts[at] + position as u64;
                (pack.domain == domain).then_some(Placed { ordinal, table, entry })
            }));
        }
        Ok(found)
    }

    /// The entries whose ids begin with `prefix`, which has at least as many bits as
    /// [`Self::pass_bits`] says.
    pub(crate) fn placed_in(&self, layout: &Layout, prefix: Prefix) -> Result<Vec<Placed>> {
        let mut placed = Vec::new();
        for (table, (indexed, firsts)) in self.tables.iter().zip(&layout.shards).enumerate() {
            let at = (prefix.value >> (prefix.bits - indexed.bits)) as usize;
            let shard = &indexed.shards[at];
            let (first, entries) =
                shard.table.range(prefix).map_err(|error| shard.give_up(error))?;
            let first = firsts[at] + first as u64;
            let entries = entries.into_iter().enumerate();
            placed.extend(entries.map(|(nth, entry)| {
                let ordinal = first + nth as u64;
                Placed { ordinal, table, entry }
            }));
        }
        Ok(placed)
    }

    /// How many bits of the ids part all entries into so small groups that a pass can hold one.
    pub(crate) fn pass_bits(&self, layout: &Layout) -> u8 {
        let groups = layout.entries.div_ceil(PREFIX_ENTRIES).max(1).next_power_of_two();
        let bits = groups.ilog2().min(u32::from(crate::table::PREFIX_BITS_MAX)) as u8;
        self.tables.iter().map(|indexed| indexed.bits).fold(bits, u8::max)
    }

    /// Changes when ordinals lose their meaning.
    pub(crate) fn reordered(&self) -> u64 {
        self.reordered
    }

    /// How many tables there are.
    pub(crate) fn tables(&self) -> usize {
        self.tables.len()
    }

    /// The packs that a table's entries lie in, and how each stands.
    pub(crate) fn packs_of_table(
        &self,
        table: usize,
    ) -> impl ExactSizeIterator<Item = (&TablePack, PackStanding)> {
        let indexed = &self.tables[table];
        indexed.packs.iter().zip(&indexed.standings).map(|(pack, standing)| (pack, *standing))
    }

    /// The packs of all tables that the ledger knows and that are not condemned; one may come
    /// twice.
    pub(crate) fn known_packs(&self) -> impl Iterator<Item = &TablePack> {
        let packs = (0..self.tables()).flat_map(|table| self.packs_of_table(table));
        let known = packs.filter(|(_, standing)| {
            !matches!(standing, PackStanding::Unknown | PackStanding::Condemned)
        });
        known.map(|(pack, _)| pack)
    }

    /// An entry as a reader takes it.
    pub(crate) fn found(&self, placed: &Placed) -> Option<Found> {
        let indexed = &self.tables[placed.table];
        let at = placed.entry.pack as usize;
        let (pack, standing) = (indexed.packs.get(at)?, indexed.standings.get(at)?);
        Some(Found { pack: pack.clone(), entry: placed.entry, standing: *standing })
    }

    /// The names of the tables' files, and how many entries each table has; `None` when one of
    /// them lies in memory only.
    pub(crate) fn table_names(&self) -> Option<Vec<(Digest, u64)>> {
        let name = |indexed: &super::Indexed| {
            let head = indexed.shards.last()?.path.as_deref()?;
            Some((file_name(head)?.parse().ok()?, indexed.len() as u64))
        };
        self.tables.iter().map(name).collect()
    }

    /// Puts the tables into the order of these names, others behind; `false` when one is not there.
    pub(crate) fn order_tables(&mut self, names: &[Digest]) -> bool {
        let Some(there) = self.table_names() else { return false };
        let mut rank = Vec::with_capacity(there.len());
        for (name, _) in &there {
            rank.push(names.iter().position(|wanted| wanted == name).unwrap_or(usize::MAX));
        }
        if rank.iter().filter(|rank| **rank != usize::MAX).count() != names.len() {
            return false;
        }
        let mut tables: Vec<_> = rank.into_iter().zip(std::mem::take(&mut self.tables)).collect();
        tables.sort_by_key(|(rank, _)| *rank);
        self.reordered += 1;
        self.tables = tables.into_iter().map(|(_, table)| table).collect();
        true
    }

    /// Takes every pack for good, whatever the ledger says: for tables that were made up.
    pub(crate) fn trust_all(&mut self) {
        for indexed in &mut self.tables {
            indexed.standings = vec![PackStanding::Good; indexed.packs.len()];
        }
    }

    /// Adds a table that was made by hand.
    #[cfg(test)]
    pub(crate) fn add_table(
        &mut self,
        context: &super::IndexContext<'_>,
        builder: crate::table::TableBuilder,
    ) {
        self.add(context, builder).unwrap();
    }
}
