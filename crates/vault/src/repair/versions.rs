//! Puts back what somebody with the place's credentials wrote over or hid, where versions are kept.
//!
//! Needs no key: packs, runs and lists are known by their digest, the config by its signature,
//! records by the chain; of all other names the oldest version is the object. A pack or run that a
//! record dropped stays where it is, and so does a deleted key slot while another one lies there:
//! its passphrase may have been replaced. Nothing is destroyed: what lies on top is hidden, then
//! the right bytes are put anew and read back. DESIGN §9, §12.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use crypto::{Slot, VaultId};
use format::{NamedObject, Seq, SignedRecord, VaultNames};
use ledger::{Components, Ledger, NameVersions, Need, ProcessMemory, each_name};
use places::{ObjectName, Place, PutOptions, Versions};

use super::{RepairMode, Step, StepOutcome};
use crate::config::{oldest_config, read_config};
use crate::vault::is_absent;
use crate::{Error, Result};

const HIDDEN: &str = "somebody hid it behind a delete marker";
const WRITTEN_OVER: &str = "somebody wrote over it";
const NO_VERSION: &str = "no version of it is right: bring it back from a copy of the vault";

/// Puts back what was written over or hidden; gives a step for each.
///
/// # Errors
/// `Unsupported` where the place keeps no versions, [`Error::NoVault`] when not even an older
/// version of the config is there, [`Error::Stopped`] when it is cancelled, and errors of the
/// place. What was put back before stays so.
pub fn repair_versions(
    components: &Components,
    mode: RepairMode,
    cancel: &AtomicBool,
) -> Result<Vec<Step>> {
    let place = &*components.place;
    let Some(versions) = place.versions() else {
        let what = "read back what was written over".into();
        return Err(places::Error::Unsupported { place: place.describe(), what }.into());
    };
    let mut work = Work { place, versions, mode, cancel, steps: Vec::new() };
    // One that is valid and of another vault may lie there now.
    let (config, bytes) = match oldest_config(place)? {
        Some(oldest) => oldest,
        None => read_config(place)?,
    };
    work.check_one(&VaultNames::config(), Some(bytes.clone().into()))?;
    work.check_one(&VaultNames::replica(), None)?;
    work.records()?;
    for prefix in [VaultNames::lists(), VaultNames::bundles(), VaultNames::checkpoints()] {
        each_name(versions, &prefix, |met| work.check(&met))?;
    }
    work.slots(config.vault)?;
    let memory = Arc::new(ProcessMemory::new());
    let ledger = Ledger::open(components.clone(), &bytes, None, memory, None)?;
    for prefix in [VaultNames::packs(), VaultNames::runs()] {
        each_name(versions, &prefix, |met| match Need::of(&met.object, ledger.state()) {
            Need::Needed => work.check(&met),
            // It may come to be needed; one that was deleted was left by interrupted work.
            Need::Unknown if !met.is_hidden() => work.check(&met),
            Need::Unknown | Need::Dropped => Ok(()),
        })?;
    }
    Ok(work.steps)
}

struct Work<'a> {
    place: &'a dyn Place,
    versions: &'a dyn Versions,
    mode: RepairMode,
    cancel: &'a AtomicBool,
    steps: Vec<Step>,
}

impl Work<'_> {
    /// Looks at one name; `right` says what must lie there, when that is known.
    fn check_one(&mut self, name: &ObjectName, right: Option<Bytes>) -> Result<()> {
        let found = self.versions.versions_of(name)?;
        let Some(object) = NamedObject::parse(name).filter(|_| !found.is_empty()) else {
            return Ok(());
        };
        let met = NameVersions { name: name.clone(), object, versions: found };
        match right {
            None => self.check(&met),
            Some(right) if self.lies_there(name, &right)? => Ok(()),
            Some(right) => self.put_back(&met, &right),
        }
    }

    /// Puts back the version that is the object, when something else lies there.
    fn check(&mut self, met: &NameVersions) -> Result<()> {
        self.go_on()?;
        if met.versions.len() < 2 || !met.is_wrong(self.place, self.versions)? {
            return Ok(());
        }
        match met.right_bytes(self.versions)? {
            Some(right) => self.put_back(met, &right),
            None => {
                self.left(met, NO_VERSION.into());
                Ok(())
            }
        }
    }

    /// Records: of those that were touched, the oldest version, when the chain agrees.
    fn records(&mut self) -> Result<()> {
        let mut touched: BTreeMap<Seq, NameVersions> = BTreeMap::new();
        let mut with_digest = Vec::new();
        each_name(self.versions, &VaultNames::records(), |met| {
            match &met.object {
                NamedObject::Record(name) if met.versions.len() > 1 => match name.digest {
                    None => drop(touched.insert(name.seq, met)),
                    Some(_) => with_digest.push(met),
                },
                _ => {}
            }
            Ok::<_, Error>(())
        })?;
        with_digest.iter().try_for_each(|met| self.check(met))?;
        for (seq, met) in &touched {
            self.go_on()?;
            if !met.is_wrong(self.place, self.versions)? {
                continue;
            }
            match met.right_bytes(self.versions)? {
                Some(right) if self.is_on_chain(*seq, &right, &touched)? => {
                    self.put_back(met, &right)?;
                }
                _ => self.left(met, NO_VERSION.into()),
            }
        }
        Ok(())
    }

    /// Whether the record after it follows these bytes; when none does, whether they follow the
    /// record before it.
    fn is_on_chain(
        &self,
        seq: Seq,
        bytes: &Bytes,
        touched: &BTreeMap<Seq, NameVersions>,
    ) -> Result<bool> {
        let hash = |bytes: &Bytes| SignedRecord::hash(bytes, bytes.len() as u64);
        let right = |seq: Seq| match touched.get(&seq) {
            Some(met) => Ok(met.right_bytes(self.versions)?),
            None => self.get(&VaultNames::record(seq)),
        };
        let previous = |bytes: &Bytes| Some(SignedRecord::decode(bytes).ok()?.record.prev);
        if let Some(prev) = right(seq.next())?.as_ref().and_then(previous) {
            return Ok(prev == hash(bytes));
        }
        let Some(before) = seq.0.checked_sub(1) else { return Ok(true) };
        let before = right(Seq(before))?.map(|bytes| hash(&bytes));
        Ok(previous(bytes).is_some() && previous(bytes) == before)
    }

    /// Key slots: the oldest version that is a slot of this vault. What is hidden stays so while
    /// another slot lies there.
    fn slots(&mut self, vault: VaultId) -> Result<()> {
        let is_slot =
            |bytes: &Bytes| Slot::decode(bytes).is_ok_and(|slot| slot.vault_id() == vault);
        let mut hidden = Vec::new();
        let mut lying = BTreeSet::new();
        let mut touched = Vec::new();
        each_name(self.versions, &VaultNames::slots(), |met| {
            match (met.is_hidden(), met.versions.len()) {
                (true, _) => hidden.push(met),
                (false, 1) => drop(lying.insert(met.name)),
                (false, _) => touched.push(met),
            }
            Ok::<_, Error>(())
        })?;
        let mut is_one_good = false;
        for name in &lying {
            is_one_good |= self.get(name)?.is_some_and(|bytes| is_slot(&bytes));
        }
        for met in &touched {
            is_one_good |= self.slot(met, &is_slot)?;
        }
        if !is_one_good {
            for met in &hidden {
                self.slot(met, &is_slot)?;
            }
        }
        Ok(())
    }

    /// Puts back the oldest version that is a slot; says whether there is one.
    fn slot(&mut self, met: &NameVersions, is_slot: &dyn Fn(&Bytes) -> bool) -> Result<bool> {
        self.go_on()?;
        for version in met.objects().rev() {
            let bytes = self.versions.get_version(&version.name, &version.id, None)?;
            if is_slot(&bytes) {
                if !self.lies_there(&met.name, &bytes)? {
                    self.put_back(met, &bytes)?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Hides what lies there, if anything does, and puts the right bytes.
    fn put_back(&mut self, met: &NameVersions, right: &Bytes) -> Result<()> {
        if self.mode == RepairMode::Make {
            if !met.is_hidden() {
                self.versions.hide(&met.name)?;
            }
            let _ = self.place.put(&met.name, right.clone(), &PutOptions::default())?;
            if !self.lies_there(&met.name, right)? {
                self.left(met, "other bytes were put there meanwhile: run it again".into());
                return Ok(());
            }
        }
        let outcome = match self.mode {
            RepairMode::Make => StepOutcome::Done,
            RepairMode::Plan => StepOutcome::Planned,
        };
        let action = match (met.digest(), &met.object) {
            (Some(_), _) => "put back: the version that has its digest",
            (None, NamedObject::Config) => "put back: the one that the vault's root key signed",
            (None, NamedObject::Record(_)) => "put back: its oldest version, which is on the chain",
            (None, NamedObject::Slot(_)) if met.is_hidden() => {
                "put back, as no other slot was left; a passphrase that was replaced may open it"
            }
            (None, _) => "put back: its oldest version",
        };
        self.step(met, action.into(), outcome);
        Ok(())
    }

    fn left(&mut self, met: &NameVersions, action: String) {
        self.step(met, action, StepOutcome::Left);
    }

    fn step(&mut self, met: &NameVersions, action: String, outcome: StepOutcome) {
        let wrong = if met.is_hidden() { HIDDEN } else { WRITTEN_OVER };
        let (object, wrong) = (met.name.to_string(), wrong.to_owned());
        self.steps.push(Step { object, wrong, action, outcome });
    }

    fn lies_there(&self, name: &ObjectName, right: &Bytes) -> Result<bool> {
        Ok(self.get(name)?.is_some_and(|found| found == *right))
    }

    fn get(&self, name: &ObjectName) -> Result<Option<Bytes>> {
        match self.place.get(name, None) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn go_on(&self) -> Result<()> {
        match self.cancel.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::Stopped {
                reason: "the repair was cancelled".into(),
                kind: crate::ErrorKind::Unavailable,
            }),
        }
    }
}
