//! Reads back what was restored, from the disk, and compares it with what the vault holds.
//!
//! All was synced before, and the system is asked to drop its own copy of each file first, so that
//! what answers is the disk. Content is compared by chunk ids, everything else by type and size.
//! DESIGN.md §10.

use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, bounded};
use format::{EntryKind, FileEntry};
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, OFlags};

use super::options::{Devices, RestoreReport};
use super::pass::Restorer;
use super::present::{Origin, Present};
use super::select::Selection;
use super::strip::{Strip, Stripped};
use super::sweep::split;
use super::target::Target;
use crate::Result;
use crate::content::read_extra;
use crate::error::Error;
use crate::list::ListedEntry;
use crate::stat::Stat;

/// A file to read back.
struct Written {
    folder: Arc<OwnedFd>,
    name: Vec<u8>,
    path: Vec<u8>,
    entry: FileEntry,
}

impl Restorer<'_> {
    /// Reads back all that was restored. What the report names already is not named again.
    pub(crate) fn verify(&self, target: &Target, report: &mut RestoreReport) -> Result<()> {
        let known: Vec<Vec<u8>> = {
            let problems = [&report.damaged, &report.skipped];
            let named = problems.into_iter().flat_map(|problems| problems.named());
            named.map(|problem| problem.path.clone()).collect()
        };
        let found = Mutex::new(RestoreReport::default());
        let (sender, files) = bounded::<Written>(2 * self.options.threads());
        let result = std::thread::scope(|scope| {
            let threads = (0..self.options.threads()).map(|_| {
                let (files, found) = (files.clone(), &found);
                scope.spawn(move || self.read_back(&files, found))
            });
            let threads: Vec<_> = threads.collect();
            drop(files);
            let walked = self.hand_out(target, &found, |file| sender.send(file).is_ok());
            drop(sender);
            let mut result = walked;
            for thread in threads {
                let ended = thread.join().unwrap_or(Err(Error::Cancelled));
                result = ended.and(result);
            }
            result
        });
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.unequal.retain(|problem| !known.contains(&problem.path));
        report.append(&found);
        result
    }

    fn hand_out(
        &self,
        target: &Target,
        found: &Mutex<RestoreReport>,
        send: impl Fn(Written) -> bool,
    ) -> Result<()> {
        let mut selection = Selection::new(self.matcher);
        let mut strip = Strip::new(self.options.strip);
        let mut last: Option<(Vec<u8>, Arc<OwnedFd>)> = None;
        let missing = |path: &[u8]| lock(found).unequal.add(path, "is not there");
        for listed in self.entries() {
            self.cancel.check()?;
            // The restore has named what is damaged.
            let Ok(ListedEntry { path, entry, .. }) = listed else { continue };
            let device = matches!(entry.kind, EntryKind::BlockDevice | EntryKind::CharDevice);
            let is_left_out = device && self.options.devices == Devices::Skip;
            if is_left_out || !selection.takes(&path, entry.kind) {
                continue;
            }
            let below = self.below_top(&path);
            let Stripped::To(relative) = strip.apply(below, |path| self.exists(path))? else {
                continue;
            };
            let (folder, name) = split(relative);
            let folder = match &last {
                Some((path, handle)) if path == folder => handle.clone(),
                _ => match target.folder(folder) {
                    Ok(handle) => {
                        let handle = Arc::new(handle);
                        last = Some((folder.to_vec(), handle.clone()));
                        handle
                    }
                    Err(_) => {
                        missing(&path);
                        continue;
                    }
                },
            };
            let name = name.to_vec();
            let is_there = Stat::at(&*folder, &name).is_ok_and(|stat| stat.kind == entry.kind);
            if !is_there {
                missing(&path);
            } else if entry.kind == EntryKind::File && !send(Written { folder, name, path, entry })
            {
                return Ok(());
            }
        }
        Ok(())
    }

    fn read_back(&self, files: &Receiver<Written>, found: &Mutex<RestoreReport>) -> Result<()> {
        let origin = Origin { reader: self.reader, domain: self.domain, cancel: self.cancel };
        for Written { folder, name, path, entry } in files {
            self.progress.file(&path);
            let Some(mut present) = Present::open(&folder, &name, OFlags::RDONLY) else {
                lock(found).unequal.add(&path, "cannot be read back");
                continue;
            };
            // Advice: where it is not taken, what the system keeps is compared.
            let _ = rustix::fs::fadvise(present.file(), 0, None, Advice::DontNeed);
            let equal = read_extra(self.reader, self.domain, &path, &entry)
                .and_then(|extra| present.is_equal(origin, &path, &entry, &extra));
            match equal {
                Ok(true) => lock(found).counts.verified += 1,
                Ok(false) => lock(found).unequal.add(&path, "reads back otherwise"),
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => lock(found).unequal.add(&path, error),
            }
        }
        Ok(())
    }
}

fn lock(found: &Mutex<RestoreReport>) -> std::sync::MutexGuard<'_, RestoreReport> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}
