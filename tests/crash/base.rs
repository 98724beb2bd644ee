//! A small vault with a past, of which every stopped command gets a copy.
//!
//! One host made four snapshots of a few files. [`Stage`] is where a command runs: a place, which
//! may die, and the home of a host that has seen the vault whole. [`Base::check`] looks at what is
//! left as a new machine would.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use places::{ManualClock, MemoryPlace, Place};
use replica::{ReplicaOptions, Replicator};
use strongroom::*;
use testkit::Forest;
use vault::{CollectOptions, CollectProgress, Collection};

/// What went wrong, in words.
pub(crate) type Failed = Box<dyn std::error::Error>;

/// Every file of a snapshot, by its path.
pub(crate) type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// Whose home every command begins with.
pub(crate) const HOST: &str = "host";

pub(crate) struct Base {
    pub(crate) place: MemoryPlace,
    /// Where a replica is kept.
    pub(crate) target: MemoryPlace,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) snapshots: Vec<SessionId>,
    /// What every snapshot holds, but those that were given up.
    pub(crate) contents: BTreeMap<SessionId, Contents>,
    pub(crate) suite: Suite,
    /// The owner's key of another vault, which lies at `target` once it was made.
    other: Bundle,
    entropy: Arc<dyn Entropy>,
    bundle: Bundle,
    folder: tempfile::TempDir,
}

/// Where a command runs.
pub(crate) struct Stage<'a> {
    pub(crate) base: &'a Base,
    pub(crate) place: Arc<dyn Place>,
    pub(crate) target: Arc<dyn Place>,
    /// The name of the host's home.
    pub(crate) home: String,
}

impl Base {
    pub(crate) fn new() -> Self {
        Self::with(Suite::Aes256Gcm, Arc::new(OsEntropy))
    }

    pub(crate) fn with(suite: Suite, entropy: Arc<dyn Entropy>) -> Self {
        let clock = Arc::new(ManualClock::new(Time::from_millis(1_700_000_000_000)));
        let [bundle, other] =
            [(); 2].map(|()| Bundle::owner(RootSecret::draw(entropy.as_ref()), suite));
        let mut base = Self {
            place: MemoryPlace::with_clock(clock.clone()),
            target: MemoryPlace::with_clock(clock.clone()),
            clock,
            snapshots: Vec::new(),
            contents: BTreeMap::new(),
            suite,
            other,
            entropy,
            bundle,
            folder: tempfile::tempdir().unwrap(),
        };
        base.create(Arc::new(base.place.clone()), HOST).unwrap();
        let mut forest = Forest::new(11);
        let source = base.source();
        std::fs::create_dir(&source).unwrap();
        for file in ["one", "two", "three", "junk"] {
            std::fs::write(source.join(file), forest.noise(5000)).unwrap();
            base.clock.advance(std::time::Duration::from_secs(60));
            let mut vault = base.open(Arc::new(base.place.clone()), HOST).unwrap();
            base.snapshots.push(base.back_up(&mut vault).unwrap());
        }
        let mut vault = base.open_anew(&base.place);
        base.contents = base.snapshots.iter().map(|id| (*id, read(&mut vault, *id))).collect();
        base
    }

    /// Makes the vault, or opens the one that an interrupted call made.
    pub(crate) fn create(&self, place: Arc<dyn Place>, home: &str) -> Result<(), Failed> {
        let options = self.options(&self.bundle);
        match Vault::create(self.components(place.clone()), &self.home(home), &options) {
            Err(VaultError::VaultExists { .. }) => self.open(place, home).map(drop),
            other => Ok(other.map(drop)?),
        }
    }

    pub(crate) fn open(&self, place: Arc<dyn Place>, home: &str) -> Result<Vault, Failed> {
        Ok(Vault::open(self.components(place), &self.home(home), self.keyring(), HOST)?)
    }

    /// Makes the other vault, which copies go to.
    pub(crate) fn create_other(&self) {
        self.target.restore(&MemoryPlace::new().snapshot());
        let target = self.components(Arc::new(self.target.clone()));
        drop(Vault::create(target, &self.home(HOST), &self.options(&self.other)).unwrap());
    }

    pub(crate) fn open_other(&self, place: Arc<dyn Place>, home: &Folders) -> Vault {
        self.try_open_other(place, home).unwrap()
    }

    fn try_open_other(&self, place: Arc<dyn Place>, home: &Folders) -> Result<Vault, Failed> {
        let keyring = Keyring::from_bundle(Bundle::decode(&self.other.encode()).unwrap());
        Ok(Vault::open(self.components(place), home, keyring, HOST)?)
    }

    fn options<'a>(&self, bundle: &'a Bundle) -> CreateOptions<'a> {
        CreateOptions {
            suite: self.suite,
            protection: Protection::Kept(bundle),
            label: HOST,
            pack_size: Some(4 << 20),
        }
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::from_bundle(Bundle::decode(&self.bundle.encode()).unwrap())
    }

    pub(crate) fn components(&self, place: Arc<dyn Place>) -> Components {
        Components { place, clock: self.clock.clone(), entropy: self.entropy.clone() }
    }

    pub(crate) fn home(&self, home: &str) -> Folders {
        let base = self.path("homes").join(home);
        Folders { cache: Some(base.join("cache")), state: Some(base.join("state")) }
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.path("source")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Backs the source up.
    pub(crate) fn back_up(&self, vault: &mut Vault) -> Result<SessionId, Failed> {
        let path = absolute_path(&self.source(), "".as_ref())?;
        let options = BackupOptions::new("source", vec![path], self.clock.now());
        let report = backup(vault, &options, &Quiet, &Cancel::new())?;
        Ok(report.snapshot.expect("it was no dry run"))
    }

    /// Opens as a machine that has the key and nothing else.
    pub(crate) fn open_anew(&self, place: &MemoryPlace) -> Vault {
        let components = self.components(Arc::new(place.clone()));
        Vault::open(components, &Folders::default(), self.keyring(), "a new machine").unwrap()
    }

    /// Another home with what this one holds: of the host as it is, or of a clone of it.
    pub(crate) fn copy_home(&self, from: &str, to: &str) {
        copy(&self.path("homes").join(from), &self.path("homes").join(to));
    }

    pub(crate) fn remove_home(&self, home: &str) {
        let _ = std::fs::remove_dir_all(self.path("homes").join(home));
    }

    /// Every snapshot that was not given up is whole, as a new machine sees it, and verifies.
    pub(crate) fn check(&self, what: &str) {
        let mut vault = self.check_readable(what);
        let never = AtomicBool::new(false);
        let options = VerifyOptions { reading: Reading::Structure, reporting: Reporting::Never };
        let found = vault.verify(&options, &Silent, &never).unwrap();
        assert!(found.damage.is_empty(), "{what}: {:?}", found.damage);
        let alarms = vault.ledger().standing().alarms.clone();
        let grave = alarms.iter().find(|alarm| !matches!(alarm, Alarm::HeadForgotten { .. }));
        assert!(grave.is_none(), "{what}: {grave:?}");
    }

    /// Every snapshot that was not given up is whole, whatever else is wrong with the vault.
    pub(crate) fn check_readable(&self, what: &str) -> Vault {
        let mut vault = self.open_anew(&self.place);
        for (id, contents) in &self.contents {
            assert!(read(&mut vault, *id) == *contents, "{what}: {id} holds something else");
        }
        vault
    }
}

impl Stage<'_> {
    /// Opens the vault as the host.
    pub(crate) fn open(&self) -> Result<Vault, Failed> {
        self.base.open(self.place.clone(), &self.home)
    }

    /// Copies the last two snapshots into the other vault.
    pub(crate) fn copy(&self) -> Result<(), Failed> {
        let mut source = self.open()?;
        let home = self.base.home(&self.home);
        let mut target = self.base.try_open_other(self.target.clone(), &home)?;
        let chosen = source.snapshots()?.split_off(2);
        let mut copier = Copier::new(&mut source, &mut target, CopyOptions::default())?;
        for snapshot in copier.plan(&chosen)?.missing {
            match copier.copy(&snapshot, &Quiet, &Cancel::new())? {
                CopyOutcome::Copied(copied) if copied.problems.is_empty() => {}
                other => return Err(format!("{other:?}").into()),
            }
        }
        Ok(())
    }

    /// Frees what the trash and nobody else holds, at once, and merges runs.
    pub(crate) fn collect(&self, compact: Option<CompactOptions>) -> Result<Collection, Failed> {
        let options = CollectOptions {
            compact,
            trash: std::time::Duration::ZERO,
            reader_grace: std::time::Duration::ZERO,
            small_runs_max: 1,
            ..CollectOptions::default()
        };
        Ok(self.open()?.collect(&options, &Silent, &AtomicBool::new(false))?)
    }

    /// Brings the replica up to date.
    pub(crate) fn replicate(&self) -> Result<(), Failed> {
        let options = ReplicaOptions { connections: 1, ..ReplicaOptions::default() };
        let source = self.base.components(self.place.clone());
        let target = self.base.components(self.target.clone());
        let mut replicator = Replicator::new(source, target, options);
        let pass = replicator.pass(&replica::Quiet, &AtomicBool::new(false))?;
        assert!(pass.missing.is_empty(), "{:?}", pass.missing);
        Ok(())
    }
}

/// Every file of a snapshot.
pub(crate) fn read(vault: &mut Vault, id: SessionId) -> Contents {
    let snapshot = vault.snapshot(id).unwrap_or_else(|error| panic!("{id}: {error}"));
    let reader = vault.reader().unwrap();
    let mut contents = Contents::new();
    for listed in list(&reader, &snapshot, b"/", Depth::Subtree).unwrap() {
        let listed = listed.unwrap();
        if listed.entry.kind == EntryKind::File {
            let mut content = Vec::new();
            let mut file = open_file(&reader, &snapshot, &listed.path).unwrap();
            file.read_to_end(&mut content).unwrap();
            contents.insert(listed.path, content);
        }
    }
    contents
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

/// Hears nothing.
pub(crate) struct Silent;

impl VerifyProgress for Silent {
    fn object(&self, _: &str, _: u64) {}
}

impl CollectProgress for Silent {
    fn marked(&self, _: u64) {}
    fn deleted(&self, _: &str, _: u64) {}
}
