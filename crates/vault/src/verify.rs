//! Verification: everything that the ledger needs is there and is what it was.
//!
//! Without a key, every needed pack and run has the bytes of its name and the ledger's chain and
//! signatures hold. With a key also: runs and trees open, every chunk that a snapshot reaches lies
//! in a good pack that is there; of the packs that a [`Reading`] takes, every chunk is opened and
//! named anew. Each finding says which snapshots and paths it hurts, and packs that are damaged are
//! appended as `lost`. The host's own copies are not asked: what counts is what lies in the place.
//! Memory: some 64 bytes for each pack and 16 for each tree node, beside what reads are under way.
//! DESIGN §9, P5.

mod known;
mod options;
mod packs;
mod plan;
mod report;
mod small;
mod stream;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crypto::{Digest, SessionId, object_len};
use format::{NamedObject, PackListing, RUN_BYTES_MAX, VaultNames};
use ledger::{Components, Ledger, ProcessMemory, SnapshotStanding, State};

use crate::config::read_config;
use crate::index::{IndexContext, RunToRead, counts, each_run, get_small};
use crate::vault::Vault;
use crate::{Error, ErrorKind, Result};

use known::{KnownPacks, PackState};
use packs::{KeptTimes, NoDiary};
use plan::ReadTimes;

pub use options::{Fraction, Reading, Reporting, VerifyOptions};
pub(crate) use plan::check_read_times;
pub use report::Reported;

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Objects that were looked at.
    pub objects: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Records of the ledger.
    pub records: u64,
    /// Snapshots that were walked.
    pub snapshots: u64,
    /// Chunks that were opened and named anew.
    pub chunks: u64,
    /// Packs that the vault has, and how many of them were read whole.
    pub packs: u64,
    /// Packs that were read whole.
    pub packs_read: u64,
    /// Packs and runs that no record needs: left by interrupted work.
    pub strangers: u64,
    /// Packs that the ledger says are lost, that still are, and that nothing needs any more.
    pub settled: u64,
    /// What is wrong, at most [`DAMAGES_MAX`].
    pub damage: Vec<Damage>,
    /// How often something was wrong with an object beyond those.
    pub damage_unnamed: u64,
    /// Every snapshot of which a part cannot be restored.
    pub hurt: Vec<SessionId>,
    /// What was appended.
    pub reported: Reported,
}

/// One thing that is wrong, and what it hurts.
#[derive(Clone, Debug)]
pub struct Damage {
    /// The object's name in the place, or what it is.
    pub object: String,
    /// What is wrong with it.
    pub reason: String,
    /// The snapshots that it hurts.
    pub snapshots: Vec<SessionId>,
    /// The paths that it hurts, at most [`HURT_PATHS_MAX`].
    pub paths: Vec<HurtPath>,
    /// How many paths it hurts in all.
    pub paths_total: u64,
}

/// A path that cannot be restored whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HurtPath {
    /// In which snapshot.
    pub snapshot: SessionId,
    /// The path; of an unreadable tree node, the last path that it leads to.
    pub path: Vec<u8>,
}

/// The most damaged objects that are named.
pub const DAMAGES_MAX: usize = 10_000;
/// The most paths that one damage lists.
pub const HURT_PATHS_MAX: usize = 1000;
/// The most paths that all of them list.
const HURT_PATHS_TOTAL_MAX: usize = 100_000;
/// The state file that remembers what was read when.
const READ_TIMES: &str = "verified";

/// Hears what is being read; called from several threads.
pub trait VerifyProgress: Sync {
    /// An object was read: its name and how many bytes of it.
    fn object(&self, name: &str, bytes: u64);
}

impl Vault {
    /// Verifies the vault with the keys at hand.
    ///
    /// # Errors
    /// Errors of the place, a missing role, [`Error::Stopped`] when it is cancelled. Damage is no
    /// error but part of the [`Verification`].
    pub fn verify(
        &mut self,
        options: &VerifyOptions,
        progress: &dyn VerifyProgress,
        cancel: &AtomicBool,
    ) -> Result<Verification> {
        // A role without these keys would take for damage what it cannot open.
        let epoch = self.ledger().state().epoch();
        self.keyring().meta_secret(epoch)?;
        let check = self.inspect(options, progress, cancel)?;
        self.conclude(check, options.reporting)
    }

    /// Appends what was found and says it.
    pub(crate) fn conclude(
        &mut self,
        mut check: Check<'_>,
        reporting: Reporting,
    ) -> Result<Verification> {
        self.refresh()?;
        check.forget_condemned(self.ledger().state());
        let Check { mut found, known, damage, .. } = check;
        found.reported = match reporting {
            Reporting::Append => self.report(&known),
            Reporting::Never => Reported::default(),
        };
        let was_lost = |object: &str| pack_of(object).is_some_and(|name| known.was_lost(&name));
        let (settled, rest): (Vec<_>, Vec<_>) =
            damage.into_values().partition(|d| d.snapshots.is_empty() && was_lost(&d.object));
        found.settled = settled.len() as u64;
        found.damage = rest;
        Ok(found)
    }

    /// Looks at everything and appends nothing.
    pub(crate) fn inspect<'a>(
        &mut self,
        options: &VerifyOptions,
        progress: &'a dyn VerifyProgress,
        cancel: &'a AtomicBool,
    ) -> Result<Check<'a>> {
        self.refresh()?;
        let (mut check, runs) = {
            let ledger = self.ledger();
            let state = ledger.state();
            let mut check = Check::new(self.components().clone(), state, progress, cancel);
            check.ledger(&ledger)?;
            check.list_objects(state)?;
            check.small_objects(state)?;
            let runs = runs_of(state);
            check.runs(&self.index_context(), state, &runs)?;
            (check, runs)
        };
        check.presence();
        let reader = self.reader_of_place()?;
        self.read_packs(&mut check, options.reading, &runs, &reader)?;
        let snapshots: Vec<_> = {
            let ledger = self.ledger();
            let there = ledger.state().snapshots();
            let there = there.filter(|(_, s)| s.standing != SnapshotStanding::Purged);
            there.map(|(id, snapshot)| (id, snapshot.clone())).collect()
        };
        walk::walk_snapshots(&mut check, &reader, &snapshots)?;
        Ok(check)
    }

    /// Reads what is due of the packs and remembers when.
    fn read_packs(
        &self,
        check: &mut Check<'_>,
        reading: Reading,
        runs: &[RunToRead],
        reader: &crate::Reader,
    ) -> Result<()> {
        let Components { clock, entropy, .. } = self.components();
        let now = clock.now();
        let load = |bytes: Option<Vec<u8>>| {
            bytes.and_then(|bytes| ReadTimes::decode(&bytes).ok()).unwrap_or_default()
        };
        let mut times = load(self.home().state_file(READ_TIMES).unwrap_or_default());
        times.follow(&check.known, now);
        plan::choose(&mut check.known, reading, &times, now, entropy.as_ref());
        let context = self.index_context();
        if reading == Reading::Structure {
            return packs::read_due(check, reader, &context, runs, &NoDiary);
        }
        let failed = Mutex::new(None);
        let keep = |times: &ReadTimes| {
            let changed = self.home().change_state_file(READ_TIMES, entropy.as_ref(), |old| {
                let mut merged = times.clone();
                merged.merge(&load(old));
                merged.encode()
            });
            *crate::writer::lock(&failed) = changed.err();
        };
        let diary =
            KeptTimes { times: Mutex::new((times, now)), clock: clock.as_ref(), keep: &keep };
        let read = packs::read_due(check, reader, &context, runs, &diary);
        let (mut times, _) = diary.times.into_inner().unwrap_or_else(|e| e.into_inner());
        if read.is_ok() && matches!(reading, Reading::Coverage(_)) {
            times.last_run = Some(clock.now());
        }
        keep(&times);
        read?;
        match failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
            // Without this memory there is no coverage; other readings go on without.
            Some(error) if matches!(reading, Reading::Coverage(_)) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Verifies a vault without any key: that packs are there, and as `reading` says that packs and
/// runs have the bytes of their names. Nothing is remembered, so [`Reading::Coverage`] reads as at
/// its first run.
///
/// # Errors
/// As [`Vault::verify`].
pub fn verify_keyless(
    components: &Components,
    reading: Reading,
    progress: &dyn VerifyProgress,
    cancel: &AtomicBool,
) -> Result<Verification> {
    let (_, config) = read_config(components.place.as_ref())?;
    let memory = Arc::new(ProcessMemory::new());
    let ledger = Ledger::open(components.clone(), &config, None, memory, None)?;
    let state = ledger.state();
    let mut check = Check::new(components.clone(), state, progress, cancel);
    check.ledger(&ledger)?;
    check.list_objects(state)?;
    check.small_objects(state)?;
    for run in runs_of(state) {
        match reading {
            Reading::Structure => check.run_presence(&run.name),
            _ => check.run_name(&run.name)?,
        }
    }
    check.missing();
    let times = ReadTimes::default();
    let (now, entropy) = (components.clock.now(), components.entropy.as_ref());
    plan::choose(&mut check.known, reading, &times, now, entropy);
    packs::read_due_names(&mut check, &NoDiary)?;
    check.count_read();
    check.found.damage = check.damage.into_values().collect();
    Ok(check.found)
}

/// A verification under way.
pub(crate) struct Check<'a> {
    components: Components,
    progress: &'a dyn VerifyProgress,
    cancel: &'a AtomicBool,
    pub(crate) found: Verification,
    /// Damage by the object's name, in order.
    pub(crate) damage: BTreeMap<String, Damage>,
    known: KnownPacks,
    /// Runs that the place lists, of those that the ledger knows.
    runs_there: HashSet<Digest>,
    /// Runs that cannot be read.
    pub(crate) unread_runs: Vec<Digest>,
    hurt: BTreeSet<SessionId>,
    paths_named: usize,
    /// Takes what is not named any more.
    beyond: Damage,
}

impl<'a> Check<'a> {
    fn new(
        components: Components,
        state: &State,
        progress: &'a dyn VerifyProgress,
        cancel: &'a AtomicBool,
    ) -> Self {
        Self {
            components,
            progress,
            cancel,
            found: Verification::default(),
            damage: BTreeMap::new(),
            known: KnownPacks::new(state),
            runs_there: HashSet::new(),
            unread_runs: Vec::new(),
            hurt: BTreeSet::new(),
            paths_named: 0,
            beyond: Damage::of("", ""),
        }
    }

    /// Replays the ledger from its first record.
    fn ledger(&mut self, ledger: &Ledger) -> Result<()> {
        let mut records = 0;
        let replayed = ledger.replay(|_, _| {
            records += 1;
            Ok(())
        });
        self.found.records = records;
        for (bundle, _) in ledger.damaged_bundles()? {
            self.damaged(bundle.as_str(), "it does not hold the records of the ledger");
        }
        match replayed {
            Ok(state) if state.head() == ledger.state().head() => Ok(()),
            // A changed record can make all that follow it void, without a break.
            Ok(_) => {
                self.damaged("ledger", "its records lead to another history than the one known");
                Ok(())
            }
            Err(error) if matches!(error.kind(), ledger::ErrorKind::Unavailable) => {
                Err(error.into())
            }
            Err(error) => {
                self.damaged("ledger", error);
                Ok(())
            }
        }
    }

    /// Meets what lies in the place.
    fn list_objects(&mut self, state: &State) -> Result<()> {
        let place = self.components.place.clone();
        for prefix in [VaultNames::packs(), VaultNames::runs()] {
            for object in place.list(&prefix, None)? {
                self.go_on()?;
                let object = object?;
                let is_stranger = match NamedObject::parse(&object.name) {
                    Some(NamedObject::Pack(name)) => match self.known.find(&name) {
                        Some(pack) => {
                            pack.size = Some(object.size);
                            false
                        }
                        None => true,
                    },
                    Some(NamedObject::Run(name)) if state.run(&name).is_some() => {
                        self.runs_there.insert(name);
                        false
                    }
                    Some(NamedObject::Run(_)) => true,
                    _ => false,
                };
                self.found.strangers += u64::from(is_stranger);
            }
        }
        Ok(())
    }

    /// Opens every run as it lies in the place, and holds what it lists to what lies there.
    fn runs(
        &mut self,
        context: &IndexContext<'_>,
        state: &State,
        runs: &[RunToRead],
    ) -> Result<()> {
        each_run(context, runs, |number, run, fetched| {
            self.go_on()?;
            let object = VaultNames::run(&run.name);
            match fetched {
                Ok(listed) => {
                    self.read_object(object.as_str(), 0);
                    let mut listed = listed.packs.iter().filter(|p| counts(state, run.session, p));
                    listed.try_for_each(|pack| self.meet_listing(pack, number as u32, &run.name))
                }
                Err(error) => {
                    self.unread_runs.push(run.name);
                    self.take(object.as_str(), error)
                }
            }
        })
    }

    fn meet_listing(&mut self, listing: &PackListing, run: u32, name: &Digest) -> Result<()> {
        let Some(pack) = self.known.find(&listing.name) else { return Ok(()) };
        if pack.run.is_some() {
            return Ok(());
        }
        pack.run = Some(run);
        let expected = object_len(listing.kind, listing.stream_length).unwrap_or_default();
        let Some(actual) = pack.size.filter(|actual| *actual != expected) else { return Ok(()) };
        // Either the pack is damaged or the run lies: the pack's name tells.
        match stream::read_name(self.components.place.as_ref(), &listing.name, actual) {
            Ok(_) => {
                pack.run = None;
                let run = VaultNames::run(name);
                let reason = format!(
                    "it lists {} with {expected} bytes, which has {actual}",
                    VaultNames::pack(&listing.name)
                );
                self.damaged(run.as_str(), reason);
            }
            Err(error) if says_damage(&error) => {
                pack.state = PackState::Gone;
                let reason = format!("it is {actual} bytes, its index run says {expected}");
                self.damaged(VaultNames::pack(&listing.name).as_str(), reason);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Every pack that the ledger knows is there, and a readable run lists it.
    fn presence(&mut self) {
        self.missing();
        let unlisted = self.known.iter().filter(|pack| pack.run.is_none() && pack.size.is_some());
        let unlisted: Vec<Digest> = unlisted.map(|pack| pack.name).collect();
        for name in unlisted {
            self.damaged(VaultNames::pack(&name).as_str(), UNLISTED);
        }
    }

    fn missing(&mut self) {
        self.found.packs = self.known.all().len() as u64;
        self.found.objects += self.found.packs;
        let mut missing = Vec::new();
        for pack in self.known.all().iter_mut().filter(|pack| pack.size.is_none()) {
            pack.state = PackState::Gone;
            missing.push(pack.name);
        }
        for name in missing {
            self.damaged(VaultNames::pack(&name).as_str(), "it is missing");
        }
    }

    fn run_presence(&mut self, run: &Digest) {
        self.found.objects += 1;
        if !self.runs_there.contains(run) {
            self.damaged(VaultNames::run(run).as_str(), "it is missing");
        }
    }

    /// Checks that a run has the bytes of its name.
    fn run_name(&mut self, run: &Digest) -> Result<()> {
        self.go_on()?;
        let name = VaultNames::run(run);
        match get_small(self.components.place.as_ref(), &name, RUN_BYTES_MAX) {
            Ok(bytes) if Digest::of(&bytes) == *run => {
                self.read_object(name.as_str(), bytes.len() as u64);
            }
            Ok(_) => {
                self.damaged(name.as_str(), Error::object(&name, stream::OTHER_BYTES));
            }
            Err(error) => self.take(name.as_str(), error)?,
        }
        Ok(())
    }

    /// What was wrong with packs that may be deleted by now is no damage.
    fn forget_condemned(&mut self, state: &State) {
        self.damage.retain(|object, _| pack_of(object).is_none_or(|n| state.pack(&n).is_some()));
        self.found.hurt = self.hurt.iter().copied().collect();
        self.count_read();
    }

    fn count_read(&mut self) {
        let read =
            self.known.iter().filter(|p| matches!(p.state, PackState::Well | PackState::Ill));
        self.found.packs_read = read.count() as u64;
    }

    /// Notes damage; an error that says nothing about the object goes on to the caller.
    fn take(&mut self, object: &str, error: Error) -> Result<()> {
        if says_damage(&error) {
            self.damaged(object, error);
            return Ok(());
        }
        Err(error)
    }

    fn damaged(&mut self, object: &str, reason: impl std::fmt::Display) -> &mut Damage {
        if self.damage.len() >= DAMAGES_MAX && !self.damage.contains_key(object) {
            self.found.damage_unnamed += 1;
            return &mut self.beyond;
        }
        let damage = || Damage::of(object, &reason.to_string());
        self.damage.entry(object.to_owned()).or_insert_with(damage)
    }

    /// Notes that a path of a snapshot cannot be restored whole because of an object.
    fn hurt(&mut self, object: &str, reason: &str, snapshot: SessionId, path: Vec<u8>) {
        self.hurt.insert(snapshot);
        let room = self.paths_named < HURT_PATHS_TOTAL_MAX;
        let damage = self.damaged(object, reason);
        if damage.snapshots.last() != Some(&snapshot) {
            damage.snapshots.push(snapshot);
        }
        damage.paths_total += 1;
        if room && damage.paths.len() < HURT_PATHS_MAX {
            damage.paths.push(HurtPath { snapshot, path });
            self.paths_named += 1;
        }
    }

    fn read_object(&mut self, name: &str, bytes: u64) {
        self.found.objects += 1;
        self.found.bytes += bytes;
        self.progress.object(name, bytes);
    }

    fn go_on(&self) -> Result<()> {
        go_on(self.cancel)
    }
}

impl Damage {
    fn of(object: &str, reason: &str) -> Self {
        Self {
            object: object.to_owned(),
            reason: reason.to_owned(),
            snapshots: Vec::new(),
            paths: Vec::new(),
            paths_total: 0,
        }
    }
}

pub(crate) const UNLISTED: &str = "no readable index run lists it";

pub(crate) fn runs_of(state: &State) -> Vec<RunToRead> {
    let domain = |session| state.session(session).map(|session| session.domain);
    let runs = state.runs().filter_map(|(name, at)| {
        Some(RunToRead { name: *name, session: at.session, domain: domain(at.session)? })
    });
    runs.collect()
}

/// The pack that an object's name is of.
fn pack_of(object: &str) -> Option<Digest> {
    match NamedObject::parse(&object.parse().ok()?)? {
        NamedObject::Pack(name) => Some(name),
        _ => None,
    }
}

/// Whether an error says that an object is damaged or absent.
pub(crate) fn says_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Invalid)
}

fn go_on(cancel: &AtomicBool) -> Result<()> {
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::Stopped {
            reason: "the verification was cancelled".into(),
            kind: ErrorKind::Unavailable,
        });
    }
    Ok(())
}
