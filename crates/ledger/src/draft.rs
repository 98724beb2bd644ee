//! What is to be appended, before it has a number.
//!
//! A draft says what a record does; the ledger adds vault, number, previous hash, author, epoch and
//! time, seals the body and signs. It is made anew for each number, from the state just before it.
//! DESIGN §9.

use format::{DomainId, Kind, ObjectRef, Ref, Seq, SessionId};
use places::Time;

/// A record to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it does.
    pub kind: Kind,
    /// The session that it belongs to.
    pub session: Option<SessionId>,
    /// What it acts on.
    pub refs: Vec<Ref>,
    /// What lies in the place already and counts from here on.
    pub needs: Vec<ObjectRef>,
    /// What may be deleted from here on.
    pub drops: Vec<ObjectRef>,
    /// The body's plaintext.
    pub payload: Vec<u8>,
    /// Who signs.
    pub author: Author,
    /// The time that it claims; `None` for now.
    pub claimed: Option<Time>,
}

/// Who signs a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The owner's root key.
    Root,
    /// The host's member.
    Member,
}

impl Draft {
    /// An empty record of this kind, signed by whom the kind asks for.
    pub fn new(kind: Kind) -> Self {
        let author = if kind.is_owner_kind() { Author::Root } else { Author::Member };
        Self {
            kind,
            session: None,
            refs: Vec::new(),
            needs: Vec::new(),
            drops: Vec::new(),
            payload: Vec::new(),
            author,
            claimed: None,
        }
    }

    /// A session begins, on a base or on none.
    pub fn open(session: SessionId, domain: DomainId, base: Option<SessionId>) -> Self {
        let refs = [Ref::Domain(domain)].into_iter().chain(base.map(Ref::Snapshot));
        Self { session: Some(session), refs: refs.collect(), ..Self::new(Kind::Open) }
    }

    /// A session publishes what it made so far.
    pub fn packs(session: SessionId, needs: Vec<ObjectRef>) -> Self {
        Self { session: Some(session), needs, ..Self::new(Kind::Packs) }
    }

    /// A session ends with a snapshot; `payload` is an encoded [`format::CommitBody`].
    pub fn commit(session: SessionId, needs: Vec<ObjectRef>, payload: Vec<u8>) -> Self {
        let refs = vec![Ref::Snapshot(session)];
        Self { session: Some(session), refs, needs, payload, ..Self::new(Kind::Commit) }
    }

    /// A session ends without a snapshot, keeping the packs it published.
    pub fn commit_packs(session: SessionId, needs: Vec<ObjectRef>) -> Self {
        Self { session: Some(session), needs, ..Self::new(Kind::Commit) }
    }

    /// A session is given up.
    pub fn abandon(session: SessionId) -> Self {
        Self { session: Some(session), ..Self::new(Kind::Abandon) }
    }

    /// A collector's session replaces the runs `drops` by the runs `needs` and ends.
    pub fn merge(session: SessionId, needs: Vec<ObjectRef>, drops: Vec<ObjectRef>) -> Self {
        Self { session: Some(session), needs, drops, ..Self::new(Kind::Merge) }
    }

    /// A record that acts on snapshots: forget, purge, hold, undo, release, tag, write-off.
    pub fn on_snapshots(kind: Kind, snapshots: impl IntoIterator<Item = SessionId>) -> Self {
        Self { refs: snapshots.into_iter().map(Ref::Snapshot).collect(), ..Self::new(kind) }
    }

    /// A record that acts on packs: suspect, swept, lost, found.
    pub fn on_packs(kind: Kind, packs: impl IntoIterator<Item = format::Digest>) -> Self {
        Self { refs: packs.into_iter().map(Ref::Pack).collect(), ..Self::new(kind) }
    }

    /// Condemns these packs of a suspicion and clears the rest of it.
    pub fn condemn(suspicion: Seq, packs: impl IntoIterator<Item = format::Digest>) -> Self {
        let drops = packs.into_iter().map(ObjectRef::Pack).collect();
        Self { refs: vec![Ref::Suspect(suspicion)], drops, ..Self::new(Kind::Condemn) }
    }

    /// Ends a suspicion.
    pub fn clear(suspicion: Seq) -> Self {
        Self { refs: vec![Ref::Suspect(suspicion)], ..Self::new(Kind::Clear) }
    }
}
