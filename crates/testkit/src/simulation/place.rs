//! A place in memory whose calls are turns, under bad weather, watched.
//!
//! Faults of a call: the request is lost (no effect, an error), the answer is lost (the effect, an
//! error), a put or delete lands much later although its caller saw an error, or lands a second
//! time, the process dies just before or just after the effect, or it is stopped for a month just
//! before. A folder's torn write is a lost request: what it leaves has a name that no listing
//! shows. Never: two winners of one name, half an object, an object changed by a put.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use places::{
    Capabilities, Clock, Error, Listing, MemoryPlace, MemorySnapshot, NamePrefix, ObjectName,
    Place, Put, PutOptions, Result, Stat, Time,
};

use super::{Dice, Turns};

const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// How often what goes wrong, of 10,000 calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// The request does not arrive.
    pub request_lost: u64,
    /// It does its work, and the answer does not arrive.
    pub answer_lost: u64,
    /// It arrives later, after the caller was told that nobody answers.
    pub late: u64,
    /// It arrives, and later once more.
    pub twice: u64,
    /// The caller's process dies, before or after the effect.
    pub crash: u64,
    /// The caller's process stands still for a month before the effect.
    pub pause: u64,
}

/// Something that happened to the objects.
#[derive(Debug)]
pub enum Event<'a> {
    /// A put stored an object.
    Created {
        /// Its name.
        name: &'a ObjectName,
        /// Whether the put was called a while ago, by who may have given up on it.
        late: bool,
    },
    /// An object is there no more.
    Deleted {
        /// Its name.
        name: &'a ObjectName,
    },
}

/// Looks at every change, before anybody else moves.
pub trait Watch: Send {
    /// Looks; an error stops the play.
    ///
    /// # Errors
    /// The rule that is broken.
    fn after(&mut self, event: &Event<'_>) -> Result<(), String>;
}

/// The objects that the actors of a play share.
pub struct Bucket {
    turns: Arc<Turns>,
    objects: MemoryPlace,
    late: Mutex<BTreeMap<(Time, u64), Late>>,
    watch: Mutex<Option<Box<dyn Watch>>>,
    history: Mutex<DefaultHasher>,
}

enum Late {
    Put(ObjectName, Bytes),
    Delete(ObjectName),
}

impl Bucket {
    /// Begins with these objects.
    pub fn new(turns: Arc<Turns>, objects: &MemorySnapshot) -> Self {
        let place = MemoryPlace::with_clock(Arc::new(PlaceClock(turns.clone())));
        place.restore(objects);
        Self {
            turns,
            objects: place,
            late: Mutex::default(),
            watch: Mutex::default(),
            history: Mutex::default(),
        }
    }

    /// Who looks at every change from here on.
    pub fn watch(&self, watch: Box<dyn Watch>) {
        *lock(&self.watch) = Some(watch);
    }

    /// The objects as they lie, without turns and weather: for who watches, and for vandals.
    pub fn objects(&self) -> &MemoryPlace {
        &self.objects
    }

    /// A digest of every call and how it ended.
    pub fn history(&self) -> u64 {
        lock(&self.history).finish()
    }

    /// Tells the watch of a change that somebody made beside all calls.
    pub fn tell(&self, event: &Event<'_>) {
        let told = lock(&self.watch).as_mut().map_or(Ok(()), |watch| watch.after(event));
        if let Err(broken) = told {
            self.turns.stop(broken);
        }
    }

    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions, late: bool) -> Result<Put> {
        let put = self.objects.put(name, body, options)?;
        if put == Put::Created {
            self.tell(&Event::Created { name, late });
        }
        Ok(put)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let there = self.objects.stat(name)?.is_some();
        self.objects.delete(name)?;
        if there {
            self.tell(&Event::Deleted { name });
        }
        Ok(())
    }

    fn postpone(&self, dice: &mut Dice, call: Late) {
        let longest = *dice.pick(&[1_000, 60_000, 3_600_000, 40 * 86_400_000]).unwrap_or(&1);
        let due = self.turns.now().plus(Duration::from_millis(dice.below(longest)));
        lock(&self.late).insert((due, dice.draw()), call);
    }

    /// Lets arrive what is due.
    fn deliver(&self) {
        let now = self.turns.now();
        loop {
            let due = {
                let mut late = lock(&self.late);
                match late.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    _ => return,
                }
            };
            // Nobody is there to hear how it ended.
            let _ = match due {
                Late::Put(name, body) => {
                    self.put(&name, body, &PutOptions::default(), true).map(drop)
                }
                Late::Delete(name) => self.delete(&name),
            };
        }
    }

    fn note(&self, what: impl Hash) {
        what.hash(&mut *lock(&self.history));
    }
}

/// One process's handle on a [`Bucket`]. A process that died has no other.
pub struct SimulatedPlace {
    bucket: Arc<Bucket>,
    actor: usize,
    weather: Weather,
    dice: Mutex<Dice>,
    dead: AtomicBool,
}

enum Fault {
    None,
    RequestLost,
    AnswerLost,
    Late,
    Twice,
    CrashBefore,
    CrashAfter,
    Pause,
}

impl SimulatedPlace {
    /// The handle of a new process.
    pub fn new(bucket: Arc<Bucket>, actor: usize, weather: Weather, dice: Dice) -> Self {
        Self { bucket, actor, weather, dice: Mutex::new(dice), dead: AtomicBool::new(false) }
    }

    /// Whether the process died.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    fn call<T>(
        &self,
        verb: &str,
        subject: &str,
        effect: impl Fn() -> Result<T>,
        again: impl Fn() -> Option<Late>,
    ) -> Result<T> {
        let bucket = &*self.bucket;
        bucket.turns.pass(self.actor, Duration::ZERO);
        bucket.deliver();
        if self.is_dead() || bucket.turns.is_stopped() {
            return Err(self.gone(subject));
        }
        let fault = self.fault();
        if matches!(fault, Fault::Pause) {
            bucket.turns.pass(self.actor, MONTH);
            bucket.deliver();
        }
        let result = match (&fault, again()) {
            (Fault::RequestLost, _) | (Fault::Late, None) => Err(self.unanswered(subject)),
            (Fault::Late, Some(call)) => {
                bucket.postpone(&mut lock(&self.dice), call);
                Err(self.unanswered(subject))
            }
            (Fault::AnswerLost, _) => effect().and_then(|_| Err(self.unanswered(subject))),
            (Fault::CrashBefore, _) => Err(self.die(subject)),
            (Fault::CrashAfter, _) => effect().and_then(|_| Err(self.die(subject))),
            (Fault::Twice, Some(call)) => {
                bucket.postpone(&mut lock(&self.dice), call);
                effect()
            }
            (Fault::None | Fault::Pause | Fault::Twice, _) => effect(),
        };
        bucket.note((self.actor, verb, subject, result.is_ok(), bucket.turns.now()));
        result
    }

    fn fault(&self) -> Fault {
        let mut dice = lock(&self.dice);
        let mut drawn = dice.below(10_000);
        let crash = if dice.chance(1, 2) { Fault::CrashBefore } else { Fault::CrashAfter };
        let weather = self.weather;
        let faults = [
            (weather.request_lost, Fault::RequestLost),
            (weather.answer_lost, Fault::AnswerLost),
            (weather.late, Fault::Late),
            (weather.twice, Fault::Twice),
            (weather.crash, crash),
            (weather.pause, Fault::Pause),
        ];
        for (often, fault) in faults {
            match drawn.checked_sub(often) {
                None => return fault,
                Some(rest) => drawn = rest,
            }
        }
        Fault::None
    }

    fn die(&self, subject: &str) -> Error {
        self.dead.store(true, Ordering::Relaxed);
        self.gone(subject)
    }

    /// No kind of error that anybody would try again after.
    fn gone(&self, subject: &str) -> Error {
        let (place, subject) = (self.describe(), subject.into());
        Error::Denied { place, subject, reason: "the process is dead".into() }
    }

    fn unanswered(&self, subject: &str) -> Error {
        let (place, subject) = (self.describe(), subject.into());
        Error::Unavailable { place, subject, reason: "no answer".into() }
    }
}

impl Place for SimulatedPlace {
    fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
        if is_probe(name) {
            return self.bucket.objects.put(name, body, options);
        }
        let effect = || self.bucket.put(name, body.clone(), options, false);
        self.call("put", name.as_str(), effect, || Some(Late::Put(name.clone(), body.clone())))
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        if is_probe(name) {
            return self.bucket.objects.get(name, range);
        }
        let effect = || self.bucket.objects.get(name, range.clone());
        self.call("get", name.as_str(), effect, || None)
    }

    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>> {
        let effect = || self.bucket.objects.list(prefix, start_after);
        self.call("list", prefix.as_str(), effect, || None)
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        self.call("stat", name.as_str(), || self.bucket.objects.stat(name), || None)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        if is_probe(name) {
            return self.bucket.objects.delete(name);
        }
        let effect = || self.bucket.delete(name);
        self.call("delete", name.as_str(), effect, || Some(Late::Delete(name.clone())))
    }

    fn capabilities(&self) -> Capabilities {
        self.bucket.objects.capabilities()
    }

    fn calls_at_once(&self) -> usize {
        1
    }

    fn describe(&self) -> String {
        "memory:".into()
    }
}

/// Sees the objects as they lie, and changes nothing: no turns, no weather.
pub struct Onlooker(pub MemoryPlace);

impl Place for Onlooker {
    fn put(&self, name: &ObjectName, _: Bytes, _: &PutOptions) -> Result<Put> {
        Err(self.denied(name))
    }

    fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
        self.0.get(name, range)
    }

    fn list(&self, prefix: &NamePrefix, start_after: Option<&ObjectName>) -> Result<Listing<'_>> {
        self.0.list(prefix, start_after)
    }

    fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
        self.0.stat(name)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        Err(self.denied(name))
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn calls_at_once(&self) -> usize {
        1
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

impl Onlooker {
    fn denied(&self, name: &ObjectName) -> Error {
        let (place, subject) = (self.describe(), name.to_string());
        Error::Denied { place, subject, reason: "an onlooker changes nothing".into() }
    }
}

/// A host asks once whether a place keeps its promise; here it does.
fn is_probe(name: &ObjectName) -> bool {
    name.as_str().starts_with("probe/")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place's own clock.
struct PlaceClock(Arc<Turns>);

impl Clock for PlaceClock {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn sleep(&self, _: Duration) {}
}
