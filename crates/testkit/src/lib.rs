//! What the suites share: trees of files to back up, and a comparison that misses nothing.
//!
//! A [`Forest`] grows the same tree from the same seed. [`look`] reads a tree with all that
//! a file system says of it, so that two trees are equal only when a user would call them so.
//! [`simulation`] is a world that one seed replays; [`stopper`] stops a program at any of its
//! changes to files. [`seaweed`] starts real S3 servers, and [`proxy`] breaks what goes to them.
//! Nothing here knows how Strongroom stores anything.

mod compare;
mod forest;
mod http;
pub mod proxy;
pub mod seaweed;
mod signing;
pub mod simulation;
#[cfg(target_os = "linux")]
pub mod stopper;

pub use compare::{Seen, look};
pub use forest::{Forest, Nastiness};

/// A folder for a few small files that are made and removed often: in memory, where the system has
/// a place for that.
///
/// # Errors
/// When there is no folder for what is temporary either.
pub fn small_folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}
pub use signing::{Credentials, REGION};
