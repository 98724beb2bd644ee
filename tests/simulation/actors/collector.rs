//! Frees space, with any patience: how long things wait is drawn anew for each collection, down to
//! nothing, because safety may depend on none of it. Small index runs are merged early.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use vault::{CollectOptions, CollectProgress, Vault};

use super::{Actor, Host};

pub(crate) struct Collector {
    pub(crate) patience: Patience,
}

/// How long things wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Drawn for each collection.
    Any,
    /// Nothing waits.
    None,
}

impl Actor for Collector {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
        let hours = match self.patience {
            Patience::Any => &[0, 0, 1, 24, 7 * 24][..],
            Patience::None => &[0],
        };
        let mut span = || Duration::from_secs(3600 * host.dice.pick(hours).unwrap_or(&0));
        let options = CollectOptions {
            trash: span(),
            reader_grace: span(),
            abandon_after: span().max(Duration::from_secs(3600)),
            broken_off_grace: span(),
            small_runs_max: 6,
            ..CollectOptions::default()
        };
        vault.collect(&options, &Silent, &AtomicBool::new(false))?;
        Ok(())
    }
}

struct Silent;

impl CollectProgress for Silent {
    fn marked(&self, _: u64) {}
    fn deleted(&self, _: &str, _: u64) {}
}
