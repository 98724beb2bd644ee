//! Which packs a verification reads: a pure choice, and the memory that coverage needs.
//!
//! Coverage remembers for each pack when it was read, or first met. A run reads the oldest first:
//! the share of all bytes that the time since the last run is of the span, and whatever else would
//! be older than the span before the next run, were it as far away. So however often it runs, every
//! stored byte is read within the span, and runs are alike in length. What was read before an
//! interruption counts. Lost packs are read each time: they may have come back. FORMAT.md §12.

use std::time::Duration;

use crypto::{Digest, Entropy};
use format::{DecodeError, Decoder, Encoder};
use places::Time;

use super::known::{KnownPack, KnownPacks, PackState};
use super::options::{Fraction, Reading};

/// The first run of a coverage, which has none before it, reads what a run each day would.
const FIRST_ELAPSED: Duration = Duration::from_secs(24 * 3600);
/// A pack's entry: 8 bytes of its name, seconds since 1970, whether it was read then.
const ENTRY_BYTES: usize = 8 + 4 + 1;
/// So many packs are remembered at most.
const ENTRIES_MAX: usize = 1 << 24;
const VERSION: u8 = 1;

/// When each pack was read, or first met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ReadTimes {
    /// When the last run of a coverage ended.
    pub(super) last_run: Option<Time>,
    /// By the beginnings of names.
    packs: Vec<([u8; 8], Seen)>,
}

/// When a pack was read; of one that was not, when it was first met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    at: Seconds,
    was_read: bool,
}

/// Whatever decodes encodes back to the same bytes.
pub(crate) fn check_read_times(bytes: &[u8]) {
    if let Ok(times) = ReadTimes::decode(bytes) {
        assert_eq!(times.encode(), bytes);
    }
}

/// Seconds since 1970.
type Seconds = u32;

impl ReadTimes {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        match d.u8()? {
            VERSION => {}
            version => return Err(d.invalid("the version of read times", version.into())),
        }
        let last_run = d.option(|d| Ok::<_, DecodeError>(Time::from_millis(d.i64()?)))?;
        let packs = d.list(ENTRIES_MAX, ENTRY_BYTES, |d| {
            let (name, at) = (d.array()?, d.u32()?);
            match d.u8()? {
                flag @ 0..=1 => Ok((name, Seen { at, was_read: flag == 1 })),
                flag => Err(d.invalid("a flag of read times", flag.into())),
            }
        })?;
        d.finish()?;
        match packs.is_sorted_by_key(|(name, _)| *name) {
            true => Ok(Self { last_run, packs }),
            false => Err(DecodeError::NotCanonical { what: "the order of read times" }),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).option(self.last_run.as_ref(), |e, time| {
            e.i64(time.as_millis());
        });
        e.list(&self.packs, |e, (name, seen)| {
            e.raw(name).u32(seen.at).u8(seen.was_read.into());
        });
        e.finish()
    }

    fn find(&self, pack: &Digest) -> Option<usize> {
        self.packs.binary_search_by_key(&short(pack), |(name, _)| *name).ok()
    }

    fn seen(&self, pack: &Digest) -> Option<Seen> {
        Some(self.packs[self.find(pack)?].1)
    }

    /// Drops packs that are no more and meets new ones.
    pub(super) fn follow(&mut self, known: &KnownPacks, now: Time) {
        let now = seconds(now);
        let packs = known.iter().map(|pack| {
            // A time to come is of a clock that was wrong.
            let seen = self.seen(&pack.name).filter(|seen| seen.at <= now);
            (short(&pack.name), seen.unwrap_or(Seen { at: now, was_read: false }))
        });
        self.packs = packs.take(ENTRIES_MAX).collect();
    }

    /// Takes note that a pack was read.
    pub(super) fn note(&mut self, pack: &Digest, now: Time) {
        if let Some(at) = self.find(pack) {
            self.packs[at].1 = Seen { at: seconds(now), was_read: true };
        }
    }

    /// Takes what another process noted meanwhile.
    pub(super) fn merge(&mut self, other: &Self) {
        for (name, seen) in &mut self.packs {
            if let Ok(at) = other.packs.binary_search_by_key(name, |(name, _)| *name) {
                *seen = (*seen).max(other.packs[at].1);
            }
        }
        self.last_run = self.last_run.max(other.last_run);
    }
}

/// Marks the packs that are to be read.
pub(super) fn choose(
    known: &mut KnownPacks,
    reading: Reading,
    times: &ReadTimes,
    now: Time,
    entropy: &dyn Entropy,
) {
    let mut chosen: Vec<usize> = match reading {
        Reading::Structure => Vec::new(),
        Reading::All => (0..known.all().len()).collect(),
        Reading::Sample(fraction) => draw(known.all(), fraction, entropy),
        Reading::Coverage(span) => due(known.all(), times, span, now),
    };
    let lost = known.iter().enumerate().filter(|(_, pack)| pack.was_lost);
    chosen.extend(lost.map(|(number, _)| number));
    for number in chosen {
        let pack = &mut known.all()[number];
        if pack.state == PackState::Unread {
            pack.state = PackState::Due;
        }
    }
}

/// So many packs at random: the beginning of a shuffle.
fn draw(packs: &[KnownPack], fraction: Fraction, entropy: &dyn Entropy) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..packs.len()).collect();
    let count = fraction.of(packs.len() as u64) as usize;
    for at in 0..count {
        let mut drawn = [0; 8];
        entropy.fill(&mut drawn);
        let left = (numbers.len() - at) as u64;
        // The bias of a remainder is 2^-40 for any vault.
        numbers.swap(at, at + (u64::from_le_bytes(drawn) % left) as usize);
    }
    numbers.truncate(count);
    numbers
}

/// The packs whose turn it is, by the rule at the head of this file.
fn due(packs: &[KnownPack], times: &ReadTimes, span: Duration, now: Time) -> Vec<usize> {
    let elapsed = times.last_run.map_or(FIRST_ELAPSED, |last| now.since(last));
    let size = |pack: &KnownPack| pack.size.unwrap_or(0);
    let total: u64 = packs.iter().map(size).sum();
    let share = if elapsed >= span { 1.0 } else { elapsed.as_secs_f64() / span.as_secs_f64() };
    let mut left = (total as f64 * share).ceil() as u64;
    let (now, last_run) = (seconds(now), times.last_run.map(seconds));
    let mut oldest: Vec<(Seen, usize)> = Vec::with_capacity(packs.len());
    for (number, pack) in packs.iter().enumerate() {
        let seen = times.seen(&pack.name).unwrap_or(Seen { at: now, was_read: false });
        // Read since the last run ended: by one that was interrupted, or that read more.
        match seen.was_read && last_run.is_none_or(|last| seen.at > last) {
            true => left = left.saturating_sub(size(pack)),
            false => oldest.push((seen, number)),
        }
    }
    oldest.sort_unstable();
    let overdue = i64::from(now) + elapsed.as_secs() as i64 - span.as_secs() as i64;
    let chosen = oldest.into_iter().take_while(|(seen, number)| {
        let wanted = left > 0 || i64::from(seen.at) < overdue;
        left = left.saturating_sub(size(&packs[*number]));
        wanted
    });
    chosen.map(|(_, number)| number).collect()
}

fn short(pack: &Digest) -> [u8; 8] {
    *pack.as_bytes().first_chunk().expect("a digest is 32 bytes")
}

fn seconds(time: Time) -> Seconds {
    let seconds = (time.as_millis() / 1000).clamp(0, Seconds::MAX.into());
    Seconds::try_from(seconds).unwrap_or(Seconds::MAX)
}
