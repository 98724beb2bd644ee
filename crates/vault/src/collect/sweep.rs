//! Deletes what a record lets go, and what no record will ever name.
//!
//! Condemned packs and dropped runs go when the reader grace is over, packs and runs of no record
//! when the session in their header is closed. Deletions come in batches, each followed by its
//! `swept` record, so a collection that is killed leaves little unsaid. What the place refuses to
//! delete stays, is reported, and is tried again by the next collection: nothing else waits for it.
//! Long lists are never deleted: a record that names one may be on its way. DESIGN §9, steps 6, 7.

use std::collections::BTreeSet;

use crypto::Digest;
use format::{Kind, Seq, VaultNames};
use ledger::{Draft, PackStanding, State};
use places::{ObjectName, Time};

use super::{HeaderAt, KeptObject, Lying, Removed, Work, is_broken_off};
use crate::mark::in_parallel;
use crate::{Error, ErrorKind, Result};

/// Objects that are deleted before the ledger hears of it.
const BATCH: usize = 256;

/// Something that is to be deleted.
#[derive(Clone)]
struct Due {
    digest: Digest,
    name: ObjectName,
    bytes: u64,
}

/// What became of a deletion.
enum Deletion {
    Gone,
    Refused { until: Option<Time>, reason: String },
}

/// Why something is deleted, and where it is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Condemned,
    Dropped,
    Stranger,
}

impl Work<'_> {
    /// Deletes all that may be deleted now.
    pub(super) fn sweep(&mut self) -> Result<()> {
        self.vault.refresh()?;
        self.sweep_condemned()?;
        self.sweep_dropped()?;
        self.sweep_strangers()
    }

    fn sweep_condemned(&mut self) -> Result<()> {
        let (there, gone) = {
            let ledger = self.vault.ledger();
            let condemned = ledger.state().condemned().map(|(name, c)| (*name, *c));
            let (there, gone): (Vec<_>, Vec<_>) =
                condemned.partition(|(name, _)| self.listed.packs.contains_key(name));
            let unsaid = gone.into_iter().filter(|(_, condemned)| condemned.swept.is_none());
            (there, unsaid.map(|(name, _)| name).collect::<Vec<_>>())
        };
        let due = self
            .due(there.into_iter().map(|(name, c)| (name, c.seq)).collect(), |w, name| {
                (w.listed.packs.get(name).copied(), VaultNames::pack(name))
            })?;
        // Somebody deleted them and did not live to say so.
        let place = self.vault.components().place.clone();
        let mut unsaid = Vec::new();
        for name in gone {
            if place.stat(&VaultNames::pack(&name))?.is_none() {
                unsaid.push(name);
            }
        }
        self.say_swept(&unsaid)?;
        for batch in due.chunks(BATCH) {
            let names: Vec<_> = batch.iter().map(|due| due.name.clone()).collect();
            let headers = self.headers(&names)?;
            let (clear, unclear) = self.partition(batch, headers);
            for (due, reason) in unclear {
                self.keep(&due, None, reason);
            }
            let deleted = self.delete(&clear, Cause::Condemned)?;
            self.say_swept(&deleted)?;
        }
        Ok(())
    }

    fn sweep_dropped(&mut self) -> Result<()> {
        let dropped: Vec<(Digest, Seq)> = {
            let ledger = self.vault.ledger();
            let dropped = ledger.state().dropped_runs();
            let there = dropped.filter(|(name, _)| self.listed.runs.contains_key(*name));
            there.map(|(name, seq)| (*name, seq)).collect()
        };
        let due = self.due(dropped, |work, name| {
            (work.listed.runs.get(name).copied(), VaultNames::run(name))
        })?;
        for batch in due.chunks(BATCH) {
            self.delete(batch, Cause::Dropped)?;
        }
        Ok(())
    }

    /// Deletes packs and runs that no valid record names, when their session is closed: what it
    /// did not name by now it never will.
    fn sweep_strangers(&mut self) -> Result<()> {
        let mut strangers: Vec<(Due, Lying)> = Vec::new();
        {
            let ledger = self.vault.ledger();
            let state = ledger.state();
            let packs = self
                .listed
                .packs
                .iter()
                .filter(|(name, _)| state.pack_standing(name) == PackStanding::Unknown);
            let packs = packs.map(|(name, lying)| (name, lying, VaultNames::pack(name)));
            let runs = self.listed.runs.iter().filter(|(name, _)| state.run(name).is_none());
            let runs = runs.map(|(name, lying)| (name, lying, VaultNames::run(name)));
            strangers.extend(packs.chain(runs).map(|(digest, lying, name)| {
                (Due { digest: *digest, name, bytes: lying.bytes }, *lying)
            }));
        }
        strangers.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        for batch in strangers.chunks(BATCH) {
            self.go_on()?;
            let names: Vec<_> = batch.iter().map(|(due, _)| due.name.clone()).collect();
            let headers = self.headers(&names)?;
            let mut over = Vec::new();
            for ((due, lying), header) in batch.iter().zip(headers) {
                match self.judge_stranger(&header, *lying) {
                    Verdict::Over => over.push(due.clone()),
                    Verdict::Waits(until) => self.found.waiting.add(due.bytes, until),
                    Verdict::Stays => self.found.strangers_kept += 1,
                }
            }
            self.delete(&over, Cause::Stranger)?;
        }
        Ok(())
    }

    fn judge_stranger(&self, header: &HeaderAt, lying: Lying) -> Verdict {
        let ledger = self.vault.ledger();
        let state: &State = ledger.state();
        let HeaderAt::Of(session) = header else { return Verdict::Stays };
        if !self.may_delete(state, header) {
            return Verdict::Stays;
        }
        let until = lying.stored_at.plus(self.options.broken_off_grace);
        let broken_off = state.session(*session).is_some_and(is_broken_off);
        if broken_off && self.now < until { Verdict::Waits(until) } else { Verdict::Over }
    }

    /// Of what these records let go: what may be deleted now. The rest waits.
    fn due(
        &mut self,
        let_go: Vec<(Digest, Seq)>,
        find: impl Fn(&Self, &Digest) -> (Option<Lying>, ObjectName),
    ) -> Result<Vec<Due>> {
        let grace = self.options.reader_grace;
        if !grace.is_zero() {
            self.learn(&let_go.iter().map(|(_, seq)| *seq).collect::<BTreeSet<_>>())?;
        }
        let mut due = Vec::new();
        for (digest, seq) in let_go {
            let (Some(lying), name) = find(self, &digest) else { continue };
            let bytes = lying.bytes;
            match self.times.of(seq).map(|stored_at| stored_at.plus(grace)) {
                _ if grace.is_zero() => due.push(Due { digest, name, bytes }),
                Some(until) if self.now >= until => due.push(Due { digest, name, bytes }),
                Some(until) => self.found.waiting.add(bytes, until),
                None => {}
            }
        }
        due.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(due)
    }

    /// Parts what the headers let go from what they do not.
    fn partition(&self, batch: &[Due], headers: Vec<HeaderAt>) -> (Vec<Due>, Vec<(Due, String)>) {
        let ledger = self.vault.ledger();
        let (mut clear, mut unclear) = (Vec::new(), Vec::new());
        for (due, header) in batch.iter().zip(headers) {
            if self.may_delete(ledger.state(), &header) {
                clear.push(due.clone());
                continue;
            }
            let reason = match header {
                HeaderAt::Of(session) => format!("its header names session {session}, not closed"),
                HeaderAt::Unreadable(reason) => reason,
                HeaderAt::Absent => continue,
            };
            unclear.push((due.clone(), reason));
        }
        (clear, unclear)
    }

    /// Deletes these side by side; gives those that are gone.
    fn delete(&mut self, due: &[Due], cause: Cause) -> Result<Vec<Digest>> {
        self.go_on()?;
        if self.is_rehearsal() {
            due.iter().for_each(|due| self.count(cause).add(due.bytes));
            return Ok(Vec::new());
        }
        let (place, progress) = (self.vault.components().place.clone(), self.progress);
        let done = in_parallel(place.calls_at_once(), due, |part| {
            let mut done: Vec<(Due, Result<Deletion>)> = Vec::with_capacity(part.len());
            for due in part {
                let deletion = match place.delete(&due.name) {
                    Ok(()) => {
                        progress.deleted(due.name.as_str(), due.bytes);
                        Ok(Deletion::Gone)
                    }
                    Err(error) if error.kind() == places::ErrorKind::Denied => {
                        let retained = place.retention().map(|r| r.retained_until(&due.name, None));
                        let until = retained.and_then(|until| until.ok().flatten());
                        Ok(Deletion::Refused { until, reason: error.to_string() })
                    }
                    Err(error) => Err(Error::from(error)),
                };
                let failed = deletion.is_err();
                done.push((due.clone(), deletion));
                if failed {
                    break;
                }
            }
            Ok(done)
        })?;
        let (mut gone, mut failure) = (Vec::new(), None);
        for (due, deletion) in done.into_iter().flatten() {
            match deletion {
                Ok(Deletion::Gone) => {
                    self.count(cause).add(due.bytes);
                    gone.push(due.digest);
                }
                Ok(Deletion::Refused { until, reason }) => self.keep(&due, until, reason),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let Some(error) = failure else { return Ok(gone) };
        if cause == Cause::Condemned && error.kind() != ErrorKind::Conflict {
            self.say_swept(&gone)?;
        }
        Err(error)
    }

    /// Appends `swept` for packs that are gone.
    fn say_swept(&mut self, packs: &[Digest]) -> Result<()> {
        if packs.is_empty() || self.is_rehearsal() {
            return Ok(());
        }
        self.vault.ledger().append(|state| {
            let condemned: BTreeSet<Digest> =
                state.condemned().filter(|(_, c)| c.swept.is_none()).map(|(n, _)| *n).collect();
            let unsaid: Vec<Digest> =
                packs.iter().filter(|pack| condemned.contains(*pack)).copied().collect();
            let some = !unsaid.is_empty();
            Ok::<_, Error>(some.then(|| Draft::on_packs(Kind::Swept, unsaid)))
        })?;
        Ok(())
    }

    fn keep(&mut self, due: &Due, until: Option<Time>, reason: String) {
        let (name, bytes) = (due.name.clone(), due.bytes);
        self.found.kept.push(KeptObject { name, bytes, until, reason });
    }

    fn count(&mut self, cause: Cause) -> &mut Removed {
        match cause {
            Cause::Condemned => &mut self.found.packs,
            Cause::Dropped => &mut self.found.runs,
            Cause::Stranger => &mut self.found.strangers,
        }
    }
}

/// What becomes of an object that no record names.
enum Verdict {
    Over,
    Waits(Time),
    Stays,
}
