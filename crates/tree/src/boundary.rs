//! Where a node ends.
//!
//! The rule sees a node's weight before and after an entry, the entry's keyed hash and the node's
//! level, and nothing else: a node that starts at the same entry ends at the same entry, in every
//! tree of one domain. The chance of a cut grows with the fourth power of the weight, so sizes lie
//! close to 0.9 · 2^m (a discrete Weibull law; Dolt's chunker has the same shape in floats). All
//! arithmetic is on integers; the key keeps node sizes from telling what the keys are. FORMAT.md
//! §8.

use crypto::TreeKey;
use std::sync::Arc;

/// Decides where nodes end.
#[derive(Clone)]
pub struct Boundary {
    key: Arc<TreeKey>,
    leaf_exponent: u8,
    interior_exponent: u8,
}

impl Boundary {
    /// The rule of one tree: leaves aim at 2^`leaf_exponent` bytes, nodes above at
    /// 2^`interior_exponent`.
    ///
    /// # Panics
    /// When an exponent is not in 4..=20, where the arithmetic is exact; a config's are in 8..=16.
    pub fn new(key: Arc<TreeKey>, leaf_exponent: u8, interior_exponent: u8) -> Self {
        for exponent in [leaf_exponent, interior_exponent] {
            assert!((4..=20).contains(&exponent), "a node exponent of {exponent} is not in 4..=20");
        }
        Self { key, leaf_exponent, interior_exponent }
    }

    /// Whether a node of this level ends after an entry. `entries` counts the node's entries, this
    /// one among them; `before` is the weight of those before it, `weight` its own, in bytes.
    pub fn cut(&self, level: u8, entries: u64, before: u64, key: &[u8], weight: u64) -> bool {
        let exponent =
            u32::from(if level == 0 { self.leaf_exponent } else { self.interior_exponent });
        let after = before.saturating_add(weight);
        // At least two entries above the leaves: each level has at most half the nodes of the one
        // below, rounded up, however long the keys are.
        if (level > 0 && entries < 2) || after < (1 << exponent) / 16 {
            return false;
        }
        if after >= 4 << exponent {
            return true;
        }
        let hash = u128::from(self.key.boundary(level, key));
        let fourth_power = |x: u64| u128::from(x).pow(4);
        // `before` < `after` < 2^22 here, so both sides stay below 2^120.
        (hash << (4 * exponent)) < ((fourth_power(after) - fourth_power(before)) << 32)
    }
}

/// The weight of an entry, in bytes.
pub(crate) fn weight(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len() + ENTRY_FRAME_BYTES) as u64
}

/// What an entry weighs beside its key and value.
const ENTRY_FRAME_BYTES: usize = 8;

#[cfg(test)]
mod tests;
