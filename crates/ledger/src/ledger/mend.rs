//! Settling a break: what nobody but the owner may do.
//!
//! A `mend{seq, hash}` says that the record of this number has no effect and counts with this hash,
//! whatever lies there: the chain closes over it, and all that was appended before the break was
//! made counts again. It stands at the tail, behind all that lies there; replay learns of it when
//! it meets the break. DESIGN §9.

use format::{Digest, Kind, Record, RecordAt, Ref, Seq, SignedRecord};

use super::{Appended, Ledger};
use crate::shelf::GAP_MAX;
use crate::{Author, Break, Draft, Error, Result};

/// Numbers that one call settles at most.
const MENDS_MAX: usize = 4 * GAP_MAX as usize;

impl Ledger {
    /// Settles the break that stands, with one `mend` for each number that has to be passed over.
    /// Returns the last of them. Needs the owner's keys.
    ///
    /// What it gives up is the effect of a record that was changed or removed, or of one that a
    /// member signed for another history than the ledger's, or whose list is missing: look for the
    /// list at a replica first. Revoke a member that did this next.
    ///
    /// # Errors
    /// [`Error::NotBroken`]; [`Error::Unmendable`] when the genesis is damaged or too much is; and
    /// as [`Ledger::append`].
    pub fn mend(&mut self) -> Result<Appended> {
        let kind = Kind::Mend;
        self.keyring.as_ref().ok_or(Error::NoKeys { kind })?.root_signing()?;
        self.refresh()?;
        let mut planned = Vec::new();
        while let Some(found) = self.standing.broken().cloned() {
            let mends = self.plan(&found)?;
            planned.extend_from_slice(&mends);
            if planned.len() > MENDS_MAX {
                return Err(Error::Unmendable(Box::new(found)));
            }
            self.restart(&mends)?;
            // The plan is in the state now, so this passes over what it settles.
            self.refresh()?;
        }
        let mut last = Err(Error::NotBroken);
        for mend in planned {
            let refs = vec![Ref::Record(mend)];
            last = self.append_one(Draft { refs, author: Author::Root, ..Draft::new(kind) });
            if last.is_err() {
                break;
            }
        }
        last
    }

    /// Which numbers to pass over, and the hashes that let what follows them fit.
    fn plan(&self, found: &Break) -> Result<Vec<RecordAt>> {
        let one = |seq, hash| Ok(vec![RecordAt { seq, hash }]);
        match found {
            Break::Genesis { .. } => Err(Error::Unmendable(Box::new(found.clone()))),
            // The list of a hostile member may never have been.
            Break::List { seq, .. } => one(*seq, self.digest_at(*seq)?),
            Break::Missing { seq, above } => {
                let named = self.named_by(*above)?;
                let hash = |seq: Seq| named.filter(|_| seq.next() == *above);
                let nothing = Digest::from_bytes([0; Digest::BYTES]);
                let missing = (seq.0..above.0).map(Seq);
                Ok(missing
                    .map(|seq| RecordAt { seq, hash: hash(seq).unwrap_or(nothing) })
                    .collect())
            }
            Break::Previous { seq, named, hash, .. } => {
                let before = Seq(seq.0 - 1);
                // What lies before is either no record of this vault any more, then it was changed
                // and its successor tells what its hash was; or it is, then this one is wrong.
                let unsigned = self.state.void_of(before).is_some_and(|r| r.is_unsigned());
                match unsigned && before > Seq(0) {
                    true => one(before, *named),
                    false => one(*seq, *hash),
                }
            }
        }
    }

    fn named_by(&self, seq: Seq) -> Result<Option<Digest>> {
        let Some(bytes) = self.shelf.read(seq)? else { return Ok(None) };
        let record: Option<Record> =
            SignedRecord::decode(&bytes.bytes).ok().map(|signed| signed.record);
        Ok(record.map(|record| record.prev))
    }
}
