//! Deletes at the target what records dropped, after a hold of the target's own.
//!
//! The hold runs from when the dropping record was stored at the target, by the clock of the place
//! it lies in, so neither a source that is taken over nor a collector with a false clock shortens
//! it. Only what valid records drop is deleted, and only so much in one pass. DESIGN §12.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use crypto::Digest;
use format::{ObjectRef, Seq, VaultNames};
use places::{ErrorKind, ObjectName, Time};

use crate::replicator::go_on;
use crate::target::Target;
use crate::{Pass, Rehearsal, ReplicaOptions, Result};

impl Target {
    /// Deletes what was dropped long enough ago, as far as it lies there.
    pub(crate) fn purge(
        &mut self,
        options: &ReplicaOptions,
        pass: &mut Pass,
        cancel: &AtomicBool,
    ) -> Result<()> {
        let now = self.components().clock.now();
        let mut stored = HashMap::new();
        for (digest, name, seq) in self.dropped()? {
            go_on(cancel)?;
            let over = match self.stored_at(seq, &mut stored)? {
                Some(stored_at) => now >= stored_at.plus(options.hold),
                None => false,
            };
            if !over || pass.deleted as usize >= options.deletions_max {
                pass.held += 1;
                continue;
            }
            if options.rehearsal == Rehearsal::No {
                match self.components().place.delete(&name) {
                    // A lock of the place outlasts the hold: a later pass asks again.
                    Err(error) if error.kind() == ErrorKind::Denied => {
                        pass.held += 1;
                        continue;
                    }
                    deleted => deleted?,
                }
                self.note_deleted(&digest);
            }
            pass.deleted += 1;
        }
        Ok(())
    }

    /// What lies there although a record dropped it.
    fn dropped(&mut self) -> Result<Vec<(Digest, ObjectName, Seq)>> {
        self.present()?;
        let (Some(state), Some(present)) = (self.state(), self.listed()) else {
            return Ok(Vec::new());
        };
        let packs =
            state.condemned().map(|(digest, at)| (digest, VaultNames::pack(digest), at.seq));
        let runs = state.dropped_runs().map(|(digest, seq)| (digest, VaultNames::run(digest), seq));
        let forgotten = state.forgotten_drops().filter_map(|(object, seq)| match object {
            ObjectRef::Pack(digest) => Some((digest, VaultNames::pack(digest), seq)),
            ObjectRef::Run(digest) => Some((digest, VaultNames::run(digest), seq)),
            ObjectRef::Slot { .. } => None,
        });
        let all = packs.chain(runs).chain(forgotten);
        let there = all.filter(|(digest, _, _)| present.contains(*digest));
        Ok(there.map(|(digest, name, seq)| (*digest, name, seq)).collect())
    }

    fn stored_at(&self, seq: Seq, known: &mut HashMap<Seq, Option<Time>>) -> Result<Option<Time>> {
        if let Some(at) = known.get(&seq) {
            return Ok(*at);
        }
        let stat = self.components().place.stat(&VaultNames::record(seq))?;
        let at = stat.map(|stat| stat.stored_at);
        known.insert(seq, at);
        Ok(at)
    }
}
