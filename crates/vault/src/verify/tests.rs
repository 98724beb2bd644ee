//! The choice of what is read, as pure values.
//!
//! Shares, spans, interruptions and clocks that go back: time is an argument, so months pass here
//! in no time.

use std::collections::HashSet;
use std::time::Duration;

use crypto::{Digest, SeededEntropy};
use places::Time;

use super::known::{KnownPack, KnownPacks, PackState};
use super::options::{Fraction, Reading};
use super::plan::{ReadTimes, choose};

const DAY: Duration = Duration::from_secs(24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

fn packs(numbers: std::ops::Range<u64>) -> KnownPacks {
    let mut packs: Vec<KnownPack> = numbers
        .map(|number| KnownPack {
            name: Digest::of(&number.to_le_bytes()),
            size: Some(1000),
            run: Some(0),
            was_lost: false,
            state: PackState::Unread,
        })
        .collect();
    packs.sort_by_key(|pack| pack.name);
    KnownPacks::of(packs)
}

/// One run: what it read.
fn run(times: &mut ReadTimes, numbers: u64, reading: Reading, now: Time) -> Vec<Digest> {
    let mut known = packs(0..numbers);
    times.follow(&known, now);
    choose(&mut known, reading, times, now, &SeededEntropy::new(now.as_millis() as u64));
    let due = known.iter().filter(|pack| pack.state == PackState::Due).map(|pack| pack.name);
    let due: Vec<Digest> = due.collect();
    due.iter().for_each(|pack| times.note(pack, now));
    due
}

fn cover(times: &mut ReadTimes, numbers: u64, now: Time) -> Vec<Digest> {
    let read = run(times, numbers, Reading::Coverage(MONTH), now);
    times.last_run = Some(now);
    read
}

fn start() -> Time {
    Time::from_millis(1_700_000_000_000)
}

#[test]
fn daily_runs_of_a_month_read_everything_in_like_shares() {
    let mut times = ReadTimes::default();
    let mut read = HashSet::new();
    for day in 0..30 {
        let one = cover(&mut times, 600, start().plus(DAY * day));
        assert!((19..=21).contains(&one.len()), "day {day}: {}", one.len());
        read.extend(one);
    }
    assert_eq!(read.len(), 600);
}

#[test]
fn no_pack_stays_unread_for_longer_than_the_span_however_often_it_runs() {
    for hours in [1, 7, 24, 100, 24 * 9] {
        let mut times = ReadTimes::default();
        let mut last_read: std::collections::HashMap<Digest, u64> = Default::default();
        for step in 0..(80 * 24 / hours) {
            // The vault grows while it is covered.
            let packs = 200 + step * hours / 8;
            let hour = step * hours;
            for pack in cover(&mut times, packs, start().plus(Duration::from_secs(3600 * hour))) {
                last_read.insert(pack, hour);
            }
            if hour > 31 * 24 {
                let oldest = (0..200u64).map(|n| Digest::of(&n.to_le_bytes()));
                let oldest = oldest.map(|pack| hour - last_read[&pack]).max();
                assert!(oldest.unwrap() <= 30 * 24, "every {hours} h: {oldest:?} h old");
            }
        }
    }
}

#[test]
fn a_run_after_an_interrupted_one_reads_what_that_left() {
    let mut times = ReadTimes::default();
    cover(&mut times, 300, start());
    let later = start().plus(DAY * 10);
    let mut known = packs(0..300);
    times.follow(&known, later);
    choose(&mut known, Reading::Coverage(MONTH), &times, later, &SeededEntropy::new(1));
    let due: Vec<_> = known.iter().filter(|p| p.state == PackState::Due).collect();
    assert_eq!(due.len(), 100);
    // Interrupted: 60 were read, and the end of the run was not noted.
    let first: Vec<Digest> = due.iter().take(60).map(|pack| pack.name).collect();
    first.iter().for_each(|pack| times.note(pack, later));

    let rest = run(&mut times, 300, Reading::Coverage(MONTH), later.plus(Duration::from_secs(60)));

    assert!((40..=41).contains(&rest.len()), "{}", rest.len());
    assert!(rest.iter().all(|pack| !first.contains(pack)));
}

#[test]
fn a_clock_that_went_back_costs_no_more_than_reading_again() {
    let mut times = ReadTimes::default();
    cover(&mut times, 100, start().plus(DAY * 300));
    // Times to come are forgotten, so all is met anew; the share is nothing until time moves on.
    assert!(cover(&mut times, 100, start()).is_empty());
    let mut read = HashSet::new();
    for day in 1..=31 {
        read.extend(cover(&mut times, 100, start().plus(DAY * day)));
    }
    assert_eq!(read.len(), 100);
}

#[test]
fn a_sample_is_so_many_packs_and_other_ones_each_time() {
    let sample = Reading::Sample(Fraction::from_millionths(50_000).unwrap());
    let mut times = ReadTimes::default();
    let one: HashSet<_> = run(&mut times, 200, sample, start()).into_iter().collect();
    let two: HashSet<_> = run(&mut times, 200, sample, start().plus(DAY)).into_iter().collect();
    assert_eq!((one.len(), two.len()), (10, 10));
    assert_ne!(one, two);
    assert_eq!(run(&mut times, 3, sample, start()).len(), 1);
    assert_eq!(run(&mut times, 7, Reading::All, start()).len(), 7);
    assert_eq!(Fraction::from_millionths(0), None);
    assert_eq!(Fraction::from_millionths(1_000_001), None);
}

#[test]
fn lost_packs_are_read_whatever_is_asked_for() {
    let mut known = packs(0..10);
    known.all()[3].was_lost = true;
    let times = ReadTimes::default();
    choose(&mut known, Reading::Structure, &times, start(), &SeededEntropy::new(1));
    let due: Vec<usize> = (0..10).filter(|n| known.all()[*n].state == PackState::Due).collect();
    assert_eq!(due, [3]);
}

#[test]
fn read_times_come_back_as_they_were_and_other_bytes_are_refused() {
    let mut times = ReadTimes::default();
    cover(&mut times, 20, start());
    let encoded = times.encode();
    assert_eq!(ReadTimes::decode(&encoded), Ok(times));
    for length in 0..encoded.len() {
        assert!(ReadTimes::decode(&encoded[..length]).is_err());
    }
}
