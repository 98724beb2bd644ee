//! What can end a backup, a listing or a restore.
//!
//! Only what stops the whole work is an [`Error`]; what concerns one file is a [`Problem`] in the
//! report, and the work goes on. Paths are bytes and are shown as well as they can be. DESIGN.md
//! §10.

use std::fmt;

use format::{DecodeError, PathKeyError};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the work could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The vault refused or is damaged.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// A tree of the vault cannot be read.
    #[error("the file tree below {path} cannot be read: {message}")]
    Tree {
        /// Where reading stood.
        path: PathText,
        /// What is wrong.
        message: String,
    },
    /// The operating system refused.
    #[error("{action} {path}: {source}")]
    System {
        /// What was tried, such as `opening`.
        action: &'static str,
        /// With which file.
        path: PathText,
        /// What the system said.
        source: std::io::Error,
    },
    /// A path to back up is not absolute.
    #[error("{path} is not an absolute path")]
    NotAbsolute {
        /// The path.
        path: PathText,
    },
    /// A path that no file tree can hold.
    #[error("{path}: {source}")]
    Path {
        /// The path.
        path: PathText,
        /// Why not.
        source: PathKeyError,
    },
    /// Nothing was named that could be backed up.
    #[error("none of the {count} paths to back up exists, the first is {path}")]
    NoSource {
        /// How many were named.
        count: usize,
        /// The first of them.
        path: PathText,
    },
    /// A pattern that means nothing.
    #[error("the pattern {pattern:?} cannot be read: {message}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A snapshot without files, or whose descriptor this role cannot open.
    #[error("snapshot {snapshot} holds no file tree that this key can open")]
    NoFiles {
        /// The snapshot.
        snapshot: format::SessionId,
    },
    /// No such entry in the snapshot.
    #[error("the snapshot holds no {path}")]
    NotFound {
        /// The path.
        path: PathText,
    },
    /// Something else than a regular file or a folder was asked for as one.
    #[error("{path} in the snapshot is no {expected}")]
    WrongKind {
        /// The path.
        path: PathText,
        /// What it should have been.
        expected: &'static str,
    },
    /// What the vault holds of a file contradicts itself.
    #[error("the entry of {path} is damaged: {message}")]
    Damaged {
        /// The path.
        path: PathText,
        /// What is wrong.
        message: String,
    },
    /// The folder to restore into holds files already.
    #[error("{path} is not empty, and holds no interrupted restore of this snapshot and path")]
    NotEmpty {
        /// The folder.
        path: PathText,
    },
    /// The folder to restore into lies on a file system that is too full.
    #[error("{path} has {free} bytes free, but the restore needs {needed}")]
    Full {
        /// The folder.
        path: PathText,
        /// How many bytes it needs.
        needed: u64,
        /// How many bytes are free.
        free: u64,
    },
    /// There is no FUSE here, or not for this user.
    #[error("FUSE, which a mount needs, does not work here: {reason}")]
    NoFuse {
        /// What was tried, and what the system said.
        reason: String,
    },
    /// A folder that nothing can be mounted on.
    #[error("{path} {reason}")]
    MountTarget {
        /// The folder.
        path: PathText,
        /// What is the matter with it.
        reason: String,
    },
    /// Snapshots were to be copied to where they are.
    #[error(
        "the snapshots to copy are the target's own: both are domain {domain} of vault {vault}"
    )]
    SameDomain {
        /// The vault.
        vault: crypto::VaultId,
        /// The domain.
        domain: crypto::DomainId,
    },
    /// Sessions were closed, or packs lost, each time the backup tried.
    #[error("the vault changed under the backup {attempts} times")]
    Restless {
        /// How often it was tried.
        attempts: u32,
    },
    /// The caller asked to stop.
    #[error("stopped on request")]
    Cancelled,
}

impl Error {
    /// What kind of error it is, for exit codes and retries.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Vault(error) => ErrorKind::Vault(error.kind()),
            Self::System { .. } => ErrorKind::System,
            Self::NotFound { .. } | Self::NoSource { .. } => ErrorKind::NotFound,
            Self::Tree { .. } | Self::Damaged { .. } => ErrorKind::Vault(vault::ErrorKind::Corrupt),
            Self::NoFiles { .. } => ErrorKind::Vault(vault::ErrorKind::Denied),
            Self::NotEmpty { .. } => ErrorKind::NotEmpty,
            Self::NoFuse { .. } | Self::MountTarget { .. } => ErrorKind::System,
            Self::Full { .. } => ErrorKind::Full,
            Self::Restless { .. } => ErrorKind::Vault(vault::ErrorKind::Conflict),
            Self::Cancelled => ErrorKind::Cancelled,
            Self::NotAbsolute { .. }
            | Self::Path { .. }
            | Self::Pattern { .. }
            | Self::SameDomain { .. }
            | Self::WrongKind { .. } => ErrorKind::Invalid,
        }
    }

    pub(crate) fn system(action: &'static str, path: &[u8], source: rustix::io::Errno) -> Self {
        Self::System { action, path: PathText::new(path), source: source.into() }
    }

    pub(crate) fn damaged(path: &[u8], message: impl fmt::Display) -> Self {
        Self::Damaged { path: PathText::new(path), message: message.to_string() }
    }

    pub(crate) fn decode(path: &[u8], error: DecodeError) -> Self {
        Self::damaged(path, error)
    }
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The vault's own kinds.
    Vault(vault::ErrorKind),
    /// The local file system.
    System,
    /// A file, a path or a snapshot that is not there.
    NotFound,
    /// What was asked makes no sense.
    Invalid,
    /// The target of a restore holds files already.
    NotEmpty,
    /// The target of a restore has too little space.
    Full,
    /// The caller asked to stop.
    Cancelled,
}

/// A path for messages: text where it is text, else with replacement marks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathText(String);

impl PathText {
    /// The path as text.
    pub fn new(path: &[u8]) -> Self {
        Self(String::from_utf8_lossy(path).into_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PathText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            // A name must not steer the terminal that it is shown on.
            match character.is_control() {
                true => write!(f, "{}", character.escape_default())?,
                false => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PathText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Something about one file that a report names; the work went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's path, as bytes.
    pub path: Vec<u8>,
    /// What is wrong, in words.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", PathText::new(&self.path), self.reason)
    }
}

/// Problems, the first [`PROBLEMS_KEPT_MAX`] of them, and how many there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    kept: Vec<Problem>,
    total: u64,
}

/// So many problems a report names; more are counted only.
pub const PROBLEMS_KEPT_MAX: usize = 1000;

impl Problems {
    pub(crate) fn add(&mut self, path: &[u8], reason: impl fmt::Display) {
        self.total += 1;
        if self.kept.len() < PROBLEMS_KEPT_MAX {
            self.kept.push(Problem { path: path.to_vec(), reason: reason.to_string() });
        }
    }

    pub(crate) fn append(&mut self, other: &Self) {
        let room = PROBLEMS_KEPT_MAX - self.kept.len();
        self.kept.extend(other.kept.iter().take(room).cloned());
        self.total += other.total;
    }

    /// Keeps only those of the named problems that `is_kept`; those beyond are counted still.
    pub(crate) fn retain(&mut self, is_kept: impl FnMut(&Problem) -> bool) {
        let before = self.kept.len();
        self.kept.retain(is_kept);
        self.total -= (before - self.kept.len()) as u64;
    }

    /// The problems that are named, in the order in which they were met.
    pub fn named(&self) -> &[Problem] {
        &self.kept
    }

    /// How many there were.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}
