//! A place without room and a place that does not answer. The backup fails in words and with the
//! right kind of error, and the vault is whole.

use std::sync::Arc;
use std::time::Duration;

use places::{Error as PlaceError, Fault, Faulty, Operation, Verb};
use strongroom::ErrorKind;

use crate::world::World;

#[test]
fn a_full_place_fails_the_backup_and_harms_nothing() {
    for room_for in 0..4 {
        let world = World::new(10 + room_for);
        let packs = std::sync::atomic::AtomicU64::new(0);
        let script = move |operation: &Operation<'_>| {
            let is_pack = operation.verb == Verb::Put && operation.subject.starts_with("packs/");
            let number = packs.fetch_add(u64::from(is_pack), std::sync::atomic::Ordering::Relaxed);
            if !is_pack || number < room_for {
                return Fault::None;
            }
            let full = PlaceError::Full {
                place: "a small disk".into(),
                object: operation.subject.parse().unwrap(),
                needed: 4 << 20,
                reason: "no space left on device".into(),
            };
            Fault::Refuse(full)
        };
        let place = Faulty::scripted(world.place.clone(), world.clock.clone(), script);
        let error = world.back_up(Arc::new(place), "host").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        world.check(&format!("room for {room_for} packs"));
        world.back_up(Arc::new(world.place.clone()), "host").unwrap();
    }
}

#[test]
fn a_place_that_hangs_fails_the_backup_and_harms_nothing() {
    for verb in [Verb::Put, Verb::Get] {
        let world = World::new(20);
        let script = move |operation: &Operation<'_>| {
            let late = operation.index > 12 && operation.verb == verb;
            if late { Fault::Hang(Duration::from_secs(60)) } else { Fault::None }
        };
        let place = Faulty::scripted(world.place.clone(), world.clock.clone(), script);
        let error = world.back_up(Arc::new(place), "host").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        world.check(&format!("{verb:?} hangs"));
    }
}
