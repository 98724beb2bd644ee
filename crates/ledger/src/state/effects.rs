//! What a valid record does to the state.
//!
//! Each effect is total: the rules have made sure that what it names is there. FORMAT.md §10.

use std::collections::BTreeSet;

use crypto::SignedCertificate;
use format::{
    CommitBody, Digest, Kind, LabelBody, ObjectRef, Record, RecordAt, Ref, SessionId, TagsBody,
};

use super::{
    Body, Checkpoint, Condemned, EpochState, Member, Origin, Policy, Recover, Report, Resolved,
    Run, Session, SessionStatus, Snapshot, SnapshotStanding, State, keep,
};

impl State {
    /// Gives a valid record its effect. Returns what became of its body.
    pub(super) fn effect(
        &mut self,
        at: RecordAt,
        record: &Record,
        lists: &Resolved,
        payload: Option<&[u8]>,
        body: Body,
    ) -> Body {
        let mut decoded = body;
        match record.kind {
            Kind::Genesis => {}
            Kind::Certify => decoded = self.certify(at, lists, payload, body),
            Kind::Revoke => self.revoke(at, lists),
            Kind::Rotate => self.rotate(at, lists),
            Kind::Policy => self.set_policy(at, lists, payload),
            Kind::Mend | Kind::Recover => self.settle(at, record, lists),
            Kind::Open => self.open(record, lists),
            Kind::Packs => self.publish(record, lists),
            Kind::Commit => decoded = self.commit(record, lists, payload, body),
            Kind::Abandon => self.close(record, SessionStatus::Abandoned),
            Kind::Merge => self.merge(record, lists),
            Kind::Forget | Kind::Undo | Kind::Purge => self.move_snapshots(record, lists),
            Kind::Hold | Kind::Release | Kind::WriteOff => self.mark_snapshots(record.kind, lists),
            Kind::Tag => decoded = self.tag(lists, payload, body),
            Kind::Suspect => self.suspect(record, lists),
            Kind::Condemn => self.condemn(record, lists),
            Kind::Clear => self.clear(lists),
            Kind::Swept => self.sweep(record, lists),
            Kind::Lost => self.lose(record, lists),
            Kind::Found => self.find(lists),
            Kind::Checkpoint => self.set_checkpoint(record, lists),
            Kind::Report => {
                let (seq, member, claimed) = (record.seq, record.author, record.claimed);
                keep(&mut self.reports, Report { seq, member, claimed });
            }
        }
        decoded
    }

    fn certify(
        &mut self,
        at: RecordAt,
        lists: &Resolved,
        payload: Option<&[u8]>,
        body: Body,
    ) -> Body {
        let Some(Ref::Certificate(bytes)) = lists.refs.first() else { return body };
        let Ok(signed) = SignedCertificate::decode(bytes) else { return body };
        let certificate = signed.unverified();
        let (label, body) = decode(payload, body, LabelBody::decode);
        let member = Member {
            role: certificate.role,
            domain: certificate.domain,
            epoch: certificate.epoch,
            verifying: certificate.verifying,
            kem: certificate.kem.clone(),
            label: label.map(|label| label.label),
            certified: at.seq,
            revoked: None,
        };
        self.members.insert(certificate.member, member);
        body
    }

    fn revoke(&mut self, at: RecordAt, lists: &Resolved) {
        let Some(Ref::Member(id)) = lists.refs.first() else { return };
        if let Some(member) = self.members.get_mut(id) {
            member.revoked = Some(at.seq);
        }
        for session in self.sessions.values_mut() {
            if session.member == *id && session.status == SessionStatus::Open {
                session.end(SessionStatus::Revoked, at.seq);
            }
        }
    }

    fn rotate(&mut self, at: RecordAt, lists: &Resolved) {
        let Some(Ref::EpochKeys(keys)) = lists.refs.first() else { return };
        self.epochs.insert(keys.epoch, EpochState { seq: at.seq, keys: keys.clone() });
    }

    fn set_policy(&mut self, at: RecordAt, lists: &Resolved, payload: Option<&[u8]>) {
        if let Some(Ref::FormatNumber(number)) = lists.refs.first() {
            self.format_number = *number;
        }
        self.policy = Some(Policy { seq: at.seq, payload: payload.map(<[u8]>::to_vec) });
    }

    fn settle(&mut self, at: RecordAt, record: &Record, lists: &Resolved) {
        match &lists.refs[..] {
            [Ref::Record(mended)] => {
                // One learned from further on was tried because this one did not do.
                self.mends.entry(mended.seq).or_insert(mended.hash);
            }
            [Ref::Place(place), Ref::Record(from), Ref::LostAfter(lost_after)] => {
                let (place, from, lost_after) = (*place, *from, *lost_after);
                self.recovers.push(Recover { at, place, from, lost_after });
                for session in self.sessions.values_mut() {
                    if session.status == SessionStatus::Open {
                        session.end(SessionStatus::Recovered, at.seq);
                    }
                }
            }
            _ => unreachable!("the shape of a {} record was checked", record.kind),
        }
    }

    fn open(&mut self, record: &Record, lists: &Resolved) {
        let (Some(id), Some(Ref::Domain(domain))) = (record.session, lists.refs.first()) else {
            return;
        };
        let base = lists.refs.get(1).and_then(|named| match named {
            Ref::Snapshot(base) => Some(*base),
            _ => None,
        });
        let session = Session {
            member: record.author,
            domain: *domain,
            base,
            status: SessionStatus::Open,
            opened: record.seq,
            last: record.seq,
            last_claimed: record.claimed,
        };
        self.sessions.insert(id, session);
    }

    fn publish(&mut self, record: &Record, lists: &Resolved) {
        let Some(session) = record.session else { return };
        let origin = Origin { session, seq: record.seq };
        for object in &lists.needs {
            match object {
                ObjectRef::Pack(name) if !self.condemned.contains_key(name) => {
                    self.packs.entry(*name).or_insert(origin);
                }
                ObjectRef::Run(name) => {
                    self.runs.entry(*name).or_insert(Run { origin, dropped: None });
                }
                _ => {}
            }
        }
        if let Some(session) = self.sessions.get_mut(&session) {
            session.last = record.seq;
            session.last_claimed = record.claimed;
        }
    }

    fn commit(
        &mut self,
        record: &Record,
        lists: &Resolved,
        payload: Option<&[u8]>,
        body: Body,
    ) -> Body {
        self.publish(record, lists);
        self.close(record, SessionStatus::Committed);
        let Some(Ref::Snapshot(id)) = lists.refs.first() else { return body };
        let Some(session) = self.sessions.get(id) else { return body };
        let (commit, body) = decode(payload, body, CommitBody::decode);
        let snapshot = Snapshot {
            seq: record.seq,
            claimed: record.claimed,
            member: record.author,
            domain: session.domain,
            standing: SnapshotStanding::Live,
            since: record.seq,
            held: false,
            written_off: false,
            body: commit,
            tags: None,
        };
        self.snapshots.insert(*id, snapshot);
        self.commits.insert(record.seq, *id);
        body
    }

    fn close(&mut self, record: &Record, status: SessionStatus) {
        if let Some(session) = record.session.and_then(|id| self.sessions.get_mut(&id)) {
            session.end(status, record.seq);
        }
    }

    fn merge(&mut self, record: &Record, lists: &Resolved) {
        for object in &lists.drops {
            let ObjectRef::Run(name) = object else { continue };
            if let Some(run) = self.runs.get_mut(name) {
                run.dropped = Some(record.seq);
            }
        }
        self.publish(record, lists);
        self.close(record, SessionStatus::Merged);
    }

    fn move_snapshots(&mut self, record: &Record, lists: &Resolved) {
        let standing = match record.kind {
            Kind::Forget => SnapshotStanding::Trashed,
            Kind::Undo => SnapshotStanding::Live,
            _ => SnapshotStanding::Purged,
        };
        for id in snapshots(lists) {
            let Some(snapshot) = self.snapshots.get_mut(id) else { continue };
            snapshot.standing = standing;
            snapshot.since = record.seq;
            if standing == SnapshotStanding::Purged {
                snapshot.tags = None;
            }
        }
    }

    fn mark_snapshots(&mut self, kind: Kind, lists: &Resolved) {
        for id in snapshots(lists) {
            let Some(snapshot) = self.snapshots.get_mut(id) else { continue };
            match kind {
                Kind::Hold => snapshot.held = true,
                Kind::Release => snapshot.held = false,
                _ => snapshot.written_off = true,
            }
        }
    }

    fn tag(&mut self, lists: &Resolved, payload: Option<&[u8]>, body: Body) -> Body {
        let (tags, body) = decode(payload, body, TagsBody::decode);
        for id in snapshots(lists) {
            if let (Some(snapshot), Some(tags)) = (self.snapshots.get_mut(id), &tags) {
                snapshot.tags = Some(tags.tags.clone());
            }
        }
        body
    }

    /// Only packs that are known, whose session is closed, and that lie under no other suspicion
    /// come under this one: what an open session relies on unseen are its own packs.
    fn suspect(&mut self, record: &Record, lists: &Resolved) {
        let closed = |name: &Digest| {
            let session = self.packs.get(name).and_then(|at| self.sessions.get(&at.session));
            session.is_some_and(|session| session.status != SessionStatus::Open)
        };
        let suspects: BTreeSet<Digest> = packs(lists)
            .filter(|name| closed(name) && !self.suspects.contains_key(*name))
            .copied()
            .collect();
        self.suspects.extend(suspects.iter().map(|name| (*name, record.seq)));
        if !suspects.is_empty() {
            self.newest_trouble = Some(record.seq);
        }
        self.suspicions.insert(record.seq, suspects);
    }

    fn condemn(&mut self, record: &Record, lists: &Resolved) {
        self.clear(lists);
        for object in &lists.drops {
            let ObjectRef::Pack(name) = object else { continue };
            self.packs.remove(name);
            self.lost.remove(name);
            self.condemned.insert(*name, Condemned { seq: record.seq, swept: None });
            self.newest_trouble = Some(record.seq);
        }
    }

    fn clear(&mut self, lists: &Resolved) {
        let Some(Ref::Suspect(seq)) = lists.refs.first() else { return };
        for name in self.suspicions.remove(seq).unwrap_or_default() {
            self.suspects.remove(&name);
        }
    }

    fn sweep(&mut self, record: &Record, lists: &Resolved) {
        for name in packs(lists) {
            if let Some(condemned) = self.condemned.get_mut(name) {
                condemned.swept.get_or_insert(record.seq);
            }
        }
    }

    fn lose(&mut self, record: &Record, lists: &Resolved) {
        for name in packs(lists).filter(|name| self.packs.contains_key(*name)) {
            if !self.lost.contains_key(name) {
                self.lost.insert(*name, record.seq);
                self.newest_lost = Some(record.seq);
                self.newest_trouble = Some(record.seq);
            }
        }
    }

    fn find(&mut self, lists: &Resolved) {
        for name in packs(lists) {
            self.lost.remove(name);
        }
    }

    fn set_checkpoint(&mut self, record: &Record, lists: &Resolved) {
        if let [Ref::Record(at), Ref::Object(object)] = &lists.refs[..] {
            let (seq, member) = (record.seq, record.author);
            self.checkpoint = Some(Checkpoint { seq, member, at: *at, object: *object });
        }
    }
}

fn snapshots(lists: &Resolved) -> impl Iterator<Item = &SessionId> {
    lists.refs.iter().filter_map(|named| match named {
        Ref::Snapshot(id) => Some(id),
        _ => None,
    })
}

fn packs(lists: &Resolved) -> impl Iterator<Item = &Digest> {
    lists.refs.iter().filter_map(|named| match named {
        Ref::Pack(name) => Some(name),
        _ => None,
    })
}

fn decode<T, E>(
    payload: Option<&[u8]>,
    body: Body,
    read: impl FnOnce(&[u8]) -> Result<T, E>,
) -> (Option<T>, Body) {
    match payload.map(read) {
        Some(Ok(value)) => (Some(value), body),
        Some(Err(_)) => (None, Body::Unreadable),
        None => (None, body),
    }
}
