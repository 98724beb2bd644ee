//! Judges from samples whether data is worth compressing.
//!
//! Three samples of 4 KiB are compressed at zstd level 1: on real data this misses fewer
//! compressible chunks than a faster level on one sample or a count of byte values, and it costs
//! a hundredth of what compressing all would. The judgement saves time and decides nothing else: a
//! wrong one stores more bytes or takes longer. What is small is not sampled, as trying is cheap.

use zstd::bulk::Compressor;

/// Shorter data is always worth a try, in bytes.
const TRIED_ALWAYS_BYTES: usize = 64 << 10;
const SAMPLE_BYTES: usize = 4 << 10;
const SAMPLES: usize = 3;
/// A sample must come to at most this share of itself, in percent.
const WORTHWHILE_PERCENT: usize = 97;
const LEVEL: i32 = 1;

const _: () = assert!(TRIED_ALWAYS_BYTES >= SAMPLES * SAMPLE_BYTES);

/// Whether compression is likely to save something: a sample at the front, in the middle or at the
/// end of `data` shrinks by 3 % or more. Data below 64 KiB is always said to be compressible.
pub fn looks_compressible(data: &[u8], probe: &mut Probe) -> bool {
    if data.len() < TRIED_ALWAYS_BYTES {
        return true;
    }
    let last = data.len() - SAMPLE_BYTES;
    (0..SAMPLES).any(|i| {
        let start = last / (SAMPLES - 1) * i;
        probe.shrinks(&data[start..start + SAMPLE_BYTES])
    })
}

/// A compressor kept between judgements, and its room. One per thread.
pub struct Probe {
    compressor: Compressor<'static>,
    compressed: Vec<u8>,
}

impl Probe {
    /// Allocates the compressor, some hundreds of kilobytes.
    pub fn new() -> Self {
        let compressor = Compressor::new(LEVEL).expect("zstd takes level 1 without a dictionary");
        let compressed = Vec::with_capacity(zstd::zstd_safe::compress_bound(SAMPLE_BYTES));
        Self { compressor, compressed }
    }

    fn shrinks(&mut self, sample: &[u8]) -> bool {
        self.compressed.clear();
        match self.compressor.compress_to_buffer(sample, &mut self.compressed) {
            Ok(length) => length * 100 <= sample.len() * WORTHWHILE_PERCENT,
            // Nothing was learnt: let the real compression find out.
            Err(_) => true,
        }
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated;

    fn judge(data: &[u8]) -> bool {
        looks_compressible(data, &mut Probe::new())
    }

    #[test]
    fn random_data_is_not_worth_compressing() {
        assert!(!judge(&generated::random(1, TRIED_ALWAYS_BYTES)));
        assert!(!judge(&generated::random(2, (1 << 20) + 1)));
    }

    #[test]
    fn text_and_zeros_are_worth_compressing() {
        assert!(judge(&generated::text(3, 300_000)));
        assert!(judge(&[0; 100_000]));
    }

    #[test]
    fn small_data_is_always_worth_a_try() {
        assert!(judge(&[]));
        assert!(judge(&generated::random(4, TRIED_ALWAYS_BYTES - 1)));
    }

    #[test]
    fn one_compressible_sample_anywhere_is_enough() {
        let length = 200_001;
        for start in [0, (length - SAMPLE_BYTES) / 2, length - SAMPLE_BYTES] {
            let mut data = generated::random(5, length);
            data[start..start + SAMPLE_BYTES].fill(b' ');
            assert!(judge(&data), "blank at {start}");
        }
    }

    #[test]
    fn a_probe_judges_the_same_again_and_again() {
        let mut probe = Probe::default();
        let (random, text) = (generated::random(6, 100_000), generated::text(6, 100_000));
        for _ in 0..3 {
            assert!(!looks_compressible(&random, &mut probe));
            assert!(looks_compressible(&text, &mut probe));
        }
    }
}
