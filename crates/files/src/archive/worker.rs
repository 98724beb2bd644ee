//! One reading thread: takes batches, gives their entries.
//!
//! Buffers, chunker and lane belong to the thread and are used again for every file. DESIGN.md §10.

use std::io::Read;

use crossbeam_channel::{Receiver, Sender, select};
use crypto::DomainId;
use format::{Extra, ExtraAt, FileEntry};
use vault::{Reader, Writer};

use super::Archiver;
use super::batch::{Batch, Done, DoneEntry, Item, Names, Work};
use super::content::ContentStore;
use super::options::Change;
use super::read::{ReadFile, describe_file, read_file, refresh_xattrs, stream_entry, stream_error};
use super::share::{Job, Share};
use crate::Result;
use crate::content::read_extra;
use crate::owners::Owners;
use crate::progress::{Cancel, Progress};
use crate::stat::Stat;
use crate::walk::Found;

/// What one thread needs.
pub(crate) struct Worker<'a> {
    store: ContentStore<'a>,
    owners: &'a Owners,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
    /// Reads what the base's entries only name.
    base: Option<(&'a Reader, DomainId)>,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(archiver: &'a Archiver<'_>, writer: &'a Writer) -> Self {
        let Archiver { owners, progress, cancel, .. } = archiver;
        Self {
            base: None,
            store: ContentStore::new(writer, *progress, cancel),
            owners,
            progress: *progress,
            cancel,
        }
    }

    /// The same, for entries that come from a base of this domain.
    pub(crate) fn on_base(self, reader: &'a Reader, domain: DomainId) -> Self {
        Self { base: Some((reader, domain)), ..self }
    }

    /// Works until there are no more batches and no other thread has chunks to share.
    pub(crate) fn work(mut self, batches: &Receiver<Batch>, results: &Sender<Done>, share: Share) {
        let jobs = share.jobs();
        self.store.share_out(share);
        loop {
            select! {
                recv(jobs) -> job => if let Ok(job) = job { self.store.help(job) },
                recv(batches) -> batch => {
                    let Ok(batch) = batch else { break };
                    let done = self.run(batch);
                    let is_over = done.error.is_some();
                    // Nobody listens once the pass has failed.
                    if results.send(done).is_err() || is_over {
                        return;
                    }
                }
            }
        }
        self.store.share_no_more();
        if let Err(error) = self.help(&jobs) {
            let last = Done { number: u64::MAX, error: Some(error), ..Done::default() };
            let _ = results.send(last);
        }
    }

    /// Stores chunks that others cut, until nobody shares any more.
    pub(crate) fn help(&self, jobs: &Receiver<Job>) -> Result<()> {
        for job in jobs {
            self.store.help(job);
        }
        self.flush()
    }

    /// From here on chunks of long files are shared out.
    pub(crate) fn share_out(&mut self, share: Share) {
        self.store.share_out(share);
    }

    /// Does all that a batch asks for.
    fn run(&mut self, batch: Batch) -> Done {
        let mut done = Done { number: batch.number, ..Done::default() };
        done.entries.reserve(batch.items.len());
        let files = batch.items.len() as u64;
        for item in batch.items {
            if let Err(error) = self.cancel.check().and_then(|()| self.item(item, &mut done)) {
                done.error = Some(error);
                return done;
            }
        }
        self.progress.files_done(files);
        done
    }

    /// Reads a stream to its end.
    pub(crate) fn read_stream(&mut self, path: &[u8], stream: &mut dyn Read) -> Result<FileEntry> {
        let stored = self.store.store(|buffer| {
            loop {
                match stream.read(buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    other => return other,
                }
            }
        });
        let (content, size) = stored.map_err(|error| stream_error(path, error))?;
        Ok(stream_entry(content, size))
    }

    /// Hands over what the vault's lane still holds.
    pub(crate) fn flush(&self) -> Result<()> {
        self.store.flush()
    }

    /// Does what is to be done with one file.
    pub(crate) fn item(&mut self, item: Item, done: &mut Done) -> Result<()> {
        let Item { found, work } = item;
        match work {
            Work::Link(base) => {
                let (path, stat) = (found.path(), found.stat);
                done.entries.push(DoneEntry::Link { key: found.key, path, stat, base });
            }
            Work::Reuse(mut known) => {
                if known.ctime != found.stat.ctime {
                    // Whose extra metadata cannot be read any more is read as a whole.
                    let Some(extra) = self.extra_of(&found, &known) else {
                        return self.item(Item { found, work: Work::Read(Some(known)) }, done);
                    };
                    refresh_xattrs(&self.store, &found, extra, &mut known)?;
                }
                self.progress.bytes_skipped(found.stat.size);
                let entry = self.reused(*known, &found.stat);
                done.push(&found, entry, Change::Unchanged);
            }
            Work::Keep(known) => {
                let entry = self.reused(*known, &found.stat);
                done.push(&found, entry, Change::Unchanged);
            }
            Work::Read(base) => {
                self.progress.file(&found.path());
                let read = read_file(&mut self.store, self.owners, &found, &mut done.problems)?;
                take_read(&found, read, base.as_deref(), done);
            }
            Work::Describe => {
                let read = describe_file(&self.store, self.owners, &found, &mut done.problems)?;
                take_read(&found, read, None, done);
            }
        }
        Ok(())
    }

    /// The base's extra metadata of a file, where it can be read.
    fn extra_of(&self, found: &Found, known: &FileEntry) -> Option<Extra> {
        match (&known.extra, self.base) {
            (ExtraAt::None, _) => Some(Extra::default()),
            (ExtraAt::Inline(extra), _) => Some(extra.clone()),
            (ExtraAt::Chunk(_), None) => None,
            (ExtraAt::Chunk(_), Some((reader, domain))) => {
                read_extra(reader, domain, &found.path(), known).ok()
            }
        }
    }

    /// An entry with the base's content and attributes; all else is the walk's.
    fn reused(&self, known: FileEntry, stat: &Stat) -> FileEntry {
        FileEntry { content: known.content, extra: known.extra, ..stat.entry(self.owners) }
    }
}

fn take_read(found: &Found, read: ReadFile, base: Option<&FileEntry>, done: &mut Done) {
    let names = Names::of(&found.stat);
    match read {
        ReadFile::Vanished => done.entries.push(DoneEntry::Moved { names }),
        ReadFile::Unreadable(reason) => {
            done.problems.add(&found.path(), reason);
            done.entries.push(DoneEntry::Unreadable { names });
        }
        ReadFile::Entry { entry, identity, bytes_read } => {
            done.counts.bytes_read += bytes_read;
            let change = Change::since(base, &entry);
            if identity == found.stat.identity() {
                done.push(found, *entry, change);
                return;
            }
            // Another file took the name since the walk: the inode's other names have not its
            // content.
            done.entries.push(DoneEntry::Moved { names });
            done.counts.count(entry.kind, entry.size, change);
            let (key, names) = (found.key.clone(), Names::One);
            done.entries.push(DoneEntry::Ready { key, entry: *entry, names });
        }
    }
}

impl Done {
    fn push(&mut self, found: &Found, entry: FileEntry, change: Change) {
        self.counts.count(entry.kind, entry.size, change);
        let (key, names) = (found.key.clone(), Names::of(&found.stat));
        self.entries.push(DoneEntry::Ready { key, entry, names });
    }
}
