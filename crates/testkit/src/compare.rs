//! Looks at a tree with all that its file system says of it.
//!
//! Two trees are equal when [`look`] gives equal maps: every type, mode, owner, time to the
//! nanosecond, size, content, link target, attribute, hard link and, for sparse files, holes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};

/// What is seen of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Type and mode bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Seconds and nanoseconds of the last change of content.
    pub mtime: (i64, i64),
    /// Size of a file in bytes.
    pub size: u64,
    /// Content of a file, or target of a link.
    pub content: Vec<u8>,
    /// Extended attributes.
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first path of the same inode, for files with several.
    pub linked_to: Option<PathBuf>,
    /// Whether less is stored than the size says.
    pub sparse: bool,
}

/// Every file below a root, by its path from there. The root itself is the empty path.
///
/// # Errors
/// Those of the file system.
pub fn look(root: &Path) -> std::io::Result<BTreeMap<PathBuf, Seen>> {
    let mut seen = BTreeMap::new();
    let mut links = BTreeMap::new();
    look_below(root, Path::new(""), &mut seen, &mut links)?;
    Ok(seen)
}

fn look_below(
    root: &Path,
    relative: &Path,
    seen: &mut BTreeMap<PathBuf, Seen>,
    links: &mut BTreeMap<(u64, u64), PathBuf>,
) -> std::io::Result<()> {
    let path = if relative.as_os_str().is_empty() { root.into() } else { root.join(relative) };
    let metadata = fs::symlink_metadata(&path)?;
    let file_type = metadata.file_type();
    let content = if file_type.is_symlink() {
        fs::read_link(&path)?.as_os_str().as_bytes().to_vec()
    } else if file_type.is_file() {
        fs::read(&path)?
    } else {
        Vec::new()
    };
    let several = metadata.nlink() > 1 && !file_type.is_dir();
    let linked_to = several.then(|| {
        let inode = (metadata.dev(), metadata.ino());
        links.entry(inode).or_insert_with(|| relative.to_path_buf()).clone()
    });
    let file = file_type.is_file();
    seen.insert(
        relative.to_path_buf(),
        Seen {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            size: if file { metadata.size() } else { 0 },
            content,
            attributes: attributes(&path, file_type.is_socket())?,
            linked_to,
            sparse: file && metadata.blocks() * 512 + 65_536 < metadata.size(),
        },
    );
    if file_type.is_dir() {
        let mut names: Vec<_> = fs::read_dir(&path)?.collect::<std::io::Result<_>>()?;
        names.sort_by_key(fs::DirEntry::file_name);
        for entry in names {
            look_below(root, &relative.join(entry.file_name()), seen, links)?;
        }
    }
    Ok(())
}

fn attributes(path: &Path, skip: bool) -> std::io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut names = vec![0u8; 65_536];
    if skip {
        return Ok(found);
    }
    let Ok(length) = llistxattr(path, &mut names) else { return Ok(found) };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0u8; 65_536];
        let length = lgetxattr(path, std::ffi::OsStr::from_bytes(name), &mut value)?;
        value.truncate(length);
        found.insert(name.to_vec(), value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Forest, Nastiness};

    #[test]
    fn one_seed_grows_one_tree() {
        let base = std::env::temp_dir().join(format!("strongroom-testkit-{}", std::process::id()));
        let roots = [base.join("a"), base.join("b")];
        for root in &roots {
            Forest::new(7).grow(root, 20, Nastiness::Nasty).unwrap();
        }
        let [a, b] = roots.map(|root| look(&root).unwrap());
        fs::remove_dir_all(&base).unwrap();
        assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
        for (path, seen) in &a {
            assert_eq!(Some(seen), b.get(path), "{path:?}");
        }
        assert!(a.values().any(|seen| seen.sparse) && a.values().any(|s| s.linked_to.is_some()));
    }
}
