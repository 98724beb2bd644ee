//! Brings a vault back after the loss of its place: from a copy that survived, to a new place or
//! where the copy lies.
//!
//! A new place is first a replica of the survivor, made as any other is, and the owner's `recover`
//! is the last thing that is put: so a recovery that was killed at any moment leaves a place at
//! which nobody appends, and the next one goes on. What is known to have been there and has not
//! survived stops it, until the owner says that it is lost. DESIGN §9, §12.

use std::sync::atomic::AtomicBool;

use crypto::Keyring;
use ledger::{Alarm, Ledger, RecordAt, Seq};
use places::Place;
use replica::{Pass, Rehearsal, ReplicaOptions, ReplicaProgress, Replicator};
use vault::{Components, Folders, Seen, Vault};

use crate::{Error, Result};

/// How to recover.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecoverOptions {
    /// Whether records that were seen and are nowhere any more are given up.
    pub loss: Loss,
    /// How what survived is copied. The hold and the most deletions do not count: nothing is
    /// deleted.
    pub copy: ReplicaOptions,
}

/// Whether records that were seen and have not survived are given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// They are not: the recovery is refused.
    #[default]
    Refuse,
    /// They are, for everybody and for ever.
    Accept,
}

/// Who recovers: what a host gives to the vault that it opens.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Its own folders.
    pub folders: Folders,
    /// What it is called.
    pub label: String,
    /// What was seen of the vault elsewhere.
    pub seen: Seen,
}

/// A vault that was brought back, or would be.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The newest record that survived.
    pub survived: RecordAt,
    /// The newest record that was ever seen, where that is known to be another.
    pub seen: Option<RecordAt>,
    /// Records of a higher number that somebody saw elsewhere are given up.
    pub lost_after: Seq,
    /// The owner's `recover`; none in a rehearsal.
    pub by: Option<RecordAt>,
    /// What was copied, or would be.
    pub pass: Pass,
}

/// Makes a vault of its own at `target` of the copy that `survivor` is. The target is empty, or
/// what an earlier recovery or a replication left there.
///
/// # Errors
/// [`Error::Loss`] and the ledger's alarms as long as the loss is not accepted; a key that is not
/// the owner's; [`replica::Error::NoReplica`] when the target holds something else;
/// errors of both places. The next run goes on where this one ended.
pub fn recover(
    survivor: &Vault,
    target: &Components,
    host: &Host,
    options: &RecoverOptions,
    progress: &dyn ReplicaProgress,
    cancel: &AtomicBool,
) -> Result<Recovered> {
    survivor.keyring().root_signing()?;
    // First, because this host may remember what that one appended.
    if let Some(done) = finished_before(survivor, target, host)? {
        return Ok(done);
    }
    let verdict = Verdict::of(&survivor.ledger(), options.loss)?;
    let copy = ReplicaOptions { deletions_max: 0, ..options.copy };
    let mut replicator = Replicator::new(survivor.components().clone(), target.clone(), copy);
    let pass = replicator.pass(progress, cancel)?;
    drop(replicator);
    let by = match copy.rehearsal {
        Rehearsal::Yes => None,
        Rehearsal::No => {
            let vault = open_target(survivor, target, host)?;
            let by = vault.ledger().recover(verdict.lost_after)?;
            Some(by.at)
        }
    };
    Ok(verdict.recovered(by, pass))
}

/// Makes a vault of its own of the copy where it lies: a replica at which nobody could append, or
/// a place that has lost its newest records.
///
/// # Errors
/// As [`recover`]; [`ledger::Error::NothingLost`] where anybody may append.
pub fn recover_in_place(vault: &mut Vault, options: &RecoverOptions) -> Result<Recovered> {
    vault.keyring().root_signing()?;
    let mut ledger = vault.ledger();
    ledger.refresh()?;
    let is_in_doubt = |alarm: &Alarm| {
        matches!(alarm, Alarm::Replica { .. } | Alarm::RolledBack { .. } | Alarm::Forked { .. })
    };
    if !ledger.standing().alarms.iter().any(is_in_doubt) && ledger.standing().broken().is_none() {
        return Err(ledger::Error::NothingLost.into());
    }
    let verdict = Verdict::of(&ledger, options.loss)?;
    let by = match options.copy.rehearsal {
        Rehearsal::Yes => None,
        Rehearsal::No => Some(ledger.recover(verdict.lost_after)?.at),
    };
    Ok(verdict.recovered(by, Pass::default()))
}

/// What survived, against what was seen.
struct Verdict {
    survived: RecordAt,
    seen: Option<RecordAt>,
    lost_after: Seq,
}

impl Verdict {
    fn of(ledger: &Ledger, loss: Loss) -> Result<Self> {
        let survived = ledger.state().head();
        let mut verdict = Self { survived, seen: None, lost_after: survived.seq };
        for alarm in &ledger.standing().alarms {
            match (alarm, loss) {
                (Alarm::NewerFormat { number }, _) => {
                    return Err(ledger::Error::NewerFormat { number: *number }.into());
                }
                (Alarm::Break(found), Loss::Refuse) => {
                    return Err(ledger::Error::Broken(Box::new(found.clone())).into());
                }
                (Alarm::Forked { .. }, Loss::Refuse) => {
                    return Err(ledger::Error::History(Box::new(alarm.clone())).into());
                }
                (Alarm::Forked { remembered, .. }, Loss::Accept) => {
                    // The histories part there at the latest.
                    let before = Seq(remembered.seq.0.saturating_sub(1));
                    verdict.lost_after = verdict.lost_after.min(before);
                    verdict.seen = Some(*remembered);
                }
                _ => {}
            }
        }
        if let Some(seen) = ledger.remembered().filter(|seen| seen.seq > survived.seq) {
            verdict.seen = Some(seen);
            if loss == Loss::Refuse {
                let place = ledger.components().place.describe();
                return Err(Error::Loss { place, survived: survived.seq, seen: seen.seq });
            }
        }
        Ok(verdict)
    }

    fn recovered(self, by: Option<RecordAt>, pass: Pass) -> Recovered {
        let Self { survived, seen, lost_after } = self;
        Recovered { survived, seen, lost_after, by, pass }
    }
}

/// The recovery that an earlier run finished at the target, when nothing came after it.
fn finished_before(
    survivor: &Vault,
    target: &Components,
    host: &Host,
) -> Result<Option<Recovered>> {
    let name = format::VaultNames::replica();
    if target.place.stat(&name)?.is_none() {
        return Ok(None);
    }
    let first = format::VaultNames::record(Seq(0));
    if target.place.stat(&first)?.is_none() {
        return Ok(None);
    }
    let vault = open_target(survivor, target, host)?;
    let ledger = vault.ledger();
    let state = ledger.state();
    let of_mark = |recover: &&ledger::Recover| Some(recover.place) == ledger.mark();
    let Some(by) = state.recovers().iter().rev().find(of_mark) else { return Ok(None) };
    if by.at != state.head() {
        let found = format!("it was recovered by record {}, and is in use since", by.at.seq);
        return Err(replica::Error::NoReplica { place: target.place.describe(), found }.into());
    }
    Ok(Some(Recovered {
        survived: by.from,
        seen: None,
        lost_after: by.lost_after,
        by: Some(by.at),
        pass: Pass::default(),
    }))
}

/// The target as the owner's vault.
fn open_target(survivor: &Vault, target: &Components, host: &Host) -> Result<Vault> {
    let root = survivor.keyring().root()?.duplicate();
    let keyring = Keyring::owner(root, survivor.keyring().suite());
    let Host { folders, label, seen } = host;
    Ok(Vault::open_knowing(target.clone(), folders, keyring, label, *seen)?)
}
