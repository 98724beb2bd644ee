//! Looks into a snapshot without restoring it: one entry, a folder, everything below.
//!
//! A folder's listing and its subtree are each one range of keys, so listing reads only what it
//! shows. Entries come in key order: a folder's whole listing before what lies deeper. DESIGN.md
//! §8.

use format::{ChunkId, EntryKind, FileEntry, PathKey, SnapshotContent};
use vault::{Reader, Snapshot};

use crate::content::FileReader;
use crate::error::PathText;
use crate::nodes::tree_error_at;
use crate::{Error, Result};

/// How much of a folder is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What lies directly in it.
    Folder,
    /// All that lies below it.
    Subtree,
}

/// An entry of a snapshot with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// Its key.
    pub key: PathKey,
    /// Its absolute path, as bytes.
    pub path: Vec<u8>,
    /// The entry.
    pub entry: FileEntry,
}

/// Lists what lies at an absolute path: a folder's entries in key order, or the one entry of
/// anything else. Ends after the first error.
pub fn list(
    reader: &Reader,
    snapshot: &Snapshot,
    path: &[u8],
    depth: Depth,
) -> Result<impl Iterator<Item = Result<ListedEntry>> + use<>> {
    let key = key_of(path)?;
    let found = find(reader, snapshot, path)?;
    let root = files_root(snapshot)?;
    let single = (found.entry.kind != EntryKind::Folder).then_some(Ok(found));
    let range = match depth {
        _ if single.is_some() => key.as_bytes().to_vec()..key.as_bytes().to_vec(),
        Depth::Folder => key.listing(),
        Depth::Subtree => key.subtree(),
    };
    let entries = tree::range(reader.nodes(snapshot.domain), root, range);
    Ok(single.into_iter().chain(entries.map(|entry| {
        let (key, value) = entry.map_err(|error| tree_error_at(b"/", error))?;
        decode(&key, &value)
    })))
}

/// The entry at an absolute path.
pub fn find(reader: &Reader, snapshot: &Snapshot, path: &[u8]) -> Result<ListedEntry> {
    let key = key_of(path)?;
    let root = files_root(snapshot)?;
    let value = tree::get(&reader.nodes(snapshot.domain), root, key.as_bytes())
        .map_err(|error| tree_error_at(path, error))?
        .ok_or_else(|| Error::NotFound { path: PathText::new(path) })?;
    decode(key.as_bytes(), &value)
}

/// Opens the regular file at an absolute path for reading.
pub fn open_file(reader: &Reader, snapshot: &Snapshot, path: &[u8]) -> Result<FileReader> {
    let found = find(reader, snapshot, path)?;
    FileReader::new(reader, snapshot.domain, &found.path, found.entry)
}

/// The root of a snapshot's file tree.
pub(crate) fn files_root(snapshot: &Snapshot) -> Result<ChunkId> {
    let descriptor = snapshot.descriptor.as_ref();
    descriptor
        .filter(|descriptor| descriptor.content == SnapshotContent::Files)
        .map(|descriptor| descriptor.root)
        .ok_or(Error::NoFiles { snapshot: snapshot.id })
}

/// The key of an absolute path.
pub(crate) fn key_of(path: &[u8]) -> Result<PathKey> {
    if !path.starts_with(b"/") {
        return Err(Error::NotAbsolute { path: PathText::new(path) });
    }
    PathKey::from_path(path).map_err(|source| Error::Path { path: PathText::new(path), source })
}

/// Reads a key and value of a file tree.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<ListedEntry> {
    let key = PathKey::decode(key).map_err(|error| Error::damaged(key, error))?;
    let path = key.to_path().map_err(|error| Error::damaged(key.as_bytes(), error))?;
    let entry = FileEntry::decode(value).map_err(|error| Error::decode(&path, error))?;
    Ok(ListedEntry { key, path, entry })
}
