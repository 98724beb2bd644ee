//! How a collection is asked for, and who hears of it.
//!
//! All spans are comfort: whatever they are, nothing that is needed is deleted. DESIGN §9.

use std::time::Duration;

use super::CompactionPlan;
use crate::Fraction;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How a collection works. All spans are comfort: safety depends on none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectOptions {
    /// Whether anything changes.
    pub mode: CollectMode,
    /// How long a forgotten snapshot can be brought back: from when its `forget` was stored.
    pub trash: Duration,
    /// How long what was condemned or dropped stays for readers that still look at it.
    pub reader_grace: Duration,
    /// How long a session may say nothing before it is abandoned; and a suspicion, before it
    /// counts as left behind.
    pub abandon_after: Duration,
    /// How long the packs of a session that broke off wait for its host's next one.
    pub broken_off_grace: Duration,
    /// More small index runs of one domain than this are merged.
    pub small_runs_max: usize,
    /// How packs are compacted before the dead ones are condemned; `None`: not at all.
    pub compact: Option<CompactOptions>,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self {
            mode: CollectMode::Collect,
            trash: 7 * DAY,
            reader_grace: DAY,
            abandon_after: DAY,
            broken_off_grace: 7 * DAY,
            small_runs_max: 32,
            compact: None,
        }
    }
}

/// Which packs are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactOptions {
    /// A pack is worth it when less than this part of its chunks' bytes is live.
    pub max_live: Fraction,
    /// So many live bytes are moved at most; `None`: as many as there are.
    pub max_moved: Option<u64>,
    /// When a domain has more small packs of one kind than this, all of them are merged. A pack is
    /// small below an eighth of a full one.
    pub small_packs_max: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self { max_live: Fraction::HALF, max_moved: None, small_packs_max: 32 }
    }
}

/// Whether a collection changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CollectMode {
    /// It does.
    #[default]
    Collect,
    /// It says what it would do; nothing is appended, stored or deleted.
    Rehearse,
}

/// Hears how a collection goes on; called from several threads.
pub trait CollectProgress: Sync {
    /// So many more nodes of trees were read.
    fn marked(&self, nodes: u64);
    /// An object was deleted.
    fn deleted(&self, name: &str, bytes: u64);
    /// This is going to be compacted; told before anything is.
    fn planned(&self, _plan: &CompactionPlan) {}
    /// So many more bytes of live chunks were moved.
    fn moved(&self, _bytes: u64) {}
}
