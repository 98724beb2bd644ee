//! The place that is copied from, opened without a key.
//!
//! The config says which vault it is, and the first record holds a copy of it: where one of the
//! two is damaged or gone, the other serves. FORMAT.md §3, §9.

use std::sync::Arc;

use bytes::Bytes;
use format::{Ref, Seq, SignedRecord, VaultNames};
use ledger::{Components, Ledger, ProcessMemory};
use places::Place;

use crate::{Error, Result};

/// Opens the source's ledger without a key.
pub(crate) fn open_source(source: &Components) -> Result<Ledger> {
    let config = read_config(&*source.place)?;
    let memory = Arc::new(ProcessMemory::new());
    match Ledger::open(source.clone(), &config, None, memory.clone(), None) {
        Err(ledger::Error::Config { .. }) => {
            let config = copy_in_genesis(&*source.place)?;
            let config = config.ok_or_else(|| no_vault(&*source.place))?;
            Ok(Ledger::open(source.clone(), &config, None, memory, None)?)
        }
        opened => Ok(opened?),
    }
}

/// The config's bytes, or those of its copy in the first record.
fn read_config(place: &dyn Place) -> Result<Bytes> {
    match place.get(&VaultNames::config(), None) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == places::ErrorKind::NotFound => {
            copy_in_genesis(place)?.ok_or_else(|| no_vault(place))
        }
        Err(error) => Err(error.into()),
    }
}

fn no_vault(place: &dyn Place) -> Error {
    Error::NoVault { place: place.describe() }
}

pub(crate) fn copy_in_genesis(place: &dyn Place) -> Result<Option<Bytes>> {
    let bytes = match place.get(&VaultNames::record(Seq(0)), None) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == places::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let signed = SignedRecord::decode(&bytes).ok();
    let refs = signed.as_ref().and_then(|signed| signed.record.refs.inline());
    Ok(refs.unwrap_or_default().iter().find_map(|named| match named {
        Ref::Config(config) => Some(Bytes::copy_from_slice(config)),
        _ => None,
    }))
}
