//! Epochs: new keys reach their members, and nothing of an old epoch is valid any more.
//!
//! Certificates and what a client without keys sees belong here too.

use std::sync::Arc;

use crypto::{EpochKeys, EpochKeysBinding, Role, Suite};
use format::{DomainId, Epoch, Kind, Ref};

use super::world::{Host, World, commit_body};
use crate::{Context, Draft, Ledger, NoLists, Outcome, ProcessMemory, Trust, VoidReason};

/// The owner's `rotate` to the next epoch, with keys for one member.
fn rotate(world: &World, to: &Ledger) -> Draft {
    let (root, suite) = (world.root_secret(), Suite::Aes256Gcm);
    let keyring = to.keyring().unwrap();
    let epoch = Epoch(world.root().state().epoch().0 + 1);
    let (role, domain, member) = (keyring.role(), keyring.domain(), keyring.member_id().unwrap());
    let vault_id = root.vault_id();
    let binding = EpochKeysBinding { vault_id, member, role, domain, epoch };
    let keys = EpochKeys::for_role(root, role, domain, epoch);
    let kem = keyring.member().unwrap().kem_public();
    let sealed = keys.seal_to(kem, suite, &binding, &*world.entropy);
    let refs = vec![super::world::epoch_keys(epoch), Ref::SealedKeys { member, sealed }];
    Draft { refs, ..Draft::new(Kind::Rotate) }
}

#[test]
fn a_member_takes_the_keys_of_a_new_epoch_and_goes_on_in_its_open_session() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let session = writer.begin(&world);
    let draft = rotate(&world, &writer);
    world.root().add(draft.clone());
    assert_eq!(world.root().refused(draft), VoidReason::NextEpoch);
    writer.add(Draft::commit(session, vec![], commit_body().encode()));
    assert_eq!(writer.state().epoch(), Epoch(1));
    assert_eq!(writer.state().snapshot(session).unwrap().body, Some(commit_body()));
}

#[test]
fn keys_of_epochs_before_a_cached_state_are_taken_when_it_is_opened() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let old_bundle = world.keyring(Role::Writer, DomainId::DEFAULT);
    world.certify(&old_bundle);
    let holder = world.open(old_bundle.clone());
    world.root().add(rotate(&world, &holder));
    writer.refresh().unwrap();
    let cached = Some(writer.state().clone());
    let mut opened = world.open_with(old_bundle, Arc::new(ProcessMemory::new()), cached);
    opened.begin(&world);
    assert!(writer.append_one(Draft::new(Kind::Report)).is_err(), "it was given no new keys");
}

#[test]
fn records_and_certificates_of_an_old_epoch_are_void() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let late = world.keyring(Role::Writer, DomainId::DEFAULT);
    let certificate = world.certificate(&late, Epoch(0));
    world.root().add(rotate(&world, &writer));
    writer.refresh().unwrap();

    let context = Context { trust: Trust::Check, lists: &NoLists, keyring: None };
    let draft = Draft::new(Kind::Report);
    let bytes = world.forge(&writer, &draft, |record| record.epoch = Epoch(0));
    let applied = writer.state().clone().apply(&super::world::whole(bytes), &context).unwrap();
    assert_eq!(applied.outcome, Outcome::Void(VoidReason::Epoch));
    let refs = vec![Ref::Certificate(certificate)];
    let refused = world.root().refused(Draft { refs, ..Draft::new(Kind::Certify) });
    assert_eq!(refused, VoidReason::Epoch);
}

#[test]
fn without_keys_the_state_is_the_same_but_for_what_bodies_hold() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let id = writer.snapshot(&world, &[1]);
    let stranger = world.stranger();
    let without = stranger.state().snapshot(id).unwrap();
    assert_eq!(without.body, None);
    assert_eq!(without.seq, writer.state().snapshot(id).unwrap().seq);
    assert_eq!(stranger.state().head(), writer.state().head());
    let label = |ledger: &Ledger| ledger.state().members().next().unwrap().1.label.clone();
    assert_eq!((label(&stranger), label(&writer)), (None, Some("a host".into())));
}

#[test]
fn a_certificate_that_the_root_did_not_sign_and_a_revoked_member_are_refused() {
    let world = World::new();
    let writer = world.member(Role::Writer);
    let keyring = writer.keyring().unwrap();
    let other = World::uninitialised(9);
    let certify =
        |bytes| Draft { refs: vec![Ref::Certificate(bytes)], ..Draft::new(Kind::Certify) };
    let mut root = world.root();
    let foreign = other.certificate(keyring, Epoch(0));
    assert_eq!(root.refused(certify(foreign)), VoidReason::Certificate);
    let mut changed = world.certificate(keyring, Epoch(0));
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(root.refused(certify(changed)), VoidReason::Certificate);
    let refs = vec![Ref::Member(keyring.member_id().unwrap())];
    root.add(Draft { refs, ..Draft::new(Kind::Revoke) });
    let again = world.certificate(keyring, Epoch(0));
    assert_eq!(root.refused(certify(again)), VoidReason::MemberRevoked);
}
