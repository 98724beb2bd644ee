//! A vault that has lived, and a host that knows all of it.
//!
//! It has a slot, packs of both types, merged and single runs, records of many kinds, one of them
//! with a list too long for a record, bundles and a checkpoint. An older state of it and another
//! vault lend what is replayed.

use std::path::Path;
use std::time::Duration;

use format::Kind;
use ledger::Draft;
use places::{MemorySnapshot, ObjectName, Place};
use strongroom::*;

use crate::world::{Contents, Silent, World, back_up};

/// The host that made all snapshots.
pub(crate) const HOST: &str = "first host";

pub(crate) struct Past {
    pub(crate) world: World,
    pub(crate) whole: MemorySnapshot,
    /// Of each kind of object a few.
    pub(crate) objects: Vec<ObjectName>,
    /// What is live, and one snapshot in the trash.
    pub(crate) live: SessionId,
    pub(crate) trashed: SessionId,
    /// As the vault was before its second half.
    older: MemorySnapshot,
    foreign: World,
}

impl Past {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = World::with(seed, [30_000, 20_000]);
        let older = world.place.snapshot();
        let mut vault = world.open(&world.place, HOST).unwrap();
        let source = world.scratch("source");
        for number in 0..3 {
            std::fs::write(source.join(format!("new-{number}")), vec![number; 3000]).unwrap();
            world.clock().advance(Duration::from_secs(60));
            back_up(&mut vault, &source, &world.clock()).unwrap();
        }
        let ids: Vec<_> = vault.snapshots().unwrap().iter().map(|snapshot| snapshot.id).collect();
        for _ in 0..4 {
            vault.hold(&ids[..1]).unwrap();
            vault.release(&ids[..1]).unwrap();
        }
        let often = std::iter::repeat_n(ids[1], 5000);
        vault.ledger().append_one(Draft::on_snapshots(Kind::Forget, often)).unwrap();
        collect(&mut vault, Duration::from_secs(7 * 24 * 3600)).unwrap();
        back_up(&mut vault, &source, &world.clock()).unwrap();
        vault.ledger().write_bundles().unwrap();
        vault.ledger().write_checkpoint().unwrap().unwrap();
        vault.hold(&ids[2..3]).unwrap();
        drop(vault);
        world.contents = world.read(HOST).unwrap().contents;
        let objects = some_of_each_kind(&world.place.names());
        let whole = world.place.snapshot();
        let foreign = World::with(seed + 1, [30_000, 20_000]);
        Self { world, whole, objects, live: ids[0], trashed: ids[1], older, foreign }
    }

    /// The bytes of another object of this kind, or of any.
    pub(crate) fn swapped(&self, name: &ObjectName) -> Vec<u8> {
        let names = self.world.place.names();
        let alike = names.iter().rfind(|other| *other != name && kind(other) == kind(name));
        let other = alike.or(names.iter().find(|other| *other != name)).unwrap();
        self.world.place.get(other, None).unwrap().to_vec()
    }

    /// Bytes that lay under this name in another vault, or under a name of this kind in this one
    /// before.
    pub(crate) fn replayed(&self, name: &ObjectName) -> Vec<u8> {
        let foreign = &self.foreign.place;
        if let Ok(bytes) = foreign.get(name, None) {
            return bytes.to_vec();
        }
        let before = places::MemoryPlace::new();
        before.restore(&self.older);
        let names = before.names();
        let alike = names.iter().find(|other| kind(other) == kind(name) && *other != name);
        alike.map_or(vec![0; 100], |other| before.get(other, None).unwrap().to_vec())
    }

    /// Gives a host's home to another name.
    pub(crate) fn copy_home(&self, to: &str) {
        copy(&self.world.scratch("homes").join(HOST), &self.world.scratch("homes").join(to));
    }

    /// What must be there, whatever happens to one object and is put right again.
    pub(crate) fn expected(&self, without: Option<SessionId>) -> Contents {
        let kept = self.world.contents.iter().filter(|((id, _), _)| Some(*id) != without);
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// Frees what can be freed, and merges runs.
pub(crate) fn collect(vault: &mut Vault, trash: Duration) -> Result<vault::Collection> {
    let options = vault::CollectOptions {
        trash,
        reader_grace: Duration::ZERO,
        small_runs_max: 1,
        ..vault::CollectOptions::default()
    };
    Ok(vault.collect(&options, &Silent, &std::sync::atomic::AtomicBool::new(false))?)
}

impl vault::CollectProgress for Silent {
    fn marked(&self, _: u64) {}
    fn deleted(&self, _: &str, _: u64) {}
}

fn kind(name: &ObjectName) -> &str {
    name.as_str().split('/').next().unwrap_or_default()
}

/// All single objects, some of those of which there are many.
fn some_of_each_kind(names: &[ObjectName]) -> Vec<ObjectName> {
    let mut chosen = Vec::new();
    for (folder, count) in [
        ("config", 1),
        ("keys", 1),
        ("packs", 6),
        ("index", 3),
        ("lists", 1),
        ("bundles", 1),
        ("checkpoints", 1),
    ] {
        let of_kind = names.iter().filter(|name| kind(name) == folder);
        let before = chosen.len();
        chosen.extend(of_kind.take(count).cloned());
        assert!(chosen.len() > before, "the vault has no {folder}");
    }
    let records: Vec<_> = names.iter().filter(|name| kind(name) == "ledger").cloned().collect();
    assert!(records.len() > 18, "{} records", records.len());
    chosen.extend(records.iter().step_by(6).cloned());
    chosen.extend(records.last().cloned());
    chosen
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}
