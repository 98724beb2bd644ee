//! Cuts follow the normative text, whatever the buffers.
//!
//! The rules are written out anew here, one by one. Content alone decides a cut, and golden cuts
//! stay for ever: changing them would store everything of every vault once more.

use proptest::prelude::*;

use super::*;
use crate::generated;
use crate::scan::Thresholds;

fn small() -> ChunkSizes {
    ChunkSizes::new(1 << 10, 4 << 10, 16 << 10).expect("valid sizes")
}

/// The normative text, rule by rule.
fn by_definition(gear: &Gear, sizes: ChunkSizes, data: &[u8]) -> Vec<u32> {
    let thresholds = Thresholds::new(sizes);
    let (min, avg, max) = (sizes.min() as usize, sizes.avg() as usize, sizes.max() as usize);
    let below = |position: usize, threshold: u32| gear.hash_at(data, position) < threshold;
    let mut lengths = Vec::new();
    let mut s = 0;
    while s < data.len() {
        let n = data.len();
        let strong = (s + min + 1..=n.min(s + avg)).find(|&p| below(p, thresholds.hard));
        let any = || (s + avg + 1..=n.min(s + max - 1)).find(|&p| below(p, thresholds.easy));
        let end = strong.or_else(any).unwrap_or(n.min(s + max));
        lengths.push((end - s) as u32);
        s = end;
    }
    lengths
}

/// Hands `data` in by parts of the given lengths, in turn, as a caller with a buffer would.
fn cut_by_parts(chunker: &mut Chunker, data: &[u8], parts: &[usize]) -> Vec<u32> {
    let mut lengths = Vec::new();
    let (mut start, mut known) = (0, 0);
    for &part in parts.iter().cycle() {
        known = data.len().min(known + part);
        let end = if known == data.len() { Stream::Ends } else { Stream::Continues };
        let cuts = chunker.cut(&data[start..known], end);
        lengths.extend_from_slice(cuts);
        start += cuts.iter().map(|&length| length as usize).sum::<usize>();
        if end == Stream::Ends {
            break;
        }
    }
    assert_eq!(start, data.len());
    lengths
}

/// Random, text, a run and a period, one after another.
fn mixed(seed: u64, length: usize) -> Vec<u8> {
    let quarter = length / 4;
    let mut data = generated::random(seed, quarter);
    data.extend(generated::text(seed, quarter));
    data.extend(std::iter::repeat_n(seed as u8, quarter));
    let period = generated::random(seed, 50 + seed as usize % 5000);
    data.extend(period.into_iter().cycle().take(length - 3 * quarter));
    data
}

fn shared_bytes(before: &[u8], after: &[u8], gear: &Arc<Gear>, sizes: ChunkSizes) -> usize {
    let chunks = |data: &[u8]| -> Vec<Vec<u8>> {
        let mut rest = data;
        let cuts = cut_whole(gear, sizes, data);
        cuts.iter()
            .map(|&length| rest.split_off(..length as usize).expect("cuts add up").to_vec())
            .collect()
    };
    let known: std::collections::HashSet<_> = chunks(before).into_iter().collect();
    chunks(after).iter().filter(|chunk| known.contains(*chunk)).map(Vec::len).sum()
}

/// FNV-1a over the lengths, each as a little-endian u32.
fn digest(lengths: &[u32]) -> u64 {
    let bytes = lengths.iter().flat_map(|length| length.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn every_body_cuts_as_the_text_says() {
    let gear = generated::gear(30);
    let data = mixed(31, 400_003);
    let expected = by_definition(&gear, small(), &data);
    for (name, body) in Body::all() {
        let mut chunker = Chunker::with_body(Arc::clone(&gear), small(), body);
        assert_eq!(chunker.cut(&data, Stream::Ends), expected, "{name}");
    }
}

#[test]
fn an_empty_stream_has_no_chunks() {
    assert!(cut_whole(&generated::gear(1), ChunkSizes::DEFAULT, &[]).is_empty());
}

#[test]
fn a_stream_of_at_most_the_minimum_is_one_chunk() {
    let gear = Arc::new(Gear::from_bytes(&[0; 128]));
    for length in [1, 63, 1023, 1024] {
        let data = vec![1; length];
        assert_eq!(cut_whole(&gear, small(), &data), [length as u32]);
    }
    assert_eq!(cut_whole(&gear, small(), &[1; 1025]), [1025]);
    assert_eq!(cut_whole(&gear, small(), &[1; 1026]), [1025, 1]);
}

#[test]
fn a_run_is_cut_at_the_maximum() {
    let gear = generated::gear(32);
    let lengths = cut_whole(&gear, ChunkSizes::DEFAULT, &vec![0; (9 << 20) + 5]);
    assert_eq!(lengths, [4 << 20, 4 << 20, (1 << 20) + 5]);
}

#[test]
fn a_run_under_an_unlucky_key_is_cut_just_beyond_the_minimum_or_the_average() {
    let thresholds = Thresholds::new(small());
    for (hash, length) in [(0, 1025), (thresholds.hard, 4097), (thresholds.easy, 16 << 10)] {
        let mut key = [0; 128];
        for entry in key[..64].as_chunks_mut::<4>().0 {
            *entry = hash.wrapping_neg().to_le_bytes();
        }
        let gear = Arc::new(Gear::from_bytes(&key));
        assert_eq!(cut_whole(&gear, small(), &vec![7; length * 20]), [length as u32; 20]);
    }
}

#[test]
fn memory_stays_bounded_when_every_position_is_a_candidate() {
    let gear = Arc::new(Gear::from_bytes(&[0; 128]));
    let sizes = ChunkSizes::new(64, 4096, 8192).expect("valid sizes");
    let mut chunker = Chunker::new(gear, sizes);
    let cuts = chunker.cut(&vec![0; 65 << 16], Stream::Ends);
    assert_eq!(cuts.len(), 1 << 16);
    assert!(cuts.iter().all(|&length| length == 65));
}

#[test]
fn a_mean_chunk_is_about_the_minimum_and_the_average_together() {
    for (sizes, length) in [(small(), 8 << 20), (ChunkSizes::DEFAULT, 128 << 20)] {
        let lengths = cut_whole(&generated::gear(33), sizes, &generated::random(34, length));
        let mean = length / lengths.len();
        let expected = (sizes.min() + sizes.avg()) as usize;
        assert!(mean > expected * 3 / 4 && mean < expected * 5 / 4, "{mean} for {sizes:?}");
    }
}

#[test]
fn different_keys_cut_differently() {
    let data = generated::random(35, 1 << 20);
    let first = cut_whole(&generated::gear(36), small(), &data);
    let second = cut_whole(&generated::gear(37), small(), &data);
    let ends = |lengths: &[u32]| -> std::collections::HashSet<u32> {
        lengths[..lengths.len() - 1]
            .iter()
            .scan(0, |end, l| {
                *end += l;
                Some(*end)
            })
            .collect()
    };
    let common = ends(&first).intersection(&ends(&second)).count();
    assert!(common < 3, "{common} of {} ends in common", first.len());
}

#[test]
fn an_edit_changes_only_the_chunks_around_it() {
    let gear = generated::gear(38);
    for before in [generated::random(39, 1 << 20), generated::text(39, 1 << 20)] {
        let middle = before.len() / 2;
        let mut inserted = before.clone();
        inserted.splice(middle..middle, *b"an insertion");
        let mut removed = before.clone();
        removed.drain(middle..middle + 1);
        let mut flipped = before.clone();
        flipped[middle] ^= 1;
        for after in [inserted, removed, flipped] {
            let fresh = after.len() - shared_bytes(&before, &after, &gear, small());
            assert!(fresh > 0 && fresh <= 5 * small().max() as usize, "{fresh} bytes are fresh");
        }
    }
}

#[test]
fn the_cuts_from_a_chunks_start_on_do_not_depend_on_what_lay_before() {
    let gear = generated::gear(40);
    let data = mixed(41, 300_000);
    let lengths = cut_whole(&gear, small(), &data);
    let mut start = 0;
    for (i, &length) in lengths.iter().enumerate() {
        assert_eq!(cut_whole(&gear, small(), &data[start..]), lengths[i..]);
        start += length as usize;
    }
}

#[test]
fn no_byte_is_scanned_twice_and_minimums_are_skipped() {
    let data = generated::random(48, 8 << 20);
    let mut chunker = Chunker::new(generated::gear(49), ChunkSizes::DEFAULT);
    let parts = cut_by_parts(&mut chunker, &data, &[200_000]).len();
    let scanned = chunker.scanner.scanned_bytes();

    assert!(scanned < data.len() - parts * (100 << 10), "{scanned} for {parts} chunks");
}

#[test]
fn a_given_up_stream_leaves_nothing_behind() {
    let gear = generated::gear(42);
    let (first, second) = (generated::random(43, 100_000), generated::random(44, 100_000));
    let mut chunker = Chunker::new(Arc::clone(&gear), small());
    chunker.cut(&first, Stream::Continues);
    chunker.reset();
    assert_eq!(chunker.cut(&second, Stream::Ends), cut_whole(&gear, small(), &second));
    assert_eq!(chunker.cut(&first, Stream::Ends), cut_whole(&gear, small(), &first));
}

#[test]
#[should_panic(expected = "10 bytes were handed in, but 500 were left undecided")]
fn a_lost_tail_is_noticed() {
    let mut chunker = Chunker::new(generated::gear(45), small());
    chunker.cut(&[0; 500], Stream::Continues);
    chunker.cut(&[0; 10], Stream::Ends);
}

#[test]
fn golden_cuts_never_change() {
    let (gear, data) = (generated::gear(1), generated::random(2, 8 << 20));
    let default = cut_whole(&gear, ChunkSizes::DEFAULT, &data);
    let fine = cut_whole(&gear, small(), &data);
    assert_eq!(default, GOLDEN_DEFAULT);
    assert_eq!(fine[..8], GOLDEN_SMALL_FIRST);
    assert_eq!((fine.len(), digest(&fine)), GOLDEN_SMALL);
}

// Made by a separate program from the normative text alone.
const GOLDEN_DEFAULT: [u32; 8] =
    [1_287_167, 1_070_705, 745_754, 1_135_643, 1_136_556, 711_205, 1_932_412, 369_166];
const GOLDEN_SMALL_FIRST: [u32; 8] = [6688, 5253, 5333, 9386, 4187, 4160, 5805, 4334];
const GOLDEN_SMALL: (usize, u64) = (1813, 0x05ab_fc9e_4495_8421);

/// A small average of any shape.
fn any_sizes() -> impl Strategy<Value = ChunkSizes> {
    (12u32..15).prop_flat_map(|bits| {
        let avg = 1 << bits;
        (64..=avg / 2, 2 * avg..=8 * avg)
            .prop_map(move |(min, max)| ChunkSizes::new(min, avg, max).expect("valid sizes"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_in_parts_is_cut_as_a_whole(
        seed: u64,
        sizes in any_sizes(),
        length in 0usize..300_000,
        parts in prop::collection::vec(1usize..70_000, 1..12),
    ) {
        let (gear, data) = (generated::gear(seed), mixed(seed >> 1, length));
        let whole = cut_whole(&gear, sizes, &data);
        for (_, body) in Body::all() {
            let mut chunker = Chunker::with_body(Arc::clone(&gear), sizes, body);
            prop_assert_eq!(&cut_by_parts(&mut chunker, &data, &parts), &whole);
        }
    }

    #[test]
    fn chunks_keep_their_bounds_and_cover_the_stream(
        seed: u64,
        sizes in any_sizes(),
        length in 0usize..300_000,
    ) {
        let data = mixed(seed, length);
        let lengths = cut_whole(&generated::gear(seed), sizes, &data);
        prop_assert_eq!(lengths.iter().map(|&l| l as usize).sum::<usize>(), length);
        if let Some((&last, all_but_last)) = lengths.split_last() {
            prop_assert!(last > 0 && last <= sizes.max());
            prop_assert!(all_but_last.iter().all(|&l| l > sizes.min() && l <= sizes.max()));
        }
    }
}

#[test]
fn a_stream_that_trickles_in_is_cut_as_a_whole() {
    let gear = generated::gear(46);
    let data = mixed(47, 40_000);
    let mut chunker = Chunker::new(Arc::clone(&gear), small());
    let lengths = cut_by_parts(&mut chunker, &data, &[1]);
    assert_eq!(lengths, cut_whole(&gear, small(), &data));
    assert_eq!(chunker.undecided, 0);
}
