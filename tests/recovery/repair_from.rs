//! Whatever is missing or damaged in a vault comes back from a copy of it, and nothing else does.
//!
//! The host that repairs keeps nothing that could help but the head it remembers: all else must
//! come from the copy. What comes is what was there, byte for byte.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use crypto::Digest;
use format::{Kind, NamedObject, VaultNames};
use ledger::{Draft, PackStanding};
use places::{MemoryPlace, ObjectName, Place, PutOptions};
use strongroom::Host;
use vault::{
    Elsewhere, Reading, Repair, RepairMode, RepairOptions, Reporting, StepOutcome, Vault,
    VerifyOptions, VerifyProgress,
};

use crate::hosts::{Hosts, Made, assert_holds, back_up, objects};

struct Silent;

impl VerifyProgress for Silent {
    fn object(&self, _: &str, _: u64) {}
}

/// A vault that has one of every kind of object, and its replica.
fn everything(seed: u64) -> (Hosts, Vec<Made>) {
    let hosts = Hosts::new(seed);
    let mut vault = hosts.open(&hosts.vault, &hosts.nobody());
    let made: Vec<_> = (0..9).map(|number| back_up(&mut vault, &[number; 3000])).collect();
    // More than a record holds: their names lie in a long list.
    let strangers = (0..5000_u32).map(|number| Digest::of(&number.to_le_bytes()));
    vault.ledger().append_one(Draft::on_packs(Kind::Lost, strangers)).unwrap();
    vault.ledger().write_bundles().unwrap();
    hosts.replicate();
    (hosts, made)
}

/// Repairs the vault from these places, as the host "memory" that has a state and no cache.
fn repair(
    hosts: &Hosts,
    place: &MemoryPlace,
    from: &[&MemoryPlace],
    mode: RepairMode,
) -> (Vault, Repair) {
    let host = forgetful(hosts);
    let quarantine = tempfile::tempdir().unwrap();
    let options = RepairOptions {
        reading: Reading::All,
        mode,
        quarantine: Some(quarantine.path().to_owned()),
    };
    let from = from.iter().map(|place| Arc::new((*place).clone()) as Arc<dyn Place>);
    let elsewhere = Elsewhere::new(from.collect());
    let Host { folders, label, .. } = &host;
    let components = hosts.components(place.clone());
    let keyring = hosts.keyring();
    let (mut vault, first) =
        Vault::open_for_repair(components, folders, keyring, label, &options, &elsewhere).unwrap();
    let cancel = AtomicBool::new(false);
    let mut done = vault.repair(&options, &elsewhere, &Silent, &cancel).unwrap();
    done.steps.splice(0..0, first);
    (vault, done)
}

fn forgetful(hosts: &Hosts) -> Host {
    let mut host = hosts.host("memory");
    host.folders.cache = None;
    host
}

fn bytes(place: &MemoryPlace, name: &ObjectName) -> Bytes {
    place.get(name, None).unwrap()
}

/// Does this to an object of a copy of the vault's place.
fn harmed(hosts: &Hosts, harm: impl FnOnce(&MemoryPlace)) -> MemoryPlace {
    let place = hosts.empty_place();
    place.restore(&hosts.vault.snapshot());
    harm(&place);
    place
}

fn flip(place: &MemoryPlace, name: &ObjectName) {
    // A slot shows damage only in what is not sealed.
    let is_slot = matches!(NamedObject::parse(name), Some(NamedObject::Slot(_)));
    place.corrupt(name, |bytes| {
        let at = if is_slot { 0 } else { bytes.len() / 2 };
        bytes[at] ^= 4;
    });
}

#[test]
fn every_kind_of_object_comes_back_as_it_was_when_it_was_removed() {
    // Bundles that are not there are missed by nobody.
    let missed = ["config", "index", "keys", "ledger", "lists", "packs"];
    each_comes_back(21, &missed, |place, name| place.delete(name).unwrap());
}

#[test]
fn every_kind_of_object_comes_back_as_it_was_when_it_was_flipped() {
    each_comes_back(22, &["bundles", "config", "index", "keys", "ledger", "lists", "packs"], flip);
}

/// Does this harm to each object of these kinds in turn.
fn each_comes_back(seed: u64, kinds: &[&str], harm: impl Fn(&MemoryPlace, &ObjectName)) {
    let (hosts, made) = everything(seed);
    // The newest record is missed only by who saw it.
    drop(hosts.open(&hosts.vault, &forgetful(&hosts)));
    let mut met = BTreeSet::new();
    for name in objects(&hosts.vault) {
        let kind = name.as_str().split('/').next().unwrap().to_owned();
        if !kinds.contains(&&kind[..]) {
            continue;
        }
        met.insert(kind);
        let place = harmed(&hosts, |place| harm(place, &name));
        let (_, done) = repair(&hosts, &place, &[&hosts.replica], RepairMode::Make);

        let called = format!("{name}: {:?}", done.steps);
        assert_eq!(bytes(&place, &name), bytes(&hosts.vault, &name), "{called}");
        assert!(done.steps.iter().all(|step| step.outcome == StepOutcome::Done), "{called}");
        assert_eq!(done.hurt, [], "{called}");
        let mut vault = hosts.open(&place, &forgetful(&hosts));
        assert_eq!(vault.ledger().standing().alarms, [], "{called}");
        assert_holds(&mut vault, &made.iter().collect::<Vec<_>>());
    }
    assert_eq!(met.iter().map(String::as_str).collect::<Vec<_>>(), kinds);
}

#[test]
fn a_vault_of_which_only_the_first_record_is_left_comes_back_whole() {
    let (hosts, made) = everything(30);
    drop(hosts.open(&hosts.vault, &forgetful(&hosts)));
    let place = harmed(&hosts, |place| {
        let kept = VaultNames::record(format::Seq(0));
        place.names().iter().filter(|name| **name != kept).for_each(|name| {
            place.delete(name).unwrap();
        });
    });
    let (mut vault, done) = repair(&hosts, &place, &[&hosts.replica], RepairMode::Make);
    assert!(done.steps.iter().all(|step| step.outcome == StepOutcome::Done), "{:?}", done.steps);
    assert_holds(&mut vault, &made.iter().collect::<Vec<_>>());
    for name in objects(&hosts.vault) {
        let is_derived = ["checkpoints/", "bundles/"].iter().any(|k| name.as_str().starts_with(k));
        if !is_derived {
            assert_eq!(bytes(&place, &name), bytes(&hosts.vault, &name), "{name}");
        }
    }
}

#[test]
fn a_plan_says_what_would_be_fetched_and_changes_nothing() {
    let (hosts, _) = everything(23);
    let packs: Vec<_> = packs(&hosts.vault);
    let place = harmed(&hosts, |place| place.delete(&packs[0]).unwrap());
    let before = place.names();
    let (_, done) = repair(&hosts, &place, &[&hosts.replica], RepairMode::Plan);
    let planned: Vec<_> =
        done.steps.iter().filter(|step| step.outcome == StepOutcome::Planned).collect();
    assert_eq!(planned.len(), 1, "{:?}", done.steps);
    assert_eq!(planned[0].object, packs[0].as_str());
    assert!(planned[0].action.contains("fetched from"), "{}", planned[0].action);
    assert_eq!(place.names(), before);
}

fn packs(place: &MemoryPlace) -> Vec<ObjectName> {
    let is_pack = |name: &ObjectName| name.as_str().starts_with("packs/");
    place.names().into_iter().filter(is_pack).collect()
}

#[test]
fn what_a_copy_holds_otherwise_is_not_taken_and_the_next_copy_is_asked() {
    let (hosts, made) = everything(24);
    let packs = packs(&hosts.vault);
    let place = harmed(&hosts, |place| place.delete(&packs[0]).unwrap());
    let liar = hosts.empty_place();
    liar.restore(&hosts.replica.snapshot());
    flip(&liar, &packs[0]);

    let (_, only_liar) = repair(&hosts, &place, &[&liar], RepairMode::Make);
    let fetched = only_liar.steps.iter().any(|step| step.action.contains("fetched"));
    assert!(!fetched, "{:?}", only_liar.steps);
    assert!(place.stat(&packs[0]).unwrap().is_none());
    let lost = hosts.open(&place, &hosts.nobody());
    let lost: Vec<_> =
        lost.ledger().state().lost().map(|(pack, _)| VaultNames::pack(pack)).collect();
    assert_eq!(lost, packs[..1], "writers store again what it held");

    let (mut vault, both) = repair(&hosts, &place, &[&liar, &hosts.replica], RepairMode::Make);
    assert_eq!(bytes(&place, &packs[0]), bytes(&hosts.vault, &packs[0]), "{:?}", both.steps);
    assert_eq!(both.verification.reported.found, 1);
    assert_eq!(vault.ledger().state().lost().count(), 0);
    let snapshots = vault.snapshots().unwrap();
    assert!(made.iter().all(|made| snapshots.iter().any(|snapshot| snapshot.id == made.id)));
}

#[test]
fn what_no_place_has_is_left_with_the_snapshots_that_it_hurts() {
    let (hosts, _) = everything(25);
    let gone = packs(&hosts.vault);
    let place = harmed(&hosts, |place| gone.iter().for_each(|name| place.delete(name).unwrap()));
    let poor = hosts.empty_place();
    poor.restore(&hosts.replica.snapshot());
    gone.iter().for_each(|name| poor.delete(name).unwrap());
    let (_, done) = repair(&hosts, &place, &[&poor], RepairMode::Make);
    let left = done.steps.iter().filter(|step| step.outcome == StepOutcome::Left);
    let left: HashSet<_> = left.map(|step| step.object.as_str()).collect();
    let hurting: Vec<_> =
        done.verification.damage.iter().filter(|damage| !damage.snapshots.is_empty()).collect();
    assert!(!hurting.is_empty());
    assert!(hurting.iter().all(|damage| left.contains(damage.object.as_str())), "{left:?}");
    assert_eq!(done.hurt.len(), 9);
}

#[test]
fn a_dropped_pack_is_not_brought_back() {
    let (hosts, _) = everything(26);
    let mut vault = hosts.open(&hosts.vault, &hosts.nobody());
    vault.ensure_member().unwrap();
    let pack = {
        let mut ledger = vault.ledger();
        let pack = ledger.state().packs().map(|(name, _)| *name).next().unwrap();
        let suspect = ledger.append_one(Draft::on_packs(Kind::Suspect, [pack])).unwrap();
        ledger.append_one(Draft::condemn(suspect.at.seq, [pack])).unwrap();
        assert_eq!(ledger.state().pack_standing(&pack), PackStanding::Condemned);
        pack
    };
    let name = VaultNames::pack(&pack);
    hosts.vault.delete(&name).unwrap();
    assert!(hosts.replica.stat(&name).unwrap().is_some());
    repair(&hosts, &hosts.vault, &[&hosts.replica], RepairMode::Make);
    assert!(hosts.vault.stat(&name).unwrap().is_none());
}

#[test]
fn a_key_slot_that_was_removed_stays_so_while_another_opens_the_vault() {
    let (hosts, _) = everything(27);
    let is_slot = |name: &ObjectName| name.as_str().starts_with("keys/");
    let slot = hosts.vault.names().into_iter().find(is_slot).unwrap();
    let other = VaultNames::slot(&[9; 16]);
    let options = PutOptions::default();
    let _ = hosts.vault.put(&other, bytes(&hosts.vault, &slot), &options).unwrap();
    hosts.vault.delete(&slot).unwrap();
    let (_, done) = repair(&hosts, &hosts.vault, &[&hosts.replica], RepairMode::Make);
    assert_eq!(done.steps, []);
    assert!(hosts.vault.stat(&slot).unwrap().is_none());
}

#[test]
fn a_copy_of_another_vault_is_refused() {
    let (hosts, _) = everything(28);
    let other = Hosts::new(29);
    let elsewhere = Elsewhere::new(vec![Arc::new(other.vault.clone())]);
    let options = RepairOptions::default();
    let components = hosts.components(hosts.vault.clone());
    let opened = Vault::open_for_repair(
        components,
        &Default::default(),
        hosts.keyring(),
        "host",
        &options,
        &elsewhere,
    );
    assert!(matches!(opened, Err(vault::Error::OtherVault { .. })));
    let verify = VerifyOptions { reading: Reading::Structure, reporting: Reporting::Never };
    let mut vault = hosts.open(&hosts.vault, &hosts.nobody());
    let found = vault.verify(&verify, &Silent, &AtomicBool::new(false)).unwrap();
    assert!(found.damage.is_empty());
}
