//! What the target holds of the source's snapshots: which are there, and which copies to build on.
//!
//! A copy is known by the marks of its descriptor ([`Origin`]). What it says of itself must be what
//! the source's snapshot says, so a mark alone hides nothing and is built on never. A copy that
//! lacks files counts as there only while it is live: who forgot it wants it made again. DESIGN.md
//! §9.

use std::collections::HashMap;

use crypto::{ChunkId, DomainId, SessionId, VaultId};
use format::{Descriptor, Seq, SnapshotContent};
use places::Time;
use vault::{Origin, Snapshot, SnapshotStanding};

/// The target's copies.
pub(crate) struct Held {
    source: VaultId,
    /// The source's snapshots, as far as their descriptors can be read.
    sources: HashMap<SessionId, Original>,
    by_origin: HashMap<Origin, Vec<Twin>>,
    bases: Vec<Base>,
    /// Snapshots of the target that cannot be looked into.
    pub(crate) unseen: u64,
}

/// A snapshot of the source.
struct Original {
    domain: DomainId,
    seq: Seq,
    descriptor: Descriptor,
}

/// A snapshot of the target, as far as it is compared.
struct Twin {
    is_live: bool,
    name: String,
    times: (Time, Time),
    unreadable: u64,
}

/// A complete copy, to build the next one of the same source on.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// The copy.
    pub(crate) id: SessionId,
    /// The root of its tree; `None` when it was only rehearsed.
    pub(crate) root: Option<ChunkId>,
    /// What it is a copy of.
    pub(crate) original: SessionId,
    /// The root of that tree.
    pub(crate) original_root: ChunkId,
}

impl Held {
    /// What a vault's snapshots and those of the target's domain say.
    pub(crate) fn new(
        source: VaultId,
        sources: &[Snapshot],
        target: VaultId,
        held: &[Snapshot],
    ) -> Self {
        let originals = sources.iter().filter_map(|snapshot| {
            let descriptor = snapshot.descriptor.clone()?;
            let Snapshot { id, domain, seq, .. } = *snapshot;
            Some((id, Original { domain, seq, descriptor }))
        });
        let mut all = Self {
            source,
            sources: originals.collect(),
            by_origin: HashMap::new(),
            bases: Vec::new(),
            unseen: 0,
        };
        for snapshot in held {
            let own = Origin { vault: target, snapshot: snapshot.id };
            match &snapshot.descriptor {
                Some(descriptor) => {
                    let is_live = snapshot.standing == SnapshotStanding::Live;
                    let origins = snapshot.origins().into_iter().chain([own]);
                    all.take(descriptor, is_live, origins.collect());
                }
                None if snapshot.problem.is_none() => all.unseen += 1,
                None => {}
            }
        }
        all
    }

    /// Takes note of a snapshot of the target.
    fn take(&mut self, descriptor: &Descriptor, is_live: bool, origins: Vec<Origin>) {
        for origin in origins {
            if origin.vault == self.source {
                self.take_base(descriptor, origin.snapshot, Some(descriptor.root));
            }
            self.by_origin.entry(origin).or_default().push(Twin {
                is_live,
                name: descriptor.name.clone(),
                times: (descriptor.start, descriptor.end),
                unreadable: descriptor.counts.unreadable,
            });
        }
    }

    /// Takes note of a copy that is complete, and of what it says it is.
    fn take_base(&mut self, copy: &Descriptor, original: SessionId, root: Option<ChunkId>) {
        let Some(Original { descriptor, .. }) = self.sources.get(&original) else { return };
        let is_same = copy.content == SnapshotContent::Files
            && copy.name == descriptor.name
            && copy.paths == descriptor.paths
            && (copy.start, copy.end) == (descriptor.start, descriptor.end)
            && copy.counts == descriptor.counts;
        if is_same {
            let original_root = descriptor.root;
            self.bases.push(Base { id: copy.session, root, original, original_root });
        }
    }

    /// Takes note of a copy that was made, or rehearsed, under this id.
    pub(crate) fn add(&mut self, id: SessionId, original: SessionId, root: Option<ChunkId>) {
        let Some(Original { descriptor, .. }) = self.sources.get(&original) else { return };
        let copy = Descriptor { session: id, ..descriptor.clone() };
        self.take_base(&copy, original, root);
    }

    /// Whether the target has a snapshot, its copy, or what it is itself a copy of.
    pub(crate) fn has(&self, snapshot: &Snapshot) -> bool {
        let Some(descriptor) = &snapshot.descriptor else { return false };
        let own = Origin { vault: self.source, snapshot: snapshot.id };
        let origins = snapshot.origins().into_iter().chain([own]);
        origins.filter_map(|origin| self.by_origin.get(&origin)).flatten().any(|twin| {
            let is_complete = twin.unreadable <= descriptor.counts.unreadable;
            twin.name == descriptor.name
                && twin.times == (descriptor.start, descriptor.end)
                && (twin.is_live || is_complete)
        })
    }

    /// Whether the target has this very snapshot, under its own id.
    pub(crate) fn is_own(&self, snapshot: SessionId) -> bool {
        self.by_origin.contains_key(&Origin { vault: self.source, snapshot })
    }

    /// The copy to build on: of the newest snapshot of the same source that is older, else of any.
    pub(crate) fn base_for(&self, snapshot: &Snapshot) -> Option<Base> {
        let wanted = snapshot.descriptor.as_ref()?;
        let fitting = self.bases.iter().filter_map(|base| {
            let Original { domain, seq, descriptor } = self.sources.get(&base.original)?;
            let is_of_row = *domain == snapshot.domain
                && descriptor.name == wanted.name
                && descriptor.paths == wanted.paths;
            let before = (*seq < snapshot.seq).then_some(*seq);
            is_of_row.then_some(((before, std::cmp::Reverse(*seq)), base))
        });
        fitting.max_by_key(|(order, _)| *order).map(|(_, base)| base.clone())
    }
}
