//! How the caller follows long work and stops it.
//!
//! Callbacks come from several threads and must be cheap: count, and draw elsewhere. A raised
//! [`Cancel`] is looked at between files and between reads; the work then ends with
//! [`Error::Cancelled`] and leaves nothing half done behind. DESIGN.md §10, §15.

use std::sync::atomic::{AtomicBool, Ordering};

use vault::Written;

use crate::{Error, Result};

/// Hears what is being done. All methods do nothing unless overridden.
pub trait Progress: Sync {
    /// Work on this file begins; the path is absolute, as bytes.
    fn file(&self, _path: &[u8]) {}
    /// So many files more are finished.
    fn files_done(&self, _count: u64) {}
    /// So many bytes more of content were read (backup) or written (restore).
    fn bytes_done(&self, _count: u64) {}
    /// About so much will be done, by what the snapshot before held.
    fn expected(&self, _files: u64, _bytes: u64) {}
    /// What the vault's session has done so far, and at its end.
    fn written(&self, _written: &Written) {}
    /// So many bytes more of content need not be read or written, being unchanged.
    fn bytes_skipped(&self, _count: u64) {}
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {}

/// A flag that stops the work.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// A flag that is not raised.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Asks the work to stop; may be called from any thread, and from a signal handler.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work was asked to stop.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.is_raised() {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }
}
