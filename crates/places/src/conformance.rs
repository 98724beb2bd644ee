//! The contract of [`Place`] as a suite: a new place is finished when [`run`] passes.
//!
//! Each check gets an empty place of its own and panics with the point of the contract that is
//! broken. Nothing here knows what kind of place it is looking at; a place that claims to keep
//! versions or locks is held to that too. DESIGN.md §4.

mod locks;
mod versions;

use std::collections::BTreeSet;
use std::sync::Barrier;

use bytes::Bytes;

use crate::error::ErrorKind;
use crate::name::{NamePrefix, ObjectName};
use crate::place::{Place, Put, PutOptions};
use crate::time::Time;

/// Checks every point of the contract. `make` makes an empty place each time it is called.
///
/// # Panics
/// When a point does not hold.
pub fn run<P: Place>(make: impl Fn() -> P) {
    what_was_put_can_be_read(&make());
    ranges_are_exact(&make());
    an_empty_and_a_large_body_are_kept(&make());
    absent_objects_are_absent(&make());
    the_first_put_wins(&make());
    one_of_many_threads_wins(&make());
    list_shows_exactly_what_is_there(&make());
    names_that_begin_alike_are_different(&make());
    a_deleted_name_is_free_again(&make());
    abilities_are_claimed_as_they_are(&make());
    if make().capabilities().versions {
        versions::run(&make);
    }
    if make().capabilities().object_lock {
        locks::run(&make);
    }
}

fn what_was_put_can_be_read(place: &dyn Place) {
    put(place, "config", b"content", Put::Created);
    assert_eq!(get(place, "config"), "content", "get returns what was put");
    let stat = stat(place, "config").expect("stat sees what was put");
    assert_eq!(stat, 7, "stat tells the size");
    assert_eq!(list(place, "", None), ["config"], "list sees what was put");
}

fn ranges_are_exact(place: &dyn Place) {
    put(place, "a", b"0123456789", Put::Created);
    let range = |start: u64, end: u64| place.get(&name("a"), Some(start..end));
    assert_eq!(range(0, 10).expect("the whole"), "0123456789");
    assert_eq!(range(3, 5).expect("a part"), "34");
    assert_eq!(range(9, 10).expect("the last byte"), "9");
    for at in [0, 4, 10] {
        assert_eq!(range(at, at).expect("an empty range is fine"), "");
    }
    let backwards = (5, 3);
    for (start, end) in [(0, 11), (10, 11), (11, 11), (11, 12), backwards, (0, u64::MAX)] {
        let error = range(start, end).expect_err("a range beyond the object is an error");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{start}..{end}");
        let message = error.to_string();
        assert!(message.contains(&end.to_string()) && message.contains("10"), "{message}");
    }
}

fn an_empty_and_a_large_body_are_kept(place: &dyn Place) {
    put(place, "empty", b"", Put::Created);
    assert_eq!(get(place, "empty"), "");
    assert_eq!(stat(place, "empty"), Some(0));

    let large: Vec<u8> = (0..LARGE_BYTES).map(|index: u32| (index ^ (index >> 8)) as u8).collect();
    put(place, "packs/00/large", &large, Put::Created);
    assert!(get(place, "packs/00/large") == large, "5 MiB come back unchanged");
    assert_eq!(stat(place, "packs/00/large"), Some(large.len() as u64));
    let part = place.get(&name("packs/00/large"), Some(1_048_570..1_048_586));
    assert_eq!(part.expect("a part of a large object"), large[1_048_570..1_048_586]);
}

fn absent_objects_are_absent(place: &dyn Place) {
    for absent in ["absent", "absent/a", "absent/a/b"] {
        let error = place.get(&name(absent), None).expect_err("absent objects cannot be read");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(absent), "the error names the object: {error}");
        assert_eq!(stat(place, absent), None);
        place.delete(&name(absent)).expect("deleting what is absent is fine");
    }
    assert!(list(place, "", None).is_empty());
    assert!(list(place, "absent/", None).is_empty(), "an unknown prefix is an empty listing");
}

fn the_first_put_wins(place: &dyn Place) {
    put(place, "ledger/0", b"first", Put::Created);
    put(place, "ledger/0", b"other", Put::Exists);
    assert_eq!(get(place, "ledger/0"), "first", "a put never replaces");
}

fn one_of_many_threads_wins(place: &dyn Place) {
    for round in 0..RACE_ROUNDS {
        let target = name(&format!("race/{round}"));
        let start = Barrier::new(RACE_THREADS);
        let winners: Vec<Bytes> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..RACE_THREADS)
                .map(|thread| {
                    let (target, start) = (&target, &start);
                    scope.spawn(move || {
                        let body = Bytes::from(vec![thread as u8; 1000]);
                        start.wait();
                        let put = place.put(target, body.clone(), &PutOptions::default());
                        let won = put.expect("a racing put is answered") == Put::Created;
                        let seen = place.get(target, None).expect("what exists can be read");
                        assert!(!won || seen == body, "the winner reads its own bytes");
                        won.then_some(body)
                    })
                })
                .collect();
            let ends = racers.into_iter().map(|racer| racer.join().expect("a racer ends"));
            ends.flatten().collect()
        });
        assert_eq!(winners.len(), 1, "exactly one put is answered Created");
        assert_eq!(get(place, target.as_str()), winners[0], "the winner's bytes stay");
    }
}

fn list_shows_exactly_what_is_there(place: &dyn Place) {
    let names = ["a/1", "a/2", "a/b/1", "b/1", "c"];
    for object in names {
        put(place, object, object.as_bytes(), Put::Created);
    }
    assert_eq!(list(place, "", None), names);
    assert_eq!(list(place, "a/", None), ["a/1", "a/2", "a/b/1"]);
    assert_eq!(list(place, "a/b/", None), ["a/b/1"]);
    assert_eq!(list(place, "a/", Some("a/1")), ["a/2", "a/b/1"], "start_after is not listed");
    assert_eq!(list(place, "", Some("a/b/0")), ["a/b/1", "b/1", "c"]);
    assert_eq!(list(place, "", Some("a/zz")), ["b/1", "c"], "start_after need not exist");
    assert!(list(place, "", Some("c")).is_empty());
    assert!(list(place, "a/", Some("b/0")).is_empty());
}

fn names_that_begin_alike_are_different(place: &dyn Place) {
    put(place, "a/b", b"short", Put::Created);
    put(place, "a/bc", b"long", Put::Created);
    put(place, "a/b-/c", b"deep", Put::Created);
    assert_eq!(get(place, "a/b"), "short");
    assert_eq!(get(place, "a/bc"), "long");
    assert_eq!(list(place, "a/", None), ["a/b", "a/b-/c", "a/bc"]);
    place.delete(&name("a/b")).expect("an object can be deleted");
    assert_eq!(get(place, "a/bc"), "long", "deleting one leaves the other");
    assert_eq!(list(place, "a/", None), ["a/b-/c", "a/bc"]);
}

fn a_deleted_name_is_free_again(place: &dyn Place) {
    put(place, "index/0", b"first", Put::Created);
    place.delete(&name("index/0")).expect("an object can be deleted");
    assert_eq!(stat(place, "index/0"), None);
    assert!(list(place, "", None).is_empty());
    put(place, "index/0", b"second", Put::Created);
    assert_eq!(get(place, "index/0"), "second");
}

fn abilities_are_claimed_as_they_are(place: &dyn Place) {
    let claimed = place.capabilities();
    assert_eq!(claimed.versions, place.versions().is_some(), "versions are reached if claimed");
    assert_eq!(claimed.object_lock, place.retention().is_some(), "so are locks");
    assert!(claimed.versions || !claimed.object_lock, "a lock holds a version");
    if !claimed.object_lock {
        let options = PutOptions { retain_until: Some(Time::EPOCH), ..PutOptions::default() };
        let refused = place.put(&name("a"), Bytes::new(), &options);
        let refused = refused.expect_err("a lock that cannot be kept is refused");
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert_eq!(stat(place, "a"), None, "a refused put leaves nothing");
    }
}

const LARGE_BYTES: u32 = 5 << 20;
const RACE_THREADS: usize = 8;
const RACE_ROUNDS: usize = 4;

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).expect("the suite's names are well formed")
}

fn put(place: &dyn Place, object: &str, body: &[u8], expected: Put) {
    let put = place.put(&name(object), Bytes::copy_from_slice(body), &PutOptions::default());
    assert_eq!(put.expect("a put is answered"), expected, "put {object}");
}

fn get(place: &dyn Place, object: &str) -> Bytes {
    place.get(&name(object), None).expect("an object that is there can be read")
}

fn stat(place: &dyn Place, object: &str) -> Option<u64> {
    let stat = place.stat(&name(object)).expect("stat is answered");
    stat.map(|stat| stat.size)
}

/// Names in byte order; sizes are compared with what stat tells.
fn list(place: &dyn Place, prefix: &str, start_after: Option<&str>) -> Vec<String> {
    let prefix = NamePrefix::parse(prefix).expect("the suite's prefixes are well formed");
    let start_after = start_after.map(name);
    let listing = place.list(&prefix, start_after.as_ref()).expect("a listing begins");
    let mut names = BTreeSet::new();
    for listed in listing {
        let listed = listed.expect("a listing goes on");
        assert_eq!(stat(place, listed.name.as_str()), Some(listed.size), "list and stat agree");
        assert!(names.insert(listed.name.to_string()), "{} is listed once", listed.name);
    }
    names.into_iter().collect()
}
