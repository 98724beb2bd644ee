//! The protocol of sessions and collection on random schedules, over real records and real states.
//!
//! Writers reuse packs, inherit bases unseen and commit; a collector suspects, marks, condemns and
//! deletes at leisure; one forgets, purges and brings back. A seed decides who moves. After every
//! step each chunk of each live or trashed snapshot lies in a pack that exists. DESIGN §9.

use std::collections::{BTreeMap, BTreeSet};

use crypto::{Entropy, Role, SeededEntropy};
use format::{Digest, Kind, ObjectRef, Seq, SessionId};

use super::world::{Host, World, commit_body};
use crate::{Draft, Error, Ledger, PackStanding, SessionStatus, SnapshotStanding, State};

type Chunks = BTreeSet<u8>;

/// What lies in packs and snapshots: the ledger does not know.
struct Content {
    dice: SeededEntropy,
    packs: BTreeMap<Digest, Chunks>,
    makers: BTreeMap<Digest, SessionId>,
    snapshots: BTreeMap<SessionId, Chunks>,
    made: u32,
    deleted: usize,
}

impl Content {
    fn new(seed: u64) -> Self {
        let dice = SeededEntropy::new(seed);
        let (packs, makers, snapshots) = Default::default();
        Self { dice, packs, makers, snapshots, made: 0, deleted: 0 }
    }

    fn roll(&self, sides: usize) -> usize {
        let mut drawn = [0; 4];
        self.dice.fill(&mut drawn);
        u32::from_le_bytes(drawn) as usize % sides
    }

    fn store(&mut self, session: SessionId, chunks: Chunks) -> Digest {
        self.made += 1;
        let name = Digest::of(&self.made.to_le_bytes());
        self.packs.insert(name, chunks);
        self.makers.insert(name, session);
        name
    }

    fn holder(&self, state: &State, chunk: u8) -> Option<Digest> {
        let good = |name: &Digest| state.pack_standing(name) == PackStanding::Good;
        let holds = |name: &Digest| self.packs.get(name).is_some_and(|pack| pack.contains(&chunk));
        state.packs().map(|(name, _)| *name).find(|name| good(name) && holds(name))
    }

    fn check(&self, state: &State, seed: u64) {
        let have: Chunks = self.packs.values().flatten().copied().collect();
        for (id, snapshot) in state.snapshots() {
            let missing = self.snapshots[&id].difference(&have).count();
            let gone = snapshot.standing == SnapshotStanding::Purged;
            assert!(gone || missing == 0, "seed {seed}: snapshot {id} lost {missing} chunks");
        }
    }
}

struct Writer {
    ledger: Ledger,
    work: Option<Work>,
}

struct Work {
    session: SessionId,
    inherited: Chunks,
    relied: BTreeMap<u8, Digest>,
    made: BTreeSet<Digest>,
}

impl Writer {
    fn step(&mut self, world: &World, content: &mut Content) {
        match &mut self.work {
            None => self.begin(world, content),
            Some(_) if content.roll(12) == 0 => self.work = None,
            Some(work) if content.roll(5) == 0 => {
                let needs = work.made.iter().copied().map(ObjectRef::Pack).collect();
                let _ = self.ledger.append_one(Draft::packs(work.session, needs));
            }
            Some(work) if content.roll(5) > 0 => work.add(self.ledger.state(), content),
            Some(_) => self.commit(content),
        }
    }

    fn begin(&mut self, world: &World, content: &Content) {
        let session = world.session();
        let known: Vec<_> = self.ledger.state().snapshots().map(|(id, _)| id).collect();
        let base = (!known.is_empty()).then(|| known[content.roll(known.len())]);
        let domain = self.ledger.keyring().unwrap().domain();
        let opened = self.ledger.append_one(Draft::open(session, domain, base));
        if opened.is_ok() {
            let mut inherited =
                base.map(|base| content.snapshots[&base].clone()).unwrap_or_default();
            inherited.retain(|_| content.roll(5) < 3);
            let (relied, made) = Default::default();
            self.work = Some(Work { session, inherited, relied, made });
        }
    }

    fn commit(&mut self, content: &mut Content) {
        let Some(mut work) = self.work.take() else { return };
        let session = work.session;
        let appended = self.ledger.append(|state| {
            let open = state.session(session).map(|s| s.status) == Some(SessionStatus::Open);
            if !open {
                return Ok::<_, Error>(None);
            }
            work.recheck(state, content);
            let needs = work.made.iter().copied().map(ObjectRef::Pack).collect();
            Ok(Some(Draft::commit(session, needs, commit_body().encode())))
        });
        if appended.unwrap().is_some() {
            let own = work.relied.keys().copied();
            content.snapshots.insert(session, work.inherited.iter().copied().chain(own).collect());
        }
    }
}

impl Work {
    fn add(&mut self, state: &State, content: &mut Content) {
        let chunk = content.roll(20) as u8;
        let found = content.holder(state, chunk).filter(|_| content.roll(5) > 0);
        let pack = found.unwrap_or_else(|| {
            let name = content.store(self.session, Chunks::from([chunk]));
            self.made.insert(name);
            name
        });
        self.relied.insert(chunk, pack);
    }

    /// Stores again what lies in packs that came into trouble since.
    fn recheck(&mut self, state: &State, content: &mut Content) {
        for (chunk, pack) in self.relied.clone() {
            let own = self.made.contains(&pack);
            if own || state.pack_standing(&pack) == PackStanding::Good {
                continue;
            }
            let name = content.store(self.session, Chunks::from([chunk]));
            self.made.insert(name);
            self.relied.insert(chunk, name);
        }
    }
}

struct Collector {
    ledger: Ledger,
    mark: Option<(Seq, BTreeSet<Digest>)>,
    doomed: Vec<Digest>,
}

impl Collector {
    fn step(&mut self, content: &mut Content) {
        match content.roll(6) {
            0 => self.tidy(content),
            1 | 2 if self.mark.is_none() => self.suspect(content),
            3 => self.condemn(),
            4 => self.delete(content),
            _ => self.lose(content),
        }
    }

    fn tidy(&mut self, content: &Content) {
        self.ledger.refresh().unwrap();
        let state = self.ledger.state().clone();
        let open: Vec<_> = state.open_sessions().map(|(id, _)| id).collect();
        if !open.is_empty() && content.roll(8) == 0 {
            let _ = self.ledger.append_one(Draft::abandon(open[content.roll(open.len())]));
        }
        for (id, snapshot) in state.snapshots().filter(|_| content.roll(2) == 0) {
            let kind = match (snapshot.standing, content.roll(3)) {
                (SnapshotStanding::Live, _) => Kind::Forget,
                (SnapshotStanding::Trashed, 0) => Kind::Undo,
                _ => Kind::Purge,
            };
            let _ = self.ledger.append_one(Draft::on_snapshots(kind, [id]));
        }
    }

    /// Suspects, and marks from the state at that very record.
    fn suspect(&mut self, content: &Content) {
        let names: Vec<_> = self.ledger.state().packs().map(|(name, _)| *name).collect();
        let names = names.into_iter().filter(|_| content.roll(5) > 0).collect::<Vec<_>>();
        if names.is_empty() {
            return;
        }
        let at = self.ledger.add(Draft::on_packs(Kind::Suspect, names)).at;
        let state = self.ledger.state();
        let own = state.suspicion(at.seq).unwrap();
        let roots = state.roots();
        let mut needed: Chunks =
            roots.iter().flat_map(|id| content.snapshots[id].iter().copied()).collect();
        for (name, _) in state.packs() {
            if state.pack_standing(name) == PackStanding::Good {
                needed.retain(|chunk| !content.packs[name].contains(chunk));
            }
        }
        let mut dead = BTreeSet::new();
        for name in own {
            let kept = content.packs[name].iter().filter(|chunk| needed.remove(chunk)).count();
            if kept == 0 && state.pack_standing(name) == PackStanding::Suspect {
                dead.insert(*name);
            }
        }
        self.mark = Some((at.seq, dead));
    }

    fn condemn(&mut self) {
        let Some((suspicion, dead)) = self.mark.take() else { return };
        match self.ledger.append_one(Draft::condemn(suspicion, dead.iter().copied())) {
            Ok(_) => self.doomed.extend(dead),
            Err(_) => drop(self.ledger.append_one(Draft::clear(suspicion))),
        }
    }

    /// Deletes what is condemned, and packs that no record names whose session is closed.
    fn delete(&mut self, content: &mut Content) {
        self.ledger.refresh().unwrap();
        let state = self.ledger.state();
        let orphan = |name: &Digest| {
            state.pack_standing(name) == PackStanding::Unknown
                && state.is_closed(content.makers[name])
        };
        let orphans: Vec<_> = content.packs.keys().copied().filter(orphan).collect();
        orphans.iter().for_each(|name| drop(content.packs.remove(name)));
        for name in self.doomed.drain(..) {
            content.deleted += usize::from(content.packs.remove(&name).is_some());
        }
    }

    fn lose(&mut self, content: &Content) {
        if content.roll(8) > 0 {
            return;
        }
        // Somebody clears what another left behind.
        let left = self.ledger.state().suspicions().map(|(seq, _)| seq).next();
        if let Some(seq) = left {
            let _ = self.ledger.append_one(Draft::clear(seq));
        }
    }
}

#[test]
fn no_schedule_loses_a_chunk_of_a_live_or_trashed_snapshot() {
    let (mut commits, mut deleted) = (0, 0);
    for seed in 0..30 {
        let world = World::new();
        let mut content = Content::new(seed);
        // Half of them forget as soon as they may.
        let member = || {
            let mut ledger = world.member(Role::Owner);
            if seed % 2 == 0 {
                ledger.set_compaction(4, 10);
            }
            ledger
        };
        let writer = || Writer { ledger: member(), work: None };
        let mut writers = [writer(), writer(), writer()];
        let collector = || Collector { ledger: member(), mark: None, doomed: Vec::new() };
        let mut collectors = [collector(), collector()];
        let mut watcher = world.root();
        for _ in 0..160 {
            match content.roll(8) {
                who @ 0..3 => writers[who].step(&world, &mut content),
                who => collectors[who % 2].step(&mut content),
            }
            watcher.refresh().unwrap();
            content.check(watcher.state(), seed);
        }
        commits += watcher.state().snapshots().count();
        deleted += content.deleted;
    }
    assert!(commits > 60 && deleted > 50, "too little happened: {commits} {deleted}");
}
