//! No key ever seals twice under one nonce: over a whole life with crashes, clones and roll-backs.
//!
//! A witness is told a digest of key and nonce for every call of an AEAD that seals: segments of
//! objects, small records, wrapped data keys, and what is sealed to public keys. That it would see
//! a repeat is shown with a source of randomness that a clone of the machine repeats. DESIGN §5.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use crypto::{SealWitness, Sealing};
use places::{Fault, Faulty, Operation, Place};
use strongroom::*;

use crate::base::{Base, HOST, Stage};
use crate::commands::{self, Command};

/// What was sealed so far.
#[derive(Default)]
struct Register {
    seen: HashSet<Digest>,
    counts: BTreeMap<Sealing, u64>,
    repeated: BTreeMap<Sealing, u64>,
}

#[derive(Default)]
struct Witness(Mutex<Register>);

impl SealWitness for Witness {
    fn sealed(&self, sealing: Sealing, key_and_nonce: Digest) {
        let mut register = self.0.lock().unwrap();
        *register.counts.entry(sealing).or_default() += 1;
        if !register.seen.insert(key_and_nonce) {
            *register.repeated.entry(sealing).or_default() += 1;
        }
    }
}

/// Randomness whose every use is watched.
struct Watched<E> {
    source: E,
    witness: Arc<Witness>,
}

impl<E: Entropy> Entropy for Watched<E> {
    fn fill(&self, out: &mut [u8]) {
        self.source.fill(out);
    }

    fn witness(&self) -> Option<Arc<dyn SealWitness>> {
        Some(self.witness.clone())
    }
}

/// What one host does, in this order; each is also stopped a few times before it may end.
const LIFE: [Command; 15] = [
    commands::BACKUP,
    commands::FORGET,
    commands::UNDO,
    commands::HOLD,
    commands::RELEASE,
    commands::TAG,
    commands::COVERAGE,
    commands::RESTORE,
    commands::REPLICATE_FROM,
    commands::REPAIR,
    commands::KEY_EXPORT,
    commands::CHECKPOINT,
    commands::COLLECT,
    commands::COMPACT,
    commands::COPY_TO,
];

/// Before these operations.
const STOPS: [u64; 4] = [3, 7, 12, 20];

fn stage<'a>(base: &'a Base, place: Arc<dyn Place>, home: &str) -> Stage<'a> {
    Stage { base, place, target: Arc::new(base.target.clone()), home: home.to_owned() }
}

fn live(base: &mut Base) {
    for command in LIFE {
        (command.ready)(base);
        for stop in STOPS {
            let script = move |operation: &Operation<'_>| match operation.index == stop {
                true => Fault::CrashBefore,
                false => Fault::None,
            };
            let place = Faulty::scripted(base.place.clone(), base.clock.clone(), script);
            let _ = (command.run)(&stage(base, Arc::new(place), HOST));
        }
        let ended = (command.run)(&stage(base, Arc::new(base.place.clone()), HOST));
        // A restore that ended before it could be stopped finds its target full.
        assert!(ended.is_ok() || command.name == "restore", "{}: {ended:?}", command.name);
    }
}

/// Two clones of a host back up the same, each on the same older state of the vault.
fn live_twice(base: &Base) {
    base.copy_home(HOST, "clone");
    let before = base.place.snapshot();
    for home in [HOST, "clone"] {
        base.place.restore(&before);
        let place = Arc::new(base.place.clone());
        let mut vault = base.open(place, home).unwrap();
        base.back_up(&mut vault).unwrap();
        vault.hold(&[base.snapshots[1]]).unwrap();
    }
}

#[test]
fn no_key_seals_twice_under_one_nonce_in_a_whole_life() {
    for suite in [Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
        let witness = Arc::new(Witness::default());
        let entropy = Watched { source: OsEntropy, witness: witness.clone() };
        let mut base = Base::with(suite, Arc::new(entropy));

        live(&mut base);
        live_twice(&base);

        let register = witness.0.lock().unwrap();
        assert!(register.repeated.is_empty(), "{suite}: {:?}", register.repeated);
        for (sealing, least) in
            [(Sealing::Segment, 40), (Sealing::Small, 60), (Sealing::Wrap, 15), (Sealing::Hpke, 10)]
        {
            let count = register.counts.get(&sealing).copied().unwrap_or(0);
            assert!(count >= least, "{suite}: only {count} of {sealing:?}");
        }
    }
}

#[test]
fn a_repeated_nonce_would_be_seen() {
    let witness = Arc::new(Witness::default());
    let entropy = || Watched { source: crypto::SeededEntropy::new(7), witness: witness.clone() };
    let components = |place: places::MemoryPlace| Components {
        place: Arc::new(place),
        clock: Arc::new(places::ManualClock::new(Time::from_millis(1_700_000_000_000))),
        entropy: Arc::new(entropy()),
    };
    let options = CreateOptions {
        suite: Suite::Aes256Gcm,
        protection: Protection::KeyFile,
        label: HOST,
        pack_size: None,
    };
    for _ in 0..2 {
        let place = components(places::MemoryPlace::new());
        drop(Vault::create(place, &Folders::default(), &options).unwrap());
    }
    assert!(!witness.0.lock().unwrap().repeated.is_empty());
}
