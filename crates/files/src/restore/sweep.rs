//! Deletes what the snapshot does not have, in folders that it knows, and nothing else.
//!
//! A backup passes through the folders above its paths without listing them, so nothing is deleted
//! there. A folder whose listing cannot be read whole loses nothing. Links are deleted, never
//! followed; other file systems, protected folders and what leads to them stay, and are named.
//! DESIGN.md §10.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crypto::{ChunkId, DomainId};
use format::{EntryKind, PathKey};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use vault::Reader;

use super::item::Item;
use super::mark::MARK_NAME;
use super::options::RestoreReport;
use super::select::Selection;
use super::target::Target;
use crate::Result;
use crate::exclude::Matcher;
use crate::nodes::tree_error_at;
use crate::source::{as_path, join};
use crate::stat::Stat;
use crate::walk::{describe, read_names};

/// What it needs to know of the snapshot, and what it must not touch.
pub(crate) struct Sweeper<'a> {
    reader: &'a Reader,
    domain: DomainId,
    root: ChunkId,
    matcher: &'a Matcher,
    /// What was backed up: only there the snapshot has all names.
    sources: &'a [Vec<u8>],
    target: &'a Target,
    device: u64,
    protected: HashSet<(u64, u64)>,
    deed: Deed,
}

/// Whether to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Delete,
    /// Only say what would be deleted.
    Count,
}

/// What a sweeper works on.
pub(crate) struct SweepContext<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) domain: DomainId,
    pub(crate) root: ChunkId,
    pub(crate) matcher: &'a Matcher,
    pub(crate) sources: &'a [Vec<u8>],
    pub(crate) protected: &'a [PathBuf],
}

impl<'a> Sweeper<'a> {
    pub(crate) fn new(context: SweepContext<'a>, target: &'a Target, deed: Deed) -> Result<Self> {
        let SweepContext { reader, domain, root, matcher, sources, protected } = context;
        let stat = Stat::of(target.root())
            .map_err(|error| crate::Error::system("reading", target.path(), error))?;
        let protected = with_all_above(protected);
        let device = stat.device;
        Ok(Self { reader, domain, root, matcher, sources, target, device, protected, deed })
    }

    /// Deletes, in a folder of the target, what the folder of the snapshot does not have.
    pub(crate) fn sweep(&self, relative: &[u8], path: &[u8], report: &mut RestoreReport) {
        if !self.sources.iter().any(|source| is_at_or_below(path, source)) {
            return;
        }
        match self.foreign_names(relative, path) {
            Ok(names) => {
                for name in names {
                    self.delete_foreign(relative, path, &name, report);
                }
            }
            Err(Foreign::System(Errno::NOENT)) => {}
            Err(Foreign::System(error)) => report.skipped.add(path, describe(error)),
            Err(Foreign::Snapshot(error)) => report.damaged.add(path, error),
        }
    }

    /// Takes away a folder that stands where a file should be.
    pub(crate) fn make_room(&self, item: &Item, report: &mut RestoreReport) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&item.parent, &item.name[..], AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            other => return other,
        }
        let above = &item.folder;
        let counted = self.delete(&relative_join(above, &item.name))?;
        report.counts.deleted += counted;
        report.deleted.add(&item.path, "was a folder");
        Ok(())
    }

    fn delete_foreign(
        &self,
        relative: &[u8],
        path: &[u8],
        name: &[u8],
        report: &mut RestoreReport,
    ) {
        let path = join(path, name);
        match self.delete(&relative_join(relative, name)) {
            Ok(0) => {}
            Ok(count) => {
                report.counts.deleted += count;
                report.deleted.add(&path, "is not in the snapshot");
            }
            Err(Errno::BUSY) => {
                report.skipped.add(&path, "not deleted: the vault, or another file system");
            }
            Err(error) => report.skipped.add(&path, format!("not deleted: {}", describe(error))),
        }
    }

    /// Names in a folder of the target that its folder in the snapshot does not have.
    fn foreign_names(&self, relative: &[u8], path: &[u8]) -> Result<Vec<Vec<u8>>, Foreign> {
        let folder = self.target.folder(relative)?;
        let mut names = read_names(&folder)?;
        names.sort();
        let snapshot = |error: String| Foreign::Snapshot(error);
        let key = PathKey::from_path(path).map_err(|error| snapshot(error.to_string()))?;
        let source = self.reader.nodes(self.domain);
        let mut known = tree::range(source, self.root, key.listing()).map(|entry| {
            let (key, _) =
                entry.map_err(|error| snapshot(tree_error_at(path, error).to_string()))?;
            let key = PathKey::decode(&key).map_err(|error| snapshot(error.to_string()))?;
            let name = key.name().map_err(|error| snapshot(error.to_string()))?;
            Ok::<_, Foreign>(name.unwrap_or_default())
        });
        let mut foreign = Vec::new();
        let mut next = known.next().transpose()?;
        let mut selection = Selection::new(self.matcher);
        while let Some(name) = names.next() {
            // Both come in the order of their bytes.
            while next.as_ref().is_some_and(|known| &known[..] < name) {
                next = known.next().transpose()?;
            }
            let is_known = next.as_ref().is_some_and(|known| known == name);
            if is_known || (relative.is_empty() && name == MARK_NAME) {
                continue;
            }
            let kind = match Stat::at(&folder, name) {
                Ok(stat) => stat.kind,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            if selection.takes(&join(path, name), kind) {
                foreign.push(name.to_vec());
            }
        }
        // What comes behind the last name must be readable too: a hidden part of the listing
        // could hold any name.
        known.try_for_each(|rest| rest.map(drop))?;
        Ok(foreign)
    }

    /// Deletes one name and all below it, or nothing; how many files and folders that were.
    fn delete(&self, relative: &[u8]) -> Result<u64, Errno> {
        let count = self.walk(relative, Deed::Count)?;
        match self.deed {
            Deed::Count => Ok(count),
            Deed::Delete => self.walk(relative, Deed::Delete),
        }
    }

    /// Goes through a name and all below it, deepest first.
    fn walk(&self, relative: &[u8], deed: Deed) -> Result<u64, Errno> {
        let mut count = 0;
        let mut waiting = vec![(relative.to_vec(), Visit::Enter)];
        while let Some((relative, visit)) = waiting.pop() {
            let (above, name) = split(&relative);
            let parent = self.target.folder(above)?;
            let stat = match Stat::at(&parent, name) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error),
            };
            if stat.device != self.device || self.protected.contains(&stat.identity()) {
                return Err(Errno::BUSY);
            }
            if stat.kind == EntryKind::Folder && visit == Visit::Enter {
                waiting.push((relative.clone(), Visit::Leave));
                let mut names = read_names(self.target.folder(&relative)?)?;
                while let Some(name) = names.next() {
                    waiting.push((relative_join(&relative, name), Visit::Enter));
                }
                continue;
            }
            count += 1;
            if deed == Deed::Count {
                continue;
            }
            let flags = match stat.kind {
                EntryKind::Folder => AtFlags::REMOVEDIR,
                _ => AtFlags::empty(),
            };
            rustix::fs::unlinkat(&parent, name, flags)?;
        }
        Ok(count)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Enter,
    Leave,
}

/// Why it is not known what is foreign in a folder.
enum Foreign {
    System(Errno),
    Snapshot(String),
}

impl From<Errno> for Foreign {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// What these paths are, with every folder that leads there.
fn with_all_above(paths: &[PathBuf]) -> HashSet<(u64, u64)> {
    let real = paths.iter().filter_map(|path| path.canonicalize().ok());
    let mut found = HashSet::new();
    for path in real {
        for above in path.ancestors() {
            let bytes = above.as_os_str().as_bytes();
            if let Ok(stat) = Stat::at(rustix::fs::CWD, bytes) {
                found.insert(stat.identity());
            }
        }
    }
    found
}

fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    as_path(path).starts_with(as_path(above))
}

pub(crate) fn relative_join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder.is_empty() {
        true => name.to_vec(),
        false => [folder, b"/", name].concat(),
    }
}

/// The folder of a relative path, and the name in it.
pub(crate) fn split(relative: &[u8]) -> (&[u8], &[u8]) {
    match relative.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&relative[..at], &relative[at + 1..]),
        None => (&relative[..0], relative),
    }
}
