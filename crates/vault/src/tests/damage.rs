//! Damage is named, never returned.
//!
//! Every object of a small vault is flipped, cut, emptied, removed, swapped; what is read is what
//! was stored or an error, and verification names the object.

use super::*;
use places::ObjectName;

type Harm = fn(&mut Vec<u8>);

/// What may happen to an object.
const HARMS: [(&str, Harm); 4] = [
    ("one bit flipped", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
    }),
    ("its end cut off", |bytes| bytes.truncate(bytes.len() - 1)),
    ("emptied", Vec::clear),
    ("a byte added", |bytes| bytes.push(0)),
];

fn objects(world: &World) -> Vec<ObjectName> {
    world.place.names()
}

#[test]
fn a_damaged_pack_or_run_is_named_by_every_verification_that_reads_it() {
    let world = World::new(20);
    let content = noise(1, 300_000);
    let (chunks, _) = back_up(&mut world.open(), &[&content]);
    let whole = world.place.snapshot();
    for name in objects(&world) {
        let text = name.as_str();
        if !text.starts_with("packs/") && !text.starts_with("index/") {
            continue;
        }
        for (harm, change) in HARMS {
            world.place.corrupt(&name, change);
            let components = world.components(Arc::new(world.place.clone()));
            let keyless =
                verify_keyless(&components, Reading::All, &Quiet, &AtomicBool::new(false)).unwrap();
            let names: Vec<_> = keyless.damage.iter().map(|d| d.object.clone()).collect();
            assert_eq!(names, [text], "{text} with {harm}");

            let mut vault = world.open();
            let found = verify(&mut vault, Reading::All);
            let named = found.damage.iter().any(|d| d.object == text);
            assert!(named, "{text} with {harm}: {:?}", found.damage);

            let fresh = Arc::new(world.place.clone());
            let mut fresh = world.open_at(fresh, &format!("fresh {harm} {text}").replace('/', "-"));
            if let Ok(reader) = fresh.reader() {
                let read = reader.chunk(format::DomainId::DEFAULT, chunks[0]);
                assert!(read.is_err() || read.unwrap() == content, "wrong bytes came back");
            }
            world.place.restore(&whole);
        }
    }
}

#[test]
fn a_missing_pack_hurts_the_snapshots_that_need_it() {
    let world = World::new(21);
    let (_, committed) = back_up(&mut world.open(), &[&noise(1, 300_000)]);
    let mut vault = world.open();
    for name in objects(&world) {
        if name.as_str().starts_with("packs/") {
            world.place.delete(&name).unwrap();
        }
    }
    let found = verify(&mut vault, Reading::Structure);
    assert!(found.damage.iter().any(|d| d.reason == "it is missing"), "{:?}", found.damage);
    assert!(found.damage.iter().any(|d| d.snapshots.contains(&committed.snapshot)));
}

#[test]
fn objects_swapped_with_one_another_are_damage() {
    let world = World::new(22);
    back_up(&mut world.open(), &[&noise(1, 300_000)]);
    back_up(&mut world.open(), &[&noise(2, 300_000)]);
    let packs: Vec<_> =
        objects(&world).into_iter().filter(|name| name.as_str().starts_with("packs/")).collect();
    let [first, second] = [&packs[0], &packs[1]].map(|name| world.place.get(name, None).unwrap());
    world.place.corrupt(&packs[0], |bytes| *bytes = second.to_vec());
    world.place.corrupt(&packs[1], |bytes| *bytes = first.to_vec());

    let found = verify(&mut world.open(), Reading::All);
    for name in &packs[..2] {
        assert!(found.damage.iter().any(|d| d.object == name.as_str()), "{name}");
    }
}
