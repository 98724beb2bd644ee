//! Shows snapshots as folders: a read-only file system, through FUSE.
//!
//! The structure is: filesystem > shelves > snapshots > entries, where shelves are what a mount
//! adds: ids, names, hosts, tags. Attributes and names come from trees, content from verified
//! chunks, so what a mount shows is what a restore would write, or an I/O error that is named.
//! Memory is bounded: what the kernel remembers has a number in [`table`], all else is read again.
//! DESIGN.md §10.

mod attributes;
mod content;
mod filesystem;
mod listing;
mod recent;
mod shelves;
mod table;
#[cfg(test)]
mod tests;

use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use vault::{Reader, Snapshot};

use crate::Result;
use crate::error::{Error, PathText, Problem};
use crate::list::{files_root, find};
use crate::walk::read_names;
use filesystem::Snapshots;
use format::{EntryKind, PathKey};
use shelves::{Mounted, Shelf, Shelves};

/// What to show, where and to whom.
#[derive(Clone, Debug)]
pub struct MountOptions {
    /// An empty folder.
    pub target: PathBuf,
    /// Whether other users may look, as far as modes allow.
    pub allow_other: bool,
    /// Whether device files work.
    pub allow_devices: bool,
    /// How many requests are served at once.
    pub threads: usize,
}

impl MountOptions {
    /// For this user alone, without devices.
    pub fn new(target: impl Into<PathBuf>) -> Self {
        Self { target: target.into(), allow_other: false, allow_devices: false, threads: 4 }
    }
}

/// A snapshot, as a catalog shows it.
#[derive(Clone, Debug)]
pub struct CatalogEntry {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Its time as it is called in paths, such as `2026-11-22T10:00:00Z`.
    pub time: String,
    /// What the member that made it is called.
    pub host: Option<String>,
    /// Whether its name belongs to another member, so that it is never the latest of the name.
    pub is_foreign: bool,
}

/// How new what is asked for must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As of a minute ago.
    Recent,
    /// As of now: something was not found.
    Newest,
}

/// Says which snapshots there are, again and again while they are mounted.
pub trait Catalog: Send {
    /// All that should be shown, oldest first; `None` when what was said last is fresh enough.
    ///
    /// # Errors
    /// When the vault cannot be read: what was said last stays.
    fn snapshots(&mut self, freshness: Freshness) -> Result<Option<Vec<CatalogEntry>>>;
}

/// Hears what could not be shown.
pub trait MountEvents: Send + Sync {
    /// A path whose content, listing or attributes cannot be read; its reader gets an I/O error.
    fn problem(&self, problem: &Problem);
}

/// Mounts all snapshots of a catalog: `latest`, `ids`, `names`, `hosts` and `tags`.
///
/// # Errors
/// [`Error::NoFuse`], [`Error::MountTarget`], those of the catalog.
pub fn mount(
    reader: Reader,
    mut catalog: Box<dyn Catalog>,
    options: &MountOptions,
    events: Arc<dyn MountEvents>,
) -> Result<Mount> {
    let path = check_target(&options.target)?;
    let listed = catalog.snapshots(Freshness::Newest)?.unwrap_or_default();
    let shelves = Shelves::new(shelves::arrange(&listed), Some(catalog));
    start(Snapshots::new(reader, shelves, events), path, options)
}

/// Mounts the folder at `top` of one snapshot.
///
/// # Errors
/// [`Error::NoFuse`], [`Error::MountTarget`], [`Error::NotFound`], [`Error::WrongKind`].
pub fn mount_snapshot(
    reader: Reader,
    snapshot: &Snapshot,
    top: &[u8],
    options: &MountOptions,
    events: Arc<dyn MountEvents>,
) -> Result<Mount> {
    let found = find(&reader, snapshot, top)?;
    if found.entry.kind != EntryKind::Folder {
        return Err(Error::WrongKind { path: PathText::new(top), expected: "folder" });
    }
    let path = check_target(&options.target)?;
    let root = files_root(snapshot)?;
    let top = PathKey::decode(found.key.as_bytes()).unwrap_or_default();
    let mounted = Mounted { id: snapshot.id, domain: snapshot.domain, root, top };
    let shelves = Shelves::new(Shelf::Snapshot(Arc::new(mounted)), None);
    start(Snapshots::new(reader, shelves, events), path, options)
}

/// Snapshots that are mounted.
pub struct Mount {
    path: PathBuf,
    // Its own way to unmount goes by path even when somebody else has unmounted already, and would
    // take away whatever is mounted there by then. So it is ended here, and never dropped.
    session: ManuallyDrop<BackgroundSession>,
}

/// How a mount ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmounted {
    /// Nothing is left of it.
    Clean,
    /// It is out of sight, and goes when those who still have files open there close them, or with
    /// this process.
    Busy,
}

impl Mount {
    /// Whether it was unmounted by somebody else.
    pub fn is_over(&self) -> bool {
        self.session.guard.is_finished()
    }

    /// Unmounts, even when it is in use. Requests under way are answered still: a clean one is over
    /// soon after.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn unmount(&self) -> Result<Unmounted> {
        if self.is_over() {
            return Ok(Unmounted::Clean);
        }
        let ended = match unmount(&self.path, UnmountFlags::empty()) {
            Ok(()) => Ok(Unmounted::Clean),
            Err(Errno::BUSY) => unmount(&self.path, UnmountFlags::DETACH).map(|()| Unmounted::Busy),
            Err(error) => Err(error),
        };
        let path = self.path.as_os_str().as_bytes();
        ended.map_err(|error| Error::system("unmounting", path, error))
    }
}

/// Only root may unmount; others have a program for it.
fn unmount(path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
    match rustix::mount::unmount(path, flags) {
        Err(Errno::PERM) => {}
        other => return other,
    }
    let lazy = flags.contains(UnmountFlags::DETACH);
    let arguments: &[&str] = if lazy { &["-u", "-z", "-q"] } else { &["-u", "-q"] };
    for program in ["fusermount3", "fusermount"] {
        let status = std::process::Command::new(program).args(arguments).arg(path).status();
        match status {
            Ok(status) if status.success() => return Ok(()),
            Ok(_) => return Err(if lazy { Errno::PERM } else { Errno::BUSY }),
            Err(_) => {}
        }
    }
    Err(Errno::PERM)
}

fn start(filesystem: Snapshots, path: PathBuf, options: &MountOptions) -> Result<Mount> {
    let mut config = Config::default();
    let devices = if options.allow_devices { MountOption::Dev } else { MountOption::NoDev };
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoAtime,
        MountOption::DefaultPermissions,
        devices,
        MountOption::FSName("strongroom".to_owned()),
        MountOption::Subtype("strongroom".to_owned()),
    ];
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(options.threads.clamp(1, THREADS_MAX));
    let session = Session::new(filesystem, &path, &config).and_then(Session::spawn);
    let session = session.map_err(|source| Error::NoFuse { reason: source.to_string() })?;
    Ok(Mount { path, session: ManuallyDrop::new(session) })
}

const THREADS_MAX: usize = 64;

/// Checks that the target is an empty folder that is no mount of FUSE, and that FUSE is there.
fn check_target(target: &Path) -> Result<PathBuf> {
    let shown = target.as_os_str().as_bytes();
    let refuse = |reason: &str| {
        Err(Error::MountTarget { path: PathText::new(shown), reason: reason.to_owned() })
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(target, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return refuse("is not there"),
        Err(Errno::NOTDIR) => return refuse("is not a folder"),
        Err(Errno::NOTCONN) => return refuse("is a mount whose program has ended"),
        Err(error) => return Err(Error::system("opening", shown, error)),
    };
    let is_fuse = rustix::fs::fstatfs(&folder).is_ok_and(|stat| stat.f_type == FUSE_MAGIC);
    if is_fuse {
        return refuse("has a file system mounted by FUSE already");
    }
    let fail = |error| Error::system("reading", shown, error);
    if !read_names(&folder).map_err(fail)?.is_empty() {
        return refuse("is not empty");
    }
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    if let Err(error) = rustix::fs::open(FUSE_DEVICE, flags, Mode::empty()) {
        let reason = format!("{FUSE_DEVICE}: {}", std::io::Error::from(error));
        return Err(Error::NoFuse { reason });
    }
    target.canonicalize().map_err(|source| Error::System {
        action: "resolving",
        path: PathText::new(shown),
        source,
    })
}

const FUSE_DEVICE: &str = "/dev/fuse";
/// What Linux calls the type of FUSE's file systems.
const FUSE_MAGIC: rustix::fs::FsWord = 0x6573_5546;
