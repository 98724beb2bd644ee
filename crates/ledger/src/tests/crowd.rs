//! A crowd: 200 writers that start together, in a time that only they move.
//!
//! Each writer is a thread with a clock of its own hand: one runs at a time, and whoever sleeps
//! hands over to the one that wakes next, so a seed replays every step. The place answers after a
//! while of this time, and puts of records are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use crypto::{Bundle, Keyring, MemberKeys, Role, SeededEntropy, Suite};
use format::{DomainId, Epoch, Kind, ObjectRef};
use places::{
    Capabilities, Clock, Listing, NamePrefix, ObjectName, Place, Put, PutOptions, Stat, Time,
};

use super::world::{World, commit_body, pack};
use crate::{Components, Draft, Ledger, ProcessMemory, State};

const WRITERS: usize = 200;
/// How long a request takes, about as in a bucket.
const REQUEST: Duration = Duration::from_millis(30);

/// A time that moves when everybody sleeps.
struct Turns {
    inner: Mutex<Inner>,
    wake: Vec<Condvar>,
}

struct Inner {
    now_us: u64,
    /// Who wakes when; the first one runs.
    waking: BTreeSet<(u64, usize)>,
    running: Option<usize>,
    to_come: usize,
}

impl Turns {
    fn new(count: usize) -> Arc<Self> {
        let waking = BTreeSet::new();
        let inner = Inner { now_us: 0, waking, running: None, to_come: count };
        let wake = (0..count).map(|_| Condvar::new()).collect();
        Arc::new(Self { inner: Mutex::new(inner), wake })
    }

    /// Waits for one's turn, which comes after `pause`. The first turn begins when all have come.
    fn sleep(&self, who: usize, pause: Duration, first: bool) {
        let mut inner = self.inner.lock().unwrap();
        let at = inner.now_us + pause.as_micros() as u64;
        inner.waking.insert((at, who));
        inner.to_come -= usize::from(first);
        if inner.to_come == 0 {
            self.next(&mut inner);
        }
        while inner.running != Some(who) {
            inner = self.wake[who].wait(inner).unwrap();
        }
    }

    fn next(&self, inner: &mut Inner) {
        inner.running = inner.waking.pop_first().map(|(at, who)| {
            inner.now_us = at;
            self.wake[who].notify_one();
            who
        });
    }

    fn leave(&self) {
        self.next(&mut self.inner.lock().unwrap());
    }
}

/// Leaves also when its writer panics, or the others would wait for ever.
struct Seat(Arc<Turns>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// One writer's hand on the time.
struct Turn {
    turns: Arc<Turns>,
    who: usize,
}

impl Clock for Turn {
    fn now(&self) -> Time {
        Time::from_millis((self.turns.inner.lock().unwrap().now_us / 1000) as i64)
    }

    fn sleep(&self, pause: Duration) {
        self.turns.sleep(self.who, pause, false);
    }
}

/// A place that takes its time and counts the records put.
struct Slow {
    inner: Arc<dyn Place>,
    turn: Turn,
    puts: Arc<Mutex<BTreeMap<usize, u32>>>,
    home: std::thread::ThreadId,
}

impl Slow {
    fn wait(&self) {
        // What other threads of one writer do takes no time of its own.
        if std::thread::current().id() == self.home {
            self.turn.sleep(REQUEST);
        }
    }
}

impl Place for Slow {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> places::Result<Put> {
        if name.as_str().starts_with("ledger/") {
            *self.puts.lock().unwrap().entry(self.turn.who).or_default() += 1;
        }
        self.wait();
        self.inner.put(name, body, options)
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> places::Result<Bytes> {
        self.wait();
        self.inner.get(name, range)
    }

    fn get_start(&self, name: &ObjectName, most: u64) -> places::Result<places::Start> {
        self.wait();
        self.inner.get_start(name, most)
    }

    fn list(&self, prefix: &NamePrefix, after: Option<&ObjectName>) -> places::Result<Listing<'_>> {
        self.wait();
        self.inner.list(prefix, after)
    }

    fn stat(&self, name: &ObjectName) -> places::Result<Option<Stat>> {
        self.wait();
        self.inner.stat(name)
    }

    fn delete(&self, name: &ObjectName) -> places::Result<()> {
        self.inner.delete(name)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// A vault with this many certified writers.
fn vault_of(count: usize) -> (World, Vec<Arc<Keyring>>, State) {
    let world = World::new();
    let mut root = world.root();
    let writers: Vec<_> = (0..count)
        .map(|_| {
            let (suite, entropy) = (Suite::Aes256Gcm, &*world.entropy);
            let member = MemberKeys::draw(entropy);
            let domain = DomainId::DEFAULT;
            let root_secret = world.root_secret();
            let bundle = Bundle::for_member(
                root_secret,
                suite,
                Role::Writer,
                domain,
                Epoch(0),
                member,
                entropy,
            );
            let keyring = Arc::new(Keyring::from_bundle(bundle.unwrap()));
            root.certify(&world.certificate(&keyring, Epoch(0)), "a host").unwrap();
            keyring
        })
        .collect();
    let state = root.state().clone();
    (world, writers, state)
}

struct Outcome {
    puts: BTreeMap<usize, u32>,
    took: Duration,
    heads: Vec<String>,
}

/// All begin a session and commit it, starting at once.
fn run(count: usize, seed: u64) -> Outcome {
    let (world, writers, state) = vault_of(count);
    let turns = Turns::new(count);
    let puts = Arc::new(Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for (who, keyring) in writers.into_iter().enumerate() {
            let (world, state) = (&world, state.clone());
            let (turns, puts) = (turns.clone(), puts.clone());
            scope.spawn(move || {
                turns.sleep(who, Duration::ZERO, true);
                let _seat = Seat(turns.clone());
                let turn = || Turn { turns: turns.clone(), who };
                let place = Slow {
                    inner: Arc::new(world.place.clone()),
                    turn: turn(),
                    puts,
                    home: std::thread::current().id(),
                };
                let components = Components {
                    place: Arc::new(place),
                    clock: Arc::new(turn()),
                    entropy: Arc::new(SeededEntropy::new(seed + who as u64)),
                };
                write(world, components, keyring, state, who);
            });
        }
    });
    let took = Duration::from_micros(turns.inner.lock().unwrap().now_us);
    let root = world.root();
    assert_eq!(root.state().snapshots().count(), count);
    assert_eq!(root.state().voids().count, 0);
    let heads = root.state().snapshots().map(|(id, _)| id.to_string()).collect();
    Outcome { puts: Arc::into_inner(puts).unwrap().into_inner().unwrap(), took, heads }
}

fn write(world: &World, with: Components, keyring: Arc<Keyring>, state: State, who: usize) {
    let session = format::SessionId::draw(&*with.entropy);
    let memory = Arc::new(ProcessMemory::new());
    let mut ledger =
        Ledger::open(with, &world.config_bytes, Some(keyring), memory, Some(state)).unwrap();
    ledger.append_one(Draft::open(session, DomainId::DEFAULT, None)).unwrap();
    let needs = vec![ObjectRef::Pack(pack(who as u8))];
    let appended = ledger.append_one(Draft::commit(session, needs, commit_body().encode()));
    assert_eq!(appended.unwrap().kind, Kind::Commit);
}

#[test]
fn two_hundred_writers_that_start_together_all_commit_with_few_puts_each() {
    let outcome = run(WRITERS, 7);
    let puts = outcome.puts.values().sum::<u32>();
    let mean = f64::from(puts) / WRITERS as f64;
    let most = outcome.puts.values().max().unwrap();
    // Two records each, so two puts are the least there can be.
    assert!(mean <= 10.0, "{mean} puts each, {most} at most, in {:?}", outcome.took);
    assert!(*most <= 30, "one writer made {most} puts");
    assert!(outcome.took < Duration::from_secs(600), "it took {:?}", outcome.took);
    println!("{mean} puts each, {most} at most, in {:?}", outcome.took);
}

#[test]
fn a_seed_replays_a_crowd_and_a_lone_writer_never_waits() {
    let (one, two) = (run(12, 3), run(12, 3));
    assert_eq!((one.puts, one.took, one.heads), (two.puts, two.took, two.heads));
    let alone = run(1, 3);
    assert_eq!(alone.puts[&0], 2);
    assert!(alone.took < REQUEST * 24, "it took {:?}", alone.took);
}
