//! One pass after another: what the source has up to its head, the target has then.
//!
//! Nothing but the ledgers of both places says what is to be done, so a pass that was killed is
//! gone on with by the next one, on this host or another. DESIGN §12.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crypto::Digest;
use format::{NamedObject, Record, RecordAt, Ref, Seq, SignedRecord, VaultNames};
use ledger::{Components, Ledger, ProcessMemory, State};
use places::{NamePrefix, ObjectName, Place};

use crate::copy::{Copier, Outcome};
use crate::target::Target;
use crate::{Error, Result};

/// How to keep a replica.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaOptions {
    /// How long an object outlives the record that drops it, by the target's clock.
    pub hold: Duration,
    /// Objects copied at once; each is held in memory whole.
    pub connections: usize,
    /// The most objects that one pass deletes.
    pub deletions_max: usize,
    /// Whether anything is written.
    pub rehearsal: Rehearsal,
}

impl Default for ReplicaOptions {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(7 * 24 * 3600),
            connections: 4,
            deletions_max: 10_000,
            rehearsal: Rehearsal::No,
        }
    }
}

/// Whether a pass only counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rehearsal {
    /// It copies.
    #[default]
    No,
    /// It says what it would copy and delete, and writes nothing.
    Yes,
}

/// Hears what is copied; called from several threads.
pub trait ReplicaProgress: Sync {
    /// So many objects with so many bytes are to be copied in this pass.
    fn planned(&self, objects: u64, bytes: u64);
    /// An object was copied.
    fn copied(&self, name: &ObjectName, bytes: u64);
}

/// Hears nothing.
pub struct Quiet;

impl ReplicaProgress for Quiet {
    fn planned(&self, _: u64, _: u64) {}
    fn copied(&self, _: &ObjectName, _: u64) {}
}

/// What a pass did, or would do.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// The source's head that the target has reached.
    pub head: Option<RecordAt>,
    /// How far the target was behind when the pass began.
    pub lag: Lag,
    /// Records copied.
    pub records: u64,
    /// Other objects copied.
    pub objects: u64,
    /// Bytes copied, records aside.
    pub bytes: u64,
    /// Objects deleted, because a record dropped them and the hold is over.
    pub deleted: u64,
    /// Objects dropped whose hold is not over, or that the next pass deletes.
    pub held: u64,
    /// What the source should have and has not, or has otherwise.
    pub missing: Vec<MissingObject>,
    /// Why the source's ledger was not followed to its end.
    pub broken: Option<String>,
}

/// How far a target is behind its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Records that it lacks.
    pub records: u64,
    /// Bytes of packs and runs that it lacks.
    pub bytes: u64,
    /// How old the oldest of these records claims to be.
    pub time: Duration,
}

/// An object that cannot be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingObject {
    /// Its name.
    pub object: ObjectName,
    /// What the source has instead.
    pub reason: String,
}

/// Keeps one target after one source.
pub struct Replicator {
    source: Components,
    target: Components,
    options: ReplicaOptions,
    ledger: Option<Ledger>,
    copy: Option<Target>,
}

impl Replicator {
    /// A replicator between two places. Nothing is read yet.
    pub fn new(source: Components, target: Components, options: ReplicaOptions) -> Self {
        Self { source, target, options, ledger: None, copy: None }
    }

    /// Copies what the target lacks up to the source's head, then deletes what was dropped.
    ///
    /// # Errors
    /// [`Error::Fork`] and [`Error::NoReplica`] before anything is written; [`Error::Cancelled`];
    /// errors of both places. The next pass goes on where this one ended.
    pub fn pass(&mut self, progress: &dyn ReplicaProgress, cancel: &AtomicBool) -> Result<Pass> {
        let done = self.run(progress, cancel);
        if done.is_err() {
            // What is known of the target may be wrong after an error: it is read anew.
            self.ledger = None;
            self.copy = None;
        }
        done
    }

    fn run(&mut self, progress: &dyn ReplicaProgress, cancel: &AtomicBool) -> Result<Pass> {
        let ledger = match self.ledger.take() {
            Some(mut ledger) => {
                ledger.refresh()?;
                ledger
            }
            None => open_source(&self.source)?,
        };
        let ledger = self.ledger.insert(ledger);
        let copy = match self.copy.take() {
            Some(copy) => copy,
            None => Target::open(&self.target, ledger)?,
        };
        let copy = self.copy.insert(copy);
        if let Some(seq) = copy.fork_from(ledger)? {
            return Err(Error::Fork { place: self.target.place.describe(), seq });
        }
        let mut pass = Pass { lag: lag(copy, ledger, &self.source)?, ..Pass::default() };
        let source = &self.source;
        match self.options.rehearsal {
            Rehearsal::Yes => {
                let plan = plan(ledger, copy, &*source.place)?;
                pass.lag.bytes = plan.iter().map(|wanted| wanted.size).sum();
                pass.objects = plan.len() as u64;
                pass.bytes = pass.lag.bytes;
                pass.records = pass.lag.records;
            }
            Rehearsal::No => {
                copy.mark()?;
                copy_small(source, copy, &self.options, &mut pass, cancel)?;
                copy_objects(ledger, copy, source, &self.options, &mut pass, progress, cancel)?;
                copy_records(ledger, copy, &mut pass, cancel)?;
                copy_derived(source, copy, &self.options, ledger.state(), cancel)?;
            }
        }
        pass.head = copy.head();
        pass.broken = ledger.standing().broken().map(ToString::to_string);
        copy.purge(&self.options, &mut pass, cancel)?;
        Ok(pass)
    }
}

/// Opens the source's ledger without a key.
fn open_source(source: &Components) -> Result<Ledger> {
    let config = read_config(&*source.place)?;
    let memory = Arc::new(ProcessMemory::new());
    match Ledger::open(source.clone(), &config, None, memory.clone(), None) {
        Err(ledger::Error::Config { .. }) => {
            let config = copy_in_genesis(&*source.place)?;
            let config = config.ok_or_else(|| no_vault(&*source.place))?;
            Ok(Ledger::open(source.clone(), &config, None, memory, None)?)
        }
        opened => Ok(opened?),
    }
}

/// The config's bytes, or those of its copy in the first record.
fn read_config(place: &dyn Place) -> Result<Bytes> {
    match place.get(&VaultNames::config(), None) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == places::ErrorKind::NotFound => {
            copy_in_genesis(place)?.ok_or_else(|| no_vault(place))
        }
        Err(error) => Err(error.into()),
    }
}

fn no_vault(place: &dyn Place) -> Error {
    Error::NoVault { place: place.describe() }
}

fn copy_in_genesis(place: &dyn Place) -> Result<Option<Bytes>> {
    let bytes = match place.get(&VaultNames::record(Seq(0)), None) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == places::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let signed = SignedRecord::decode(&bytes).ok();
    let refs = signed.as_ref().and_then(|signed| signed.record.refs.inline());
    Ok(refs.unwrap_or_default().iter().find_map(|named| match named {
        Ref::Config(config) => Some(Bytes::copy_from_slice(config)),
        _ => None,
    }))
}

fn lag(copy: &Target, ledger: &Ledger, source: &Components) -> Result<Lag> {
    let head = ledger.state().head().seq;
    let first = copy.head().map_or(Seq(0), |at| at.seq.next());
    let records = (head.0 + 1).saturating_sub(first.0);
    if records == 0 {
        return Ok(Lag::default());
    }
    let oldest: Option<Record> = ledger.read(first)?.record;
    let time = oldest.map_or(Duration::ZERO, |record| source.clock.now().since(record.claimed));
    Ok(Lag { records, bytes: 0, time })
}

/// A pack or run that the target lacks.
pub(crate) struct Wanted {
    pub(crate) name: ObjectName,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// What the target lacks of the needs of all records less their drops. A run that a merge
/// replaced is still wanted while it is there: a target that has not reached the merge reads it.
fn plan(ledger: &Ledger, copy: &mut Target, source: &dyn Place) -> Result<Vec<Wanted>> {
    let present = copy.present()?;
    let state = ledger.state();
    let mut sizes = HashMap::new();
    for prefix in [VaultNames::packs(), VaultNames::runs()] {
        for listed in source.list(&prefix, None)? {
            let listed = listed?;
            if let Some(NamedObject::Pack(digest) | NamedObject::Run(digest)) =
                NamedObject::parse(&listed.name)
            {
                sizes.insert(digest, listed.size);
            }
        }
    }
    let packs = state.packs().map(|(digest, _)| (digest, VaultNames::pack(digest)));
    let runs = state.runs().map(|(digest, _)| (digest, VaultNames::run(digest)));
    let dropped = state.dropped_runs().map(|(digest, _)| digest);
    let dropped = dropped.filter(|digest| sizes.contains_key(*digest));
    let dropped = dropped.map(|digest| (digest, VaultNames::run(digest)));
    let all = packs.chain(runs).chain(dropped);
    let lacking = all.filter(|(digest, _)| !present.contains(*digest));
    Ok(lacking
        .map(|(digest, name)| {
            let size = sizes.get(digest).copied().unwrap_or_default();
            Wanted { name, digest: *digest, size }
        })
        .collect())
}

/// The config, key slots and long lists.
fn copy_small(
    source: &Components,
    copy: &mut Target,
    options: &ReplicaOptions,
    pass: &mut Pass,
    cancel: &AtomicBool,
) -> Result<()> {
    copy.put_config(&read_config(&*source.place)?)?;
    for prefix in [VaultNames::slots(), VaultNames::lists()] {
        let known: BTreeSet<ObjectName> = names(&*copy.components().place, &prefix)?;
        for name in names(&*source.place, &prefix)? {
            go_on(cancel)?;
            let digest = match NamedObject::parse(&name) {
                Some(NamedObject::List(digest)) => Some(digest),
                Some(NamedObject::Slot(_)) => None,
                _ => continue,
            };
            if known.contains(&name) {
                continue;
            }
            let copier = Copier::new(&*source.place, copy.components(), options, cancel);
            if let Outcome::Copied(bytes) = copier.copy(&name, digest.as_ref())? {
                pass.objects += 1;
                pass.bytes += bytes;
            }
        }
    }
    Ok(())
}

fn copy_objects(
    ledger: &mut Ledger,
    copy: &mut Target,
    source: &Components,
    options: &ReplicaOptions,
    pass: &mut Pass,
    progress: &dyn ReplicaProgress,
    cancel: &AtomicBool,
) -> Result<()> {
    loop {
        let plan = plan(ledger, copy, &*source.place)?;
        let bytes = plan.iter().map(|wanted| wanted.size).sum();
        progress.planned(plan.len() as u64, bytes);
        pass.lag.bytes = pass.lag.bytes.max(bytes);
        let copier = Copier::new(&*source.place, copy.components(), options, cancel);
        let copied = copier.copy_all(plan, progress)?;
        copied.present.iter().for_each(|digest| copy.note_present(*digest));
        pass.objects += copied.objects;
        pass.bytes += copied.bytes;
        if copied.missing.is_empty() {
            pass.missing.clear();
            return Ok(());
        }
        // What is gone may have been dropped meanwhile: a newer head says so.
        let before = ledger.state().head();
        ledger.refresh()?;
        pass.missing = copied.missing;
        if ledger.state().head() == before {
            return Ok(());
        }
    }
}

fn copy_records(
    ledger: &Ledger,
    copy: &mut Target,
    pass: &mut Pass,
    cancel: &AtomicBool,
) -> Result<()> {
    let head = ledger.state().head().seq;
    copy.expect_drops()?;
    while copy.head().is_none_or(|at| at.seq < head) {
        go_on(cancel)?;
        copy.receive_next(ledger)?;
        pass.records += 1;
    }
    Ok(())
}

/// Bundles and checkpoints: made from the records, believed by nobody, and quicker to open.
fn copy_derived(
    source: &Components,
    copy: &Target,
    options: &ReplicaOptions,
    state: &State,
    cancel: &AtomicBool,
) -> Result<()> {
    let head = state.head().seq;
    let copier = Copier::new(&*source.place, copy.components(), options, cancel);
    for prefix in [VaultNames::bundles(), VaultNames::checkpoints()] {
        let known = names(&*copy.components().place, &prefix)?;
        for name in names(&*source.place, &prefix)? {
            go_on(cancel)?;
            let last = match NamedObject::parse(&name) {
                Some(NamedObject::Bundle(_, last) | NamedObject::Checkpoint(last)) => last,
                _ => continue,
            };
            if last <= head && !known.contains(&name) {
                copier.copy(&name, None)?;
            }
        }
    }
    Ok(())
}

/// The names that a place lists. Of these prefixes there are few.
fn names(place: &dyn Place, prefix: &NamePrefix) -> Result<BTreeSet<ObjectName>> {
    let listed = place.list(prefix, None)?;
    listed.map(|listed| Ok(listed?.name)).collect()
}

pub(crate) fn go_on(cancel: &AtomicBool) -> Result<()> {
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::Cancelled);
    }
    Ok(())
}
