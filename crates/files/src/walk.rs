//! Walks a source in the order of its keys: a folder's whole listing, then its subfolders one by
//! one, each before the next. So the walk can be merged with a snapshot's tree as it goes.
//!
//! The structure is: walker > level (one open folder) > names. Everything is opened relative to
//! the folder above and no link is followed, so a path may be longer than the system takes. Memory
//! is the names of one folder, and of each folder above it those subfolders that are still to come.
//! What cannot be read is named among the problems and passed over. DESIGN.md §10.

mod filter;
mod names;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use format::{EntryKind, PathKey};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::Result;
use crate::error::{Error, Problems};
use crate::source::{Place, Source, join};
use crate::stat::Stat;
pub(crate) use filter::Filter;
use filter::Rules;
pub use filter::{Exclusions, GitIgnore, MARKER_BYTES_MAX, Marker};
use names::Names;

/// Whether a walk goes on into file systems that are mounted within a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum FileSystems {
    /// It does.
    #[default]
    All,
    /// It stays on the file system of each path; a mounted one is an empty folder.
    One,
}

/// A file that the walk came to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: PathKey,
    pub(crate) folder: Arc<Folder>,
    /// Its name in the folder; `.` for the root.
    pub(crate) name: Vec<u8>,
    pub(crate) stat: Stat,
}

impl Found {
    /// The absolute path.
    pub(crate) fn path(&self) -> Vec<u8> {
        match self.key.is_root() {
            true => b"/".to_vec(),
            false => join(&self.folder.path, &self.name),
        }
    }
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) fd: OwnedFd,
    pub(crate) path: Vec<u8>,
}

/// The walk.
pub(crate) struct Walker<'a> {
    filter: &'a Filter,
    file_systems: FileSystems,
    levels: Vec<Level>,
    /// The key and path of the last level's folder.
    key: PathKey,
    path: Vec<u8>,
    root: Option<Found>,
    /// How many of the source's paths were there.
    paths_found: usize,
}

/// A folder on the way down.
struct Level {
    /// Closed when the walk is far below; opened again on the way up.
    folder: Option<Arc<Folder>>,
    identity: (u64, u64),
    /// The folder's name in the one above.
    name: Vec<u8>,
    /// What is still to be looked at, in order.
    listing: Names,
    /// Those of the listing that are folders to go into, still to come.
    subfolders: Names,
    /// For what leads to the source's paths: which names count. `None` within a path: all.
    place: Option<Place>,
    /// The device of the path that this lies within.
    device: u64,
    /// What `.gitignore` files say here.
    rules: Option<Arc<Rules>>,
}

/// So many folders on the way down are kept open.
const FOLDERS_OPEN_MAX: usize = 32;

impl<'a> Walker<'a> {
    /// A walk that begins at the root of the file system.
    pub(crate) fn new(
        source: Source,
        filter: &'a Filter,
        file_systems: FileSystems,
        problems: &mut Problems,
    ) -> Result<Self> {
        let opened = open_folder(CWD, b"/").and_then(|fd| Ok((Stat::of(&fd)?, fd)));
        let (stat, fd) = opened.map_err(|error| Error::system("opening", b"/", error))?;
        let folder = Arc::new(Folder { fd, path: b"/".to_vec() });
        let found =
            Found { key: PathKey::root(), folder: folder.clone(), name: b".".to_vec(), stat };
        let mut walker = Self {
            filter,
            file_systems,
            levels: Vec::new(),
            key: PathKey::root(),
            path: b"/".to_vec(),
            root: Some(found),
            paths_found: 0,
        };
        let place = source.into_root();
        let place = if place.is_whole() { None } else { Some(place) };
        walker.paths_found += usize::from(place.is_none());
        walker.enter(folder, Vec::new(), place, stat, problems);
        Ok(walker)
    }

    /// How many of the source's paths were there, so far.
    pub(crate) fn paths_found(&self) -> usize {
        self.paths_found
    }

    /// The next file in the order of keys.
    pub(crate) fn next(&mut self, problems: &mut Problems) -> Option<Found> {
        if let Some(root) = self.root.take() {
            return Some(root);
        }
        loop {
            let level = self.levels.last_mut()?;
            if let Some(name) = level.listing.next().map(<[u8]>::to_vec) {
                if let Some(found) = self.look_at(name, problems) {
                    return Some(found);
                }
            } else if let Some(name) = level.subfolders.next().map(<[u8]>::to_vec) {
                level.listing.clear();
                self.descend(name, problems);
            } else {
                self.ascend(problems);
            }
        }
    }

    fn look_at(&mut self, name: Vec<u8>, problems: &mut Problems) -> Option<Found> {
        let level = self.levels.last_mut()?;
        let folder = level.folder.clone()?;
        let path = || join(&folder.path, &name);
        let place = level.place.as_ref().and_then(|place| place.below.get(&name));
        let is_path = place.is_some_and(Place::is_whole);
        let stat = match Stat::at(&folder.fd, &name) {
            Ok(stat) => stat,
            // It vanished since the folder was read, as if the walk came later.
            Err(Errno::NOENT) if level.place.is_none() => return None,
            Err(error) => {
                problems.add(&path(), describe(error));
                return None;
            }
        };
        let is_folder = stat.kind == EntryKind::Folder;
        if level.place.is_none() {
            if self.filter.leaves_out(&folder, &name, &stat, level.rules.as_ref()) {
                return None;
            }
        } else if is_path {
            self.paths_found += 1;
        } else if !is_folder {
            problems.add(&path(), "is no folder, so what was named below it is not there");
            return None;
        }
        let key = match self.key.child(&name) {
            Ok(key) => key,
            Err(error) => {
                problems.add(&path(), error);
                return None;
            }
        };
        let crosses = level.place.is_none() && stat.device != level.device;
        if is_folder && !(crosses && self.file_systems == FileSystems::One) {
            level.subfolders.push(&name);
        }
        Some(Found { key, folder, name, stat })
    }

    fn descend(&mut self, name: Vec<u8>, problems: &mut Problems) {
        let Some(level) = self.levels.last_mut() else { return };
        let Some(above) = &level.folder else { return };
        let place = level.place.as_mut().and_then(|place| place.below.remove(&name));
        let place = place.filter(|place| !place.is_whole());
        let opened = open_folder(&above.fd, &name).and_then(|fd| Ok((Stat::of(&fd)?, fd)));
        let path = join(&above.path, &name);
        let (mut stat, fd) = match opened {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return,
            Err(error) => return problems.add(&path, describe(error)),
        };
        if level.place.is_none() {
            // Within a path the device that counts is the path's own.
            stat.device = level.device;
        }
        let Ok(key) = self.key.child(&name) else { return };
        self.key = key;
        self.path.clone_from(&path);
        self.enter(Arc::new(Folder { fd, path }), name, place, stat, problems);
    }

    fn enter(
        &mut self,
        folder: Arc<Folder>,
        name: Vec<u8>,
        place: Option<Place>,
        stat: Stat,
        problems: &mut Problems,
    ) {
        let mut listing = Names::default();
        match &place {
            Some(place) => place.below.keys().for_each(|name| listing.push(name)),
            None => {
                if let Err(error) = names::read_folder(&folder.fd, &mut listing) {
                    problems.add(&folder.path, describe(error));
                }
            }
        }
        listing.sort();
        let above = self.levels.last().and_then(|level| level.rules.as_ref());
        let mut rules = None;
        if place.is_none() {
            self.filter.apply_markers(&folder, &mut listing, problems);
            rules = self.filter.rules_in(&folder, &listing, above, problems);
        }
        let identity = Stat::of(&folder.fd).map_or((0, 0), |stat| stat.identity());
        let device = stat.device;
        let subfolders = Names::default();
        let folder = Some(folder);
        let level = Level { folder, identity, name, listing, subfolders, place, device, rules };
        self.levels.push(level);
        let deep = self.levels.len().checked_sub(FOLDERS_OPEN_MAX).filter(|level| *level > 0);
        if let Some(level) = deep {
            self.levels[level].folder = None;
        }
    }

    fn ascend(&mut self, problems: &mut Problems) {
        let Some(left) = self.levels.pop() else { return };
        if let Some(parent) = self.key.parent() {
            self.key = parent;
        }
        let path_length = self.path.len().saturating_sub(left.name.len() + 1).max(1);
        self.path.truncate(path_length);
        let Some(level) = self.levels.last() else { return };
        if level.folder.is_some() || level.subfolders.is_empty() {
            return;
        }
        match self.open_again(left.folder) {
            Ok(fd) => {
                let folder = Arc::new(Folder { fd, path: self.path.clone() });
                self.levels.last_mut().expect("seen above").folder = Some(folder);
            }
            Err(error) => {
                problems.add(&self.path, describe(error));
                self.levels.last_mut().expect("seen above").subfolders.clear();
            }
        }
    }

    /// Opens the last level's folder again: from the one below it, else from the root down.
    fn open_again(&self, below: Option<Arc<Folder>>) -> Result<OwnedFd, Errno> {
        let expected = self.levels.last().map(|level| level.identity);
        let is_it = |fd: &OwnedFd| Stat::of(fd).ok().map(|stat| stat.identity()) == expected;
        let above = below.and_then(|below| open_folder(&below.fd, b"..").ok());
        if let Some(fd) = above.filter(is_it) {
            return Ok(fd);
        }
        let mut fd = open_folder(CWD, b"/")?;
        for level in &self.levels[1..] {
            fd = open_folder(&fd, &level.name)?;
        }
        if is_it(&fd) { Ok(fd) } else { Err(Errno::STALE) }
    }
}

/// Looks again at a file that the walk came to before; no link on the way there is followed.
pub(crate) fn look_again(key: PathKey, path: &[u8]) -> Result<Found, Errno> {
    let at = path.iter().rposition(|byte| *byte == b'/').ok_or(Errno::INVAL)?;
    let (above, name) = (&path[..at], path[at + 1..].to_vec());
    let mut fd = open_folder(CWD, b"/")?;
    for part in above.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        fd = open_folder(&fd, part)?;
    }
    let stat = Stat::at(&fd, &name)?;
    let path = if above.is_empty() { b"/".to_vec() } else { above.to_vec() };
    Ok(Found { key, folder: Arc::new(Folder { fd, path }), name, stat })
}

/// Opens a folder for reading, without following a link and, where it may, without a trace.
fn open_folder(folder: impl rustix::fd::AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open_quietly(folder, name, flags)
}

/// Opens a file without changing its access time, if the system lets this user.
pub(crate) fn open_quietly(
    folder: impl rustix::fd::AsFd,
    name: &[u8],
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    match rustix::fs::openat(&folder, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => {}
        other => return other,
    }
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

/// What the system says, as a reason.
pub(crate) fn describe(error: Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    match text.rfind(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// The names in an open folder, in no order.
pub(crate) fn read_names(folder: impl rustix::fd::AsFd) -> Result<Names, Errno> {
    let mut names = Names::default();
    names::read_folder(folder, &mut names)?;
    Ok(names)
}
