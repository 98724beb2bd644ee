//! The config, read from a place and checked: the root key makes the vault id, and signed it.
//!
//! When the config is damaged or gone, its copy in the genesis record serves, else its oldest
//! version where the place keeps them. FORMAT.md §4.

use crypto::{Signature, SigningContext, VaultId, VerifyingKey};
use format::{CONFIG_BYTES_MAX, Config, RECORD_BYTES_MAX, Ref, Seq, SignedRecord, VaultNames};
use places::{Place, VersionContent};

use crate::index::get_small;
use crate::vault::is_absent;
use crate::{Error, Result};

/// The config that a place holds, checked, with its bytes.
///
/// # Errors
/// [`Error::NoVault`], [`Error::Config`], errors of the place.
pub fn read_config(place: &dyn Place) -> Result<(Config, Vec<u8>)> {
    let damaged = |reason: String| Error::Config { place: place.describe(), reason };
    let first = match get_small(place, &VaultNames::config(), CONFIG_BYTES_MAX as u64) {
        Ok(bytes) => check(&bytes).map(|config| (config, bytes.to_vec())).map_err(damaged),
        Err(Error::Place(error)) if is_absent(&error) => {
            Err(Error::NoVault { place: place.describe() })
        }
        Err(error @ Error::Object { .. }) => Err(damaged(error.to_string())),
        Err(error) => return Err(error),
    };
    first
        .or_else(|error| copy_in_genesis(place).ok_or(error))
        .or_else(|error| oldest_config(place)?.ok_or(error))
}

/// The oldest version of the config that is one, where versions are kept.
pub(crate) fn oldest_config(place: &dyn Place) -> Result<Option<(Config, Vec<u8>)>> {
    let Some(versions) = place.versions() else { return Ok(None) };
    let most = Some(0..CONFIG_BYTES_MAX as u64);
    for version in versions.versions_of(&VaultNames::config())?.into_iter().rev() {
        let VersionContent::Object { size } = version.content else { continue };
        let range = most.clone().filter(|most| size > most.end);
        let bytes = versions.get_version(&version.name, &version.id, range)?;
        if let Ok(config) = check(&bytes) {
            return Ok(Some((config, bytes.to_vec())));
        }
    }
    Ok(None)
}

/// Decodes and checks a config's bytes.
fn check(bytes: &[u8]) -> std::result::Result<Config, String> {
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(format!("it is {} bytes, the limit is {CONFIG_BYTES_MAX}", bytes.len()));
    }
    let (config, signature) = Config::decode(bytes).map_err(|error| error.to_string())?;
    let root = VerifyingKey::from_bytes(config.root_public);
    if VaultId::of_root(&root) != config.vault {
        return Err("its root key does not make its vault id".into());
    }
    let signed = &bytes[..bytes.len() - signature.len()];
    root.verify(SigningContext::Config, signed, &Signature::from_bytes(signature))
        .map_err(|_| "its signature is not its root key's".to_owned())?;
    Ok(config)
}

fn copy_in_genesis(place: &dyn Place) -> Option<(Config, Vec<u8>)> {
    let genesis = place.get(&VaultNames::record(Seq(0)), None).ok()?;
    if genesis.len() > RECORD_BYTES_MAX {
        return None;
    }
    let record = SignedRecord::decode(&genesis).ok()?.record;
    let refs = record.refs.inline()?.to_vec();
    let bytes = refs.into_iter().find_map(|r| match r {
        Ref::Config(bytes) => Some(bytes),
        _ => None,
    })?;
    Some((check(&bytes).ok()?, bytes))
}
