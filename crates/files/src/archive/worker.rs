//! One reading thread: takes batches, gives their entries.
//!
//! Buffers, chunker and lane belong to the thread and are used again for every file. DESIGN.md §10.

use std::io::Read;

use format::FileEntry;
use vault::Writer;

use super::Archiver;
use super::batch::{Batch, Done, DoneEntry, Item, Known, Names, Work};
use super::content::ContentStore;
use super::read::{ReadFile, describe_file, read_file, refresh_xattrs, stream_entry, stream_error};
use crate::Result;
use crate::owners::Owners;
use crate::progress::{Cancel, Progress};
use crate::stat::Stat;

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

    fn item(&mut self, item: Item, done: &mut Done) -> Result<()> {
        let Item { found, known, work } = item;
        let reused = |known_entry: FileEntry, stat: &Stat| FileEntry {
            content: known_entry.content,
            extra: known_entry.extra,
            ..stat.entry(self.owners)
        };
        let read = match work {
            Work::Link => {
                let (path, stat) = (found.path(), found.stat);
                done.entries.push(DoneEntry::Link { key: found.key, path, stat, known });
                return Ok(());
            }
            Work::Reuse(entry) => {
                self.progress.bytes_skipped(found.stat.size);
                done.counts.count(&found.stat, true, true);
                let names = Names::of(&found.stat);
                let mut known_entry = *entry;
                if known_entry.ctime != found.stat.ctime {
                    refresh_xattrs(&self.store, &found, &mut known_entry)?;
                }
                let entry = reused(known_entry, &found.stat);
                done.entries.push(DoneEntry::Ready { key: found.key, entry, names });
                return Ok(());
            }
            Work::Keep(entry) => {
                let entry = Box::new(reused(*entry, &found.stat));
                ReadFile::Entry { entry, stat: found.stat, bytes_read: 0 }
            }
            Work::Read => {
                self.progress.file(&found.path());
                read_file(&mut self.store, self.owners, &found, &mut done.problems)?
            }
            Work::Describe => describe_file(&self.store, self.owners, &found, &mut done.problems)?,
        };
        let names = Names::of(&found.stat);
        match read {
            ReadFile::Vanished => done.entries.push(DoneEntry::Unreadable { names }),
            ReadFile::Unreadable(reason) => {
                done.problems.add(&found.path(), reason);
                done.entries.push(DoneEntry::Unreadable { names });
            }
            ReadFile::Entry { entry, stat, bytes_read } => {
                let counted = Stat { size: entry.size, ..stat };
                done.counts.count(&counted, known == Known::InBase, false);
                done.counts.bytes_read += bytes_read;
                done.entries.push(DoneEntry::Ready { key: found.key, entry: *entry, names });
            }
        }
        Ok(())
    }
}
