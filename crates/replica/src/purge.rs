//! Deletes at the target what records dropped, after a hold of the target's own.
//!
//! The hold runs from when the dropping record was stored at the target, and it is over when both
//! this host's clock and the target's say so: neither a source that is taken over nor a clock that
//! is wrong shortens it. The target's clock is asked, by a small object below `probe/`, only when
//! there is something to delete. Only what valid records drop is deleted, the oldest drops first,
//! and only so much in one pass. DESIGN §12.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use crypto::Digest;
use format::{ObjectRef, Seq, VaultNames};
use ledger::State;
use places::{ErrorKind, ObjectName, Place, Put, PutOptions, Time};

use crate::replicator::go_on;
use crate::target::Target;
use crate::{Pass, Rehearsal, ReplicaOptions, ReplicaProgress, Result};

/// An object that a record dropped.
struct Dropped {
    seq: Seq,
    name: ObjectName,
    digest: Digest,
}

/// What a pass would bring before it deletes.
pub(crate) struct Coming<'a> {
    /// What the records at the source lead to.
    pub(crate) state: &'a State,
    pub(crate) objects: Vec<Digest>,
}

impl Target {
    /// Deletes what was dropped long enough ago, as far as it lies there; of what is coming, says
    /// what would be.
    pub(crate) fn purge(
        &mut self,
        coming: Option<&Coming<'_>>,
        options: &ReplicaOptions,
        pass: &mut Pass,
        progress: &dyn ReplicaProgress,
        cancel: &AtomicBool,
    ) -> Result<()> {
        let dropped = self.dropped(coming)?;
        if dropped.is_empty() {
            return Ok(());
        }
        let head = self.head().map(|head| head.seq);
        let is_there = |seq: Seq| head.is_some_and(|head| seq <= head);
        let records = dropped.iter().map(|dropped| dropped.seq).filter(|seq| is_there(*seq));
        let mut now = self.components().clock.now();
        let place = self.components().place.clone();
        let times = self.times();
        times.learn(&*place, &records.collect())?;
        let stored = |seq| if is_there(seq) { times.of(seq) } else { Some(now) };
        let ends = dropped.iter().map(|dropped| Some(stored(dropped.seq)?.plus(options.hold)));
        let ends: Vec<_> = ends.collect();
        let is_over = |until: Option<Time>, now| until.is_some_and(|until| now >= until);
        if options.rehearsal == Rehearsal::No && ends.iter().any(|until| is_over(*until, now)) {
            now = now.min(self.ask_time(&*place)?);
        }
        for (Dropped { name, digest, .. }, until) in dropped.into_iter().zip(ends) {
            go_on(cancel)?;
            if !is_over(until, now) || pass.deleted as usize >= options.deletions_max {
                pass.hold(until);
                continue;
            }
            if options.rehearsal == Rehearsal::No {
                match place.delete(&name) {
                    // A lock of the place outlasts the hold: a later pass asks again.
                    Err(error) if error.kind() == ErrorKind::Denied => {
                        pass.hold(None);
                        continue;
                    }
                    deleted => deleted?,
                }
                self.note_deleted(&digest);
                progress.deleted(&name);
            }
            pass.deleted += 1;
        }
        Ok(())
    }

    /// What lies there although a record dropped it, the oldest drops first.
    fn dropped(&mut self, coming: Option<&Coming<'_>>) -> Result<Vec<Dropped>> {
        self.present()?;
        let own = self.state();
        let Some(state) = coming.map(|coming| coming.state).or(own) else {
            return Ok(Vec::new());
        };
        let coming = coming.map_or(&[][..], |coming| &coming.objects);
        let coming: HashSet<&Digest> = coming.iter().collect();
        let is_there = |digest: &Digest| {
            self.listed().is_some_and(|present| present.contains(digest)) || coming.contains(digest)
        };
        let packs =
            state.condemned().map(|(digest, at)| (digest, VaultNames::pack(digest), at.seq));
        let runs = state.dropped_runs().map(|(digest, seq)| (digest, VaultNames::run(digest), seq));
        let forgotten = own.into_iter().flat_map(State::forgotten_drops).filter_map(
            |(object, seq)| match object {
                ObjectRef::Pack(digest) => Some((digest, VaultNames::pack(digest), seq)),
                ObjectRef::Run(digest) => Some((digest, VaultNames::run(digest), seq)),
                ObjectRef::Slot { .. } => None,
            },
        );
        let all = packs.chain(runs).chain(forgotten);
        let there = all.filter(|(digest, _, _)| is_there(digest));
        let mut dropped: Vec<_> =
            there.map(|(digest, name, seq)| Dropped { seq, name, digest: *digest }).collect();
        dropped.sort_by(|one, other| (one.seq, &one.name).cmp(&(other.seq, &other.name)));
        Ok(dropped)
    }

    /// What time it is there: when a small object that is put now is stored.
    fn ask_time(&self, place: &dyn Place) -> Result<Time> {
        let mut id = [0; 16];
        self.components().entropy.fill(&mut id);
        let name = VaultNames::probe(&id);
        let body = Bytes::from_static(b"what time is it");
        let (Put::Created | Put::Exists) = place.put(&name, body, &PutOptions::default())?;
        let stat = place.stat(&name)?;
        match place.delete(&name) {
            // What may not be deleted there stays behind, and harms nobody.
            Err(error) if error.kind() == ErrorKind::Denied => {}
            deleted => deleted?,
        }
        Ok(stat.map_or(Time::from_millis(i64::MIN), |stat| stat.stored_at))
    }
}

impl Pass {
    fn hold(&mut self, until: Option<Time>) {
        self.held += 1;
        if let Some(until) = until {
            self.held_until = Some(self.held_until.map_or(until, |known| known.min(until)));
        }
    }
}
