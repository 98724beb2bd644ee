//! From packs that look dead to packs that are condemned.
//!
//! A first mark, at leisure, finds what looks dead; the suspicion makes writers keep away from it;
//! then the mark goes on from the state at that record: what came in meanwhile is walked, and each
//! pack that holds the chosen copy of any live chunk is spared. When the ground moved (a `lost`, a
//! suspicion that another cleared, tables that were merged) the suspicion is cleared and all begins
//! again. DESIGN §9, steps 2 to 5.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use crypto::Digest;
use format::{Kind, Seq, VaultNames};
use ledger::Draft;

use super::ground::Ground;
use super::report::{DomainUse, HalfDead, StoppedDomain};
use super::{HeaderAt, KeptObject, ROUNDS_MAX, Removed, Work, is_broken_off, remembered};
use crate::mark::{Marker, PackUse, Reach, tally};
use crate::rules::{Rule, Rules};
use crate::{Error, Result};

/// How a round ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    Done,
    Again,
}

/// What a mark found.
pub(super) struct Marked {
    pub(super) reach: Reach,
    /// How much of each pack is reached.
    pub(super) used: BTreeMap<Digest, PackUse>,
    /// The index's state of order in which the reach's ordinals mean something.
    pub(super) order: u64,
}

impl Work<'_> {
    /// Finds and condemns what is dead.
    pub(super) fn condemn_dead(&mut self) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            if self.round()? == Round::Done {
                break;
            }
        }
        Ok(())
    }

    fn round(&mut self) -> Result<Round> {
        self.vault.refresh()?;
        self.vault.sync_index()?;
        (self.found.waiting, self.found.kept) = Default::default();
        let ground = self.ground(None)?;
        let mut marked = self.mark(&ground)?;
        if self.has_moved(&marked, &ground)? {
            return Ok(Round::Again);
        }
        self.report(&marked);
        self.rehearse_compaction(&marked);
        let looks_dead = self.look_dead(&ground, &marked)?;
        self.found.suspected = looks_dead.len() as u64;
        if self.is_rehearsal() {
            self.report_condemned(&mut marked, &looks_dead);
            return Ok(Round::Done);
        }
        if looks_dead.is_empty() {
            self.remember(&ground, &marked);
            return Ok(Round::Done);
        }
        let draft = Draft::on_packs(Kind::Suspect, looks_dead.iter().copied());
        let suspicion = self.vault.ledger().append_one(draft)?.at.seq;
        let judged = self.judge(suspicion, ground, marked);
        if !matches!(judged, Ok(Round::Done)) {
            // It keeps writers from good packs: none is left behind, if that can be helped.
            let cleared = self.clear(suspicion);
            return judged.and_then(|round| cleared.map(|()| round));
        }
        judged
    }

    /// Marks from the state at a suspicion and condemns what is dead under it.
    fn judge(&mut self, suspicion: Seq, before: Ground, marked: Marked) -> Result<Round> {
        let mut ground = before;
        let mut marked = marked;
        if self.holds(Rule::MarkAfterSuspicion) {
            self.vault.extend_index()?;
            ground = self.ground(Some(suspicion))?;
            marked = self.mark_on(marked, &ground)?;
            if self.has_moved(&marked, &ground)? {
                return Ok(Round::Again);
            }
            self.report(&marked);
        }
        let suspects: Vec<Digest> = {
            let ledger = self.vault.ledger();
            ledger.state().suspicion(suspicion).into_iter().flatten().copied().collect()
        };
        let stopped = marked.reach.stops();
        let is_dead = |name: &Digest| {
            let used = marked.used.get(name)?;
            let dead = self.is_dead(name, used) && !stopped.contains_key(&used.domain);
            dead.then_some(*name)
        };
        let dead: Vec<Digest> = suspects.iter().filter_map(is_dead).collect();
        let dead = self.of_closed_sessions(dead)?;
        let round = self.condemn(suspicion, &dead)?;
        if round == Round::Done {
            self.report_condemned(&mut marked, &dead);
            self.remember(&ground, &marked);
        }
        Ok(round)
    }

    /// Appends `condemn`, or `clear` when nothing is dead.
    fn condemn(&mut self, suspicion: Seq, dead: &BTreeSet<Digest>) -> Result<Round> {
        let pass_lost = self.holds(Rule::PassLost);
        let mut round = Round::Again;
        self.vault.ledger().append(|state| {
            let lost_since = state.newest_lost().is_some_and(|lost| lost > suspicion);
            if state.suspicion(suspicion).is_none() || (lost_since && pass_lost) {
                round = Round::Again;
                return Ok::<_, Error>(None);
            }
            round = Round::Done;
            Ok(Some(match dead.is_empty() {
                true => Draft::clear(suspicion),
                false => Draft::condemn(suspicion, dead.iter().copied()),
            }))
        })?;
        Ok(round)
    }

    /// Walks from all roots, going on from what was remembered where that still holds.
    pub(super) fn mark(&mut self, ground: &Ground) -> Result<Marked> {
        let remembered = match self.vault.rules() {
            Rules::ALL => remembered::load(self.vault, &ground.roots),
            _ => None,
        };
        let handle = self.vault.index_handle();
        let (reach, order) = {
            let mut index = handle.write().unwrap_or_else(PoisonError::into_inner);
            let reach = match remembered {
                Some(kept) if index.order_tables(&kept.tables) => {
                    Reach::from_words(&index, kept.words)
                }
                _ => Reach::new(&index),
            };
            (reach, index.reordered())
        };
        self.mark_on(Marked { reach, used: BTreeMap::new(), order }, ground)
    }

    /// Goes on with a mark on another ground: walks what it does not know, counts anew.
    fn mark_on(&mut self, marked: Marked, ground: &Ground) -> Result<Marked> {
        let Marked { mut reach, order, .. } = marked;
        let reader = self.vault.reader_of_place()?;
        let handle = self.vault.index_handle();
        let index = handle.read().unwrap_or_else(PoisonError::into_inner);
        // What a walk passed over, another may not; and the tables may have been merged.
        if index.reordered() != order || !reach.is_whole() {
            reach = Reach::new(&index);
        }
        reach.grow(&index);
        for (domain, found) in &ground.stops {
            reach.stop(*domain, found.clone());
        }
        let at_once = self.place().calls_at_once();
        let heard = |nodes| self.progress.marked(nodes);
        let marker =
            Marker { index: &index, chunks: &reader, at_once, cancel: self.cancel, heard: &heard };
        reach.walk(&marker, &ground.roots)?;
        let rank = |pack: &_, standing| ground.rank(pack, standing);
        let used = tally(&index, &reach, &rank, (at_once, self.cancel))?;
        Ok(Marked { reach, used, order: index.reordered() })
    }

    /// Whether a mark failed and another's condemnation meanwhile may be why.
    pub(super) fn has_moved(&mut self, marked: &Marked, ground: &Ground) -> Result<bool> {
        if marked.reach.stops().is_empty() {
            return Ok(false);
        }
        self.vault.refresh()?;
        Ok(self.vault.ledger().state().newest_trouble() != ground.trouble)
    }

    /// Whether a mark found nothing in a pack that a root needs.
    fn is_dead(&self, name: &Digest, used: &PackUse) -> bool {
        let trusted_blindly = !self.holds(Rule::MarkWhatWasMoved) && self.moved.contains(name);
        used.live_chunks == 0 || trusted_blindly
    }

    /// The packs that no root needs, as far as the first mark knows.
    fn look_dead(&mut self, ground: &Ground, marked: &Marked) -> Result<BTreeSet<Digest>> {
        let stopped = marked.reach.stops();
        let dead: Vec<(Digest, Option<Seq>)> = {
            let ledger = self.vault.ledger();
            let broken_off = |used: &PackUse| {
                let session = ledger.state().session(used.session);
                session.filter(|session| is_broken_off(session)).map(|session| session.last)
            };
            let dead = marked.used.iter().filter(|(name, used)| {
                self.is_dead(name, used)
                    && ground.candidates.contains(*name)
                    && !stopped.contains_key(&used.domain)
            });
            dead.map(|(name, used)| (*name, broken_off(used))).collect()
        };
        self.learn(&dead.iter().filter_map(|(_, last)| *last).collect())?;
        let grace = self.options.broken_off_grace;
        let mut looks_dead = BTreeSet::new();
        for (name, last) in dead {
            match last.map(|last| self.times.of(last).map(|at| at.plus(grace))) {
                None => {
                    looks_dead.insert(name);
                }
                Some(Some(until)) if self.now < until => {
                    self.found.waiting.add(marked.used[&name].total_bytes, until);
                }
                Some(Some(_)) => {
                    looks_dead.insert(name);
                }
                Some(None) => {}
            }
        }
        Ok(looks_dead)
    }

    /// Those packs whose own header also says that their session is closed: a record may name what
    /// it did not make.
    fn of_closed_sessions(&mut self, packs: Vec<Digest>) -> Result<BTreeSet<Digest>> {
        let names: Vec<_> = packs.iter().map(VaultNames::pack).collect();
        let headers = self.headers(&names)?;
        let mut closed = BTreeSet::new();
        let mut unclear = Vec::new();
        {
            let ledger = self.vault.ledger();
            for ((pack, name), header) in packs.iter().zip(names).zip(headers) {
                match header {
                    _ if self.may_delete(ledger.state(), &header) => drop(closed.insert(*pack)),
                    HeaderAt::Of(_) | HeaderAt::Absent => {}
                    HeaderAt::Unreadable(reason) => unclear.push((*pack, name, reason)),
                }
            }
        }
        for (pack, name, reason) in unclear {
            let bytes = self.listed.packs.get(&pack).map_or(0, |lying| lying.bytes);
            self.found.kept.push(KeptObject { name, bytes, until: None, reason });
        }
        Ok(closed)
    }

    pub(super) fn remember(&mut self, ground: &Ground, marked: &Marked) {
        if self.vault.rules() == Rules::ALL && marked.reach.is_whole() {
            remembered::keep(self.vault, &ground.roots, &marked.reach, marked.order);
        }
    }

    /// Takes what was condemned out of what is said of packs.
    fn report_condemned(&mut self, marked: &mut Marked, dead: &BTreeSet<Digest>) {
        let mut condemned = Removed::default();
        for name in dead {
            if let Some(used) = marked.used.remove(name) {
                condemned.add(used.total_bytes);
            }
        }
        self.report(marked);
        self.found.condemned = condemned;
    }

    /// Says how full packs are and what stopped.
    fn report(&mut self, marked: &Marked) {
        let mut domains: BTreeMap<_, DomainUse> = BTreeMap::new();
        let mut half_dead = Vec::new();
        let stops = marked.reach.stops();
        for (pack, used) in &marked.used {
            let PackUse { domain, live_bytes, held_bytes, total_bytes, .. } = *used;
            if stops.contains_key(&domain) {
                continue;
            }
            let live_bytes = live_bytes.min(total_bytes);
            let empty = DomainUse { domain, packs: 0, live_bytes: 0, dead_bytes: 0 };
            let sum = domains.entry(domain).or_insert(empty);
            sum.packs += 1;
            sum.live_bytes += live_bytes;
            sum.dead_bytes += total_bytes - live_bytes;
            if used.live_chunks > 0 && live_bytes <= held_bytes / 4 * 3 {
                half_dead.push(HalfDead { pack: *pack, domain, live_bytes, total_bytes });
            }
        }
        let share = |pack: &HalfDead| pack.live_bytes * 1000 / pack.total_bytes.max(1);
        half_dead.sort_by_key(|pack| (share(pack), pack.pack));
        self.found.half_dead = half_dead;
        self.found.domains = domains.into_values().collect();
        self.found.passed_over = marked.reach.passed_over();
        let stopped = stops.into_iter().map(|(domain, found)| StoppedDomain {
            domain,
            snapshot: found.snapshot,
            reason: found.reason,
        });
        self.found.stopped = stopped.collect();
    }
}
