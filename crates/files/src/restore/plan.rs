//! What a restore would do, told before anything is written: counts, deletions, room.
//!
//! Reads the tree once and asks the target for what it holds; never reads content. What is there
//! already needs no room again. DESIGN.md §10.

use std::collections::HashSet;

use format::{EntryKind, FileEntry};
use rustix::fd::OwnedFd;

use super::options::{Overwrite, RestoreReport};
use super::pass::{LINKS_MAX, Restorer};
use super::select::Selection;
use super::strip::{Strip, Stripped};
use super::sweep::{Deed, Sweeper, split};
use super::target::Target;
use crate::content::read_extra;
use crate::error::Error;
use crate::list::ListedEntry;
use crate::stat::Stat;
use crate::{PathText, Result};

/// What the target holds, asked for in key order.
struct Holding<'a> {
    target: Option<&'a Target>,
    folder: Option<(Vec<u8>, Option<OwnedFd>)>,
}

impl Holding<'_> {
    /// What stands at this path.
    fn stat(&mut self, relative: &[u8]) -> Option<Stat> {
        let target = self.target?;
        let (folder, name) = split(relative);
        if self.folder.as_ref().is_none_or(|(last, _)| last != folder) {
            self.folder = Some((folder.to_vec(), target.folder(folder).ok()));
        }
        let (_, handle) = self.folder.as_ref()?;
        Stat::at(handle.as_ref()?, name).ok()
    }
}

fn is_same(entry: &FileEntry, stat: &Stat) -> bool {
    let is_file = entry.kind == EntryKind::File && stat.kind == EntryKind::File;
    is_file && stat.size == entry.size && stat.mtime == entry.mtime
}

impl Restorer<'_> {
    /// Counts what would be restored into a target, where there is one, and deleted there.
    pub(crate) fn count(
        &self,
        target: Option<&Target>,
        overwrite: Overwrite,
    ) -> Result<RestoreReport> {
        let mut report = RestoreReport::default();
        let mut selection = Selection::new(self.matcher);
        let mut strip = Strip::new(self.options.strip);
        let mut holding = Holding { target, folder: None };
        let sweeper = match target {
            Some(target) => self.sweeper(target, Deed::Count)?,
            None => None,
        };
        if let Some(sweeper) = &sweeper {
            sweeper.sweep(b"", &self.top.path, &mut report);
        }
        for listed in self.entries() {
            self.cancel.check()?;
            let ListedEntry { path, entry, .. } = listed?;
            if !selection.takes(&path, entry.kind) {
                continue;
            }
            let relative = match strip.apply(self.below_top(&path), |path| self.exists(path))? {
                Stripped::To(relative) => relative,
                Stripped::Gone => continue,
                Stripped::Taken => {
                    report.skipped.add(&path, TAKEN);
                    continue;
                }
            };
            let counts = &mut report.counts;
            match entry.kind {
                EntryKind::File => {
                    let is_kept = overwrite == Overwrite::Changed
                        && holding.stat(relative).is_some_and(|stat| is_same(&entry, &stat));
                    if is_kept {
                        counts.files_kept += 1;
                        continue;
                    }
                    counts.files += 1;
                    counts.bytes = counts.bytes.saturating_add(entry.size);
                }
                EntryKind::Folder => {
                    counts.folders += 1;
                    if let Some(sweeper) = &sweeper {
                        sweeper.sweep(relative, &path, &mut report);
                    }
                }
                _ => counts.others += 1,
            }
        }
        Ok(report)
    }

    /// Fails when the target's file system is too full. `bytes` is an upper bound that is known
    /// beforehand; only when that does not fit, what is asked for is summed up.
    pub(crate) fn check_space(
        &self,
        target: &Target,
        bytes: u64,
        overwrite: Overwrite,
    ) -> Result<()> {
        let Ok(stat) = rustix::fs::fstatvfs(target.root()) else { return Ok(()) };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if bytes <= free {
            return Ok(());
        }
        let needed = self.bytes_needed(target, overwrite)?;
        match needed <= free {
            true => Ok(()),
            false => Err(Error::Full { path: PathText::new(target.path()), needed, free }),
        }
    }

    /// How many bytes more the target must take: data, less what gives way to it, and room for the
    /// longest file that lies beside its predecessor for a while.
    pub(crate) fn bytes_needed(&self, target: &Target, overwrite: Overwrite) -> Result<u64> {
        let mut selection = Selection::new(self.matcher);
        let mut holding = Holding { target: Some(target), folder: None };
        let mut seen = HashSet::new();
        let (mut sum, mut freed, mut beside) = (0_u64, 0_u64, 0_u64);
        for listed in self.entries() {
            self.cancel.check()?;
            // What is damaged will not be written; the restore itself names it.
            let Ok(ListedEntry { path, entry, .. }) = listed else { break };
            if entry.kind != EntryKind::File || !selection.takes(&path, entry.kind) {
                continue;
            }
            let Some(relative) = self.relative(&path) else { continue };
            if let Some(link) = entry.link
                && (seen.len() >= LINKS_MAX || !seen.insert((link.device, entry.inode)))
            {
                continue;
            }
            let stat = holding.stat(relative).filter(|stat| stat.kind == EntryKind::File);
            if stat.is_some_and(|stat| is_same(&entry, &stat) && overwrite == Overwrite::Changed) {
                continue;
            }
            let extra = read_extra(self.reader, self.domain, &path, &entry);
            let holes = extra.unwrap_or_default().holes;
            let empty = holes.iter().fold(0_u64, |sum, hole| sum.saturating_add(hole.length));
            let data = entry.size.saturating_sub(empty);
            sum = sum.saturating_add(data);
            if let Some(stat) = stat.filter(|stat| stat.names == 1) {
                freed = freed.saturating_add(stat.blocks.saturating_mul(512).min(data));
                beside = beside.max(if self.options.in_place { 0 } else { data });
            }
        }
        Ok(sum.saturating_sub(freed).saturating_add(beside.min(sum)))
    }

    /// Who deletes in the target, if anybody does.
    pub(crate) fn sweeper<'s>(
        &'s self,
        target: &'s Target,
        deed: Deed,
    ) -> Result<Option<Sweeper<'s>>> {
        let wanted = self.options.delete && self.options.strip == 0;
        let is_folder = self.top.entry.kind == EntryKind::Folder;
        match wanted && is_folder {
            true => Ok(Some(Sweeper::new(self.sweep_context(), target, deed)?)),
            false => Ok(None),
        }
    }
}

/// Why an entry is not restored whose shortened path is another's.
pub(crate) const TAKEN: &str = "--strip gives it the path of something else";
