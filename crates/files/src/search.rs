//! Finds entries by name, type, size and time, in one snapshot after the other.
//!
//! A node of a file tree holds whole paths, so an equal node holds equal matches: what was found
//! beneath a node is remembered by the node's name, and a snapshot costs what it does not share
//! with those before it. What is remembered is bounded; beyond that, nodes are read again. Names
//! and sizes are metadata: no key of content is needed. DESIGN.md §8, §10.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use format::{ChunkId, DomainId, EntryKind, FileEntry, Timestamp};
use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use tree::{Tour, TourStep};
use vault::{Reader, Snapshot};

use crate::list::{decode, files_root};
use crate::nodes::tree_error_at;
use crate::{Cancel, Error, ListedEntry, Result};

/// What is looked for: an entry that one of the patterns matches and all the rest holds for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Globs. Without `/` one matches a name, with `/` the whole path, which may begin anywhere
    /// unless the pattern begins with `/`; a `/` at its end makes it match folders only.
    pub patterns: Vec<String>,
    /// Whether letters match in either case.
    pub case: Case,
    /// The types; empty for all.
    pub types: Vec<EntryKind>,
    /// Bounds of a file's size; what is no file has none.
    pub sizes: Vec<SizeBound>,
    /// The first mtime that is new enough.
    pub since: Option<Timestamp>,
    /// The first mtime that is too new.
    pub before: Option<Timestamp>,
}

/// Whether letters match in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// As they are.
    #[default]
    Exact,
    /// In either.
    Either,
}

/// A bound of a file's size, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeBound {
    /// Larger than this.
    Above(u64),
    /// Smaller than this.
    Below(u64),
    /// Just this.
    Exactly(u64),
}

/// Searches snapshots, remembering what their trees share.
pub struct Search {
    reader: Reader,
    matcher: Matcher,
    memory: HashMap<(DomainId, ChunkId), Arc<Seen>>,
    remembered_bytes: usize,
}

/// What was found beneath a node, in order.
struct Seen(Vec<Part>);

enum Part {
    Match(Box<ListedEntry>),
    Node(Arc<Seen>),
}

/// What is remembered takes about so much memory at most.
const REMEMBERED_BYTES_MAX: usize = 256 << 20;
/// What a remembered node takes beside its matches, about.
const NODE_BYTES: usize = 120;

impl Search {
    /// Begins a search.
    ///
    /// # Errors
    /// [`Error::Pattern`].
    pub fn new(reader: &Reader, query: &Query) -> Result<Self> {
        let matcher = Matcher::new(query)?;
        Ok(Self { reader: reader.clone(), matcher, memory: HashMap::new(), remembered_bytes: 0 })
    }

    /// Calls `found` with each match in a snapshot, in the order of its tree.
    ///
    /// # Errors
    /// [`Error::NoFiles`], [`Error::Cancelled`], those of the vault and those of `found`.
    pub fn search<E: From<Error>>(
        &mut self,
        snapshot: &Snapshot,
        cancel: &Cancel,
        mut found: impl FnMut(&ListedEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        let domain = snapshot.domain;
        let root = files_root(snapshot)?;
        let mut tour = Tour::new(self.reader.nodes(domain), root);
        let failed = |error| tree_error_at(b"/", error);
        // What was found so far in each node that the tour is in.
        let mut open: Vec<Vec<Part>> = Vec::new();
        while let Some(step) = tour.next().map_err(failed)? {
            match step {
                TourStep::Node(id) => {
                    cancel.check()?;
                    match self.memory.get(&(domain, id)) {
                        Some(seen) => {
                            seen.tell(&mut found)?;
                            add(&mut open, seen.clone());
                        }
                        None => {
                            tour.enter().map_err(failed)?;
                            open.push(Vec::new());
                        }
                    }
                }
                TourStep::Entry { key, value } => {
                    if let Some(listed) = self.matcher.look(key, value)? {
                        found(&listed)?;
                        if let Some(parts) = open.last_mut() {
                            parts.push(Part::Match(Box::new(listed)));
                        }
                    }
                }
                TourStep::End(id) => {
                    let Some(parts) = open.pop() else { continue };
                    let seen = Arc::new(Seen(parts));
                    add(&mut open, seen.clone());
                    self.remember((domain, id), seen);
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, node: (DomainId, ChunkId), seen: Arc<Seen>) {
        let own = |part: &Part| match part {
            Part::Match(listed) => size_of::<ListedEntry>() + 3 * listed.path.len() + 64,
            Part::Node(_) => size_of::<Part>(),
        };
        let bytes = NODE_BYTES + seen.0.iter().map(own).sum::<usize>();
        if self.remembered_bytes + bytes <= REMEMBERED_BYTES_MAX {
            self.remembered_bytes += bytes;
            self.memory.insert(node, seen);
        }
    }
}

/// Adds what lies beneath a node to the node above it; nothing needs no place.
fn add(open: &mut [Vec<Part>], seen: Arc<Seen>) {
    if let Some(above) = open.last_mut()
        && !seen.0.is_empty()
    {
        above.push(Part::Node(seen));
    }
}

impl Seen {
    /// Nodes lie in each other at most as deep as trees are.
    fn tell<E>(&self, found: &mut impl FnMut(&ListedEntry) -> Result<(), E>) -> Result<(), E> {
        self.0.iter().try_for_each(|part| match part {
            Part::Match(listed) => found(listed),
            Part::Node(seen) => seen.tell(found),
        })
    }
}

struct Matcher {
    names: Globs,
    paths: Globs,
    query: Query,
}

impl Matcher {
    fn new(query: &Query) -> Result<Self> {
        let (mut names, mut paths) = (Globs::default(), Globs::default());
        let (mut name_set, mut path_set) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in &query.patterns {
            let body = pattern.strip_suffix('/').unwrap_or(pattern);
            let folders_only = body.len() < pattern.len();
            if body.is_empty() {
                let message = "it is empty".to_owned();
                return Err(Error::Pattern { pattern: pattern.clone(), message });
            }
            let (globs, set, text) = if !body.contains('/') {
                (&mut names, &mut name_set, body.to_owned())
            } else if body.starts_with('/') || body.starts_with("**/") {
                (&mut paths, &mut path_set, body.to_owned())
            } else {
                (&mut paths, &mut path_set, format!("**/{body}"))
            };
            let glob = GlobBuilder::new(&text)
                .literal_separator(true)
                .backslash_escape(true)
                .case_insensitive(query.case == Case::Either)
                .build();
            set.add(glob.map_err(|error| pattern_error(pattern, &error))?);
            globs.folders_only.push(folders_only);
        }
        let build = |set: GlobSetBuilder| {
            set.build().map_err(|error| pattern_error(&query.patterns.join(" "), &error))
        };
        (names.set, paths.set) = (build(name_set)?, build(path_set)?);
        Ok(Self { names, paths, query: query.clone() })
    }

    /// The entry, when it is looked for. Most are not, and their names alone say so.
    fn look(&self, key: &[u8], value: &[u8]) -> Result<Option<ListedEntry>> {
        let by_name = self.names.matches(&name_of(key));
        if by_name.is_none() && self.paths.folders_only.is_empty() {
            return Ok(None);
        }
        let listed = decode(key, value)?;
        let fits = by_name.into_iter().chain(self.paths.matches(&listed.path));
        let is_folder = listed.entry.kind == EntryKind::Folder;
        let is_matched = fits.max().is_some_and(|any| any == Fits::All || is_folder);
        Ok((is_matched && self.holds(&listed.entry)).then_some(listed))
    }

    fn holds(&self, entry: &FileEntry) -> bool {
        let Query { types, sizes, since, before, .. } = &self.query;
        let fits = |bound: &SizeBound| match *bound {
            SizeBound::Above(size) => entry.size > size,
            SizeBound::Below(size) => entry.size < size,
            SizeBound::Exactly(size) => entry.size == size,
        };
        (types.is_empty() || types.contains(&entry.kind))
            && (sizes.is_empty() || entry.kind == EntryKind::File && sizes.iter().all(fits))
            && since.is_none_or(|since| entry.mtime >= since)
            && before.is_none_or(|before| entry.mtime < before)
    }
}

/// Globs of one kind, each with whether it is for folders only.
#[derive(Default)]
struct Globs {
    set: GlobSet,
    folders_only: Vec<bool>,
}

/// What a match is good for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fits {
    Folders,
    All,
}

impl Globs {
    fn matches(&self, text: &[u8]) -> Option<Fits> {
        if self.folders_only.is_empty() {
            return None;
        }
        let candidate = Candidate::from_bytes(text);
        let matched = self.set.matches_candidate(&candidate).into_iter();
        matched.map(|at| if self.folders_only[at] { Fits::Folders } else { Fits::All }).max()
    }
}

/// The name in a key, without making its path. Keys are checked when they are decoded.
fn name_of(key: &[u8]) -> Cow<'_, [u8]> {
    let start = key.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
    let name = &key[start..];
    if !name.contains(&2) {
        return Cow::Borrowed(name);
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            2 => plain.extend(bytes.next().map(|escaped| escaped.wrapping_sub(1))),
            _ => plain.push(*byte),
        }
    }
    Cow::Owned(plain)
}

fn pattern_error(pattern: &str, error: &globset::Error) -> Error {
    Error::Pattern { pattern: pattern.to_owned(), message: error.kind().to_string() }
}

#[cfg(test)]
mod tests;
