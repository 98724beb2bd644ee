//! Temporary files: written beside their target, then named once, and never left behind.
//!
//! A temporary file has the dot-name `.tmp-<pid>-<random>`, is durable before it is published, and
//! is removed when dropped, so that every way out of a put cleans up. A process that was killed
//! leaves one; the first put to that folder by a later process removes it when it is a day old.
//! Age is measured against a file just made, by the file system's own clock.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{self, AtFlags, Dir, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::modified_at;
use crate::time::Time;

/// A durable file without its final name. Dropping it removes the temporary name.
pub(super) struct Temporary<'a> {
    folder: BorrowedFd<'a>,
    name: String,
    file: File,
}

/// How giving a file its name ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// The file has the name.
    Done,
    /// Something else had it before.
    Taken,
    /// The file system cannot name a file without replacing another.
    Refused,
}

impl<'a> Temporary<'a> {
    /// Stores `body` durably in a new file in `folder`.
    pub(super) fn write(folder: BorrowedFd<'a>, body: &Bytes) -> Result<Self, Errno> {
        let (name, file) = create(folder)?;
        let mut temporary = Self { folder, name, file };
        let written = temporary.file.write_all(body).and_then(|()| temporary.file.sync_all());
        match written {
            Ok(()) => Ok(temporary),
            Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
        }
    }

    /// Gives the file the name `last`, replacing nothing.
    pub(super) fn publish(&self, last: &str) -> Result<Naming, Errno> {
        match fs::linkat(self.folder, &self.name, self.folder, last, AtFlags::empty()) {
            Ok(()) => Ok(Naming::Done),
            Err(Errno::EXIST) if self.has_name(last)? => Ok(Naming::Done),
            Err(Errno::EXIST) => Ok(Naming::Taken),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => self.rename(last),
            Err(errno) => Err(errno),
        }
    }

    /// As [`publish`](Self::publish), for file systems without links.
    pub(super) fn rename(&self, last: &str) -> Result<Naming, Errno> {
        let flags = fs::RenameFlags::NOREPLACE;
        match fs::renameat_with(self.folder, &self.name, self.folder, last, flags) {
            Ok(()) => Ok(Naming::Done),
            Err(Errno::EXIST) => Ok(Naming::Taken),
            Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Naming::Refused),
            Err(errno) => Err(errno),
        }
    }

    /// Removes temporary files that are a day older than this one. What resists stays: it only
    /// takes room.
    pub(super) fn sweep_older(&self) {
        let Ok(own) = fs::fstat(&self.file) else { return };
        let Ok(entries) = Dir::read_from(self.folder) else { return };
        for entry in entries.filter_map(Result::ok) {
            if !entry.file_name().to_bytes().starts_with(PREFIX.as_bytes()) {
                continue;
            }
            let found = fs::statat(self.folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
            if found.is_ok_and(|found| is_abandoned(modified_at(&found), modified_at(&own))) {
                let _ = fs::unlinkat(self.folder, entry.file_name(), AtFlags::empty());
            }
        }
    }

    /// Whether `last` is this file. A network file system may repeat a link whose answer was lost,
    /// and then finds the name taken by itself.
    fn has_name(&self, last: &str) -> Result<bool, Errno> {
        let own = fs::fstat(&self.file)?;
        match fs::statat(self.folder, last, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok((found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // It may be renamed or gone already; if it stays, a later sweep removes it.
        let _ = fs::unlinkat(self.folder, &self.name, AtFlags::empty());
    }
}

const PREFIX: &str = ".tmp-";
const ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const NAME_ATTEMPTS_MAX: u32 = 16;

/// Makes a new file that only its owner may use, whatever the umask.
fn create(folder: BorrowedFd<'_>) -> Result<(String, File), Errno> {
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..NAME_ATTEMPTS_MAX {
        // Each RandomState has a key of its own, so this is a random number.
        let random = RandomState::new().hash_one(());
        let name = format!("{PREFIX}{}-{random:016x}", std::process::id());
        match retry_on_intr(|| fs::openat(folder, &name, flags, mode)) {
            Ok(file) => {
                // Some file systems have no modes; there is nothing to protect with them then.
                let _ = fs::fchmod(&file, mode);
                return Ok((name, file.into()));
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EXIST)
}

fn is_abandoned(modified_at: Time, now: Time) -> bool {
    now.since(modified_at) >= ABANDONED_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_rename_without_replacement_has_one_winner_too() {
        let folder = tempfile::tempdir().unwrap();
        let open = File::open(folder.path()).unwrap();
        let first = Temporary::write(open.as_fd(), &Bytes::from_static(b"first")).unwrap();
        let second = Temporary::write(open.as_fd(), &Bytes::from_static(b"second")).unwrap();

        assert_eq!(first.rename("name").unwrap(), Naming::Done);
        assert_eq!(second.rename("name").unwrap(), Naming::Taken);

        drop((first, second));
        assert_eq!(std::fs::read(folder.path().join("name")).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_whose_answer_was_lost_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let open = File::open(folder.path()).unwrap();
        let temporary = Temporary::write(open.as_fd(), &Bytes::new()).unwrap();
        assert_eq!(temporary.publish("name").unwrap(), Naming::Done);
        assert_eq!(temporary.publish("name").unwrap(), Naming::Done);
    }

    #[test]
    fn abandoned_means_a_day_old() {
        let made = Time::from_millis(1_000);
        assert!(!is_abandoned(made, made.plus(ABANDONED_AFTER).minus(Duration::from_millis(1))));
        assert!(is_abandoned(made, made.plus(ABANDONED_AFTER)));
        assert!(!is_abandoned(made, Time::EPOCH), "a clock set back removes nothing");
    }
}
