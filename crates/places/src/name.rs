//! Names of objects, parsed once at the edge and never checked again.
//!
//! A name is components of `[0-9a-z-]` joined by single slashes, at most [`NAME_BYTES_MAX`] bytes.
//! So it is safe as a path below a folder (no dots, no `..`, no leading slash, no case folding) and
//! as a key in a bucket. Which names mean what is `format`'s business. DESIGN.md §4.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::Error;

/// The longest name of an object, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Names an object within a place, such as `ledger/000000000000002a`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(Arc<str>);

impl ObjectName {
    /// Takes `name` if it is well formed, else [`Error::Name`].
    pub fn parse(name: &str) -> Result<Self, Error> {
        check(name)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between slashes; at least one, none empty.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether the name lies below `prefix`.
    pub fn starts_with(&self, prefix: &NamePrefix) -> bool {
        self.0.starts_with(prefix.as_str())
    }

    /// The folder part without its slash (empty at the top) and the last component.
    pub(crate) fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

impl FromStr for ObjectName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::parse(name)
    }
}

impl AsRef<str> for ObjectName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Equal and ordered as its text, so a map by name can be asked with text.
impl Borrow<str> for ObjectName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the names of a listing have in common: empty, or whole components and a slash (`packs/`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NamePrefix(String);

impl NamePrefix {
    /// The empty prefix, which every name has.
    pub const fn everything() -> Self {
        Self(String::new())
    }

    /// Takes `prefix` if it is empty, or a well-formed name and a slash; else [`Error::Name`].
    pub fn parse(prefix: &str) -> Result<Self, Error> {
        if !prefix.is_empty() {
            match prefix.strip_suffix('/') {
                Some(folder) => check(folder)?,
                None => return Err(refuse(prefix, "a prefix is empty or ends in a slash")),
            }
        }
        Ok(Self(prefix.to_owned()))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NamePrefix {
    type Err = Error;

    fn from_str(prefix: &str) -> Result<Self, Error> {
        Self::parse(prefix)
    }
}

impl fmt::Display for NamePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NamePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn check(name: &str) -> Result<(), Error> {
    if name.len() > NAME_BYTES_MAX {
        return Err(refuse(name, "it is longer than 128 bytes"));
    }
    if name.split('/').any(str::is_empty) {
        return Err(refuse(name, "a component is empty"));
    }
    let allowed = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-' | b'/');
    if !name.bytes().all(allowed) {
        return Err(refuse(name, "only 0-9, a-z, - and / may occur"));
    }
    Ok(())
}

/// Quotes at most as much of a hostile name as a good name could have.
fn refuse(name: &str, reason: &'static str) -> Error {
    Error::Name { name: name.chars().take(NAME_BYTES_MAX).collect(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    #[test]
    fn the_names_of_a_vault_parse() {
        let hex = "0123456789abcdef".repeat(4);
        for name in ["config", "replica", "a-b/0", &format!("packs/01/{hex}")] {
            assert_eq!(name.parse::<ObjectName>().unwrap().to_string(), name);
        }
        ObjectName::parse(&"a".repeat(NAME_BYTES_MAX)).unwrap();
    }

    #[test]
    fn whatever_could_leave_the_folder_is_refused() {
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        let bad =
            ["", "/", "/a", "a/", "a//b", "..", "../a", ".tmp", "A", "a b", "a\0", "ä", &long];
        for name in bad {
            assert_eq!(ObjectName::parse(name).unwrap_err().kind(), ErrorKind::Invalid, "{name:?}");
        }
    }

    #[test]
    fn a_prefix_is_empty_or_whole_components() {
        let everything = NamePrefix::parse("").unwrap();
        assert_eq!(everything, NamePrefix::everything());
        assert!(ObjectName::parse("a/b").unwrap().starts_with(&everything));
        assert!(!ObjectName::parse("a/bc/d").unwrap().starts_with(&"a/b/".parse().unwrap()));
        for prefix in ["a", "/", "a//", "../"] {
            NamePrefix::parse(prefix).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_it_was(text in "[0-9a-zA-Z/.-]{0,140}") {
            if let Ok(name) = ObjectName::parse(&text) {
                prop_assert_eq!(name.as_str(), text.as_str());
                prop_assert!(name.components().all(|part| !part.is_empty()));
                let folder = format!("{}/", name);
                prop_assert!(NamePrefix::parse(&folder).is_ok());
            }
        }
    }
}
