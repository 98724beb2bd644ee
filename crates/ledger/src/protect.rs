//! Extends the locks of what no record dropped, so that none ends while the object is needed.
//!
//! A lock is set when an object is put and moved on when less than half of its days is left. The
//! ledger alone says what is needed, so no key is: a collector does it at the vault, a replicator
//! at its targets. Each needed object is asked for its lock once and then known for as long as the
//! caller keeps what a pass found; what is forgotten costs questions and nothing else. What is
//! looked at is a version, so an object that somebody wrote over or hid keeps its lock, and is
//! told of. DESIGN §12.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use places::{
    ErrorKind, NamePrefix, ObjectLock, ObjectName, Place, Retention, Time, VersionId, Versions,
};

use crate::shelf::side_by_side;
use crate::versions::{NameVersions, Need, each_name};
use crate::{Components, Error, Result, State};

/// How to look after locks.
#[derive(Clone, Copy, Debug)]
pub struct ProtectOptions {
    /// How long and how firmly objects are locked.
    pub lock: ObjectLock,
    /// Whether anything changes.
    pub mode: ProtectMode,
    /// What an earlier pass at this place found, when that is known.
    pub known: Option<Protected>,
}

/// Whether locks are extended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtectMode {
    /// They are.
    #[default]
    Extend,
    /// It is said which would be.
    Look,
}

/// What a pass found of what it need not ask about again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protected {
    /// All that was needed, and stored by this time of the place's clock …
    pub stored_by: Time,
    /// … is locked until then or longer.
    pub until: Time,
}

/// What a pass did, or would do.
#[derive(Clone, Debug, Default)]
pub struct LockReport {
    /// The objects that are needed.
    pub objects: u64,
    /// Of how many the place was asked until when they are locked.
    pub asked: u64,
    /// How many locks were extended, or would be.
    pub extended: u64,
    /// How many objects had no lock at all.
    pub unlocked: u64,
    /// When the first lock of a needed object ends; `None` when one has none, or nothing is needed.
    pub until: Option<Time>,
    /// Needed objects that somebody wrote over or hid, and how many more there are.
    pub touched: Vec<ObjectName>,
    /// How many these are in all.
    pub touched_total: u64,
    /// What the next pass need not ask about; `None` also of a pass that was stopped.
    pub protected: Option<Protected>,
    /// Whether every object was looked at: the pass was not stopped.
    pub is_whole: bool,
}

/// So many objects are held in memory while they are asked about.
const BATCH: usize = 1024;
/// So many touched objects are named.
const NAMED_MAX: usize = 1000;
/// Names with several versions that are read to see whether the right one lies on top. Beyond,
/// they count as touched.
const READ_MAX: u64 = 1000;
/// What is stored while names are walked may be passed by: clocks of one place differ by less than
/// an hour, this host's clock from them by less than a day.
const PLACE_DIFFERS: Duration = Duration::from_secs(3600);
const HOST_DIFFERS: Duration = Duration::from_secs(25 * 3600);

/// Looks after the locks of a vault's objects: those that the records of `state` need.
///
/// # Errors
/// `Unsupported` when the place locks nothing, and errors of the place: what was extended before
/// stays so. A pass that is cancelled is no error: what it did stays too.
pub fn protect(
    components: &Components,
    state: &State,
    options: &ProtectOptions,
    cancel: &AtomicBool,
) -> Result<LockReport> {
    let place = &*components.place;
    let (Some(retention), Some(versions)) = (place.retention(), place.versions()) else {
        let what = "keep objects until a time".into();
        return Err(places::Error::Unsupported { place: place.describe(), what }.into());
    };
    let now = components.clock.now();
    let mut pass = Pass {
        place,
        retention,
        options,
        now,
        cancel,
        batch: Vec::with_capacity(BATCH),
        ends: Ends::default(),
        newest: Time::from_millis(i64::MIN),
        read: 0,
        found: LockReport::default(),
    };
    let walked = each_name(versions, &NamePrefix::everything(), |met| {
        if Need::of(&met.object, state) == Need::Needed {
            pass.meet(&met, versions)?;
        }
        Ok(())
    });
    match walked.and_then(|()| pass.settle()) {
        Ok(()) => {
            let took = components.clock.now().since(now);
            Ok(pass.finish(took))
        }
        Err(Halt::Stopped) => Ok(pass.found),
        Err(Halt::Failed(error)) => Err(error),
    }
}

/// Why a pass ends early.
enum Halt {
    Stopped,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

struct Pass<'a> {
    place: &'a dyn Place,
    retention: &'a dyn Retention,
    options: &'a ProtectOptions,
    now: Time,
    cancel: &'a AtomicBool,
    batch: Vec<Item>,
    ends: Ends,
    /// When the newest of the needed objects was stored.
    newest: Time,
    read: u64,
    found: LockReport,
}

/// A version that is asked about, or known to be due.
struct Item {
    name: ObjectName,
    version: VersionId,
    /// Until when it is locked, as an earlier pass found.
    due: Option<Time>,
}

/// When the locks end that were met.
#[derive(Default)]
struct Ends {
    first: Option<Time>,
    is_one_open: bool,
}

impl Ends {
    fn meet(&mut self, until: Option<Time>) {
        match until {
            Some(until) => self.first = Some(self.first.map_or(until, |first| first.min(until))),
            None => self.is_one_open = true,
        }
    }
}

impl Pass<'_> {
    fn meet(&mut self, met: &NameVersions, versions: &dyn Versions) -> Result<(), Halt> {
        if met.is_hidden() && met.may_be_hidden() {
            return Ok(());
        }
        let (newest, oldest) = (met.objects().next(), met.objects().next_back());
        let (Some(newest), Some(oldest)) = (newest, oldest) else { return Ok(()) };
        self.found.objects += 1;
        if met.versions.len() > 1 {
            self.judge(met, versions)?;
        }
        self.newest = self.newest.max(newest.stored_at);
        // Where the two differ, the right one is among them as a rule: written over, or put back.
        let second = Some(oldest).filter(|oldest| oldest.id != newest.id);
        for version in [Some(newest), second].into_iter().flatten() {
            let known = self.options.known.filter(|known| version.stored_at <= known.stored_by);
            let known = known.map(|known| known.until);
            if let Some(until) = known.filter(|until| *until >= self.due_before()) {
                self.ends.meet(Some(until));
                continue;
            }
            let (name, version) = (met.name.clone(), version.id.clone());
            self.batch.push(Item { name, version, due: known });
        }
        match self.batch.len() >= BATCH {
            true => self.settle(),
            false => Ok(()),
        }
    }

    fn due_before(&self) -> Time {
        self.options.lock.due_before(self.now)
    }

    fn judge(&mut self, met: &NameVersions, versions: &dyn Versions) -> Result<()> {
        self.read += 1;
        if self.read > READ_MAX || met.is_wrong(self.place, versions)? {
            self.found.touched_total += 1;
            if self.found.touched.len() < NAMED_MAX {
                self.found.touched.push(met.name.clone());
            }
        }
        Ok(())
    }

    /// Asks about the batch, side by side, and extends what is due.
    fn settle(&mut self) -> Result<(), Halt> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Halt::Stopped);
        }
        let batch = std::mem::take(&mut self.batch);
        let at_once = self.place.calls_at_once().max(1);
        let part = batch.len().div_ceil(at_once).max(1);
        self.found.asked += batch.iter().filter(|item| item.due.is_none()).count() as u64;
        let settle = |part: &[Item]| -> Result<Vec<Settled>> {
            part.iter().map(|item| self.settle_one(item)).collect()
        };
        for part in side_by_side(at_once, batch.chunks(part), settle) {
            for settled in part? {
                match settled {
                    Settled::Gone => {}
                    Settled::Holds(until) => self.ends.meet(Some(until)),
                    Settled::Due { before, after } => {
                        self.found.extended += 1;
                        self.found.unlocked += u64::from(before.is_none());
                        self.ends.meet(after);
                    }
                }
            }
        }
        Ok(())
    }

    fn settle_one(&self, item: &Item) -> Result<Settled> {
        let (name, version) = (&item.name, Some(&item.version));
        let before = match item.due {
            Some(until) => Ok(Some(until)),
            None => self.retention.retained_until(name, version),
        };
        let before = match before {
            Ok(until) => until,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Settled::Gone),
            Err(error) => return Err(error.into()),
        };
        match before {
            Some(until) if until >= self.due_before() => return Ok(Settled::Holds(until)),
            _ if self.options.mode == ProtectMode::Look => {
                return Ok(Settled::Due { before, after: before });
            }
            _ => {}
        }
        let lock = self.options.lock;
        let until = lock.until(self.now);
        match self.retention.extend_retention(name, version, until, lock.mode) {
            Ok(()) => Ok(Settled::Due { before, after: Some(until) }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Settled::Gone),
            Err(error) => Err(error.into()),
        }
    }

    fn finish(self, took: Duration) -> LockReport {
        let Self { ends, newest, now, mut found, .. } = self;
        found.is_whole = true;
        found.until = ends.first.filter(|_| !ends.is_one_open);
        let by_place = newest.minus(took).minus(PLACE_DIFFERS);
        let stored_by = by_place.max(now.minus(HOST_DIFFERS));
        found.protected = found.until.map(|until| Protected { stored_by, until });
        found
    }
}

enum Settled {
    Gone,
    Holds(Time),
    Due { before: Option<Time>, after: Option<Time> },
}
