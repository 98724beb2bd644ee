//! Every body finds exactly the candidates that the definition names, on any data and any length.

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
    // Only byte 1 has a gear value, so a byte 1 followed by zeros walks through its multiples.
    let thresholds = Thresholds::new(sizes());
    for value in [thresholds.easy, thresholds.hard, 1 << 31, u32::MAX, 1] {
        for value in [value - 1, value, value.wrapping_add(1)] {
            let mut key = [0; 128];
            key[4..8].copy_from_slice(&value.to_le_bytes());
            let gear = Gear::from_bytes(&key);
            let mut data = vec![0; 5000];
            for i in (0..5000).step_by(97) {
                data[i] = 1;
            }
            assert_bodies_agree(&gear, &data, 64..5000);
        }
    }
}

#[test]
fn thresholds_are_two_levels_either_side_of_the_average() {
    let t = Thresholds::new(ChunkSizes::DEFAULT);
    assert_eq!((t.easy, t.hard), (1 << 14, 1 << 10));
}
