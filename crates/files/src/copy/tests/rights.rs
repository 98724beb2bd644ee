//! Which keys may copy, and between which vaults and domains.
//!
//! Each role's key is a real one, issued by the owner, on a host without caches. DESIGN.md §6.

use crypto::Keyring;
use vault::DomainChoice;

use super::*;
use crate::testing::{NO_FOLDERS, components};

/// The world's vault, opened with a key of this role.
fn opened_as(world: &mut World, role: Role, domain: DomainChoice) -> Vault {
    let bundle = world.vault.issue_bundle(role, domain, "issued").unwrap();
    let keyring = Keyring::from_bundle(bundle);
    Vault::open(components(&world.place, 11), &NO_FOLDERS, keyring, "issued").unwrap()
}

fn refusal(source: &mut Vault, target: &mut Vault) -> String {
    let error = Copier::new(source, target, CopyOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Vault(vault::ErrorKind::Denied));
    error.to_string()
}

#[test]
fn a_reader_of_the_source_and_a_writer_of_the_target_are_enough() {
    let (mut world, mut home) = (World::new(), World::new());
    home.vault = other_vault(61);
    world.write("file", noise(1, 100_000));
    world.backup();
    let mut reader = opened_as(&mut world, Role::Reader, DomainChoice::Default);
    let target = MemoryPlace::new();
    let mut owner = vault_of_small_chunks(&target, 62);
    let bundle = owner.issue_bundle(Role::Writer, DomainChoice::Default, "copier").unwrap();
    let keyring = Keyring::from_bundle(bundle);
    let mut writer = Vault::open(components(&target, 12), &NO_FOLDERS, keyring, "copier").unwrap();

    copy_whole(&mut reader, &mut writer);

    owner.refresh().unwrap();
    let copy = live(&mut owner).pop().unwrap();
    assert_eq!(restored(&world, &mut owner, &copy), described(&world.source()));
    let chosen = live(&mut reader);
    let copier = Copier::new(&mut reader, &mut writer, CopyOptions::default()).unwrap();
    assert_eq!(copier.plan(&chosen).unwrap().unseen, 1, "a writer cannot look into it");
}

#[test]
fn keys_that_cannot_read_or_cannot_commit_are_refused_by_name() {
    let mut world = World::new();
    let mut target = other_vault(63);
    let mut writer = opened_as(&mut world, Role::Writer, DomainChoice::Default);
    let refused = refusal(&mut writer, &mut target);
    assert!(refused.contains("writer may not read"), "{refused}");
    let mut reader = opened_as(&mut world, Role::Reader, DomainChoice::Default);
    let refused = refusal(&mut target, &mut reader);
    assert!(refused.contains("reader may not commit"), "{refused}");
}

#[test]
fn one_vault_is_copied_from_one_domain_into_another_and_not_onto_itself() {
    let mut world = World::new();
    world.write("file", noise(1, 700_000));
    let mut own = opened_as(&mut world, Role::Writer, DomainChoice::Own);
    let options = world.options();
    backup(&mut own, &options, &Quiet, &Cancel::new()).unwrap();
    let mut owner = world.another_host();

    let copied = copy_whole(&mut owner, &mut world.vault).pop().unwrap();

    world.vault.refresh().unwrap();
    let copy = world.vault.snapshot(copied.snapshot.unwrap()).unwrap();
    assert_eq!(copy.domain, DomainId::DEFAULT);
    assert!(copied.counts.bytes_new > 700_000, "domains share nothing");
    let vault = &mut world.vault;
    let reader = vault.reader().unwrap();
    assert!(crate::find(&reader, &copy, &options.paths[0]).is_ok());
    owner.refresh().unwrap();
    let own = live(&mut owner).into_iter().filter(|s| s.domain == DomainId::DEFAULT);
    let own: Vec<_> = own.collect();
    let copier = Copier::new(&mut owner, &mut world.vault, CopyOptions::default()).unwrap();
    let refused = copier.plan(&own).unwrap_err();
    assert!(matches!(refused, Error::SameDomain { .. }), "{refused}");
}

#[test]
fn a_fork_of_the_same_vault_takes_chunks_as_they_are_and_reads_only_what_it_lacks() {
    let mut world = World::new();
    world.write("known", noise(1, 3 << 20));
    world.backup();
    let place = MemoryPlace::new();
    place.restore(&world.place.snapshot());
    let mut fork = world.opened_at(&place, 13);
    world.write("new", noise(2, 2 << 20));
    let options = BackupOptions { name: "afresh".into(), ..world.options() };
    world.backup_with(&options, &Quiet).unwrap();
    let original = world.latest().descriptor.unwrap();

    let copied = copy_whole(&mut world.vault, &mut fork);

    let [copied] = &copied[..] else { panic!("the first is there already: {copied:?}") };
    assert_eq!(copied.counts.bytes_read, 2 << 20);
    let copy = fork.snapshot(copied.snapshot.unwrap()).unwrap();
    assert_eq!(copy.descriptor.unwrap().root, original.root);
}
