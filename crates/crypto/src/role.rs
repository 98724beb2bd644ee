//! What a member may do, as the set of keys that its role holds.
//!
//! A role is enforced by what it cannot decrypt, not by a promise: the table in [`Role::holds`]
//! is the whole of it. Its order is also the order of the keys in a bundle. DESIGN §6.

use crate::{DecodeError, Error};

/// What a member may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Role {
    /// Holds the root secret: everything.
    Owner = 1,
    /// Lists, restores, verifies.
    Reader = 2,
    /// Lists snapshots and paths, cannot read content.
    Browser = 3,
    /// Backs up within its domain, cannot open any pack.
    Writer = 4,
    /// Forgets and frees space, cannot read content.
    Collector = 5,
    /// Checks the ledger, reads nothing else.
    Auditor = 6,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Owner, Self::Reader, Self::Browser, Self::Writer, Self::Collector, Self::Auditor];

    /// The role with this code.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] for any other code.
    pub fn from_u8(code: u8) -> Result<Self, DecodeError> {
        Self::ALL.into_iter().find(|role| role.to_u8() == code).ok_or(DecodeError::Invalid {
            at: 0,
            what: "role",
            value: code.into(),
        })
    }

    /// The code that stands in bundles and certificates.
    pub const fn to_u8(self) -> u8 {
        self as u8
    }

    /// Whether the role's bundle carries the key. The owner's carries none: it derives them all.
    pub(crate) const fn holds(self, key: HeldKey) -> bool {
        use HeldKey::{Content, Index, Ledger, Meta, NodeNames};
        match self {
            Self::Owner => false,
            Self::Reader => true,
            Self::Browser | Self::Collector => matches!(key, Meta | NodeNames | Index | Ledger),
            Self::Writer => !matches!(key, Meta | Content),
            Self::Auditor => matches!(key, Ledger),
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner",
            Self::Reader => "reader",
            Self::Browser => "browser",
            Self::Writer => "writer",
            Self::Collector => "collector",
            Self::Auditor => "auditor",
        })
    }
}

impl std::str::FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|role| role.to_string() == text).ok_or_else(|| {
            Error::UnknownName { what: "role", name: text.chars().take(80).collect() }
        })
    }
}

/// A key that a role's bundle may carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeldKey {
    ContentNames,
    NodeNames,
    Chunker,
    Tree,
    Ledger,
    Index,
    Meta,
    Content,
}

impl HeldKey {
    /// Those that never rotate, in the order of a bundle.
    pub(crate) const LASTING: [Self; 4] =
        [Self::ContentNames, Self::NodeNames, Self::Chunker, Self::Tree];

    /// Those of one epoch, in the order of a bundle.
    pub(crate) const OF_EPOCH: [Self; 4] = [Self::Ledger, Self::Index, Self::Meta, Self::Content];

    /// For messages: "the role … holds no key for …".
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::ContentNames => "content chunk ids",
            Self::NodeNames => "metadata chunk ids",
            Self::Chunker => "the chunker",
            Self::Tree => "tree boundaries",
            Self::Ledger => "ledger bodies",
            Self::Index => "index runs",
            Self::Meta => "metadata packs",
            Self::Content => "content packs",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_reads_back_from_its_name_and_its_code() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(Role::from_u8(role.to_u8()), Ok(role));
        }
        assert!("Owner".parse::<Role>().is_err());
        assert!(Role::from_u8(0).is_err() && Role::from_u8(7).is_err());
    }
}
