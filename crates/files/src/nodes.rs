//! Errors of a vault's trees, in this crate's words.
//!
//! What the vault itself says passes through; what only a path can tell gets one.

use crate::Error;
use crate::error::PathText;

/// A tree's error, when no file can be named for it.
pub(crate) fn tree_error(error: tree::Error<vault::Error>) -> Error {
    tree_error_at(b"/", error)
}

/// A tree's error, met at this path.
pub(crate) fn tree_error_at(path: &[u8], error: tree::Error<vault::Error>) -> Error {
    match error {
        tree::Error::Store(error) => Error::Vault(error),
        other => Error::Tree { path: PathText::new(path), message: other.to_string() },
    }
}
