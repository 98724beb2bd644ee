//! Reads the tree once, in key order, and sees to it that everything is made in time.
//!
//! This thread makes folders and hands files out; it does the waiting work between. What it holds
//! is bounded: batches under way, the folders that are still open, first names of linked files.
//! An entry is made only in a folder that this restore made or found as a folder: an entry below
//! something else is refused. DESIGN.md §10.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use crypto::{ChunkId, Digest, DomainId};
use format::{EntryKind, FileEntry, PathKey, Timestamp};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use vault::Reader;

use super::finish::Finisher;
use super::item::{Batch, Deferred, Done, Item, LinkItem};
use super::mark::MARK_NAME;
use super::metadata::Rules;
use super::options::{Overwrite, RestoreOptions, RestoreReport};
use super::plan::TAKEN;
use super::select::Selection;
use super::strip::{Strip, Stripped, strip};
use super::sweep::{Deed, SweepContext, Sweeper, split};
use super::target::{Replace, Target};
use super::write::{FileWriter, is_temporary_name};
use crate::Result;
use crate::content::read_extra;
use crate::error::Error;
use crate::exclude::Matcher;
use crate::list::{ListedEntry, decode, key_of};
use crate::nodes::tree_error_at;
use crate::progress::{Cancel, Progress};
use crate::walk::describe;

/// A restore, ready to run.
pub(crate) struct Restorer<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) domain: DomainId,
    pub(crate) root: ChunkId,
    /// What is restored: a folder's contents, or a file.
    pub(crate) top: &'a ListedEntry,
    pub(crate) options: &'a RestoreOptions,
    /// How metadata is restored.
    pub(crate) rules: &'a Rules,
    /// What was backed up.
    pub(crate) sources: &'a [Vec<u8>],
    pub(crate) matcher: &'a Matcher,
    pub(crate) progress: &'a dyn Progress,
    pub(crate) cancel: &'a Cancel,
}

impl Restorer<'_> {
    /// Restores into an opened target.
    pub(crate) fn run(&self, target: &Target, overwrite: Overwrite) -> Result<RestoreReport> {
        let threads = self.options.threads();
        let (to_workers, batches) = bounded::<Batch>(threads);
        let (results, from_workers) = unbounded::<Done>();
        let sweeper = self.sweeper(target, Deed::Delete)?;
        let sweeper = sweeper.as_ref();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (batches, results) = (batches.clone(), results.clone());
                scope.spawn(move || self.work(overwrite, sweeper, &batches, &results));
            }
            drop((batches, results));
            let mut pass = Pass {
                restorer: self,
                target,
                overwrite,
                writer: self.writer(overwrite, sweeper),
                strip: Strip::new(self.options.strip),
                batch: Batch::first_of(2 * threads + 1),
                finisher: Finisher::default(),
                folders: BTreeMap::new(),
                has_forgotten: false,
                links: HashMap::new(),
                parent: None,
                to_workers: Some(to_workers),
                from_workers,
            };
            pass.walk()?;
            if let Some(sweeper) = sweeper {
                sweeper.sweep(b"", &self.top.path, &mut pass.writer.report);
            }
            Ok(pass.writer.report)
        })
    }

    /// Gives a target that was made by this restore the metadata of the folder restored into it.
    pub(crate) fn finish_target(&self, target: &Target, report: &mut RestoreReport) {
        let ListedEntry { path, entry, .. } = self.top;
        let Ok(extra) = read_extra(self.reader, self.domain, path, entry) else { return };
        self.rules.apply(target.root(), path, entry, &extra, report);
    }

    fn work(
        &self,
        overwrite: Overwrite,
        sweeper: Option<&Sweeper<'_>>,
        batches: &Receiver<Batch>,
        results: &Sender<Done>,
    ) {
        let _alarm = Alarm(results);
        for batch in batches {
            let mut writer = self.writer(overwrite, sweeper);
            let made = batch
                .items
                .iter()
                .try_for_each(|item| self.cancel.check().and_then(|()| writer.make(item)));
            let result = made.map(|()| writer.report);
            let is_over = result.is_err();
            if results.send(Done { number: batch.number, result }).is_err() || is_over {
                return;
            }
        }
    }

    fn writer<'s>(
        &'s self,
        overwrite: Overwrite,
        sweeper: Option<&'s Sweeper<'s>>,
    ) -> FileWriter<'s> {
        FileWriter {
            reader: self.reader,
            domain: self.domain,
            rules: self.rules,
            overwrite,
            in_place: self.options.in_place,
            sweeper,
            progress: self.progress,
            cancel: self.cancel,
            report: RestoreReport::default(),
        }
    }

    /// What is restored, in key order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<ListedEntry>> {
        let is_folder = self.top.entry.kind == EntryKind::Folder;
        let single = (!is_folder).then(|| Ok(self.top.clone()));
        let range = match is_folder {
            true => self.top.key.subtree(),
            false => Vec::new()..Vec::new(),
        };
        let source = self.reader.nodes(self.domain);
        let below = tree::range(source, self.root, range).map(|entry| {
            let (key, value) = entry.map_err(|error| tree_error_at(&self.top.path, error))?;
            decode(&key, &value)
        });
        single.into_iter().chain(below)
    }

    /// Where an entry goes, relative to the target; `None` when no name is left of its path.
    pub(crate) fn relative<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        strip(self.below_top(path), self.options.strip)
    }

    /// Whether the snapshot has an entry at a path relative to what is restored.
    pub(crate) fn exists(&self, relative: &[u8]) -> Result<bool> {
        let key = key_of(&[&self.top.path, &b"/"[..], relative].concat())?;
        let source = self.reader.nodes(self.domain);
        let found = tree::get(&source, self.root, key.as_bytes());
        Ok(found.map_err(|error| tree_error_at(&self.top.path, error))?.is_some())
    }

    /// What a sweeper of this restore works on.
    pub(crate) fn sweep_context(&self) -> SweepContext<'_> {
        let Self { reader, domain, root, matcher, sources, options, .. } = *self;
        SweepContext { reader, domain, root, matcher, sources, protected: &options.protected }
    }

    /// An entry's path relative to what is restored.
    pub(crate) fn below_top<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        let cut = match self.top.entry.kind {
            EntryKind::Folder => self.top.path.len(),
            _ => self.top.path.iter().rposition(|byte| *byte == b'/').unwrap_or(0),
        };
        let rest = &path[cut.min(path.len())..];
        rest.strip_prefix(b"/").unwrap_or(rest)
    }
}

/// So many first names of files with several are remembered; a name whose first was forgotten is
/// written as a file of its own.
pub(crate) const LINKS_MAX: usize = 1 << 15;

/// So many folders wait for their metadata; with more, those beyond get it in a walk of its own.
const FOLDERS_OPEN_MAX: usize = 1 << 15;

/// Ends the pass when its thread panics: what that thread had in hand will never be done.
struct Alarm<'a>(&'a Sender<Done>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(Done { number: u64::MAX, result: Err(Error::Cancelled) });
        }
    }
}

/// Where the first name of an inode went, and the digest of what every further name must say.
struct FirstName {
    relative: Vec<u8>,
    entry: Digest,
}

/// A folder's handle, or why there is none.
type OpenedFolder = Result<Arc<OwnedFd>, Errno>;

struct Pass<'a, 'r> {
    restorer: &'a Restorer<'r>,
    target: &'a Target,
    overwrite: Overwrite,
    /// Makes what this thread makes, and gathers the report.
    writer: FileWriter<'a>,
    strip: Strip,
    batch: Batch,
    finisher: Finisher,
    /// Folders that were made and may still get files, by where their subtree ends: so the first is
    /// the next to be finished, deepest first.
    folders: BTreeMap<Vec<u8>, ListedEntry>,
    /// Whether there were folders beyond what is remembered.
    has_forgotten: bool,
    links: HashMap<(u64, u64), FirstName>,
    /// The folder of the entry before, relative, and its handle or why there is none.
    parent: Option<(Vec<u8>, OpenedFolder)>,
    to_workers: Option<Sender<Batch>>,
    from_workers: Receiver<Done>,
}

impl Pass<'_, '_> {
    fn walk(&mut self) -> Result<()> {
        let mut selection = Selection::new(self.restorer.matcher);
        for listed in self.restorer.entries() {
            self.restorer.cancel.check()?;
            let listed = match listed {
                Ok(listed) => listed,
                Err(Error::Damaged { path, message }) => {
                    self.writer.report.damaged.add(path.as_str().as_bytes(), message);
                    continue;
                }
                Err(error) if is_damage(&error) => {
                    // What lies behind an unreadable node of the tree cannot be named.
                    self.writer.report.damaged.add(&self.restorer.top.path, error);
                    break;
                }
                Err(error) => return Err(error),
            };
            self.finish_folders(Some(listed.key.as_bytes()))?;
            if selection.takes(&listed.path, listed.entry.kind) {
                self.place(listed)?;
            }
            if self.finisher.is_crowded() {
                self.wait_for_all()?;
            }
        }
        self.wait_for_all()?;
        self.finish_folders(None)?;
        if self.has_forgotten { self.finish_forgotten() } else { Ok(()) }
    }

    /// Gives all folders their metadata again: those that were remembered and those not.
    /// Folders that shut this user out come last, deepest first, so that all others can be reached.
    fn finish_forgotten(&mut self) -> Result<()> {
        let mut selection = Selection::new(self.restorer.matcher);
        let mut shut = Vec::new();
        for listed in self.restorer.entries() {
            self.restorer.cancel.check()?;
            let listed = match listed {
                Err(Error::Damaged { .. }) => continue,
                other => other?,
            };
            let is_folder = listed.entry.kind == EntryKind::Folder;
            if !is_folder || !selection.takes(&listed.path, listed.entry.kind) {
                continue;
            }
            let ListedEntry { path, entry, .. } = listed;
            let Some(relative) = self.restorer.relative(&path).map(<[u8]>::to_vec) else {
                continue;
            };
            let opens = entry.mode & 0o700 == 0o700;
            let folder = Deferred::Folder { relative, path, entry: Box::new(entry) };
            match opens {
                true => self.finisher.wait(0, folder),
                false => shut.push(folder),
            }
            self.finisher.run(self.target, &mut self.writer)?;
        }
        for folder in shut.into_iter().rev() {
            self.finisher.wait(0, folder);
        }
        self.finisher.run(self.target, &mut self.writer)
    }

    /// Makes a folder, or hands a file out.
    fn place(&mut self, listed: ListedEntry) -> Result<()> {
        let below = self.restorer.below_top(&listed.path);
        let stripped = self.strip.apply(below, |path| self.restorer.exists(path));
        let relative = match stripped? {
            Stripped::To(relative) => relative.to_vec(),
            Stripped::Gone => return Ok(()),
            Stripped::Taken => {
                self.writer.report.skipped.add(&listed.path, TAKEN);
                return Ok(());
            }
        };
        let (folder, name) = split(&relative);
        if (folder.is_empty() && name == MARK_NAME) || is_temporary_name(name) {
            let reason = "has a name that restores use for their own files";
            self.writer.report.skipped.add(&listed.path, reason);
            return Ok(());
        }
        let parent = match self.parent_of(folder, &listed.key) {
            Ok(parent) => parent,
            Err(error) => {
                let reason = format!("its folder in the target: {}", describe(error));
                self.writer.report.skipped.add(&listed.path, reason);
                return Ok(());
            }
        };
        if listed.entry.kind == EntryKind::Folder {
            return self.make_folder(&parent, name, listed);
        }
        let ListedEntry { path, entry, .. } = listed;
        if let Some(first) = self.first_name(&entry, &relative) {
            let item = Box::new(LinkItem { name: name.to_vec(), path, entry });
            let what = Deferred::Link { first, parent: folder.to_vec(), item };
            // The batch being filled may hold the first name, so it must be done too.
            self.finisher.wait(self.batch.number + 1, what);
            return Ok(());
        }
        let folder = match self.batch.last_folder() {
            Some(last) if **last == *folder => last.clone(),
            _ => folder.into(),
        };
        self.batch.push(Item { parent, folder, name: name.to_vec(), path, entry });
        if self.batch.is_full() { self.hand_out() } else { Ok(()) }
    }

    fn make_folder(&mut self, parent: &OwnedFd, name: &[u8], listed: ListedEntry) -> Result<()> {
        let replace = match self.overwrite {
            Overwrite::Never => Replace::Refuse,
            Overwrite::Changed | Overwrite::Always => Replace::Allow,
        };
        if let Err(error) = Target::make_folder(parent, name, replace) {
            self.writer.report.skipped.add(&listed.path, describe(error));
            return Ok(());
        }
        self.writer.report.counts.folders += 1;
        match self.folders.len() < FOLDERS_OPEN_MAX {
            true => drop(self.folders.insert(listed.key.subtree().end, listed)),
            false => self.has_forgotten = true,
        }
        Ok(())
    }

    /// The handle of the folder that entries go into, kept from one entry to the next.
    fn parent_of(&mut self, folder: &[u8], key: &PathKey) -> Result<Arc<OwnedFd>, Errno> {
        if let Some((last, opened)) = &self.parent
            && last == folder
        {
            return opened.clone();
        }
        let mut opened = self.target.folder(folder);
        if matches!(opened, Err(Errno::NOENT)) && self.restorer.matcher.has_includes() {
            self.make_way(folder, key);
            opened = self.target.folder(folder);
        }
        let opened = opened.map(Arc::new);
        self.parent = Some((folder.to_vec(), opened.clone()));
        opened
    }

    /// Makes the folders that lead to something included, which are not themselves included.
    fn make_way(&mut self, folder: &[u8], key: &PathKey) {
        let mut keys = Vec::new();
        let mut above = key.parent();
        for _ in folder.split(|byte| *byte == b'/') {
            let Some(key) = above else { break };
            above = key.parent();
            keys.push(key);
        }
        let source = self.restorer.reader.nodes(self.restorer.domain);
        for key in keys.into_iter().rev() {
            let value = tree::get(&source, self.restorer.root, key.as_bytes());
            let Ok(Some(value)) = value else { return };
            let Ok(listed) = decode(key.as_bytes(), &value) else { return };
            let Some(relative) = self.restorer.relative(&listed.path) else { continue };
            let (above, name) = split(relative);
            let (name, Ok(parent)) = (name.to_vec(), self.target.folder(above)) else { return };
            let is_folder = listed.entry.kind == EntryKind::Folder;
            if self.folders.contains_key(&listed.key.subtree().end) || !is_folder {
                continue;
            }
            if self.make_folder(&parent, &name, listed).is_err() {
                return;
            }
        }
    }

    /// Where an earlier name of the same inode went.
    fn first_name(&mut self, entry: &FileEntry, relative: &[u8]) -> Option<Vec<u8>> {
        let inode = (entry.link?.device, entry.inode);
        // What a further name says otherwise, the inode of the first does not hold.
        let said = FileEntry { ctime: Timestamp::default(), ..entry.clone() };
        let said = Digest::of(&said.encode());
        if let Some(first) = self.links.get(&inode) {
            return (first.entry == said).then(|| first.relative.clone());
        }
        if self.links.len() < LINKS_MAX {
            self.links.insert(inode, FirstName { relative: relative.to_vec(), entry: said });
        }
        None
    }

    /// Lets go of folders below which nothing more comes, once the key is beyond them.
    fn finish_folders(&mut self, key: Option<&[u8]>) -> Result<()> {
        while let Some(first) = self.folders.first_entry() {
            if key.is_some_and(|key| &first.key()[..] > key) {
                break;
            }
            let ListedEntry { path, entry, .. } = first.remove();
            let relative = self.restorer.relative(&path).unwrap_or_default().to_vec();
            let what = Deferred::Folder { relative, path, entry: Box::new(entry) };
            let number = self.batch.number + u64::from(!self.batch.items.is_empty());
            self.finisher.wait(number, what);
        }
        self.finisher.run(self.target, &mut self.writer)
    }

    fn hand_out(&mut self) -> Result<()> {
        let mut batch = self.batch.take();
        loop {
            while let Ok(done) = self.from_workers.try_recv() {
                self.take(done)?;
            }
            let Some(to_workers) = &self.to_workers else { return Err(Error::Cancelled) };
            match to_workers.try_send(batch) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => batch = back,
            }
            self.take_one()?;
        }
    }

    /// Hands out what is left and waits until everything handed out is done.
    fn wait_for_all(&mut self) -> Result<()> {
        self.hand_out()?;
        while self.finisher.done() < self.batch.number {
            self.take_one()?;
        }
        self.finisher.run(self.target, &mut self.writer)
    }

    fn take_one(&mut self) -> Result<()> {
        match self.from_workers.recv() {
            Ok(done) => self.take(done),
            // Every worker ended; the one that met an error has said so before.
            Err(_) => Err(Error::Cancelled),
        }
    }

    fn take(&mut self, done: Done) -> Result<()> {
        self.writer.report.append(&done.result?);
        self.finisher.batch_done(done.number);
        Ok(())
    }
}

fn is_damage(error: &Error) -> bool {
    use vault::ErrorKind::{Corrupt, NotFound};
    match error {
        Error::Damaged { .. } | Error::Tree { .. } => true,
        Error::Vault(error) => matches!(error.kind(), Corrupt | NotFound),
        _ => false,
    }
}
