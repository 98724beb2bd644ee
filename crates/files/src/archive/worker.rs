//! One reading thread: takes batches, gives their entries.
//!
//! Buffers, chunker and lane belong to the thread and are used again for every file. DESIGN.md §10.

use std::io::Read;

use format::FileEntry;
use vault::Writer;

use super::Archiver;
use super::batch::{Batch, Done, DoneEntry, Item, Names, Work};
use super::content::ContentStore;
use super::options::Change;
use super::read::{ReadFile, describe_file, read_file, refresh_xattrs, stream_entry, stream_error};
use crate::Result;
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
}

impl<'a> Worker<'a> {
    pub(crate) fn new(archiver: &'a Archiver<'_>, writer: &'a Writer) -> Self {
        let Archiver { owners, progress, cancel, .. } = archiver;
        Self {
            store: ContentStore::new(writer, *progress, cancel),
            owners,
            progress: *progress,
            cancel,
        }
    }

    /// Does all that a batch asks for.
    pub(crate) fn run(&mut self, batch: Batch) -> Done {
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
                self.progress.bytes_skipped(found.stat.size);
                if known.ctime != found.stat.ctime {
                    refresh_xattrs(&self.store, &found, &mut known)?;
                }
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
