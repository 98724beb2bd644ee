//! Snapshots into the trash and back, held, released and tagged, by whom it is for.
//!
//! Place and hosts go by one clock that only the tests move, except where a host's is false.

use std::time::Duration;

use crypto::SessionId;
use places::Clock;

use super::*;
use crate::retention::DAY;

/// Commits a snapshot of the source `name` that began now by the vault's clock.
fn make(vault: &mut Vault, name: &str, tags: &[&str]) -> SessionId {
    let start = vault.components().clock.now();
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let (_, root) = store(&writer, &[name.as_bytes()]);
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let draft = SnapshotDraft { name: name.into(), tags, start, ..draft(root) };
    match writer.commit(draft).unwrap() {
        CommitOutcome::Committed(committed) => committed.snapshot,
        other => panic!("the commit ended as {other:?}"),
    }
}

/// One snapshot a day, a minute later each day.
fn make_days(world: &World, vault: &mut Vault, name: &str, days: usize) -> Vec<SessionId> {
    let day = |_| {
        world.clock.advance(DAY + Duration::from_secs(60));
        make(vault, name, &[])
    };
    (0..days).map(day).collect()
}

fn forgotten(planned: &[Planned]) -> Vec<SessionId> {
    let forgets = planned.iter().filter(|planned| planned.verdict == Verdict::Forget);
    forgets.map(|planned| planned.snapshot.id).collect()
}

fn keep_last(last: u32) -> Retention {
    Retention { last, ..Retention::default() }
}

/// The vault as a member of this role sees it.
fn open_as(world: &World, owner: &mut Vault, role: Role, label: &str) -> Vault {
    let bundle = owner.issue_bundle(role, DomainChoice::Default, label).unwrap();
    world.open_with(Arc::new(world.place.clone()), label, bundle)
}

fn refused<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("it is refused").kind()
}

#[test]
fn what_a_policy_forgets_comes_back_from_the_trash() {
    let world = World::new(70);
    let mut vault = world.open();
    let days = make_days(&world, &mut vault, "web", 5);

    let planned = vault.plan_forget(&keep_last(2), |_| true).unwrap();
    assert_eq!(forgotten(&planned), days[..3]);
    assert_eq!(vault.snapshots().unwrap().iter().filter(|s| s.forgotten.is_some()).count(), 0);
    assert_eq!(vault.forget(&days[..3]).unwrap().len(), 3);
    assert_eq!(vault.forget(&days[..3]).unwrap(), [], "they lie in the trash already");

    let now = world.clock.now();
    world.clock.advance(DAY);
    let mut other = world.open_at(Arc::new(world.place.clone()), "other");
    let listed = other.snapshots().unwrap();
    assert_eq!(listed.len(), 5);
    assert_eq!(listed[0].forgotten.unwrap().at, Some(now));
    assert_eq!(listed[3].forgotten, None);
    let mut undone = other.undo_forget(&[days[0], days[1], days[4]]).unwrap();
    undone.sort_by_key(|id| days.iter().position(|day| day == id));
    assert_eq!(undone, days[..2]);
    assert_eq!(other.snapshot(days[0]).unwrap().standing, SnapshotStanding::Live);
    assert_eq!(refused(other.forget(&[SessionId::from_bytes([7; 16])])), ErrorKind::NotFound);
}

#[test]
fn what_is_held_is_not_forgotten_until_the_owner_releases_it() {
    let world = World::new(71);
    let mut owner = world.open();
    let days = make_days(&world, &mut owner, "web", 4);
    let mut reader = open_as(&world, &mut owner, Role::Reader, "reader");

    assert_eq!(reader.hold(&[days[0]]).unwrap(), [days[0]]);
    assert_eq!(reader.hold(&[days[0]]).unwrap(), [], "it is held already");
    assert_eq!(refused(reader.release(&[days[0]])), ErrorKind::Denied);
    assert_eq!(refused(reader.forget(&[days[1]])), ErrorKind::Denied);

    owner.refresh().unwrap();
    assert_eq!(refused(owner.forget(&[days[1], days[0]])), ErrorKind::Conflict);
    let planned = owner.plan_forget(&keep_last(1), |_| true).unwrap();
    assert_eq!(planned[0].verdict, Verdict::Keep(vec![KeepReason::Held]));
    assert_eq!(forgotten(&planned), [days[1]], "day 2 is the floor, and day 3 the newest");
    assert_eq!(owner.release(&days).unwrap(), [days[0]]);
    assert_eq!(owner.forget(&[days[0]]).unwrap(), [days[0]]);
    reader.refresh().unwrap();
    assert_eq!(reader.undo_forget(&[days[0]]).unwrap(), [days[0]]);
}

#[test]
fn a_collector_forgets_by_policy_and_does_nothing_else() {
    let world = World::new(72);
    let mut owner = world.open();
    let days = make_days(&world, &mut owner, "web", 4);
    let mut collector = open_as(&world, &mut owner, Role::Collector, "collector");

    let planned = collector.plan_forget(&keep_last(1), |_| true).unwrap();
    let ids = forgotten(&planned);
    assert_eq!(ids, days[..2]);
    assert_eq!(collector.forget(&ids).unwrap().len(), 2);
    assert_eq!(refused(collector.undo_forget(&ids)), ErrorKind::Denied);
    assert_eq!(refused(collector.hold(&[days[3]])), ErrorKind::Denied);
    let edit = TagEdit { add: vec!["mine".into()], ..TagEdit::default() };
    assert_eq!(refused(collector.tag(days[3], &edit)), ErrorKind::Denied);

    let mut writer = open_as(&world, &mut owner, Role::Writer, "writer");
    assert_eq!(refused(writer.forget(&[days[3]])), ErrorKind::Denied);
}

#[test]
fn tags_are_set_added_and_removed() {
    let world = World::new(73);
    let mut vault = world.open();
    let id = make(&mut vault, "web", &["nightly", "draft"]);
    let tags = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let edit = |set: Option<&[&str]>, add: &[&str], remove: &[&str]| TagEdit {
        set: set.map(tags),
        add: tags(add),
        remove: tags(remove),
    };

    let changed = vault.tag(id, &edit(None, &["good", "good"], &["draft", "none"])).unwrap();
    assert_eq!(changed, ["good", "nightly"]);
    let records = vault.ledger().state().head().seq;
    vault.tag(id, &edit(None, &["good"], &[])).unwrap();
    assert_eq!(vault.ledger().state().head().seq, records, "nothing changed, nothing is said");
    assert_eq!(vault.tag(id, &edit(Some(&["b", "a"]), &[], &[])).unwrap(), ["a", "b"]);
    let mut other = world.open_at(Arc::new(world.place.clone()), "other");
    assert_eq!(other.snapshot(id).unwrap().tags, ["a", "b"]);
    assert_eq!(other.tag(id, &edit(Some(&[]), &[], &[])).unwrap(), tags(&[]));
    assert_eq!(other.snapshots().unwrap()[0].tags, tags(&[]));

    for wrong in ["", "a:b", "a\nb"] {
        assert_eq!(refused(other.tag(id, &edit(None, &[wrong], &[]))), ErrorKind::Invalid);
    }
    let many: Vec<_> = (0..257).map(|n| n.to_string()).collect();
    let edit = TagEdit { set: Some(many), ..TagEdit::default() };
    assert!(matches!(other.tag(id, &edit), Err(Error::OutOfLimits { value: 257, .. })));
}

#[test]
fn snapshots_under_the_name_of_another_push_none_of_its_own_out() {
    let world = World::new(74);
    let mut owner = world.open();
    let mut web = open_as(&world, &mut owner, Role::Writer, "web");
    let days = make_days(&world, &mut web, "web", 3);
    let mut thief = open_as(&world, &mut owner, Role::Writer, "thief");
    let junk: Vec<_> = (0..6).map(|_| make(&mut thief, "web", &[])).collect();
    let by_owner = make(&mut owner, "web", &[]);

    let planned = owner.plan_forget(&keep_last(4), |_| true).unwrap();
    assert_eq!(forgotten(&planned), junk[..2]);
    let source = |id| planned.iter().find(|p| p.snapshot.id == id).unwrap().source.clone();
    assert_eq!(source(by_owner), source(days[0]), "an owner may use any name");
    assert_ne!(source(junk[0]), source(days[0]));
}

#[test]
fn a_host_with_a_false_clock_is_left_alone_and_pushes_nothing_out() {
    let world = World::new(75);
    let mut vault = world.open();
    let days = make_days(&world, &mut vault, "web", 3);
    for ahead in [-900, 900] {
        let now = world.clock.now().as_millis() + ahead * DAY.as_millis() as i64;
        let clock = Arc::new(ManualClock::new(Time::from_millis(now)));
        let mut components = world.components(Arc::new(world.place.clone()));
        components.clock = clock;
        let bundle = Bundle::decode(&world.bundle.encode()).unwrap();
        let folders = folders_in(&world.folder, "astray");
        let keyring = Keyring::from_bundle(bundle);
        let mut astray = Vault::open(components, &folders, keyring, "astray").unwrap();
        for _ in 0..3 {
            world.clock.advance(Duration::from_secs(60));
            make(&mut astray, "web", &[]);
        }
    }
    let planned = vault.plan_forget(&keep_last(3), |_| true).unwrap();
    assert_eq!(forgotten(&planned), []);
    for planned in &planned {
        let counted = matches!(planned.verdict, Verdict::Keep(_));
        assert_eq!(counted, days.contains(&planned.snapshot.id), "{:?}", planned.verdict);
    }
}

#[test]
fn a_snapshot_with_an_old_start_was_imported_and_is_left_alone() {
    let world = World::new(76);
    let mut vault = world.open();
    make_days(&world, &mut vault, "web", 2);
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let (_, root) = store(&writer, &[b"old"]);
    let draft = SnapshotDraft { name: "web".into(), ..draft(root) };
    assert!(matches!(writer.commit(draft), Ok(CommitOutcome::Committed(_))));
    // A backup of three days began long before its commit, and is counted.
    let start = world.clock.now();
    let mut writer = vault.write(WriteOptions::default()).unwrap();
    let (_, root) = store(&writer, &[b"long"]);
    world.clock.advance(DAY * 3);
    let draft = SnapshotDraft { name: "web".into(), start, ..super::draft(root) };
    assert!(matches!(writer.commit(draft), Ok(CommitOutcome::Committed(_))));

    let planned = vault.plan_forget(&keep_last(1), |_| true).unwrap();
    let clock = |v: &Verdict| matches!(v, Verdict::LeftAlone(LeftAloneReason::Clock(_)));
    assert!(clock(&planned[2].verdict), "{:?}", planned[2].verdict);
    assert_eq!(planned[3].verdict, Verdict::Keep(vec![KeepReason::Last]));
}

#[test]
fn a_plan_asks_for_the_times_of_many_records_by_one_walk() {
    let world = World::new(77);
    let mut vault = world.open();
    make_days(&world, &mut vault, "web", 12);
    let recording = Arc::new(Recording::new(world.place.clone()));
    let mut vault = world.open_at(recording.clone(), "host");
    let asked = |verb: Verb| {
        let ledger = |subject: &str| subject.starts_with("ledger/");
        let log = recording.log().into_iter();
        log.filter(|call| call.verb == verb && ledger(&call.subject)).count()
    };
    let before = (asked(Verb::Stat), asked(Verb::List));
    vault.plan_forget(&keep_last(3), |_| true).unwrap();
    vault.plan_forget(&keep_last(3), |_| true).unwrap();
    assert_eq!((asked(Verb::Stat), asked(Verb::List)), (before.0, before.1 + 1));
}
