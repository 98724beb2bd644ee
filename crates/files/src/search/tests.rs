//! What is found, and that what snapshots share is looked at once.
//!
//! Every test has a vault in memory and a folder of its own.

use super::*;
use crate::testing::World;

fn query(patterns: &[&str]) -> Query {
    Query { patterns: patterns.iter().map(|p| (*p).to_owned()).collect(), ..Query::default() }
}

/// The paths below the source that are found in the newest snapshot.
fn found(world: &mut World, query: &Query) -> Vec<String> {
    let snapshot = world.latest();
    let reader = world.vault.reader().unwrap();
    let mut search = Search::new(&reader, query).unwrap();
    paths(world, &mut search, &snapshot)
}

fn paths(world: &World, search: &mut Search, snapshot: &Snapshot) -> Vec<String> {
    let mut found = Vec::new();
    let root = world.path("");
    search
        .search::<Error>(snapshot, &Cancel::new(), |listed| {
            if let Some(below) = listed.path.strip_prefix(&root[..]) {
                found.push(String::from_utf8_lossy(below).into_owned());
            }
            Ok(())
        })
        .unwrap();
    found
}

#[test]
fn names_and_paths_match_as_globs() {
    let mut world = World::new();
    for path in ["docs/plan.txt", "docs/old/Plan.TXT", "docs/\u{1}\u{2}odd", "plan.txt/within"] {
        world.write(path, path);
    }
    world.backup();
    for (pattern, expected) in [
        ("plan.txt", &["/plan.txt", "/docs/plan.txt"][..]),
        ("plan.txt/", &["/plan.txt"]),
        ("docs/*.txt", &["/docs/plan.txt"]),
        ("docs/**", &["/docs/plan.txt", "/docs/old", "/docs/\u{1}\u{2}odd", "/docs/old/Plan.TXT"]),
        ("\u{1}\u{2}odd", &["/docs/\u{1}\u{2}odd"]),
        ("/docs/*", &[]),
        ("nothing", &[]),
    ] {
        let mut found = found(&mut world, &query(&[pattern]));
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{pattern}");
    }
    let either = Query { case: Case::Either, ..query(&["plan.txt", "nothing"]) };
    assert_eq!(found(&mut world, &either).len(), 3);
    let path = String::from_utf8(world.path("docs/plan.*")).unwrap();
    assert_eq!(found(&mut world, &query(&[&path])), ["/docs/plan.txt"]);
}

#[test]
fn size_type_and_time_must_hold_too() {
    let mut world = World::new();
    for size in [0, 10, 20, 30] {
        world.write(&format!("file-{size}"), vec![b'x'; size]);
    }
    std::os::unix::fs::symlink("file-10", world.source().join("file-link")).unwrap();
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    std::fs::File::open(world.source().join("file-20")).unwrap().set_modified(old).unwrap();
    world.backup();
    let sized = |sizes: &[SizeBound]| Query { sizes: sizes.to_vec(), ..query(&["file-*"]) };
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    for (query, expected) in [
        (sized(&[SizeBound::Above(10)]), &["/file-20", "/file-30"][..]),
        (sized(&[SizeBound::Above(0), SizeBound::Below(20)]), &["/file-10"]),
        (sized(&[SizeBound::Exactly(0)]), &["/file-0"]),
        (Query { types: vec![EntryKind::Symlink], ..query(&["*"]) }, &["/file-link"]),
        (Query { before: time(1_000_001), ..query(&["file-*"]) }, &["/file-20"]),
        (Query { before: time(1_000_000), ..query(&["file-*"]) }, &[]),
        (
            Query { since: time(1_000_001), types: vec![EntryKind::File], ..query(&["file-*"]) },
            &["/file-0", "/file-10", "/file-30"],
        ),
    ] {
        assert_eq!(found(&mut world, &query), expected, "{query:?}");
    }
}

#[test]
fn what_snapshots_share_is_looked_at_once_and_found_in_each() {
    let mut world = World::new();
    for number in 0..400 {
        world.write(&format!("folder-{}/file-{number}", number % 20), number.to_string());
    }
    world.backup();
    world.write("folder-3/more-7", "7");
    world.backup();
    let snapshots = world.vault.snapshots().unwrap();
    let reader = world.vault.reader().unwrap();
    let mut search = Search::new(&reader, &query(&["*-7"])).unwrap();

    let first = paths(&world, &mut search, &snapshots[0]);
    let nodes = search.memory.len();
    let second = paths(&world, &mut search, &snapshots[1]);

    assert_eq!(first, ["/folder-7", "/folder-7/file-7"]);
    assert_eq!(second, ["/folder-7", "/folder-3/more-7", "/folder-7/file-7"]);
    let more = search.memory.len() - nodes;
    assert!(more < nodes && more <= 5, "{more} nodes beside {nodes} were looked at");
    assert_eq!(paths(&world, &mut search, &snapshots[0]), first);
    assert_eq!(search.memory.len(), nodes + more, "a tree that is known is not read");
}

#[test]
fn a_search_stops_on_request_and_names_a_bad_pattern() {
    let mut world = World::new();
    world.write("file", "");
    world.backup();
    let snapshot = world.latest();
    let reader = world.vault.reader().unwrap();
    let cancel = Cancel::new();
    cancel.raise();
    let mut search = Search::new(&reader, &query(&["*"])).unwrap();
    let stopped = search.search::<Error>(&snapshot, &cancel, |_| Ok(()));
    assert!(matches!(stopped, Err(Error::Cancelled)));
    for pattern in ["[", "", "/"] {
        let error = Search::new(&reader, &query(&[pattern])).err().unwrap();
        assert!(error.to_string().contains(&format!("{pattern:?}")), "{error}");
    }
}
