//! A vault in memory with one acknowledged snapshot, and what must hold of it after any crash.
//! [`World::check`] looks at it as a new machine would.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use places::{ManualClock, MemoryPlace, Place};
use strongroom::*;
use testkit::{Forest, Nastiness};

pub(crate) struct World {
    pub(crate) place: MemoryPlace,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) acknowledged: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) first: SessionId,
    bundle: Bundle,
    folder: tempfile::TempDir,
    machines: AtomicU64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Time::from_millis(1_700_000_000_000)));
        let place = MemoryPlace::new();
        let options = CreateOptions {
            suite: Suite::Aes256Gcm,
            protection: Protection::KeyFile,
            label: "host",
            pack_size: Some(4 << 20),
        };
        let components = components(Arc::new(place.clone()), &clock);
        let (_, bundle) = Vault::create(components, &Folders::default(), &options).unwrap();
        let first = SessionId::from_bytes([0; 16]);
        let (acknowledged, machines) = (BTreeMap::new(), AtomicU64::new(0));
        let mut world = Self { place, clock, acknowledged, first, bundle, folder, machines };
        let source = world.source();
        let mut forest = Forest::new(seed);
        forest.grow(&source, 4, Nastiness::Plain).unwrap();
        let report = world.back_up(Arc::new(world.place.clone()), "first host").unwrap();
        world.first = report.snapshot.unwrap();
        world.acknowledged = world.read(world.first);
        // What the crashing backups have to store.
        std::fs::write(source.join("big"), forest.noise(9_000_000)).unwrap();
        world
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    /// A backup through this place, by a host with a home of its own.
    pub(crate) fn back_up(&self, place: Arc<dyn Place>, host: &str) -> Result<BackupReport> {
        let mut vault = self.open(place, host)?;
        let path = absolute_path(&self.source(), "".as_ref())?;
        let options = BackupOptions::new("source", vec![path], self.clock.now());
        Ok(backup(&mut vault, &options, &Quiet, &Cancel::new())?)
    }

    pub(crate) fn open(&self, place: Arc<dyn Place>, host: &str) -> Result<Vault> {
        let bundle = Bundle::from_key_file(&self.bundle.to_key_file())?;
        let base = self.folder.path().join("homes").join(host);
        let folders = Folders { cache: Some(base.join("cache")), state: Some(base.join("state")) };
        let keyring = Keyring::from_bundle(bundle);
        Ok(Vault::open(components(place, &self.clock), &folders, keyring, host)?)
    }

    /// As a new machine: tests put the place back to an earlier state, which a host that remembers
    /// would rightly call a roll-back.
    fn open_anew(&self) -> Vault {
        let number = self.machines.fetch_add(1, Ordering::Relaxed);
        self.open(Arc::new(self.place.clone()), &format!("machine {number}")).unwrap()
    }

    /// Every file of a snapshot.
    pub(crate) fn read(&self, id: SessionId) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut vault = self.open_anew();
        let snapshot = vault.snapshot(id).unwrap();
        let reader = vault.reader().unwrap();
        let entries = list(&reader, &snapshot, b"/", Depth::Subtree).unwrap();
        let files = entries.map(Result::<_, FilesError>::unwrap);
        files
            .filter(|listed| listed.entry.kind == EntryKind::File)
            .map(|listed| {
                let mut content = Vec::new();
                let mut file = open_file(&reader, &snapshot, &listed.path).unwrap();
                file.read_to_end(&mut content).unwrap();
                (listed.path, content)
            })
            .collect()
    }

    /// What must hold after any crash: what was acknowledged is whole, the vault is clean.
    pub(crate) fn check(&self, what: &str) {
        assert_eq!(self.read(self.first), self.acknowledged, "{what}: the first snapshot changed");
        let mut vault = self.open_anew();
        let never = AtomicBool::new(false);
        let found = vault.verify(&VerifyOptions::new(Reading::All), &NoProgress, &never).unwrap();
        assert!(found.damage.is_empty(), "{what}: {:?}", found.damage);
        let alarms = vault.ledger().standing().alarms.clone();
        let grave = alarms.iter().find(|alarm| !matches!(alarm, Alarm::HeadForgotten { .. }));
        assert!(grave.is_none(), "{what}: {grave:?}");
    }
}

pub(crate) struct NoProgress;

impl VerifyProgress for NoProgress {
    fn object(&self, _: &str, _: u64) {}
}

pub(crate) fn components(place: Arc<dyn Place>, clock: &Arc<ManualClock>) -> Components {
    Components { place, clock: clock.clone(), entropy: Arc::new(OsEntropy) }
}
