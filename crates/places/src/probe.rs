//! Finds out on the real place whether a put has exactly one winner.
//!
//! Some stores accept conditions on a put and silently ignore them, and then two clients could both
//! append the same ledger record. So nothing is believed: rounds of threads race for one name, and
//! a place passes only when each round has one winner whose bytes stay. Run at `init` and at each
//! first contact. DESIGN.md §4.

use std::sync::Barrier;

use bytes::Bytes;

use crate::error::{ErrorKind, Result};
use crate::name::ObjectName;
use crate::place::{Capabilities, Place, Put, PutOptions};

/// Races for names `probe/<32 hex>` and returns [`Place::capabilities`] with `if_absent` as found.
/// `entropy` fills a slice with random bytes, so that probes of several hosts never meet.
///
/// What the probe stored is removed. Where the credentials do not allow that, it stays behind:
/// writers may be unable to delete, and a few small objects below `probe/` hurt nobody.
///
/// # Errors
/// `Unavailable`, `Denied` and `Full` from the place; then nothing is known.
pub fn probe(place: &dyn Place, entropy: &mut dyn FnMut(&mut [u8])) -> Result<Capabilities> {
    let mut if_absent = true;
    for _ in 0..ROUNDS {
        let name = probe_name(entropy);
        let mut body = [0; 32];
        entropy(&mut body);
        let ended = race(place, &name, &body);
        let removed = place.delete(&name);
        if_absent &= ended?;
        match removed {
            Err(error) if error.kind() != ErrorKind::Denied => return Err(error),
            _ => {}
        }
    }
    Ok(Capabilities { if_absent, ..place.capabilities() })
}

/// Whether one round had one winner, whose bytes stayed, also after a late put.
fn race(place: &dyn Place, name: &ObjectName, body: &[u8; 32]) -> Result<bool> {
    let put = |racer| place.put(name, body_of(racer, body), &PutOptions::default());
    let ended = match place.calls_at_once() {
        0 | 1 => (0..RACERS).map(put).collect(),
        _ => at_once(put),
    };
    let mut winners = Vec::new();
    for (racer, put) in ended.into_iter().enumerate() {
        if put? == Put::Created {
            winners.push(racer);
        }
    }
    let late = place.put(name, body_of(RACERS, body), &PutOptions::default())?;
    let [winner] = winners[..] else { return Ok(false) };
    let stayed = place.get(name, None)? == body_of(winner, body);
    Ok(late == Put::Exists && stayed)
}

/// Lets all racers put at the same moment.
fn at_once(put: impl Fn(usize) -> Result<Put> + Sync) -> Vec<Result<Put>> {
    let (start, put) = (&Barrier::new(RACERS), &put);
    std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|racer| {
                scope.spawn(move || {
                    start.wait();
                    put(racer)
                })
            })
            .collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Racers in a round. DESIGN.md §4.
const RACERS: usize = 8;
const ROUNDS: usize = 4;

/// What the names of probes begin with.
pub(crate) const PROBES: &str = "probe/";

fn probe_name(entropy: &mut dyn FnMut(&mut [u8])) -> ObjectName {
    let mut random = [0; 16];
    entropy(&mut random);
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    ObjectName::parse(&format!("{PROBES}{hex}")).expect("hexadecimal digits are allowed in names")
}

fn body_of(racer: usize, body: &[u8; 32]) -> Bytes {
    [&[racer as u8], body.as_slice()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::faulty::{Fault, Faulty};
    use crate::memory::MemoryPlace;
    use crate::name::NamePrefix;
    use crate::place::{Listing, Stat};
    use crate::recording::Verb;
    use crate::time::ManualClock;
    use std::ops::Range;
    use std::sync::Arc;

    /// Ignores the condition, as some stores do.
    struct Overwriting(MemoryPlace);

    impl Place for Overwriting {
        fn put(&self, name: &ObjectName, body: Bytes, options: &PutOptions) -> Result<Put> {
            self.0.delete(name)?;
            let _ = self.0.put(name, body, options)?;
            Ok(Put::Created)
        }

        fn get(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes> {
            self.0.get(name, range)
        }

        fn list(&self, prefix: &NamePrefix, after: Option<&ObjectName>) -> Result<Listing<'_>> {
            self.0.list(prefix, after)
        }

        fn stat(&self, name: &ObjectName) -> Result<Option<Stat>> {
            self.0.stat(name)
        }

        fn delete(&self, name: &ObjectName) -> Result<()> {
            self.0.delete(name)
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities { if_absent: true, object_lock: true, versions: false }
        }

        fn describe(&self) -> String {
            "a store that overwrites".into()
        }
    }

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut count = 0;
        move |bytes| {
            count += 1;
            bytes.fill(count);
        }
    }

    #[test]
    fn a_place_with_one_winner_passes_and_nothing_stays() {
        let memory = MemoryPlace::new();
        let found = probe(&memory, &mut counting()).unwrap();
        assert_eq!(found, memory.capabilities());
        assert_eq!(memory.names(), []);
    }

    #[test]
    fn a_place_that_overwrites_is_found_out_whatever_it_claims() {
        let place = Overwriting(MemoryPlace::new());
        let found = probe(&place, &mut counting()).unwrap();
        assert_eq!(found, Capabilities { if_absent: false, object_lock: true, versions: false });
        assert_eq!(place.0.names(), []);
    }

    #[test]
    fn a_place_that_does_not_answer_is_an_error_and_not_a_verdict() {
        let memory = MemoryPlace::new();
        let clock = Arc::new(ManualClock::default());
        let place = Faulty::scripted(memory.clone(), clock, |operation| match operation.index {
            3 => Fault::Before,
            _ => Fault::None,
        });
        assert_eq!(probe(&place, &mut counting()).unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(memory.names(), []);
    }

    #[test]
    fn a_writer_that_may_not_delete_can_still_probe() {
        let denied = Error::Denied {
            place: "here".into(),
            subject: "probe/".into(),
            reason: "no deletes".into(),
        };
        let clock = Arc::new(ManualClock::default());
        let place =
            Faulty::scripted(MemoryPlace::new(), clock, move |operation| match operation.verb {
                Verb::Delete => Fault::Refuse(denied.clone()),
                _ => Fault::None,
            });
        assert!(probe(&place, &mut counting()).unwrap().if_absent);
    }
}
