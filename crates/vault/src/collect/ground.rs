//! What a mark stands on: the roots of a state, which packs may go, which copies count.
//!
//! Taken once, under the ledger's lock, together with the index judged by the same state. Nothing
//! newer comes in while the mark is under way. DESIGN §9.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::PoisonError;

use crypto::{Digest, DomainId, SessionId, object_len};
use format::{Seq, VaultNames};
use ledger::{PackStanding, SnapshotStanding, State};

use super::{Work, is_closed};
use crate::mark::{Care, CopyClass, CopyRank, Root, Unreachable};
use crate::rules::Rule;
use crate::table::TablePack;
use crate::{Result, Rules};

/// What a mark stands on.
pub(super) struct Ground {
    /// Where the walk begins.
    pub(super) roots: Vec<Root>,
    /// Domains that cannot be marked whatever is walked, and why.
    pub(super) stops: Vec<(DomainId, Unreachable)>,
    /// Packs that may be suspected, or are under this collection's suspicion.
    pub(super) candidates: BTreeSet<Digest>,
    /// The newest record through which a pack came under suspicion, was condemned or lost.
    pub(super) trouble: Option<Seq>,
    /// Known packs that are not there whole.
    absent: HashSet<Digest>,
    /// The `open` record of each session.
    opened: HashMap<SessionId, Seq>,
    rules: Rules,
}

impl Ground {
    /// How a pack's copies count, and before which others.
    pub(super) fn rank(&self, pack: &TablePack, standing: PackStanding) -> CopyRank {
        let class = self.class(pack, standing);
        CopyRank { class, opened: Reverse(self.opened.get(&pack.session).copied()) }
    }

    fn class(&self, pack: &TablePack, standing: PackStanding) -> CopyClass {
        let is_candidate = self.candidates.contains(&pack.name);
        let counts = match standing {
            PackStanding::Good => true,
            PackStanding::Suspect => is_candidate || !self.rules.hold(Rule::PassForeignSuspects),
            PackStanding::Lost => !self.rules.hold(Rule::PassLost),
            PackStanding::Unknown | PackStanding::Condemned => false,
        };
        match (is_candidate, counts && !self.absent.contains(&pack.name)) {
            (false, true) => CopyClass::Kept,
            (true, true) => CopyClass::Candidate,
            (true, false) => CopyClass::LastResort,
            (false, false) => CopyClass::NotCounted,
        }
    }
}

impl Work<'_> {
    /// The ground of the state as it is; `suspicion` when packs lie under one already.
    pub(super) fn ground(&mut self, suspicion: Option<Seq>) -> Result<Ground> {
        let purged: HashSet<SessionId> = match self.is_rehearsal() {
            true => self.found.purged.iter().copied().collect(),
            false => HashSet::new(),
        };
        let rules = self.vault.rules();
        let unread = self.vault.unread_runs();
        let absent = self.absent_packs()?;
        let ledger = self.vault.ledger();
        let state = ledger.state();
        let candidates = match suspicion {
            Some(seq) => state.suspicion(seq).into_iter().flatten().copied().collect(),
            None => self.eligible(state),
        };
        let mut stops: Vec<_> = unread
            .into_iter()
            .filter_map(|(run, reason)| Some((run_domain(state, &run)?, unlisted(&run, &reason))))
            .collect();
        let lacking = state.runs().filter(|(name, _)| !self.listed.runs.contains_key(*name));
        for (name, origin) in lacking {
            let domain = state.session(origin.session).map(|session| session.domain);
            // Published after the listing, most often.
            let is_there = self.place().stat(&VaultNames::run(name))?.is_some();
            if let (Some(domain), false) = (domain, is_there) {
                stops.push((domain, unlisted(name, "it is missing")));
            }
        }
        let trouble = state.newest_trouble();
        let roots = roots(state, rules, &purged);
        let opened = state.sessions().map(|(id, session)| (id, session.opened)).collect();
        Ok(Ground { roots, stops, candidates, trouble, absent, opened, rules })
    }

    /// Packs that a suspicion may name: of closed sessions, under nobody else's.
    fn eligible(&self, state: &State) -> BTreeSet<Digest> {
        let packs = state.packs().filter(|(name, origin)| {
            let closed = state.session(origin.session).is_some_and(is_closed);
            (closed || !self.holds(Rule::CollectOnlyClosed))
                && matches!(state.pack_standing(name), PackStanding::Good | PackStanding::Lost)
        });
        packs.map(|(name, _)| *name).collect()
    }

    /// The known packs that are missing, or have another length than the index says.
    fn absent_packs(&self) -> Result<HashSet<Digest>> {
        let index = self.vault.index_handle();
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        let mut absent = HashSet::new();
        for pack in index.known_packs() {
            let wanted = object_len(pack.kind, pack.stream_length).ok();
            let there = match self.listed.packs.get(&pack.name) {
                Some(lying) => Some(lying.bytes),
                // Published after the listing, most often.
                None => self.place().stat(&VaultNames::pack(&pack.name))?.map(|stat| stat.size),
            };
            if there != wanted {
                absent.insert(pack.name);
            }
        }
        Ok(absent)
    }
}

/// Where a mark of this state begins.
fn roots(state: &State, rules: Rules, purged: &HashSet<SessionId>) -> Vec<Root> {
    let bases: BTreeSet<SessionId> =
        state.open_sessions().filter_map(|(_, session)| session.base).collect();
    let is_meant = |id: &SessionId, standing| {
        let is_base = rules.hold(Rule::MarkBases) && bases.contains(id);
        let is_listed = match standing {
            SnapshotStanding::Live => true,
            SnapshotStanding::Trashed => rules.hold(Rule::MarkTrash),
            SnapshotStanding::Purged => false,
        };
        is_base || (is_listed && !purged.contains(id))
    };
    let named = state.roots();
    let there = named.iter().filter_map(|id| Some((*id, state.snapshot(*id)?)));
    let meant = there.filter(|(id, snapshot)| is_meant(id, snapshot.standing));
    let root = |(id, snapshot): (SessionId, &ledger::Snapshot)| Root {
        snapshot: id,
        domain: snapshot.domain,
        descriptor: snapshot.body.map(|body| body.descriptor),
        care: match snapshot.written_off || !rules.hold(Rule::StopAtUnreadable) {
            true => Care::PassOver,
            false => Care::Stop,
        },
    };
    meant.map(root).collect()
}

fn run_domain(state: &State, run: &Digest) -> Option<DomainId> {
    let run = state.run(run).filter(|run| run.dropped.is_none())?;
    state.session(run.origin.session).map(|session| session.domain)
}

/// A run that may list what nobody else does.
fn unlisted(run: &Digest, reason: &str) -> Unreachable {
    let reason = match reason.contains(&run.to_string()) {
        true => reason.to_owned(),
        false => format!("{}: {reason}", VaultNames::run(run)),
    };
    Unreachable { snapshot: None, chunk: None, reason }
}
