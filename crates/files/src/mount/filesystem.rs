//! Answers the kernel.
//!
//! What lies in a snapshot never changes, so the kernel may keep it for long; what a mount adds is
//! asked for again each second. What cannot be read is told to whoever mounted, once for each path,
//! and is an I/O error to who reads it. DESIGN.md §10.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use format::{EntryKind, Extra, ExtraAt, FileEntry, PathKey};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use vault::Reader;

use super::attributes;
use super::content::{OpenFile, ReadAhead};
use super::listing::{Child, OpenFolder, Source, child_of_shelf};
use super::recent::Recent;
use super::shelves::{Mounted, Shelf, Shelves};
use super::table::{Node, Table};
use super::{Freshness, MountEvents};
use crate::Result;
use crate::content::{FileReader, read_extra};
use crate::error::{Error, ErrorKind, Problem};
use crate::list::decode;
use crate::nodes::tree_error_at;

/// How long the kernel may keep what lies in a snapshot,
const KEEP: Duration = Duration::from_secs(86_400);
/// and what a mount adds.
const KEEP_SHELVES: Duration = Duration::from_secs(1);
const GENERATION: Generation = Generation(0);
/// So many entries are remembered, so that they need not be read again.
const ENTRIES_RECENT: usize = 1 << 14;
/// So many paths that cannot be read are told.
const TOLD_MAX: usize = 1000;

/// The file system.
pub(crate) struct Snapshots {
    reader: Reader,
    shelves: Shelves,
    table: Table,
    entries: Mutex<Recent<u64, Arc<FileEntry>>>,
    files: Mutex<HashMap<u64, Arc<OpenFile>>>,
    folders: Mutex<HashMap<u64, Arc<Mutex<OpenFolder>>>>,
    next_handle: AtomicU64,
    ahead: ReadAhead,
    events: Arc<dyn MountEvents>,
    told: Mutex<HashSet<Vec<u8>>>,
}

/// What a number stands for, looked up.
enum Found {
    Folder(Arc<Vec<Vec<u8>>>, Vec<(Vec<u8>, Shelf)>),
    Link(Vec<u8>),
    Entry(Arc<Mounted>, Arc<PathKey>, Arc<FileEntry>),
}

/// What cannot be done, in the kernel's words.
type Answer<T> = Result<T, Errno>;

impl Snapshots {
    pub(crate) fn new(reader: Reader, shelves: Shelves, events: Arc<dyn MountEvents>) -> Self {
        Self {
            reader,
            shelves,
            table: Table::new(),
            entries: Mutex::new(Recent::new(ENTRIES_RECENT)),
            files: Mutex::default(),
            folders: Mutex::default(),
            next_handle: AtomicU64::new(1),
            ahead: ReadAhead::new(),
            events,
            told: Mutex::default(),
        }
    }

    fn find(&self, number: u64) -> Answer<Found> {
        match self.table.node(number).ok_or(Errno::ESTALE)? {
            Node::Shelf(path) => match self.shelves.at(&path).ok_or(Errno::ENOENT)? {
                Shelf::Folder(names) => {
                    let names = names.iter().map(|(name, shelf)| (name.clone(), shelf.clone()));
                    Ok(Found::Folder(path, names.collect()))
                }
                Shelf::Link(target) => Ok(Found::Link(target)),
                Shelf::Snapshot(mounted) => {
                    let key = Arc::new(mounted.top.clone());
                    self.find_entry(number, mounted, key)
                }
            },
            Node::Entry(mounted, key) => self.find_entry(number, mounted, key),
        }
    }

    fn find_entry(&self, number: u64, mounted: Arc<Mounted>, key: Arc<PathKey>) -> Answer<Found> {
        if let Some(entry) = lock(&self.entries).get(&number) {
            return Ok(Found::Entry(mounted, key, entry));
        }
        let entry = self.entry(&mounted, &key)?.ok_or(Errno::ENOENT)?;
        lock(&self.entries).put(number, entry.clone());
        Ok(Found::Entry(mounted, key, entry))
    }

    /// An entry, as the tree has it.
    fn entry(&self, mounted: &Mounted, key: &PathKey) -> Answer<Option<Arc<FileEntry>>> {
        let read = || -> Result<Option<Arc<FileEntry>>> {
            let source = self.reader.nodes(mounted.domain);
            let value = tree::get(&source, mounted.root, key.as_bytes())
                .map_err(|error| tree_error_at(b"/", error))?;
            let Some(value) = value else { return Ok(None) };
            Ok(Some(Arc::new(decode(key.as_bytes(), &value)?.entry)))
        };
        read().map_err(|error| self.fail(mounted, key, &error))
    }

    /// Tells of an error; what the kernel is told.
    fn fail(&self, mounted: &Mounted, key: &PathKey, error: &Error) -> Errno {
        let path = key.to_path().unwrap_or_default();
        let shown = [format!("{}:", mounted.id).as_bytes(), &path].concat();
        let mut told = lock(&self.told);
        if told.len() < TOLD_MAX && told.insert(shown.clone()) {
            drop(told);
            self.events.problem(&Problem { path: shown, reason: error.to_string() });
        }
        match error.kind() {
            ErrorKind::Vault(vault::ErrorKind::Denied) => Errno::EACCES,
            _ => Errno::EIO,
        }
    }

    fn extra(&self, mounted: &Mounted, key: &PathKey, entry: &FileEntry) -> Answer<Extra> {
        match &entry.extra {
            ExtraAt::None => Ok(Extra::default()),
            ExtraAt::Inline(extra) => Ok(extra.clone()),
            ExtraAt::Chunk(_) => {
                let path = key.to_path().unwrap_or_default();
                read_extra(&self.reader, mounted.domain, &path, entry)
                    .map_err(|error| self.fail(mounted, key, &error))
            }
        }
    }

    fn attributes_of(
        &self,
        number: u64,
        mounted: &Mounted,
        key: &PathKey,
        entry: &FileEntry,
    ) -> FileAttr {
        let holes = match (entry.kind, &entry.extra) {
            (EntryKind::File, ExtraAt::Inline(extra)) => extra.holes.clone(),
            // Who reads the file hears of an error; its attributes are there without holes.
            (EntryKind::File, ExtraAt::Chunk(_)) => {
                self.extra(mounted, key, entry).unwrap_or_default().holes
            }
            _ => Vec::new(),
        };
        attributes::of_entry(number, entry, &holes)
    }

    fn attributes(&self, number: u64) -> Answer<(FileAttr, Duration)> {
        Ok(match self.find(number)? {
            Found::Folder(..) => {
                (attributes::of_shelf(number, FileType::Directory, 0), KEEP_SHELVES)
            }
            Found::Link(target) => {
                let size = target.len() as u64;
                (attributes::of_shelf(number, FileType::Symlink, size), KEEP_SHELVES)
            }
            Found::Entry(mounted, key, entry) => {
                (self.attributes_of(number, &mounted, &key, &entry), KEEP)
            }
        })
    }

    /// Looks for new snapshots; an old list is better than none.
    fn refresh(&self, freshness: Freshness) {
        if let Err(error) = self.shelves.refresh(freshness) {
            let problem = Problem { path: b"snapshots".to_vec(), reason: error.to_string() };
            if lock(&self.told).insert(problem.to_string().into_bytes()) {
                self.events.problem(&problem);
            }
        }
    }

    fn child(&self, parent: u64, name: &[u8]) -> Answer<Child> {
        let (mounted, key) = match self.find(parent)? {
            Found::Link(_) => return Err(Errno::ENOTDIR),
            Found::Folder(path, _) => return self.child_of_shelf(&path, name),
            Found::Entry(mounted, key, _) => (mounted, key),
        };
        // A name that no snapshot can hold.
        let key = Arc::new(key.child(name).map_err(|_| Errno::ENOENT)?);
        let entry = self.entry(&mounted, &key)?.ok_or(Errno::ENOENT)?;
        Ok(Child { name: name.to_vec(), node: Node::Entry(mounted, key), entry: Some(entry) })
    }

    fn child_of_shelf(&self, path: &[Vec<u8>], name: &[u8]) -> Answer<Child> {
        let names: Vec<_> = path.iter().cloned().chain([name.to_vec()]).collect();
        self.refresh(Freshness::Recent);
        let shelf = self.shelves.at(&names).or_else(|| {
            self.refresh(Freshness::Newest);
            self.shelves.at(&names)
        });
        let node = child_of_shelf(path, name, &shelf.ok_or(Errno::ENOENT)?);
        let entry = match &node {
            Node::Entry(mounted, key) => Some(self.entry(mounted, key)?.ok_or(Errno::EIO)?),
            Node::Shelf(_) => None,
        };
        Ok(Child { name: name.to_vec(), node, entry })
    }

    /// The attributes of a child under its number, as the kernel will remember it.
    fn child_attributes(&self, number: u64, child: &Child) -> Answer<(FileAttr, Duration)> {
        match (&child.node, &child.entry) {
            (Node::Entry(mounted, key), Some(entry)) => {
                lock(&self.entries).put(number, entry.clone());
                Ok((self.attributes_of(number, mounted, key, entry), KEEP))
            }
            (Node::Entry(mounted, key), None) => {
                let entry = self.entry(mounted, key)?.ok_or(Errno::EIO)?;
                Ok((self.attributes_of(number, mounted, key, &entry), KEEP))
            }
            (Node::Shelf(path), _) => match self.shelves.at(path) {
                Some(Shelf::Link(target)) => {
                    let size = target.len() as u64;
                    Ok((attributes::of_shelf(number, FileType::Symlink, size), KEEP_SHELVES))
                }
                _ => Ok((attributes::of_shelf(number, FileType::Directory, 0), KEEP_SHELVES)),
            },
        }
    }

    fn open_folder(&self, number: u64) -> Answer<u64> {
        self.refresh(Freshness::Recent);
        let source = match self.find(number)? {
            Found::Folder(path, names) => Source::Shelf(path, names),
            Found::Link(_) => return Err(Errno::ENOTDIR),
            Found::Entry(_, _, entry) if entry.kind != EntryKind::Folder => {
                return Err(Errno::ENOTDIR);
            }
            Found::Entry(mounted, key, _) => {
                Source::Entry { reader: self.reader.clone(), mounted, key }
            }
        };
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        let folder = Arc::new(Mutex::new(OpenFolder::new(source)));
        lock(&self.folders).insert(handle, folder);
        Ok(handle)
    }

    /// Gives what a folder shows from `offset` on to `add`, until that says that it is full.
    fn list(
        &self,
        number: u64,
        handle: FileHandle,
        offset: u64,
        mut add: impl FnMut(u64, Option<&Child>, &[u8]) -> Answer<Full>,
    ) -> Answer<()> {
        let folder = lock(&self.folders).get(&handle.0).cloned().ok_or(Errno::EBADF)?;
        let mut folder = lock(&folder);
        let mut offset = offset;
        for (at, name) in [(0, &b"."[..]), (1, b"..")] {
            if offset == at {
                if add(at + 1, None, name)? == Full::Yes {
                    return Ok(());
                }
                offset += 1;
            }
        }
        folder.go_to(offset - DOTS);
        loop {
            let child = match folder.peek() {
                None => return Ok(()),
                Some(Ok(child)) => child,
                Some(Err(_)) => break,
            };
            offset += 1;
            if add(offset, Some(child), &child.name)? == Full::Yes {
                return Ok(());
            }
            folder.take();
        }
        // What came before the error is told first, unless this answer begins with it.
        match folder.take() {
            Some(Err(error)) => Err(match self.find(number)? {
                Found::Entry(mounted, key, _) => self.fail(&mounted, &key, &error),
                _ => Errno::EIO,
            }),
            _ => Ok(()),
        }
    }

    fn open_file(&self, number: u64) -> Answer<u64> {
        let Found::Entry(mounted, key, entry) = self.find(number)? else {
            return Err(Errno::EISDIR);
        };
        let path = key.to_path().unwrap_or_default();
        let new = || FileReader::new(&self.reader, mounted.domain, &path, (*entry).clone());
        let file = new().and_then(|front| Ok((front, new()?)));
        let (front, back) = file.map_err(|error| self.fail(&mounted, &key, &error))?;
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        lock(&self.files).insert(handle, Arc::new(OpenFile::new(front, back)));
        Ok(handle)
    }

    fn file(&self, handle: FileHandle) -> Answer<Arc<OpenFile>> {
        lock(&self.files).get(&handle.0).cloned().ok_or(Errno::EBADF)
    }

    fn read_file(&self, number: u64, handle: FileHandle, at: u64, size: u32) -> Answer<Vec<u8>> {
        let file = self.file(handle)?;
        file.read(at, size as usize, &self.ahead).map_err(|error| match self.find(number) {
            Ok(Found::Entry(mounted, key, _)) => self.fail(&mounted, &key, &error),
            _ => Errno::EIO,
        })
    }

    /// The extra metadata of an entry; what a mount adds has none.
    fn extra_at(&self, number: u64) -> Answer<Extra> {
        match self.find(number)? {
            Found::Entry(mounted, key, entry) => self.extra(&mounted, &key, &entry),
            Found::Folder(..) => Ok(Extra::default()),
            Found::Link(target) => Ok(Extra { target, ..Extra::default() }),
        }
    }
}

/// A listing begins with `.` and `..`.
const DOTS: u64 = 2;

/// Whether an answer takes no more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Full {
    Yes,
    No,
}

impl Full {
    fn new(is_full: bool) -> Self {
        if is_full { Self::Yes } else { Self::No }
    }
}

impl Filesystem for Snapshots {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for wanted in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_POSIX_ACL,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
        ] {
            // An older kernel does without.
            let _ = config.add_capabilities(wanted);
        }
        if let Err(most) = config.set_max_readahead(READ_AHEAD_BYTES) {
            let _ = config.set_max_readahead(most);
        }
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let looked_up = self.child(parent.0, name.as_bytes()).and_then(|child| {
            let number = self.table.remember(&child.node, child.entry.as_deref());
            let attributes = self.child_attributes(number, &child);
            attributes.inspect_err(|_| self.table.forget(number, 1))
        });
        match looked_up {
            Ok((attributes, keep)) => reply.entry(&keep, &attributes, GENERATION),
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _request: &Request, number: INodeNo, lookups: u64) {
        self.table.forget(number.0, lookups);
    }

    fn getattr(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        match self.attributes(number.0) {
            Ok((attributes, keep)) => reply.attr(&keep, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _request: &Request, number: INodeNo, reply: ReplyData) {
        match self.extra_at(number.0) {
            Ok(extra) => reply.data(&extra.target),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _request: &Request, number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        match self.open_file(number.0) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.read_file(number.0, handle, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        lock(&self.files).remove(&handle.0);
        reply.ok();
    }

    fn opendir(&self, _request: &Request, number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let keep = match self.table.node(number.0) {
            Some(Node::Entry(..)) => FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR,
            _ => FopenFlags::empty(),
        };
        match self.open_folder(number.0) {
            Ok(handle) => reply.opened(FileHandle(handle), keep),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut count = 0;
        let listed = self.list(number.0, handle, offset, |offset, child, name| {
            let (at, kind) = match child {
                None => (number.0, FileType::Directory),
                Some(Child { node, entry, .. }) => {
                    let kind = match (entry, node) {
                        (Some(entry), _) => attributes::kind(entry.kind),
                        (None, Node::Shelf(path)) => match self.shelves.at(path) {
                            Some(Shelf::Link(_)) => FileType::Symlink,
                            _ => FileType::Directory,
                        },
                        (None, Node::Entry(..)) => FileType::Directory,
                    };
                    (self.table.number(node, entry.as_deref()), kind)
                }
            };
            let is_full = reply.add(INodeNo(at), offset, kind, OsStr::from_bytes(name));
            count += u64::from(!is_full);
            Ok(Full::new(is_full))
        });
        match listed {
            Err(error) if count == 0 => reply.error(error),
            _ => reply.ok(),
        }
    }

    fn readdirplus(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let mut count = 0;
        let listed = self.list(number.0, handle, offset, |offset, child, name| {
            let (at, (attributes, keep)) = match child {
                None => (number.0, self.attributes(number.0)?),
                Some(child) => {
                    let at = self.table.number(&child.node, child.entry.as_deref());
                    (at, self.child_attributes(at, child)?)
                }
            };
            let name = OsStr::from_bytes(name);
            let is_full = reply.add(INodeNo(at), offset, name, &keep, &attributes, GENERATION);
            if let (Some(child), false) = (child, is_full) {
                // The kernel counts what it is told here as looked up, but for `.` and `..`.
                self.table.remember(&child.node, child.entry.as_deref());
            }
            count += u64::from(!is_full);
            Ok(Full::new(is_full))
        });
        match listed {
            Err(error) if count == 0 => reply.error(error),
            _ => reply.ok(),
        }
    }

    fn releasedir(
        &self,
        _request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        lock(&self.folders).remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _request: &Request, _number: INodeNo, reply: ReplyStatfs) {
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }

    fn getxattr(
        &self,
        _request: &Request,
        number: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        let found = self.extra_at(number.0).and_then(|extra| {
            let xattr = extra.xattrs.into_iter().find(|xattr| xattr.name == name.as_bytes());
            xattr.map(|xattr| xattr.value).ok_or(Errno::NO_XATTR)
        });
        answer(found, size, reply);
    }

    fn listxattr(&self, _request: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.extra_at(number.0).map(|extra| {
            let names = extra.xattrs.into_iter().flat_map(|xattr| [xattr.name, vec![0]]);
            names.flatten().collect::<Vec<u8>>()
        });
        answer(names, size, reply);
    }

    fn lseek(
        &self,
        _request: &Request,
        _number: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let found = self.file(handle).and_then(|file| {
            let offset = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            let found = match whence {
                SEEK_DATA => file.next_data(offset),
                SEEK_HOLE => file.next_hole(offset),
                _ => return Err(Errno::EINVAL),
            };
            found.and_then(|at| i64::try_from(at).ok()).ok_or(Errno::ENXIO)
        });
        match found {
            Ok(at) => reply.offset(at),
            Err(error) => reply.error(error),
        }
    }
}

/// The numbers of Linux for where to seek.
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;
/// What the kernel may ask for ahead, as far as it likes to.
const READ_AHEAD_BYTES: u32 = 1 << 20;

/// Gives a value, or how long it is, as it was asked for.
fn answer(value: Answer<Vec<u8>>, size: u32, reply: ReplyXattr) {
    match value {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(error) => reply.error(error),
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
