//! States: the same from the same records, however they come, and as bytes.
//!
//! Histories are drawn from seeds and hold void records and junk as well.

use std::sync::Arc;

use crypto::{Role, SeededEntropy};
use format::{BUNDLE_RECORDS, Epoch, Kind, Seq, VaultNames};
use places::{Place, Recording, Verb};
use proptest::prelude::*;

use super::world::{Host, World, packs, runs, sample, whole};
use crate::{Context, Draft, Ledger, NoLists, ProcessMemory, State, Trust};

const NO_KEY: Context<'static> = Context { trust: Trust::Check, lists: &NoLists, keyring: None };

/// Puts `count` records behind the head without asking a ledger each time.
pub(super) fn fill(world: &World, ledger: &mut Ledger, count: u64) {
    let mut state = ledger.state().clone();
    for _ in 0..count {
        let bytes = world.forge_on(&state, ledger, &Draft::new(Kind::Report), |_| {});
        world.put(state.next(), bytes.clone());
        state.apply(&whole(bytes), &NO_KEY).unwrap();
    }
    ledger.refresh().unwrap();
}

/// A history of everything, drawn from a seed, void records and junk included.
pub(super) fn random_history(seed: u64, steps: usize) -> (World, Ledger) {
    let world = World::new();
    let mut owner = world.member(Role::Owner);
    let certificate = world.certificate(owner.keyring().unwrap(), Epoch(0));
    let dice = SeededEntropy::new(seed);
    let roll = |sides: u8| {
        let mut byte = [0];
        crypto::Entropy::fill(&dice, &mut byte);
        byte[0] % sides
    };
    for _ in 0..steps {
        let known = |at: u8, state: &State| {
            let ids: Vec<_> = state.snapshots().map(|(id, _)| id).collect();
            (!ids.is_empty()).then(|| ids[at as usize % ids.len()])
        };
        match roll(10) {
            0..=2 => {
                owner.snapshot(&world, &[roll(9), roll(9)]);
            }
            3 => {
                let session = owner.begin(&world);
                owner.add(Draft::packs(session, [packs(&[roll(9)]), runs(&[roll(9)])].concat()));
            }
            4 => {
                let kinds = [Kind::Forget, Kind::Undo, Kind::Purge, Kind::Hold];
                let kind = kinds[roll(4) as usize];
                if let Some(id) = known(roll(200), owner.state()) {
                    let _ = owner.append_one(Draft::on_snapshots(kind, [id]));
                }
            }
            5 => {
                let kinds = [Kind::Suspect, Kind::Lost, Kind::Found, Kind::Swept];
                let names = [roll(9), roll(9)].map(super::world::pack);
                owner.add(Draft::on_packs(kinds[roll(4) as usize], names));
            }
            6 => {
                let open = owner.state().suspicions().next();
                if let Some((seq, names)) = open.map(|(seq, names)| (seq, names.clone())) {
                    let _ = owner.append_one(Draft::condemn(seq, names.into_iter().take(1)));
                }
            }
            7 => {
                world.put(owner.state().next(), vec![roll(255); 40]);
                owner.refresh().unwrap();
            }
            _ => {
                // Any record at all, valid or not.
                let kind = Kind::ALL[roll(27) as usize];
                if !matches!(kind, Kind::Mend | Kind::Recover | Kind::Policy | Kind::Rotate) {
                    let bytes = world.forge(&owner, &sample(kind, certificate.clone()), |_| {});
                    world.put(owner.state().next(), bytes);
                    owner.refresh().unwrap();
                }
            }
        }
    }
    (world, owner)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_state_reads_back_and_replay_from_scratch_leads_to_the_same(seed: u64) {
        let (world, ledger) = random_history(seed, 40);
        let bytes = ledger.state().encode();
        let read = State::decode(&bytes).unwrap();
        prop_assert_eq!(&read, ledger.state());
        prop_assert_eq!(read.encode(), bytes);
        let fresh = world.open(ledger.keyring().unwrap().clone());
        prop_assert_eq!(fresh.state(), ledger.state());
        prop_assert_eq!(&ledger.replay(|_, _| Ok(())).unwrap(), ledger.state());
        prop_assert!(ledger.state().voids().count > 0 || ledger.state().head().seq > Seq(0));
    }

    #[test]
    fn bytes_that_are_no_state_are_refused_without_a_panic(seed: u64, at: usize, byte: u8) {
        let (_world, ledger) = random_history(seed, 6);
        let mut bytes = ledger.state().encode();
        let at = at % bytes.len();
        prop_assert!(State::decode(&bytes[..at]).is_err());
        bytes[at] = byte;
        if let Ok(state) = State::decode(&bytes) {
            prop_assert_eq!(state.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_applied_or_break_the_chain_without_a_panic(
        at: usize,
        changes: Vec<u8>,
        resign: bool,
    ) {
        let world = World::new();
        let member = world.member(Role::Owner);
        let certificate = world.certificate(member.keyring().unwrap(), Epoch(0));
        let kind = Kind::ALL[at % Kind::ALL.len()];
        let bytes = world.forge(&member, &sample(kind, certificate), |record| {
            if resign {
                record.claimed = places::Time::from_millis(i64::MIN);
                record.seq = Seq(u64::MAX);
            }
        });
        let mut bytes = bytes.to_vec();
        let start = at % bytes.len();
        for (byte, change) in bytes[start..].iter_mut().zip(&changes) {
            *byte = *change;
        }
        let mut state = member.state().clone();
        let _ = state.apply(&whole(bytes.into()), &NO_KEY);
    }
}

#[test]
fn a_new_client_reads_a_bundle_instead_of_its_records() {
    let world = World::new();
    let mut writer = world.member(Role::Owner);
    fill(&world, &mut writer, BUNDLE_RECORDS + 20);
    assert_eq!(writer.write_bundles().unwrap(), 2, "a long one and one of 16");
    assert_eq!(writer.write_bundles().unwrap(), 0, "it stands");

    let recording = Arc::new(Recording::new(world.place.clone()));
    let components = world.components_at(recording.clone());
    let memory = Arc::new(ProcessMemory::new());
    let keyring = writer.keyring().cloned();
    let fresh = Ledger::open(components, &world.config_bytes, keyring, memory, None).unwrap();
    assert_eq!(fresh.state(), writer.state());
    assert!(recording.count(Verb::Get) < 60, "{} gets", recording.count(Verb::Get));
}

#[test]
fn a_forged_bundle_is_passed_over() {
    let world = World::new();
    let mut writer = world.member(Role::Owner);
    let session = writer.begin(&world);
    world.put(writer.state().next(), vec![0; 1024]);
    writer.refresh().unwrap();
    fill(&world, &mut writer, BUNDLE_RECORDS + 5);
    writer.write_bundles().unwrap();
    let name = VaultNames::bundle(Seq(0), Seq(BUNDLE_RECORDS - 1));
    let honest = world.place.get(&name, None).unwrap();
    for at in [0, 9, 30, 3000, 6000, honest.len() / 2, honest.len() - 900, honest.len() - 1] {
        world.place.corrupt(&name, |bytes| {
            *bytes = honest.to_vec();
            bytes[at] ^= 1;
        });
        let fresh = world.open(writer.keyring().unwrap().clone());
        assert_eq!(fresh.state(), writer.state(), "byte {at}");
        assert!(fresh.state().session(session).is_some());
        assert!(fresh.standing().broken().is_none());
    }
}

#[test]
fn two_clients_converge_whoever_appends() {
    let world = World::new();
    let (mut one, mut two) = (world.member(Role::Writer), world.member(Role::Writer));
    for number in 0..6 {
        one.snapshot(&world, &[number]);
        two.snapshot(&world, &[number]);
    }
    one.refresh().unwrap();
    assert_eq!(one.state(), two.state());
    assert_eq!(one.state().open_sessions().count(), 0);
}
