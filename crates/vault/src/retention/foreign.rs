//! Whose a source's name is.
//!
//! A name belongs to the members whose label it is, else to the one that first committed it; an
//! owner may use any. What another commits under the name is a source of its own: else any host
//! could slip its files into another's place, or push the other's snapshots out. DESIGN §9.

use std::collections::{HashMap, HashSet};

use crypto::{MemberId, Role, SessionId};
use ledger::State;

use crate::Snapshot;

/// The snapshots that use a name of another member, of all that there are, oldest first.
pub fn foreign_names(snapshots: &[Snapshot], state: &State) -> HashSet<SessionId> {
    let mut labelled: HashMap<&str, HashSet<MemberId>> = HashMap::new();
    for (id, member) in state.members() {
        if let Some(label) = member.label.as_deref() {
            labelled.entry(label).or_default().insert(id);
        }
    }
    let mut first: HashMap<&str, MemberId> = HashMap::new();
    let described = snapshots.iter().filter_map(|s| Some((s, s.descriptor.as_ref()?)));
    let foreign = described.filter(|(snapshot, descriptor)| {
        let (name, made) = (descriptor.name.as_str(), snapshot.member);
        let first = *first.entry(name).or_insert(made);
        let is_own = labelled.get(name).map_or(first == made, |members| members.contains(&made));
        let is_owner = state.member(made).is_some_and(|member| member.role == Role::Owner);
        !is_own && !is_owner
    });
    foreign.map(|(snapshot, _)| snapshot.id).collect()
}
