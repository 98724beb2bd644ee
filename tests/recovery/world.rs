//! A small real vault in memory beside a place for its replica, on a clock that is turned by hand.
//!
//! The replicator holds no key; what lies at the target is looked at with the owner's key, as after
//! a disaster.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crypto::{Bundle, Keyring, SeededEntropy, SessionId, Suite};
use format::{ChunkKind, ChunkRef, Counts, Kind, SnapshotContent};
use ledger::{Draft, PackStanding};
use places::{ManualClock, MemoryPlace, Place, Time};
use vault::{
    CommitOutcome, CreateOptions, Folders, Protection, SnapshotDraft, Vault, WriteOptions,
};

use replica::{Components, Pass, Quiet, ReplicaOptions, Replicator, Result};

const NO_HOME: Folders = Folders { cache: None, state: None };
pub(crate) const HOLD: Duration = Duration::from_secs(3600);

pub(crate) struct World {
    pub(crate) source: MemoryPlace,
    pub(crate) target: MemoryPlace,
    pub(crate) clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    bundle: Bundle,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(Time::from_millis(1_700_000_000_000)));
        let source = MemoryPlace::with_clock(clock.clone());
        let target = MemoryPlace::with_clock(clock.clone());
        let entropy = Arc::new(SeededEntropy::new(seed));
        let components = Components {
            place: Arc::new(source.clone()),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let options = CreateOptions {
            suite: Suite::Aes256Gcm,
            protection: Protection::KeyFile,
            label: "host",
            pack_size: Some(4 << 20),
        };
        let (_, bundle) = Vault::create(components, &NO_HOME, &options).unwrap();
        Self { source, target, clock, entropy, bundle }
    }

    pub(crate) fn components(&self, place: impl Place + 'static) -> Components {
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        Components { place: Arc::new(place), clock, entropy }
    }

    pub(crate) fn open(&self, place: &MemoryPlace) -> Vault {
        let bundle = Bundle::decode(&self.bundle.encode()).unwrap();
        let keyring = Keyring::from_bundle(bundle);
        Vault::open(self.components(place.clone()), &NO_HOME, keyring, "host").unwrap()
    }

    pub(crate) fn replicator(&self) -> Replicator {
        self.replicator_between(self.source.clone(), self.target.clone())
    }

    pub(crate) fn replicator_between(
        &self,
        source: impl Place + 'static,
        target: impl Place + 'static,
    ) -> Replicator {
        self.replicator_with(ReplicaOptions::default(), source, target)
    }

    /// A replicator with one connection and the hold of these tests, otherwise as told.
    pub(crate) fn replicator_with(
        &self,
        options: ReplicaOptions,
        source: impl Place + 'static,
        target: impl Place + 'static,
    ) -> Replicator {
        let options = ReplicaOptions { hold: HOLD, connections: 1, ..options };
        Replicator::new(self.components(source), self.components(target), options)
    }
}

pub(crate) fn pass(replicator: &mut Replicator) -> Result<Pass> {
    replicator.pass(&Quiet, &AtomicBool::new(false))
}

/// A snapshot with this content.
pub(crate) fn back_up(vault: &mut Vault, content: &[u8]) -> (SessionId, ChunkRef) {
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
}

/// Makes one pack of the newest snapshot condemned: what a collector does after a mark.
pub(crate) fn condemn_a_pack(vault: &Vault) -> crypto::Digest {
    let mut ledger = vault.ledger();
    let pack = ledger.state().packs().map(|(name, _)| *name).next().unwrap();
    let suspect = ledger.append_one(Draft::on_packs(Kind::Suspect, [pack])).unwrap();
    ledger.append_one(Draft::condemn(suspect.at.seq, [pack])).unwrap();
    assert_eq!(ledger.state().pack_standing(&pack), PackStanding::Condemned);
    pack
}
