//! Each kind of object × each harm × each command.
//!
//! A host that knows the vault runs a command while one object is harmed. It ends well or in words;
//! what it gives is right. Then the object is put right again, and a new machine reads every
//! snapshot: so the command deleted nothing that is live, and took nothing wrong for true. A new
//! command is one function and one line here.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use places::{ObjectName, Place, PutOptions};
use strongroom::*;

use crate::past::{Past, collect};
use crate::world::{Silent, back_up, components};

/// What is wrong with an object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Harm {
    Flipped,
    Cut,
    Emptied,
    Removed,
    Swapped,
    Replayed,
}

pub(crate) const HARMS: [Harm; 6] =
    [Harm::Flipped, Harm::Cut, Harm::Emptied, Harm::Removed, Harm::Swapped, Harm::Replayed];

impl Harm {
    pub(crate) fn strike(self, past: &Past, name: &ObjectName) {
        let place = &past.world.place;
        match self {
            Self::Flipped => place.corrupt(name, |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 8;
            }),
            Self::Cut => place.corrupt(name, |bytes| bytes.truncate(bytes.len() * 2 / 3)),
            Self::Emptied => place.corrupt(name, Vec::clear),
            Self::Removed => place.delete(name).unwrap(),
            Self::Swapped => {
                let other = past.swapped(name);
                place.corrupt(name, |bytes| *bytes = other);
            }
            Self::Replayed => {
                let other = past.replayed(name);
                place.corrupt(name, |bytes| *bytes = other);
            }
        }
    }
}

/// A command, run by the host with this home; whether it said that something is wrong.
pub(crate) type Command = fn(&Past, home: &str) -> Result<Said>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    AllIsWell,
    SomethingIsWrong,
}

fn each_object_in_each_harm(seed: u64, command: Command, given_up: fn(&Past) -> Option<SessionId>) {
    let past = Past::new(seed);
    let expected = past.expected(given_up(&past));
    let mut told = 0;
    for (number, name) in past.objects.iter().enumerate() {
        for harm in HARMS {
            let what = format!("{name} {harm:?}");
            let home = format!("{number}-{harm:?}");
            past.copy_home(&home);
            let right = past.world.place.get(name, None).unwrap();
            harm.strike(&past, name);

            let said = command(&past, &home);

            match &said {
                Ok(said) => told += u32::from(*said == Said::SomethingIsWrong),
                Err(error) => {
                    assert!(!error.to_string().is_empty(), "{what}");
                    told += 1;
                }
            }
            put_right(&past, name, &right);
            let reading = past.world.read(&format!("new-{home}"));
            let reading = reading.unwrap_or_else(|error| panic!("{what}, put right: {error}"));
            let gone =
                expected.iter().find(|(key, value)| reading.contents.get(key) != Some(*value));
            assert!(gone.is_none(), "{what}: {:?} is lost", gone.map(|(key, _)| key));
            past.world.place.restore(&past.whole);
            let _ = std::fs::remove_dir_all(past.world.scratch("homes").join(&home));
            let _ =
                std::fs::remove_dir_all(past.world.scratch("homes").join(format!("new-{home}")));
        }
    }
    assert!(told > 0, "no harm was ever told");
}

/// As if the disk had never erred.
fn put_right(past: &Past, name: &ObjectName, right: &bytes::Bytes) {
    past.world.place.delete(name).unwrap();
    let _ = past.world.place.put(name, right.clone(), &PutOptions::default()).unwrap();
}

fn open(past: &Past, home: &str) -> Result<Vault> {
    past.world.open(&past.world.place, home)
}

fn clean(alarms: &[Alarm]) -> Said {
    if alarms.is_empty() { Said::AllIsWell } else { Said::SomethingIsWrong }
}

pub(crate) fn read_all(past: &Past, home: &str) -> Result<Said> {
    let reading = past.world.read(home)?;
    for (key, value) in &reading.contents {
        assert!(past.world.contents.get(key) == Some(value), "{key:?} came back wrong");
    }
    let whole = reading.contents.len() == past.world.contents.len();
    assert!(whole || !reading.alarms.is_empty(), "something is missing and nobody said so");
    Ok(clean(&reading.alarms))
}

pub(crate) fn restore_all(past: &Past, home: &str) -> Result<Said> {
    let mut vault = open(past, home)?;
    let snapshot = vault.snapshot(past.live)?;
    let target = past.world.scratch(&format!("target-{home}"));
    let options = RestoreOptions::new(&target);
    let ended = restore(&vault.reader()?, &snapshot, &options, &Quiet, &Cancel::new());
    for ((id, path), (entry, content)) in &past.world.contents {
        if *id == past.live && entry.kind == EntryKind::File {
            let text = String::from_utf8_lossy(path).into_owned();
            if let Ok(bytes) = std::fs::read(target.join(&text[1..])) {
                assert!(bytes == *content, "{text} holds wrong bytes");
            } else {
                let named = |report: &RestoreReport| !report.damaged.is_empty();
                assert!(ended.as_ref().is_ok_and(named) || ended.is_err(), "{text} is missing");
            }
        }
    }
    let _ = std::fs::remove_dir_all(&target);
    let report = ended?;
    Ok(if report.is_complete() { Said::AllIsWell } else { Said::SomethingIsWrong })
}

fn verify(past: &Past, home: &str, reading: Reading) -> Result<Said> {
    let mut vault = open(past, home)?;
    let found = vault.verify(&VerifyOptions::new(reading), &Silent, &AtomicBool::new(false))?;
    let alarms = vault.ledger().standing().alarms.clone();
    Ok(if found.damage.is_empty() { clean(&alarms) } else { Said::SomethingIsWrong })
}

pub(crate) fn verify_structure(past: &Past, home: &str) -> Result<Said> {
    verify(past, home, Reading::Structure)
}

pub(crate) fn verify_data(past: &Past, home: &str) -> Result<Said> {
    verify(past, home, Reading::All)
}

pub(crate) fn verify_without_key(past: &Past, _: &str) -> Result<Said> {
    let components = components(&past.world.place, &past.world.clock());
    let found = verify_keyless(&components, Reading::All, &Silent, &AtomicBool::new(false))?;
    Ok(if found.damage.is_empty() { Said::AllIsWell } else { Said::SomethingIsWrong })
}

pub(crate) fn back_up_again(past: &Past, home: &str) -> Result<Said> {
    let mut vault = open(past, home)?;
    back_up(&mut vault, &past.world.scratch("source"), &past.world.clock())?;
    Ok(Said::AllIsWell)
}

pub(crate) fn forget(past: &Past, home: &str) -> Result<Said> {
    open(past, home)?.forget(&[past.live])?;
    Ok(Said::AllIsWell)
}

pub(crate) fn collect_all(past: &Past, home: &str) -> Result<Said> {
    let found = collect(&mut open(past, home)?, Duration::ZERO)?;
    Ok(if found.stopped.is_empty() { Said::AllIsWell } else { Said::SomethingIsWrong })
}

pub(crate) fn repair(past: &Past, home: &str) -> Result<Said> {
    let options = RepairOptions { reading: Reading::All, ..RepairOptions::default() };
    let place = Arc::new(past.world.place.clone());
    let (_, repaired) = past.world.repair(place, home, &options)?;
    Ok(if repaired.steps.is_empty() { Said::AllIsWell } else { Said::SomethingIsWrong })
}

#[test]
fn no_command_deletes_what_is_live_whatever_is_damaged() {
    // What is in the trash too long is what a collection is for.
    each_object_in_each_harm(40, collect_all, |past| Some(past.trashed));
}

macro_rules! each_command {
    ($($test:ident: $command:ident),+ $(,)?) => {$(
        #[test]
        fn $test() {
            each_object_in_each_harm(41, $command, |_| None);
        }
    )+};
}

each_command! {
    reading_a_damaged_vault_gives_what_was_stored_or_says_so: read_all,
    restoring_from_a_damaged_vault_gives_what_was_stored_or_says_so: restore_all,
    verifying_the_structure_of_a_damaged_vault_harms_nothing: verify_structure,
    verifying_the_data_of_a_damaged_vault_harms_nothing: verify_data,
    verifying_a_damaged_vault_without_a_key_harms_nothing: verify_without_key,
    a_backup_to_a_damaged_vault_loses_nothing: back_up_again,
    forgetting_in_a_damaged_vault_loses_nothing: forget,
    repairing_a_damaged_vault_loses_nothing: repair,
}
