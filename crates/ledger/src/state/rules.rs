//! Which records are valid: who may append what, and what each kind asks of the state before it.
//!
//! Rules look at the clear part and at earlier records, never at a clock, a listing or an object
//! other than the record's own lists, and change nothing. FORMAT.md §10.

use std::collections::BTreeSet;

use crypto::{Role, SignedCertificate};
use format::{Digest, DomainId, Kind, MemberId, ObjectRef, Record, Ref, Seq, SessionId};

use super::verdict::next_epoch;
use super::{Resolved, Session, SessionStatus, SnapshotStanding, State, Trust, VoidReason};

impl State {
    /// Whether an authenticated record's author may append its kind, in its epoch.
    pub(super) fn check_author(&self, record: &Record) -> Result<(), VoidReason> {
        self.check_role(record.author, record.kind)?;
        if record.epoch != self.epoch() {
            return Err(VoidReason::Epoch);
        }
        Ok(())
    }

    /// Whether an authenticated record that follows the head has an effect.
    pub(super) fn judge(
        &self,
        record: &Record,
        lists: &Resolved,
        trust: Trust,
    ) -> Result<(), VoidReason> {
        self.check_author(record)?;
        match record.kind {
            Kind::Genesis => Err(VoidReason::SecondGenesis),
            Kind::Certify => self.check_certify(lists, trust),
            Kind::Revoke => self.check_revoke(lists),
            Kind::Rotate => self.check_rotate(lists),
            Kind::Policy => self.check_policy(lists),
            Kind::Mend => check_mend(record.seq, lists),
            Kind::Recover => check_recover(record.seq, lists),
            Kind::Open => self.check_open(record, lists),
            Kind::Packs | Kind::Commit => self.check_publication(record, lists),
            Kind::Abandon => self.check_abandon(record),
            Kind::Merge => self.check_merge(record, lists),
            Kind::Forget | Kind::Purge | Kind::Undo | Kind::Hold => {
                self.check_snapshots(record.kind, lists)
            }
            Kind::Release | Kind::Tag | Kind::WriteOff => self.check_snapshots(record.kind, lists),
            Kind::Condemn => self.check_condemn(lists),
            Kind::Clear => self.suspicion_of(lists).map(|_| ()),
            Kind::Checkpoint => check_checkpoint(record.seq, lists),
            Kind::Report => Ok(()),
            Kind::Suspect | Kind::Swept | Kind::Lost | Kind::Found => only_packs(lists),
        }
    }

    fn check_role(&self, author: MemberId, kind: Kind) -> Result<(), VoidReason> {
        let allowed = match self.members.get(&author) {
            Some(member) => may_append(member.role, kind),
            None => author == MemberId::ROOT && kind.is_owner_kind(),
        };
        if allowed { Ok(()) } else { Err(VoidReason::Role) }
    }

    fn check_certify(&self, lists: &Resolved, trust: Trust) -> Result<(), VoidReason> {
        let [Ref::Certificate(bytes)] = &lists.refs[..] else {
            return Err(VoidReason::Certificate);
        };
        let signed = SignedCertificate::decode(bytes).map_err(|_| VoidReason::Certificate)?;
        let certificate = signed.unverified();
        if certificate.vault_id != self.config.vault || certificate.member == MemberId::ROOT {
            return Err(VoidReason::Certificate);
        }
        if trust == Trust::Check {
            signed.verify(&self.root()).map_err(|_| VoidReason::Certificate)?;
        }
        if certificate.epoch != self.epoch() {
            return Err(VoidReason::Epoch);
        }
        match self.members.get(&certificate.member) {
            Some(member) if member.revoked.is_some() => Err(VoidReason::MemberRevoked),
            _ => Ok(()),
        }
    }

    fn check_revoke(&self, lists: &Resolved) -> Result<(), VoidReason> {
        let [Ref::Member(id)] = &lists.refs[..] else { return Err(VoidReason::MemberUnknown) };
        match self.members.get(id) {
            None => Err(VoidReason::MemberUnknown),
            Some(member) if member.revoked.is_some() => Err(VoidReason::MemberRevoked),
            Some(_) => Ok(()),
        }
    }

    fn check_rotate(&self, lists: &Resolved) -> Result<(), VoidReason> {
        match lists.refs.first() {
            Some(Ref::EpochKeys(keys)) if Some(keys.epoch) == next_epoch(self.epoch()) => Ok(()),
            _ => Err(VoidReason::NextEpoch),
        }
    }

    fn check_policy(&self, lists: &Resolved) -> Result<(), VoidReason> {
        match lists.refs.first() {
            Some(Ref::FormatNumber(number)) if *number <= self.format_number => {
                Err(VoidReason::FormatNumber)
            }
            _ => Ok(()),
        }
    }

    fn check_open(&self, record: &Record, lists: &Resolved) -> Result<(), VoidReason> {
        let session = record.session.ok_or(VoidReason::Malformed)?;
        if self.is_used(session) {
            return Err(VoidReason::SessionUsed);
        }
        let (domain, base) = match &lists.refs[..] {
            [Ref::Domain(domain)] => (*domain, None),
            [Ref::Domain(domain), Ref::Snapshot(base)] => (*domain, Some(base)),
            _ => return Err(VoidReason::Malformed),
        };
        let member = self.members.get(&record.author).ok_or(VoidReason::NotCertified)?;
        if member.role == Role::Writer && member.domain != domain {
            return Err(VoidReason::Domain);
        }
        base.map_or(Ok(()), |base| self.check_base(base, domain))
    }

    fn check_base(&self, base: &SessionId, domain: DomainId) -> Result<(), VoidReason> {
        let snapshot = self.snapshots.get(base).ok_or(VoidReason::Base)?;
        match snapshot.standing {
            SnapshotStanding::Live | SnapshotStanding::Trashed if snapshot.domain == domain => {
                Ok(())
            }
            _ => Err(VoidReason::Base),
        }
    }

    fn check_publication(&self, record: &Record, lists: &Resolved) -> Result<(), VoidReason> {
        self.own_session(record)?;
        match lists.refs.first() {
            Some(Ref::Snapshot(id)) if Some(*id) != record.session => {
                return Err(VoidReason::SnapshotOfOther);
            }
            _ => {}
        }
        let published = |object: &ObjectRef| !matches!(object, ObjectRef::Slot { .. });
        if lists.needs.iter().all(published) { Ok(()) } else { Err(VoidReason::Needs) }
    }

    fn check_abandon(&self, record: &Record) -> Result<(), VoidReason> {
        let session = self.open_session(record)?;
        let member = self.members.get(&record.author).ok_or(VoidReason::NotCertified)?;
        match member.role {
            Role::Owner | Role::Collector => Ok(()),
            _ if session.member == record.author => Ok(()),
            _ => Err(VoidReason::OtherOpener),
        }
    }

    fn check_merge(&self, record: &Record, lists: &Resolved) -> Result<(), VoidReason> {
        let session = self.own_session(record)?;
        let run = |object: &ObjectRef| match object {
            ObjectRef::Run(name) => Some(*name),
            _ => None,
        };
        let needs: Option<BTreeSet<Digest>> = lists.needs.iter().map(run).collect();
        let needs = needs.ok_or(VoidReason::Needs)?;
        let mergeable = |object: &ObjectRef| {
            run(object).is_some_and(|name| {
                !needs.contains(&name) && self.run_domain(&name) == Some(session.domain)
            })
        };
        if lists.drops.iter().all(mergeable) { Ok(()) } else { Err(VoidReason::Drops) }
    }

    fn check_snapshots(&self, kind: Kind, lists: &Resolved) -> Result<(), VoidReason> {
        use SnapshotStanding::{Live, Purged, Trashed};
        for named in &lists.refs {
            let Ref::Snapshot(id) = named else { return Err(VoidReason::ListMalformed) };
            let snapshot = self.snapshots.get(id).ok_or(VoidReason::SnapshotUnknown)?;
            if snapshot.held && matches!(kind, Kind::Forget | Kind::Purge) {
                return Err(VoidReason::Held);
            }
            let fits = match kind {
                Kind::Forget => snapshot.standing == Live,
                Kind::Purge | Kind::Undo => snapshot.standing == Trashed,
                Kind::Release => snapshot.held,
                _ => snapshot.standing != Purged,
            };
            if !fits {
                return Err(VoidReason::SnapshotStanding);
            }
        }
        Ok(())
    }

    fn check_condemn(&self, lists: &Resolved) -> Result<(), VoidReason> {
        let suspicion = self.suspicion_of(lists)?;
        // A mark that began before the loss may have counted on what is now lost.
        if self.newest_lost.is_some_and(|lost| lost > suspicion) {
            return Err(VoidReason::LostSince);
        }
        let suspects = self.suspicions.get(&suspicion).ok_or(VoidReason::SuspicionUnknown)?;
        let suspected = |object: &ObjectRef| match object {
            ObjectRef::Pack(name) => suspects.contains(name),
            ObjectRef::Run(_) => false,
            ObjectRef::Slot { .. } => true,
        };
        if lists.drops.iter().all(suspected) { Ok(()) } else { Err(VoidReason::NotSuspected) }
    }

    fn suspicion_of(&self, lists: &Resolved) -> Result<Seq, VoidReason> {
        match &lists.refs[..] {
            [Ref::Suspect(seq)] if self.suspicions.contains_key(seq) => Ok(*seq),
            _ => Err(VoidReason::SuspicionUnknown),
        }
    }

    fn own_session(&self, record: &Record) -> Result<&Session, VoidReason> {
        let session = self.open_session(record)?;
        if session.member != record.author {
            return Err(VoidReason::OtherOpener);
        }
        Ok(session)
    }

    fn open_session(&self, record: &Record) -> Result<&Session, VoidReason> {
        let session = record.session.and_then(|id| self.sessions.get(&id));
        session
            .filter(|session| session.status == SessionStatus::Open)
            .ok_or(VoidReason::SessionNotOpen)
    }

    /// The domain of a run that no `merge` dropped yet.
    fn run_domain(&self, name: &Digest) -> Option<DomainId> {
        let run = self.runs.get(name).filter(|run| run.dropped.is_none())?;
        self.sessions.get(&run.origin.session).map(|session| session.domain)
    }
}

/// Which kinds a member of this role may append. Owner kinds are the root key's alone.
pub(crate) fn may_append(role: Role, kind: Kind) -> bool {
    use Kind::*;
    if kind.is_owner_kind() {
        return false;
    }
    match role {
        Role::Owner => true,
        Role::Writer => matches!(kind, Open | Packs | Commit | Abandon | Report),
        Role::Collector => matches!(
            kind,
            Open | Abandon
                | Forget
                | Purge
                | Suspect
                | Condemn
                | Clear
                | Swept
                | Merge
                | Lost
                | Checkpoint
                | Report
        ),
        Role::Reader => matches!(kind, Lost | Found | Hold | Undo | Report),
        Role::Auditor => matches!(kind, Checkpoint | Report),
        Role::Browser => false,
    }
}

fn check_mend(seq: Seq, lists: &Resolved) -> Result<(), VoidReason> {
    match &lists.refs[..] {
        [Ref::Record(at)] if Seq(0) < at.seq && at.seq < seq => Ok(()),
        _ => Err(VoidReason::NotBefore),
    }
}

fn check_recover(seq: Seq, lists: &Resolved) -> Result<(), VoidReason> {
    match &lists.refs[..] {
        [Ref::Place(_), Ref::Record(_), Ref::LostAfter(last)] if *last < seq => Ok(()),
        _ => Err(VoidReason::NotBefore),
    }
}

fn check_checkpoint(seq: Seq, lists: &Resolved) -> Result<(), VoidReason> {
    if !lists.drops.is_empty() {
        return Err(VoidReason::Drops);
    }
    if !lists.needs.is_empty() {
        return Err(VoidReason::Needs);
    }
    match &lists.refs[..] {
        [Ref::Record(at), Ref::Object(_)] if at.seq < seq => Ok(()),
        _ => Err(VoidReason::NotBefore),
    }
}

/// A long list is not held to its kind's shape when it is decoded.
fn only_packs(lists: &Resolved) -> Result<(), VoidReason> {
    let packs = lists.refs.iter().all(|named| matches!(named, Ref::Pack(_)));
    if packs { Ok(()) } else { Err(VoidReason::ListMalformed) }
}
