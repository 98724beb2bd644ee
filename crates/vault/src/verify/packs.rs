//! Reads the packs that are due, on all cores.
//!
//! Index runs are read again, a few side by side where the place answers slowly, and what they list
//! is handed to the threads as it comes, so no more than these few runs and a pack's directory for
//! each thread are held. A pack that
//! is damaged is searched chunk by chunk for what can still be read, so that only what is really
//! hurt is named.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender, bounded};
use crypto::Digest;
use format::{ChunkId, DomainId, PackListing, VaultNames};
use places::{Place, Time};

use super::known::{KnownPacks, PackState};
use super::plan::ReadTimes;
use super::stream::{ReadPack, read_name, read_pack};
use super::{Check, go_on, says_damage};
use crate::index::{IndexContext, RunToRead, each_run};
use crate::reader::Reader;
use crate::writer::lock;
use crate::{Error, Result};

/// Threads that read, at most: each holds some 30 MiB.
const THREADS_MAX: usize = 6;

/// A pack to be read.
enum Task {
    /// As its run lists it.
    Listed(Box<PackListing>, DomainId),
    /// By its name alone: nothing readable lists it, or no key is held.
    Named { pack: Digest, length: u64 },
}

impl Task {
    fn pack(&self) -> Digest {
        match self {
            Self::Listed(listing, _) => listing.name,
            Self::Named { pack, .. } => *pack,
        }
    }
}

/// What came of one pack.
struct Finding {
    pack: Digest,
    read: ReadPack,
    damage: Option<Error>,
    bad: Vec<ChunkId>,
    state: PackState,
}

/// Takes note now and then of what was read, so that an interrupted run is gone on with.
pub(super) trait Diary: Sync {
    /// A pack was read to its end.
    fn read(&self, pack: &Digest);
}

/// Reads what is due of the packs that these runs list, and of those that none lists.
pub(super) fn read_due(
    check: &mut Check<'_>,
    reader: &Reader,
    context: &IndexContext<'_>,
    runs: &[RunToRead],
    diary: &dyn Diary,
) -> Result<()> {
    let due = |known: &mut KnownPacks, name: &Digest, number: u32| {
        known.find(name).is_some_and(|p| p.state == PackState::Due && p.run == Some(number))
    };
    let named = named_tasks(check, |pack| pack.run.is_none());
    let (numbers, wanted): (BTreeSet<u32>, Vec<RunToRead>) = {
        let of_runs = check.known.iter().filter(|pack| pack.state == PackState::Due);
        let numbers: BTreeSet<u32> = of_runs.filter_map(|pack| pack.run).collect();
        let wanted = numbers.iter().map(|number| runs[*number as usize]).collect();
        (numbers, wanted)
    };
    let mut numbers = numbers.into_iter();
    read_all(check, Some(reader), diary, |known, tasks| {
        each_run(context, &wanted, |_, run, listed| {
            let number = numbers.next();
            // It was readable before; what changed meanwhile the next verification names.
            for listing in listed.map_or_else(|_| Vec::new(), |listed| listed.packs) {
                let is_due =
                    number.is_some_and(|at| due(&mut lock(known).known, &listing.name, at));
                if is_due && tasks.send(Task::Listed(Box::new(listing), run.domain)).is_err() {
                    break;
                }
            }
            Ok(())
        })?;
        let _ = named.into_iter().try_for_each(|task| tasks.send(task));
        Ok(())
    })
}

/// Reads all that is due by its name alone.
pub(super) fn read_due_names(check: &mut Check<'_>, diary: &dyn Diary) -> Result<()> {
    let named = named_tasks(check, |_| true);
    read_all(check, None, diary, |_, tasks| {
        let _ = named.into_iter().try_for_each(|task| tasks.send(task));
        Ok(())
    })
}

fn named_tasks(
    check: &Check<'_>,
    is_meant: impl Fn(&super::known::KnownPack) -> bool,
) -> Vec<Task> {
    let due = check.known.iter().filter(|pack| pack.state == PackState::Due && is_meant(pack));
    due.filter_map(|pack| Some(Task::Named { pack: pack.name, length: pack.size? })).collect()
}

/// Hands out tasks and takes what comes of them.
fn read_all(
    check: &mut Check<'_>,
    reader: Option<&Reader>,
    diary: &dyn Diary,
    hand_out: impl FnOnce(&Mutex<&mut Check<'_>>, &Sender<Task>) -> Result<()>,
) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let (place, progress, cancel) = (check.components.place.clone(), check.progress, check.cancel);
    let failed = Mutex::new(None);
    let (tasks, to_do) = bounded(threads);
    let check = Mutex::new(check);
    let work = |to_do: Receiver<Task>| {
        for task in to_do {
            // Nobody reads on after an error that ends the verification.
            if cancel.load(Ordering::Relaxed) || lock(&failed).is_some() {
                continue;
            }
            match perform(place.as_ref(), reader, &task) {
                Ok(finding) => {
                    let name = VaultNames::pack(&finding.pack);
                    progress.object(name.as_str(), finding.read.bytes);
                    diary.read(&finding.pack);
                    lock(&check).take_finding(finding);
                }
                Err(error) => *lock(&failed) = Some(error),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let to_do = to_do.clone();
            scope.spawn(|| work(to_do));
        }
        drop(to_do);
        let handed_out = hand_out(&check, &tasks);
        drop(tasks);
        handed_out
    })?;
    go_on(cancel)?;
    match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Reads one pack; damage is a finding, anything else an error.
fn perform(place: &dyn Place, reader: Option<&Reader>, task: &Task) -> Result<Finding> {
    let pack = task.pack();
    let read = match (task, reader) {
        (Task::Listed(listing, domain), Some(reader)) => read_pack(place, reader, listing, *domain),
        (Task::Listed(listing, _), None) => {
            read_name(place, &pack, crypto::object_len(listing.kind, listing.stream_length)?)
        }
        (Task::Named { length, .. }, _) => read_name(place, &pack, *length),
    };
    let well = Finding {
        pack,
        read: ReadPack::default(),
        damage: None,
        bad: Vec::new(),
        state: PackState::Well,
    };
    let error = match read {
        Ok(read) => return Ok(Finding { read, ..well }),
        Err(error) if says_damage(&error) => error,
        Err(error) => return Err(error),
    };
    let hurt = Finding { damage: Some(error), state: PackState::Gone, ..well };
    match (task, reader) {
        (Task::Listed(listing, domain), Some(reader)) => salvage(reader, listing, *domain, hurt),
        _ => Ok(hurt),
    }
}

/// Finds out which chunks of a damaged pack can still be read.
fn salvage(
    reader: &Reader,
    listing: &PackListing,
    domain: DomainId,
    mut finding: Finding,
) -> Result<Finding> {
    let mut any = false;
    for entry in listing.directory.frames.iter().flat_map(|frame| &frame.chunks) {
        match reader.chunk_of_pack(domain, entry.chunk, listing.name) {
            Ok(_) => any = true,
            Err(error) if says_damage(&error) || error.kind() == crate::ErrorKind::Denied => {
                finding.bad.push(entry.chunk.id);
            }
            Err(error) => return Err(error),
        }
    }
    if any {
        finding.state = PackState::Ill;
    } else {
        finding.bad.clear();
    }
    Ok(finding)
}

impl Check<'_> {
    fn take_finding(&mut self, finding: Finding) {
        let Finding { pack, read, damage, bad, state } = finding;
        self.found.bytes += read.bytes;
        self.found.chunks += read.chunks;
        bad.iter().for_each(|chunk| self.known.spoil(&pack, chunk));
        if let Some(known) = self.known.find(&pack) {
            known.state = state;
        }
        if let Some(error) = damage {
            self.damaged(VaultNames::pack(&pack).as_str(), error);
        }
    }
}

/// The read times, kept from time to time.
pub(super) struct KeptTimes<'a> {
    pub(super) times: Mutex<(ReadTimes, Time)>,
    pub(super) clock: &'a dyn places::Clock,
    pub(super) keep: &'a (dyn Fn(&ReadTimes) + Sync),
}

/// So often they are kept while packs are read.
const KEEP_AFTER: std::time::Duration = std::time::Duration::from_secs(30);

impl Diary for KeptTimes<'_> {
    fn read(&self, pack: &Digest) {
        let now = self.clock.now();
        let mut kept = lock(&self.times);
        kept.0.note(pack, now);
        if now >= kept.1.plus(KEEP_AFTER) {
            kept.1 = now;
            (self.keep)(&kept.0);
        }
    }
}

/// Nothing is remembered.
pub(super) struct NoDiary;

impl Diary for NoDiary {
    fn read(&self, _: &Digest) {}
}
