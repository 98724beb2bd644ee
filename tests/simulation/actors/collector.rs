//! Frees space, with any patience: how long things wait is drawn anew for each collection, down to
//! nothing, because safety may depend on none of it. Small index runs are merged early.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use vault::{CollectOptions, CollectProgress, CompactOptions, Fraction, Vault};

use super::{Actor, Host};
use crate::oracle::lock;

pub(crate) struct Collector {
    pub(crate) patience: Patience,
    pub(crate) packs: Packs,
}

/// What becomes of packs of which something is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packs {
    /// They stay.
    Stay,
    /// At times what is needed moves out of those that are half dead or many: an owner's work.
    Compact,
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
            compact: self.compact(host),
            ..CollectOptions::default()
        };
        let found = vault.collect(&options, &Silent, &AtomicBool::new(false))?;
        let moved = found.compaction.map_or(0, |compaction| compaction.chunks);
        lock(&host.register).counts.moved += moved;
        Ok(())
    }
}

impl Collector {
    fn compact(&self, host: &mut Host) -> Option<CompactOptions> {
        if self.packs == Packs::Stay || host.dice.chance(1, 4) {
            return None;
        }
        let max_live = *host.dice.pick(&[Fraction::HALF, Fraction::WHOLE])?;
        let small_packs_max = *host.dice.pick(&[2, 8, 32])?;
        Some(CompactOptions { max_live, small_packs_max, ..CompactOptions::default() })
    }
}

struct Silent;

impl CollectProgress for Silent {
    fn marked(&self, _: u64) {}
    fn deleted(&self, _: &str, _: u64) {}
}
