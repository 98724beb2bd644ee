//! Do the units for systemd and the line for cron run what they say, and may they do no more?
//!
//! The units are read as text, and their commands are run with the environment that systemd gives
//! them: no home folder, and the key in the folder of credentials. Where `systemd-analyze` is
//! installed, it judges the units too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::{PROGRAM, Ran, World};

const JOBS: [&str; 3] = ["backup", "collect", "verify"];

#[test]
fn the_units_back_up_collect_and_verify_by_a_profile() {
    let world = scheduled_world();
    for (job, key) in [("backup", "writer.key"), ("collect", "collector.key"), ("verify", "none")] {
        let unit = unit(&format!("strongroom-{job}@.service"));
        let wants_key = unit.contains_key("LoadCredential");
        assert_eq!(wants_key, job != "verify", "{job}");
        let credentials = world.path(&format!("credentials-{job}"));
        std::fs::create_dir_all(&credentials).unwrap();
        if wants_key {
            std::fs::copy(world.path(key), credentials.join("key")).unwrap();
        }
        for typed in &unit["ExecStart"] {
            let typed = typed.replace("%i", "nightly");
            let typed = typed.replace("${CREDENTIALS_DIRECTORY}", credentials.to_str().unwrap());
            let mut words = typed.split_whitespace();
            assert_eq!(words.next(), Some("/usr/local/bin/strongroom"));
            let mut program = Command::new(PROGRAM);
            world.prepare(&mut program);
            program.env_remove("HOME").env("STRONGROOM_CONFIG", "settings.toml").args(words);
            Ran::of(&mut program).expect(0);
        }
    }

    let snapshots = world.json(&["snapshots", "--tag", "nightly"]);
    assert_eq!(snapshots["snapshots"].as_array().unwrap().len(), 1, "{snapshots}");
}

#[test]
fn the_unit_that_replicates_follows_until_systemd_stops_it_and_holds_no_key() {
    let world = scheduled_world();
    let settings = std::fs::read_to_string(world.path("settings.toml")).unwrap();
    world.write(
        "settings.toml",
        &format!("{settings}[profile.nightly.replicate]\nto = [\"offsite\"]\nhold = \"30d\"\n"),
    );
    let unit = unit("strongroom-replicate@.service");
    assert!(!unit.contains_key("LoadCredential"));
    assert_eq!(unit["ReadWritePaths"], ["-/srv/offsite"]);
    assert_eq!(unit["CapabilityBoundingSet"], [""]);
    let typed = unit["ExecStart"][0].replace("%i", "nightly");
    let mut words = typed.split_whitespace();
    assert_eq!(words.next(), Some("/usr/local/bin/strongroom"));
    let mut program = Command::new(PROGRAM);
    world.prepare(&mut program);
    program.env_remove("HOME").env("STRONGROOM_CONFIG", "settings.toml").args(words);
    program.stdout(Stdio::piped()).stderr(Stdio::piped());

    let mut following = program.spawn().unwrap();
    let mut first = String::new();
    let out = following.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut first).unwrap();
    let id = following.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = following.wait().unwrap().code().unwrap();

    assert!(first.contains("offsite: copied"), "{first}");
    assert_eq!(unit["SuccessExitStatus"], [ended.to_string()]);
}

#[test]
fn the_line_for_cron_is_silent_when_all_is_well() {
    let world = scheduled_world();
    let table = std::fs::read_to_string(folder().join("cron.d-strongroom")).unwrap();
    let line = table.lines().find(|line| line.contains(" root ")).unwrap();
    let (_, typed) = line.split_once(" root ").unwrap();
    let typed = typed.replace("/etc/strongroom/nightly.key", "writer.key");

    let mut shell = Command::new("/bin/sh");
    world.prepare(&mut shell);
    shell.env("STRONGROOM_CONFIG", "settings.toml").arg("-c").arg(typed);
    let ran = Ran::of(&mut shell).expect(0);

    assert_eq!(ran.out, "");
}

#[test]
fn the_units_may_do_no_more_than_their_work() {
    for job in JOBS {
        let unit = unit(&format!("strongroom-{job}@.service"));
        let capabilities = if job == "backup" { "CAP_DAC_READ_SEARCH" } else { "" };
        for (key, value) in [
            ("ProtectSystem", "strict"),
            ("ProtectHome", "read-only"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", capabilities),
            ("ReadWritePaths", "-/srv/vault"),
            ("UMask", "0077"),
        ] {
            assert_eq!(unit.get(key).map(|values| &values[..]), Some(&[value.to_owned()][..]));
        }
        // A private /tmp would be backed up in place of the real one.
        assert!(!unit.contains_key("PrivateTmp"), "{job}");
        let timer = self::unit(&format!("strongroom-{job}@.timer"));
        assert_eq!(timer["Persistent"], ["yes"]);
        assert!(timer.contains_key("OnCalendar") && timer.contains_key("RandomizedDelaySec"));
    }
}

#[test]
fn installed_units_write_to_the_vault_that_was_named_and_systemd_takes_them() {
    let world = World::empty();
    let script = folder().join("../install-units");
    let mut install = Command::new(script);
    let installed = Ran::of(install.args(["nightly", "/mnt/100%"]).env("DESTDIR", world.path("")));
    assert!(installed.expect(0).out.contains("enable --now strongroom-backup@nightly.timer"));

    let units = world.path("etc/systemd/system");
    for job in JOBS {
        let folder = units.join(format!("strongroom-{job}@nightly.service.d"));
        let added = std::fs::read_to_string(folder.join("vault.conf")).unwrap();
        assert!(added.contains("ReadWritePaths=\"-/mnt/100%%\"\n"), "{added}");
        let service = units.join(format!("strongroom-{job}@.service"));
        let text = std::fs::read_to_string(&service).unwrap();
        // The program lies where it was built.
        std::fs::write(&service, text.replace("/usr/local/bin/strongroom", PROGRAM)).unwrap();
    }
    if let Some(said) = systemd_says(&units) {
        let about_ours = |line: &&str| line.contains("strongroom");
        let complaints: Vec<_> = said.lines().filter(about_ours).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

#[test]
fn units_are_not_installed_for_what_is_no_profile_or_no_folder() {
    for wrong in [&["a/b"][..], &["nightly", "vault"], &[], &["a b"]] {
        let script = folder().join("../install-units");
        let world = World::empty();
        Ran::of(Command::new(script).args(wrong).env("DESTDIR", world.path(""))).expect(2);
        assert!(!world.path("etc").exists());
    }
}

/// What `systemd-analyze verify` says of the units, where it is installed.
fn systemd_says(units: &Path) -> Option<String> {
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["verify", "--man=no", "--recursive-errors=no"]);
    for job in JOBS {
        analyze.arg(units.join(format!("strongroom-{job}@.service")));
        analyze.arg(units.join(format!("strongroom-{job}@.timer")));
    }
    let output = analyze.env("SYSTEMD_UNIT_PATH", format!("{}:", units.display())).output().ok()?;
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// A vault with keys for a writer and a collector, and the settings of the profile `nightly`.
fn scheduled_world() -> World {
    let world = World::with_vault();
    for role in ["writer", "collector"] {
        let key = format!("{role}.key");
        world.run(&["key", "export", "--role", role, "--label", role, "--output", &key]).expect(0);
    }
    let tree = world.text("tree");
    world.write(
        "settings.toml",
        &format!(
            "vault = \"vault\"\n[profile.nightly.backup]\npaths = [\"{tree}\"]\n\
             tag = \"nightly\"\n[profile.nightly.forget]\nkeep-daily = 7\n"
        ),
    );
    world
}

fn folder() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/systemd")).to_owned()
}

/// The keys of a unit's file, whatever their section.
fn unit(name: &str) -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    let mut keys = BTreeMap::<String, Vec<String>>::new();
    for line in text.lines().filter(|line| !line.starts_with(['#', '['])) {
        if let Some((key, value)) = line.split_once('=') {
            keys.entry(key.to_owned()).or_default().push(value.to_owned());
        }
    }
    keys
}
