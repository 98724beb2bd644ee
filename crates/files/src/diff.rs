//! What differs between two snapshots, in the order of their trees.
//!
//! Subtrees that both share are not read. An entry counts as changed when a restore would bring
//! something else back: neither the inode's number nor ctime does. Content is compared by the names
//! of its chunks. Snapshots of different domains share no names: there, a file counts as unchanged
//! while its size and mtime are the same, and nothing is skipped. DESIGN.md §8, §10.

use std::collections::{HashMap, HashSet, VecDeque};

use crypto::Digest;
use format::{Content, EntryKind, Extra, ExtraAt, FileEntry};
use tree::Diff;
use vault::{Nodes, Reader, Snapshot};

use crate::content::read_extra;
use crate::error::PathText;
use crate::list::{decode, files_root, key_of};
use crate::nodes::tree_error_at;
use crate::{Error, ListedEntry, Result, find};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where, as bytes: the path in the second snapshot if it is there, else in the first.
    pub path: Vec<u8>,
    /// What happened.
    pub kind: ChangeKind,
    /// The entry in the first snapshot.
    pub before: Option<FileEntry>,
    /// The entry in the second snapshot.
    pub after: Option<FileEntry>,
}

/// What happened to an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the second snapshot has it.
    Added,
    /// Only the first snapshot has it.
    Removed,
    /// It is something else now: a folder where a file was.
    Type,
    /// What a file holds, where a link points, which device it stands for.
    Content,
    /// Mode, owner, time or attributes; what it holds is the same.
    Metadata,
    /// A file of this content was at another path, which is gone.
    Moved {
        /// That path.
        from: Vec<u8>,
    },
}

/// How content is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// By the names of its chunks: exact.
    Content,
    /// By size and mtime, between domains, which share no names.
    SizeAndTime,
}

/// How the content of these two is compared.
pub fn comparison(before: &Snapshot, after: &Snapshot) -> Comparison {
    if before.domain == after.domain { Comparison::Content } else { Comparison::SizeAndTime }
}

/// What differs from one snapshot to another at and below an absolute path. Ends after the first
/// error.
///
/// # Errors
/// [`Error::NotFound`] when neither holds the path; [`Error::NoFiles`] for snapshots that hold no
/// file tree, or not for this key.
pub fn diff(
    reader: &Reader,
    before: &Snapshot,
    after: &Snapshot,
    under: &[u8],
) -> Result<Differences> {
    let roots = [files_root(before)?, files_root(after)?];
    let key = key_of(under)?;
    let mut ranges = VecDeque::new();
    if key.is_root() {
        ranges.push_back(None);
    } else {
        let holds = |snapshot: &Snapshot| match find(reader, snapshot, under) {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        };
        if !holds(before)? && !holds(after)? {
            return Err(Error::NotFound { path: PathText::new(under) });
        }
        let own = key.as_bytes().to_vec();
        let next = [&own[..], &[0]].concat();
        ranges.extend([Some(own..next), Some(key.subtree())]);
    }
    let nodes = [before, after].map(|snapshot| reader.nodes(snapshot.domain));
    let [first, second] = nodes;
    let diffs = ranges.into_iter().map(|range| {
        let diff = Diff::new(first.clone(), roots[0], second.clone(), roots[1]);
        match range {
            Some(range) => diff.within(range),
            None => diff,
        }
    });
    Ok(Differences {
        diffs: diffs.collect(),
        judge: Judge {
            reader: reader.clone(),
            domains: [before.domain, after.domain],
            comparison: comparison(before, after),
        },
    })
}

/// The differences of two snapshots.
pub struct Differences {
    diffs: VecDeque<Diff<Nodes, Nodes>>,
    judge: Judge,
}

impl Differences {
    fn step(&mut self) -> Result<Option<Change>> {
        while let Some(diff) = self.diffs.front_mut() {
            let Some(change) = diff.next().map_err(|error| tree_error_at(b"/", error))? else {
                self.diffs.pop_front();
                continue;
            };
            let (kind, before, after) = match change {
                tree::Change::Added { key, value } => {
                    (Some(ChangeKind::Added), None, Some(decode(key, value)?))
                }
                tree::Change::Removed { key, value } => {
                    (Some(ChangeKind::Removed), Some(decode(key, value)?), None)
                }
                tree::Change::Changed { key, before, after } => {
                    let (before, after) = (decode(key, before)?, decode(key, after)?);
                    (self.judge.kind(&before, &after)?, Some(before), Some(after))
                }
            };
            let Some(kind) = kind else { continue };
            let path = after.as_ref().or(before.as_ref()).map(|listed| listed.path.clone());
            let [before, after] = [before, after].map(|listed| listed.map(|l| l.entry));
            return Ok(Some(Change { path: path.unwrap_or_default(), kind, before, after }));
        }
        Ok(None)
    }
}

impl Iterator for Differences {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        let change = self.step().transpose();
        if !matches!(change, Some(Ok(_))) {
            self.diffs.clear();
        }
        change
    }
}

/// Says what happened to an entry that both snapshots have.
struct Judge {
    reader: Reader,
    domains: [crypto::DomainId; 2],
    comparison: Comparison,
}

impl Judge {
    fn kind(&self, before: &ListedEntry, after: &ListedEntry) -> Result<Option<ChangeKind>> {
        let (old, new) = (&before.entry, &after.entry);
        if old.kind != new.kind {
            return Ok(Some(ChangeKind::Type));
        }
        let extras = if self.is_same_extra(old, new) {
            None
        } else {
            let [first, second] = self.domains;
            let old = read_extra(&self.reader, first, &before.path, old)?;
            Some((old, read_extra(&self.reader, second, &after.path, new)?))
        };
        let extra_differs = |part: fn(&Extra, &Extra) -> bool| match &extras {
            Some((old, new)) => part(old, new),
            None => false,
        };
        let is_content = match self.comparison {
            Comparison::Content => old.content != new.content,
            Comparison::SizeAndTime => old.kind == EntryKind::File && old.mtime != new.mtime,
        };
        if is_content
            || (old.size, old.device) != (new.size, new.device)
            || extra_differs(|old, new| (&old.target, &old.holes) != (&new.target, &new.holes))
        {
            return Ok(Some(ChangeKind::Content));
        }
        let metadata = |e: &FileEntry| (e.mode, e.uid, e.gid, e.mtime);
        let owners = |e: &FileEntry| (e.user.clone(), e.group.clone());
        let is_metadata = metadata(old) != metadata(new)
            || owners(old) != owners(new)
            || extra_differs(|old, new| old.xattrs != new.xattrs);
        Ok(is_metadata.then_some(ChangeKind::Metadata))
    }

    /// Whether the extra metadata are the same, as far as can be told without reading.
    fn is_same_extra(&self, before: &FileEntry, after: &FileEntry) -> bool {
        let may_compare = self.comparison == Comparison::Content;
        match (&before.extra, &after.extra) {
            (ExtraAt::Chunk(before), ExtraAt::Chunk(after)) => may_compare && before == after,
            (before, after) => before == after,
        }
    }
}

/// Files that only changed their place: found by content, so only within a domain.
#[derive(Debug, Default)]
pub struct Moves {
    /// Where a file came from, by where it is.
    from: HashMap<Vec<u8>, (Vec<u8>, FileEntry)>,
    gone: HashSet<Vec<u8>>,
    /// Whether there were more files than are compared.
    pub is_cut: bool,
}

/// So many files that were added or removed are compared for moves.
pub const MOVES_LOOKED_AT_MAX: usize = 1 << 18;

impl Moves {
    /// Looks for moves among all differences: files of the same content, the same name first. Empty
    /// files have no content to know them by.
    ///
    /// # Errors
    /// Those of the differences.
    pub fn find(differences: Differences) -> Result<Self> {
        if differences.judge.comparison != Comparison::Content {
            return Ok(Self::default());
        }
        let mut moves = Self::default();
        let mut contents = HashMap::<Digest, [Vec<(Vec<u8>, FileEntry)>; 2]>::new();
        let mut count = 0;
        for change in differences {
            let change = change?;
            let (side, entry) = match (change.kind, change.before, change.after) {
                (ChangeKind::Removed, Some(before), _) => (0, before),
                (ChangeKind::Added, _, Some(after)) => (1, after),
                _ => continue,
            };
            if entry.kind != EntryKind::File || entry.size == 0 {
                continue;
            }
            if count == MOVES_LOOKED_AT_MAX {
                moves.is_cut = true;
                break;
            }
            count += 1;
            let sides = contents.entry(content_digest(&entry)).or_default();
            sides[side].push((change.path, entry));
        }
        for [removed, added] in contents.into_values() {
            moves.pair(removed, added);
        }
        Ok(moves)
    }

    /// What a difference is when moves are told: nothing for the path that a file left.
    pub fn tell(&mut self, change: Change) -> Option<Change> {
        match change.kind {
            ChangeKind::Removed if self.gone.remove(&change.path) => None,
            ChangeKind::Added => match self.from.remove(&change.path) {
                Some((from, before)) => {
                    let kind = ChangeKind::Moved { from };
                    Some(Change { kind, before: Some(before), ..change })
                }
                None => Some(change),
            },
            _ => Some(change),
        }
    }

    /// Pairs files of the same content: those of the same name, then the others in order.
    fn pair(&mut self, removed: Vec<(Vec<u8>, FileEntry)>, added: Vec<(Vec<u8>, FileEntry)>) {
        let mut by_name = HashMap::<Vec<u8>, VecDeque<usize>>::new();
        for (at, (from, _)) in removed.iter().enumerate() {
            by_name.entry(name(from).to_vec()).or_default().push_back(at);
        }
        let mut removed: Vec<_> = removed.into_iter().map(Some).collect();
        let mut others = Vec::new();
        for (to, _) in added {
            let same = by_name.get_mut(name(&to)).and_then(VecDeque::pop_front);
            match same.and_then(|at| removed[at].take()) {
                Some(from) => self.insert(to, from),
                None => others.push(to),
            }
        }
        for (to, from) in others.into_iter().zip(removed.into_iter().flatten()) {
            self.insert(to, from);
        }
    }

    fn insert(&mut self, to: Vec<u8>, from: (Vec<u8>, FileEntry)) {
        self.gone.insert(from.0.clone());
        self.from.insert(to, from);
    }
}

/// The last name of a path.
fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Names what a file holds, within its domain.
fn content_digest(entry: &FileEntry) -> Digest {
    let mut bytes = entry.size.to_le_bytes().to_vec();
    match &entry.content {
        Content::Chunks(chunks) => {
            bytes.extend(chunks.iter().flat_map(|(id, _)| *id.as_bytes()));
        }
        Content::Recipe { root, level } => {
            bytes.extend(root.as_bytes());
            bytes.push(*level);
        }
    }
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests;
