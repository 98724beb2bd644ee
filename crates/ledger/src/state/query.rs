//! What a state can be asked.
//!
//! Questions cost at most the size of their answer, unless they say otherwise.

use crypto::VerifyingKey;
use format::{
    Config, Digest, Epoch, EpochKeys, MemberId, RecordAt, RecordHash, Seq, SessionId, VaultId,
};

use std::collections::BTreeSet;

use super::{
    Checkpoint, Condemned, EpochState, Member, Origin, PackStanding, Policy, Recover, Report, Run,
    Session, SessionStatus, Snapshot, SnapshotStanding, State, VoidReason, Voids,
};

impl State {
    /// The vault.
    pub fn vault(&self) -> VaultId {
        self.config.vault
    }

    /// The vault's config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The config's bytes, as the genesis holds them.
    pub fn config_bytes(&self) -> &[u8] {
        &self.config_bytes
    }

    /// Checks what the owner's root key signed.
    pub fn root(&self) -> VerifyingKey {
        VerifyingKey::from_bytes(self.config.root_public)
    }

    /// The vault's format number.
    pub fn format_number(&self) -> u32 {
        self.format_number
    }

    /// The newest record applied: its number, and the hash that the next one's `prev` must hold.
    pub fn head(&self) -> RecordAt {
        self.head
    }

    /// The number of the next record.
    pub fn next(&self) -> Seq {
        self.head.seq.next()
    }

    /// The newest epoch.
    pub fn epoch(&self) -> Epoch {
        let newest = self.epochs.last_key_value();
        *newest.expect("the genesis begins epoch 0, and no epoch is ever removed").0
    }

    /// An epoch's public keys.
    pub fn epoch_keys(&self, epoch: Epoch) -> Option<&EpochKeys> {
        self.epochs.get(&epoch).map(|state| &state.keys)
    }

    /// Every epoch, oldest first.
    pub fn epochs(&self) -> impl DoubleEndedIterator<Item = (Epoch, &EpochState)> {
        self.epochs.iter().map(|(epoch, state)| (*epoch, state))
    }

    /// A member, also a revoked one.
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// Every member, also revoked ones, by id.
    pub fn members(&self) -> impl Iterator<Item = (MemberId, &Member)> {
        self.members.iter().map(|(id, member)| (*id, member))
    }

    /// A session, whatever its status; `None` also for a closed one that was forgotten.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// Whether a session was opened and is closed, be it so long ago that it was forgotten. What
    /// carries its id and is known to no record never will be.
    pub fn is_closed(&self, id: SessionId) -> bool {
        match self.sessions.get(&id) {
            Some(session) => session.status != SessionStatus::Open,
            None => self.is_used(id),
        }
    }

    /// Every session that is not forgotten, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter().map(|(id, session)| (*id, session))
    }

    /// The open sessions. Costs a walk over all sessions.
    pub fn open_sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions().filter(|(_, session)| session.status == SessionStatus::Open)
    }

    /// A snapshot, also a purged one that is not forgotten.
    pub fn snapshot(&self, id: SessionId) -> Option<&Snapshot> {
        self.snapshots.get(&id)
    }

    /// Every snapshot, also purged ones that are not forgotten, in the order of their commits.
    pub fn snapshots(&self) -> impl DoubleEndedIterator<Item = (SessionId, &Snapshot)> {
        self.commits.values().filter_map(|id| Some((*id, self.snapshots.get(id)?)))
    }

    /// What a collector must keep: live and trashed snapshots, and the bases of open sessions even
    /// when they are purged. Each once, by id.
    pub fn roots(&self) -> BTreeSet<SessionId> {
        let kept = self.snapshots.iter();
        let kept = kept.filter(|(_, snapshot)| snapshot.standing != SnapshotStanding::Purged);
        let bases = self.open_sessions().filter_map(|(_, session)| session.base);
        kept.map(|(id, _)| *id).chain(bases).collect()
    }

    /// Whether a writer may rely on a pack.
    pub fn pack_standing(&self, name: &Digest) -> PackStanding {
        if self.condemned.contains_key(name) {
            PackStanding::Condemned
        } else if self.lost.contains_key(name) {
            PackStanding::Lost
        } else if self.suspects.contains_key(name) {
            PackStanding::Suspect
        } else if self.packs.contains_key(name) {
            PackStanding::Good
        } else {
            PackStanding::Unknown
        }
    }

    /// The same as [`Self::pack_standing`].
    pub fn is_pack_usable(&self, name: &Digest) -> PackStanding {
        self.pack_standing(name)
    }

    /// Every pack that a valid record named and none condemned, by name.
    pub fn packs(&self) -> impl Iterator<Item = (&Digest, &Origin)> {
        self.packs.iter()
    }

    /// Which record published a pack, unless it is condemned.
    pub fn pack(&self, name: &Digest) -> Option<&Origin> {
        self.packs.get(name)
    }

    /// The runs that no `merge` replaced, by name.
    pub fn runs(&self) -> impl Iterator<Item = (&Digest, &Origin)> {
        let live = self.runs.iter().filter(|(_, run)| run.dropped.is_none());
        live.map(|(name, run)| (name, &run.origin))
    }

    /// The live runs that records after `seq` published. Costs a walk over all runs.
    pub fn runs_since(&self, seq: Seq) -> impl Iterator<Item = (&Digest, &Origin)> {
        self.runs().filter(move |(_, origin)| origin.seq > seq)
    }

    /// A run, also a dropped one that is not forgotten.
    pub fn run(&self, name: &Digest) -> Option<&Run> {
        self.runs.get(name)
    }

    /// The runs that a `merge` replaced and that are not forgotten, by name. Costs a walk over all
    /// runs.
    pub fn dropped_runs(&self) -> impl Iterator<Item = (&Digest, Seq)> {
        self.runs.iter().filter_map(|(name, run)| Some((name, run.dropped?)))
    }

    /// The suspicions that stand: the `suspect` record and its packs.
    pub fn suspicions(&self) -> impl Iterator<Item = (Seq, &BTreeSet<Digest>)> {
        self.suspicions.iter().map(|(seq, packs)| (*seq, packs))
    }

    /// The packs under one suspicion, when it stands.
    pub fn suspicion(&self, seq: Seq) -> Option<&BTreeSet<Digest>> {
        self.suspicions.get(&seq)
    }

    /// The condemned packs that are not forgotten, by name.
    pub fn condemned(&self) -> impl Iterator<Item = (&Digest, &Condemned)> {
        self.condemned.iter()
    }

    /// The lost packs and the record that first says so, by name.
    pub fn lost(&self) -> impl Iterator<Item = (&Digest, Seq)> {
        self.lost.iter().map(|(name, seq)| (name, *seq))
    }

    /// About how many bytes the state takes when it is encoded.
    pub fn weight(&self) -> u64 {
        let sessions = self.sessions.len() * 96 + self.snapshots.len() * 160;
        let packs = self.packs.len() * 56 + self.condemned.len() * 49 + self.lost.len() * 40;
        let closed = self.closed.len() * 8;
        (sessions + closed + packs + self.runs.len() * 65 + self.members.len() * 1400) as u64
    }

    /// The packs that no writer may rely on: suspect, condemned or lost. A name may come twice.
    pub fn troubled(&self) -> impl Iterator<Item = &Digest> {
        self.suspects.keys().chain(self.condemned.keys()).chain(self.lost.keys())
    }

    /// The newest record through which a pack came under suspicion, was condemned or lost. While
    /// it stays the same, no pack that was good has become troubled.
    pub fn newest_trouble(&self) -> Option<Seq> {
        self.newest_trouble
    }

    /// The newest record through which a pack became lost, `found` since or not.
    pub fn newest_lost(&self) -> Option<Seq> {
        self.newest_lost
    }

    /// The numbers that the owner's `mend` records settle, and the hash that each counts with.
    pub fn mends(&self) -> impl Iterator<Item = (Seq, RecordHash)> {
        self.mends.iter().map(|(seq, hash)| (*seq, *hash))
    }

    /// The owner's `recover` records, oldest first.
    pub fn recovers(&self) -> &[Recover] {
        &self.recovers
    }

    /// The newest policy.
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// The newest checkpoint record.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// The newest reports, oldest first.
    pub fn reports(&self) -> impl DoubleEndedIterator<Item = &Report> {
        self.reports.iter()
    }

    /// The records without effect.
    pub fn voids(&self) -> Voids {
        Voids { count: self.void_count, newest: self.voids.iter().copied().collect() }
    }

    /// Why a record is void, when it is one of the newest void records.
    pub fn void_of(&self, seq: Seq) -> Option<VoidReason> {
        self.voids.iter().rev().find(|void| void.seq == seq).map(|void| void.reason)
    }
}
