//! Paths as keys of a file tree.
//!
//! The key of `/c1/c2/…/cn` is `01 esc(c1) 01 … esc(c[n-1]) 00 esc(cn)`: each name follows a
//! separator, the last one 00, those before it 01. The root is the empty key. So a folder's listing
//! is one range of keys and its subtree is one range, listing first. `esc` keeps the order of bytes
//! and frees 01: 01 → 02 02, 02 → 02 03; no name holds 00. Names are bytes, not text. FORMAT.md §8.

use std::ops::Range;

use crate::PATH_BYTES_MAX;

/// The key of a file, folder or link in a file tree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PathKey(Vec<u8>);

impl PathKey {
    /// The key of the root folder.
    pub fn root() -> Self {
        Self::default()
    }

    /// The key of the path with these components, from the root.
    pub fn from_components<'a>(
        components: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, PathKeyError> {
        let mut key = Vec::new();
        let mut last = None;
        for component in components {
            check_name(component)?;
            if let Some(separator) = last.replace(key.len()) {
                key[separator] = 1;
            }
            key.push(0);
            push_escaped(&mut key, component)?;
        }
        Ok(Self(key))
    }

    /// The key of an absolute path, such as `/srv/data`; empty components are passed over.
    pub fn from_path(path: &[u8]) -> Result<Self, PathKeyError> {
        Self::from_components(path.split(|byte| *byte == b'/').filter(|c| !c.is_empty()))
    }

    /// The key of what is called `name` in this folder.
    pub fn child(&self, name: &[u8]) -> Result<Self, PathKeyError> {
        check_name(name)?;
        let mut key = self.listing_prefix();
        push_escaped(&mut key, name)?;
        Ok(Self(key))
    }

    /// Reads a key that a tree holds.
    pub fn decode(bytes: &[u8]) -> Result<Self, PathKeyError> {
        if bytes.len() > PATH_BYTES_MAX {
            return Err(PathKeyError::Long { length: bytes.len() });
        }
        let key = Self(bytes.to_vec());
        let again = Self::from_components(key.components()?.iter().map(|c| &c[..]))?;
        if again != key {
            return Err(PathKeyError::Malformed);
        }
        Ok(key)
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root folder's key.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The names from the root down.
    pub fn components(&self) -> Result<Vec<Vec<u8>>, PathKeyError> {
        let mut components: Vec<Vec<u8>> = Vec::new();
        let mut bytes = self.0.iter();
        while let Some(byte) = bytes.next() {
            if matches!(byte, 0 | 1) {
                components.push(Vec::new());
                continue;
            }
            let last = components.last_mut().ok_or(PathKeyError::Malformed)?;
            match byte {
                2 => match bytes.next() {
                    Some(escaped @ 2..=3) => last.push(escaped - 1),
                    _ => return Err(PathKeyError::Malformed),
                },
                _ => last.push(*byte),
            }
        }
        Ok(components)
    }

    /// The absolute path, such as `/srv/data`.
    pub fn to_path(&self) -> Result<Vec<u8>, PathKeyError> {
        if self.is_root() {
            return Ok(b"/".to_vec());
        }
        let mut path = Vec::with_capacity(self.0.len() + 1);
        for component in self.components()? {
            path.push(b'/');
            path.extend_from_slice(&component);
        }
        Ok(path)
    }

    /// The last name; `None` for the root.
    pub fn name(&self) -> Result<Option<Vec<u8>>, PathKeyError> {
        Ok(self.components()?.pop())
    }

    /// The folder that holds this; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let at = self.0.iter().rposition(|byte| *byte == 0)?;
        let mut key = self.0[..at].to_vec();
        if let Some(last) = key.iter().rposition(|byte| *byte == 1) {
            key[last] = 0;
        }
        Some(Self(key))
    }

    /// The range of keys of what lies directly in this folder.
    pub fn listing(&self) -> Range<Vec<u8>> {
        self.below(1)
    }

    /// The range of keys of all that lies below this folder.
    pub fn subtree(&self) -> Range<Vec<u8>> {
        self.below(2)
    }

    fn below(&self, end_separator: u8) -> Range<Vec<u8>> {
        let start = self.listing_prefix();
        let mut end = start.clone();
        if let Some(last) = end.last_mut() {
            *last = end_separator;
        }
        start..end
    }

    /// What the keys of this folder's listing begin with.
    fn listing_prefix(&self) -> Vec<u8> {
        let mut prefix = self.0.clone();
        if let Some(last) = prefix.iter().rposition(|byte| *byte == 0) {
            prefix[last] = 1;
        }
        prefix.push(0);
        prefix
    }
}

impl std::fmt::Display for PathKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_path() {
            Ok(path) => f.write_str(&String::from_utf8_lossy(&path)),
            Err(_) => write!(f, "{:?}", self.0),
        }
    }
}

fn check_name(name: &[u8]) -> Result<(), PathKeyError> {
    let bad = matches!(name, b"" | b"." | b"..") || name.iter().any(|b| matches!(b, 0 | b'/'));
    match bad {
        true => Err(PathKeyError::Name { name: String::from_utf8_lossy(name).into_owned() }),
        false => Ok(()),
    }
}

fn push_escaped(key: &mut Vec<u8>, name: &[u8]) -> Result<(), PathKeyError> {
    for byte in name {
        match byte {
            1..=2 => key.extend_from_slice(&[2, byte + 1]),
            _ => key.push(*byte),
        }
    }
    match key.len() {
        0..=PATH_BYTES_MAX => Ok(()),
        length => Err(PathKeyError::Long { length }),
    }
}

/// Why something is no key of a file tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathKeyError {
    /// A name that no file has.
    #[error("{name:?} is not a file's name")]
    Name {
        /// The name.
        name: String,
    },
    /// A path beyond the limit.
    #[error("the path takes {length} bytes, the limit is {PATH_BYTES_MAX}")]
    Long {
        /// Its length, escaped.
        length: usize,
    },
    /// Bytes that are no key.
    #[error("the key of a file is malformed")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> PathKey {
        PathKey::from_path(path.as_bytes()).unwrap()
    }

    #[test]
    fn a_folder_s_listing_comes_before_what_lies_deeper() {
        let paths = [
            "/",
            "/a",
            "/b",
            "/b.c",
            "/a/x",
            "/a/x\u{1}",
            "/a/y",
            "/a/x/deep",
            "/a/y/deep",
            "/b/z",
        ];
        let keys: Vec<_> = paths.map(key).into();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        for (key, path) in keys.iter().zip(paths) {
            assert_eq!(key.to_path().unwrap(), path.as_bytes());
            assert_eq!(PathKey::decode(key.as_bytes()).as_ref(), Ok(key));
        }
    }

    #[test]
    fn listing_and_subtree_hold_exactly_what_lies_there() {
        let within = |range: Range<Vec<u8>>, path: &str| range.contains(&key(path).0);
        for (folder, inside, deep, outside) in [
            ("/", "/a", "/a/b", "/"),
            ("/a", "/a/b", "/a/b/c", "/ab"),
            ("/a", "/a/b", "/a/b/c", "/a"),
        ] {
            assert!(within(key(folder).listing(), inside));
            assert!(!within(key(folder).listing(), deep));
            assert!(within(key(folder).subtree(), inside));
            assert!(within(key(folder).subtree(), deep));
            assert!(!within(key(folder).subtree(), outside));
        }
        assert_eq!(key("/a/b/c").parent(), Some(key("/a/b")));
        assert_eq!(key("/a").parent(), Some(PathKey::root()));
        assert_eq!(PathKey::root().parent(), None);
    }

    #[test]
    fn the_deepest_path_reads_back_and_one_name_more_is_too_long() {
        let names = PATH_BYTES_MAX / 2;
        let deepest = PathKey::from_components(std::iter::repeat_n(&b"x"[..], names)).unwrap();
        assert_eq!(deepest.as_bytes().len(), PATH_BYTES_MAX);
        assert_eq!(PathKey::decode(deepest.as_bytes()), Ok(deepest.clone()));
        let long = PathKeyError::Long { length: PATH_BYTES_MAX + 2 };
        let more = std::iter::repeat_n(&b"x"[..], names + 1);
        assert_eq!(PathKey::from_components(more), Err(long.clone()));
        assert_eq!(deepest.child(b"x"), Err(long));
    }

    #[test]
    fn a_name_that_could_escape_is_refused() {
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0b"] {
            assert!(PathKey::root().child(name).is_err(), "{name:?}");
        }
        for malformed in [&b"a"[..], b"\x00", b"\x00a\x00b", b"\x01a", b"\x00a\x02", b"\x00.."] {
            assert!(PathKey::decode(malformed).is_err(), "{malformed:?}");
        }
    }
}
