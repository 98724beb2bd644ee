//! Who may append what: every cell of the table, as records that members signed themselves.
//!
//! The table here is written from DESIGN §9, not from the code.

use crypto::Role;
use format::{DomainId, Epoch, Kind};

use super::world::{World, sample, whole};
use crate::{Author, Context, Draft, Ledger, NoLists, Outcome, Trust, VoidReason};

const NO_KEY: Context<'static> = Context { trust: Trust::Check, lists: &NoLists, keyring: None };

/// The kinds of each role, as DESIGN §9 says it.
fn allowed(role: Role) -> &'static [Kind] {
    use Kind::*;
    match role {
        Role::Owner => &[
            Open, Packs, Commit, Abandon, Report, Forget, Purge, Suspect, Condemn, Clear, Swept,
            Merge, Lost, Checkpoint, Found, Hold, Undo,
        ],
        Role::Writer => &[Open, Packs, Commit, Abandon, Report],
        Role::Collector => &[
            Open, Abandon, Forget, Purge, Suspect, Condemn, Clear, Swept, Merge, Lost, Checkpoint,
            Report,
        ],
        Role::Reader => &[Lost, Found, Hold, Undo, Report],
        Role::Auditor => &[Report, Checkpoint],
        Role::Browser => &[],
    }
}

fn is_role_void(world: &World, ledger: &Ledger, draft: &Draft) -> bool {
    let bytes = world.forge(ledger, draft, |_| {});
    let mut state = ledger.state().clone();
    let applied = state.apply(&whole(bytes), &NO_KEY).unwrap();
    assert_ne!(applied.outcome, Outcome::Void(VoidReason::Malformed), "{}", draft.kind);
    applied.outcome == Outcome::Void(VoidReason::Role)
}

#[test]
fn a_member_appends_the_kinds_of_its_role_and_no_other() {
    let world = World::new();
    for role in Role::ALL {
        let member = world.member(role);
        let keyring = member.keyring().unwrap();
        let certificate = world.certificate(keyring, Epoch(0));
        for kind in Kind::ALL {
            let draft = Draft { author: Author::Member, ..sample(*kind, certificate.clone()) };
            let refused = is_role_void(&world, &member, &draft);
            assert_eq!(!refused, allowed(role).contains(kind), "{role}: {kind}");
        }
    }
}

#[test]
fn the_root_key_signs_owner_kinds_and_no_other() {
    let world = World::new();
    let member = world.member(Role::Owner);
    let certificate = world.certificate(member.keyring().unwrap(), Epoch(0));
    for kind in Kind::ALL {
        let draft = Draft { author: Author::Root, ..sample(*kind, certificate.clone()) };
        let refused = is_role_void(&world, &member, &draft);
        assert_eq!(!refused, kind.is_owner_kind(), "{kind}");
    }
}

#[test]
fn who_is_not_certified_or_was_revoked_appends_nothing() {
    let world = World::new();
    let unknown = world.open(world.keyring(Role::Writer, DomainId::DEFAULT));
    let mut revoked = world.member(Role::Writer);
    let id = revoked.keyring().unwrap().member_id().unwrap();
    let refs = vec![format::Ref::Member(id)];
    world.root().append_one(Draft { refs, ..Draft::new(Kind::Revoke) }).unwrap();
    revoked.refresh().unwrap();

    for (ledger, reason) in
        [(unknown, VoidReason::NotCertified), (revoked, VoidReason::RevokedAuthor)]
    {
        let mut ledger = ledger;
        ledger.refresh().unwrap();
        let bytes = world.forge(&ledger, &Draft::new(Kind::Report), |_| {});
        let applied = ledger.state().clone().apply(&whole(bytes), &NO_KEY).unwrap();
        assert_eq!(applied.outcome, Outcome::Void(reason));
    }
}

#[test]
fn a_record_changed_in_any_byte_is_void_or_breaks_the_chain_and_moves_nothing() {
    let world = World::new();
    let writer = world.member(Role::Writer);
    let session = world.session();
    let bytes = world.forge(&writer, &Draft::open(session, DomainId::DEFAULT, None), |_| {});
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        let mut state = writer.state().clone();
        let _ = state.apply(&whole(changed.into()), &NO_KEY);
        assert_eq!(state.sessions().count(), 0, "byte {at}");
    }
    for length in [0, 1, 100, bytes.len() - 1] {
        let mut state = writer.state().clone();
        let applied = state.apply(&whole(bytes.slice(..length)), &NO_KEY).unwrap();
        assert!(matches!(applied.outcome, Outcome::Void(_)));
        assert_eq!(state.next(), writer.state().next().next());
    }
}
