//! Whose a source's name is.
//!
//! A name belongs to the member whose label it is, else to the one that first committed it; an
//! owner may use any. What another commits under the name is shown with both, and never chosen when
//! only the name is given: else any host could slip its files into another's place. DESIGN.md §9.

use std::collections::{HashMap, HashSet};

use strongroom::{MemberId, Role, Snapshot, SnapshotId, State};

/// Which snapshots use names of others, and what the members are called.
pub(crate) struct Sources {
    labels: HashMap<MemberId, String>,
    foreign: HashSet<SnapshotId>,
}

impl Sources {
    /// Looks at all snapshots, oldest first.
    pub(crate) fn new(snapshots: &[Snapshot], state: &State) -> Self {
        let members: HashMap<_, _> = state.members().collect();
        let labels: HashMap<_, _> =
            state.members().filter_map(|(id, member)| Some((id, member.label.clone()?))).collect();
        let mut first: HashMap<&str, MemberId> = HashMap::new();
        let mut foreign = HashSet::new();
        for snapshot in snapshots {
            let Some(descriptor) = &snapshot.descriptor else { continue };
            let name = descriptor.name.as_str();
            let made = snapshot.member;
            let first = *first.entry(name).or_insert(made);
            let has_label = |id: &MemberId| labels.get(id).is_some_and(|label| label == name);
            let is_labelled = labels.values().any(|label| label == name);
            let is_owner = members.get(&made).is_some_and(|member| member.role == Role::Owner);
            let is_own = if is_labelled { has_label(&made) } else { first == made };
            if !is_own && !is_owner {
                foreign.insert(snapshot.id);
            }
        }
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
