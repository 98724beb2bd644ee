//! One pass after another: what the source has up to its head, the target has then.
//!
//! Nothing but the ledgers of both places says what is to be done, so a pass that was killed is
//! gone on with by the next one, on this host or another. DESIGN §12.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crypto::Digest;
use format::{Record, RecordAt, Seq, VaultNames};
use ledger::{
    Alarm, Break, Components, Ledger, LockReport, ProtectMode, ProtectOptions, Protected,
};
use places::{ObjectLock, ObjectName, Time};

use crate::copy::{Copied, Copier};
use crate::plan::{Wanted, lacking_derived, lacking_objects, lacking_record_bytes, lacking_small};
use crate::purge::Coming;
use crate::source::open_source;
use crate::target::Target;
use crate::{Error, Result};

/// How to keep a replica.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaOptions {
    /// How long an object outlives the record that drops it, by the target's clock.
    pub hold: Duration,
    /// Objects copied at once; each is held in memory whole, 256 MiB together unless one alone has
    /// more.
    pub connections: usize,
    /// Whether each object is read back from the target.
    pub read_back: ReadBack,
    /// The most objects that one pass deletes.
    pub deletions_max: usize,
    /// Whether anything is written.
    pub rehearsal: Rehearsal,
    /// How what lies at the target is locked: its locks are extended. What is put there is locked
    /// by the place itself.
    pub lock: Option<ObjectLock>,
}

impl Default for ReplicaOptions {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(7 * 24 * 3600),
            connections: 4,
            read_back: ReadBack::No,
            deletions_max: 10_000,
            rehearsal: Rehearsal::No,
            lock: None,
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

/// Whether what was put is read again. Bytes are verified by their digest before they are put, a
/// put that was answered is durable, and a bucket checks a digest of what it received: reading back
/// is for places that one has reason not to trust.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadBack {
    /// It is not.
    #[default]
    No,
    /// It is, and its digest compared.
    Yes,
}

/// Hears what is copied; called from several threads.
pub trait ReplicaProgress: Sync {
    /// So many objects and records with so many bytes are to be copied, beside those that were
    /// planned before.
    fn planned(&self, objects: u64, bytes: u64);
    /// An object or a record was copied. The bytes of records are so few that they are not counted.
    fn copied(&self, name: &ObjectName, bytes: u64);
    /// An object was deleted.
    fn deleted(&self, name: &ObjectName);
}

/// Hears nothing.
pub struct Quiet;

impl ReplicaProgress for Quiet {
    fn planned(&self, _: u64, _: u64) {}
    fn copied(&self, _: &ObjectName, _: u64) {}
    fn deleted(&self, _: &ObjectName) {}
}

/// What a pass did, or would do.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// The target's newest record, after the pass.
    pub head: Option<RecordAt>,
    /// How far the target was behind when the pass began.
    pub lag: Lag,
    /// Records copied.
    pub records: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// Other objects copied, whatever they are.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects deleted, because a record dropped them and the hold is over.
    pub deleted: u64,
    /// Objects dropped whose hold is not over, or that a later pass deletes.
    pub held: u64,
    /// When the first of these holds ends, where it is known.
    pub held_until: Option<Time>,
    /// What the source should have and has not, or what lies otherwise in one of the two places.
    pub missing: Vec<MissingObject>,
    /// Why the source's ledger was not followed to its end.
    pub broken: Option<String>,
    /// What was found of the locks at the target, when this pass looked after them.
    pub locks: Option<LockReport>,
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
    done: Option<Done>,
    locked: Option<Locked>,
}

/// What is known of the target's locks.
struct Locked {
    protected: Option<Protected>,
    /// When they are to be looked after again.
    again: Time,
}

/// How often a replicator that goes on looks after locks, of which none is shorter than a day.
const LOCKS_EVERY: Duration = Duration::from_secs(3 * 3600);

/// What is known since a pass that ended well.
struct Done {
    /// The source's head then.
    head: RecordAt,
    /// When both places are to be looked at again, whatever the source's head.
    again: Time,
    missing: Vec<MissingObject>,
}

/// How often both places are listed while the source's head stays: key slots come without a record,
/// and what was missing may have come back.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

impl Replicator {
    /// A replicator between two places. Nothing is read yet.
    pub fn new(source: Components, target: Components, options: ReplicaOptions) -> Self {
        Self { source, target, options, ledger: None, copy: None, done: None, locked: None }
    }

    /// Copies what the target lacks up to the source's head, then deletes what was dropped. While
    /// the head stays the source is asked for it alone, and the target for nothing but what is due
    /// for deletion; once an hour both are looked at anew.
    ///
    /// # Errors
    /// [`Error::Fork`], [`Error::Behind`] and [`Error::NoReplica`] before anything is written;
    /// [`Error::Cancelled`]; errors of both places. The next pass goes on where this one ended.
    pub fn pass(&mut self, progress: &dyn ReplicaProgress, cancel: &AtomicBool) -> Result<Pass> {
        let done = self.run(progress, cancel);
        if done.is_err() {
            // What is known of the target may be wrong after an error: it is read anew.
            self.ledger = None;
            self.copy = None;
            self.done = None;
        }
        done
    }

    fn run(&mut self, progress: &dyn ReplicaProgress, cancel: &AtomicBool) -> Result<Pass> {
        go_on(cancel)?;
        let ledger = match self.ledger.take() {
            Some(ledger) => refreshed(ledger, &self.source)?,
            None => open_source(&self.source)?,
        };
        let ledger = self.ledger.insert(ledger);
        let copy = match self.copy.take() {
            Some(mut copy) => {
                if self.done.as_ref().is_none_or(|done| self.source.clock.now() >= done.again) {
                    copy.forget_listing();
                    self.done = None;
                }
                copy
            }
            None => Target::open(&self.target, ledger)?,
        };
        let copy = self.copy.insert(copy);
        let (head, now) = (ledger.state().head(), self.source.clock.now());
        let (mut pass, mut coming) = (Pass::default(), None);
        match self.done.take() {
            Some(done) if done.head == head => {
                pass.missing = done.missing.clone();
                self.done = Some(done);
            }
            known => {
                copy.check_history(ledger)?;
                pass.lag = lag(copy, ledger, &self.source)?;
                let (source, options) = (&self.source, &self.options);
                let work = Work { source, options, progress, cancel };
                match options.rehearsal {
                    Rehearsal::Yes => {
                        let objects = work.rehearse(ledger, copy, &mut pass)?;
                        coming = Some(Coming { state: ledger.state(), objects });
                    }
                    Rehearsal::No => work.copy(ledger, copy, &mut pass)?,
                }
                let (head, missing) = (ledger.state().head(), pass.missing.clone());
                let again = known.map_or(now.plus(LOOK_EVERY), |known| known.again);
                self.done = Some(Done { head, again, missing });
            }
        }
        pass.head = copy.head();
        pass.broken = ledger.standing().broken().map(ToString::to_string);
        copy.purge(coming.as_ref(), &self.options, &mut pass, progress, cancel)?;
        pass.locks = self.look_after_locks(now, cancel)?;
        Ok(pass)
    }

    /// Extends the locks of what the target's own records need.
    fn look_after_locks(&mut self, now: Time, cancel: &AtomicBool) -> Result<Option<LockReport>> {
        let Some(lock) = self.options.lock else { return Ok(None) };
        let Some(state) = self.copy.as_ref().and_then(Target::state) else { return Ok(None) };
        if self.locked.as_ref().is_some_and(|locked| now < locked.again) {
            return Ok(None);
        }
        let mode = match self.options.rehearsal {
            Rehearsal::No => ProtectMode::Extend,
            Rehearsal::Yes => ProtectMode::Look,
        };
        let known = self.locked.as_ref().and_then(|locked| locked.protected);
        let options = ProtectOptions { lock, mode, known };
        let report = ledger::protect(&self.target, state, &options, cancel)?;
        go_on(cancel)?;
        let again = now.plus(LOCKS_EVERY);
        self.locked = Some(Locked { protected: report.protected, again });
        Ok(Some(report))
    }
}

/// The source's ledger, caught up; from its beginning where the source shows another history.
fn refreshed(mut ledger: Ledger, source: &Components) -> Result<Ledger> {
    ledger.refresh()?;
    let is_other = |alarm: &Alarm| matches!(alarm, Alarm::RolledBack { .. } | Alarm::Forked { .. });
    match ledger.standing().alarms.iter().any(is_other) {
        true => open_source(source),
        false => Ok(ledger),
    }
}

/// The newest record of the source that is copied. Where a signed record names another one before
/// it than lies there, that one is not what it was: its right bytes may come back.
pub(crate) fn reach(ledger: &Ledger) -> Seq {
    let head = ledger.state().head().seq;
    match ledger.standing().broken() {
        Some(Break::Previous { seq, .. }) => head.min(Seq(seq.0.saturating_sub(2))),
        _ => head,
    }
}

pub(crate) fn lag(copy: &Target, ledger: &Ledger, source: &Components) -> Result<Lag> {
    let head = reach(ledger);
    let first = copy.head().map_or(Seq(0), |at| at.seq.next());
    let records = (head.0 + 1).saturating_sub(first.0);
    if records == 0 {
        return Ok(Lag::default());
    }
    let oldest: Option<Record> = match ledger.read(first) {
        // A `mend` settled a number that holds nothing.
        Err(ledger::Error::NoRecord { .. }) => None,
        read => read?.record,
    };
    let time = oldest.map_or(Duration::ZERO, |record| source.clock.now().since(record.claimed));
    Ok(Lag { records, bytes: 0, time })
}

/// What a pass copies, and how.
struct Work<'a> {
    source: &'a Components,
    options: &'a ReplicaOptions,
    progress: &'a dyn ReplicaProgress,
    cancel: &'a AtomicBool,
}

impl Work<'_> {
    /// Says what [`Self::copy`] would do; gives the packs and runs that would come.
    fn rehearse(&self, ledger: &Ledger, copy: &mut Target, pass: &mut Pass) -> Result<Vec<Digest>> {
        let source = &*self.source.place;
        let objects = lacking_objects(ledger, copy, source)?;
        let coming = objects.iter().filter(|wanted| wanted.size.is_some());
        let coming = coming.filter_map(|wanted| wanted.digest).collect();
        pass.lag.bytes = total(&objects).1;
        let sizes = [objects, lacking_small(copy, source)?, lacking_derived(ledger, copy, source)?];
        for (objects, bytes) in sizes.iter().map(|wanted| total(wanted)) {
            pass.objects += objects;
            pass.bytes += bytes;
        }
        for wanted in sizes.into_iter().flatten().filter(|wanted| wanted.size.is_none()) {
            let reason = "it is not at the source".to_owned();
            pass.missing.push(MissingObject { object: wanted.name, reason });
        }
        for bytes in copy.lacking_first() {
            pass.objects += 1;
            pass.bytes += bytes;
        }
        pass.records = pass.lag.records;
        pass.record_bytes = lacking_record_bytes(ledger, copy, source)?;
        Ok(coming)
    }

    /// Copies in the order of §12: before the mark nothing, and before a record what it needs.
    fn copy(&self, ledger: &mut Ledger, copy: &mut Target, pass: &mut Pass) -> Result<()> {
        for bytes in copy.lacking_first() {
            pass.objects += 1;
            pass.bytes += bytes;
        }
        copy.mark()?;
        copy.put_config()?;
        let small = lacking_small(copy, &*self.source.place)?;
        let missing = self.copy_planned(small, copy, pass)?;
        self.copy_objects(ledger, copy, pass)?;
        pass.missing.extend(missing);
        self.copy_records(ledger, copy, pass)?;
        let derived = lacking_derived(ledger, copy, &*self.source.place)?;
        // What nobody needs and is gone again is not missed.
        self.copy_planned(derived, copy, pass)?;
        Ok(())
    }

    fn copy_objects(&self, ledger: &mut Ledger, copy: &mut Target, pass: &mut Pass) -> Result<()> {
        loop {
            let plan = lacking_objects(ledger, copy, &*self.source.place)?;
            pass.lag.bytes = pass.lag.bytes.max(total(&plan).1);
            let missing = self.copy_planned(plan, copy, pass)?;
            if missing.is_empty() {
                pass.missing.clear();
                return Ok(());
            }
            // What is gone may have been dropped meanwhile: a newer head says so.
            let before = ledger.state().head();
            ledger.refresh()?;
            pass.missing = missing;
            if ledger.state().head() == before {
                return Ok(());
            }
        }
    }

    fn copy_planned(
        &self,
        plan: Vec<Wanted>,
        copy: &mut Target,
        pass: &mut Pass,
    ) -> Result<Vec<MissingObject>> {
        let Self { source, options, progress, cancel } = self;
        let (objects, bytes) = total(&plan);
        progress.planned(objects, bytes);
        let copier = Copier::new(&*source.place, copy.components(), options, *progress, cancel);
        let Copied { objects, bytes, present, missing } = copier.copy_all(plan)?;
        present.iter().for_each(|digest| copy.note_present(*digest));
        pass.objects += objects;
        pass.bytes += bytes;
        Ok(missing)
    }

    fn copy_records(&self, ledger: &Ledger, copy: &mut Target, pass: &mut Pass) -> Result<()> {
        let head = reach(ledger);
        copy.expect_drops()?;
        let next = copy.head().map_or(Seq(0), |at| at.seq.next());
        self.progress.planned((head.0 + 1).saturating_sub(next.0), 0);
        while copy.head().is_none_or(|at| at.seq < head) {
            go_on(self.cancel)?;
            let seq = copy.head().map_or(Seq(0), |at| at.seq.next());
            let bytes = copy.receive_next(ledger)?;
            self.progress.copied(&VaultNames::record(seq), 0);
            pass.records += 1;
            pass.record_bytes += bytes;
        }
        Ok(())
    }
}

/// How many of these lie at the source, and their bytes.
pub(crate) fn total(wanted: &[Wanted]) -> (u64, u64) {
    let sizes = wanted.iter().filter_map(|wanted| wanted.size);
    sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
}

pub(crate) fn go_on(cancel: &AtomicBool) -> Result<()> {
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::Cancelled);
    }
    Ok(())
}
