//! Abuse: what a member, or whoever may put objects, does to stop, mislead or bleed the others.
//!
//! A hostile writer holds a signing key and may put; a hostile place may also change and hide.

use std::sync::Arc;

use crypto::{EpochKeys, EpochKeysBinding, Role, Suite};
use format::{DomainId, Epoch, Kind, List, ObjectRef, Ref, Seq, VaultNames};
use places::{Place, PutOptions};

use super::world::{Host, World, packs, runs};
use crate::{Alarm, Break, Draft, Error, ErrorKind, Ledger, Memory, ProcessMemory, VoidReason};

fn recover(root: &Ledger, lost_after: Seq) -> Draft {
    let refs =
        vec![Ref::Place([0; 16]), Ref::Record(root.state().head()), Ref::LostAfter(lost_after)];
    Draft { refs, ..Draft::new(Kind::Recover) }
}

fn try_open(world: &World, memory: Arc<ProcessMemory>) -> crate::Result<Ledger> {
    let keyring = Some(world.root_keyring());
    Ledger::open(world.components(), &world.config_bytes, keyring, memory, None)
}

#[test]
fn an_object_under_a_huge_number_stops_nobody() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    for seq in [u64::MAX, u64::MAX - 1, 5000] {
        world.put(Seq(seq), vec![1; 1024]);
    }
    writer.snapshot(&world, &[1]);
    assert!(world.root().standing().forbids_append().is_none());
    // A break beside it is looked at and mended in the time that what is there takes.
    world.remove(Seq(2));
    assert!(matches!(world.root().standing().broken(), Some(Break::Missing { seq: Seq(2), .. })));
    world.root().mend().unwrap();
    assert!(world.root().standing().forbids_append().is_none());
}

#[test]
fn an_object_as_far_away_as_proves_a_gap_is_mended_at_once() {
    let world = World::new();
    let next = world.root().state().next();
    world.put(Seq(next.0 + 60), vec![1; 1024]);
    let mut root = world.root();
    assert!(root.standing().broken().is_some());
    root.mend().unwrap();
    assert_eq!(world.root().state(), root.state());
    assert!(root.standing().forbids_append().is_none());
}

#[test]
fn a_list_that_never_was_is_mended_and_those_without_the_role_cannot_name_one() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let session = writer.begin(&world);
    let auditor = world.member(Role::Auditor);
    writer.refresh().unwrap();
    let missing = || List::Object { digest: format::Digest::of(b"never"), count: 9 };
    let lost = Draft::on_packs(Kind::Lost, [super::world::pack(1)]);
    let bytes = world.forge(&auditor, &lost, |record| record.refs = missing());
    world.put(auditor.state().next(), bytes);
    writer.refresh().unwrap();
    assert_eq!(writer.state().voids().newest[0].reason, VoidReason::Role);

    let draft = Draft::packs(session, packs(&[1]));
    let bytes = world.forge(&writer, &draft, |record| {
        record.needs = List::Object { digest: format::Digest::of(b"never"), count: 9 };
    });
    world.put(writer.state().next(), bytes);
    writer.refresh().unwrap();
    assert_eq!(writer.state().voids().newest.last().unwrap().reason, VoidReason::Malformed);

    let mut collector = world.member(Role::Collector);
    collector.refresh().unwrap();
    let bytes = world.forge(&collector, &lost, |record| record.refs = missing());
    world.put(collector.state().next(), bytes);
    let mut root = world.root();
    assert!(matches!(root.standing().broken(), Some(Break::List { .. })));
    root.mend().unwrap();
    writer.refresh().unwrap();
    assert_eq!(writer.state(), world.root().state());
    writer.add(Draft::commit(session, packs(&[1]), super::world::commit_body().encode()));
}

#[test]
fn what_lies_under_a_lists_name_before_is_noticed_before_the_record_stands() {
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    let named: Vec<_> = (0..5000_u32).map(|n| format::Digest::of(&n.to_le_bytes())).collect();
    let refs: Vec<_> = named.iter().copied().map(Ref::Pack).collect();
    let digest = format::Digest::of(&List::<Ref>::encode_object(&refs));
    let junk = world.place.put(&VaultNames::list(&digest), vec![1].into(), &PutOptions::default());
    assert!(junk.is_ok());
    let error = owner.append_one(Draft::on_packs(Kind::Lost, named)).unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error}");
    assert!(world.root().standing().forbids_append().is_none(), "no record stands");
}

#[test]
fn keys_of_an_epoch_are_taken_from_the_owners_rotate_alone() {
    let world = World::new();
    let keyring = world.keyring(Role::Writer, DomainId::DEFAULT);
    world.certify(&keyring);
    let member = keyring.member().unwrap();
    let binding = EpochKeysBinding {
        vault_id: keyring.vault_id(),
        member: member.member_id(),
        role: Role::Writer,
        domain: DomainId::DEFAULT,
        epoch: Epoch(1),
    };
    let sealed_by = |world: &World| {
        let root = world.root_secret();
        let keys = EpochKeys::for_role(root, Role::Writer, DomainId::DEFAULT, Epoch(1));
        let public = member.kem().public();
        keys.seal_to(&public, Suite::Aes256Gcm, &binding, &*world.entropy)
    };
    let rotate = |sealed| Draft {
        refs: vec![
            super::world::epoch_keys(Epoch(1)),
            Ref::SealedKeys { member: member.member_id(), sealed },
        ],
        ..Draft::new(Kind::Rotate)
    };
    let mut root = world.root();
    let before = root.state().clone();
    let at = root.add(rotate(sealed_by(&world))).at.seq;
    let cached = {
        root.certify(&world.certificate(&keyring, Epoch(1)), "a host").unwrap();
        root.state().clone()
    };
    // Another puts keys of its own making into the record, which replay does not read again.
    let stranger = World::uninitialised(99);
    let signed = world.forge_on(&before, &root, &rotate(sealed_by(&stranger)), |_| ());
    world.change(at, |bytes| {
        *bytes = signed.to_vec();
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
    });
    let memory = Arc::new(ProcessMemory::new());
    let _ = world.open_with(keyring.clone(), memory, Some(cached));
    assert!(keyring.ledger(Epoch(1)).is_err(), "the stranger's keys were taken");
}

#[test]
fn an_old_recover_does_not_excuse_a_roll_back_to_it() {
    let world = World::new();
    let mut writer = world.member(Role::Writer);
    let mut root = world.root();
    root.add(recover(&root, Seq(1)));
    let recovered = world.place.snapshot();
    (0..3).for_each(|number| drop(writer.snapshot(&world, &[number]).to_string()));
    let memory = Arc::new(ProcessMemory::new());
    let head = try_open(&world, memory.clone()).unwrap().state().head();
    world.place.restore(&recovered);
    let later = try_open(&world, memory.clone()).unwrap();
    assert!(matches!(later.standing().alarms[..], [Alarm::RolledBack { .. }]));
    assert_eq!(memory.head().unwrap(), Some(head));
}

#[test]
fn an_older_recover_than_the_one_followed_does_not_excuse_a_roll_back_either() {
    let world = World::new();
    let mut root = world.root();
    root.add(recover(&root, Seq(0)));
    let first = world.place.snapshot();
    root.add(recover(&root, Seq(1)));
    let memory = Arc::new(ProcessMemory::new());
    let _ = try_open(&world, memory.clone()).unwrap();
    world.place.restore(&first);
    let later = try_open(&world, memory).unwrap();
    assert!(matches!(later.standing().alarms[..], [Alarm::RolledBack { .. }]));
}

#[test]
fn a_vault_without_any_record_is_a_roll_back_to_who_remembers_one() {
    let world = World::new();
    let memory = Arc::new(ProcessMemory::new());
    let _ = try_open(&world, memory.clone()).unwrap();
    world.remove(Seq(0));
    assert_eq!(try_open(&world, memory).err().unwrap().kind(), ErrorKind::Tampering);
    let forgetful = Arc::new(ProcessMemory::new());
    assert!(matches!(try_open(&world, forgetful), Err(Error::Empty)));
}

#[test]
fn a_merge_of_very_many_runs_is_judged_in_good_time() {
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    let first = owner.begin(&world);
    owner.add(Draft::commit_packs(first, runs(&[1])));
    let session = owner.begin(&world);
    let run = |n: u32| ObjectRef::Run(format::Digest::of(&n.to_le_bytes()));
    let needs = (0..300_000).map(run).collect();
    let drops = runs(&[1]).repeat(300_000);
    owner.add(Draft::merge(session, needs, drops));
}
