//! A session's life: opened once, worked by its opener, closed once.
//!
//! Bases, domains, merges and revocations are tried by those who may not.

use crypto::Role;
use format::{DomainId, Kind, Ref};

use super::world::{Host, World, commit_body, packs, runs};
use crate::{Draft, PackStanding, SessionStatus, SnapshotStanding, VoidReason};

const OTHER: DomainId = DomainId::from_bytes([5; 16]);

#[test]
fn a_session_publishes_commits_and_is_over() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let session = writer.begin(&world);
    writer.add(Draft::packs(session, packs(&[1])));
    writer.add(Draft::commit(session, [packs(&[2]), runs(&[3])].concat(), commit_body().encode()));

    let state = writer.state();
    assert_eq!(state.session(session).unwrap().status, SessionStatus::Committed);
    let snapshot = state.snapshot(session).unwrap();
    assert_eq!(snapshot.standing, SnapshotStanding::Live);
    assert_eq!(snapshot.body, Some(commit_body()));
    assert_eq!(state.packs().count(), 2);
    assert_eq!(state.runs_since(state.session(session).unwrap().opened).count(), 1);
    assert_eq!(state.pack_standing(&super::world::pack(2)), PackStanding::Good);
    for draft in [Draft::packs(session, packs(&[9])), Draft::commit_packs(session, vec![])] {
        assert_eq!(writer.refused(draft), VoidReason::SessionNotOpen);
    }
    let again = Draft::open(session, DomainId::DEFAULT, None);
    assert_eq!(writer.refused(again), VoidReason::SessionUsed);
}

#[test]
fn only_the_opener_works_in_a_session_and_a_collector_may_end_it() {
    let world = World::new();
    let mut opener = world.member(Role::Writer);
    let mut hostile = world.member_of(Role::Writer, OTHER);
    let mut collector = world.member(Role::Collector);
    let session = opener.begin(&world);

    for draft in [
        Draft::packs(session, packs(&[1])),
        Draft::commit(session, vec![], commit_body().encode()),
        Draft::abandon(session),
    ] {
        assert_eq!(hostile.refused(draft), VoidReason::OtherOpener);
    }
    collector.add(Draft::abandon(session));
    assert_eq!(opener.refused(Draft::packs(session, vec![])), VoidReason::SessionNotOpen);
    let own = opener.begin(&world);
    opener.add(Draft::abandon(own));
    assert_eq!(opener.state().open_sessions().count(), 0);
}

#[test]
fn a_writer_works_in_its_own_domain_and_an_owner_in_any() {
    let world = World::new();
    let (mut writer, mut owner) = (world.member(Role::Writer), world.member(Role::Owner));
    let foreign = Draft::open(world.session(), OTHER, None);
    assert_eq!(writer.refused(foreign.clone()), VoidReason::Domain);
    owner.add(foreign);
}

#[test]
fn a_base_is_a_live_or_trashed_snapshot_of_the_same_domain() {
    let world = World::new();
    let (mut writer, mut owner) = (world.member(Role::Writer), world.member(Role::Owner));
    let base = writer.snapshot(&world, &[1]);
    let on = |domain| Draft::open(world.session(), domain, Some(base));

    assert_eq!(owner.refused(on(OTHER)), VoidReason::Base);
    writer.add(on(DomainId::DEFAULT));
    owner.add(Draft::on_snapshots(Kind::Forget, [base]));
    let pinning = on(DomainId::DEFAULT);
    writer.add(pinning.clone());
    owner.add(Draft::on_snapshots(Kind::Purge, [base]));
    assert_eq!(writer.refused(on(DomainId::DEFAULT)), VoidReason::Base);
    writer.refresh().unwrap();
    assert!(writer.state().roots().contains(&base), "an open session still builds on it");
    for (session, _) in owner.state().clone().open_sessions() {
        owner.add(Draft::abandon(session));
    }
    assert!(owner.state().roots().is_empty());
    let unknown = Draft::open(world.session(), DomainId::DEFAULT, Some(world.session()));
    assert_eq!(writer.refused(unknown), VoidReason::Base);
}

#[test]
fn a_commit_makes_its_own_sessions_snapshot_only() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let session = writer.begin(&world);
    let other = Draft {
        refs: vec![Ref::Snapshot(world.session())],
        ..Draft::commit(session, vec![], commit_body().encode())
    };
    assert_eq!(writer.refused(other), VoidReason::SnapshotOfOther);
    writer.add(Draft::commit_packs(session, packs(&[1])));
    assert_eq!(writer.state().snapshots().count(), 0);
}

#[test]
fn revoking_a_member_closes_its_sessions_and_no_other() {
    let world = World::new();
    let (mut one, mut two) = (world.member(Role::Writer), world.member(Role::Writer));
    let (first, second) = (one.begin(&world), two.begin(&world));
    let id = one.keyring().unwrap().member_id().unwrap();
    let revoke = Draft { refs: vec![Ref::Member(id)], ..Draft::new(Kind::Revoke) };
    let mut root = world.root();
    root.add(revoke.clone());
    assert_eq!(root.refused(revoke), VoidReason::MemberRevoked);
    assert_eq!(root.state().session(first).unwrap().status, SessionStatus::Revoked);
    assert_eq!(root.state().session(second).unwrap().status, SessionStatus::Open);
    let error = one.append_one(Draft::packs(first, vec![])).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Denied);
    assert_eq!(world.root().state().voids().count, 0, "nothing void was put");
}

#[test]
fn a_merge_replaces_runs_of_its_domain_and_ends_its_session() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let mut foreign = world.member_of(Role::Writer, OTHER);
    let mut collector = world.member(Role::Collector);
    for (ledger, numbers) in [(&mut writer, [1, 2]), (&mut foreign, [3, 4])] {
        let session = ledger.begin(&world);
        ledger.add(Draft::commit_packs(session, runs(&numbers)));
    }
    let session = collector.begin(&world);
    let merge = |needs, drops| Draft::merge(session, needs, drops);
    assert_eq!(collector.refused(merge(runs(&[9]), runs(&[1, 3]))), VoidReason::Drops);
    assert_eq!(collector.refused(merge(packs(&[9]), runs(&[1]))), VoidReason::Needs);
    assert_eq!(collector.refused(merge(runs(&[9]), packs(&[1]))), VoidReason::Drops);
    assert_eq!(collector.refused(merge(runs(&[1]), runs(&[1]))), VoidReason::Drops);
    collector.add(merge(runs(&[9]), runs(&[1, 2])));
    assert_eq!(collector.state().session(session).unwrap().status, SessionStatus::Merged);
    assert_eq!(collector.state().runs().count(), 3);
    assert_eq!(collector.state().dropped_runs().count(), 2);
}
