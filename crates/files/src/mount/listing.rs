//! Folders that are open: their names in order, as many as the kernel takes at a time.
//!
//! A folder of any size is read on from where the last answer ended, so nothing but the open range
//! of the tree is held. Going back begins anew. DESIGN.md §10.

use std::iter::Peekable;
use std::sync::Arc;

use format::{FileEntry, PathKey};
use vault::Reader;

use super::shelves::{Mounted, Shelf};
use super::table::Node;
use crate::Result;
use crate::list::decode;
use crate::nodes::tree_error_at;

/// What a folder shows under a name.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) name: Vec<u8>,
    pub(crate) node: Node,
    /// What the snapshot says of it; `None` for what the mount adds.
    pub(crate) entry: Option<Arc<FileEntry>>,
}

type Children = Box<dyn Iterator<Item = Result<Child>> + Send>;

/// A folder that is open.
pub(crate) struct OpenFolder {
    source: Source,
    /// What comes next, and how much came before.
    children: Peekable<Children>,
    taken: u64,
}

/// Where the names of a folder come from.
pub(crate) enum Source {
    Shelf(Arc<Vec<Vec<u8>>>, Vec<(Vec<u8>, Shelf)>),
    Entry { reader: Reader, mounted: Arc<Mounted>, key: Arc<PathKey> },
}

impl OpenFolder {
    pub(crate) fn new(source: Source) -> Self {
        let children = source.children().peekable();
        Self { source, children, taken: 0 }
    }

    /// Goes to where so many children have been taken.
    pub(crate) fn go_to(&mut self, taken: u64) {
        if taken < self.taken {
            self.children = self.source.children().peekable();
            self.taken = 0;
        }
        while self.taken < taken && self.children.next().is_some() {
            self.taken += 1;
        }
    }

    /// The next child, left where it is.
    pub(crate) fn peek(&mut self) -> Option<&Result<Child>> {
        self.children.peek()
    }

    /// Takes the next child.
    pub(crate) fn take(&mut self) -> Option<Result<Child>> {
        self.taken += 1;
        self.children.next()
    }
}

impl Source {
    fn children(&self) -> Children {
        match self {
            Self::Shelf(path, names) => {
                let path = path.clone();
                let children = names.clone().into_iter().map(move |(name, shelf)| {
                    let node = child_of_shelf(&path, &name, &shelf);
                    Ok(Child { name, node, entry: None })
                });
                Box::new(children)
            }
            Self::Entry { reader, mounted, key } => {
                let source = reader.nodes(mounted.domain);
                let mounted = mounted.clone();
                let children = tree::range(source, mounted.root, key.listing());
                Box::new(children.map(move |entry| {
                    let (key, value) = entry.map_err(|error| tree_error_at(b"/", error))?;
                    let listed = decode(&key, &value)?;
                    let name = listed.key.name().ok().flatten().unwrap_or_default();
                    let node = Node::Entry(mounted.clone(), Arc::new(listed.key));
                    Ok(Child { name, node, entry: Some(Arc::new(listed.entry)) })
                }))
            }
        }
    }
}

/// What stands on a shelf under a name: a snapshot is an entry of its own.
pub(crate) fn child_of_shelf(path: &[Vec<u8>], name: &[u8], shelf: &Shelf) -> Node {
    match shelf {
        Shelf::Snapshot(mounted) => Node::Entry(mounted.clone(), Arc::new(mounted.top.clone())),
        _ => {
            let names = path.iter().cloned().chain([name.to_vec()]);
            Node::Shelf(Arc::new(names.collect()))
        }
    }
}
