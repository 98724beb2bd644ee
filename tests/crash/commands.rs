//! The commands that change a vault, a replica or files, each as one value.
//!
//! A command says in which state it finds the vault, what it does, and what is true once it has
//! ended well. Those of `every_step.rs` stop each of them wherever they can be stopped.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ledger::PackStanding;
use places::{ObjectName, Place};
use strongroom::*;

use crate::base::{Base, Failed, HOST, Silent, Stage};

/// One command.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) finds: Finds,
    pub(crate) dies: Dies,
    /// Makes what the command finds.
    pub(crate) ready: fn(&mut Base),
    /// The command.
    pub(crate) run: fn(&Stage<'_>) -> Result<(), Failed>,
    /// What is true when it has ended well, and later.
    pub(crate) done: fn(&Stage<'_>),
}

/// The vault as a command finds it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finds {
    Nothing,
    Whole,
    /// Harmed: it is whole when the command has ended.
    Mendable,
    /// Harmed for good; what is hurt was given up.
    Hurt,
}

/// Which of the places dies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dies {
    Vault,
    Target,
}

const NOTHING: Command = Command {
    name: "",
    finds: Finds::Whole,
    dies: Dies::Vault,
    ready: |_| {},
    run: |_| Ok(()),
    done: |_| {},
};

pub(crate) const INIT: Command = Command {
    name: "init",
    finds: Finds::Nothing,
    ready: |base| {
        base.place.restore(&places::MemoryPlace::new().snapshot());
        base.remove_home(HOST);
        base.contents.clear();
    },
    run: |stage| stage.base.create(stage.place.clone(), &stage.home),
    done: |stage| assert!(stage.base.open_anew(&stage.base.place).snapshots().unwrap().is_empty()),
    ..NOTHING
};

pub(crate) const BACKUP: Command = Command {
    name: "backup",
    ready: |base| {
        std::fs::write(base.source().join("four"), testkit::Forest::new(4).noise(300_000)).unwrap();
    },
    run: |stage| stage.base.back_up(&mut stage.open()?).map(drop),
    done: |stage| {
        let mut vault = stage.base.open_anew(&stage.base.place);
        let newest = vault.snapshots().unwrap().last().unwrap().id;
        assert_eq!(crate::base::read(&mut vault, newest).len(), 5);
    },
    ..NOTHING
};

pub(crate) const FORGET: Command = Command {
    name: "forget",
    run: |stage| Ok(stage.open()?.forget(&[stage.base.snapshots[0]]).map(drop)?),
    done: |stage| assert_eq!(first(stage).standing, ledger::SnapshotStanding::Trashed),
    ..NOTHING
};

pub(crate) const UNDO: Command = Command {
    name: "forget --undo",
    ready: |base| drop(host(base).forget(&[base.snapshots[0]]).unwrap()),
    run: |stage| Ok(stage.open()?.undo_forget(&[stage.base.snapshots[0]]).map(drop)?),
    done: |stage| assert_eq!(first(stage).standing, ledger::SnapshotStanding::Live),
    ..NOTHING
};

pub(crate) const HOLD: Command = Command {
    name: "hold",
    run: |stage| Ok(stage.open()?.hold(&[stage.base.snapshots[0]]).map(drop)?),
    done: |stage| assert!(first(stage).held),
    ..NOTHING
};

pub(crate) const RELEASE: Command = Command {
    name: "release",
    ready: |base| drop(host(base).hold(&[base.snapshots[0]]).unwrap()),
    run: |stage| Ok(stage.open()?.release(&[stage.base.snapshots[0]]).map(drop)?),
    done: |stage| assert!(!first(stage).held),
    ..NOTHING
};

pub(crate) const TAG: Command = Command {
    name: "tag",
    run: |stage| {
        let edit = TagEdit { add: vec!["kept".into()], ..TagEdit::default() };
        Ok(stage.open()?.tag(stage.base.snapshots[0], &edit).map(drop)?)
    },
    done: |stage| assert_eq!(first(stage).tags, ["kept"]),
    ..NOTHING
};

pub(crate) const COLLECT: Command = Command {
    name: "collect",
    ready: |base| {
        let junk = base.snapshots[3];
        host(base).forget(&[junk]).unwrap();
        base.contents.remove(&junk);
    },
    run: |stage| {
        let found = stage.collect(None)?;
        assert!(found.stopped.is_empty(), "{:?}", found.stopped);
        Ok(())
    },
    done: |stage| {
        // What another life of this host left waits for days.
        stage.base.clock.advance(Duration::from_secs(8 * 24 * 3600));
        stage.collect(None).unwrap();
        let vault = stage.base.open_anew(&stage.base.place);
        let ledger = vault.ledger();
        assert_eq!(ledger.state().suspicions().count(), 0);
        let listed = names(stage.base).into_iter().filter(|name| name.as_str().starts_with("pack"));
        assert_eq!(listed.count(), ledger.state().packs().count());
    },
    ..NOTHING
};

/// Of two large files in one pack, one is needed no more.
pub(crate) const COMPACT: Command = Command {
    name: "collect --compact",
    ready: |base| {
        let mut forest = testkit::Forest::new(12);
        for file in ["large", "dead"] {
            std::fs::write(base.source().join(file), forest.noise(400_000)).unwrap();
        }
        let mut vault = host(base);
        let both = base.back_up(&mut vault).unwrap();
        std::fs::remove_file(base.source().join("dead")).unwrap();
        let one = base.back_up(&mut vault).unwrap();
        vault.forget(&[both]).unwrap();
        let contents = crate::base::read(&mut vault, one);
        base.contents.insert(one, contents);
    },
    run: |stage| {
        let found = stage.collect(Some(CompactOptions::default()))?;
        assert!(found.stopped.is_empty(), "{:?}", found.stopped);
        Ok(())
    },
    done: |stage| {
        (COLLECT.done)(stage);
        let found = stage.collect(Some(CompactOptions::default())).unwrap();
        assert_eq!(found.compaction.unwrap().plan.packs, 0, "something is still half dead");
    },
    ..NOTHING
};

pub(crate) const VERIFY: Command = Command {
    name: "verify, with a pack lost",
    finds: Finds::Hurt,
    ready: |base| {
        let lost = content_pack(base, 3);
        base.place.delete(&lost).unwrap();
        base.contents.remove(&base.snapshots[3]);
    },
    run: |stage| verify(stage, Reading::Structure),
    done: |stage| {
        let vault = stage.base.open_anew(&stage.base.place);
        let ledger = vault.ledger();
        let standing = |pack| ledger.state().pack_standing(pack);
        let lost = ledger.state().packs().filter(|(pack, _)| standing(pack) == PackStanding::Lost);
        assert_eq!(lost.count(), 1);
    },
    ..NOTHING
};

pub(crate) const COVERAGE: Command = Command {
    name: "verify --coverage",
    run: |stage| verify(stage, Reading::Coverage(Duration::from_secs(3600))),
    ..NOTHING
};

pub(crate) const REPAIR: Command = Command {
    name: "repair",
    finds: Finds::Mendable,
    ready: |base| {
        let run = names(base).into_iter().find(|name| name.as_str().starts_with("index/")).unwrap();
        base.place.delete(&run).unwrap();
        base.place.corrupt(&"config".parse().unwrap(), |bytes| bytes[40] ^= 1);
    },
    run: |stage| {
        let (base, options) = (stage.base, RepairOptions::default());
        let components = base.components(stage.place.clone());
        let home = base.home(&stage.home);
        let elsewhere = Elsewhere::default();
        let (mut vault, _) =
            Vault::open_for_repair(components, &home, base.keyring(), HOST, &options, &elsewhere)?;
        let repaired = vault.repair(&options, &elsewhere, &Silent, &AtomicBool::new(false))?;
        assert!(repaired.hurt.is_empty(), "{:?}", repaired.steps);
        Ok(())
    },
    ..NOTHING
};

pub(crate) const RESTORE: Command = Command {
    name: "restore",
    run: |stage| {
        let mut vault = stage.open()?;
        let snapshot = vault.snapshot(stage.base.snapshots[3])?;
        let options = RestoreOptions::new(stage.base.path(&stage.home));
        let report = restore(&vault.reader()?, &snapshot, &options, &Quiet, &Cancel::new())?;
        match report.is_complete() {
            true => Ok(()),
            false => Err("files are missing".into()),
        }
    },
    done: |stage| {
        let target = stage.base.path(&stage.home);
        for (path, content) in &stage.base.contents[&stage.base.snapshots[3]] {
            let path = String::from_utf8(path.clone()).unwrap();
            assert_eq!(&std::fs::read(target.join(&path[1..])).unwrap(), content, "{path}");
        }
        std::fs::remove_dir_all(&target).unwrap();
    },
    ..NOTHING
};

pub(crate) const REPLICATE_FROM: Command = Command {
    name: "replicate, from a place that dies",
    run: |stage| stage.replicate(),
    done: |stage| replica_is_whole(stage.base),
    ..NOTHING
};

pub(crate) const REPLICATE_TO: Command =
    Command { name: "replicate, to a place that dies", dies: Dies::Target, ..REPLICATE_FROM };

pub(crate) const COPY_FROM: Command = Command {
    name: "copy, from a place that dies",
    ready: |base| base.create_other(),
    run: |stage| stage.copy(),
    done: |stage| {
        let base = stage.base;
        let mut other = base.open_other(Arc::new(base.target.clone()), &Folders::default());
        let ids: Vec<_> = other.snapshots().unwrap().iter().map(|copy| copy.id).collect();
        let copies: Vec<_> = ids.iter().map(|id| crate::base::read(&mut other, *id)).collect();
        let originals = base.snapshots[2..].iter().map(|id| base.contents[id].clone());
        assert!(copies.into_iter().eq(originals), "{} copies", ids.len());
    },
    ..NOTHING
};

pub(crate) const COPY_TO: Command =
    Command { name: "copy, to a place that dies", dies: Dies::Target, ..COPY_FROM };

pub(crate) const KEY_EXPORT: Command = Command {
    name: "key export",
    run: |stage| {
        let bundle = stage.open()?.issue_bundle(Role::Writer, DomainChoice::Default, "web-1")?;
        let (base, keyring) = (stage.base, Keyring::from_bundle(bundle));
        let components = base.components(stage.place.clone());
        Ok(Vault::open(components, &Folders::default(), keyring, "web-1").map(drop)?)
    },
    ..NOTHING
};

pub(crate) const MEND: Command = Command {
    name: "ledger mend",
    finds: Finds::Mendable,
    ready: |base| {
        let mut vault = host(base);
        vault.hold(&[base.snapshots[0]]).unwrap();
        let held = vault.ledger().state().head().seq;
        vault.release(&[base.snapshots[0]]).unwrap();
        base.place.delete(&format::VaultNames::record(held)).unwrap();
    },
    run: |stage| {
        let vault = stage.open()?;
        let mended = vault.ledger().mend();
        match mended {
            Err(LedgerError::NotBroken) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    },
    ..NOTHING
};

pub(crate) const CHECKPOINT: Command = Command {
    name: "a checkpoint",
    run: |stage| {
        let vault = stage.open()?;
        let mut ledger = vault.ledger();
        ledger.write_bundles()?;
        Ok(ledger.write_checkpoint().map(drop)?)
    },
    ..NOTHING
};

/// The vault as its host opens it.
fn host(base: &Base) -> Vault {
    base.open(Arc::new(base.place.clone()), HOST).unwrap()
}

/// The first snapshot, as a new machine sees it.
fn first(stage: &Stage<'_>) -> Snapshot {
    stage.base.open_anew(&stage.base.place).snapshot(stage.base.snapshots[0]).unwrap()
}

fn verify(stage: &Stage<'_>, reading: Reading) -> Result<(), Failed> {
    let options = VerifyOptions::new(reading);
    let found = stage.open()?.verify(&options, &Silent, &AtomicBool::new(false))?;
    found.reported.withheld.map_or(Ok(()), |reason| Err(reason.into()))
}

fn names(base: &Base) -> Vec<ObjectName> {
    base.place.names()
}

/// The pack of content that this snapshot's session stored.
fn content_pack(base: &Base, snapshot: usize) -> ObjectName {
    let session = base.snapshots[snapshot];
    let packs = names(base).into_iter().filter(|name| name.as_str().starts_with("packs/"));
    let header = |name: &ObjectName| {
        let bytes = base.place.get(name, Some(0..crypto::HEADER_BYTES as u64)).unwrap();
        crypto::Header::peek(&bytes).unwrap()
    };
    let of_content = |name: &ObjectName| {
        let header = header(name);
        header.session == session && header.kind == crypto::ObjectKind::ContentPack
    };
    packs.into_iter().find(of_content).unwrap()
}

fn replica_is_whole(base: &Base) {
    let mut vault = base.open_anew(&base.target);
    for (id, contents) in &base.contents {
        assert!(crate::base::read(&mut vault, *id) == *contents, "{id} at the replica");
    }
}
