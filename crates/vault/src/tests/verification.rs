//! Who may report what a verification finds, and what coverage remembers from run to run.
//!
//! The table of DESIGN §9: owner and reader append `lost` and `found`, the collector `lost` alone.

use std::time::Duration;

use super::*;

fn report(vault: &mut Vault) -> Verification {
    vault.verify(&VerifyOptions::new(Reading::All), &Quiet, &AtomicBool::new(false)).unwrap()
}

fn role_vault(world: &World, role: Role, host: &str) -> Vault {
    let bundle = world.open().issue_bundle(role, DomainChoice::Default, host).unwrap();
    world.open_with(Arc::new(world.place.clone()), host, bundle)
}

#[test]
fn each_role_reports_what_the_table_allows() {
    let world = World::new(70);
    back_up(&mut world.open(), &[&noise(1, 300_000)]);
    let [mut reader, mut collector] = [(Role::Reader, "reader"), (Role::Collector, "collector")]
        .map(|(role, host)| role_vault(&world, role, host));
    let pack = world.place.names().into_iter().find(|n| n.as_str().starts_with("packs/")).unwrap();
    let bytes = world.place.get(&pack, None).unwrap();

    world.place.delete(&pack).unwrap();
    let lost = report(&mut collector).reported;
    assert_eq!(lost, Reported { lost: 1, found: 0, withheld: None });
    assert_eq!(report(&mut reader).reported, Reported::default(), "it is known");
    let _ = world.place.put(&pack, bytes, &places::PutOptions::default()).unwrap();
    let back = report(&mut collector).reported;
    assert_eq!((back.lost, back.found), (0, 0));
    assert!(back.withheld.is_some_and(|reason| reason.contains("collector")));
    let found = report(&mut reader).reported;
    assert_eq!(found, Reported { lost: 0, found: 1, withheld: None });
}

#[test]
fn coverage_reads_everything_within_its_span_and_remembers_over_processes() {
    let world = World::new(71);
    let contents: Vec<Vec<u8>> = (0..20).map(|n| noise(n, 1_500_000)).collect();
    let contents: Vec<&[u8]> = contents.iter().map(|c| &c[..]).collect();
    back_up(&mut world.open(), &contents);
    let day = Duration::from_secs(24 * 3600);
    let coverage = VerifyOptions::new(Reading::Coverage(day * 4));
    let run = |host: &str| {
        let mut vault = world.open_at(Arc::new(world.place.clone()), host);
        vault.verify(&coverage, &Quiet, &AtomicBool::new(false)).unwrap()
    };
    let mut read = Vec::new();
    for _ in 0..4 {
        let found = run("host");
        read.push(found.packs_read);
        assert!(found.packs_read < found.packs, "{read:?}");
        world.clock.advance(day);
    }
    let packs = run("host").packs;
    assert!(read.iter().sum::<u64>() >= packs, "{read:?} of {packs}");
    // Another host remembers nothing of it.
    assert!(run("other").packs_read > 0);
}
