//! Backups, forgetting, other collections and writers at work, between any two operations of a
//! collection.
//!
//! A place calls the test before each of its operations, so whatever the ledger allows to happen
//! there happens there. The seed decides; the rule is one: each snapshot that is live or in the
//! trash can be restored, byte by byte.

use std::ops::Range;
use std::sync::Mutex;

use bytes::Bytes;
use places::{Capabilities, Listing, NamePrefix, ObjectName, Put, PutOptions, Stat};

use super::*;

type Meanwhile = Box<dyn FnMut() + Send>;

/// Calls somebody else before each operation.
struct Interrupted {
    inner: MemoryPlace,
    meanwhile: Mutex<Meanwhile>,
}

impl Interrupted {
    fn others(&self) {
        // Whoever is called works on the place below, never through this one.
        if let Ok(mut meanwhile) = self.meanwhile.try_lock() {
            meanwhile();
        }
    }
}

impl Place for Interrupted {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> places::Result<Put> {
        self.others();
        self.inner.put(name, body, options)
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> places::Result<Bytes> {
        self.others();
        self.inner.get(name, range)
    }

    fn list(
        &self,
        prefix: &NamePrefix,
        start_after: Option<&ObjectName>,
    ) -> places::Result<Listing<'_>> {
        self.others();
        self.inner.list(prefix, start_after)
    }

    fn stat(&self, name: &ObjectName) -> places::Result<Option<Stat>> {
        self.inner.stat(name)
    }

    fn delete(&self, name: &ObjectName) -> places::Result<()> {
        self.others();
        self.inner.delete(name)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn calls_at_once(&self) -> usize {
        1
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn some_files(&mut self) -> Vec<Vec<u8>> {
        let count = 1 + self.below(5);
        let seeds: BTreeSet<u64> = (0..count).map(|_| self.below(12)).collect();
        files(seeds)
    }
}

/// What the others know: every snapshot that can still come back, with its files.
type Oracle = Arc<Mutex<BTreeMap<SessionId, Vec<Vec<u8>>>>>;

/// What happens beside a collection.
struct Others {
    dice: Dice,
    vaults: Vec<Vault>,
    /// A writer that is half done: what it stores, and its tree's root.
    at_work: Option<(Writer, Vec<Vec<u8>>, ChunkRef)>,
    oracle: Oracle,
    steps_left: u32,
    /// How other collections work.
    others: CollectOptions,
}

impl Others {
    fn step(&mut self) {
        if self.steps_left == 0 || self.dice.below(4) != 0 {
            return;
        }
        self.steps_left -= 1;
        let which = self.dice.below(self.vaults.len() as u64) as usize;
        match self.dice.below(6) {
            0 => {
                let contents = self.dice.some_files();
                let id = back_up_tree(&mut self.vaults[which], &contents);
                self.know(id, contents);
            }
            1 | 2 => self.write_half(which),
            3 => {
                let live: Vec<SessionId> = {
                    let ledger = self.vaults[which].ledger();
                    let live = ledger.state().snapshots();
                    live.filter(|(_, s)| s.standing == SnapshotStanding::Live)
                        .map(|(id, _)| id)
                        .collect()
                };
                if let Some(id) = live.get(self.dice.below(1 + live.len() as u64) as usize) {
                    // Its collection may purge it at once.
                    self.oracle.lock().unwrap().remove(id);
                    self.vaults[which].ensure_member().unwrap();
                    let draft = Draft::on_snapshots(Kind::Forget, [*id]);
                    let _ = self.vaults[which].ledger().append_one(draft);
                }
            }
            4 => {
                // Another collection, which may find that this one moved its ground.
                let _ = collect(&mut self.vaults[which], &self.others);
            }
            _ => {
                let keep = CollectOptions { trash: 30 * DAY, ..CollectOptions::default() };
                let _ = collect(&mut self.vaults[which], &keep);
            }
        }
    }

    /// Begins a session, or ends the one that is under way.
    fn write_half(&mut self, which: usize) {
        let Some((mut writer, contents, mut root)) = self.at_work.take() else {
            let contents = self.dice.some_files();
            let writer = self.vaults[which].write(WriteOptions::default()).unwrap();
            let root = store_tree(&writer, &contents).unwrap();
            self.at_work = Some((writer, contents, root));
            return;
        };
        loop {
            match writer.commit(draft(root)) {
                Ok(CommitOutcome::Committed(committed)) => {
                    return self.know(committed.snapshot, contents);
                }
                Ok(_) => root = store_tree(&writer, &contents).unwrap(),
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn know(&self, id: SessionId, contents: Vec<Vec<u8>>) {
        self.oracle.lock().unwrap().insert(id, contents);
    }
}

fn run(seed: u64, options: CollectOptions) {
    let world = World::new(1000 + seed);
    let oracle = Oracle::default();
    let mut dice = Dice(seed);
    let mut vaults: Vec<Vault> = ["a", "b", "c"].map(|host| world.host(host)).into();
    for vault in &mut vaults {
        let contents = dice.some_files();
        let id = back_up_tree(vault, &contents);
        oracle.lock().unwrap().insert(id, contents);
    }
    let (at_work, steps_left) = (None, 12);
    let mut others =
        Others { dice, vaults, at_work, oracle: oracle.clone(), steps_left, others: options };
    let place = Interrupted {
        inner: world.place.clone(),
        meanwhile: Mutex::new(Box::new(move || others.step())),
    };
    let place: Arc<dyn Place> = Arc::new(place);
    let mut collector = world.open_at(place, "collector");
    for _ in 0..4 {
        let found = collect(&mut collector, &options);
        assert!(found.stopped.is_empty(), "seed {seed}: {:?}", found.stopped);
        let wanted = oracle.lock().unwrap().clone();
        world.expect_whole(&wanted);
    }
}

#[test]
fn nothing_live_is_ever_deleted_whatever_happens_between_any_two_steps() {
    for seed in 0..12 {
        run(seed, at_once());
    }
}

#[test]
fn nothing_live_is_lost_when_packs_are_compacted_between_any_two_steps() {
    for seed in 100..108 {
        run(seed, compacting());
    }
}
