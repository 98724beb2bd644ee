//! The folders that a mount adds around snapshots.
//!
//! `latest` is a link to the newest snapshot, `ids/ID` are the snapshots, and `names/NAME`,
//! `hosts/LABEL` and `tags/TAG` hold links to them by time, with a `latest` each. Links, because a
//! folder has one place. A snapshot under another member's name says whose it is, and is never a
//! `latest`. DESIGN.md §9, §10.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crypto::{DomainId, SessionId};
use format::{ChunkId, PathKey};

use super::{Catalog, CatalogEntry, Freshness};
use crate::Result;
use crate::list::files_root;

/// A snapshot that can be looked into.
#[derive(Debug)]
pub(crate) struct Mounted {
    pub(crate) id: SessionId,
    pub(crate) domain: DomainId,
    /// The root of its tree.
    pub(crate) root: ChunkId,
    /// The folder that is shown.
    pub(crate) top: PathKey,
}

/// What stands on a shelf.
#[derive(Clone, Debug)]
pub(crate) enum Shelf {
    Folder(Arc<BTreeMap<Vec<u8>, Shelf>>),
    Link(Vec<u8>),
    Snapshot(Arc<Mounted>),
}

/// The shelves as they are now.
pub(crate) struct Shelves {
    root: RwLock<Shelf>,
    catalog: Option<Mutex<Box<dyn Catalog>>>,
}

impl Shelves {
    pub(crate) fn new(root: Shelf, catalog: Option<Box<dyn Catalog>>) -> Self {
        Self { root: RwLock::new(root), catalog: catalog.map(Mutex::new) }
    }

    /// What stands at a path of names.
    pub(crate) fn at(&self, path: &[Vec<u8>]) -> Option<Shelf> {
        let mut shelf = self.root.read().unwrap_or_else(PoisonError::into_inner).clone();
        for name in path {
            let Shelf::Folder(names) = &shelf else { return None };
            shelf = names.get(name)?.clone();
        }
        Some(shelf)
    }

    /// Looks for new snapshots.
    pub(crate) fn refresh(&self, freshness: Freshness) -> Result<()> {
        let Some(catalog) = &self.catalog else { return Ok(()) };
        let mut catalog = catalog.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = catalog.snapshots(freshness)? {
            let root = arrange(&listed);
            *self.root.write().unwrap_or_else(PoisonError::into_inner) = root;
        }
        Ok(())
    }
}

/// Links by time, the last of which may be the latest.
#[derive(Default)]
struct Row {
    links: BTreeMap<Vec<u8>, Shelf>,
    latest: Option<Shelf>,
}

type Rows = BTreeMap<Vec<u8>, Row>;

/// Puts snapshots, oldest first, on shelves. Those that hold no files, or cannot be opened, have
/// none.
pub(crate) fn arrange(listed: &[CatalogEntry]) -> Shelf {
    let mut ids = BTreeMap::new();
    let (mut names, mut hosts, mut tags) = (Rows::new(), Rows::new(), Rows::new());
    let mut latest = None;
    for entry in listed {
        let CatalogEntry { snapshot, host, is_foreign, .. } = entry;
        let (Ok(root), Some(descriptor)) = (files_root(snapshot), &snapshot.descriptor) else {
            continue;
        };
        let (id, domain) = (snapshot.id, snapshot.domain);
        let mounted = Mounted { id, domain, root, top: PathKey::root() };
        ids.insert(id.to_string().into_bytes(), Shelf::Snapshot(Arc::new(mounted)));
        if !is_foreign {
            latest = Some(Shelf::Link(format!("ids/{id}").into_bytes()));
        }
        add(&mut names, &descriptor.name, entry);
        if let Some(host) = host {
            add(&mut hosts, host, entry);
        }
        for tag in &snapshot.tags {
            add(&mut tags, tag, entry);
        }
    }
    let rows = [("names", names), ("hosts", hosts), ("tags", tags)];
    let rows = rows.map(|(name, rows)| (name.as_bytes().to_vec(), folder_of(rows)));
    let ids = [(b"ids".to_vec(), Shelf::Folder(Arc::new(ids)))];
    let latest = latest.map(|link| (LATEST.to_vec(), link));
    Shelf::Folder(Arc::new(rows.into_iter().chain(ids).chain(latest).collect()))
}

const LATEST: &[u8] = b"latest";

fn add(rows: &mut Rows, name: &str, entry: &CatalogEntry) {
    let Some(name) = file_name(name) else { return };
    let row = rows.entry(name).or_default();
    let id = entry.snapshot.id.to_string();
    let link = Shelf::Link(format!("../../ids/{id}").into_bytes());
    let mut time = entry.time.clone();
    if entry.is_foreign {
        time.push_str(&format!("-by-{}", entry.host.as_deref().unwrap_or("another")));
    } else {
        row.latest = Some(link.clone());
    }
    let mut time = file_name(&time).unwrap_or_default();
    if row.links.contains_key(&time) {
        time.extend_from_slice(format!("-{}", &id[..8]).as_bytes());
    }
    row.links.insert(time, link);
}

fn folder_of(rows: Rows) -> Shelf {
    let rows = rows.into_iter().map(|(name, mut row)| {
        row.links.extend(row.latest.map(|link| (LATEST.to_vec(), link)));
        (name, Shelf::Folder(Arc::new(row.links)))
    });
    Shelf::Folder(Arc::new(rows.collect()))
}

/// A name as a file system takes it.
fn file_name(text: &str) -> Option<Vec<u8>> {
    let name = text.replace(['/', '\0'], "_").into_bytes();
    let is_name = !name.is_empty() && name != b"." && name != b".." && name.len() <= 255;
    is_name.then_some(name)
}
