//! Every command of the program, killed right after one of its changes to files, for each of its
//! changes in turn; and the same with the power cut: what it did and had not synced is gone,
//! be it content or names.
//!
//! The real program runs under a tracer that counts system calls, so nothing in it knows of the
//! test, and no file is forgotten: records and packs in the folder, state, cache, locks, key files,
//! what a restore writes. Afterwards every snapshot is whole, as a new machine sees it, and the
//! same host brings the command to its end. A new command is one value and one line here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use places::{FolderPlace, SystemClock};
use strongroom::*;
use testkit::stopper::{self, Remains};

use crate::base::{Contents, Silent, read};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom");

/// A command that makes more changes is stopped after every second of them, every third and so on:
/// an `init` or a host's first backup makes hundreds alike when it probes the place.
const STOPS_MAX: u64 = 150;

/// A folder with a vault and all that belongs to it, as a command finds it, and a copy of it in
/// which the command is stopped.
struct Lab {
    folder: tempfile::TempDir,
    /// What the snapshots hold that must be there, however a command ends.
    kept: BTreeMap<SessionId, Contents>,
    snapshots: Vec<SessionId>,
}

/// A command of the program.
struct Scene {
    /// What it finds beside four snapshots.
    ready: fn(&mut Lab),
    arguments: fn(&Lab) -> Vec<String>,
    /// Brings the command to its end, after it was stopped.
    again: fn(&Lab, &[&str], &str),
    /// What is true when it has ended well.
    done: fn(&Lab),
    finds: Finds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finds {
    /// No vault.
    Nothing,
    Whole,
    /// Harmed, until the command has ended.
    Harmed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aftermath {
    Killed,
    PowerCut,
}

impl Lab {
    fn new() -> Self {
        let folder = testkit::small_folder().unwrap();
        let mut lab = Self { folder, kept: BTreeMap::new(), snapshots: Vec::new() };
        std::fs::create_dir_all(lab.at("source")).unwrap();
        lab.well(&["init", "--pack-size", "4MiB"]);
        let mut forest = testkit::Forest::new(11);
        for file in ["one", "two", "three", "junk"] {
            std::fs::write(lab.at("source").join(file), forest.noise(5000)).unwrap();
            let report = lab.well(&["backup", &lab.text("source"), "--json"]);
            let id = report.split("\"snapshot\":\"").nth(1).unwrap().split('"').next().unwrap();
            lab.snapshots.push(id.parse().unwrap());
        }
        let mut vault = lab.open("vault", "key");
        lab.kept = lab.snapshots.iter().map(|id| (*id, read(&mut vault, *id))).collect();
        lab
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join("lab").join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// The newest snapshot's id.
    fn newest(&self) -> String {
        self.snapshots[3].to_string()
    }

    fn equip(&self, command: &mut Command, arguments: &[&str]) {
        command.args(arguments).env_clear().env("STRONGROOM_VAULT", self.at("vault"));
        command.env("STRONGROOM_KEY", self.at("key"));
        command.args(["--cache-dir", &self.text("cache"), "--state-dir", &self.text("state")]);
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        self.equip(&mut command, arguments);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs what must end well; gives what it printed.
    #[track_caller]
    fn well(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A vault as a machine opens it that has its key and nothing else.
    fn open(&self, vault: &str, key: &str) -> Vault {
        let bundle = Bundle::from_key_file(&std::fs::read_to_string(self.at(key)).unwrap());
        let components = Components {
            place: Arc::new(FolderPlace::open(self.at(vault)).unwrap()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
        };
        let keyring = Keyring::from_bundle(bundle.unwrap());
        Vault::open(components, &Folders::default(), keyring, "a new machine").unwrap()
    }

    /// Every snapshot that must be there is whole, and verifies.
    fn check(&self, what: &str) {
        let mut vault = self.open("vault", "key");
        for (id, contents) in &self.kept {
            assert!(read(&mut vault, *id) == *contents, "{what}: {id} holds something else");
        }
        let options = VerifyOptions {
            reading: vault::Reading::Structure,
            reporting: vault::Reporting::Never,
        };
        let found = vault.verify(&options, &Silent, &false.into()).unwrap();
        assert!(found.damage.is_empty(), "{what}: {:?}", found.damage);
        let alarms = vault.ledger().standing().alarms.clone();
        let grave = alarms.iter().find(|alarm| !matches!(alarm, Alarm::HeadForgotten { .. }));
        assert!(grave.is_none(), "{what}: {grave:?}");
    }

    /// Keeps what the command finds, so that [`Self::reset`] brings it back.
    fn keep(&self) {
        copy(&self.folder.path().join("lab"), &self.folder.path().join("kept"));
    }

    fn reset(&self) {
        std::fs::remove_dir_all(self.folder.path().join("lab")).unwrap();
        copy(&self.folder.path().join("kept"), &self.folder.path().join("lab"));
    }
}

fn stop_after_every_change(scene: &Scene) {
    let mut lab = Lab::new();
    (scene.ready)(&mut lab);
    lab.keep();
    let mut unsynced = 0;
    let never = stop_and_go_on(&lab, scene, 0, Aftermath::Killed, &mut unsynced);
    assert!(never.changes > 5, "a command makes more changes than {}", never.changes);
    let stride = never.changes.div_ceil(STOPS_MAX);
    for change in (1..).step_by(stride as usize) {
        lab.reset();
        let ended = !stop_and_go_on(&lab, scene, change, Aftermath::Killed, &mut unsynced).stopped;
        lab.reset();
        stop_and_go_on(&lab, scene, change, Aftermath::PowerCut, &mut unsynced);
        if ended {
            break;
        }
    }
    println!("{} changes, each {stride}th; {unsynced} with something unsynced", never.changes);
}

/// Stops the command after so many changes, 0 never, and brings it to its end.
fn stop_and_go_on(
    lab: &Lab,
    scene: &Scene,
    change: u64,
    aftermath: Aftermath,
    unsynced: &mut u64,
) -> stopper::Run {
    let typed = (scene.arguments)(lab);
    let typed: Vec<_> = typed.iter().map(String::as_str).collect();
    let what = format!("{}, {aftermath:?} after change {change}", typed[0]);
    let mut command = stopper::held(PROGRAM);
    lab.equip(&mut command, &typed);

    let run = stopper::run(&mut command, change, &lab.folder.path().join("lab"));
    let run = run.expect("this test needs ptrace");

    let stopped = run.stopped;
    assert!(stopped || run.code == Some(0), "{what}: {}", run.stderr);
    if aftermath == Aftermath::PowerCut {
        let remains = [Remains::Name, Remains::Length, Remains::Nothing][change as usize % 3];
        // What a command did that ended well is there, names and all.
        let remains = if stopped { remains } else { Remains::Nothing };
        if run.cut_power(remains).unwrap() == 0 {
            // The same as after a kill.
            return run;
        }
        *unsynced += 1;
    }
    if scene.finds == Finds::Whole {
        lab.check(&what);
    }
    if stopped {
        (scene.again)(lab, &typed, &what);
    }
    (scene.done)(lab);
    lab.check(&what);
    run
}

/// Runs the command once more.
fn once_more(lab: &Lab, typed: &[&str], what: &str) {
    let again = lab.run(typed);
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(0), "{what}, again: {stderr}");
}

/// Runs the command once more; where it says that all was done, or finds a key file that was never
/// finished, it is right.
fn unless_done(lab: &Lab, typed: &[&str], what: &str, is_done: fn(&Lab) -> bool) {
    let again = lab.run(typed);
    let stderr = String::from_utf8_lossy(&again.stderr);
    let refused = stderr.contains("hint:") && is_done(lab);
    assert!(again.status.success() || refused, "{what}, again: {stderr}");
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The standing of the first snapshot, as a new machine sees it.
fn first(lab: &Lab) -> Snapshot {
    lab.open("vault", "key").snapshot(lab.snapshots[0]).unwrap()
}

const BACKUP: Scene = Scene {
    ready: |lab| {
        let noise = testkit::Forest::new(4).noise(300_000);
        std::fs::write(lab.at("source/four"), noise).unwrap();
    },
    arguments: |lab| vec!["backup".into(), lab.text("source")],
    again: once_more,
    done: |lab| {
        let mut vault = lab.open("vault", "key");
        let newest = vault.snapshots().unwrap().last().unwrap().id;
        assert_eq!(read(&mut vault, newest).len(), 5);
    },
    finds: Finds::Whole,
};

/// By a host that has neither state nor cache yet.
const FIRST_BACKUP: Scene = Scene {
    ready: |lab| {
        (BACKUP.ready)(lab);
        for home in ["cache", "state"] {
            std::fs::remove_dir_all(lab.at(home)).unwrap();
        }
    },
    ..BACKUP
};

const INIT: Scene = Scene {
    ready: |lab| {
        for folder in ["vault", "cache", "state"] {
            std::fs::remove_dir_all(lab.at(folder)).unwrap();
        }
        std::fs::remove_file(lab.at("key")).unwrap();
        lab.kept.clear();
    },
    arguments: |_| words("init"),
    again: |lab, typed, what| {
        let again = lab.run(typed);
        if !again.status.success() && !lab.at("vault/config").exists() {
            // A key that no vault was made for yet: it is never overwritten.
            assert!(String::from_utf8_lossy(&again.stderr).contains("hint:"), "{what}");
            std::fs::remove_file(lab.at("key")).unwrap();
            once_more(lab, typed, what);
        }
    },
    done: |lab| assert!(lab.well(&["snapshots"]).contains("no snapshots")),
    finds: Finds::Nothing,
};

const FORGET: Scene = Scene {
    arguments: |lab| vec!["forget".into(), lab.snapshots[0].to_string()],
    ready: |_| {},
    done: |lab| assert_eq!(first(lab).standing, SnapshotStanding::Trashed),
    again: |lab, typed, what| {
        unless_done(lab, typed, what, |lab| first(lab).standing == SnapshotStanding::Trashed);
    },
    ..BACKUP
};

const UNDO: Scene = Scene {
    ready: |lab| drop(lab.well(&["forget", &lab.snapshots[0].to_string()])),
    arguments: |lab| words(&format!("forget --undo {}", lab.snapshots[0])),
    done: |lab| assert_eq!(first(lab).standing, SnapshotStanding::Live),
    again: |lab, typed, what| {
        unless_done(lab, typed, what, |lab| first(lab).standing == SnapshotStanding::Live);
    },
    ..BACKUP
};

const HOLD: Scene = Scene {
    ready: |_| {},
    arguments: |lab| vec!["hold".into(), lab.snapshots[0].to_string()],
    done: |lab| assert!(first(lab).held),
    ..BACKUP
};

const RELEASE: Scene = Scene {
    ready: |lab| drop(lab.well(&["hold", &lab.snapshots[0].to_string()])),
    arguments: |lab| vec!["release".into(), lab.snapshots[0].to_string()],
    done: |lab| assert!(!first(lab).held),
    ..BACKUP
};

const TAG: Scene = Scene {
    ready: |_| {},
    arguments: |lab| words(&format!("tag --add kept {}", lab.snapshots[0])),
    done: |lab| assert_eq!(first(lab).tags, ["kept"]),
    ..BACKUP
};

const COLLECT: Scene = Scene {
    ready: |lab| {
        let junk = lab.snapshots[3];
        lab.well(&["forget", &junk.to_string()]);
        lab.kept.remove(&junk);
    },
    arguments: |_| words("collect --trash-days 0 --reader-grace 0"),
    done: |lab| {
        let vault = lab.open("vault", "key");
        assert_eq!(vault.ledger().state().suspicions().count(), 0);
        assert!(
            vault
                .ledger()
                .state()
                .snapshot(lab.snapshots[3])
                .is_none_or(|snapshot| { snapshot.standing == SnapshotStanding::Purged })
        );
    },
    ..BACKUP
};

/// Of two large files that one pack holds, one is needed no more.
const COMPACT: Scene = Scene {
    ready: |lab| {
        let mut forest = testkit::Forest::new(5);
        let source = lab.at("source");
        for file in ["large", "dead"] {
            std::fs::write(source.join(file), forest.noise(400_000)).unwrap();
        }
        lab.well(&["backup", &lab.text("source"), "--name", "both"]);
        std::fs::remove_file(source.join("dead")).unwrap();
        lab.well(&["backup", &lab.text("source"), "--name", "one"]);
        let mut vault = lab.open("vault", "key");
        let [.., both, one] = &vault.snapshots().unwrap()[..] else { panic!("two were made") };
        let (both, one) = (both.id, one.id);
        lab.kept.insert(one, read(&mut vault, one));
        lab.well(&["forget", &both.to_string()]);
    },
    arguments: |_| words("collect --compact --trash-days 0 --reader-grace 0"),
    done: |lab| assert_eq!(lab.open("vault", "key").ledger().state().suspicions().count(), 0),
    ..BACKUP
};

const COVERAGE: Scene = Scene {
    ready: |_| {},
    arguments: |_| words("verify --coverage 30d"),
    done: |lab| assert!(lab.well(&["verify", "--coverage", "30d"]).contains("no damage")),
    ..BACKUP
};

const REPAIR: Scene = Scene {
    ready: |lab| {
        let run = std::fs::read_dir(lab.at("vault/index")).unwrap().next().unwrap().unwrap();
        std::fs::remove_file(run.path()).unwrap();
        let mut config = std::fs::read(lab.at("vault/config")).unwrap();
        config[40] ^= 1;
        std::fs::write(lab.at("vault/config"), config).unwrap();
    },
    arguments: |_| words("repair"),
    done: |lab| drop(lab.well(&["verify"])),
    finds: Finds::Harmed,
    ..BACKUP
};

/// The record is deleted that this host has in its cache, and that cache is lost too.
const MEND: Scene = Scene {
    ready: |lab| {
        let id = lab.snapshots[0].to_string();
        lab.well(&["hold", &id]);
        lab.well(&["release", &id]);
        let mut records: Vec<_> = std::fs::read_dir(lab.at("vault/ledger"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        records.sort();
        std::fs::remove_file(&records[records.len() - 2]).unwrap();
        std::fs::remove_dir_all(lab.at("cache")).unwrap();
    },
    arguments: |_| words("ledger mend"),
    again: |lab, typed, what| {
        unless_done(lab, typed, what, |lab| lab.run(&["ledger", "verify"]).status.success());
    },
    done: |lab| drop(lab.well(&["ledger", "verify"])),
    finds: Finds::Harmed,
};

const RESTORE: Scene = Scene {
    ready: |_| {},
    arguments: |lab| {
        let what = format!("{}:{}", lab.newest(), lab.text("source"));
        vec!["restore".into(), what, "--to".into(), lab.text("target")]
    },
    // One that was all but over finds its target full.
    again: |lab, typed, what| unless_done(lab, typed, what, is_restored),
    done: |lab| assert!(is_restored(lab)),
    finds: Finds::Whole,
};

/// Over a folder that holds other things.
const RESTORE_OVER: Scene = Scene {
    ready: |lab| {
        let target = lab.at("target");
        std::fs::create_dir(&target).unwrap();
        for (name, length) in [("one", 5000), ("two", 40), ("other", 3000)] {
            std::fs::write(target.join(name), testkit::Forest::new(9).noise(length)).unwrap();
        }
    },
    arguments: |lab| {
        let more = words("--overwrite always --delete");
        (RESTORE.arguments)(lab).into_iter().chain(more).collect()
    },
    again: once_more,
    ..RESTORE
};

const COPY: Scene = Scene {
    ready: |lab| {
        let (other, key) = (lab.text("other"), lab.text("other-key"));
        lab.well(&["init", "--vault", &other, "--key", &key]);
    },
    arguments: |lab| {
        let mut typed = words("copy --latest 2 --vault");
        typed.extend([lab.text("other"), "--key".into(), lab.text("other-key")]);
        typed.extend(["--from".into(), lab.text("vault"), "--from-key".into(), lab.text("key")]);
        typed
    },
    done: |lab| {
        let mut other = lab.open("other", "other-key");
        let copies: Vec<_> = other.snapshots().unwrap().iter().map(|copy| copy.id).collect();
        let copies: Vec<_> = copies.into_iter().map(|id| read(&mut other, id)).collect();
        let originals: Vec<_> = lab.snapshots[2..].iter().map(|id| lab.kept[id].clone()).collect();
        assert!(copies == originals, "{} copies", copies.len());
    },
    ..BACKUP
};

const KEY_EXPORT: Scene = Scene {
    ready: |_| {},
    arguments: |lab| {
        let mut typed = words("key export --role reader --label clerk --output");
        typed.push(lab.text("clerk-key"));
        typed
    },
    // A key file is never overwritten, and one that was begun is of no use to anybody.
    again: |lab, typed, what| {
        let _ = std::fs::remove_file(lab.at("clerk-key"));
        once_more(lab, typed, what);
    },
    done: |lab| {
        let key = lab.text("clerk-key");
        lab.well(&["snapshots", "--key", &key]);
    },
    ..BACKUP
};

fn is_restored(lab: &Lab) -> bool {
    let names: Vec<_> = std::fs::read_dir(lab.at("target")).into_iter().flatten().collect();
    names.len() == 4
        && lab.kept[&lab.snapshots[3]].iter().all(|(path, content)| {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            std::fs::read(lab.at("target").join(name)).is_ok_and(|bytes| bytes == *content)
        })
}

macro_rules! each_scene {
    ($($test:ident: $scene:ident),+ $(,)?) => {$(
        #[test]
        fn $test() {
            stop_after_every_change(&$scene);
        }
    )+};
}

each_scene! {
    an_init_stopped_after_any_change_to_files_is_finished_by_the_next: INIT,
    a_backup_stopped_after_any_change_to_files_is_finished_by_the_next: BACKUP,
    a_hosts_first_backup_stopped_after_any_change_to_files_is_finished_by_the_next: FIRST_BACKUP,
    a_forget_stopped_after_any_change_to_files_is_finished_by_the_next: FORGET,
    an_undo_stopped_after_any_change_to_files_is_finished_by_the_next: UNDO,
    a_hold_stopped_after_any_change_to_files_is_finished_by_the_next: HOLD,
    a_release_stopped_after_any_change_to_files_is_finished_by_the_next: RELEASE,
    a_tag_stopped_after_any_change_to_files_is_finished_by_the_next: TAG,
    a_collection_stopped_after_any_change_to_files_is_finished_by_the_next: COLLECT,
    a_compaction_stopped_after_any_change_to_files_is_finished_by_the_next: COMPACT,
    a_verification_stopped_after_any_change_to_files_goes_on: COVERAGE,
    a_repair_stopped_after_any_change_to_files_is_finished_by_the_next: REPAIR,
    a_mend_stopped_after_any_change_to_files_is_finished_by_the_next: MEND,
    a_restore_stopped_after_any_change_to_files_is_finished_by_the_next: RESTORE,
    a_restore_over_other_files_stopped_after_any_change_is_finished_by_the_next: RESTORE_OVER,
    a_copy_stopped_after_any_change_to_files_is_finished_by_the_next: COPY,
    a_key_export_stopped_after_any_change_to_files_is_done_by_the_next: KEY_EXPORT,
}

/// Copies a tree with its modes.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
