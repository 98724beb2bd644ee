//! A place in a folder of a file system.
//!
//! A put writes a temporary file beside its target, syncs it, gives it its name with link(2), which
//! replaces nothing, and syncs the folder: so an object is whole, durable and has one winner. Where
//! a file system refuses links, a rename that replaces nothing stands in; where it has neither, the
//! put is refused. Temporary names begin with a dot, which no object's name can hold.
//! No symbolic link below the vault's folder is ever followed: every component is opened by itself,
//! relative to the one above. Folders are made 0700 and files 0600, whatever the umask: whoever
//! else should reach a vault is let in by the vault's own folder or an access control list.
//! A process on the same disk may see an object shortly before it is durable. DESIGN.md §4.

mod reserve;
mod temporary;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::error::{Error, ErrorKind, Result};
use crate::name::{NamePrefix, ObjectName};
use crate::place::{
    Capabilities, ListCost, Listing, OBJECT_BYTES_MAX, Place, Put, PutOptions, Start, Stat,
    check_range, check_size, refuse_retention,
};
use crate::time::Time;
use crate::url::PlaceUrl;
use temporary::{Naming, Temporary};

/// Objects as files below one folder.
pub struct FolderPlace {
    path: PathBuf,
    root: OwnedFd,
    /// Folders whose own names this process has made durable, and where it has looked for
    /// temporary files left behind.
    prepared: Mutex<BTreeSet<String>>,
}

impl FolderPlace {
    /// Opens the folder at `path`, which must exist. `path` itself may be a symbolic link.
    ///
    /// # Errors
    /// [`Error::Folder`] when it is absent, no folder, or out of reach.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = retry_on_intr(|| fs::open(path, flags, Mode::empty()))
            .map_err(|errno| folder_error(path, errno))?;
        Ok(Self { path: path.to_owned(), root, prepared: Mutex::default() })
    }

    /// Makes the folder at `path` and those above it where they are missing, durably, and opens it.
    ///
    /// # Errors
    /// [`Error::Folder`] when something else lies there, or it may not be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let missing: Vec<_> = path
            .ancestors()
            .take_while(|above| !above.as_os_str().is_empty() && !above.is_dir())
            .collect();
        for folder in missing.into_iter().rev() {
            make_durably(folder).map_err(|error| {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                folder_error(folder, errno)
            })?;
        }
        Self::open(path)
    }

    /// The folder, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the folder of an object's name, `None` when it is absent.
    fn open_parent(&self, name: &ObjectName) -> Result<Option<OwnedFd>> {
        match self.open_folder(name.split().0) {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error(name, errno)),
        }
    }

    /// Opens a folder below the root component by component; the empty one is the root.
    fn open_folder(&self, folder: &str) -> Result<OwnedFd, Errno> {
        let mut current = open_component(self.root.as_fd(), ".")?;
        for component in folder.split('/').filter(|component| !component.is_empty()) {
            current = open_component(current.as_fd(), component)?;
        }
        Ok(current)
    }

    /// Opens the folder that a put writes to, makes what is missing, and sees to it that the
    /// folder's own name is durable: another process may have made it and not synced it yet.
    fn make_folder(&self, folder: &str) -> Result<OwnedFd, Errno> {
        let known = self.prepared().contains(folder);
        let mut current = open_component(self.root.as_fd(), ".")?;
        for component in folder.split('/').filter(|component| !component.is_empty()) {
            let (next, made) = open_or_make(current.as_fd(), component)?;
            if made || !known {
                sync_folder(current)?;
            }
            current = next;
        }
        Ok(current)
    }

    /// Stores the body under a temporary name and then gives it its own.
    fn write(&self, folder: &OwnedFd, name: &ObjectName, body: &Bytes) -> Result<Put> {
        let failure = |errno| self.put_error(name, body, errno);
        let temporary = Temporary::write(folder.as_fd(), body).map_err(failure)?;
        let (parent, last) = name.split();
        if self.prepared().insert(parent.to_owned()) {
            temporary.sweep_older();
        }
        let named = temporary.publish(last).map_err(failure)?;
        drop(temporary);
        if named == Naming::Refused {
            return Err(Error::Unsupported {
                place: self.describe(),
                what: "store an object without replacing another: its file system offers neither \
                       links nor renames without replacement"
                    .into(),
            });
        }
        if named == Naming::Taken {
            self.stat_at(folder, name)?;
        }
        sync_folder(folder.try_clone().map_err(|_| failure(Errno::MFILE))?).map_err(failure)?;
        Ok(if named == Naming::Done { Put::Created } else { Put::Exists })
    }

    /// An object's file and its length.
    fn open_object(&self, name: &ObjectName) -> Result<(File, u64)> {
        let folder = self.open_parent(name)?.ok_or_else(|| self.not_found(name))?;
        // Without NONBLOCK, opening a pipe that someone planted would wait forever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let failure = |errno| self.error(name, errno);
        let file = retry_on_intr(|| fs::openat(&folder, name.split().1, flags, Mode::empty()))
            .map_err(failure)?;
        let found = fs::fstat(&file).map_err(failure)?;
        self.check_file(name, &found)?;
        Ok((File::from(file), found.st_size as u64))
    }

    fn read_range(
        &self,
        name: &ObjectName,
        file: &File,
        size: u64,
        range: Range<u64>,
    ) -> Result<Bytes> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        match file.read_exact_at(&mut bytes, range.start) {
            Ok(()) => Ok(bytes.into()),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(self.corrupt(
                name,
                format!("it was {size} bytes and became shorter while it was read"),
            )),
            Err(error) => Err(self.error(name, Errno::from_io_error(&error).unwrap_or(Errno::IO))),
        }
    }

    /// What lies under the last component of `name`: `Corrupt` unless it is a file.
    fn stat_at(&self, folder: &OwnedFd, name: &ObjectName) -> Result<Option<Stat>> {
        let found = match fs::statat(folder, name.split().1, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.error(name, errno)),
        };
        self.check_file(name, &found)?;
        Ok(Some(Stat { size: found.st_size as u64, stored_at: modified_at(&found) }))
    }

    fn check_file(&self, name: &ObjectName, found: &fs::Stat) -> Result<()> {
        let size = found.st_size as u64;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile if size <= OBJECT_BYTES_MAX => Ok(()),
            FileType::RegularFile => Err(self.corrupt(
                name,
                format!("it is {size} bytes, but an object has at most {OBJECT_BYTES_MAX}"),
            )),
            other => Err(self.corrupt(name, format!("not a file, but a {}", noun(other)))),
        }
    }

    fn check_reserve(&self, folder: &OwnedFd, name: &ObjectName, needed: u64) -> Result<()> {
        if !reserve::applies_to(name) {
            return Ok(());
        }
        // A file system that cannot tell its room will tell when it is full.
        let Ok(disk) = fs::fstatvfs(folder) else { return Ok(()) };
        let room = reserve::Room {
            total: disk.f_blocks.saturating_mul(disk.f_frsize),
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
        };
        match room.shortage(needed) {
            None => Ok(()),
            Some(reserve) => Err(Error::Reserve {
                place: self.describe(),
                object: name.clone(),
                needed,
                free: room.free,
                reserve,
            }),
        }
    }

    fn prepared(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if prepared.len() > PREPARED_FOLDERS_MAX {
            prepared.clear();
        }
        prepared
    }

    fn not_found(&self, name: &ObjectName) -> Error {
        Error::NotFound { place: self.describe(), object: name.clone() }
    }

    fn corrupt(&self, name: &ObjectName, reason: String) -> Error {
        Error::Corrupt { place: self.describe(), object: name.clone(), reason }
    }

    fn put_error(&self, name: &ObjectName, body: &Bytes, errno: Errno) -> Error {
        match errno {
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => Error::Full {
                place: self.describe(),
                object: name.clone(),
                needed: body.len() as u64,
                reason: errno.to_string(),
            },
            // A folder or a temporary file that vanished meanwhile: the put may be tried again.
            Errno::NOENT => self.unavailable(name.as_str(), errno),
            _ => self.error(name, errno),
        }
    }

    fn error(&self, name: &ObjectName, errno: Errno) -> Error {
        match errno {
            Errno::NOENT => self.not_found(name),
            Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO => self.corrupt(
                name,
                format!("something other than a file or folder lies on its path ({errno})"),
            ),
            Errno::ACCESS | Errno::PERM | Errno::ROFS => Error::Denied {
                place: self.describe(),
                subject: name.to_string(),
                reason: errno.to_string(),
            },
            _ => self.unavailable(name.as_str(), errno),
        }
    }

    fn unavailable(&self, subject: &str, errno: Errno) -> Error {
        Error::Unavailable {
            place: self.describe(),
            subject: subject.to_owned(),
            reason: errno.to_string(),
        }
    }
}

impl Place for FolderPlace {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
        check_size(name, &body)?;
        refuse_retention(self, options)?;
        let folder =
            self.make_folder(name.split().0).map_err(|errno| self.put_error(name, &body, errno))?;
        if self.stat_at(&folder, name)?.is_some() {
            // Its winner may not have synced the folder yet, and Exists promises durability too.
            sync_folder(folder).map_err(|errno| self.put_error(name, &body, errno))?;
            return Ok(Put::Exists);
        }
        self.check_reserve(&folder, name, body.len() as u64)?;
        self.write(&folder, name, &body)
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        let (file, size) = self.open_object(name)?;
        let range = check_range(self, name, range, size)?;
        self.read_range(name, &file, size, range)
    }

    fn get_start(&self, name: &ObjectName, most: u64) -> Result<Start> {
        let (file, whole_length) = self.open_object(name)?;
        let bytes = self.read_range(name, &file, whole_length, 0..whole_length.min(most))?;
        Ok(Start { bytes, whole_length })
    }

    fn list_cost(&self) -> ListCost {
        ListCost::OfFolder
    }

    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>> {
        Ok(Box::new(walk::Walk::new(self, prefix, start_after)))
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        match self.open_parent(name)? {
            Some(folder) => self.stat_at(&folder, name),
            None => Ok(None),
        }
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let Some(folder) = self.open_parent(name)? else { return Ok(()) };
        if self.stat_at(&folder, name)?.is_none() {
            return Ok(());
        }
        match fs::unlinkat(&folder, name.split().1, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.error(name, errno)),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { if_absent: true, object_lock: false, versions: false }
    }

    fn describe(&self) -> String {
        PlaceUrl::Folder(self.path.clone()).to_string()
    }
}

/// Above this many folders the memory of them is dropped: they are only synced and swept again.
const PREPARED_FOLDERS_MAX: usize = 4096;
const FOLDER_MODE: Mode = Mode::RWXU;

fn open_component(above: BorrowedFd<'_>, component: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| fs::openat(above, component, flags, Mode::empty()))
}

/// The folder, and whether it was made just now.
fn open_or_make(above: BorrowedFd<'_>, component: &str) -> Result<(OwnedFd, bool), Errno> {
    match open_component(above, component) {
        Err(Errno::NOENT) => {}
        opened => return Ok((opened?, false)),
    }
    match fs::mkdirat(above, component, FOLDER_MODE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let made = open_component(above, component)?;
    // Some file systems have no modes; there is nothing to protect with them then.
    let _ = fs::fchmod(&made, FOLDER_MODE);
    Ok((made, true))
}

/// Makes the names in a folder durable. Some network file systems know no such call and store names
/// at once; they answer EINVAL.
fn sync_folder(folder: OwnedFd) -> Result<(), Errno> {
    match File::from(folder).sync_all() {
        Ok(()) => Ok(()),
        Err(error) => match Errno::from_io_error(&error).unwrap_or(Errno::IO) {
            Errno::INVAL => Ok(()),
            errno => Err(errno),
        },
    }
}

fn make_durably(folder: &Path) -> std::io::Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE.as_raw_mode() as _).create(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let above = match folder.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    Ok(sync_folder(File::open(above)?.into())?)
}

fn folder_error(path: &Path, errno: Errno) -> Error {
    let kind = match errno {
        Errno::NOENT => ErrorKind::NotFound,
        Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL => ErrorKind::Invalid,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorKind::Denied,
        Errno::NOSPC | Errno::DQUOT => ErrorKind::Full,
        _ => ErrorKind::Unavailable,
    };
    Error::Folder { path: path.display().to_string(), reason: errno.to_string(), kind }
}

fn modified_at(found: &fs::Stat) -> Time {
    let millis = found.st_mtime.saturating_mul(1000);
    Time::from_millis(millis.saturating_add(found.st_mtime_nsec as i64 / 1_000_000))
}

fn noun(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Directory => "folder",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "pipe",
        FileType::Socket => "socket",
        _ => "device",
    }
}
