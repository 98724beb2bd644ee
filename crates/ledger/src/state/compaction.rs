//! What a state forgets: what has been over for so long that no record can turn on it any more.
//!
//! Forgetting is a part of replay, at numbers that all share, so whoever replays the same records
//! still has the same state, with keys or without. No verdict changes: what is forgotten was void
//! to name, and what no state knows is void to name as well. Only that a session id is used once
//! must be remembered for ever, so closed sessions leave the first 8 bytes of their ids behind.
//! Who deletes after a hold of its own may ask to hear what is forgotten. FORMAT.md §10.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use format::{Digest, ObjectRef, RecordAt, Seq, SessionId};

use super::{SessionStart, SessionStatus, SnapshotStanding, State};

/// When a state forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compaction {
    /// At every number that is a multiple of this.
    pub(crate) every: u64,
    /// What has been over for so many records.
    pub(crate) age: u64,
}

impl Default for Compaction {
    fn default() -> Self {
        Self { every: 16_384, age: 65_536 }
    }
}

/// Drops that are remembered beyond the state, for who asked. No part of a state: it is neither
/// encoded nor compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    names: Arc<HashSet<Digest>>,
    dropped: BTreeMap<Digest, (ObjectRef, Seq)>,
}

impl Watch {
    fn hear(&mut self, name: &Digest, object: ObjectRef, seq: Seq) {
        if self.names.contains(name) {
            self.dropped.entry(*name).or_insert((object, seq));
        }
    }
}

impl PartialEq for Watch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Watch {}

impl State {
    /// From here on, keeps which record dropped a pack or run of these names also when the state
    /// itself forgets it. What was kept of other names is let go.
    pub(crate) fn watch_drops(&mut self, names: Arc<HashSet<Digest>>) {
        self.watch.dropped.retain(|name, _| names.contains(name));
        self.watch.names = names;
    }

    /// Forgets as this one does, and hears of the same drops.
    pub(crate) fn forget_as(&mut self, other: &Self) {
        self.compaction = other.compaction;
        self.watch.names = other.watch.names.clone();
    }

    /// The packs and runs that the state forgot, of those that were asked for, and the records
    /// that dropped them.
    pub fn forgotten_drops(&self) -> impl Iterator<Item = (&ObjectRef, Seq)> {
        let known = |name| self.packs.contains_key(name) || self.runs.contains_key(name);
        let unknown = self.watch.dropped.iter().filter(move |(name, _)| !known(name));
        unknown.map(|(_, (object, seq))| (object, *seq))
    }

    /// Takes a record's place as the head, and forgets when it is time to.
    pub(super) fn advance(&mut self, at: RecordAt) {
        self.head = at;
        let Compaction { every, age } = self.compaction;
        if at.seq.0.is_multiple_of(every)
            && let Some(newest) = at.seq.0.checked_sub(age)
        {
            self.forget_until(Seq(newest));
        }
    }

    /// Whether a session of this id was opened: an id is used once. Of forgotten ones the first 8
    /// bytes count.
    pub(super) fn is_used(&self, id: SessionId) -> bool {
        self.sessions.contains_key(&id) || self.closed.binary_search(&start_of(&id)).is_ok()
    }

    /// Forgets what was over with the record of this number or an earlier one.
    fn forget_until(&mut self, newest: Seq) {
        self.forget_condemned(newest);
        let watch = &mut self.watch;
        self.runs.retain(|name, run| match run.dropped {
            Some(dropped) if dropped <= newest => {
                watch.hear(name, ObjectRef::Run(*name), dropped);
                false
            }
            _ => true,
        });
        self.forget_snapshots(newest);
        self.forget_sessions(newest);
    }

    /// Condemned packs that were swept, unless a session was open already when they were
    /// condemned: its writer may rely on them unknowing, and must learn it whatever others name.
    fn forget_condemned(&mut self, newest: Seq) {
        let oldest_open = self.open_sessions().map(|(_, session)| session.opened).min();
        let watch = &mut self.watch;
        self.condemned.retain(|name, condemned| {
            let over = condemned.swept.is_some_and(|swept| swept <= newest)
                && oldest_open.is_none_or(|opened| condemned.seq < opened);
            if over {
                watch.hear(name, ObjectRef::Pack(*name), condemned.seq);
            }
            !over
        });
    }

    /// Purged snapshots, unless an open session builds on them.
    fn forget_snapshots(&mut self, newest: Seq) {
        let bases: BTreeSet<SessionId> =
            self.open_sessions().filter_map(|(_, session)| session.base).collect();
        let commits = &mut self.commits;
        self.snapshots.retain(|id, snapshot| {
            let over = snapshot.standing == SnapshotStanding::Purged
                && snapshot.since <= newest
                && !bases.contains(id);
            if over {
                commits.remove(&snapshot.seq);
            }
            !over
        });
    }

    /// Closed sessions, unless a pack, run or snapshot that is known is theirs.
    fn forget_sessions(&mut self, newest: Seq) {
        let packs = self.packs.values().map(|origin| origin.session);
        let runs = self.runs.values().map(|run| run.origin.session);
        let named: HashSet<SessionId> = packs.chain(runs).collect();
        let snapshots = &self.snapshots;
        let mut forgotten = Vec::new();
        self.sessions.retain(|id, session| {
            let over = session.status != SessionStatus::Open
                && session.last <= newest
                && !named.contains(id)
                && !snapshots.contains_key(id);
            if over {
                forgotten.push(start_of(id));
            }
            !over
        });
        if !forgotten.is_empty() {
            self.closed = Arc::new(merged(&self.closed, &forgotten));
        }
    }
}

fn start_of(id: &SessionId) -> SessionStart {
    let (starts, _) = id.as_bytes().as_chunks();
    starts[0]
}

/// Both rising rows in one; each value once.
fn merged(one: &[SessionStart], other: &[SessionStart]) -> Vec<SessionStart> {
    let mut row = Vec::with_capacity(one.len() + other.len());
    row.extend_from_slice(one);
    row.extend_from_slice(other);
    // Two runs that rise are merged in one pass.
    row.sort();
    row.dedup();
    row
}

#[cfg(test)]
impl State {
    /// Forgets at other numbers than a vault does, or never.
    pub(crate) fn set_compaction(&mut self, every: u64, age: u64) {
        self.compaction = Compaction { every, age };
    }

    /// Where the ids of forgotten sessions lie in this state's bytes.
    pub(crate) fn closed_at(&self, bytes: &[u8]) -> usize {
        let row = self.closed.as_flattened();
        bytes.windows(row.len()).position(|window| window == row).expect("it is encoded")
    }

    /// How many sessions, snapshots, condemned packs and runs are known.
    pub(crate) fn known_counts(&self) -> [usize; 4] {
        [self.sessions.len(), self.snapshots.len(), self.condemned.len(), self.runs.len()]
    }
}
