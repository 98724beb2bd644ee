//! The contract of a place that locks objects until a time.
//!
//! Times are those of the place: the suite has no clock, and looks when an object was stored.

use std::time::Duration;

use bytes::Bytes;

use super::{get, name, put, stat};
use crate::abilities::{Retention, RetentionMode, Version, VersionContent};
use crate::error::ErrorKind;
use crate::name::ObjectName;
use crate::place::{Place, Put, PutOptions};
use crate::time::Time;

/// Services keep whole seconds.
const ROUNDING: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn run<P: Place>(make: impl Fn() -> P) {
    a_locked_object_is_not_deleted(&make());
    a_lock_can_be_extended_and_not_shortened(&make());
    a_lock_stays_with_what_is_hidden(&make());
    what_is_absent_has_no_lock(&make());
}

fn a_locked_object_is_not_deleted(place: &dyn Place) {
    put(place, "packs/00/free", b"free", Put::Created);
    let until = later(place, "packs/00/free", HOUR);
    assert_eq!(retained(place, "packs/00/free"), None);
    put_locked(place, "packs/00/a", until);
    assert_about(retained(place, "packs/00/a"), until);

    let error = place.delete(&name("packs/00/a")).expect_err("a locked object stays");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("packs/00/a"), "the error names the object: {error}");
    assert_eq!(get(place, "packs/00/a"), "locked");
    place.delete(&name("packs/00/free")).expect("what is not locked goes");
}

fn a_lock_can_be_extended_and_not_shortened(place: &dyn Place) {
    put(place, "ledger/0", b"record", Put::Created);
    let [first, second] = [HOUR, 2 * HOUR].map(|span| later(place, "ledger/0", span));
    let extend = |until| {
        let mode = RetentionMode::Governance;
        retention(place).extend_retention(&name("ledger/0"), None, until, mode)
    };
    extend(first).expect("an object without a lock gets one");
    assert_about(retained(place, "ledger/0"), first);
    extend(second).expect("a lock can be extended");
    assert_about(retained(place, "ledger/0"), second);
    // It may be refused or do nothing, but must not shorten.
    let _ = extend(first);
    assert_about(retained(place, "ledger/0"), second);
}

fn a_lock_stays_with_what_is_hidden(place: &dyn Place) {
    put(place, "config", b"any", Put::Created);
    let [until, later] = [HOUR, 2 * HOUR].map(|span| later(place, "config", span));
    put_locked(place, "index/0", until);
    let versions = place.versions().expect("a place with locks keeps versions");
    versions.hide(&name("index/0")).expect("no lock stands against hiding");
    assert_eq!(stat(place, "index/0"), None);
    put(place, "index/0", b"other", Put::Created);

    let found = versions.versions_of(&name("index/0")).expect("the versions are answered");
    let is_object = |version: &&Version| version.content != VersionContent::DeleteMarker;
    let oldest = found.iter().rfind(is_object).expect("the hidden version is there");
    let read = versions.get_version(&oldest.name, &oldest.id, None);
    assert_eq!(read.expect("it can be read"), "locked");
    let retained = || {
        let retained = retention(place).retained_until(&oldest.name, Some(&oldest.id));
        retained.expect("a version's lock is answered")
    };
    assert_about(retained(), until);
    let mode = RetentionMode::Governance;
    retention(place)
        .extend_retention(&oldest.name, Some(&oldest.id), later, mode)
        .expect("the lock of an older version can be extended");
    assert_about(retained(), later);
}

fn what_is_absent_has_no_lock(place: &dyn Place) {
    put(place, "config", b"any", Put::Created);
    let until = later(place, "config", HOUR);
    let absent: ObjectName = name("absent");
    let error = retention(place).retained_until(&absent, None).expect_err("absent");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let mode = RetentionMode::Governance;
    let error = retention(place).extend_retention(&absent, None, until, mode);
    assert_eq!(error.expect_err("absent").kind(), ErrorKind::NotFound);
}

fn retention(place: &dyn Place) -> &dyn Retention {
    place.retention().expect("a place that claims locks gives them")
}

fn retained(place: &dyn Place, object: &str) -> Option<Time> {
    retention(place).retained_until(&name(object), None).expect("a lock is answered")
}

fn later(place: &dyn Place, object: &str, span: Duration) -> Time {
    let stat = place.stat(&name(object)).expect("stat is answered");
    stat.expect("the object is there").stored_at.plus(span)
}

fn put_locked(place: &dyn Place, object: &str, until: Time) {
    let options =
        PutOptions { retain_until: Some(until), retention_mode: RetentionMode::Governance };
    let put = place.put(&name(object), Bytes::from_static(b"locked"), &options);
    assert_eq!(put.expect("a put with a lock is answered"), Put::Created);
}

fn assert_about(retained: Option<Time>, until: Time) {
    let retained = retained.expect("the object is locked");
    assert!(retained.since(until) <= ROUNDING && until.since(retained) <= ROUNDING);
}
