//! Where a copied snapshot came from.
//!
//! A copy carries a mark among its descriptor's tags: `copy-of:`, the id of the vault, `:`, the id
//! of the snapshot. Nobody can type such a tag, for tags have no `:`, and no `tag` record takes it
//! away, for descriptors never change. Marks are told apart from tags when a snapshot is read, so
//! filters, rules and listings never meet them. A copy of a copy carries both marks. FORMAT.md
//! §8.7.

use std::fmt;

use crypto::{SessionId, VaultId};
use format::{Descriptor, TAGS_MAX};

use crate::{Error, Result, Snapshot};

/// The snapshot of another vault, or domain, that a snapshot is a copy of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The vault.
    pub vault: VaultId,
    /// The snapshot in it.
    pub snapshot: SessionId,
}

const MARK: &str = "copy-of:";

impl Origin {
    /// What a tag says, if it is a mark.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let (vault, snapshot) = tag.strip_prefix(MARK)?.split_once(':')?;
        let origin = Self { vault: vault.parse().ok()?, snapshot: snapshot.parse().ok()? };
        (origin.to_string() == tag).then_some(origin)
    }

    /// All that a descriptor names, in the order of their marks.
    pub fn of_descriptor(descriptor: &Descriptor) -> Vec<Self> {
        descriptor.tags.iter().filter_map(|tag| Self::of_tag(tag)).collect()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}:{}", self.vault, self.snapshot)
    }
}

impl Snapshot {
    /// What it is a copy of: nothing for a backup, one snapshot for a copy, more for a copy of a
    /// copy.
    pub fn origins(&self) -> Vec<Origin> {
        self.descriptor.as_ref().map(Origin::of_descriptor).unwrap_or_default()
    }
}

/// The tags of a descriptor without the marks among them.
pub(crate) fn plain_tags(descriptor: &Descriptor) -> Vec<String> {
    descriptor.tags.iter().filter(|tag| Origin::of_tag(tag).is_none()).cloned().collect()
}

/// The tags of a copy: those in force of what is copied, and its marks.
///
/// # Errors
/// [`Error::OutOfLimits`] when a descriptor cannot hold so many.
pub fn tags_of_copy(tags: &[String], origins: &[Origin]) -> Result<Vec<String>> {
    let marks = origins.iter().map(Origin::to_string);
    let mut all: Vec<_> = tags.iter().cloned().chain(marks).collect();
    all.sort_unstable();
    all.dedup();
    match all.len() <= TAGS_MAX {
        true => Ok(all),
        false => Err(Error::OutOfLimits {
            what: "the number of tags of a copy, with what it is a copy of,",
            value: all.len() as u64,
            least: 1,
            most: TAGS_MAX as u64,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_is_written_and_no_other_tag_is_one() {
        let origin = Origin {
            vault: "ab".repeat(32).parse().unwrap(),
            snapshot: "0c".repeat(16).parse().unwrap(),
        };
        let tag = origin.to_string();
        assert_eq!(Origin::of_tag(&tag), Some(origin));
        assert!(crate::check_label("the tag", &tag).is_err(), "nobody can type it");
        let wrong = ["nightly", "copy-of:", "copy-of:ab:0c", &tag.to_uppercase(), &tag[1..]];
        for tag in wrong {
            assert_eq!(Origin::of_tag(tag), None, "{tag}");
        }
    }

    #[test]
    fn a_copy_has_no_more_tags_than_a_descriptor_holds() {
        let origin = Origin {
            vault: "ab".repeat(32).parse().unwrap(),
            snapshot: "0c".repeat(16).parse().unwrap(),
        };
        let tags: Vec<_> = (0..TAGS_MAX).map(|n| format!("tag-{n}")).collect();
        assert!(tags_of_copy(&tags, &[origin]).is_err());
        let fitting = tags_of_copy(&tags[1..], &[origin, origin]).unwrap();
        assert_eq!(fitting.len(), TAGS_MAX);
        assert!(fitting.is_sorted());
    }
}
