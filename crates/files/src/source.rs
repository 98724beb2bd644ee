//! The paths that a backup is of: absolute, sorted, none inside another.
//!
//! A path's folder is resolved, its last name is not: who names a link backs up the link. What
//! leads to a path is part of the snapshot too, as folders of which nothing else is read.
//! DESIGN.md §10.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use format::{DESCRIPTOR_BYTES_MAX, PATHS_MAX, PathKey};

use crate::error::PathText;
use crate::{Error, Result};

/// The absolute path, as bytes, of `path` as seen from the folder `current`.
///
/// All links but the last name are resolved, so the path is where the file really lies.
pub fn absolute_path(current: &Path, path: &Path) -> Result<Vec<u8>> {
    let whole = current.join(path);
    if !whole.is_absolute() {
        return Err(Error::NotAbsolute { path: PathText::new(whole.as_os_str().as_bytes()) });
    }
    let ends_in_name = !path.as_os_str().as_bytes().ends_with(b"/.")
        && matches!(whole.components().next_back(), Some(Component::Normal(_)));
    let resolved = match (ends_in_name, whole.parent(), whole.file_name()) {
        (true, Some(parent), Some(name)) => canonical(parent)?.join(name),
        _ => canonical(&whole)?,
    };
    Ok(resolved.into_os_string().into_vec())
}

fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|source| Error::System {
        action: "resolving",
        path: PathText::new(path.as_os_str().as_bytes()),
        source,
    })
}

/// The paths of a source, as a tree of names.
#[derive(Debug, Default)]
pub(crate) struct Source {
    paths: Vec<Vec<u8>>,
    root: Place,
}

/// A place on the way to a path of the source, or the path itself.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// What leads on; empty for a path of the source.
    pub(crate) below: BTreeMap<Vec<u8>, Place>,
}

impl Place {
    /// Whether this is a path of the source, so that all below belongs to it.
    pub(crate) fn is_whole(&self) -> bool {
        self.below.is_empty()
    }
}

impl Source {
    /// Sorts paths, drops doubles and what lies within another.
    pub(crate) fn new(paths: &[Vec<u8>]) -> Result<Self> {
        let mut split = Vec::with_capacity(paths.len());
        for path in paths {
            if !path.starts_with(b"/") {
                return Err(Error::NotAbsolute { path: PathText::new(path) });
            }
            let key = PathKey::from_path(path)
                .map_err(|source| Error::Path { path: PathText::new(path), source })?;
            split.push(key.components().unwrap_or_default());
        }
        split.sort();
        let mut source = Self::default();
        let mut kept: Vec<Vec<Vec<u8>>> = Vec::new();
        for components in split {
            if kept.last().is_some_and(|last| components.starts_with(last)) {
                continue;
            }
            source.paths.push(joined(&components));
            let mut place = &mut source.root;
            for component in &components {
                place = place.below.entry(component.clone()).or_default();
            }
            kept.push(components);
        }
        source.paths.sort();
        Ok(source)
    }

    /// The paths, sorted.
    #[cfg(test)]
    pub(crate) fn paths(&self) -> &[Vec<u8>] {
        &self.paths
    }

    /// The paths as a snapshot names them: when a list is too long for that, the deepest folders
    /// that hold them all and are few enough.
    pub(crate) fn named(&self) -> Vec<Vec<u8>> {
        let depth = |path: &Vec<u8>| path.iter().filter(|byte| **byte == b'/').count();
        let deepest = self.paths.iter().map(depth).max().unwrap_or(0);
        let fits = |paths: &[Vec<u8>]| {
            paths.len() <= PATHS_MAX && paths.iter().map(Vec::len).sum::<usize>() <= NAMED_BYTES_MAX
        };
        let mut named = self.paths.clone();
        for most in (1..deepest).rev() {
            if fits(&named) {
                return named;
            }
            for path in &mut named {
                let end = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').nth(most);
                if let Some((end, _)) = end {
                    path.truncate(end);
                }
            }
            named.sort();
            named.dedup();
        }
        if fits(&named) { named } else { vec![b"/".to_vec()] }
    }

    pub(crate) fn into_root(self) -> Place {
        self.root
    }
}

/// A snapshot's descriptor has room for names, tags and so many bytes of paths.
const NAMED_BYTES_MAX: usize = DESCRIPTOR_BYTES_MAX / 2;

fn joined(components: &[Vec<u8>]) -> Vec<u8> {
    match components.is_empty() {
        true => b"/".to_vec(),
        false => components.iter().flat_map(|c| [b"/", &c[..]].concat()).collect(),
    }
}

/// The path of `name` in `folder`.
pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
    path.extend_from_slice(folder);
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Bytes as a path of this system.
pub(crate) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(paths: &[&str]) -> Result<Source> {
        Source::new(&paths.iter().map(|p| p.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn doubles_and_nested_paths_are_named_once() {
        let merged = source(&["/b/c", "/a-b", "/a/", "/b/c/d", "//a//x", "/b/c"]).unwrap();
        assert_eq!(merged.paths(), [&b"/a"[..], b"/a-b", b"/b/c"]);
        assert_eq!(source(&["/x", "/"]).unwrap().paths(), [b"/"]);
        assert!(matches!(source(&["x"]), Err(Error::NotAbsolute { .. })));
        assert!(matches!(source(&["/x/../y"]), Err(Error::Path { .. })));
    }

    #[test]
    fn a_list_that_is_too_long_is_named_by_its_folders() {
        let list = |folders: usize, files: usize| -> Vec<Vec<u8>> {
            let of = |folder: usize| (0..files).map(move |f| format!("/srv/{folder}/d/{f}"));
            (0..folders).flat_map(of).map(String::into_bytes).collect()
        };
        let named = |paths: &[Vec<u8>]| Source::new(paths).unwrap().named();
        assert_eq!(named(&list(2, 2)).len(), 4);
        assert_eq!(named(&list(2, 3000)), [&b"/srv/0/d"[..], b"/srv/1/d"]);
        assert_eq!(named(&list(4097, 1)), [b"/srv"]);
        let flat: Vec<_> = (0..5000).map(|n| format!("/{n}").into_bytes()).collect();
        assert_eq!(named(&flat), [b"/"]);
    }

    #[test]
    fn only_the_last_name_of_a_path_may_be_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("real")).unwrap();
        std::os::unix::fs::symlink("real", base.join("link")).unwrap();

        let of = |path: &str| absolute_path(&base, Path::new(path)).unwrap();

        assert_eq!(of("link"), base.join("link").as_os_str().as_bytes());
        assert_eq!(of("link/x"), base.join("real/x").as_os_str().as_bytes());
        assert_eq!(of("link/."), base.join("real").as_os_str().as_bytes());
        assert_eq!(of("real/.."), base.as_os_str().as_bytes());
        assert_eq!(of("/"), b"/");
    }
}
