//! Each type of object presented under the name of every other type.
//!
//! Every type is its own domain: bytes of one type never pass for another, whatever name they bear.

use places::{ObjectName, Place};

use crate::world::World;

#[test]
fn bytes_of_one_type_never_pass_for_another() {
    let world = World::new(10);
    let whole = world.place.snapshot();
    let one_of_each: Vec<ObjectName> = ["config", "keys/", "ledger/", "index/", "packs/"]
        .iter()
        .flat_map(|kind| {
            // Of packs there are two types: content and metadata.
            let of_kind =
                world.place.names().into_iter().filter(move |n| n.as_str().starts_with(kind));
            of_kind.take(if *kind == "packs/" { 4 } else { 1 })
        })
        .collect();
    for (number, name) in one_of_each.iter().enumerate() {
        for other in one_of_each.iter().filter(|other| *other != name) {
            let bytes = world.place.get(other, None).unwrap();
            world.place.corrupt(name, |old| *old = bytes.to_vec());
            match world.read(&format!("new-{number}-{other}").replace('/', "-")) {
                Err(error) => assert!(!error.to_string().is_empty()),
                Ok(reading) => {
                    let same = |(key, value)| world.contents.get(key) == Some(value);
                    let wrong = reading.contents.iter().find(|entry| !same(*entry));
                    assert!(wrong.is_none(), "{other} passed as {name}: {:?}", wrong.map(|w| w.0));
                }
            }
            world.place.restore(&whole);
        }
    }
}
