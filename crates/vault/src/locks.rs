//! Looks after the locks of the vault's objects, and keeps what it found in the state folder.
//!
//! What was found is comfort: with it a pass asks only about what is new until half of the days is
//! over; lost or of another place, the next pass asks about everything. It does not lie in the
//! place, where who holds its credentials could pretend that a pass was made. FORMAT.md §12.

use std::sync::atomic::AtomicBool;

use crypto::Digest;
use format::{Decoder, Encoder};
use ledger::{LockReport, ProtectMode, ProtectOptions, Protected, protect};
use places::{ObjectLock, Time};

use crate::Result;
use crate::vault::Vault;

/// What this host knows of the locks at the vault's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLocks {
    /// What is locked, and until when.
    pub protected: Protected,
    /// When that was found, by this host's clock.
    pub looked_at: Time,
}

const VERSION: u8 = 1;

impl Vault {
    /// Extends the locks of all that no record dropped, where less than half of the days is left.
    ///
    /// # Errors
    /// As [`protect`]; errors of the ledger and the host's folders.
    pub fn extend_locks(
        &mut self,
        lock: ObjectLock,
        mode: ProtectMode,
        cancel: &AtomicBool,
    ) -> Result<LockReport> {
        self.refresh()?;
        let known = match mode {
            ProtectMode::Extend => self.known_locks()?.map(|known| known.protected),
            // Who only looks wants to know, not to believe.
            ProtectMode::Look => None,
        };
        let options = ProtectOptions { lock, mode, known };
        let looked_at = self.components().clock.now();
        let report = {
            let ledger = self.ledger();
            protect(ledger.components(), ledger.state(), &options, cancel)?
        };
        if let Some(protected) = report.protected {
            self.remember_locks(KnownLocks { protected, looked_at })?;
        }
        Ok(report)
    }

    /// What the newest pass of this host found; `None` when there was none at this place.
    ///
    /// # Errors
    /// Those of the host's folders.
    pub fn known_locks(&self) -> Result<Option<KnownLocks>> {
        let kept = self.home().state_file(&self.locks_file())?;
        Ok(kept.and_then(|bytes| decode(&bytes).ok()))
    }

    fn remember_locks(&self, known: KnownLocks) -> Result<()> {
        let entropy = self.components().entropy.clone();
        let bytes = encode(known);
        self.home().change_state_file(&self.locks_file(), entropy.as_ref(), |_| bytes)
    }

    /// A vault may be reached at several places, each with locks of its own.
    fn locks_file(&self) -> String {
        let place = Digest::of(self.components().place.describe().as_bytes()).to_string();
        format!("locks-{}", &place[..16])
    }
}

fn encode(known: KnownLocks) -> Vec<u8> {
    let KnownLocks { protected: Protected { stored_by, until }, looked_at } = known;
    let mut e = Encoder::new();
    e.u8(VERSION);
    for time in [stored_by, until, looked_at] {
        e.u64(time.as_millis().cast_unsigned());
    }
    e.as_slice().to_vec()
}

fn decode(bytes: &[u8]) -> std::result::Result<KnownLocks, format::DecodeError> {
    let mut d = Decoder::new(bytes);
    match d.u8()? {
        VERSION => {}
        version => return Err(d.invalid("the version of known locks", version.into())),
    }
    let [stored_by, until, looked_at] =
        [d.u64()?, d.u64()?, d.u64()?].map(|millis| Time::from_millis(millis.cast_signed()));
    Ok(KnownLocks { protected: Protected { stored_by, until }, looked_at })
}
