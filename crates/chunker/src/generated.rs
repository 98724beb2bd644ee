//! Test data made from a seed: the same seed, the same bytes, on every machine.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood 2014), its outputs written little-endian. Golden
//! cuts are frozen over these bytes, so nothing here may change.

use std::sync::Arc;

use crate::Gear;

/// `length` uniform bytes.
pub(crate) fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&split_mix(&mut state).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Words from a small vocabulary, blank-separated: compressible, without a period.
pub(crate) fn text(seed: u64, length: usize) -> Vec<u8> {
    let words = "the vault holds packs and the ledger names every snapshot of a source in order";
    let words: Vec<&str> = words.split(' ').collect();
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 16);
    while bytes.len() < length {
        let word = split_mix(&mut state) as usize % words.len();
        bytes.extend_from_slice(words[word].as_bytes());
        bytes.push(b' ');
    }
    bytes.truncate(length);
    bytes
}

/// A gear drawn from a seed.
pub(crate) fn gear(seed: u64) -> Arc<Gear> {
    let key = random(seed, 128);
    Arc::new(Gear::from_bytes(key.as_slice().try_into().expect("128 bytes were drawn")))
}

pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
