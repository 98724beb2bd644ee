//! Compaction: live chunks move out of packs that are half dead or small.
//!
//! It only adds. A session of the owner's host stores the live chunks of the chosen packs anew and
//! publishes them; of equal copies a mark chooses the one whose session was opened last, so the old
//! packs look dead to every mark from then on, and are condemned by the protocol that condemns all.
//! Whatever dies or races in between: a chunk lies in the old pack until a mark has found it live
//! in another. A compaction that breaks off loses nothing that it published, and the next one
//! finds those packs emptier. DESIGN §9.

mod plan;
mod rewrite;

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;

use crypto::{Digest, DomainId, SessionId};
use ledger::State;

use super::ground::Ground;
use super::suspicion::Marked;
use super::{CompactOptions, ROUNDS_MAX, Work};
use crate::Result;
use crate::mark::{CopyClass, PackUse, chosen_in};
use crate::table::{TableEntry, TablePack};

use plan::Selection;

/// Chunks that are moved between one mark and the next at most, and one pack's more: what is held
/// in memory of them is 64 bytes each.
const CHUNKS_MAX: u64 = if cfg!(test) { 64 } else { 1 << 20 };

/// What a compaction is going to rewrite. Bytes are those of the chunks as they are stored, those
/// of objects where it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionPlan {
    /// Packs to rewrite.
    pub packs: u64,
    /// How many of them only because they are small.
    pub small_packs: u64,
    /// The bytes of these objects.
    pub total_bytes: u64,
    /// Bytes of live chunks that move.
    pub moved_bytes: u64,
    /// The bytes of the objects that they will take, about: as much must be free in the place, for
    /// the old packs go later.
    pub new_bytes: u64,
    /// Packs that are worth it too and are beyond [`CompactOptions::max_moved`].
    pub left_packs: u64,
}

impl CompactionPlan {
    /// The bytes that are free once the old packs are deleted, about.
    pub fn freed_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.new_bytes)
    }
}

/// What a compaction did; of a rehearsal only the plan.
#[derive(Clone, Debug, Default)]
pub struct Compaction {
    /// What was to be done.
    pub plan: CompactionPlan,
    /// Packs from which all live chunks moved.
    pub packs: u64,
    /// Chunks that moved.
    pub chunks: u64,
    /// Their bytes as they were stored.
    pub moved_bytes: u64,
    /// Packs that were made.
    pub new_packs: u64,
    /// Bytes of all objects that were made.
    pub new_bytes: u64,
    /// The sessions that did it, one for each domain and round.
    pub sessions: Vec<SessionId>,
    /// Packs that stay, because some of their chunks cannot be read.
    pub unmoved: Vec<UnmovedPack>,
}

/// A pack that was to be rewritten, and of which not all could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmovedPack {
    /// The pack.
    pub pack: Digest,
    /// How many of its live chunks no copy gave.
    pub chunks: u64,
    /// What was wrong with the last of them.
    pub reason: String,
}

/// The live chunks of one domain's packs, in the order in which they lie.
struct Moving {
    packs: Vec<TablePack>,
    /// Each with the number of its pack.
    chunks: Vec<(u32, TableEntry)>,
}

impl Work<'_> {
    /// Rewrites what is worth it: mark, choose, move, until nothing is left to choose.
    pub(super) fn compact(&mut self) -> Result<()> {
        let Some(options) = self.options.compact else { return Ok(()) };
        self.found.compaction = Some(Compaction::default());
        let (mut is_first, mut again) = (true, 0);
        while again < ROUNDS_MAX {
            let Some((ground, marked)) = self.mark_to_compact()? else {
                again += 1;
                continue;
            };
            let moved = self.compaction().moved_bytes;
            let left = options.max_moved.map(|most| most.saturating_sub(moved));
            let options = CompactOptions { max_moved: left, ..options };
            let mut selection = self.select(&marked, options);
            if std::mem::take(&mut is_first) {
                self.compaction().plan = selection.plan;
                self.progress.planned(&selection.plan);
            }
            let is_cut = selection.keep_chunks(CHUNKS_MAX);
            let Some(moving) = self.gather(&ground, &marked, &selection)? else {
                again += 1;
                continue;
            };
            drop((ground, marked));
            self.moved.extend(selection.packs.iter().map(|(name, _)| *name));
            for (domain, moving) in moving {
                self.rewrite(domain, &moving)?;
            }
            if !is_cut {
                break;
            }
        }
        // What was made is not in the list.
        self.list()
    }

    /// Says what would be rewritten, when that is all that is asked for.
    pub(super) fn rehearse_compaction(&mut self, marked: &Marked) {
        let Some(options) = self.options.compact.filter(|_| self.is_rehearsal()) else { return };
        let plan = self.select(marked, options).plan;
        self.progress.planned(&plan);
        self.found.compaction = Some(Compaction { plan, ..Compaction::default() });
    }

    fn compaction(&mut self) -> &mut Compaction {
        self.found.compaction.get_or_insert_default()
    }

    /// A mark from the state as it is; nothing when the ground moved meanwhile.
    fn mark_to_compact(&mut self) -> Result<Option<(Ground, Marked)>> {
        self.vault.refresh()?;
        self.vault.sync_index()?;
        let ground = self.ground(None)?;
        let marked = self.mark(&ground)?;
        if self.has_moved(&marked, &ground)? {
            return Ok(None);
        }
        self.remember(&ground, &marked);
        Ok(Some((ground, marked)))
    }

    /// What is worth rewriting: whole packs of closed sessions, in domains that were marked.
    fn select(&self, marked: &Marked, options: CompactOptions) -> Selection {
        let stops = marked.reach.stops();
        let may = |name: &Digest, used: &PackUse| {
            used.class == CopyClass::Candidate
                && used.live_chunks > 0
                && !stops.contains_key(&used.domain)
                && !self.moved.contains(name)
        };
        let used: Vec<_> = marked.used.iter().filter(|(name, used)| may(name, used)).collect();
        plan::select(&used, options, self.vault.full_stream_length())
    }

    /// The live chunks of what was selected, by domain; nothing when the index was put into another
    /// order since the mark.
    fn gather(
        &self,
        ground: &Ground,
        marked: &Marked,
        selection: &Selection,
    ) -> Result<Option<BTreeMap<DomainId, Moving>>> {
        if selection.packs.is_empty() {
            return Ok(Some(BTreeMap::new()));
        }
        let wanted: HashMap<Digest, u32> =
            selection.packs.iter().zip(0..).map(|((name, _), number)| (*name, number)).collect();
        let handle = self.vault.index_handle();
        let index = handle.read().unwrap_or_else(PoisonError::into_inner);
        if index.reordered() != marked.order {
            return Ok(None);
        }
        let known = index.known_packs().filter_map(|pack| Some((*wanted.get(&pack.name)?, pack)));
        let packs: BTreeMap<u32, TablePack> = known.map(|(at, pack)| (at, pack.clone())).collect();
        let rank = |pack: &_, standing| ground.rank(pack, standing);
        let at_once = self.place().calls_at_once();
        let chosen = chosen_in(&index, &marked.reach, &rank, &wanted, (at_once, self.cancel))?;
        drop(index);
        let ledger = self.vault.ledger();
        Ok(Some(by_domain(packs, chosen, ledger.state())))
    }
}

/// Parts chunks by domain and puts them into the order of their packs: content before metadata,
/// what was published first before what came later.
fn by_domain(
    packs: BTreeMap<u32, TablePack>,
    chosen: Vec<(u32, TableEntry)>,
    state: &State,
) -> BTreeMap<DomainId, Moving> {
    let mut numbered: Vec<(u32, TablePack)> = packs.into_iter().collect();
    numbered.sort_by_key(|(_, pack)| {
        (pack.kind as u8, state.pack(&pack.name).map(|origin| origin.seq), pack.name)
    });
    let mut moving: BTreeMap<DomainId, Moving> = BTreeMap::new();
    let mut renumbered = HashMap::new();
    for (number, pack) in numbered {
        let domain = pack.domain;
        let of = moving.entry(domain).or_insert(Moving { packs: vec![], chunks: vec![] });
        renumbered.insert(number, (domain, of.packs.len() as u32));
        of.packs.push(pack);
    }
    for (number, entry) in chosen {
        let Some((domain, at)) = renumbered.get(&number) else { continue };
        if let Some(of) = moving.get_mut(domain) {
            of.chunks.push((*at, entry));
        }
    }
    for of in moving.values_mut() {
        of.chunks.sort_unstable_by_key(|(pack, entry)| (*pack, entry.frame.offset, entry.offset));
    }
    moving
}
