//! When the place stored records, asked for once.
//!
//! A few are asked for one by one; more by one walk over the ledger's names, which costs a request
//! for each thousand. A record never changes, so neither does its time. DESIGN §9.

use std::collections::{BTreeMap, BTreeSet};

use format::{LedgerName, NamedObject, Seq, VaultNames};
use places::{Place, Time};

use crate::Result;

/// More than so many are found by a walk.
const STATS_MAX: usize = 8;

/// The times that are known so far.
#[derive(Debug, Default)]
pub struct StoredTimes {
    known: BTreeMap<Seq, Time>,
}

impl StoredTimes {
    /// When a record was stored, if that was learned and the place says.
    pub fn of(&self, seq: Seq) -> Option<Time> {
        self.known.get(&seq).copied()
    }

    /// Asks the place for these, as far as they are not known.
    ///
    /// # Errors
    /// Errors of the place.
    pub fn learn(&mut self, place: &dyn Place, wanted: &BTreeSet<Seq>) -> Result<()> {
        let missing: BTreeSet<Seq> =
            wanted.iter().filter(|seq| !self.known.contains_key(seq)).copied().collect();
        let Some(first) = missing.first() else { return Ok(()) };
        if missing.len() <= STATS_MAX {
            for seq in &missing {
                if let Some(stat) = place.stat(&VaultNames::record(*seq))? {
                    self.known.insert(*seq, stat.stored_at);
                }
            }
            return Ok(());
        }
        let before = first.0.checked_sub(1).map(|seq| VaultNames::record(Seq(seq)));
        for listed in place.list(&VaultNames::records(), before.as_ref())? {
            let listed = listed?;
            // What nobody asked for is not kept: anybody may put names there.
            if let Some(NamedObject::Record(LedgerName { seq, digest: None })) =
                NamedObject::parse(&listed.name)
                && missing.contains(&seq)
            {
                self.known.insert(seq, listed.stored_at);
            }
        }
        Ok(())
    }
}
