//! Checks the objects that are neither packs nor runs nor records: the config and the key slots.
//!
//! The config must be the one that the genesis record holds. A key slot must decode; that it opens
//! only its passphrase can prove.

use crypto::Slot;
use format::{CONFIG_BYTES_MAX, SLOT_BYTES_MAX, VaultNames};
use ledger::State;

use super::Check;
use crate::index::get_small;
use crate::{Error, Result};

impl Check<'_> {
    pub(super) fn small_objects(&mut self, state: &State) -> Result<()> {
        let place = self.components.place.clone();
        let name = VaultNames::config();
        match get_small(place.as_ref(), &name, CONFIG_BYTES_MAX as u64) {
            Ok(bytes) if bytes == state.config_bytes() => self.read_object(name.as_str(), 153),
            Ok(_) => {
                self.damaged(name.as_str(), "it is not the config that the first record holds");
            }
            Err(error) => self.take(name.as_str(), error)?,
        }
        for listed in place.list(&VaultNames::slots(), None)? {
            let name = listed?.name;
            let slot = get_small(place.as_ref(), &name, SLOT_BYTES_MAX);
            match slot.and_then(|bytes| Ok(Slot::decode(&bytes)?)) {
                Ok(slot) if slot.vault_id() == state.vault() => self.read_object(name.as_str(), 0),
                Ok(_) => {
                    self.damaged(name.as_str(), "it is a slot of another vault");
                }
                Err(error) => self.take(name.as_str(), Error::object(&name, error))?,
            }
        }
        Ok(())
    }
}
