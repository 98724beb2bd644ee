//! The walk of a listing: one folder open at a time, names never collected.
//!
//! Dot-names, names no object can have, and anything that is no regular file are foreign and are
//! passed over; what vanishes during the walk is as if it had never been there. Memory holds only
//! the folders still to visit.

use rustix::fs::{self, AtFlags, Dir, DirEntry, FileType};
use rustix::io::Errno;

use super::{FolderPlace, modified_at};
use crate::error::Result;
use crate::name::{NamePrefix, ObjectName};
use crate::place::Listed;

/// Iterates over the objects below a prefix.
pub(super) struct Walk<'a> {
    place: &'a FolderPlace,
    start_after: Option<ObjectName>,
    /// Folders still to visit, as names without a slash at the end; empty is the root.
    pending: Vec<String>,
    open: Option<(String, Dir)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        place: &'a FolderPlace,
        prefix: &NamePrefix,
        start_after: Option<&ObjectName>,
    ) -> Self {
        let folder = prefix.as_str().trim_end_matches('/').to_owned();
        Self { place, start_after: start_after.cloned(), pending: vec![folder], open: None }
    }

    fn step(&mut self) -> Result<Option<Listed>> {
        loop {
            if self.open.is_none() {
                match self.pending.pop() {
                    Some(folder) => self.enter(folder)?,
                    None => return Ok(None),
                }
            }
            let Some((folder, dir)) = &mut self.open else { continue };
            match dir.read() {
                None => self.open = None,
                Some(Err(errno)) => return Err(self.place.unavailable(folder, errno)),
                Some(Ok(entry)) => {
                    let Some(name) = object_name(folder, &entry) else { continue };
                    if let Some(listed) = self.meet(name, &entry)? {
                        return Ok(Some(listed));
                    }
                }
            }
        }
    }

    /// Opens the next folder, unless it vanished or was never there.
    fn enter(&mut self, folder: String) -> Result<()> {
        match self.place.open_folder(&folder).and_then(Dir::new) {
            Ok(dir) => self.open = Some((folder, dir)),
            Err(Errno::NOENT) => {}
            Err(errno) => {
                return Err(match ObjectName::parse(&folder) {
                    Ok(name) => self.place.error(&name, errno),
                    Err(_) => self.place.unavailable("its own folder", errno),
                });
            }
        }
        Ok(())
    }

    /// Keeps a folder for later, tells of an object, passes over the rest.
    fn meet(&mut self, name: ObjectName, entry: &DirEntry) -> Result<Option<Listed>> {
        // Not every file system says the type in the entry itself.
        if !matches!(
            entry.file_type(),
            FileType::Directory | FileType::RegularFile | FileType::Unknown
        ) {
            return Ok(None);
        }
        if entry.file_type() == FileType::RegularFile && !self.is_wanted(&name) {
            return Ok(None);
        }
        let Some((_, dir)) = &self.open else { return Ok(None) };
        let found = match dir
            .fd()
            .and_then(|folder| fs::statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW))
        {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.place.error(&name, errno)),
        };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                if self.may_hold_wanted(&name) {
                    self.pending.push(name.to_string());
                }
                Ok(None)
            }
            FileType::RegularFile if self.is_wanted(&name) => Ok(Some(Listed {
                name,
                size: found.st_size as u64,
                stored_at: modified_at(&found),
            })),
            _ => Ok(None),
        }
    }

    fn is_wanted(&self, name: &ObjectName) -> bool {
        self.start_after.as_ref().is_none_or(|start_after| name > start_after)
    }

    fn may_hold_wanted(&self, folder: &ObjectName) -> bool {
        let below = format!("{folder}/");
        self.start_after.as_ref().is_none_or(|start_after| {
            let start_after = start_after.as_str();
            below.as_str() > start_after || start_after.starts_with(&below)
        })
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Listed>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if matches!(step, Some(Err(_))) {
            self.open = None;
            self.pending.clear();
        }
        step
    }
}

fn object_name(folder: &str, entry: &DirEntry) -> Option<ObjectName> {
    let last = entry.file_name().to_str().ok()?;
    let name = if folder.is_empty() { last.to_owned() } else { format!("{folder}/{last}") };
    ObjectName::parse(&name).ok()
}
