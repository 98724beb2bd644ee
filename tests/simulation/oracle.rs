//! What must hold after every step.
//!
//! The oracle holds the owner's keys and sees the objects as they lie. A snapshot is protected from
//! its commit until it is purged. Whenever a record is created or an object is deleted: each new
//! snapshot reads back as it was meant; each chunk of each protected snapshot lies in a pack that
//! is there and not condemned; what was acknowledged stands; no condemned name is made again; no
//! record and no needed run is deleted; the ledger raises no alarm, unless somebody tampered with
//! it, and then it does. At the end a machine that never saw the vault restores all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crypto::{Digest, DomainId, SeededEntropy, SessionId};
use format::{ChunkRef, NamedObject, Seq, VaultNames};
use ledger::{Alarm, PackStanding, SnapshotStanding, State};
use places::{ManualClock, MemoryPlace, ObjectName, Place};
use replica::{ReplicaOptions, Replicator};
use testkit::simulation::{Event, Onlooker, Watch};
use vault::{Components, Folders, Reader, Vault};

use crate::actors::gremlin::heal;
use crate::base::{Base, Key, START};
use crate::trees::{self, Tree};

/// What the actors tell one another outside of the vault, as a test must know it.
#[derive(Default)]
pub(crate) struct Register {
    /// What each session is about to commit, or did.
    pub(crate) trees: BTreeMap<SessionId, Tree>,
    /// Snapshots that a writer was told stand, and their records.
    pub(crate) acknowledged: BTreeMap<SessionId, Seq>,
    /// Somebody changed a record as no client could.
    pub(crate) tampered: Option<ObjectName>,
    /// Sessions in which somebody names what others made as its own: nothing is needed for that.
    pub(crate) claims: BTreeSet<SessionId>,
    /// Packs that are damaged for a while.
    pub(crate) damaged: BTreeSet<ObjectName>,
    pub(crate) counts: Counts,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) commits: u64,
    pub(crate) again: u64,
    pub(crate) inherited: u64,
    pub(crate) restores: u64,
    pub(crate) purged: u64,
    pub(crate) condemned: u64,
    pub(crate) deleted: u64,
    pub(crate) lost: u64,
    pub(crate) damaged: u64,
    pub(crate) crashes: u64,
    pub(crate) replicated: u64,
    /// Chunks that compactions moved.
    pub(crate) moved: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.commits += other.commits;
        self.again += other.again;
        self.inherited += other.inherited;
        self.restores += other.restores;
        self.purged += other.purged;
        self.condemned += other.condemned;
        self.deleted += other.deleted;
        self.lost += other.lost;
        self.damaged += other.damaged;
        self.crashes += other.crashes;
        self.replicated += other.replicated;
        self.moved += other.moved;
    }
}

pub(crate) type Shared = Arc<Mutex<Register>>;

pub(crate) fn lock(register: &Mutex<Register>) -> MutexGuard<'_, Register> {
    register.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the vault as the owner sees it, without turns and weather.
pub(crate) fn look(objects: &MemoryPlace) -> vault::Result<Vault> {
    let components = Components {
        place: Arc::new(Onlooker(objects.clone())),
        clock: Arc::new(ManualClock::new(START)),
        entropy: Arc::new(SeededEntropy::new(0)),
    };
    Vault::open(components, &Folders::default(), Base::get().keyring(Key::Owner), "oracle")
}

pub(crate) struct Oracle {
    objects: MemoryPlace,
    vault: Vault,
    register: Shared,
    /// The chunks of every protected snapshot.
    protected: BTreeMap<SessionId, (DomainId, BTreeSet<ChunkRef>)>,
    /// Snapshots that were not read yet, because something is damaged for a while.
    unread: Vec<(SessionId, ledger::Snapshot)>,
    trouble: Option<Seq>,
    seen: Seq,
}

type Verdict = Result<(), String>;

impl Watch for Oracle {
    fn after(&mut self, event: &Event<'_>) -> Verdict {
        let register = self.register.clone();
        let mut register = lock(&register);
        if register.tampered.is_some() {
            return Ok(());
        }
        let verdict = match event {
            Event::Created { name, late } => match NamedObject::parse(name) {
                Some(NamedObject::Record(_)) => self.record_created(&mut register),
                Some(NamedObject::Pack(pack)) if !late => self.pack_created(&pack),
                _ => Ok(()),
            },
            Event::Deleted { name } => match NamedObject::parse(name) {
                Some(NamedObject::Pack(_)) => {
                    register.counts.deleted += 1;
                    self.check_protected()
                }
                Some(NamedObject::Run(run)) => self.run_deleted(&register, &run),
                Some(NamedObject::Record(_)) => Err(format!("{name} was deleted")),
                _ => Ok(()),
            },
        };
        verdict.map_err(|broken| format!("after {event:?}: {broken}"))
    }
}

impl Oracle {
    pub(crate) fn new(objects: MemoryPlace, register: Shared) -> Self {
        let vault = look(&objects).expect("the vault that plays begin with opens");
        let seen = vault.ledger().state().head().seq;
        let (protected, unread) = (BTreeMap::new(), Vec::new());
        Self { objects, vault, register, protected, unread, trouble: None, seen }
    }

    fn record_created(&mut self, register: &mut Register) -> Verdict {
        self.vault.refresh().map_err(say)?;
        if let Some(alarm) = alarm(&self.vault) {
            return Err(format!("the ledger raises an alarm: {alarm}"));
        }
        let (fresh, trouble) = {
            let ledger = self.vault.ledger();
            let state = ledger.state();
            check_acknowledged(state, register)?;
            let new = state.snapshots().rev().take_while(|(_, s)| s.seq > self.seen);
            let fresh: Vec<_> = new.map(|(id, snapshot)| (id, snapshot.clone())).collect();
            self.seen = state.head().seq;
            let before = self.protected.len();
            self.protected.retain(|id, _| is_protected(state, *id));
            register.counts.purged += (before - self.protected.len()) as u64;
            register.counts.condemned = state.condemned().count() as u64;
            (fresh, state.newest_trouble())
        };
        let changed = !fresh.is_empty() || trouble != self.trouble;
        self.trouble = trouble;
        register.counts.commits += fresh.len() as u64;
        self.unread.extend(fresh);
        if register.damaged.is_empty() && !self.unread.is_empty() {
            let reader = self.vault.reader().map_err(say)?;
            for (id, snapshot) in std::mem::take(&mut self.unread) {
                if !is_protected(self.vault.ledger().state(), id) {
                    continue;
                }
                let chunks = check_snapshot(&reader, register, id, &snapshot)?;
                self.protected.insert(id, (snapshot.domain, chunks));
            }
        }
        if changed { self.check_protected() } else { Ok(()) }
    }

    /// Each chunk of each protected snapshot lies in a pack that is there and not condemned.
    fn check_protected(&mut self) -> Verdict {
        let reader = self.vault.reader().map_err(say)?;
        let mut checked = BTreeSet::new();
        for (id, (domain, chunks)) in &self.protected {
            for chunk in chunks {
                if !checked.insert((domain, chunk)) {
                    continue;
                }
                let packs = reader.packs_of(*domain, *chunk).map_err(say)?;
                let there = |pack: &Digest| self.has(pack);
                if !packs.iter().any(there) {
                    let (kind, chunk) = (chunk.kind, chunk.id);
                    return Err(format!("snapshot {id} lost {kind} chunk {chunk}"));
                }
            }
        }
        Ok(())
    }

    fn has(&self, pack: &Digest) -> bool {
        matches!(self.objects.stat(&VaultNames::pack(pack)), Ok(Some(_)))
    }

    fn pack_created(&self, pack: &Digest) -> Verdict {
        match self.vault.ledger().state().pack_standing(pack) {
            PackStanding::Condemned => Err("a condemned name was made again".into()),
            _ => Ok(()),
        }
    }

    fn run_deleted(&self, register: &Register, run: &Digest) -> Verdict {
        let ledger = self.vault.ledger();
        match ledger.state().run(run) {
            Some(ledger::Run { origin, dropped: None })
                if !register.claims.contains(&origin.session) =>
            {
                let ledger::Origin { session, seq, .. } = origin;
                Err(format!("a run that record {seq} of session {session} needs was deleted"))
            }
            _ => Ok(()),
        }
    }
}

/// Looks at the vault once more from the beginning, as a machine would that never saw it. Where a
/// record was changed, that is noticed, or it was read in a bundle as it was; and with the record
/// as it was all is there.
pub(crate) fn judge_end(objects: &MemoryPlace, register: &Register) -> Verdict {
    register.damaged.iter().for_each(|name| heal(objects, name));
    if let Some(record) = &register.tampered {
        if let Ok(vault) = look(objects)
            && alarm(&vault).is_none()
        {
            check_acknowledged(vault.ledger().state(), register)?;
        }
        heal(objects, record);
    }
    let mut vault = look(objects).map_err(say)?;
    if let Some(alarm) = alarm(&vault) {
        return Err(format!("the ledger raises an alarm: {alarm}"));
    }
    let reader = vault.reader().map_err(say)?;
    let ledger = vault.ledger();
    let state = ledger.state();
    check_acknowledged(state, register)?;
    let protected: Vec<_> = state
        .snapshots()
        .filter(|(id, _)| is_protected(state, *id))
        .map(|(id, snapshot)| (id, snapshot.clone()))
        .collect();
    drop(ledger);
    for (id, snapshot) in protected {
        check_snapshot(&reader, register, id, &snapshot)?;
    }
    Ok(())
}

/// Each snapshot that is protected at the source restores from the replica, or is not there yet.
/// Where a pass broke off between records, one may wait for the rest: what a record further on
/// dropped is not fetched any more, and what came in its place is not known yet. Then the next pass
/// makes it whole. What was lost or damaged at the source before it was copied is not the
/// replica's to keep.
pub(crate) fn judge_replica(
    target: &MemoryPlace,
    source: &MemoryPlace,
    register: &Register,
) -> Verdict {
    let Counts { lost, damaged, .. } = register.counts;
    if lost + damaged > 0 || register.tampered.is_some() {
        return Ok(());
    }
    let judged = judge_replicated(target, source, register);
    if judged.is_ok() || !lacks_what_was_dropped(target, source) {
        return judged;
    }
    let components = |place: &MemoryPlace| Components {
        place: Arc::new(place.clone()),
        clock: Arc::new(ManualClock::new(START)),
        entropy: Arc::new(SeededEntropy::new(0)),
    };
    let options = ReplicaOptions { connections: 1, ..ReplicaOptions::default() };
    let mut replicator = Replicator::new(components(source), components(target), options);
    replicator.pass(&replica::Quiet, &AtomicBool::new(false)).map_err(say)?;
    judge_replicated(target, source, register)
}

fn judge_replicated(target: &MemoryPlace, source: &MemoryPlace, register: &Register) -> Verdict {
    // Without a config or a first record nothing is there yet.
    let (Ok(mut replica), Ok(vault)) = (look(target), look(source)) else { return Ok(()) };
    let reader = replica.reader().map_err(say)?;
    let there: Vec<_> = {
        let (ledger, source) = (replica.ledger(), vault.ledger());
        let both = |id| is_protected(ledger.state(), id) && is_protected(source.state(), id);
        let there = ledger.state().snapshots().filter(|(id, _)| both(*id));
        there.map(|(id, snapshot)| (id, snapshot.clone())).collect()
    };
    for (id, snapshot) in there {
        check_snapshot(&reader, register, id, &snapshot)
            .map_err(|broken| format!("at the replica: {broken}"))?;
    }
    Ok(())
}

/// Whether a record that the replica has not reached dropped what the replica does not have.
fn lacks_what_was_dropped(target: &MemoryPlace, source: &MemoryPlace) -> bool {
    let (Ok(replica), Ok(vault)) = (look(target), look(source)) else { return false };
    let (ledger, source) = (replica.ledger(), vault.ledger());
    let reached = ledger.state().head().seq;
    let lacks = |name| !matches!(target.stat(&name), Ok(Some(_)));
    let mut runs = source.state().dropped_runs();
    let mut packs = source.state().condemned();
    runs.any(|(run, seq)| seq > reached && lacks(VaultNames::run(run)))
        || packs.any(|(pack, by)| by.seq > reached && lacks(VaultNames::pack(pack)))
}

/// Reads a snapshot whole, and compares it with what was meant. Gives its chunks.
fn check_snapshot(
    reader: &Reader,
    register: &Register,
    id: SessionId,
    snapshot: &ledger::Snapshot,
) -> Result<BTreeSet<ChunkRef>, String> {
    let hurt = |error: vault::Error| format!("snapshot {id} does not restore: {error}");
    let meant = register.trees.get(&id).ok_or_else(|| format!("nobody made snapshot {id}"))?;
    let body = snapshot.body.ok_or_else(|| format!("the body of snapshot {id} does not open"))?;
    reader.chunk(snapshot.domain, body.descriptor).map_err(hurt)?;
    let (read, mut chunks) = trees::read(reader, snapshot.domain, meant.root).map_err(hurt)?;
    if read != trees::expected(&meant.files) {
        return Err(format!("snapshot {id} restores to something else"));
    }
    chunks.insert(body.descriptor);
    Ok(chunks)
}

pub(crate) fn check_acknowledged(state: &State, register: &Register) -> Verdict {
    for (id, seq) in &register.acknowledged {
        if state.snapshot(*id).is_none_or(|snapshot| snapshot.seq != *seq) {
            return Err(format!("snapshot {id} was acknowledged at record {seq} and is not there"));
        }
    }
    Ok(())
}

pub(crate) fn is_protected(state: &State, id: SessionId) -> bool {
    state.snapshot(id).is_some_and(|s| s.standing != SnapshotStanding::Purged)
}

/// What is wrong with the ledger. That nothing was remembered before is not.
fn alarm(vault: &Vault) -> Option<Alarm> {
    let ledger = vault.ledger();
    let grave = |alarm: &&Alarm| !matches!(alarm, Alarm::HeadForgotten { .. });
    ledger.standing().alarms.iter().find(grave).cloned()
}

fn say(error: impl std::fmt::Display) -> String {
    error.to_string()
}
