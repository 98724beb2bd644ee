//! What ends before the mark: snapshots that outlived the trash, sessions that fell silent,
//! suspicions that were left behind.
//!
//! Each is judged by when the place stored the record in question; what the place does not say is
//! left for another time. Who appends looks again at the newest state: another may have been
//! faster. DESIGN §9.

use std::collections::BTreeSet;
use std::time::Duration;

use crypto::SessionId;
use format::{Kind, Seq};
use ledger::{Draft, SessionStatus, SnapshotStanding, State};

use super::Work;
use crate::{Error, Result};

impl Work<'_> {
    /// Whether a record was stored so long ago.
    fn is_past(&self, seq: Seq, span: Duration) -> bool {
        self.times.of(seq).is_some_and(|stored_at| self.now >= stored_at.plus(span))
    }

    pub(super) fn learn(&mut self, wanted: &BTreeSet<Seq>) -> Result<()> {
        let place = self.vault.components().place.clone();
        Ok(self.times.learn(place.as_ref(), wanted)?)
    }

    /// Clears the suspicions of collections that died: of this host's own, and of others when
    /// they are old. One that is still at work finds its suspicion gone and begins again.
    pub(super) fn clear_left_behind(&mut self) -> Result<()> {
        let standing: BTreeSet<Seq> =
            self.vault.ledger().state().suspicions().map(|(seq, _)| seq).collect();
        self.learn(&standing)?;
        let own = self.vault.keyring().member_id().ok();
        for seq in standing {
            let author = self.vault.ledger().read(seq)?.record.map(|record| record.author);
            let is_own = self.alone && own.is_some() && author == own;
            if is_own || self.is_past(seq, self.options.abandon_after) {
                self.clear(seq)?;
                self.found.cleared += 1;
            }
        }
        Ok(())
    }

    /// Ends a suspicion, if it stands.
    pub(super) fn clear(&self, suspicion: Seq) -> Result<()> {
        if self.is_rehearsal() {
            return Ok(());
        }
        self.vault.ledger().append(|state| {
            let stands = state.suspicion(suspicion).is_some();
            Ok::<_, Error>(stands.then(|| Draft::clear(suspicion)))
        })?;
        Ok(())
    }

    /// Purges what outlived the trash.
    pub(super) fn purge(&mut self) -> Result<()> {
        let trashed: BTreeSet<(SessionId, Seq)> = {
            let ledger = self.vault.ledger();
            let trashed = ledger.state().snapshots().filter(|(_, s)| may_be_purged(s));
            trashed.map(|(id, snapshot)| (id, snapshot.since)).collect()
        };
        self.learn(&trashed.iter().map(|(_, since)| *since).collect())?;
        let over: Vec<(SessionId, Seq)> = trashed
            .into_iter()
            .filter(|(_, since)| self.is_past(*since, self.options.trash))
            .collect();
        let still = |state: &State| -> Vec<SessionId> {
            let there = over.iter().filter(|(id, since)| {
                state.snapshot(*id).is_some_and(|s| may_be_purged(s) && s.since == *since)
            });
            there.map(|(id, _)| *id).collect()
        };
        if self.is_rehearsal() {
            self.found.purged = still(self.vault.ledger().state());
            return Ok(());
        }
        let mut purged = Vec::new();
        self.vault.ledger().append(|state| {
            purged = still(state);
            let some = !purged.is_empty();
            Ok::<_, Error>(some.then(|| Draft::on_snapshots(Kind::Purge, purged.clone())))
        })?;
        self.found.purged = purged;
        Ok(())
    }

    /// Abandons sessions whose newest record is too old.
    pub(super) fn abandon_silent(&mut self) -> Result<()> {
        let open: BTreeSet<(SessionId, Seq)> = {
            let ledger = self.vault.ledger();
            ledger.state().open_sessions().map(|(id, session)| (id, session.last)).collect()
        };
        self.learn(&open.iter().map(|(_, last)| *last).collect())?;
        for (id, last) in open {
            if !self.is_past(last, self.options.abandon_after) {
                continue;
            }
            let mut is_silent = true;
            if !self.is_rehearsal() {
                self.vault.ledger().append(|state| {
                    is_silent = state
                        .session(id)
                        .is_some_and(|s| s.status == SessionStatus::Open && s.last == last);
                    Ok::<_, Error>(is_silent.then(|| Draft::abandon(id)))
                })?;
            }
            if is_silent {
                self.found.abandoned.push(id);
            }
        }
        Ok(())
    }
}

fn may_be_purged(snapshot: &ledger::Snapshot) -> bool {
    snapshot.standing == SnapshotStanding::Trashed && !snapshot.held
}
