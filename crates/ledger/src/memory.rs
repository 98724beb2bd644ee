//! What a host remembers of the ledger between runs: the newest head that it saw.
//!
//! It is what makes a vault that was rolled back visible (P2): a place may show less than it did,
//! the memory does not. The vault keeps it in the state folder; a host without one remembers as
//! long as its process lives. DESIGN §7, §9.

use std::sync::{Mutex, MutexGuard, PoisonError};

use format::RecordAt;

use crate::{RecordBytes, Result};

/// The roll-back memory. A lower head never replaces a higher one, except through
/// [`Memory::follow_recover`].
pub trait Memory: Send + Sync {
    /// The newest head seen, `None` when none was or it was forgotten.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when it cannot be read.
    fn head(&self) -> Result<Option<RecordAt>>;

    /// Remembers a head; one that is not newer changes nothing.
    ///
    /// # Errors
    /// [`crate::Error::Memory`] when it cannot be kept.
    fn remember(&self, at: RecordAt) -> Result<()>;

    /// The newest `recover` record that [`Memory::follow_recover`] or [`Memory::note_recover`] was
    /// given.
    ///
    /// A memory that does not keep it follows an old `recover` again, and so may take a place
    /// that was rolled back to it for a recovered one.
    ///
    /// # Errors
    /// As [`Memory::head`].
    fn recovered(&self) -> Result<Option<RecordAt>>;

    /// This `recover` lies in the history that is remembered. It is not to be followed later.
    ///
    /// # Errors
    /// As [`Memory::remember`].
    fn note_recover(&self, recover: RecordAt) -> Result<()>;

    /// An owner's `recover` gave up the history that the remembered head ends: from here on `head`
    /// is the newest, even when its number is lower.
    ///
    /// # Errors
    /// As [`Memory::remember`].
    fn follow_recover(&self, recover: RecordAt, head: RecordAt) -> Result<()>;

    /// A record was read on its own and applied. Whoever keeps its bytes can put them back when
    /// the place loses them; that is for comfort, so nothing is said when it does not work.
    fn keep_record(&self, _at: RecordAt, _bytes: &RecordBytes) {}
}

/// Remembers as long as it lives. For hosts without a state folder, and for tests.
#[derive(Default, Debug)]
pub struct ProcessMemory(Mutex<Remembered>);

#[derive(Default, Debug)]
struct Remembered {
    head: Option<RecordAt>,
    recovered: Option<RecordAt>,
}

impl ProcessMemory {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory for ProcessMemory {
    fn head(&self) -> Result<Option<RecordAt>> {
        Ok(self.lock().head)
    }

    fn remember(&self, at: RecordAt) -> Result<()> {
        let mut remembered = self.lock();
        if remembered.head.is_none_or(|head| head.seq < at.seq) {
            remembered.head = Some(at);
        }
        Ok(())
    }

    fn recovered(&self) -> Result<Option<RecordAt>> {
        Ok(self.lock().recovered)
    }

    fn note_recover(&self, recover: RecordAt) -> Result<()> {
        self.lock().recovered = Some(recover);
        Ok(())
    }

    fn follow_recover(&self, recover: RecordAt, head: RecordAt) -> Result<()> {
        *self.lock() = Remembered { head: Some(head), recovered: Some(recover) };
        Ok(())
    }
}
