//! The contract of a place that keeps versions: nothing that a client does destroys one.
//!
//! What is hidden stays readable by its version, and a put under a hidden name has one winner as
//! under one that was never used. DESIGN.md §4.

use bytes::Bytes;

use super::{get, list, name, put, stat};
use crate::abilities::{Version, VersionContent, Versions};
use crate::error::ErrorKind;
use crate::name::NamePrefix;
use crate::place::{Place, Put};

pub(super) fn run<P: Place>(make: impl Fn() -> P) {
    what_is_hidden_stays_readable(&make());
    a_delete_destroys_nothing(&make());
    listings_hold_every_version(&make());
    what_never_was_has_no_version(&make());
}

fn what_is_hidden_stays_readable(place: &dyn Place) {
    put(place, "packs/00/a", b"first", Put::Created);
    versions(place).hide(&name("packs/00/a")).expect("an object can be hidden");
    assert_eq!(stat(place, "packs/00/a"), None, "what is hidden is absent");
    assert!(list(place, "", None).is_empty(), "and is not listed");
    put(place, "packs/00/a", b"other", Put::Created);
    assert_eq!(get(place, "packs/00/a"), "other");

    let found = versions_of(place, "packs/00/a");
    let is_marker = |version: &&Version| version.content == VersionContent::DeleteMarker;
    let (markers, objects): (Vec<_>, Vec<_>) = found.iter().partition(is_marker);
    let ([marker], [newest, oldest]) = (&markers[..], &objects[..]) else {
        panic!("two objects and a marker: {found:?}")
    };
    assert_eq!(found[0], **newest, "what is current comes first");
    assert_eq!(read(place, newest), "other");
    assert_eq!(read(place, oldest), "first", "versions come newest first");
    let part = versions(place).get_version(&oldest.name, &oldest.id, Some(1..3));
    assert_eq!(part.expect("a part of a version"), "ir");
    let error = versions(place).get_version(&marker.name, &marker.id, None);
    let error = error.expect_err("a delete marker has no bytes");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn a_delete_destroys_nothing(place: &dyn Place) {
    put(place, "index/0", b"content", Put::Created);
    place.delete(&name("index/0")).expect("an object can be deleted");
    assert_eq!(stat(place, "index/0"), None);
    let found = versions_of(place, "index/0");
    let oldest = found.last().expect("a deleted object has versions");
    assert_eq!(read(place, oldest), "content");
}

fn listings_hold_every_version(place: &dyn Place) {
    for object in ["a/1", "a/2", "b/1"] {
        put(place, object, b"first", Put::Created);
        versions(place).hide(&name(object)).expect("an object can be hidden");
    }
    put(place, "a/1", b"second", Put::Created);
    let listed = |prefix: &str| {
        let prefix = NamePrefix::parse(prefix).expect("the suite's prefixes are well formed");
        let listing = versions(place).list_versions(&prefix).expect("a listing begins");
        listing.map(|listed| listed.expect("a listing goes on")).collect::<Vec<_>>()
    };
    let mut together = listed("a/");
    // Names may come in any order, but those of one name together.
    let first = |name: &str| together.iter().position(|version| version.name.as_str() == name);
    let at = first("a/1").expect("a/1 is listed");
    together.rotate_left(at);
    let of_each = [versions_of(place, "a/1"), versions_of(place, "a/2")].concat();
    assert_eq!(together, of_each, "a listing and the versions of one name agree");
    assert_eq!(listed("").len(), 7);
}

fn what_never_was_has_no_version(place: &dyn Place) {
    assert!(versions_of(place, "absent").is_empty());
    versions(place).hide(&name("absent")).expect("hiding what is absent is fine");
    assert_eq!(stat(place, "absent"), None);
}

fn versions(place: &dyn Place) -> &dyn Versions {
    place.versions().expect("a place that claims versions gives them")
}

fn versions_of(place: &dyn Place, object: &str) -> Vec<Version> {
    versions(place).versions_of(&name(object)).expect("the versions of a name are answered")
}

fn read(place: &dyn Place, version: &Version) -> Bytes {
    let read = versions(place).get_version(&version.name, &version.id, None);
    read.expect("a version that is listed can be read")
}
