//! One walk over the source: decides what each file needs, and keeps workers and tree fed.
//!
//! This thread walks, looks at the base and builds the tree; the others read. It hands out a batch
//! whenever there is room and takes results whenever there are some, so neither queue grows.
//! DESIGN.md §10.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use tree::{Builder, NodeSink, Root};
use vault::{Reader, Writer};

use super::assemble::Assembly;
use super::base::{Base, is_stored};
use super::batch::{Batch, Done, Item, Work};
use super::options::BlockDevices;
use super::share::Share;
use super::worker::Worker;
use super::{Archiver, BackupReport, boundary};
use crate::source::Source;
use crate::walk::Found;
use crate::{Error, Result};
use format::EntryKind;

/// So many batches may be on their way to a worker, for each worker;
const BATCHES_QUEUED: usize = 2;
/// and so many more may wait, done, for one before them: a long file holds the others up no sooner.
const BATCHES_EARLY_MAX: u64 = 128;

impl Archiver<'_> {
    /// Walks once; says the root of what it built.
    pub(crate) fn pass(
        &self,
        writer: &Writer,
        reader: &Reader,
        source: Source,
        base: Base,
    ) -> Result<(Root, BackupReport)> {
        let threads = self.options.threads();
        let queued = threads * BATCHES_QUEUED;
        let (to_workers, batches) = bounded::<Batch>(queued);
        let (results, from_workers) = unbounded::<Done>();
        std::thread::scope(|scope| {
            let share = Share::among(threads);
            for _ in 0..threads {
                let (batches, results, share) = (batches.clone(), results.clone(), share.clone());
                let worker = Worker::new(self, writer).on_base(reader, base.domain());
                scope.spawn(move || {
                    let _alarm = Alarm(&results);
                    worker.work(&batches, &results, share);
                });
            }
            drop((batches, results, share));
            let mut lane = writer.lane();
            let builder = Builder::new(boundary(writer), lane.nodes());
            let mut pass = Pass {
                archiver: self,
                writer,
                reader,
                base,
                assembly: Assembly::new(builder, Worker::new(self, writer)),
                batch: Batch::first_of(queued + threads + 1),
                report: BackupReport::default(),
                to_workers: Some(to_workers),
                from_workers,
            };
            pass.walk(source)?;
            let built = pass.finish()?;
            lane.flush()?;
            Ok(built)
        })
    }
}

/// Ends the pass when its thread panics: what that thread had in hand will never be done.
struct Alarm<'a>(&'a Sender<Done>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = Some(Error::Cancelled);
            let _ = self.0.send(Done { number: u64::MAX, error, ..Done::default() });
        }
    }
}

struct Pass<'a, 'o, K> {
    archiver: &'a Archiver<'o>,
    writer: &'a Writer,
    reader: &'a Reader,
    base: Base,
    assembly: Assembly<'a, K>,
    batch: Batch,
    report: BackupReport,
    to_workers: Option<Sender<Batch>>,
    from_workers: Receiver<Done>,
}

impl<K: NodeSink<Error = vault::Error>> Pass<'_, '_, K> {
    fn walk(&mut self, source: Source) -> Result<()> {
        let mut walker = self.archiver.walker(source, &mut self.report.problems)?;
        while let Some(found) = walker.next(&mut self.report.problems) {
            self.archiver.cancel.check()?;
            let item = self.decide(found)?;
            self.batch.push(item);
            if self.batch.is_full() {
                self.hand_out()?;
            }
        }
        self.archiver.check_found(&walker)?;
        self.hand_out()?;
        self.to_workers = None;
        // Workers hand over what their lanes hold before they end and the channel closes.
        while let Ok(done) = self.from_workers.recv() {
            self.take(done)?;
        }
        match self.assembly.assembled() == self.batch.number {
            true => Ok(()),
            false => Err(Error::Cancelled),
        }
    }

    fn finish(self) -> Result<(Root, BackupReport)> {
        let Self { assembly, mut report, base, .. } = self;
        report.base = base.id();
        report.base_problem = base.problem().map(str::to_owned);
        Ok((assembly.finish()?, report))
    }

    fn decide(&mut self, found: Found) -> Result<Item> {
        let entry = self.base.entry(&found.key);
        let is_regular = found.stat.kind == EntryKind::File;
        if found.stat.kind == EntryKind::BlockDevice
            && self.archiver.options.block_devices == BlockDevices::Content
        {
            // What a device holds may have changed whatever its times say.
            return Ok(Item { found, work: Work::Read(entry.map(Box::new)) });
        }
        if self.assembly.is_known_inode(&found.stat) {
            return Ok(Item { found, work: Work::Link(entry.map(Box::new)) });
        }
        let work = match entry {
            Some(entry) if self.may_reuse(&entry, &found)? => match is_regular {
                true => Work::Reuse(Box::new(entry)),
                false => Work::Keep(Box::new(entry)),
            },
            entry if is_regular => Work::Read(entry.map(Box::new)),
            _ => Work::Describe,
        };
        Ok(Item { found, work })
    }

    /// Whether what the base has of a file need not be read again.
    fn may_reuse(&self, entry: &format::FileEntry, found: &Found) -> Result<bool> {
        let is_same = match found.stat.kind {
            EntryKind::File => self.archiver.is_unchanged(entry, &found.stat, &self.base),
            _ => self.archiver.is_undisturbed(entry, &found.stat, &self.base),
        };
        if !is_same || !self.writer.must_check_inherited() {
            return Ok(is_same);
        }
        is_stored(self.writer, self.reader, self.base.domain(), entry)
    }

    fn hand_out(&mut self) -> Result<()> {
        while self.batch.number - self.assembly.assembled() > BATCHES_EARLY_MAX {
            self.take_one()?;
        }
        let mut batch = self.batch.take();
        loop {
            while let Ok(done) = self.from_workers.try_recv() {
                self.take(done)?;
            }
            let Some(to_workers) = &self.to_workers else { return Err(Error::Cancelled) };
            match to_workers.try_send(batch) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) => batch = back,
                // The workers ended, so one of them met an error.
                Err(TrySendError::Disconnected(_)) => break,
            }
            self.take_one()?;
        }
        while let Ok(done) = self.from_workers.recv() {
            self.take(done)?;
        }
        Err(Error::Cancelled)
    }

    fn take_one(&mut self) -> Result<()> {
        match self.from_workers.recv() {
            Ok(done) => self.take(done),
            Err(_) => Err(Error::Cancelled),
        }
    }

    fn take(&mut self, mut done: Done) -> Result<()> {
        // An error ends the pass at once, whatever its place in the order.
        if let Some(error) = done.error.take() {
            return Err(error);
        }
        self.archiver.progress.written(&self.writer.written());
        self.assembly.take(done, &mut self.report)
    }
}
