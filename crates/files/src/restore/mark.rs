//! The mark of a restore under way: a file in the target that says of which snapshot and path.
//!
//! It is there from before the first file until after the last is synced. Who finds it may go on
//! with the same restore, and with no other. It remembers whether the restore made the target, so
//! that the one that ends it gives the target its metadata. DESIGN.md §10.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crypto::SessionId;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::options::{Overwrite, RestoreOptions};
use super::target::Target;
use crate::error::Error;
use crate::walk::read_names;
use crate::{PathText, Result};

/// The mark's name. A file of this name at the top of what is restored is passed over.
pub(crate) const MARK_NAME: &[u8] = b".strongroom-restore";

/// A mark is never longer.
const MARK_BYTES_MAX: usize = 64 << 10;

/// What a restore's mark says: which restore it is of.
pub(crate) struct Mark(Vec<u8>);

/// The last line of a mark, when its restore made the target.
const MADE: &[u8] = b"made the folder\n";

/// A target that may be written to.
pub(crate) struct Opened {
    pub(crate) target: Target,
    /// What holds for files that are there: a restore that goes on keeps what is complete, unless
    /// all was to be replaced: size and time do not tell then.
    pub(crate) overwrite: Overwrite,
    /// Whether it was not there before this restore, or the one that this one goes on with.
    pub(crate) is_created: bool,
    /// Whether this restore's mark is there already.
    is_marked: bool,
}

impl Mark {
    pub(crate) fn new(snapshot: SessionId, options: &RestoreOptions) -> Self {
        let (path, strip) = (options.path.escape_ascii(), options.strip);
        let text =
            format!("strongroom restore 1\nsnapshot {snapshot}\npath {path}\nstrip {strip}\n");
        Self(text.into_bytes())
    }

    /// Opens the target, if this restore may go into it; makes it first.
    pub(crate) fn open_target(&self, path: &Path, overwrite: Overwrite) -> Result<Opened> {
        let is_created = Target::create(path.as_os_str().as_bytes())?;
        let opened = self.open(path, overwrite)?;
        Ok(Opened { is_created: is_created || opened.is_created, ..opened })
    }

    /// Opens a target that is there, if this restore may go into it.
    pub(crate) fn open(&self, path: &Path, overwrite: Overwrite) -> Result<Opened> {
        let path = path.as_os_str().as_bytes();
        let target = Target::open(path)?;
        let fail = |error| Error::system("reading", path, error);
        let mut names = read_names(target.root()).map_err(fail)?;
        let found = if names.is_empty() { None } else { self.found(&target).map_err(fail)? };
        // A restore that was stopped as it began leaves its mark alone, whole or torn.
        let is_empty = names.next().is_none_or(|name| name == MARK_NAME) && names.is_empty();
        let overwrite = match overwrite {
            Overwrite::Never if found.is_some() => Overwrite::Changed,
            Overwrite::Never if !is_empty => {
                return Err(Error::NotEmpty { path: PathText::new(path) });
            }
            other => other,
        };
        let is_created = found == Some(Made::Yes);
        Ok(Opened { target, overwrite, is_created, is_marked: found.is_some() })
    }

    /// Puts the mark down, in place of any other. The one of the restore that this one goes on with
    /// stays: without it no other may go on.
    pub(crate) fn write(&self, opened: &Opened) -> Result<()> {
        if opened.is_marked {
            return Ok(());
        }
        let target = &opened.target;
        let mut text = self.0.clone();
        text.extend_from_slice(if opened.is_created { MADE } else { b"" });
        let write = || {
            match rustix::fs::unlinkat(target.root(), MARK_NAME, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            let file = rustix::fs::openat(target.root(), MARK_NAME, flags, mode)?;
            rustix::io::write(&file, &text)?;
            rustix::fs::fsync(&file)?;
            rustix::fs::fsync(target.root())
        };
        write().map_err(|error| Error::system("marking", target.path(), error))
    }

    /// Takes the mark away: the restore is done.
    pub(crate) fn remove(&self, target: &Target) -> Result<()> {
        let removed = match rustix::fs::unlinkat(target.root(), MARK_NAME, AtFlags::empty()) {
            Ok(()) => rustix::fs::fsync(target.root()),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|error| Error::system("unmarking", target.path(), error))
    }

    /// Whether the target carries this restore's mark, and then who made the target.
    fn found(&self, target: &Target) -> Result<Option<Made>, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(target.root(), MARK_NAME, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; MARK_BYTES_MAX];
        let length = rustix::io::read(&file, &mut bytes)?;
        Ok(match bytes[..length].strip_prefix(&self.0[..]) {
            Some(MADE) => Some(Made::Yes),
            Some(b"") => Some(Made::No),
            _ => None,
        })
    }
}

/// Whether a restore made its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Made {
    Yes,
    No,
}
