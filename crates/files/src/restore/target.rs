//! The sandbox: a folder's handle, and ways to what lies below it that no link can bend.
//!
//! Linux resolves a whole path beneath the handle and refuses any link on the way (openat2); where
//! that call is missing, each folder is opened from the one above without following a link. Either
//! way a name that is a link, whoever made it and whenever, ends the way. Paths here are relative,
//! `a/b/c`, made of names that a key vouches for: never empty, `.` or `..`. DESIGN.md §10.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::Error;
use crate::source::as_path;
use crate::stat::Stat;
use crate::{PathText, Result};
use format::EntryKind;

/// The folder that a restore goes into.
pub(crate) struct Target {
    root: OwnedFd,
    path: Vec<u8>,
}

impl Target {
    /// Opens the folder, which must exist. Links that lead to it are the caller's choice.
    pub(crate) fn open(path: &[u8]) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| Error::system("opening", path, error))?;
        Ok(Self { root, path: path.to_vec() })
    }

    /// Makes the folder and all that leads to it, and says whether it was not there.
    pub(crate) fn create(path: &[u8]) -> Result<bool> {
        let shown = as_path(path);
        let is_new = !shown.exists();
        std::fs::create_dir_all(shown).map_err(|source| Error::System {
            action: "making the folder",
            path: PathText::new(path),
            source,
        })?;
        Ok(is_new)
    }

    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Waits until the file system holds all that was written.
    pub(crate) fn sync(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        let synced = rustix::fs::syncfs(&self.root);
        #[cfg(not(target_os = "linux"))]
        let synced = rustix::fs::fsync(&self.root);
        synced.map_err(|error| Error::system("syncing", &self.path, error))
    }

    /// Opens a folder below; an empty path is the target itself.
    pub(crate) fn folder(&self, relative: &[u8]) -> Result<OwnedFd, Errno> {
        let mut folder = None;
        let mut rest = relative;
        while !rest.is_empty() {
            let piece;
            (piece, rest) = split_piece(rest);
            let above = folder.as_ref().unwrap_or(&self.root).as_fd();
            folder = Some(open_beneath(above, piece)?);
        }
        match folder {
            Some(folder) => Ok(folder),
            None => open_one(&self.root, b"."),
        }
    }

    /// Makes a folder, or opens it up for writing when it is there already.
    pub(crate) fn make_folder(
        parent: &OwnedFd,
        name: &[u8],
        replace: Replace,
    ) -> Result<(), Errno> {
        match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
        let stat = Stat::at(parent, name)?;
        if stat.kind != EntryKind::Folder {
            if replace == Replace::Refuse {
                return Err(Errno::EXIST);
            }
            rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
            return rustix::fs::mkdirat(parent, name, Mode::RWXU);
        }
        if stat.mode & 0o700 != 0o700 {
            let open = Mode::from_raw_mode((stat.mode | 0o700).into());
            rustix::fs::fchmod(open_one(parent, name)?, open)?;
        }
        Ok(())
    }
}

/// What happens to a file that stands where another should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replace {
    Refuse,
    Allow,
}

/// A path is resolved in pieces of at most this many bytes, well below what systems take.
const PIECE_BYTES_MAX: usize = 2048;

/// The first folders of a path, and the rest.
fn split_piece(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= PIECE_BYTES_MAX {
        return (path, &[]);
    }
    let before = path[..PIECE_BYTES_MAX].iter().rposition(|byte| *byte == b'/');
    match before.or_else(|| path.iter().position(|byte| *byte == b'/')) {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, &[]),
    }
}

#[cfg(target_os = "linux")]
fn open_beneath(folder: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(&folder, path, flags, Mode::empty(), resolve) {
        // An old kernel, or a sandbox around us that does not know the call.
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => open_stepwise(folder, path),
        other => other,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(folder: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    open_stepwise(folder, path)
}

fn open_stepwise(folder: impl AsFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut names = path.split(|byte| *byte == b'/');
    let mut opened = open_one(folder, names.next().unwrap_or(b"."))?;
    for name in names {
        opened = open_one(&opened, name)?;
    }
    Ok(opened)
}

fn open_one(folder: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn no_link_leads_out_of_the_target_and_none_is_followed_within() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("target");
        std::fs::create_dir_all(inside.join("real/deep")).unwrap();
        std::fs::create_dir(folder.path().join("outside")).unwrap();
        for (link, to) in [("out", "../outside"), ("abs", "/"), ("loop", "loop"), ("in", "real")] {
            std::os::unix::fs::symlink(to, inside.join(link)).unwrap();
        }
        let target = Target::open(inside.as_os_str().as_bytes()).unwrap();

        assert!(target.folder(b"real/deep").is_ok());
        assert!(target.folder(b"").is_ok());
        for path in [&b"out"[..], b"abs", b"loop", b"in", b"in/deep", b"abs/etc", b"out/x"] {
            assert!(target.folder(path).is_err());
            assert!(open_stepwise(target.root(), path).is_err());
        }
    }

    #[test]
    fn a_path_longer_than_the_system_takes_is_opened_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::open(folder.path().as_os_str().as_bytes()).unwrap();
        let mut path: Vec<u8> = Vec::new();
        for _ in 0..24 {
            let parent = target.folder(&path).unwrap();
            Target::make_folder(&parent, &[b'n'; 255], Replace::Refuse).unwrap();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend([b'n'; 255]);
        }
        assert!(path.len() > 6000);
        assert!(target.folder(&path).is_ok());
    }
}
