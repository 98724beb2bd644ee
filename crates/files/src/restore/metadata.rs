//! Gives restored files their metadata: owner, attributes, mode, times, in this order.
//!
//! A change of owner takes setuid and capabilities off, a write moves the time, so the order
//! matters. Attributes that the entry does not have are taken off: the file had them before, or has
//! them from its folder, as a default ACL. What the system refuses is named and the rest is done
//! all the same. DESIGN.md §10.

use format::{EntryKind, Extra, FileEntry, Timestamp};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::options::{Devices, Owner, Privileges, RestoreOptions, RestoreReport};
use crate::extra::{CAPABILITY, is_kept, kept_names};
use crate::owners::OwnerNumbers;
use crate::walk::describe;

/// How metadata is restored by this user.
#[derive(Debug)]
pub(crate) struct Rules {
    privileges: Privileges,
    /// Whether device files are made.
    pub(crate) devices: Devices,
    owner: Owner,
    is_root: bool,
    numbers: OwnerNumbers,
}

/// Whose an entry is by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owned {
    /// Its own owner's and group's.
    ByItsOwner,
    /// Somebody else's, to whom it gave no rights.
    ByAnother,
}

/// The bits that give the rights of others.
const SETUID_SETGID: u16 = 0o6000;

impl Rules {
    pub(crate) fn new(options: &RestoreOptions) -> Self {
        let RestoreOptions { privileges, devices, owner, numeric_ids, .. } = *options;
        let is_root = rustix::process::geteuid().is_root();
        let numbers = match numeric_ids || owner == Owner::No {
            true => OwnerNumbers::none(),
            false => OwnerNumbers::of_system(),
        };
        Self { privileges, devices, owner, is_root, numbers }
    }

    /// User and group that an entry gets; `None` when it is left with what it has.
    pub(crate) fn owner_of(&self, entry: &FileEntry) -> Option<(u32, u32)> {
        let is_set = match self.owner {
            Owner::Auto => self.is_root,
            Owner::Yes => true,
            Owner::No => false,
        };
        is_set.then(|| self.numbers.owner(entry))
    }

    /// Gives an open file or folder what its entry says.
    pub(crate) fn apply(
        &self,
        file: &OwnedFd,
        path: &[u8],
        entry: &FileEntry,
        extra: &Extra,
        report: &mut RestoreReport,
    ) {
        let mut failed = Failures::default();
        let own = |uid, gid| rustix::fs::fchown(file, Some(uid), Some(gid));
        let owned = self.own(entry, own, &mut failed, report);
        let wanted: Vec<_> = self.xattrs(extra, report).collect();
        let has = kept_names(|buffer| rustix::fs::flistxattr(file, buffer));
        for name in has.iter().filter(|name| wanted.iter().all(|xattr| xattr.name != **name)) {
            let taken = rustix::fs::fremovexattr(file, &name[..]);
            failed.note(&String::from_utf8_lossy(name), taken);
        }
        for xattr in wanted {
            let set =
                rustix::fs::fsetxattr(file, &xattr.name[..], &xattr.value, XattrFlags::empty());
            failed.note(&String::from_utf8_lossy(&xattr.name), set);
        }
        let mode = Mode::from_raw_mode(self.mode(entry, owned, report).into());
        failed.note("mode", rustix::fs::fchmod(file, mode));
        failed.note("mtime", rustix::fs::futimens(file, &times(entry.mtime)));
        failed.report(path, report);
    }

    /// Gives a link, pipe, socket or device, by its name, what its entry says.
    pub(crate) fn apply_at(
        &self,
        (folder, name): (&OwnedFd, &[u8]),
        path: &[u8],
        entry: &FileEntry,
        extra: &Extra,
        report: &mut RestoreReport,
    ) {
        let mut failed = Failures::default();
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let own = |uid, gid| rustix::fs::chownat(folder, name, Some(uid), Some(gid), flags);
        let owned = self.own(entry, own, &mut failed, report);
        #[cfg(target_os = "linux")]
        {
            let at = crate::extra::path_through_proc(folder, name);
            for xattr in self.xattrs(extra, report) {
                let (name, value) = (&xattr.name[..], &xattr.value[..]);
                let set = rustix::fs::lsetxattr(&at[..], name, value, XattrFlags::empty());
                failed.note(&String::from_utf8_lossy(name), set);
            }
        }
        if entry.kind != EntryKind::Symlink {
            let mode = Mode::from_raw_mode(self.mode(entry, owned, report).into());
            failed.note("mode", chmod_without_following(folder, name, mode));
        }
        let set = rustix::fs::utimensat(folder, name, &times(entry.mtime), flags);
        failed.note("mtime", set);
        failed.report(path, report);
    }

    /// Gives an entry its owner, if this user may.
    fn own(
        &self,
        entry: &FileEntry,
        own: impl FnOnce(Uid, Gid) -> Result<(), Errno>,
        failed: &mut Failures,
        report: &mut RestoreReport,
    ) -> Owned {
        let is_owned = match self.owner_of(entry) {
            Some((uid, gid)) => {
                let owned = own(Uid::from_raw(uid), Gid::from_raw(gid));
                failed.note("owner", owned);
                owned.is_ok()
            }
            None => {
                let is_of_another = entry.uid != rustix::process::geteuid().as_raw();
                let is_asked = self.owner == Owner::Auto;
                report.counts.owners_skipped += u64::from(is_asked && is_of_another);
                !is_of_another && entry.gid == rustix::process::getegid().as_raw()
            }
        };
        if is_owned { Owned::ByItsOwner } else { Owned::ByAnother }
    }

    /// The mode that a restored entry gets.
    fn mode(&self, entry: &FileEntry, owned: Owned, report: &mut RestoreReport) -> u16 {
        match (self.privileges, owned) {
            (Privileges::Keep, Owned::ByItsOwner) => entry.mode,
            // On a folder, setgid gives no rights: it says whose group new files get.
            _ if entry.kind == EntryKind::Folder => entry.mode,
            // Kept for another owner, setuid would give rights that nobody gave.
            _ => {
                report.counts.privileges_masked += u64::from(entry.mode & SETUID_SETGID != 0);
                entry.mode & !SETUID_SETGID
            }
        }
    }

    fn xattrs<'e>(
        &self,
        extra: &'e Extra,
        report: &mut RestoreReport,
    ) -> impl Iterator<Item = &'e format::Xattr> + use<'e> {
        let masks = self.privileges == Privileges::Mask;
        let has_capability = extra.xattrs.iter().any(|xattr| xattr.name == CAPABILITY);
        report.counts.privileges_masked += u64::from(masks && has_capability);
        let is_wanted = move |name: &[u8]| is_kept(name) && !(masks && name == CAPABILITY);
        extra.xattrs.iter().filter(move |xattr| is_wanted(&xattr.name))
    }
}

/// What the system refused, joined into one problem per file.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn note(&mut self, what: &str, result: Result<(), Errno>) {
        if let Err(error) = result {
            self.0.push(format!("{what}: {}", describe(error)));
        }
    }

    fn report(self, path: &[u8], report: &mut RestoreReport) {
        if !self.0.is_empty() {
            report.metadata.add(path, self.0.join(", "));
        }
    }
}

/// Sets the mtime; the access time stays.
fn times(mtime: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() },
    }
}

/// Changes the mode of the very inode that the name stands for now, and of no link's target.
#[cfg(target_os = "linux")]
fn chmod_without_following(folder: impl AsFd, name: &[u8], mode: Mode) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{CWD, FileType, OFlags};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())
}

#[cfg(not(target_os = "linux"))]
fn chmod_without_following(folder: impl AsFd, name: &[u8], mode: Mode) -> Result<(), Errno> {
    rustix::fs::chmodat(folder, name, mode, AtFlags::SYMLINK_NOFOLLOW)
}
