//! Where else right bytes may lie: replicas and other copies of the vault.
//!
//! No place is believed: what it gives counts when it is what the object's name, or the record
//! after it, says. A place that does not answer is passed over as long as another has the object.
//! DESIGN §12.

use std::sync::Arc;

use bytes::Bytes;
use crypto::{Digest, Slot, VaultId};
use format::{NamedObject, SLOT_BYTES_MAX, VaultNames};
use places::{ErrorKind, ObjectName, Place};

use super::{Step, StepOutcome, Work, quarantine};
use crate::config::read_config;
use crate::index::get_small;
use crate::keys::slots;
use crate::vault::Vault;
use crate::{Error, Result};

/// Other places where the vault lies: looked into in this order.
#[derive(Clone, Default)]
pub struct Elsewhere {
    places: Vec<Arc<dyn Place>>,
}

impl Elsewhere {
    /// These places. None of them is written to.
    pub fn new(places: Vec<Arc<dyn Place>>) -> Self {
        Self { places }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// An error when one of them holds another vault. One whose config does not read may serve.
    pub(super) fn check(&self, vault: VaultId) -> Result<()> {
        for place in &self.places {
            match read_config(place.as_ref()) {
                Ok((config, _)) if config.vault != vault => {
                    return Err(Error::OtherVault {
                        key: vault.to_string(),
                        place: place.describe(),
                        vault: config.vault.to_string(),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The bytes under a name that are right, and where they came from.
    pub(super) fn find(
        &self,
        name: &ObjectName,
        is_right: impl Fn(&Bytes) -> bool,
    ) -> Result<Option<Found>> {
        let mut silent = None;
        for place in &self.places {
            match get_small(place.as_ref(), name, OBJECT_BYTES_MAX) {
                Ok(bytes) if is_right(&bytes) => {
                    return Ok(Some(Found { bytes, action: fetched(place.as_ref()) }));
                }
                Ok(_) | Err(Error::Object { .. }) => {}
                Err(Error::Place(error)) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => silent = Some(error),
            }
        }
        silent.map_or(Ok(None), Err)
    }

    /// The bytes under a name that their digest is part of.
    pub(super) fn find_digest(&self, name: &ObjectName, digest: &Digest) -> Result<Option<Found>> {
        self.find(name, |bytes| Digest::of(bytes) == *digest)
    }

    /// The names of key slots of a vault that open somewhere.
    fn slots(&self, vault: VaultId) -> Result<Vec<ObjectName>> {
        let mut names = Vec::new();
        for place in &self.places {
            let of_vault = slots(place.as_ref())?.into_iter();
            let of_vault = of_vault.filter(|(_, slot)| slot.vault_id() == vault);
            names.extend(of_vault.map(|(name, _)| name));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

/// Right bytes.
pub(super) struct Found {
    pub(super) bytes: Bytes,
    /// What was done to have them.
    pub(super) action: String,
}

fn fetched(place: &dyn Place) -> String {
    format!("fetched from {}", place.describe())
}

/// No object is longer; what is longer there is not asked for.
const OBJECT_BYTES_MAX: u64 = 4 << 30;
/// Packs that are fetched at a time. Each is in memory whole, twice while it is compared.
const AT_ONCE: usize = 4;

impl Vault {
    /// Fetches the packs that are not there: a listing tells, nothing is read.
    pub(super) fn fetch_missing_packs(&mut self, work: &mut Work<'_>) -> Result<()> {
        if work.elsewhere.is_empty() {
            return Ok(());
        }
        let mut there = std::collections::HashSet::new();
        for listed in self.components().place.list(&VaultNames::packs(), None)? {
            if let Some(NamedObject::Pack(name)) = NamedObject::parse(&listed?.name) {
                there.insert(name);
            }
        }
        let missing: Vec<Digest> = {
            let ledger = self.ledger();
            let packs = ledger.state().packs().map(|(name, _)| *name);
            packs.filter(|name| !there.contains(name)).collect()
        };
        self.fetch_packs(work, &missing).map(|_| ())
    }

    /// Fetches these packs as far as they are found; says whether any was.
    pub(super) fn fetch_packs(&mut self, work: &mut Work<'_>, packs: &[Digest]) -> Result<bool> {
        if work.elsewhere.is_empty() {
            return Ok(false);
        }
        let mut any = false;
        for some in packs.chunks(AT_ONCE) {
            work.go_on()?;
            let steps = self.fetch_some(work, some)?;
            any |= steps.iter().any(|step| step.outcome != StepOutcome::Left);
            work.steps.extend(steps);
        }
        Ok(any)
    }

    fn fetch_some(&self, work: &Work<'_>, packs: &[Digest]) -> Result<Vec<Step>> {
        let place = self.components().place.as_ref();
        let folder = work.options.quarantine.clone().or_else(|| self.home().quarantine());
        let (mode, elsewhere) = (work.options.mode, work.elsewhere);
        let fetch = |pack: &Digest| -> Result<Option<Step>> {
            let name = VaultNames::pack(pack);
            let Some(found) = elsewhere.find_digest(&name, pack)? else { return Ok(None) };
            let replaced = quarantine::replace(place, &name, found.bytes, folder.clone(), mode)?;
            Ok(replaced.map(|step| step.named(&name, &found.action)))
        };
        let done: Vec<Result<Option<Step>>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                packs.iter().map(|pack| scope.spawn(move || fetch(pack))).collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|done| done.unwrap_or_else(|p| std::panic::resume_unwind(p))).collect()
        });
        done.into_iter().filter_map(Result::transpose).collect()
    }

    /// Fetches these runs; gives those that were found.
    pub(super) fn fetch_runs(
        &mut self,
        work: &mut Work<'_>,
        runs: impl Iterator<Item = Digest>,
    ) -> Result<Vec<Digest>> {
        let mut fetched = Vec::new();
        for run in runs {
            work.go_on()?;
            let name = VaultNames::run(&run);
            if let Some(found) = work.elsewhere.find_digest(&name, &run)? {
                self.put_right(work, &name, found.bytes, &found.action)?;
                fetched.push(run);
            }
        }
        Ok(fetched)
    }

    /// Fetches a long list that a record names; says whether it was found.
    pub(super) fn fetch_list(&mut self, work: &mut Work<'_>, list: &Digest) -> Result<bool> {
        let name = VaultNames::list(list);
        let Some(found) = work.elsewhere.find_digest(&name, list)? else { return Ok(false) };
        self.put_right(work, &name, found.bytes, &found.action)?;
        Ok(true)
    }

    /// Fetches key slots that are damaged. One that is missing may have been removed on purpose, so
    /// it comes back only to a vault that has none at all while another copy does.
    pub(super) fn fetch_slots(&mut self, work: &mut Work<'_>) -> Result<()> {
        if work.elsewhere.is_empty() {
            return Ok(());
        }
        let vault = self.config().vault;
        let is_right =
            |bytes: &Bytes| Slot::decode(bytes).is_ok_and(|slot: Slot| slot.vault_id() == vault);
        let place = self.components().place.clone();
        let (mut wanted, mut any_right) = (Vec::new(), false);
        for listed in place.list(&VaultNames::slots(), None)? {
            let name = listed?.name;
            match get_small(place.as_ref(), &name, SLOT_BYTES_MAX) {
                Ok(bytes) if is_right(&bytes) => any_right = true,
                Ok(_) | Err(Error::Object { .. }) => wanted.push(name),
                Err(error) => return Err(error),
            }
        }
        if wanted.is_empty() && !any_right {
            wanted = work.elsewhere.slots(vault)?;
        }
        for name in wanted {
            if let Some(found) = work.elsewhere.find(&name, is_right)? {
                self.put_right(work, &name, found.bytes, &found.action)?;
            }
        }
        Ok(())
    }
}
