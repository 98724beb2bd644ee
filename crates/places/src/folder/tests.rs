//! A folder as others leave it: killed puts, foreign files, links that lead out, full disks.
//! Each test has a folder of its own; one starts this program again and kills it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::*;
use crate::conformance;
use tempfile::TempDir;

struct World {
    folder: TempDir,
    place: FolderPlace,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = FolderPlace::open(folder.path()).unwrap();
        Self { folder, place }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn put(&self, object: &str, body: &'static str) -> Result<Put> {
        self.place.put(&name(object), Bytes::from(body), &PutOptions::default())
    }

    fn listed(&self, prefix: &str) -> Vec<String> {
        let prefix = NamePrefix::parse(prefix).unwrap();
        let listing = self.place.list(&prefix, None).unwrap();
        let mut names: Vec<_> = listing.map(|listed| listed.unwrap().name.to_string()).collect();
        names.sort();
        names
    }

    fn dot_files(&self, below: &str) -> usize {
        let entries = fs::read_dir(self.path(below)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).count()
    }
}

fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

fn make_old(path: &Path, age: Duration) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_folder_keeps_the_contract() {
    let folders = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    conformance::run(|| {
        count.set(count.get() + 1);
        FolderPlace::create(folders.path().join(count.get().to_string()).join("vault")).unwrap()
    });
}

#[test]
fn a_folder_must_exist_to_be_opened_and_is_made_by_create() {
    let world = World::new();
    let error = FolderPlace::open(world.path("absent")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("absent"), "{error}");
    fs::write(world.path("file"), "").unwrap();
    for made in [FolderPlace::open(world.path("file")), FolderPlace::create(world.path("file/a"))] {
        assert_eq!(made.err().unwrap().kind(), ErrorKind::Invalid);
    }
    FolderPlace::create(world.path("a/b/c")).unwrap();
    FolderPlace::create(world.path("a/b/c")).unwrap();
    let mode = fs::metadata(world.path("a/b")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn objects_belong_to_their_owner_alone() {
    let world = World::new();
    assert_eq!(world.put("packs/00/11", "body"), Ok(Put::Created));
    let mode = |below| fs::metadata(world.path(below)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("packs"), mode("packs/00"), mode("packs/00/11")), (0o700, 0o700, 0o600));
}

#[test]
fn a_killed_put_leaves_no_object_and_its_rest_is_removed_a_day_later() {
    let world = World::new();
    fs::create_dir(world.path("ledger")).unwrap();
    let (old, young) = (world.path("ledger/.tmp-1-old"), world.path("ledger/.tmp-1-young"));
    fs::write(&old, "half a rec").unwrap();
    fs::write(&young, "half a rec").unwrap();
    make_old(&old, HOUR * 25);
    make_old(&young, HOUR * 23);
    fs::write(world.path("ledger/.hidden"), "foreign").unwrap();
    make_old(&world.path("ledger/.hidden"), HOUR * 1000);
    assert!(world.listed("").is_empty());

    assert_eq!(world.put("ledger/0", "record"), Ok(Put::Created));

    assert!(!old.exists(), "a day old: its process is gone");
    assert!(young.exists(), "it may still be written");
    assert!(world.path("ledger/.hidden").exists(), "foreign files are left alone");
    assert_eq!(world.listed(""), ["ledger/0"]);
}

#[test]
fn no_temporary_file_stays_behind() {
    let world = World::new();
    assert_eq!(world.put("ledger/0", "record"), Ok(Put::Created));
    assert_eq!(world.put("ledger/0", "record"), Ok(Put::Exists));
    fs::create_dir(world.path("ledger/1")).unwrap();
    assert_eq!(world.put("ledger/1", "record").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(world.dot_files("ledger"), 0);
}

#[test]
fn foreign_files_are_not_listed() {
    let world = World::new();
    assert_eq!(world.put("packs/00/11", "body"), Ok(Put::Created));
    for foreign in ["README.txt", "packs/.DS_Store", "packs/00/Upper", "packs/00/a b", ".hidden"] {
        fs::write(world.path(foreign), "foreign").unwrap();
    }
    fs::create_dir_all(world.path("lost+found/a")).unwrap();
    fs::create_dir_all(world.path(".git/objects")).unwrap();
    fs::write(world.path(".git/objects/00"), "foreign").unwrap();
    assert_eq!(world.listed(""), ["packs/00/11"]);
    assert_eq!(world.listed("packs/"), ["packs/00/11"]);
}

#[test]
fn links_never_lead_out_of_the_folder() {
    let (world, outside) = (World::new(), World::new());
    fs::write(outside.path("secret"), "outside").unwrap();
    symlink(outside.path("secret"), world.path("config")).unwrap();
    symlink(outside.folder.path(), world.path("keys")).unwrap();
    symlink(outside.path("dangling"), world.path("replica")).unwrap();

    for object in ["config", "keys/secret", "replica"] {
        let error = world.place.get(&name(object), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(world.put(object, "inside").unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(world.place.stat(&name(object)).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(world.place.delete(&name(object)).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(world.put("keys/new", "inside").unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(world.listed("").is_empty());
    let into = world.place.list(&NamePrefix::parse("keys/").unwrap(), None).unwrap().next();
    assert_eq!(into.unwrap().unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(fs::read(outside.path("secret")).unwrap(), b"outside");
    assert_eq!(outside.listed(""), ["secret"]);
}

#[test]
fn a_pipe_or_a_folder_under_an_objects_name_is_damage_and_does_not_hang() {
    let world = World::new();
    assert!(Command::new("mkfifo").arg(world.path("config")).status().unwrap().success());
    fs::create_dir(world.path("replica")).unwrap();
    fs::write(world.path("keys"), "").unwrap();
    for object in ["config", "replica", "keys/a"] {
        let error = world.place.get(&name(object), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(object), "{error}");
    }
    assert_eq!(world.listed(""), ["keys"]);
}

#[test]
fn an_object_larger_than_any_can_be_is_damage_and_takes_no_memory() {
    let world = World::new();
    let huge = File::create(world.path("config")).unwrap();
    huge.set_len(OBJECT_BYTES_MAX + 1).unwrap();
    let error = world.place.get(&name("config"), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("4294967297"), "{error}");
}

#[test]
fn a_disk_without_room_is_full_and_a_refused_put_is_not_retried() {
    let world = World::new();
    let kind = |errno| world.place.put_error(&name("ledger/0"), &Bytes::new(), errno).kind();
    for errno in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
        assert_eq!(kind(errno), ErrorKind::Full);
    }
    for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS] {
        assert_eq!(kind(errno), ErrorKind::Denied);
    }
    assert_eq!(kind(Errno::IO), ErrorKind::Unavailable);
}

#[test]
fn retention_is_refused_and_never_silently_dropped() {
    let world = World::new();
    let options = PutOptions { retain_until: Some(Time::EPOCH), ..PutOptions::default() };
    let error = world.place.put(&name("config"), Bytes::new(), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(world.listed("").is_empty());
}

#[test]
fn places_opened_apart_have_one_winner_together() {
    let world = World::new();
    let places: Vec<_> = (0..8).map(|_| FolderPlace::open(world.folder.path()).unwrap()).collect();
    let won = std::thread::scope(|scope| {
        let racers: Vec<_> = places
            .iter()
            .enumerate()
            .map(|(racer, place)| {
                scope.spawn(move || {
                    let body = Bytes::from(vec![racer as u8; 1 << 16]);
                    place.put(&name("streams/0/1/2"), body, &PutOptions::default()).unwrap()
                })
            })
            .collect();
        let ends = racers.into_iter().map(|racer| racer.join().unwrap());
        ends.filter(|put| *put == Put::Created).count()
    });
    assert_eq!(won, 1);
    assert_eq!(world.dot_files("streams/0/1"), 0);
}

#[test]
fn objects_that_vanish_during_a_walk_do_not_end_it() {
    let world = World::new();
    fs::create_dir(world.path("index")).unwrap();
    for index in 0..2000 {
        fs::write(world.path(&format!("index/{index}")), "").unwrap();
    }
    let mut listing = world.place.list(&NamePrefix::everything(), None).unwrap();
    listing.next().unwrap().unwrap();
    fs::remove_dir_all(world.path("index")).unwrap();
    assert!(listing.all(|listed| listed.is_ok()));
}

#[test]
fn a_process_that_is_killed_while_it_puts_leaves_whole_objects_only() {
    const BODY_BYTES: usize = 256 << 10;
    if let Ok(folder) = std::env::var("PLACES_TEST_PUT_UNTIL_KILLED") {
        let place = FolderPlace::open(folder).unwrap();
        for index in 0..1000 {
            let body = Bytes::from(vec![7; BODY_BYTES]);
            let _ = place.put(&name(&format!("a/{index}")), body, &PutOptions::default()).unwrap();
        }
        return;
    }
    let world = World::new();
    let this = "folder::tests::a_process_that_is_killed_while_it_puts_leaves_whole_objects_only";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this])
        .env("PLACES_TEST_PUT_UNTIL_KILLED", world.folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while world.listed("").len() < 3 {
        assert!(child.try_wait().unwrap().is_none(), "the process puts until it is killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    for listed in world.place.list(&NamePrefix::everything(), None).unwrap() {
        let name = listed.unwrap().name;
        assert_eq!(world.place.get(&name, None).unwrap(), vec![7; BODY_BYTES]);
    }
}
