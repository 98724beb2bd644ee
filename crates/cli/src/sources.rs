//! Whose a source's name is.
//!
//! A name belongs to the member whose label it is, else to the one that first committed it; an
//! owner may use any. What another commits under the name is shown with both, and never chosen when
//! only the name is given: else any host could slip its files into another's place. DESIGN.md §9.

use std::collections::{HashMap, HashSet};

use strongroom::{MemberId, Snapshot, SnapshotId, State, foreign_names};

/// Which snapshots use names of others, and what the members are called.
pub(crate) struct Sources {
    labels: HashMap<MemberId, String>,
    foreign: HashSet<SnapshotId>,
}

impl Sources {
    /// Looks at all snapshots, oldest first.
    pub(crate) fn new(snapshots: &[Snapshot], state: &State) -> Self {
        let labels: HashMap<_, _> =
            state.members().filter_map(|(id, member)| Some((id, member.label.clone()?))).collect();
        let foreign = foreign_names(snapshots, state);
        Self { labels, foreign }
    }

    /// Whether a snapshot uses a name that is another member's.
    pub(crate) fn is_foreign(&self, snapshot: &Snapshot) -> bool {
        self.foreign.contains(&snapshot.id)
    }

    /// What a member is called.
    pub(crate) fn label(&self, member: MemberId) -> Option<&str> {
        self.labels.get(&member).map(String::as_str)
    }
}
