//! One thread of a copy: takes entries of the source, gives those of the target.
//!
//! Chunks are named by vault and domain, so each is opened, verified by its old name and named
//! anew. Where the target cuts otherwise, the bytes of a file run through its chunker, so that they
//! meet what the target's own backups stored. Within a batch, files are read in the order in which
//! they lie in packs. What cannot be read of one file costs that file. DESIGN.md §7.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, select};
use crypto::{Digest, DomainId};
use format::{ChunkKind, ChunkRef, Content, EntryKind, Extra, ExtraAt};
use tree::Edit;
use vault::{Location, Reader, Writer};

use super::is_damage;
use super::walk::Item;
use crate::archive::content::{Carried, ContentError, ContentStore};
use crate::archive::read::place_extra;
use crate::archive::share::{Job, Share};
use crate::content::{Chunks, data_length, read_chunk, read_extra};
use crate::error::Problems;
use crate::list::ListedEntry;
use crate::progress::{Cancel, Progress};
use crate::{Error, Result};

/// Entries for one worker, consecutive in key order.
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) items: Vec<Item>,
}

/// What became of a batch.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) number: u64,
    pub(crate) edits: Vec<Edit>,
    pub(crate) tally: Tally,
    /// What ended the work, if anything did.
    pub(crate) error: Option<Error>,
}

/// What was counted on the way.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) problems: Problems,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) files_read: u64,
    pub(crate) bytes_read: u64,
    /// Regular files that are left out, their bytes, and what else is.
    pub(crate) files_missing: u64,
    pub(crate) bytes_missing: u64,
    pub(crate) others_missing: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.problems.append(&other.problems);
        self.files += other.files;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files_read += other.files_read;
        self.bytes_read += other.bytes_read;
        self.files_missing += other.files_missing;
        self.bytes_missing = self.bytes_missing.saturating_add(other.bytes_missing);
        self.others_missing += other.others_missing;
    }

    fn leave_out(&mut self, found: &ListedEntry) {
        match found.entry.kind {
            EntryKind::File => {
                self.files_missing += 1;
                self.bytes_missing = self.bytes_missing.saturating_add(found.entry.size);
            }
            _ => self.others_missing += 1,
        }
    }
}

/// What is read from, and how it becomes what the target holds.
#[derive(Clone, Copy)]
pub(crate) struct Origins<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) domain: DomainId,
    pub(crate) cuts: Cuts,
}

/// How the source's chunks become the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    /// Both cut and name alike, being one vault and domain: chunks are carried as they are, and
    /// those that the target holds are not read.
    Alike,
    /// Files are cut anew.
    Anew,
}

/// Contents that were copied in this pass, so that other names of a file are not read again.
#[derive(Default)]
pub(crate) struct Twins(Mutex<HashMap<Digest, Content>>);

/// So many contents are remembered.
const TWINS_MAX: usize = 1 << 16;

impl Twins {
    fn find(&self, content: &Content) -> Option<Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&digest(content)).cloned()
    }

    fn keep(&self, content: &Content, copied: &Content) {
        let mut twins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if twins.len() < TWINS_MAX {
            twins.insert(digest(content), copied.clone());
        }
    }
}

fn digest(content: &Content) -> Digest {
    let mut bytes = Vec::new();
    match content {
        Content::Chunks(chunks) => {
            for (id, length) in chunks {
                bytes.extend_from_slice(id.as_bytes());
                bytes.extend_from_slice(&length.to_le_bytes());
            }
        }
        Content::Recipe { root, level } => {
            bytes.extend_from_slice(root.as_bytes());
            bytes.push(*level);
        }
    }
    Digest::of(&bytes)
}

/// What one thread needs.
pub(crate) struct Worker<'a> {
    pub(crate) store: ContentStore<'a>,
    pub(crate) writer: &'a Writer,
    pub(crate) origins: Origins<'a>,
    pub(crate) twins: &'a Twins,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
}

impl Worker<'_> {
    /// Works until there are no more batches and no other thread has chunks to share.
    pub(crate) fn work(mut self, batches: &Receiver<Batch>, results: &Sender<Done>, share: Share) {
        let jobs: Receiver<Job> = share.jobs();
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
        for job in &jobs {
            self.store.help(job);
        }
        if let Err(error) = self.store.flush() {
            let last = Done { number: u64::MAX, error: Some(error), ..Done::default() };
            let _ = results.send(last);
        }
    }

    fn run(&mut self, batch: Batch) -> Done {
        let mut done = Done { number: batch.number, ..Done::default() };
        let mut ordered: Vec<_> = batch.items.into_iter().enumerate().collect();
        ordered.sort_by_cached_key(|(_, item)| self.location(item));
        let mut edits: Vec<Option<Edit>> = ordered.iter().map(|_| None).collect();
        for (index, item) in ordered {
            let edit = self.cancel.check().and_then(|()| self.item(item, &mut done.tally));
            match edit {
                Ok(edit) => edits[index] = edit,
                Err(error) => {
                    done.error = Some(error);
                    return done;
                }
            }
        }
        done.edits = edits.into_iter().flatten().collect();
        self.progress.files_done(done.tally.files);
        done
    }

    /// Where the content of an entry begins in a pack: an order to read in, not a promise.
    fn location(&self, item: &Item) -> Option<Location> {
        let Item::Copy { found, known: None } = item else { return None };
        let Content::Chunks(chunks) = &found.entry.content else { return None };
        let chunk = ChunkRef { kind: ChunkKind::Content, id: chunks.first()?.0 };
        self.origins.reader.locate(self.origins.domain, chunk).ok().flatten()
    }

    fn item(&mut self, item: Item, tally: &mut Tally) -> Result<Option<Edit>> {
        let (found, known) = match item {
            Item::Remove { key } => return Ok(Some((key, None))),
            Item::Copy { found, known } => (found, known),
        };
        let Origins { reader, domain, .. } = self.origins;
        if found.entry.kind == EntryKind::File {
            tally.files += 1;
            tally.bytes = tally.bytes.saturating_add(found.entry.size);
        }
        let extra = match read_extra(reader, domain, &found.path, &found.entry) {
            Ok(extra) => extra,
            Err(error) if is_damage(&error) => {
                tally.problems.add(&found.path, error);
                if found.entry.kind != EntryKind::Folder {
                    return Ok(left_out(&found, tally));
                }
                // What lies in the folder needs it, with attributes or without.
                Extra::default()
            }
            Err(error) => return Err(error),
        };
        let mut entry = found.entry.clone();
        if entry.kind == EntryKind::File && entry.content != Content::EMPTY {
            let content = match known {
                Some(known) => {
                    self.progress.bytes_skipped(entry.size);
                    Some(known)
                }
                None => self.content(&found, &extra, tally)?,
            };
            let Some(content) = content else { return Ok(left_out(&found, tally)) };
            entry.content = content;
        }
        entry.extra = ExtraAt::None;
        place_extra(&self.store, &mut entry, extra)?;
        Ok(Some((found.key.as_bytes().to_vec(), Some(entry.encode()))))
    }

    /// What the target calls a file's content; nothing when it cannot be read.
    fn content(
        &mut self,
        found: &ListedEntry,
        extra: &Extra,
        tally: &mut Tally,
    ) -> Result<Option<Content>> {
        let ListedEntry { path, entry, .. } = found;
        if let Some(known) = self.twins.find(&entry.content) {
            self.progress.bytes_skipped(entry.size);
            return Ok(Some(known));
        }
        self.progress.file(path);
        let Origins { reader, domain, cuts } = self.origins;
        let mut chunks = Chunks::new(reader, domain, path, &entry.content);
        let mut bytes_read = 0;
        let stored = match cuts {
            Cuts::Anew => {
                let mut rest = Bytes::new();
                self.store.store(|buffer| {
                    while rest.is_empty() {
                        let Some(chunk) = chunks.next() else { return Ok(0) };
                        rest = read_chunk(reader, domain, path, &chunk?)?;
                    }
                    let count = rest.len().min(buffer.len());
                    buffer[..count].copy_from_slice(&rest.split_to(count));
                    bytes_read += count as u64;
                    Ok(count)
                })
            }
            Cuts::Alike => self.store.carry(chunks.map(|chunk| {
                let chunk = chunk?;
                let (id, length) = (chunk.id, chunk.length);
                if self.writer.is_stored(ChunkRef { kind: ChunkKind::Content, id })? {
                    return Ok(Carried::Known { id, length });
                }
                let bytes = read_chunk(reader, domain, path, &chunk)?;
                bytes_read += bytes.len() as u64;
                Ok(Carried::Read(bytes))
            })),
        };
        tally.files_read += 1;
        tally.bytes_read += bytes_read;
        let whole = stored.map_err(source_error).and_then(|(content, length)| {
            let expected = data_length(path, entry.size, &extra.holes)?;
            match length == expected {
                true => Ok(content),
                false => Err(Error::damaged(
                    path,
                    format_args!("its chunks have {length} bytes, not {expected}"),
                )
                .into()),
            }
        });
        match whole {
            Ok(content) => {
                self.twins.keep(&entry.content, &content);
                Ok(Some(content))
            }
            Err(Unread::Source(error)) if is_damage(&error) => {
                tally.problems.add(path, error);
                Ok(None)
            }
            Err(Unread::Source(error) | Unread::Target(error)) => Err(error),
        }
    }
}

/// Whose fault it is that a file was not copied.
enum Unread {
    Source(Error),
    Target(Error),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self::Source(error)
    }
}

fn source_error(error: ContentError<Error>) -> Unread {
    match error {
        ContentError::Source(error) => Unread::Source(error),
        ContentError::Vault(error) => Unread::Target(error),
    }
}

/// An entry that the copy lacks: it is taken out, should the copy before have it.
fn left_out(found: &ListedEntry, tally: &mut Tally) -> Option<Edit> {
    tally.leave_out(found);
    Some((found.key.as_bytes().to_vec(), None))
}
