//! Who may do what next, and what that does.
//!
//! Each step is one append, one put or one deletion. A rule stands where it holds an actor back,
//! so that it can be switched off there. DESIGN §9.

use super::world::{
    Bits, CHUNKS, Collecting, Has, Opened, PACKS, Pack, Session, Snapshot, Standing, World, bit,
    bits, has,
};

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A writer checks what it relies on before it commits. (That it relies on trusted packs only
    /// is comfort: without it, it would learn here that it must store them again.)
    CheckBeforeCommit,
    /// Its `open` names the base that it inherits from.
    NameTheBase,
    /// While a pack is lost, it looks up what it inherits.
    LookUpInherited,
    /// A commit needs its session open.
    CommitInOpenSession,
    /// A pack that lies under one suspicion comes under no other.
    OneSuspicion,
    /// A mark starts from the state at the `suspect` record.
    MarkAfterSuspicion,
    /// It counts snapshots in the trash.
    MarkTrash,
    /// It counts bases of open sessions.
    MarkBases,
    /// It counts no pack that lies under another's suspicion.
    PassForeignSuspects,
    /// It counts no lost pack.
    PassLost,
    /// A `lost` after the suspicion begins it again.
    BeginAgainAfterLoss,
    /// A condemn of a cleared suspicion is void.
    ClearedStaysCleared,
    /// Only packs of closed sessions are deleted when no record names them.
    StrangersOfClosedSessions,
}

impl Rule {
    pub(super) const EACH: [Self; 13] = [
        Self::CheckBeforeCommit,
        Self::NameTheBase,
        Self::LookUpInherited,
        Self::CommitInOpenSession,
        Self::OneSuspicion,
        Self::MarkAfterSuspicion,
        Self::MarkTrash,
        Self::MarkBases,
        Self::PassForeignSuspects,
        Self::PassLost,
        Self::BeginAgainAfterLoss,
        Self::ClearedStaysCleared,
        Self::StrangersOfClosedSessions,
    ];
}

/// Which rules hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules(Option<Rule>);

impl Rules {
    pub(super) const ALL: Self = Self(None);

    pub(super) fn without(rule: Rule) -> Self {
        Self(Some(rule))
    }

    fn hold(self, rule: Rule) -> bool {
        self.0 != Some(rule)
    }
}

/// What one actor does at once. Numbers are those of writers, collectors, chunks, packs, snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Open { writer: usize, base: Option<u8>, wants: Bits },
    ReadOn { writer: usize },
    Rely { writer: usize, chunk: usize, pack: usize },
    Store { writer: usize, chunks: Bits },
    Publish { writer: usize },
    Commit { writer: usize },
    Abandon { session: u8 },
    Forget { snapshot: usize },
    Undo { snapshot: usize },
    Purge { snapshot: usize },
    Choose { collector: usize },
    Suspect { collector: usize },
    Condemn { collector: usize },
    ClearOthers { suspicion_of: usize },
    DeleteStranger { pack: usize },
    Lose { pack: usize },
}

impl World {
    /// All that can happen next.
    pub(super) fn steps(&self, rules: Rules) -> Vec<Step> {
        let mut steps = Vec::new();
        for writer in 0..self.writers.len() {
            self.writer_steps(writer, &mut steps);
        }
        for collector in 0..self.collectors.len() {
            self.collector_steps(collector, &mut steps);
        }
        for (snapshot, it) in self.snapshots.iter().enumerate() {
            match it.standing {
                Standing::Live if self.left.forgets > 0 => steps.push(Step::Forget { snapshot }),
                Standing::Trashed => {
                    steps.extend([Step::Undo { snapshot }, Step::Purge { snapshot }]);
                }
                _ => {}
            }
        }
        steps.extend(self.open.iter().map(|opened| Step::Abandon { session: opened.id }));
        for (pack, it) in self.packs.iter().enumerate() {
            let may_be_open = !rules.hold(Rule::StrangersOfClosedSessions);
            if !it.known && !it.gone && (may_be_open || !self.is_open(it.session)) {
                steps.push(Step::DeleteStranger { pack });
            }
            if it.is_good() && self.left.losses > 0 {
                steps.push(Step::Lose { pack });
            }
        }
        steps
    }

    fn writer_steps(&self, writer: usize, steps: &mut Vec<Step>) {
        let Some(session) = &self.writers[writer] else {
            if self.left.sessions > 0 {
                let kept = self.snapshots.iter().enumerate();
                let kept = kept.filter(|(_, s)| s.standing != Standing::Purged);
                let bases = kept.map(|(index, _)| Some(index as u8)).chain([None]);
                steps.extend(bases.flat_map(|base| {
                    (1..1 << self.left.chunks).map(move |wants| Step::Open { writer, base, wants })
                }));
            }
            return;
        };
        if session.trusted != self.packs_that(Pack::is_trusted) {
            steps.push(Step::ReadOn { writer });
        }
        let missing = bits(session.wants).filter(|&chunk| session.has[chunk] == Has::Nowhere);
        let missing = missing.fold(0, |set, chunk| set | bit(chunk));
        let mut unknown = missing;
        for chunk in bits(missing) {
            for pack in bits(session.trusted).filter(|&p| has(self.packs[p].chunks, chunk)) {
                unknown &= !bit(chunk);
                steps.push(Step::Rely { writer, chunk, pack });
            }
        }
        if unknown != 0 && self.packs.len() < PACKS {
            steps.push(Step::Store { writer, chunks: unknown });
        }
        let own = |pack: &Pack| pack.session == session.id && !pack.known;
        if self.is_open(session.id) && self.packs.iter().any(own) {
            steps.push(Step::Publish { writer });
        }
        if missing == 0 {
            steps.push(Step::Commit { writer });
        }
    }

    fn collector_steps(&self, collector: usize, steps: &mut Vec<Step>) {
        match &self.collectors[collector] {
            Collecting::Idle if self.left.collections > 0 => {
                steps.push(Step::Choose { collector });
            }
            Collecting::Idle => {}
            Collecting::Chose { .. } => steps.push(Step::Suspect { collector }),
            Collecting::Suspected { cleared, .. } => {
                steps.push(Step::Condemn { collector });
                if !cleared {
                    steps.push(Step::ClearOthers { suspicion_of: collector });
                }
            }
        }
    }

    /// Lets it happen.
    pub(super) fn take(&mut self, step: Step, rules: Rules) {
        match step {
            Step::Open { writer, base, wants } => self.open(writer, base, wants, rules),
            Step::ReadOn { writer } => {
                let trusted = self.packs_that(Pack::is_trusted);
                if let Some(session) = &mut self.writers[writer] {
                    session.trusted = trusted;
                }
            }
            Step::Rely { writer, chunk, pack } => self.note(writer, chunk, Has::In(pack as u8)),
            Step::Store { writer, chunks } => self.store(writer, chunks),
            Step::Publish { writer } => {
                if let Some(session) = &self.writers[writer] {
                    self.publish(session.id);
                }
            }
            Step::Commit { writer } => self.commit(writer, rules),
            Step::Abandon { session } => self.open.retain(|opened| opened.id != session),
            Step::Forget { snapshot } => {
                self.left.forgets -= 1;
                self.snapshots[snapshot].standing = Standing::Trashed;
            }
            Step::Undo { snapshot } => self.snapshots[snapshot].standing = Standing::Live,
            Step::Purge { snapshot } => self.snapshots[snapshot].standing = Standing::Purged,
            Step::Choose { collector } => self.choose(collector, rules),
            Step::Suspect { collector } => self.suspect(collector, rules),
            Step::Condemn { collector } => self.condemn(collector, rules),
            Step::ClearOthers { suspicion_of } => self.clear(suspicion_of),
            Step::DeleteStranger { pack } => self.packs[pack].gone = true,
            Step::Lose { pack } => self.lose(pack),
        }
    }

    fn open(&mut self, writer: usize, base: Option<u8>, wants: Bits, rules: Rules) {
        self.left.sessions -= 1;
        let id = self.next_session;
        self.next_session += 1;
        let named = base.filter(|_| rules.hold(Rule::NameTheBase));
        self.open.push(Opened { id, base: named });
        let inherited = base.map_or(0, |base| self.snapshots[base as usize].chunks) & wants;
        let mut all = [Has::Nowhere; CHUNKS];
        for chunk in bits(inherited) {
            all[chunk] = Has::InBase;
        }
        let trusted = self.packs_that(Pack::is_trusted);
        self.writers[writer] = Some(Session { id, base, wants, has: all, trusted });
    }

    fn note(&mut self, writer: usize, chunk: usize, place: Has) {
        if let Some(session) = &mut self.writers[writer] {
            session.has[chunk] = place;
        }
    }

    fn store(&mut self, writer: usize, chunks: Bits) {
        let Some(session) = &self.writers[writer] else { return };
        let (known, gone, lost) = (false, false, false);
        let session = session.id;
        self.packs.push(Pack { chunks, session, known, gone, lost, suspected_by: 0 });
        for chunk in bits(chunks) {
            self.note(writer, chunk, Has::In(self.packs.len() as u8 - 1));
        }
    }

    fn publish(&mut self, session: u8) {
        for pack in self.packs.iter_mut().filter(|pack| pack.session == session) {
            pack.known = true;
        }
    }

    /// One append: what is checked is the state that the record stands on.
    fn commit(&mut self, writer: usize, rules: Rules) {
        let Some(mut session) = self.writers[writer].take() else { return };
        if rules.hold(Rule::CommitInOpenSession) && !self.is_open(session.id) {
            return;
        }
        if rules.hold(Rule::CheckBeforeCommit) && !self.holds_still(&mut session, rules) {
            session.trusted = self.packs_that(Pack::is_trusted);
            self.writers[writer] = Some(session);
            return;
        }
        self.publish(session.id);
        self.open.retain(|opened| opened.id != session.id);
        let chunks = session.wants;
        self.snapshots.push(Snapshot { chunks, standing: Standing::Live, excused: 0 });
    }

    /// Forgets where chunks were that the session can no longer rely on.
    fn holds_still(&self, session: &mut Session, rules: Rules) -> bool {
        let mut all = true;
        for chunk in bits(session.wants) {
            let holds = match session.has[chunk] {
                Has::Nowhere => false,
                Has::In(pack) => {
                    let pack = &self.packs[pack as usize];
                    pack.is_trusted() || (pack.session == session.id && !pack.known)
                }
                Has::InBase => {
                    let is_any_lost = self.packs.iter().any(|pack| pack.lost);
                    let holds = |pack: &Pack| has(pack.chunks, chunk) && pack.is_trusted();
                    !rules.hold(Rule::LookUpInherited)
                        || !is_any_lost
                        || self.packs.iter().any(holds)
                }
            };
            if !holds {
                session.has[chunk] = Has::Nowhere;
                all = false;
            }
        }
        all
    }

    fn choose(&mut self, collector: usize, rules: Rules) {
        self.left.collections -= 1;
        let closed = |pack: &Pack| pack.is_good() && !self.is_open(pack.session);
        let packs = self.packs_that(closed);
        let marked = self.mark(collector, packs, rules);
        let chosen = packs & !marked;
        let marked = if rules.hold(Rule::MarkAfterSuspicion) { 0 } else { marked };
        if chosen != 0 {
            self.collectors[collector] = Collecting::Chose { packs: chosen, marked };
        }
    }

    fn suspect(&mut self, collector: usize, rules: Rules) {
        let Collecting::Chose { packs, marked } = self.collectors[collector] else { return };
        let free = |pack: &Pack| !rules.hold(Rule::OneSuspicion) || pack.suspected_by == 0;
        let packs = packs & self.packs_that(|pack| pack.is_good() && free(pack));
        for pack in bits(packs) {
            self.packs[pack].suspected_by |= bit(collector);
        }
        let marked = match rules.hold(Rule::MarkAfterSuspicion) {
            true => self.mark(collector, packs, rules),
            false => marked,
        };
        self.collectors[collector] =
            Collecting::Suspected { packs, marked, lost_since: false, cleared: false };
    }

    /// The packs that must stay: one copy of each chunk that a root reaches, not a candidate's when
    /// another will do.
    fn mark(&self, collector: usize, candidates: Bits, rules: Rules) -> Bits {
        let mut reached = 0;
        for snapshot in &self.snapshots {
            let counts = match snapshot.standing {
                Standing::Live => true,
                Standing::Trashed => rules.hold(Rule::MarkTrash),
                Standing::Purged => false,
            };
            reached |= if counts { snapshot.chunks } else { 0 };
        }
        if rules.hold(Rule::MarkBases) {
            let bases = self.open.iter().filter_map(|opened| opened.base);
            reached |= bases.fold(0, |all, base| all | self.snapshots[base as usize].chunks);
        }
        let passes_foreign = rules.hold(Rule::PassForeignSuspects);
        let passes_lost = rules.hold(Rule::PassLost);
        let counts = |pack: &Pack| {
            let is_passed_over = passes_lost && pack.lost;
            let is_foreign = passes_foreign && pack.suspected_by & !bit(collector) != 0;
            pack.known && !pack.gone && !is_passed_over && !is_foreign
        };
        bits(reached).fold(0, |marked, chunk| {
            let copies = self.packs_that(|pack| has(pack.chunks, chunk) && counts(pack));
            let others = copies & !candidates;
            let chosen = if others != 0 { others } else { copies };
            marked | chosen & chosen.wrapping_neg()
        })
    }

    fn condemn(&mut self, collector: usize, rules: Rules) {
        let Collecting::Suspected { packs, marked, lost_since, cleared } =
            self.collectors[collector]
        else {
            return;
        };
        self.clear(collector);
        self.collectors[collector] = Collecting::Idle;
        let is_void = cleared && rules.hold(Rule::ClearedStaysCleared);
        let begins_again = lost_since && rules.hold(Rule::BeginAgainAfterLoss);
        if is_void || begins_again {
            return;
        }
        let condemned = packs & !marked;
        for pack in bits(condemned) {
            self.packs[pack].gone = true;
        }
    }

    fn clear(&mut self, collector: usize) {
        for pack in &mut self.packs {
            pack.suspected_by &= !bit(collector);
        }
        if let Collecting::Suspected { cleared, .. } = &mut self.collectors[collector] {
            *cleared = true;
        }
    }

    /// The place loses a pack, and somebody notes it. What lay nowhere else is nobody's fault.
    fn lose(&mut self, pack: usize) {
        self.left.losses -= 1;
        self.packs[pack].lost = true;
        for chunk in bits(self.packs[pack].chunks) {
            let another = |other: &Pack| has(other.chunks, chunk) && other.is_good();
            if !self.packs.iter().any(another) {
                for snapshot in &mut self.snapshots {
                    snapshot.excused |= bit(chunk) & snapshot.chunks;
                }
            }
        }
        for collecting in &mut self.collectors {
            if let Collecting::Suspected { lost_since, .. } = collecting {
                *lost_since = true;
            }
        }
    }
}
