//! One way through a snapshot: entries to the workers, their answers into the tree.
//!
//! The tree is built by whoever pulls: each edit that it asks for is the next in key order, and
//! asking keeps the workers fed. So many batches are under way at once and no more, so memory does
//! not grow with the snapshot. On a base, only what changed is asked for, and the tree is the
//! base's with these edits. DESIGN.md §8.

use std::collections::BTreeMap;

use crossbeam_channel::{Receiver, Sender, unbounded};
use format::ChunkId;
use tree::{Builder, Edit, NodeSink, Root, update};
use vault::{Nodes, Writer};

use super::walk::{Item, Walk};
use super::worker::{Batch, Done, Origins, Tally, Twins, Worker};
use super::{Trouble, is_damage};
use crate::Error;
use crate::archive::boundary;
use crate::archive::content::ContentStore;
use crate::archive::share::Share;
use crate::nodes::tree_error;
use crate::progress::{Cancel, Progress};

/// What a pass works with.
pub(crate) struct Pass<'a> {
    pub(crate) writer: &'a Writer,
    pub(crate) origins: Origins<'a>,
    pub(crate) threads: usize,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
}

/// What the edits of a pass are made to.
pub(crate) enum Ground {
    /// Nothing: they are the whole tree.
    Bare,
    /// The tree of the copy before.
    Copy { nodes: Nodes, root: ChunkId },
}

/// So many batches are under way for each worker,
const BATCHES_QUEUED: u64 = 2;
/// and so many more may wait, done, for one before them.
const BATCHES_EARLY_MAX: u64 = 32;
/// A batch is full with so many entries,
const ITEMS_MAX: usize = 256;
/// or with so many bytes to read.
const BYTES_MAX: u64 = 2 << 20;

impl Pass<'_> {
    /// Copies what the walk says; gives the root of the tree that it makes of the ground.
    pub(crate) fn run(&self, walk: Walk, ground: Ground) -> Result<(Root, Tally), Trouble> {
        let (to_workers, batches) = unbounded::<Batch>();
        let (results, from_workers) = unbounded::<Done>();
        let twins = Twins::default();
        std::thread::scope(|scope| {
            let share = Share::among(self.threads);
            for _ in 0..self.threads {
                let (batches, results, share) = (batches.clone(), results.clone(), share.clone());
                let worker = self.worker(&twins);
                scope.spawn(move || {
                    let _alarm = Alarm(&results);
                    worker.work(&batches, &results, share);
                });
            }
            drop((batches, results, share));
            let under_way_max = self.threads as u64 * BATCHES_QUEUED + BATCHES_EARLY_MAX;
            let mut entries = Entries {
                pass: self,
                walk,
                sent: 0,
                assembled: 0,
                under_way_max,
                to_workers: Some(to_workers),
                from_workers,
                early: BTreeMap::new(),
                ready: Vec::new().into_iter(),
                tally: Tally::default(),
                trouble: None,
                is_over: false,
            };
            let mut lane = self.writer.lane();
            let built = self.build(lane.nodes(), &mut entries, ground);
            if let Some(trouble) = entries.trouble.take() {
                return Err(trouble);
            }
            let root = built.map_err(|error| Trouble::Target(tree_error(error)))?;
            lane.flush().map_err(Error::from)?;
            Ok((root, entries.tally))
        })
    }

    fn worker<'w>(&'w self, twins: &'w Twins) -> Worker<'w> {
        let Self { writer, origins, progress, cancel, .. } = *self;
        let store = ContentStore::new(writer, progress, cancel);
        Worker { store, writer, origins, twins, progress, cancel }
    }

    fn build<K: NodeSink<Error = vault::Error>>(
        &self,
        sink: K,
        entries: &mut Entries<'_>,
        ground: Ground,
    ) -> Result<Root, tree::Error<vault::Error>> {
        let boundary = boundary(self.writer);
        match ground {
            Ground::Copy { nodes, root } => update(&nodes, sink, boundary, root, entries),
            Ground::Bare => {
                let mut builder = Builder::new(boundary, sink);
                for (key, value) in entries {
                    if let Some(value) = value {
                        builder.push(&key, &value)?;
                    }
                }
                builder.finish()
            }
        }
    }
}

/// Ends the pass when a worker panics: what it had in hand will never be done.
struct Alarm<'a>(&'a Sender<Done>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = Some(Error::Cancelled);
            let _ = self.0.send(Done { number: u64::MAX, error, ..Done::default() });
        }
    }
}

/// The edits of a pass in key order. Ends early at the first trouble, which whoever pulls must look
/// for.
struct Entries<'p> {
    pass: &'p Pass<'p>,
    walk: Walk,
    sent: u64,
    assembled: u64,
    under_way_max: u64,
    to_workers: Option<Sender<Batch>>,
    from_workers: Receiver<Done>,
    early: BTreeMap<u64, Done>,
    ready: std::vec::IntoIter<Edit>,
    tally: Tally,
    trouble: Option<Trouble>,
    is_over: bool,
}

impl Iterator for Entries<'_> {
    type Item = Edit;

    fn next(&mut self) -> Option<Edit> {
        loop {
            if let Some(edit) = self.ready.next() {
                return Some(edit);
            }
            if self.is_over {
                return None;
            }
            if let Err(trouble) = self.advance() {
                self.trouble = Some(trouble);
                self.is_over = true;
            }
        }
    }
}

impl Entries<'_> {
    /// Makes the next edits ready, or finds that there are no more.
    fn advance(&mut self) -> Result<(), Trouble> {
        if let Some(done) = self.early.remove(&self.assembled) {
            self.assembled += 1;
            self.tally.add(&done.tally);
            self.ready = done.edits.into_iter();
            return Ok(());
        }
        self.feed()?;
        // Workers hand over what their lanes hold before they end and the channel closes.
        let Ok(mut done) = self.from_workers.recv() else {
            self.is_over = true;
            return match self.assembled == self.sent && self.to_workers.is_none() {
                true => Ok(()),
                false => Err(Error::Cancelled.into()),
            };
        };
        if let Some(error) = done.error.take() {
            return Err(error.into());
        }
        self.pass.progress.written(&self.pass.writer.written());
        self.early.insert(done.number, done);
        Ok(())
    }

    fn feed(&mut self) -> Result<(), Trouble> {
        while self.to_workers.is_some() && self.sent - self.assembled < self.under_way_max {
            self.pass.cancel.check()?;
            let items = self.items().map_err(|error| match is_damage(&error) {
                true => Trouble::Source(error),
                false => Trouble::Target(error),
            })?;
            if items.is_empty() {
                self.to_workers = None;
                return Ok(());
            }
            let batch = Batch { number: self.sent, items };
            self.sent += 1;
            if let Some(to_workers) = &self.to_workers
                && to_workers.send(batch).is_err()
            {
                // The workers ended, so one of them met an error: it comes next.
                self.to_workers = None;
            }
        }
        Ok(())
    }

    fn items(&mut self) -> crate::Result<Vec<Item>> {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < ITEMS_MAX && bytes < BYTES_MAX {
            let Some(item) = self.walk.next()? else { break };
            if let Item::Copy { found, known: None } = &item {
                bytes += found.entry.size;
            }
            items.push(item);
        }
        Ok(items)
    }
}
