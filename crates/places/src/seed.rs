//! A deterministic stream of numbers from one seed, shared by threads.
//!
//! For jitter and for chosen faults, where one seed must replay the same run; never for secrets.
//! SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers drawn one after another.
pub(crate) struct Seeded {
    state: AtomicU64,
}

impl Seeded {
    /// Equal seeds draw equal numbers.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// A number below `bound`, zero when `bound` is zero.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    fn draw(&self) -> u64 {
        let state = self.state.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_first_numbers_of_seed_1234567_are_drawn() {
        let seeded = Seeded::new(1_234_567);
        assert_eq!(seeded.draw(), 6_457_827_717_110_365_317);
        assert_eq!(seeded.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let seeded = Seeded::new(1);
        assert!((0..1000).all(|_| seeded.below(7) < 7));
        assert_eq!(seeded.below(0), 0);
    }
}
