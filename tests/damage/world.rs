//! One small vault in memory, grown by real backups of a real folder.
//!
//! It is made once for all tests; each takes a copy of the place. [`World::read`] reads it as a new
//! machine or as a host that remembers, and gives everything that came back.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use places::{ManualClock, MemoryPlace};
use strongroom::*;
use testkit::{Forest, Nastiness};

/// All that a vault gives back: by snapshot and path, the entry and its content.
pub(crate) type Contents = BTreeMap<(SessionId, Vec<u8>), (FileEntry, Vec<u8>)>;

/// A vault with two snapshots, and the key to it.
pub(crate) struct World {
    pub(crate) place: MemoryPlace,
    pub(crate) key_file: String,
    pub(crate) contents: Contents,
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

/// What reading gave.
pub(crate) struct Reading {
    pub(crate) contents: Contents,
    pub(crate) alarms: Vec<Alarm>,
}

pub(crate) const PASSPHRASE: &[u8] = b"correct horse battery staple";

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, [5_000_000, 2_000_000])
    }

    /// With a file of so many bytes in the first snapshot and so many in the second.
    pub(crate) fn with(seed: u64, large: [usize; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Time::from_millis(1_700_000_000_000)));
        let place = MemoryPlace::new();
        let components = components(&place, &clock);
        let options = CreateOptions {
            suite: Suite::Aes256Gcm,
            protection: Protection::Passphrase {
                passphrase: PASSPHRASE,
                parameters: Argon2Parameters::CHEAP_FOR_TESTS,
            },
            label: "host",
            pack_size: None,
        };
        let folders = home(folder.path(), "first host");
        let (mut vault, bundle) = Vault::create(components, &folders, &options).unwrap();
        let source = folder.path().join("source");
        let mut forest = Forest::new(seed);
        forest.grow(&source, 6, Nastiness::Plain).unwrap();
        std::fs::write(source.join("large"), forest.noise(large[0])).unwrap();
        back_up(&mut vault, &source, &clock).unwrap();
        std::fs::write(source.join("large"), forest.noise(large[1])).unwrap();
        std::fs::write(source.join("new"), b"added for the second snapshot").unwrap();
        back_up(&mut vault, &source, &clock).unwrap();
        drop(vault);
        let key_file = bundle.to_key_file().to_string();
        let mut world = Self { place, key_file, contents: Contents::new(), folder, clock };
        // This reading also makes the memory of the host that remembers.
        world.contents = world.read("remembering").unwrap().contents;
        assert!(world.contents.len() > 20);
        world
    }

    /// Reads everything, as the host with this home.
    pub(crate) fn read(&self, host: &str) -> Result<Reading> {
        let mut vault = self.open(&self.place, host)?;
        let reader = vault.reader()?;
        let mut contents = Contents::new();
        for snapshot in vault.snapshots()? {
            for listed in list(&reader, &snapshot, b"/", Depth::Subtree)? {
                let listed = listed?;
                let mut content = Vec::new();
                if listed.entry.kind == EntryKind::File {
                    open_file(&reader, &snapshot, &listed.path)?
                        .read_to_end(&mut content)
                        .map_err(|error| unwrap_io(error, &listed.path))?;
                }
                contents.insert((snapshot.id, listed.path), (listed.entry, content));
            }
        }
        let alarms = vault.ledger().standing().alarms.clone();
        Ok(Reading { contents, alarms })
    }

    pub(crate) fn open(&self, place: &MemoryPlace, host: &str) -> Result<Vault> {
        let bundle = Bundle::from_key_file(&self.key_file)?;
        let folders = home(self.folder.path(), host);
        let keyring = Keyring::from_bundle(bundle);
        Ok(Vault::open(components(place, &self.clock), &folders, keyring, host)?)
    }

    /// Repairs, as the host with this home, at this place.
    pub(crate) fn repair(
        &self,
        place: Arc<dyn Place>,
        host: &str,
        options: &RepairOptions,
    ) -> Result<(Vault, Repair)> {
        let elsewhere = Elsewhere::default();
        let bundle = Bundle::from_key_file(&self.key_file)?;
        let folders = home(self.folder.path(), host);
        let components =
            Components { place, clock: self.clock.clone(), entropy: Arc::new(OsEntropy) };
        let keyring = Keyring::from_bundle(bundle);
        let (mut vault, first) =
            Vault::open_for_repair(components, &folders, keyring, host, options, &elsewhere)?;
        let mut repair = vault.repair(options, &elsewhere, &Silent, &AtomicBool::new(false))?;
        repair.steps.splice(0..0, first);
        Ok((vault, repair))
    }

    pub(crate) fn clock(&self) -> Arc<ManualClock> {
        self.clock.clone()
    }

    pub(crate) fn scratch(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// Hears nothing.
pub(crate) struct Silent;

impl VerifyProgress for Silent {
    fn object(&self, _: &str, _: u64) {}
}

/// An error of reading a file, in the words that name what is wrong.
fn unwrap_io(error: std::io::Error, path: &[u8]) -> Error {
    let reason = format!("{}: {error}", String::from_utf8_lossy(path));
    VaultError::Object { object: "a file".into(), reason }.into()
}

pub(crate) fn components(place: &MemoryPlace, clock: &Arc<ManualClock>) -> Components {
    Components {
        place: Arc::new(place.clone()),
        clock: clock.clone(),
        entropy: Arc::new(OsEntropy),
    }
}

fn home(base: &Path, host: &str) -> Folders {
    let base = base.join("homes").join(host);
    Folders { cache: Some(base.join("cache")), state: Some(base.join("state")) }
}

/// Backs up all that can be read.
pub(crate) fn back_up(
    vault: &mut Vault,
    source: &Path,
    clock: &Arc<ManualClock>,
) -> Result<BackupReport> {
    let path = absolute_path(source, "".as_ref())?;
    let options = BackupOptions::new("source", vec![path], clock.now());
    let report = backup(vault, &options, &Quiet, &Cancel::new())?;
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    Ok(report)
}
