//! Forgetting: a state that forgets says the same of every later record as one that never does.
//!
//! Histories are drawn from seeds, at small intervals; a verdict is whether a record is valid, not
//! why it is void. Names of packs and runs are new each time they are published, as digests of
//! fresh ciphertext are; what a member does that names an old one again has a test of its own.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crypto::{Entropy, Role, SeededEntropy};
use format::{Digest, DomainId, Kind, ObjectRef, Seq, SessionId};
use proptest::prelude::*;

use super::world::{Host, World, commit_body, pack, packs, runs, whole};
use crate::{
    Applied, Context, Draft, Ledger, NoLists, Outcome, PackStanding, ProcessMemory, State, Trust,
};

const FAST: Context<'static> =
    Context { trust: Trust::CheckedBefore, lists: &NoLists, keyring: None };

/// One history, replayed by a state that forgets and by one that does not.
struct Twins {
    world: World,
    owner: Ledger,
    dice: SeededEntropy,
    remembering: State,
    forgetting: State,
    sessions: Vec<SessionId>,
    names: Vec<Digest>,
    suspicions: Vec<Seq>,
}

impl Twins {
    fn new(seed: u64, every: u64, age: u64) -> Self {
        let world = World::new();
        let mut owner = world.member(Role::Owner);
        owner.refresh().unwrap();
        let (mut remembering, mut forgetting) = (owner.state().clone(), owner.state().clone());
        remembering.set_compaction(1, u64::MAX);
        forgetting.set_compaction(every, age);
        let dice = SeededEntropy::new(seed);
        let (sessions, names, suspicions) = Default::default();
        Self { world, owner, dice, remembering, forgetting, sessions, names, suspicions }
    }

    fn roll(&self, sides: usize) -> usize {
        let mut drawn = [0; 4];
        self.dice.fill(&mut drawn);
        u32::from_le_bytes(drawn) as usize % sides
    }

    /// Any of a row, mostly a new one.
    fn any<T: Copy>(&self, of: &[T]) -> Option<T> {
        let back = if self.roll(4) > 0 { of.len().min(24) } else { of.len() };
        (back > 0).then(|| of[of.len() - 1 - self.roll(back)])
    }

    fn any_session(&self) -> SessionId {
        self.any(&self.sessions).unwrap_or(SessionId::from_bytes([9; 16]))
    }

    /// Mostly a session that is open.
    fn open_session(&self) -> SessionId {
        let open: Vec<_> = self.remembering.open_sessions().map(|(id, _)| id).collect();
        self.any(&open).filter(|_| self.roll(6) > 0).unwrap_or_else(|| self.any_session())
    }

    /// Mostly a snapshot that is not purged.
    fn snapshot(&self) -> SessionId {
        let roots: Vec<_> = self.remembering.roots().into_iter().collect();
        self.any(&roots).filter(|_| self.roll(4) > 0).unwrap_or_else(|| self.any_session())
    }

    fn fresh(&mut self) -> Digest {
        let name = Digest::of(&(self.names.len() as u64).to_le_bytes());
        self.names.push(name);
        name
    }

    fn some_names(&self) -> Vec<Digest> {
        let some: BTreeSet<_> = (0..8).filter_map(|_| self.any(&self.names)).collect();
        some.into_iter().chain([pack(0)]).collect()
    }

    /// What somebody might append next, sensible or not.
    fn draft(&mut self) -> Draft {
        let (session, snapshot) = (self.open_session(), self.snapshot());
        match self.roll(14) {
            0..=1 | 13 => {
                if self.roll(6) > 0 {
                    self.sessions.push(self.world.session());
                }
                let id = if self.roll(6) > 0 { self.sessions.last() } else { None };
                let base = (self.roll(2) == 0).then_some(snapshot);
                Draft::open(id.copied().unwrap_or(session), DomainId::DEFAULT, base)
            }
            2 => Draft::packs(session, vec![ObjectRef::Pack(self.fresh())]),
            3..=4 => {
                let needs = vec![ObjectRef::Pack(self.fresh()), ObjectRef::Run(self.fresh())];
                Draft::commit(session, needs, commit_body().encode())
            }
            5 => Draft::abandon(session),
            6 => {
                let live: Vec<_> = self.remembering.runs().map(|(name, _)| *name).collect();
                let dropped = self.any(&live).filter(|_| self.roll(4) > 0);
                let dropped = dropped.or(self.any(&self.names)).unwrap_or(pack(0));
                let needs = vec![ObjectRef::Run(self.fresh())];
                Draft::merge(session, needs, vec![ObjectRef::Run(dropped)])
            }
            7..=8 => {
                let kinds = [Kind::Forget, Kind::Purge, Kind::Undo, Kind::Hold, Kind::Release];
                let kind = [kinds[0], kinds[1], kinds[self.roll(5)]][self.roll(3)];
                Draft::on_snapshots(kind, [snapshot])
            }
            9 => Draft::on_packs(Kind::Suspect, self.some_names()),
            10 => {
                let suspicion = self.any(&self.suspicions).unwrap_or_default();
                let under = self.remembering.suspicion(suspicion).cloned().unwrap_or_default();
                match self.roll(4) {
                    0 => Draft::clear(suspicion),
                    1 => Draft::condemn(suspicion, self.any(&self.names)),
                    _ => Draft::condemn(suspicion, under.into_iter().take(4)),
                }
            }
            11 => {
                let condemned: Vec<_> = self.remembering.condemned().map(|(n, _)| *n).collect();
                let some = [self.any(&condemned), self.any(&condemned), self.any(&self.names)];
                Draft::on_packs(Kind::Swept, some.into_iter().flatten())
            }
            _ => {
                let kinds = [Kind::Lost, Kind::Found, Kind::Report, Kind::Tag, Kind::WriteOff];
                let kind = kinds[self.roll(kinds.len())];
                let draft = match kind {
                    Kind::Lost if self.roll(3) > 0 => return Draft::new(Kind::Report),
                    Kind::Lost | Kind::Found => Draft::on_packs(kind, self.any(&self.names)),
                    Kind::Report => Draft::new(kind),
                    _ => Draft::on_snapshots(kind, [snapshot]),
                };
                let empty = draft.refs.is_empty() && kind != Kind::Report;
                if empty { Draft::new(Kind::Report) } else { draft }
            }
        }
    }

    fn step(&mut self) -> Applied {
        let draft = self.draft();
        let bytes = whole(self.world.forge_on(&self.remembering, &self.owner, &draft, |_| {}));
        let said = self.remembering.apply(&bytes, &FAST).unwrap();
        let same = self.forgetting.apply(&bytes, &FAST).unwrap();
        let valid = |applied: &Applied| applied.outcome == Outcome::Valid;
        assert_eq!(valid(&said), valid(&same), "{draft:?}: {said:?}, forgetting: {same:?}");
        if draft.kind == Kind::Suspect {
            self.suspicions.push(said.at.seq);
        }
        said
    }

    /// Both know the same of what anybody may still act on.
    fn compare(&self) {
        let (one, other) = (&self.remembering, &self.forgetting);
        assert_eq!(one.head(), other.head());
        assert_eq!(one.roots(), other.roots());
        assert!(one.packs().eq(other.packs()));
        assert!(one.runs().eq(other.runs()));
        assert!(one.open_sessions().eq(other.open_sessions()));
        assert!(one.suspicions().eq(other.suspicions()));
        assert!(one.lost().eq(other.lost()));
        assert_eq!(one.newest_trouble(), other.newest_trouble());
        for id in &self.sessions {
            assert_eq!(one.is_closed(*id), other.is_closed(*id), "{id}");
        }
        for (_, origin) in one.packs().chain(one.runs()) {
            assert_eq!(one.session(origin.session), other.session(origin.session));
        }
        for id in one.roots() {
            assert_eq!(one.snapshot(id), other.snapshot(id));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_state_that_forgets_gives_every_record_the_same_verdict(
        seed: u64,
        every in 1_u64..20,
        age in 0_u64..60,
    ) {
        let mut twins = Twins::new(seed, every, age);
        let mut valid = 0;
        for step in 0..900 {
            valid += usize::from(twins.step().outcome == Outcome::Valid);
            if step % 90 == 0 {
                twins.compare();
            }
        }
        twins.compare();
        let (kept, all) = (twins.forgetting.known_counts(), twins.remembering.known_counts());
        let forgotten: Vec<_> = all.iter().zip(kept).map(|(all, kept)| all - kept).collect();
        prop_assert!((200..800).contains(&valid), "{valid} valid records of 900");
        prop_assert!(forgotten[0] > 20, "{all:?} {kept:?}");
        prop_assert!(forgotten[1] + forgotten[2] + forgotten[3] > 10, "{all:?} {kept:?}");

        let bytes = twins.forgetting.encode();
        let mut read = State::decode(&bytes).unwrap();
        prop_assert_eq!(read.encode(), bytes);
        read.set_compaction(every, age);
        prop_assert_eq!(read, twins.forgetting);
    }
}

/// A ledger that forgets at every record what was over eight records before.
fn quick(mut ledger: Ledger) -> Ledger {
    ledger.set_compaction(1, 8);
    ledger
}

fn idle(ledger: &mut Ledger) {
    for _ in 0..10 {
        ledger.add(Draft::new(Kind::Report));
    }
}

/// Publishes these packs, condemns them, and says that they were swept.
fn condemn(ledger: &mut Ledger, world: &World, numbers: &[u8]) {
    let session = ledger.begin(world);
    ledger.add(Draft::commit_packs(session, packs(numbers)));
    let names = || numbers.iter().map(|number| pack(*number));
    let suspicion = ledger.add(Draft::on_packs(Kind::Suspect, names())).at.seq;
    ledger.add(Draft::condemn(suspicion, names()));
    ledger.add(Draft::on_packs(Kind::Swept, names()));
}

#[test]
fn the_id_of_a_forgotten_session_is_never_used_again() {
    let world = World::new();
    let mut owner = quick(world.member(Role::Owner));
    let old = owner.begin(&world);
    owner.add(Draft::abandon(old));
    idle(&mut owner);
    assert_eq!(owner.state().session(old), None);
    assert!(owner.state().is_closed(old), "its strangers may be deleted");
    assert!(!owner.state().is_closed(world.session()));

    let reason = owner.refused(Draft::open(old, DomainId::DEFAULT, None));

    assert_eq!(reason, crate::VoidReason::SessionUsed);
}

#[test]
fn a_condemned_pack_is_known_as_long_as_an_open_session_may_rely_on_it() {
    let world = World::new();
    let mut owner = quick(world.member(Role::Owner));
    let relying = owner.begin(&world);
    condemn(&mut owner, &world, &[1]);
    idle(&mut owner);
    // Another names it again, which no honest member would.
    let hostile = owner.begin(&world);
    owner.add(Draft::commit_packs(hostile, packs(&[1])));
    assert_eq!(owner.state().pack_standing(&pack(1)), PackStanding::Condemned);

    owner.add(Draft::abandon(relying));
    idle(&mut owner);

    assert_eq!(owner.state().pack_standing(&pack(1)), PackStanding::Unknown);
}

#[test]
fn a_pack_that_was_not_swept_is_condemned_for_ever() {
    let world = World::new();
    let mut owner = quick(world.member(Role::Owner));
    let session = owner.begin(&world);
    owner.add(Draft::commit_packs(session, packs(&[1])));
    let suspicion = owner.add(Draft::on_packs(Kind::Suspect, [pack(1)])).at.seq;
    owner.add(Draft::condemn(suspicion, [pack(1)]));
    (0..3).for_each(|_| idle(&mut owner));
    assert_eq!(owner.state().pack_standing(&pack(1)), PackStanding::Condemned);
}

#[test]
fn who_keeps_a_hold_of_its_own_hears_what_is_forgotten_of_what_lies_there() {
    let world = World::new();
    let mut owner = quick(world.member(Role::Owner));
    let lying = Arc::new(HashSet::from([pack(1), pack(3), pack(4)]));
    owner.watch_drops(lying.clone());
    condemn(&mut owner, &world, &[1, 2]);
    let session = owner.begin(&world);
    owner.add(Draft::commit_packs(session, runs(&[3, 4])));
    let merging = owner.begin(&world);
    let merge = owner.add(Draft::merge(merging, runs(&[5]), runs(&[3]))).at.seq;
    assert_eq!(owner.state().forgotten_drops().count(), 0, "the state itself knows");
    idle(&mut owner);
    assert_eq!(owner.state().condemned().count() + owner.state().dropped_runs().count(), 0);

    let heard: Vec<_> = owner.state().forgotten_drops().map(|(o, seq)| (*o, seq)).collect();

    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard.contains(&(ObjectRef::Run(pack(3)), merge)));
    assert!(heard.iter().any(|(object, _)| *object == ObjectRef::Pack(pack(1))));
    let keyless = world.components();
    let memory = Arc::new(ProcessMemory::new());
    let other = Ledger::open_to_purge(keyless, &world.config_bytes, memory, lying).unwrap();
    assert_eq!(other.state().condemned().count(), 2, "after so few records nothing is forgotten");
}

#[test]
fn closed_sessions_out_of_order_are_no_state() {
    let world = World::new();
    let mut owner = quick(world.member(Role::Owner));
    for _ in 0..2 {
        let session = owner.begin(&world);
        owner.add(Draft::abandon(session));
    }
    idle(&mut owner);
    let bytes = owner.state().encode();
    let at = owner.state().closed_at(&bytes);
    let mut changed = bytes.clone();
    changed[at..at + 16].rotate_left(8);
    assert!(State::decode(&bytes).is_ok());
    assert!(State::decode(&changed).is_err());
    changed[at..at + 8].copy_from_slice(&bytes[at + 8..at + 16]);
    changed[at + 8..at + 16].copy_from_slice(&bytes[at + 8..at + 16]);
    assert!(State::decode(&changed).is_err());
}

#[test]
fn what_forgets_survives_a_replay_from_the_first_record() {
    let world = World::new();
    let mut owner = quick(world.member(Role::Owner));
    condemn(&mut owner, &world, &[1]);
    let id = owner.snapshot(&world, &[2]);
    owner.add(Draft::on_snapshots(Kind::Forget, [id]));
    owner.add(Draft::on_snapshots(Kind::Purge, [id]));
    idle(&mut owner);
    assert_eq!(owner.state().snapshot(id), None);
    assert_eq!(owner.state().snapshots().count(), 0);
    let before = owner.state().clone();

    owner.replay_anew().unwrap();

    assert_eq!(*owner.state(), before);
    for kind in [Kind::Undo, Kind::Hold, Kind::Tag, Kind::Release, Kind::WriteOff, Kind::Purge] {
        owner.refused(Draft::on_snapshots(kind, [id]));
    }
}
