//! Years of records: what opening costs in requests, however long the ledger is.
//!
//! The far past is junk, which is cheap to make and counts like any record; the years that are
//! read are signed by several members. Nothing here is timed; `measure` says how long things take.

use std::sync::Arc;

use crypto::Role;
use format::{BUNDLE_RECORDS, Kind, Seq, VaultNames};
use places::{FolderPlace, Place, PutOptions, Recording, Verb};

use super::world::{World, whole};
use crate::{Context, Draft, Ledger, NoLists, ProcessMemory, State, Trust};

const FAST: Context<'static> =
    Context { trust: Trust::CheckedBefore, lists: &NoLists, keyring: None };

/// A vault whose ledger has `total` records, the last `signed` of them signed by turns.
struct Years {
    world: World,
    members: Vec<Ledger>,
    /// The state before the signed ones.
    before: State,
}

impl Years {
    fn new(total: u64, signed: u64) -> Self {
        let world = World::new();
        let roles = [Role::Writer, Role::Owner, Role::Writer, Role::Collector];
        let mut members = roles.map(|role| world.member(role));
        members.iter_mut().for_each(|member| member.refresh().unwrap());
        let mut state = members[3].state().clone();
        while state.next().0 < total - signed - 1 {
            let junk = whole(vec![0].into());
            state.apply(&junk, &FAST).unwrap();
            // What no bundle holds and no client reads need not lie there.
            if total - state.head().seq.0 < (signed + 1).next_multiple_of(BUNDLE_RECORDS) {
                world.put(state.head().seq, vec![0]);
            }
        }
        let mut before = None;
        for number in state.next().0..total {
            let by = &members[number as usize % members.len()];
            let bytes = world.forge_on(&state, by, &Draft::new(Kind::Report), |_| {});
            world.put(state.next(), bytes.clone());
            state.apply(&whole(bytes), &FAST).unwrap();
            // A state is kept behind a signed record: the hash of another says little.
            before.get_or_insert_with(|| state.clone());
        }
        let before = before.expect("at least one record is signed");
        let years = Self { world, members: members.into(), before };
        // The member that saw it all writes what bundles are missing.
        let mut last = years.open(years.world.components(), state);
        last.write_bundles().unwrap();
        years
    }

    fn open(&self, with: crate::Components, cached: State) -> Ledger {
        let keyring = self.members[0].keyring().cloned();
        let memory = Arc::new(ProcessMemory::new());
        let cached = Some(cached);
        Ledger::open(with, &self.world.config_bytes, keyring, memory, cached).unwrap()
    }
}

fn requests<P: Place>(recording: &Recording<P>) -> u64 {
    Verb::ALL.into_iter().map(|verb| recording.count(verb)).sum()
}

#[test]
fn a_client_ten_thousand_records_behind_opens_with_fifty_requests() {
    // The worst there is: the tail is as long as the shorter bundles allow.
    let total = 195 * BUNDLE_RECORDS + 1023;
    let years = Years::new(total, 10_000);
    let recording = Arc::new(Recording::new(years.world.place.clone()));

    let ledger = years.open(years.world.components_at(recording.clone()), years.before.clone());

    assert_eq!(ledger.state().next(), Seq(total));
    assert_eq!(ledger.state().head().seq.0 - years.before.head().seq.0, 10_000);
    let asked = requests(&recording);
    assert!(asked <= 50, "{asked} requests: {:?}", recording.log());
    assert_eq!(recording.count(Verb::List), 1, "the names behind the tail");
    let mut ledger = ledger;
    recording.reset();
    ledger.refresh().unwrap();
    assert_eq!(requests(&recording), 2, "the head and the next number: {:?}", recording.log());
}

#[test]
fn a_folder_of_many_records_is_never_listed_and_a_gap_is_seen_all_the_same() {
    let years = Years::new(5 * BUNDLE_RECORDS + 40, 60);
    let folder = tempfile::tempdir().unwrap();
    let place = FolderPlace::open(folder.path()).unwrap();
    for listed in years.world.place.list(&"".parse().unwrap(), None).unwrap() {
        let name = listed.unwrap().name;
        let path = folder.path().join(name.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, years.world.place.get(&name, None).unwrap()).unwrap();
    }
    let recording = Arc::new(Recording::new(place));
    let with = years.world.components_at(recording.clone());
    let ledger = years.open(with.clone(), years.before.clone());
    assert_eq!(recording.count(Verb::List), 0, "{:?}", recording.log());
    assert!(ledger.standing().broken().is_none());
    let head = ledger.state().head().seq;

    let far = VaultNames::record(Seq(head.0 + 700));
    let _ = recording.put(&far, vec![0].into(), &PutOptions::default()).unwrap();
    let ledger = years.open(with, years.before.clone());

    assert_eq!(ledger.standing().broken().map(crate::Break::seq), Some(head.next()));
    let lists = recording.count(Verb::List);
    assert!(lists <= 1, "only a break is worth a walk over all names");
}

#[test]
fn one_forged_bundle_costs_its_own_records_and_no_more() {
    let years = Years::new(12 * BUNDLE_RECORDS + 5, 6 * BUNDLE_RECORDS);
    let name = VaultNames::bundle(Seq(9 * BUNDLE_RECORDS), Seq(10 * BUNDLE_RECORDS - 1));
    years.world.place.corrupt(&name, |bytes| bytes[500_000] ^= 1);
    let recording = Arc::new(Recording::new(years.world.place.clone()));

    let with = years.world.components_at(recording.clone());
    let ledger = years.open(with, years.before.clone());

    assert_eq!(ledger.state().next(), Seq(12 * BUNDLE_RECORDS + 5));
    assert!(ledger.standing().broken().is_none());
    let asked = requests(&recording);
    assert!((BUNDLE_RECORDS..BUNDLE_RECORDS + 200).contains(&asked), "{asked} requests");
}
