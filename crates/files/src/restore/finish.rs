//! What is done last: further names of files, and folders' metadata once nothing changes below.
//!
//! These wait in order for the batches handed out before them. A folder's times are set after its
//! last file was renamed into it, and a closed folder is closed after all below it. DESIGN.md §10.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use format::{EntryKind, FileEntry};
use rustix::fd::OwnedFd;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::item::{Deferred, Item, LinkItem};
use super::sweep::split;
use super::target::Target;
use super::write::{FileWriter, temporary_name};
use crate::Result;
use crate::content::read_extra;
use crate::stat::Stat;
use crate::walk::describe;

/// Waits for batches, then does what waited.
#[derive(Default)]
pub(crate) struct Finisher {
    waiting: VecDeque<(u64, Deferred)>,
    /// Batches below this number are done;
    done: u64,
    /// so are these.
    done_early: BTreeSet<u64>,
}

/// So much may wait before the restore waits for it.
pub(crate) const WAITING_MAX: usize = 1 << 14;

impl Finisher {
    /// Does `what` once all batches below `number` are done.
    pub(crate) fn wait(&mut self, number: u64, what: Deferred) {
        self.waiting.push_back((number, what));
    }

    /// A batch is done.
    pub(crate) fn batch_done(&mut self, number: u64) {
        self.done_early.insert(number);
        while self.done_early.remove(&self.done) {
            self.done += 1;
        }
    }

    /// How many batches are done without a gap.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// Does what need not wait any more.
    pub(crate) fn run(&mut self, target: &Target, writer: &mut FileWriter<'_>) -> Result<()> {
        while let Some((_, what)) = self.waiting.pop_front_if(|(number, _)| *number <= self.done) {
            match what {
                Deferred::Folder { relative, path, entry } => {
                    if let Some(sweeper) = writer.sweeper {
                        sweeper.sweep(&relative, &path, &mut writer.report);
                    }
                    let folder = target.folder(&relative);
                    let extra = read_extra(writer.reader, writer.domain, &path, &entry);
                    match (folder, extra) {
                        (Ok(folder), Ok(extra)) => {
                            let report = &mut writer.report;
                            writer.rules.apply(&folder, &path, &entry, &extra, report);
                        }
                        (Err(error), _) => writer.report.metadata.add(&path, describe(error)),
                        (_, Err(error)) => writer.report.damaged.add(&path, error),
                    }
                }
                Deferred::Link { first, parent, item } => {
                    link(target, &first, &parent, *item, writer)?;
                }
            }
        }
        Ok(())
    }
}

/// Gives a restored file a further name; where that cannot be, writes the file again.
fn link(
    target: &Target,
    first: &[u8],
    parent: &[u8],
    item: LinkItem,
    writer: &mut FileWriter<'_>,
) -> Result<()> {
    let LinkItem { name, path, entry } = item;
    let folder = match target.folder(parent) {
        Ok(folder) => folder,
        Err(error) => {
            writer.report.skipped.add(&path, describe(error));
            return Ok(());
        }
    };
    match try_link(target, first, &folder, &name, &entry) {
        Ok(()) => {
            writer.report.counts.links += 1;
            writer.progress.files_done(1);
            Ok(())
        }
        Err(_) => {
            let (parent, folder) = (Arc::new(folder), parent.into());
            writer.make(&Item { parent, folder, name, path, entry })
        }
    }
}

fn try_link(
    target: &Target,
    first: &[u8],
    folder: &OwnedFd,
    name: &[u8],
    entry: &FileEntry,
) -> Result<(), Errno> {
    let (first_folder, first_name) = split(first);
    let first_folder = target.folder(first_folder)?;
    let first_stat = Stat::at(&first_folder, first_name)?;
    let first = (first_stat.kind, first_stat.size, first_stat.mtime.seconds);
    if first != (entry.kind, entry.size, entry.mtime.seconds) {
        // The first name was not restored; what stands there is something else.
        return Err(Errno::STALE);
    }
    match Stat::at(folder, name) {
        Ok(stat) if stat.identity() == first_stat.identity() => return Ok(()),
        Ok(stat) if stat.kind == EntryKind::Folder => return Err(Errno::ISDIR),
        _ => {}
    }
    let temporary = temporary_name(name);
    let flags = AtFlags::empty();
    if rustix::fs::linkat(&first_folder, first_name, folder, &temporary[..], flags)
        == Err(Errno::EXIST)
    {
        rustix::fs::unlinkat(folder, &temporary[..], flags)?;
        rustix::fs::linkat(&first_folder, first_name, folder, &temporary[..], flags)?;
    }
    rustix::fs::renameat(folder, &temporary[..], folder, name)
}
