//! Every body finds exactly the candidates that the definition names, on any data and any length.
//!
//! The definition is written out anew here, as a sum per position, and shares only the gear's table
//! with the code.

use super::*;
use crate::gear::WINDOW_BYTES;
use crate::generated;

/// The definition, term by term: the sum over the window before each position.
fn by_definition(gear: &Gear, t: Thresholds, data: &[u8], range: Range<usize>) -> Vec<Candidate> {
    let hash = |position: usize| {
        (0..WINDOW_BYTES.min(position))
            .fold(0u32, |sum, k| sum.wrapping_add(gear.step(0, data[position - 1 - k]) << k))
    };
    (range.start + 1..=range.end)
        .map(|position| (position - range.start, hash(position)))
        .filter(|(_, hash)| *hash < t.easy)
        .map(|(end, hash)| Candidate { end: end as u32, strong: hash < t.hard })
        .collect()
}

/// The smallest average, so that candidates are many.
fn sizes() -> ChunkSizes {
    ChunkSizes::new(64, 4096, 8192).expect("valid sizes")
}

/// Asserts that all bodies agree with the definition, and returns how many candidates there are.
fn assert_bodies_agree(gear: &Gear, data: &[u8], range: Range<usize>) -> usize {
    let expected = by_definition(gear, Thresholds::new(sizes()), data, range.clone());
    for (name, body) in Body::all() {
        let mut scanner = Scanner::new(sizes(), body);
        let found = scanner.scan(gear, data, range.clone());
        assert_eq!(found, expected, "{name}, {range:?} of {} bytes", data.len());
    }
    expected.len()
}

/// All gear values are 0, so all hashes are 0 and every position is a strong candidate.
fn gear_of_zeros() -> Gear {
    Gear::from_bytes(&[0; 128])
}

#[test]
fn bodies_agree_on_every_length_up_to_300() {
    let gear = generated::gear(10);
    let data = generated::random(11, 400);
    for length in 0..300 {
        for start in [0, 1, 31, 32, 33, 100] {
            assert_bodies_agree(&gear, &data, start..start + length);
        }
    }
}

#[test]
fn bodies_agree_on_sizes_around_their_stripes() {
    let gear = generated::gear(12);
    let data = generated::random(13, SEGMENT_BYTES + 2000);
    let mut candidates = 0;
    for length in [511, 512, 513, 1023, 1024, 1025, 2047, 2048, 4095, 20_001, 65_537] {
        for start in [0, 7, 64, 777] {
            candidates += assert_bodies_agree(&gear, &data, start..start + length);
        }
    }
    for length in [SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1] {
        candidates += assert_bodies_agree(&gear, &data, 33..33 + length);
    }
    assert!(candidates > 200, "{candidates}");
}

#[test]
fn bodies_agree_on_text_and_on_runs() {
    let gear = generated::gear(14);
    let mut data = generated::text(15, 50_001);
    data.extend([0; 10_000]);
    data.extend([255; 10_000]);
    data.extend(generated::random(16, 10_000));
    let length = data.len();
    assert!(assert_bodies_agree(&gear, &data, 64..length) > 20);
}

#[test]
fn bodies_agree_on_periodic_data() {
    for period in [1, 2, 3, 31, 32, 33, 64, 100, 1024, 4096] {
        let gear = generated::gear(20 + period as u64);
        let data: Vec<u8> =
            generated::random(period as u64, period).into_iter().cycle().take(30_000).collect();
        assert_bodies_agree(&gear, &data, 32..30_000);
    }
}

#[test]
fn bodies_agree_when_every_position_is_a_candidate() {
    let data = generated::random(17, 5000);
    assert_eq!(assert_bodies_agree(&gear_of_zeros(), &data, 100..5000), 4900);
}

#[test]
fn bodies_agree_on_hashes_at_the_thresholds() {
    // A run of byte 0 hashes to a large number; each byte 1 in it hashes to `value` exactly.
    const RUN: u32 = 0x4000_0001;
    let mut data = vec![0; 5000];
    data[64..].iter_mut().step_by(97).for_each(|byte| *byte = 1);
    let ones = data.iter().filter(|byte| **byte == 1).count();
    let Thresholds { easy, hard } = Thresholds::new(sizes());
    for value in [0, 1, hard - 1, hard, hard + 1, easy - 2, easy - 1, easy, easy + 1, u32::MAX] {
        let mut key = [0; 128];
        key[0..4].copy_from_slice(&RUN.to_le_bytes());
        key[4..8].copy_from_slice(&value.wrapping_add(RUN * 2).to_le_bytes());
        let candidates = assert_bodies_agree(&Gear::from_bytes(&key), &data, 64..5000);
        assert!(value >= easy || candidates >= ones, "{candidates} for {value:#x}");
    }
}

#[test]
fn thresholds_are_two_levels_either_side_of_the_average() {
    let t = Thresholds::new(ChunkSizes::DEFAULT);
    assert_eq!((t.easy, t.hard), (1 << 14, 1 << 10));
}
