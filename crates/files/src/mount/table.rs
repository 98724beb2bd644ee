//! The numbers of what the kernel remembers.
//!
//! A number follows from what it stands for: the same path has the same number each time, and all
//! names of one file share one. Only what the kernel holds is kept here, and goes when it forgets.
//! DESIGN.md §10.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crypto::Digest;
use format::{FileEntry, PathKey};

use super::shelves::Mounted;

/// What a number stands for.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A folder or link that the mount adds, by the names that lead there.
    Shelf(Arc<Vec<Vec<u8>>>),
    /// An entry of a snapshot.
    Entry(Arc<Mounted>, Arc<PathKey>),
}

/// The root's number, which the kernel knows without asking.
pub(crate) const ROOT: u64 = 1;

struct Known {
    node: Node,
    identity: Digest,
    /// How often the kernel was told, and has not forgotten.
    lookups: u64,
}

/// All numbers that the kernel may use.
pub(crate) struct Table(Mutex<HashMap<u64, Known>>);

impl Table {
    pub(crate) fn new() -> Self {
        let node = Node::Shelf(Arc::default());
        let root = Known { identity: identity(&node, None), node, lookups: 1 };
        Self(Mutex::new(HashMap::from([(ROOT, root)])))
    }

    /// What a number stands for.
    pub(crate) fn node(&self, number: u64) -> Option<Node> {
        self.lock().get(&number).map(|known| known.node.clone())
    }

    /// The number of something, for the kernel to remember.
    pub(crate) fn remember(&self, node: &Node, entry: Option<&FileEntry>) -> u64 {
        let identity = identity(node, entry);
        let mut table = self.lock();
        let number = free_or_own(&table, &identity);
        let known = table.entry(number).or_insert_with(|| {
            let node = node.clone();
            Known { node, identity, lookups: 0 }
        });
        known.lookups += 1;
        number
    }

    /// The number of something that the kernel need not remember.
    pub(crate) fn number(&self, node: &Node, entry: Option<&FileEntry>) -> u64 {
        free_or_own(&self.lock(), &identity(node, entry))
    }

    /// The kernel forgets so many of the times that it was told a number.
    pub(crate) fn forget(&self, number: u64, lookups: u64) {
        let mut table = self.lock();
        let Some(known) = table.get_mut(&number).filter(|_| number != ROOT) else { return };
        known.lookups = known.lookups.saturating_sub(lookups);
        if known.lookups == 0 {
            table.remove(&number);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number that follows from an identity, or the next that is free.
fn free_or_own(table: &HashMap<u64, Known>, identity: &Digest) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&identity.as_bytes()[..8]);
    let mut number = u64::from_le_bytes(first).max(ROOT + 1);
    while table.get(&number).is_some_and(|known| known.identity != *identity) {
        number = number.wrapping_add(1).max(ROOT + 1);
    }
    number
}

/// Names of one file have one identity; all else has its own.
fn identity(node: &Node, entry: Option<&FileEntry>) -> Digest {
    let mut bytes = Vec::with_capacity(64);
    match node {
        Node::Shelf(path) => {
            bytes.push(b's');
            for name in path.iter() {
                bytes.extend_from_slice(name);
                bytes.push(0);
            }
        }
        Node::Entry(mounted, key) => {
            let link = entry.and_then(|entry| Some((entry.link?.device, entry.inode)));
            bytes.push(if link.is_some() { b'l' } else { b'e' });
            bytes.extend_from_slice(mounted.id.as_bytes());
            match link {
                Some((device, inode)) => {
                    bytes.extend_from_slice(&device.to_le_bytes());
                    bytes.extend_from_slice(&inode.to_le_bytes());
                }
                None => bytes.extend_from_slice(key.as_bytes()),
            }
        }
    }
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(names: &[&str]) -> Node {
        Node::Shelf(Arc::new(names.iter().map(|name| name.as_bytes().to_vec()).collect()))
    }

    #[test]
    fn a_path_has_one_number_and_goes_when_it_is_forgotten() {
        let table = Table::new();
        let (a, b) = (shelf(&["ids", "a"]), shelf(&["ids", "b"]));
        let number = table.remember(&a, None);
        assert_eq!(table.remember(&a, None), number);
        assert_ne!(table.remember(&b, None), number);
        table.forget(number, 1);
        assert!(table.node(number).is_some(), "it was told twice");
        table.forget(number, 1);
        assert!(table.node(number).is_none());
        assert_eq!(table.number(&a, None), number, "it is the same when it comes again");
        table.forget(ROOT, 9);
        assert!(table.node(ROOT).is_some());
        assert_eq!(table.len(), 2);
    }
}
