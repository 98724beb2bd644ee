//! The real engine over a place that dies at one operation, for each operation of a backup.
//!
//! Before: the request is lost. After: it happened, the answer is lost. From then on nothing
//! answers, as for a process that was killed.

use std::sync::Arc;

use places::{Faulty, MemoryPlace};

use crate::world::World;

type Crash = fn(MemoryPlace, Arc<dyn places::Clock>, u64) -> Faulty<MemoryPlace>;

fn die_at_every_operation(seed: u64, crash: Crash) {
    let world = World::new(seed);
    let start = world.place.snapshot();
    let mut finished = false;
    for operation in 0..400 {
        let what = format!("operation {operation}");
        let place = crash(world.place.clone(), world.clock.clone(), operation);
        let host = format!("host {operation}");
        let report = world.back_up(Arc::new(place), &host);
        world.check(&what);
        if let Ok(report) = &report {
            let snapshot = report.snapshot.expect("it was acknowledged");
            assert!(world.read(snapshot).len() > world.acknowledged.len(), "{what}");
        }
        let again = world.back_up(Arc::new(world.place.clone()), &host);
        let snapshot = again.expect("the next backup goes on").snapshot.unwrap();
        assert!(world.read(snapshot).len() > world.acknowledged.len(), "{what}");
        world.place.restore(&start);
        if report.is_ok() {
            finished = true;
            break;
        }
    }
    assert!(finished, "a backup takes more operations than were tried");
}

#[test]
fn a_place_that_dies_before_any_operation_loses_nothing() {
    die_at_every_operation(1, Faulty::crashing_before);
}

#[test]
fn a_place_that_dies_after_any_operation_loses_nothing() {
    die_at_every_operation(2, Faulty::crashing_after);
}
