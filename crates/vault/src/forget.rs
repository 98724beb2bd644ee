//! Snapshots into the trash and back, held and released, tagged.
//!
//! Each is one record or a few, which say what changed; nothing is deleted here. What a record may
//! no longer name, because another was faster, is left out of it; what is so already is not said
//! again. DESIGN §9.

use std::collections::BTreeSet;

use crypto::SessionId;
use format::{Kind, LABEL_BYTES_MAX, Ref, Seq, TAGS_MAX, TagsBody};
use ledger::{Draft, SnapshotStanding, State};
use places::Time;

use crate::origin::plain_tags;
use crate::retention::{
    Candidate, Clocks, Retention, Source, Verdict, apart, effective_times, foreign_names, plan,
};
use crate::vault::Forgotten;
use crate::{Error, Result, Snapshot, Vault, check_label};

/// Snapshots that one record names; more would lie in an object of their own.
const RECORD_SNAPSHOTS_MAX: usize = 4096;

/// Days that snapshots stay in the trash before a collector purges them, when nobody says
/// otherwise.
pub const TRASH_DAYS_DEFAULT: u32 = 7;

const _: () = assert!(TAGS_MAX * (LABEL_BYTES_MAX + 4) < 256 << 10);

/// What a policy would do with a snapshot.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Its source; `None` when it cannot be read.
    pub source: Option<Source>,
    /// Its effective time.
    pub effective: Time,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// How tags change: first they are set, then some are added, then some are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagEdit {
    /// All tags, instead of those in force.
    pub set: Option<Vec<String>>,
    /// Tags that it gets.
    pub add: Vec<String>,
    /// Tags that it loses.
    pub remove: Vec<String>,
}

impl Vault {
    /// What a policy would do with those live snapshots that `is_meant` picks, in the order of
    /// their commits. Changes nothing.
    ///
    /// # Errors
    /// [`Error::NoRules`]; those of [`Self::snapshots`]; when the place does not say when records
    /// were stored.
    pub fn plan_forget(
        &mut self,
        retention: &Retention,
        is_meant: impl Fn(&Snapshot) -> bool,
    ) -> Result<Vec<Planned>> {
        let snapshots = self.snapshots()?;
        let times = self.times_of(&snapshots)?;
        let foreign = foreign_names(&snapshots, self.ledger().state());
        let mut planned = Vec::new();
        let mut candidates = Vec::new();
        for (snapshot, (effective, drift)) in snapshots.into_iter().zip(times) {
            if snapshot.standing != SnapshotStanding::Live || !is_meant(&snapshot) {
                continue;
            }
            let is_foreign = foreign.contains(&snapshot.id);
            let source = snapshot
                .descriptor
                .as_ref()
                .map(|d| Source::of(&snapshot, d, &retention.group_by, is_foreign));
            candidates.push(Candidate {
                id: snapshot.id,
                source: source.clone(),
                effective,
                drift,
                tags: snapshot.tags.clone(),
                held: snapshot.held,
            });
            planned.push((snapshot, source, effective));
        }
        let verdicts = plan(retention, &candidates)?;
        let planned = planned.into_iter().zip(verdicts);
        let planned = planned.map(|((snapshot, source, effective), verdict)| Planned {
            snapshot,
            source,
            effective,
            verdict,
        });
        Ok(planned.collect())
    }

    /// Puts snapshots into the trash, and returns those that were live. From there
    /// [`Self::undo_forget`] brings them back until they are purged. By the owner or a collector.
    ///
    /// # Errors
    /// Before anything is forgotten: [`Error::NoSnapshot`], [`Error::Held`]. A snapshot that is
    /// held or purged meanwhile is left out. Errors of the place and the ledger: what was
    /// forgotten before them stays so.
    pub fn forget(&mut self, snapshots: &[SessionId]) -> Result<Vec<SessionId>> {
        self.check_known(snapshots, |id, snapshot| match snapshot.held {
            true => Err(Error::Held { snapshot: id }),
            false => Ok(()),
        })?;
        self.change(Kind::Forget, snapshots, |snapshot| {
            snapshot.standing == SnapshotStanding::Live && !snapshot.held
        })
    }

    /// Brings snapshots back from the trash, and returns those that lay there. By the owner or a
    /// reader.
    ///
    /// # Errors
    /// [`Error::NoSnapshot`], before anything is brought back; errors of the place and the ledger.
    pub fn undo_forget(&mut self, snapshots: &[SessionId]) -> Result<Vec<SessionId>> {
        self.check_known(snapshots, |_, _| Ok(()))?;
        self.change(Kind::Undo, snapshots, |s| s.standing == SnapshotStanding::Trashed)
    }

    /// Holds snapshots, so that nobody forgets or purges them, and returns those that were not
    /// held. By the owner or a reader; what lies in the trash stays there.
    ///
    /// # Errors
    /// As [`Self::undo_forget`].
    pub fn hold(&mut self, snapshots: &[SessionId]) -> Result<Vec<SessionId>> {
        self.check_known(snapshots, |_, _| Ok(()))?;
        self.change(Kind::Hold, snapshots, |s| !s.held && s.standing != SnapshotStanding::Purged)
    }

    /// Ends holds, and returns the snapshots that were held. By the owner.
    ///
    /// # Errors
    /// As [`Self::undo_forget`].
    pub fn release(&mut self, snapshots: &[SessionId]) -> Result<Vec<SessionId>> {
        self.check_known(snapshots, |_, _| Ok(()))?;
        self.change(Kind::Release, snapshots, |s| s.held)
    }

    /// Changes the tags of a snapshot, and returns those in force afterwards. By the owner.
    ///
    /// # Errors
    /// [`Error::NoSnapshot`]; when its descriptor is damaged; [`Error::Name`] and
    /// [`Error::OutOfLimits`] for what no tags may be; errors of the place and the ledger.
    pub fn tag(&mut self, snapshot: SessionId, edit: &TagEdit) -> Result<Vec<String>> {
        for tag in edit.set.iter().flatten().chain(&edit.add) {
            check_label("the tag", tag)?;
        }
        let described = self.snapshot(snapshot)?;
        let own = described.descriptor.as_ref().map(plain_tags).unwrap_or_default();
        let mut result = Vec::new();
        self.ledger().append(|state| {
            let found = known(state, snapshot)?;
            let before = found.tags.clone().unwrap_or_else(|| own.clone());
            result = edited(&before, edit)?;
            let payload = TagsBody { tags: result.clone() }.encode();
            let draft = Draft { payload, ..Draft::on_snapshots(Kind::Tag, [snapshot]) };
            Ok::<_, Error>((result != before).then_some(draft))
        })?;
        Ok(result)
    }

    /// The effective time of each snapshot, and how far its claims are off, in their order.
    fn times_of(&mut self, snapshots: &[Snapshot]) -> Result<Vec<(Time, std::time::Duration)>> {
        let opened: Vec<Option<Seq>> = {
            let ledger = self.ledger();
            let session = |s: &Snapshot| ledger.state().session(s.id).map(|s| s.opened);
            snapshots.iter().map(session).collect()
        };
        let wanted = snapshots.iter().map(|s| s.seq).chain(opened.iter().flatten().copied());
        self.learn_stored(&wanted.collect())?;
        let clocks = snapshots
            .iter()
            .map(|s| Clocks { claimed: s.claimed, stored: self.stored_times().of(s.seq) });
        let effective = effective_times(clocks, self.components().clock.now());
        let times = effective.zip(snapshots).zip(opened).map(|((effective, snapshot), opened)| {
            let drift = apart(snapshot.claimed, effective);
            // A long backup began long before its commit, but not before its session.
            let began = opened.and_then(|seq| self.stored_times().of(seq)).unwrap_or(effective);
            let start = snapshot.descriptor.as_ref().map(|d| apart(d.start, began));
            (effective, drift.max(start.unwrap_or_default()))
        });
        Ok(times.collect())
    }

    /// Refuses what the vault does not have, and what `check` refuses.
    fn check_known(
        &mut self,
        snapshots: &[SessionId],
        check: impl Fn(SessionId, &ledger::Snapshot) -> Result<()>,
    ) -> Result<()> {
        self.refresh()?;
        let ledger = self.ledger();
        snapshots.iter().try_for_each(|id| check(*id, known(ledger.state(), *id)?))
    }

    /// Appends as many records as it takes for those snapshots that fit.
    fn change(
        &mut self,
        kind: Kind,
        snapshots: &[SessionId],
        fits: impl Fn(&ledger::Snapshot) -> bool,
    ) -> Result<Vec<SessionId>> {
        let fitting = |state: &State, ids: &[SessionId]| -> Vec<SessionId> {
            let fit = |id: &&SessionId| state.snapshot(**id).is_some_and(&fits);
            ids.iter().filter(fit).copied().collect()
        };
        let distinct: BTreeSet<_> = snapshots.iter().copied().collect();
        let wanted: Vec<_> = distinct.into_iter().collect();
        if fitting(self.ledger().state(), &wanted).is_empty() {
            return Ok(Vec::new());
        }
        if !kind.is_owner_kind() {
            self.ensure_member()?;
        }
        // The owner's kinds name one snapshot each. FORMAT.md §10.
        let batch = if kind.is_owner_kind() { 1 } else { RECORD_SNAPSHOTS_MAX };
        let mut changed = Vec::new();
        for batch in wanted.chunks(batch) {
            let mut named = Vec::new();
            self.ledger().append(|state| {
                named = fitting(state, batch);
                let refs: Vec<_> = named.iter().copied().map(Ref::Snapshot).collect();
                Ok::<_, Error>((!refs.is_empty()).then(|| Draft { refs, ..Draft::new(kind) }))
            })?;
            changed.append(&mut named);
        }
        Ok(changed)
    }

    /// Fills in when snapshots in the trash were forgotten. A place that does not say costs the
    /// time alone.
    pub(crate) fn date_forgotten(&mut self, snapshots: &mut [Snapshot]) {
        let records = snapshots.iter().filter_map(|s| Some(s.forgotten?.seq)).collect();
        let _ = self.learn_stored(&records);
        for forgotten in snapshots.iter_mut().filter_map(|s| s.forgotten.as_mut()) {
            let Forgotten { seq, at } = forgotten;
            *at = self.stored_times().of(*seq);
        }
    }
}

/// A snapshot that is live or in the trash.
fn known(state: &State, id: SessionId) -> Result<&ledger::Snapshot> {
    let found = state.snapshot(id).filter(|s| s.standing != SnapshotStanding::Purged);
    found.ok_or(Error::NoSnapshot { snapshot: id })
}

/// The tags after an edit, sorted, each once.
fn edited(before: &[String], edit: &TagEdit) -> Result<Vec<String>> {
    let begin = edit.set.as_deref().unwrap_or(before);
    let all = begin.iter().chain(&edit.add).filter(|tag| !edit.remove.contains(tag));
    let tags: BTreeSet<&String> = all.collect();
    if tags.len() > TAGS_MAX {
        return Err(Error::OutOfLimits {
            what: "the number of tags",
            value: tags.len() as u64,
            least: 0,
            most: TAGS_MAX as u64,
        });
    }
    Ok(tags.into_iter().cloned().collect())
}
