//! A vault in memory with hosts that remember, a replica of it, and the loss of its place.
//!
//! Each host has folders of its own, so it notices a roll-back as a real one does. The replica is
//! kept without a key.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crypto::{Argon2Parameters, Bundle, Keyring, SeededEntropy, SessionId, Suite};
use format::{ChunkKind, ChunkRef, Counts, DomainId, RecordAt, SnapshotContent};
use places::{ManualClock, MemoryPlace, ObjectName, Place, Time};
use replica::{Quiet, ReplicaOptions, Replicator};
use strongroom::{Host, RecoverOptions, Recovered, Seen, recover};
use tempfile::TempDir;
use vault::{
    CommitOutcome, Components, CreateOptions, Folders, Protection, SnapshotDraft, Vault,
    WriteOptions,
};

pub(crate) const PASSPHRASE: &[u8] = b"correct horse";

pub(crate) struct Hosts {
    pub(crate) vault: MemoryPlace,
    pub(crate) replica: MemoryPlace,
    pub(crate) clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    bundle: Bundle,
    homes: TempDir,
}

impl Hosts {
    /// A new vault with a passphrase, and an empty place for its replica.
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(Time::from_millis(1_700_000_000_000)));
        let vault = MemoryPlace::with_clock(clock.clone());
        let replica = MemoryPlace::with_clock(clock.clone());
        let entropy = Arc::new(SeededEntropy::new(seed));
        let homes = tempfile::tempdir().unwrap();
        let components = Components {
            place: Arc::new(vault.clone()),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let parameters = Argon2Parameters::CHEAP_FOR_TESTS;
        let options = CreateOptions {
            suite: Suite::Aes256Gcm,
            protection: Protection::Passphrase { passphrase: PASSPHRASE, parameters },
            label: "first",
            pack_size: Some(4 << 20),
        };
        let (_, bundle) = Vault::create(components, &Folders::default(), &options).unwrap();
        Self { vault, replica, clock, entropy, bundle, homes }
    }

    pub(crate) fn empty_place(&self) -> MemoryPlace {
        MemoryPlace::with_clock(self.clock.clone())
    }

    pub(crate) fn components(&self, place: impl Place + 'static) -> Components {
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        Components { place: Arc::new(place), clock, entropy }
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::from_bundle(Bundle::decode(&self.bundle.encode()).unwrap())
    }

    /// A host of this name: what it remembers lasts.
    pub(crate) fn host(&self, name: &str) -> Host {
        let folder = |kind| Some(self.homes.path().join(name).join(kind));
        let folders = Folders { cache: folder("cache"), state: folder("state") };
        Host { folders, label: name.into(), seen: Seen::default() }
    }

    /// A host without folders.
    pub(crate) fn nobody(&self) -> Host {
        Host { label: "nobody".into(), ..Host::default() }
    }

    /// The vault at a place, as a host sees it.
    pub(crate) fn open(&self, place: &MemoryPlace, host: &Host) -> Vault {
        let Host { folders, label, seen } = host;
        let components = self.components(place.clone());
        Vault::open_knowing(components, folders, self.keyring(), label, *seen).unwrap()
    }

    /// Brings the replica up to date.
    pub(crate) fn replicate(&self) {
        let options = ReplicaOptions { hold: Duration::from_secs(3600), ..Default::default() };
        let (source, target) = (self.vault.clone(), self.replica.clone());
        let (source, target) = (self.components(source), self.components(target));
        let pass = Replicator::new(source, target, options).pass(&Quiet, &AtomicBool::new(false));
        assert_eq!(pass.unwrap().missing, []);
    }

    /// Recovers from the replica, as a host.
    pub(crate) fn recover_to(
        &self,
        target: impl Place + 'static,
        host: &Host,
        options: &RecoverOptions,
    ) -> strongroom::Result<Recovered> {
        let survivor = self.open(&self.replica, host);
        let target = self.components(target);
        recover(&survivor, &target, host, options, &Quiet, &AtomicBool::new(false))
    }
}

/// What a host that saw the vault as it is now would write on a kit.
pub(crate) fn seen_of(vault: &Vault) -> Seen {
    let ledger = vault.ledger();
    let recovered = ledger.state().recovers().last().map(|recover| recover.at);
    Seen { head: Some(ledger.state().head()), recovered }
}

pub(crate) fn head(vault: &Vault) -> RecordAt {
    vault.ledger().state().head()
}

/// A snapshot that was made, and its content.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) id: SessionId,
    chunk: ChunkRef,
    content: Vec<u8>,
}

pub(crate) fn back_up(vault: &mut Vault, content: &[u8]) -> Made {
    let (id, chunk) = {
        let mut writer = vault.write(WriteOptions::default()).unwrap();
        let mut lane = writer.lane();
        let chunk = lane.store(ChunkKind::Content, content).unwrap().chunk;
        let leaf = format::NodeEncoder::new(0).take();
        let root = lane.store(ChunkKind::Node, &leaf).unwrap().chunk;
        lane.flush().unwrap();
        drop(lane);
        let draft = SnapshotDraft {
            name: "test".into(),
            paths: vec![b"/srv".to_vec()],
            tags: vec![],
            start: Time::from_millis(5),
            end: None,
            root: root.id,
            content: SnapshotContent::Files,
            counts: Counts::default(),
        };
        match writer.commit(draft).unwrap() {
            CommitOutcome::Committed(committed) => (committed.snapshot, chunk),
            other => panic!("the commit ended as {other:?}"),
        }
    };
    Made { id, chunk, content: content.to_vec() }
}

/// The vault shows these snapshots, and each reads back.
#[track_caller]
pub(crate) fn assert_holds(vault: &mut Vault, made: &[&Made]) {
    let mut there: Vec<_> = vault.snapshots().unwrap().iter().map(|s| s.id).collect();
    let mut expected: Vec<_> = made.iter().map(|made| made.id).collect();
    there.sort();
    expected.sort();
    assert_eq!(there, expected);
    let reader = vault.reader().unwrap();
    for made in made {
        let chunk = reader.chunk(DomainId::DEFAULT, made.chunk).unwrap();
        assert_eq!(&chunk[..], &made.content[..]);
    }
}

/// All objects of a place but what probes leave.
pub(crate) fn objects(place: &MemoryPlace) -> Vec<ObjectName> {
    let is_kept = |name: &ObjectName| !name.as_str().starts_with("probe/");
    place.names().into_iter().filter(is_kept).collect()
}
