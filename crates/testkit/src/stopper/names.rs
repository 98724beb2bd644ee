//! The names below a folder, as a power cut would leave them: as they were when each folder was
//! last synced.
//!
//! A folder's listing is noted when tracing begins and whenever it is synced, and each file in it
//! gets one more name in a folder aside, so that it can be put back after it was replaced. Folders
//! are known by their paths: none is renamed. A folder that was made and never synced is empty
//! after a cut; one whose parent was not synced is gone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Inode, inode};

#[derive(Debug)]
pub(super) struct Names {
    root: PathBuf,
    /// Holds a name of each file that was listed.
    aside: PathBuf,
    folders: BTreeMap<PathBuf, Listing>,
}

pub(super) type Listing = BTreeMap<OsString, Entry>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    File(Inode),
    Folder,
}

impl Names {
    /// Takes all that is below a folder now for synced.
    pub(super) fn begin(root: &Path) -> io::Result<Self> {
        let aside = root.with_extension("aside");
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&aside)?,
        }
        let mut names = Self { root: root.to_owned(), aside, folders: BTreeMap::new() };
        names.sync_all()?;
        Ok(names)
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// All folders were synced.
    pub(super) fn sync_all(&mut self) -> io::Result<()> {
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let listing = self.sync(&folder)?;
            let below = listing.iter().filter(|(_, entry)| matches!(entry, Entry::Folder));
            folders.extend(below.map(|(name, _)| folder.join(name)));
        }
        Ok(())
    }

    /// A folder was synced; one that lies elsewhere does not count.
    pub(super) fn sync(&mut self, folder: &Path) -> io::Result<Listing> {
        let mut listing = Listing::new();
        if !folder.starts_with(&self.root) {
            return Ok(listing);
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            // Another thread may have removed it meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            let at = inode(&metadata);
            if metadata.is_dir() {
                listing.insert(entry.file_name(), Entry::Folder);
            } else if metadata.is_file() {
                match fs::hard_link(entry.path(), self.kept(at)) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                    _ => drop(listing.insert(entry.file_name(), Entry::File(at))),
                }
            }
        }
        self.folders.insert(folder.to_owned(), listing.clone());
        Ok(listing)
    }

    /// Puts back what was there when it was last synced; gives how many names come or go.
    pub(super) fn cut(&self) -> io::Result<usize> {
        self.put_back(&self.root)
    }

    fn put_back(&self, folder: &Path) -> io::Result<usize> {
        let mut missing = self.folders.get(folder).cloned().unwrap_or_default();
        let mut changed = 0;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let found = match metadata.is_dir() {
                true => Entry::Folder,
                false => Entry::File(inode(&metadata)),
            };
            if missing.get(&entry.file_name()) == Some(&found) {
                missing.remove(&entry.file_name());
                if found == Entry::Folder {
                    changed += self.put_back(&entry.path())?;
                }
            } else {
                changed += 1;
                match found {
                    Entry::Folder => fs::remove_dir_all(entry.path())?,
                    Entry::File(_) => fs::remove_file(entry.path())?,
                }
            }
        }
        for (name, entry) in missing {
            changed += 1;
            let path = folder.join(name);
            match entry {
                Entry::File(at) => fs::hard_link(self.kept(at), path)?,
                Entry::Folder => {
                    fs::create_dir(&path)?;
                    self.put_back(&path)?;
                }
            }
        }
        Ok(changed)
    }

    fn kept(&self, (device, number): Inode) -> PathBuf {
        self.aside.join(format!("{device}-{number}"))
    }
}
