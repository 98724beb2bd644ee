//! Puts back records of the ledger that are missing or changed.
//!
//! A bundle and what this host read and kept are where they may come from. Nobody is believed: a
//! candidate counts when its hash is the one that the next record follows, or the head that this
//! host remembers. What nothing can give back is left to a replica or to the owner's `mend`.
//! DESIGN §9.

use std::collections::BTreeSet;

use bytes::Bytes;
use crypto::Keyring;
use format::{Digest, Ref, Seq, SignedRecord, VaultNames};
use ledger::{Alarm, Break, Components, Ledger, RecordAt, RecordBytes, State, Trust};

use super::{RepairOptions, Step, Work, quarantine};
use crate::home::{Folders, Home};
use crate::vault::Vault;
use crate::{Error, Result};

const ACTION: &str = "put back as it was";
const ELSEWHERE: &str = "bring it back from a copy of the vault; if there is none, \
    `strongroom ledger mend` gives up what it did";
/// Breaks that one repair settles at most.
const BREAKS_MAX: usize = 1024;

/// Puts the first record back when it is not what it was and this host kept it.
pub(super) fn mend_genesis(
    components: &Components,
    folders: &Folders,
    keyring: &Keyring,
    options: &RepairOptions,
) -> Result<Vec<Step>> {
    let home = Home::open(folders, keyring)?;
    let Some(kept) = home.kept_record(Seq(0)) else { return Ok(Vec::new()) };
    let Some(config) = config_of(&kept) else { return Ok(Vec::new()) };
    let record = RecordBytes::whole(kept.clone());
    match State::begin(&config, &record, Trust::Check) {
        Ok(state) if state.vault() == keyring.vault_id() => {}
        _ => return Ok(Vec::new()),
    }
    let name = VaultNames::record(Seq(0));
    let folder = options.quarantine.clone().or_else(|| home.quarantine());
    let place = components.place.as_ref();
    let replaced = quarantine::replace(place, &name, kept.into(), folder, options.mode)?;
    Ok(replaced.map(|step| step.named(&name, ACTION)).into_iter().collect())
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
            let Some((wrong, suspects)) = self.suspects()? else { return Ok(()) };
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
                match self.candidate(seq, vouching.map(|(_, hash)| hash))? {
                    Some((bytes, previous)) => {
                        above = Some((seq, previous));
                        any = true;
                        self.put_right(work, &name, bytes, ACTION)?;
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

    /// What is wrong with the ledger, and the records that may be to blame, in order.
    fn suspects(&self) -> Result<Option<(String, Vec<Seq>)>> {
        let ledger = self.ledger();
        let alarms = &ledger.standing().alarms;
        let history = alarms.iter().find_map(|alarm| match alarm {
            Alarm::RolledBack { remembered, found } => {
                let missing = found.seq.0 + 1..=remembered.seq.0;
                Some((alarm.to_string(), missing.map(Seq).collect()))
            }
            Alarm::Forked { .. } => Some((alarm.to_string(), Vec::new())),
            Alarm::Break(found) => Some((alarm.to_string(), suspects_of(found))),
            _ => None,
        });
        match history {
            Some((wrong, seqs)) if seqs.is_empty() => {
                return Ok(Some((wrong, self.changed(&ledger)?)));
            }
            Some(known) => return Ok(Some(known)),
            None => {}
        }
        // A state that was kept hides what lies below it.
        match ledger.replay(|_, _| Ok(())) {
            Ok(state) if state.head() == ledger.state().head() => Ok(None),
            // A changed record can make all that follow it void, without a break.
            Ok(_) => Ok(Some(("it was changed".into(), self.changed(&ledger)?))),
            Err(ledger::Error::Broken(found)) => Ok(Some((found.to_string(), suspects_of(&found)))),
            Err(error) => Err(error.into()),
        }
    }

    /// The records that are not what this host kept of them.
    fn changed(&self, ledger: &Ledger) -> Result<Vec<Seq>> {
        let newest = ledger.remembered().map_or(ledger.state().head().seq, |head| head.seq);
        let mut changed = Vec::new();
        for seq in (0..=newest.max(ledger.state().head().seq).0).map(Seq) {
            let Some(kept) = self.home().kept_record(seq) else { continue };
            match ledger.read(seq) {
                Ok(entry) if entry.bytes.bytes == kept => {}
                Ok(_) | Err(ledger::Error::NoRecord { .. }) => changed.push(seq),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(changed)
    }

    /// The right bytes of a record, when they can be proven, and the hash that they follow.
    fn candidate(&self, seq: Seq, above: Option<Digest>) -> Result<Option<(Bytes, Digest)>> {
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
        for bytes in [kept, bundled].into_iter().flatten() {
            let hash = Digest::of(&bytes);
            let Ok(signed) = SignedRecord::decode(&bytes) else { continue };
            if signed.record.seq == seq && (next == Some(hash) || is_head(hash)) {
                let previous = signed.record.prev;
                return Ok(Some((bytes, previous)));
            }
        }
        Ok(None)
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

fn suspects_of(found: &Break) -> Vec<Seq> {
    match found {
        Break::Genesis { .. } => vec![Seq(0)],
        Break::Missing { seq, above } => (seq.0..above.0).map(Seq).collect(),
        // What lies before is not what this one follows.
        Break::Previous { seq, .. } => vec![Seq(seq.0.saturating_sub(1))],
        Break::List { .. } => Vec::new(),
    }
}
