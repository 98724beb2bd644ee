//! Puts back records of the ledger that are missing or changed.
//!
//! A bundle, what this host read and kept, and other copies of the vault are where they may come
//! from. Nobody is believed: a
//! candidate counts when its hash is the one that the next record follows, or the head that this
//! host remembers. What nothing can give back is left to a replica or to the owner's `mend`.
//! DESIGN §9.

use std::collections::BTreeSet;

use bytes::Bytes;
use crypto::Keyring;
use format::{Digest, RECORD_BYTES_MAX, Ref, Seq, SignedRecord, VaultNames};
use ledger::{Alarm, Break, Components, Ledger, RecordAt, RecordBytes, State, Trust};

use super::{Elsewhere, RepairOptions, Step, Work, quarantine};
use crate::home::{Folders, Home};
use crate::index::get_small;
use crate::vault::Vault;
use crate::{Error, Result};

const ACTION: &str = "put back as it was";
const ELSEWHERE: &str = "bring it back from a copy of the vault: --from URL; if there is none, \
    `strongroom ledger mend` gives up what it did";
/// Breaks that one repair settles at most.
const BREAKS_MAX: usize = 1024;

/// Puts the first record back when it is not what it was and this host kept it or another place has
/// it.
pub(super) fn mend_genesis(
    components: &Components,
    folders: &Folders,
    keyring: &Keyring,
    options: &RepairOptions,
    elsewhere: &Elsewhere,
) -> Result<Vec<Step>> {
    let home = Home::open(folders, keyring)?;
    let name = VaultNames::record(Seq(0));
    let place = components.place.as_ref();
    let is_right = |bytes: &Bytes| is_genesis(bytes, keyring);
    let kept = home.kept_record(Seq(0)).map(Bytes::from).filter(is_right);
    let (right, action) = match kept {
        Some(kept) => (kept, ACTION.to_owned()),
        None if elsewhere.is_empty() => return Ok(Vec::new()),
        None => match get_small(place, &name, RECORD_BYTES_MAX as u64) {
            Ok(found) if is_right(&found) => return Ok(Vec::new()),
            _ => match elsewhere.find(&name, is_right)? {
                Some(found) => (found.bytes, found.action),
                None => return Ok(Vec::new()),
            },
        },
    };
    let folder = options.quarantine.clone().or_else(|| home.quarantine());
    let replaced = quarantine::replace(place, &name, right, folder, options.mode)?;
    Ok(replaced.map(|step| step.named(&name, &action)).into_iter().collect())
}

/// Whether these bytes are a first record of the vault.
fn is_genesis(bytes: &Bytes, keyring: &Keyring) -> bool {
    let Some(config) = config_of(bytes) else { return false };
    let record = RecordBytes::whole(bytes.clone());
    State::begin(&config, &record, Trust::Check)
        .is_ok_and(|state| state.vault() == keyring.vault_id())
}

fn config_of(genesis: &[u8]) -> Option<Vec<u8>> {
    let record = SignedRecord::decode(genesis).ok()?.record;
    let refs = record.refs.inline()?.to_vec();
    refs.into_iter().find_map(|named| match named {
        Ref::Config(bytes) => Some(bytes),
        _ => None,
    })
}

impl Vault {
    pub(super) fn repair_records(&mut self, work: &mut Work<'_>) -> Result<()> {
        self.refresh()?;
        let mut tried = BTreeSet::new();
        for _ in 0..BREAKS_MAX {
            work.go_on()?;
            let Some(Suspicion { wrong, records: suspects, list }) = self.suspects()? else {
                return Ok(());
            };
            if let Some(list) = list
                && self.fetch_list(work, &list)?
            {
                if work.options.mode == super::RepairMode::Plan {
                    return Ok(());
                }
                self.reopen_ledger()?;
                continue;
            }
            // Where names carry digests nothing is replaced; a list nobody else holds.
            if suspects.is_empty() || !self.components().place.capabilities().if_absent {
                work.left("the ledger", wrong, ELSEWHERE);
                return Ok(());
            }
            let new: Vec<Seq> = suspects.into_iter().filter(|seq| tried.insert(*seq)).collect();
            if new.is_empty() {
                return Ok(());
            }
            let mut any = false;
            // From the end: each vouches for the one before it.
            let mut above: Option<(Seq, Digest)> = None;
            for seq in new.into_iter().rev() {
                let name = VaultNames::record(seq);
                let vouching = above.filter(|(one, _)| *one == seq.next());
                let found = self.candidate(work, seq, vouching.map(|(_, hash)| hash))?;
                match found {
                    Some(Candidate { bytes, previous, action }) => {
                        above = Some((seq, previous));
                        any = true;
                        self.put_right(work, &name, bytes, &action)?;
                    }
                    None => work.left(name.as_str(), wrong.clone(), ELSEWHERE),
                }
            }
            if !any || work.options.mode == super::RepairMode::Plan {
                return Ok(());
            }
            self.reopen_ledger()?;
        }
        Ok(())
    }

    /// What is wrong with the ledger, and what may be to blame.
    fn suspects(&self) -> Result<Option<Suspicion>> {
        let ledger = self.ledger();
        let history = ledger.standing().alarms.iter().find_map(|alarm| match alarm {
            Alarm::RolledBack { remembered, found } => {
                let records = (found.seq.0 + 1..=remembered.seq.0).map(Seq).collect();
                Some(Suspicion { wrong: alarm.to_string(), records, list: None })
            }
            Alarm::Forked { remembered, .. } => {
                let records = vec![remembered.seq];
                Some(Suspicion { wrong: alarm.to_string(), records, list: None })
            }
            Alarm::Break(found) => Some(Suspicion::of(alarm.to_string(), found)),
            _ => None,
        });
        let mut suspicion = match history {
            Some(known) => known,
            // A state that was kept hides what lies below it.
            None => match ledger.replay(|_, _| Ok(())) {
                Ok(state) if state.head() == ledger.state().head() => return Ok(None),
                // A changed record can make all that follow it void, without a break.
                Ok(_) => {
                    Suspicion { wrong: "it was changed".into(), records: Vec::new(), list: None }
                }
                Err(ledger::Error::Broken(found)) => Suspicion::of(found.to_string(), &found),
                Err(error) => return Err(error.into()),
            },
        };
        let is_forked = |alarm: &Alarm| matches!(alarm, Alarm::Forked { .. });
        let is_told = !suspicion.records.is_empty() || suspicion.list.is_some();
        if !is_told || ledger.standing().alarms.iter().any(is_forked) {
            let mut records = BTreeSet::from_iter(suspicion.records);
            records.extend(self.changed(&ledger)?);
            suspicion.records = records.into_iter().collect();
        }
        Ok(Some(suspicion))
    }

    /// The records that are not what this host kept of them, or not what the next one follows.
    fn changed(&self, ledger: &Ledger) -> Result<Vec<Seq>> {
        let newest = ledger.remembered().map_or(ledger.state().head().seq, |head| head.seq);
        let mut changed = Vec::new();
        let mut before: Option<(Seq, Digest)> = None;
        for seq in (0..=newest.max(ledger.state().head().seq).0).map(Seq) {
            if let Ok(entry) = ledger.read(seq) {
                let named = entry.record.as_ref().map(|record| record.prev);
                if let (Some((seq, hash)), Some(named)) = (before, named)
                    && hash != named
                {
                    changed.push(seq);
                }
                before = Some((seq, entry.hash));
            }
            let Some(kept) = self.home().kept_record(seq) else { continue };
            match ledger.read(seq) {
                Ok(entry) if entry.bytes.bytes == kept => {}
                Ok(_) | Err(ledger::Error::NoRecord { .. }) => changed.push(seq),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(changed)
    }

    /// The right bytes of a record, when they can be proven.
    fn candidate(
        &self,
        work: &Work<'_>,
        seq: Seq,
        above: Option<Digest>,
    ) -> Result<Option<Candidate>> {
        let ledger = self.ledger();
        let next = match above {
            Some(hash) => Some(hash),
            None => match ledger.read(seq.next()) {
                Ok(entry) => entry.record.map(|record| record.prev),
                Err(ledger::Error::NoRecord { .. }) => None,
                Err(error) => return Err(error.into()),
            },
        };
        let is_head = |hash: Digest| ledger.remembered() == Some(RecordAt { seq, hash });
        let kept = self.home().kept_record(seq).map(Bytes::from);
        let bundled = ledger.bundled_record(seq)?.map(|record| record.bytes);
        let proven = |bytes: &Bytes| {
            let hash = Digest::of(bytes);
            let record = SignedRecord::decode(bytes).ok()?.record;
            let is_right = record.seq == seq && (next == Some(hash) || is_head(hash));
            is_right.then_some(record.prev)
        };
        for bytes in [kept, bundled].into_iter().flatten() {
            if let Some(previous) = proven(&bytes) {
                return Ok(Some(Candidate { bytes, previous, action: ACTION.to_owned() }));
            }
        }
        let found = work.elsewhere.find(&VaultNames::record(seq), |b| proven(b).is_some())?;
        Ok(found.and_then(|found| {
            let previous = proven(&found.bytes)?;
            Some(Candidate { bytes: found.bytes, previous, action: found.action })
        }))
    }

    /// Reads the ledger from its first record.
    pub(super) fn reopen_ledger(&mut self) -> Result<()> {
        let (config, components) = {
            let ledger = self.ledger();
            (ledger.state().config_bytes().to_vec(), ledger.components().clone())
        };
        let memory = self.head_memory();
        let keyring = Some(self.keyring_shared());
        let opened = ledger::Ledger::open(components, &config, keyring, memory, None);
        let opened = opened.map_err(Error::from)?;
        *self.ledger() = opened;
        Ok(())
    }
}

/// What is wrong with a ledger, and what may be to blame.
struct Suspicion {
    wrong: String,
    /// In order.
    records: Vec<Seq>,
    /// A long list.
    list: Option<Digest>,
}

impl Suspicion {
    fn of(wrong: String, found: &Break) -> Self {
        let list = match found {
            Break::List { digest, .. } => Some(*digest),
            _ => None,
        };
        Self { wrong, records: suspects_of(found), list }
    }
}

/// The right bytes of a record.
struct Candidate {
    bytes: Bytes,
    /// The hash that they follow.
    previous: Digest,
    action: String,
}

fn suspects_of(found: &Break) -> Vec<Seq> {
    match found {
        Break::Genesis { .. } => vec![Seq(0)],
        Break::Missing { seq, above } => (seq.0..above.0).map(Seq).collect(),
        // What lies before is not what this one follows.
        Break::Previous { seq, .. } => vec![Seq(seq.0.saturating_sub(1))],
        Break::List { .. } => Vec::new(),
    }
}
