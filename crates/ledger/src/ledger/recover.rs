//! Going on after the loss of a place: what nobody but the owner may decide.
//!
//! A `recover{place, seq, hash, lost after}` names the mark of the place that goes on, the newest
//! record that lies there, and the number after which records are given up. Whoever has seen more
//! follows it once; a marked replica is a vault of its own from there on. DESIGN §9.

use format::{Kind, Ref, Seq};

use super::{Appended, Ledger};
use crate::{Draft, Error, Result};

impl Ledger {
    /// Appends the owner's `recover` here. Records after the number `lost_after` that somebody saw
    /// elsewhere are given up; what lies here stays, so a number above the newest one counts as
    /// that. Every open session is closed.
    ///
    /// # Errors
    /// [`Error::NothingLost`] where anybody may append already; [`Error::Broken`] and
    /// [`Error::NewerFormat`]; and as [`Ledger::append`].
    pub fn recover(&mut self, lost_after: Seq) -> Result<Appended> {
        let kind = Kind::Recover;
        self.keyring.as_ref().ok_or(Error::NoKeys { kind })?.root_signing()?;
        let place = self.marked.unwrap_or_default();
        self.refresh()?;
        match self.standing.forbids_append() {
            None => return Err(Error::NothingLost),
            Some(Error::Replica | Error::History(_)) => {}
            Some(error) => return Err(error),
        }
        let appended = self.append(|state| {
            let head = state.head();
            let lost_after = lost_after.min(head.seq);
            let refs = vec![Ref::Place(place), Ref::Record(head), Ref::LostAfter(lost_after)];
            Ok::<_, Error>(Some(Draft { refs, ..Draft::new(kind) }))
        })?;
        let appended = appended.ok_or(Error::Contended { kind, tries: 0 })?;
        // What was remembered of the history that was given up is followed away from here.
        self.refresh()?;
        Ok(appended)
    }

    /// The place's mark, whether it is a replica or was one.
    pub fn mark(&self) -> Option<[u8; 16]> {
        self.marked
    }
}
