//! Retrying over scripted faults: what is tried again, for how long, and whose object it is.
//! Time is a manual clock, so minutes of pauses take none.

use super::*;
use crate::conformance;
use crate::faulty::{Fault, FaultRates, Faulty};
use crate::memory::MemoryPlace;
use crate::recording::Verb;
use crate::time::ManualClock;

const POLICY: RetryPolicy = RetryPolicy {
    attempts: 5,
    base: Duration::from_millis(100),
    cap: Duration::from_secs(1),
    deadline: Duration::from_secs(60),
    deadline_unanswered: Duration::from_secs(60),
};

struct World {
    memory: MemoryPlace,
    clock: ManualClock,
    place: Retrying<Faulty<MemoryPlace>>,
}

/// The faults of the first operations; later ones succeed.
fn world(faults: Vec<Fault>) -> World {
    scripted(move |index| faults.get(index as usize).cloned().unwrap_or(Fault::None))
}

fn scripted(fault: impl Fn(u64) -> Fault + Send + 'static) -> World {
    let (memory, clock) = (MemoryPlace::new(), ManualClock::default());
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let faulty =
        Faulty::scripted(memory.clone(), shared.clone(), move |operation| fault(operation.index));
    World { memory, clock, place: Retrying::new(faulty, POLICY, shared, 7) }
}

fn name() -> ObjectName {
    ObjectName::parse("ledger/0").unwrap()
}

fn put(place: &dyn Place, body: &'static [u8]) -> Result<Put> {
    place.put(&name(), Bytes::from_static(body), &PutOptions::default())
}

#[test]
fn retrying_keeps_the_contract_while_calls_fail() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let rates = FaultRates { before_permille: 100, after_permille: 100, hang_permille: 10 };
    let long = Duration::from_secs(1 << 30);
    let policy = RetryPolicy { attempts: 50, deadline: long, deadline_unanswered: long, ..POLICY };
    for seed in 0..4 {
        conformance::run(|| {
            let faulty = Faulty::seeded(MemoryPlace::new(), clock.clone(), seed, rates);
            Retrying::new(faulty, policy, clock.clone(), seed)
        });
    }
}

#[test]
fn a_put_whose_answer_was_lost_is_created() {
    let world = world(vec![Fault::After]);
    assert_eq!(put(&world.place, b"own"), Ok(Put::Created));
    assert_eq!(world.memory.get(&name(), None).unwrap(), "own");
}

#[test]
fn a_put_that_never_arrived_is_put_again() {
    let world = world(vec![Fault::Before, Fault::None, Fault::Before]);
    assert_eq!(put(&world.place, b"own"), Ok(Put::Created));
    assert_eq!(world.memory.get(&name(), None).unwrap(), "own");
}

#[test]
fn a_put_that_another_won_exists() {
    let world = world(vec![Fault::Before]);
    assert_eq!(put(&world.memory, b"other"), Ok(Put::Created));
    assert_eq!(put(&world.place, b"own"), Ok(Put::Exists));
    assert_eq!(world.memory.get(&name(), None).unwrap(), "other");
}

#[test]
fn equal_bytes_without_a_lost_answer_exist() {
    let world = world(vec![]);
    assert_eq!(put(&world.memory, b"same"), Ok(Put::Created));
    assert_eq!(put(&world.place, b"same"), Ok(Put::Exists));
}

#[test]
fn a_put_that_arrives_late_is_recognised_as_own() {
    // The lost put arrives between the look that finds nothing and the second put.
    let memory = MemoryPlace::new();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let late = memory.clone();
    let faulty = Faulty::scripted(memory, clock.clone(), move |operation| {
        match (operation.index, operation.verb) {
            (0, Verb::Put) => Fault::Before,
            (2, Verb::Put) => {
                assert_eq!(put(&late, b"own"), Ok(Put::Created));
                Fault::None
            }
            _ => Fault::None,
        }
    });
    assert_eq!(put(&Retrying::new(faulty, POLICY, clock, 1), b"own"), Ok(Put::Created));
}

#[test]
fn other_errors_are_told_at_once() {
    let full = Error::Full {
        place: "here".into(),
        object: name(),
        needed: 1,
        reason: "no space left".into(),
    };
    let world = world(vec![Fault::Refuse(full.clone())]);
    assert_eq!(put(&world.place, b"own"), Err(full));
    assert_eq!(world.place.get(&name(), None).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(world.place.inner().operations(), 2);
    assert_eq!(world.clock.now(), Time::EPOCH);
}

#[test]
fn a_lost_put_that_cannot_be_looked_for_stays_unknown() {
    let denied =
        Error::Denied { place: "here".into(), subject: "ledger/0".into(), reason: "no".into() };
    let world = world(vec![Fault::After, Fault::Refuse(denied)]);
    let error = put(&world.place, b"own").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("here denies access to ledger/0"), "{error}");
}

#[test]
fn attempts_end_and_the_pauses_stay_below_their_cap() {
    let world = scripted(|_| Fault::Before);
    assert_eq!(world.place.stat(&name()).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(world.place.inner().operations(), 5);
    let paused = world.clock.now().since(Time::EPOCH);
    assert!(paused > Duration::ZERO);
    assert!(paused <= Duration::from_millis(100 + 200 + 400 + 800), "{paused:?}");
}

#[test]
fn no_try_begins_after_the_deadline() {
    let world = scripted(|_| Fault::Hang(Duration::from_secs(31)));
    world.place.delete(&name()).unwrap_err();
    assert_eq!(world.place.inner().operations(), 2, "31 s, a pause, and 62 s are too late");
}

#[test]
fn a_place_that_never_answered_is_given_up_sooner_than_one_that_did() {
    let policy = RetryPolicy::network(Duration::from_secs(900));
    let waited = |answers: u64| {
        let clock = ManualClock::default();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let fault = move |operation: &crate::faulty::Operation<'_>| match operation.index < answers
        {
            true => Fault::None,
            false => Fault::Before,
        };
        let faulty = Faulty::scripted(MemoryPlace::new(), shared.clone(), fault);
        let place = Retrying::new(faulty, policy, shared, 7);
        (0..answers).for_each(|_| assert_eq!(place.stat(&name()), Ok(None)));
        let start = clock.now();
        place.stat(&name()).unwrap_err();
        clock.now().since(start)
    };

    let (at_first, later) = (waited(0), waited(1));

    assert!(at_first <= Duration::from_secs(60), "{at_first:?}");
    assert!(later > Duration::from_secs(800) && later <= Duration::from_secs(900), "{later:?}");
}

#[test]
fn a_listing_that_fails_in_its_midst_goes_on_where_the_place_can() {
    /// Fails once before each name, as a place does that reads pages of one.
    struct Paged(MemoryPlace);
    impl Place for Paged {
        fn list(&self, prefix: &NamePrefix, after: Option<&ObjectName>) -> Result<Listing<'_>> {
            let failed = |name: &ObjectName| Error::Unavailable {
                place: "here".into(),
                subject: name.to_string(),
                reason: "a page is lost".into(),
            };
            let listing = self.0.list(prefix, after)?.flat_map(move |listed| {
                let lost = listed.as_ref().map(|listed| failed(&listed.name)).unwrap();
                [Err(lost), listed]
            });
            Ok(Box::new(listing))
        }

        fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
            self.0.put(name, body, options)
        }

        fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
            self.0.get(name, range)
        }

        fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
            self.0.stat(name)
        }

        fn delete(&self, name: &ObjectName) -> Result<()> {
            self.0.delete(name)
        }

        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }

        fn describe(&self) -> String {
            self.0.describe()
        }
    }
    let memory = MemoryPlace::new();
    let place = Retrying::new(Paged(memory), POLICY, Arc::new(ManualClock::default()), 7);
    assert_eq!(put(&place, b"one"), Ok(Put::Created));

    let listed: Vec<_> = place.list(&NamePrefix::everything(), None).unwrap().collect();

    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].as_ref().unwrap().name, name());
}
