//! What the tests of this crate share: a vault in memory, folders on disk, a way to compare trees.
//!
//! Every test works in folders of its own and a vault in memory, so all run at once.
//! DESIGN.md §10.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crypto::{Bundle, Keyring, RootSecret, SeededEntropy, SigningContext, Suite};
use format::{Config, VaultNames};
use places::{ManualClock, MemoryPlace, Place, Put, PutOptions, Time};
use vault::{Components, CreateOptions, Folders, Protection, Snapshot, Vault};

use crate::{
    BackupOptions, BackupReport, Cancel, Progress, Quiet, RestoreOptions, RestoreReport, Result,
    backup, restore,
};

/// A vault, a folder to back up and one to restore into.
pub(crate) struct World {
    pub(crate) vault: Vault,
    pub(crate) place: MemoryPlace,
    bundle: Bundle,
    guard: tempfile::TempDir,
    /// When the next backup begins: later than all files of the test.
    now: Time,
}

impl World {
    pub(crate) fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        std::fs::create_dir(guard.path().join("source")).unwrap();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let now = Time::from_millis(now.as_millis() as i64 + 60_000);
        let place = MemoryPlace::new();
        let (vault, bundle) = new_vault(&place);
        Self { vault, place, bundle, guard, now }
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.guard.path().canonicalize().unwrap().join("source")
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.guard.path().canonicalize().unwrap().join("target")
    }

    /// The source's path in a snapshot, as bytes.
    pub(crate) fn path(&self, below: &str) -> Vec<u8> {
        let path = if below.is_empty() { self.source() } else { self.source().join(below) };
        path.as_os_str().as_bytes().to_vec()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.source().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn options(&self) -> BackupOptions {
        BackupOptions::new("test", vec![self.path("")], self.now)
    }

    pub(crate) fn backup(&mut self) -> BackupReport {
        let options = self.options();
        self.backup_with(&options, &Quiet).unwrap()
    }

    pub(crate) fn backup_with(
        &mut self,
        options: &BackupOptions,
        progress: &dyn Progress,
    ) -> Result<BackupReport> {
        backup(&mut self.vault, options, progress, &Cancel::new())
    }

    /// The same vault, as another host of the owner has it open.
    pub(crate) fn another_host(&self) -> Vault {
        let keyring = Keyring::from_bundle(Bundle::decode(&self.bundle.encode()).unwrap());
        let components = components(&self.place, 8);
        let mut vault = Vault::open(components, &NO_FOLDERS, keyring, "other").unwrap();
        vault.ensure_member().unwrap();
        vault
    }

    /// The same vault, as a member of this role has it open.
    pub(crate) fn with_role(&mut self, role: crypto::Role) -> Vault {
        let bundle = self.vault.issue_bundle(role, vault::DomainChoice::Default, "member").unwrap();
        let keyring = Keyring::from_bundle(bundle);
        Vault::open(components(&self.place, 9), &NO_FOLDERS, keyring, "member").unwrap()
    }

    /// The same vault as it lies in another place, opened by its owner on a host of this seed.
    pub(crate) fn opened_at(&self, place: &MemoryPlace, seed: u64) -> Vault {
        let keyring = Keyring::from_bundle(Bundle::decode(&self.bundle.encode()).unwrap());
        Vault::open(components(place, seed), &NO_FOLDERS, keyring, "fork").unwrap()
    }

    pub(crate) fn latest(&mut self) -> Snapshot {
        self.vault.snapshots().unwrap().pop().unwrap()
    }

    /// Options to restore the source's contents into the target.
    pub(crate) fn restore_options(&self) -> RestoreOptions {
        RestoreOptions { path: self.path(""), ..RestoreOptions::new(self.target()) }
    }

    pub(crate) fn restore(&mut self) -> RestoreReport {
        let options = self.restore_options();
        self.restore_with(&options).unwrap()
    }

    pub(crate) fn restore_with(&mut self, options: &RestoreOptions) -> Result<RestoreReport> {
        let (reader, snapshot) = (self.vault.reader().unwrap(), self.latest());
        restore(&reader, &snapshot, options, &Quiet, &Cancel::new())
    }
}

/// What vaults of these tests stand on; every seed is another host.
pub(crate) fn components(place: &MemoryPlace, seed: u64) -> Components {
    Components {
        place: Arc::new(place.clone()),
        clock: Arc::new(ManualClock::new(Time::from_millis(1_700_000_000_000))),
        entropy: Arc::new(SeededEntropy::new(seed)),
    }
}

pub(crate) const NO_FOLDERS: Folders = Folders { cache: None, state: None };

/// An owner's vault in memory, on a host without caches.
fn new_vault(place: &MemoryPlace) -> (Vault, Bundle) {
    let options = CreateOptions {
        suite: Suite::Aes256Gcm,
        protection: Protection::KeyFile,
        label: "host",
        pack_size: Some(4 << 20),
    };
    Vault::create(components(place, 7), &NO_FOLDERS, &options).unwrap()
}

/// An owner's vault in memory with keys of its own, whose chunks are a sixty-fourth of the usual.
pub(crate) fn vault_of_small_chunks(place: &MemoryPlace, seed: u64) -> Vault {
    let root = RootSecret::draw(&SeededEntropy::new(seed));
    let (bundle, signing) = (Bundle::owner(root.duplicate(), Suite::Aes256Gcm), root.signing());
    let public = *signing.verifying().as_bytes();
    let mut config = Config::new(root.vault_id(), public, Suite::Aes256Gcm);
    (config.chunk_min, config.chunk_avg, config.chunk_max) = (4 << 10, 16 << 10, 64 << 10);
    config.pack_size = 4 << 20;
    let signature = signing.sign(SigningContext::Config, &config.encode());
    let signed = config.encode_signed(signature.as_bytes());
    let put = place.put(&VaultNames::config(), signed.into(), &PutOptions::default());
    assert_eq!(put.unwrap(), Put::Created);
    // An init that was interrupted after its config is finished with that config.
    let options = CreateOptions {
        suite: Suite::Aes256Gcm,
        protection: Protection::Kept(&bundle),
        label: "elsewhere",
        pack_size: None,
    };
    Vault::create(components(place, seed), &NO_FOLDERS, &options).unwrap().0
}

/// All that a restore must bring back, in words, by path.
pub(crate) fn described(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                folders.push(path.clone());
            }
            let relative = path.strip_prefix(root).unwrap().to_owned();
            files.insert(relative, describe_file(&path));
        }
    }
    files
}

fn describe_file(path: &Path) -> String {
    let meta = path.symlink_metadata().unwrap();
    let kind = meta.file_type();
    let what = if kind.is_symlink() {
        format!("-> {:?}", std::fs::read_link(path).unwrap())
    } else if kind.is_file() {
        let content = std::fs::read(path).unwrap();
        format!("{} bytes {}, {} names", meta.len(), crypto::Digest::of(&content), meta.nlink())
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else {
        "folder or other".to_owned()
    };
    // A pipe must not be opened: that would wait for its other end.
    let opened = (kind.is_file() || kind.is_dir()).then(|| std::fs::File::open(path).unwrap());
    let xattrs = opened.map_or_else(Vec::new, |file| crate::extra::xattrs_of(&file).unwrap());
    let (mode, seconds, nanos) = (meta.mode(), meta.mtime(), meta.mtime_nsec());
    let owner = (meta.uid(), meta.gid());
    format!("{what}, mode {mode:o}, mtime {seconds}.{nanos:09}, owner {owner:?}, {xattrs:?}")
}

/// Remembers which files were read.
#[derive(Default)]
pub(crate) struct Reads(Mutex<Vec<Vec<u8>>>);

impl Reads {
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |path: &Vec<u8>| {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap();
            String::from_utf8_lossy(name).into_owned()
        };
        let mut names: Vec<_> = self.0.lock().unwrap().iter().map(name).collect();
        names.sort();
        names
    }
}

impl Progress for Reads {
    fn file(&self, path: &[u8]) {
        self.0.lock().unwrap().push(path.to_vec());
    }
}
