//! The keyed rolling hash that finds boundaries.
//!
//! One step is `h = 2h + g[byte]` modulo 2^32, so a byte leaves the hash after 32 steps. `g` is the
//! XOR of two nibble tables: small enough for one vector register each, which is what lets sixteen
//! stripes step at once. The tables are key material: they are overwritten when dropped and have no
//! `Debug` and no `Clone`. Normative text: the crate's documentation.

use zeroize::ZeroizeOnDrop;

/// How many bytes before a position its hash depends on.
pub(crate) const WINDOW_BYTES: usize = 32;

/// The key of the chunker. Equal gears and equal sizes cut equal content alike.
#[derive(ZeroizeOnDrop)]
pub struct Gear {
    pub(crate) low: [u32; 16],
    pub(crate) high: [u32; 16],
    /// In plane `i`, byte `i` of each entry of `low`: the form that byte shuffles look up.
    pub(crate) low_planes: [[u8; 16]; 4],
    pub(crate) high_planes: [[u8; 16]; 4],
    bytes: [u32; 256],
}

impl Gear {
    /// Reads the low nibble's table, then the high nibble's, each 16 little-endian u32.
    /// The bytes must be uniform and secret, drawn from the vault's chunker key.
    pub fn from_bytes(key: &[u8; 128]) -> Self {
        let mut gear = Self {
            low: [0; 16],
            high: [0; 16],
            low_planes: [[0; 16]; 4],
            high_planes: [[0; 16]; 4],
            bytes: [0; 256],
        };
        let (low, high) = key.split_at(64);
        read_table(low, &mut gear.low, &mut gear.low_planes);
        read_table(high, &mut gear.high, &mut gear.high_planes);
        for byte in 0..256 {
            gear.bytes[byte] = gear.low[byte & 15] ^ gear.high[byte >> 4];
        }
        gear
    }

    /// The hash one byte on.
    #[inline(always)]
    pub(crate) fn step(&self, hash: u32, byte: u8) -> u32 {
        (hash << 1).wrapping_add(self.bytes[byte as usize])
    }

    /// The hash at position `at`: that of the window before it, or of all bytes when there are
    /// fewer.
    pub(crate) fn hash_at(&self, data: &[u8], at: usize) -> u32 {
        let window = &data[at.saturating_sub(WINDOW_BYTES)..at];
        window.iter().fold(0, |hash, &byte| self.step(hash, byte))
    }
}

/// Reads 16 little-endian u32, as words and as planes of bytes.
fn read_table(key: &[u8], words: &mut [u32; 16], planes: &mut [[u8; 16]; 4]) {
    for (i, entry) in key.as_chunks::<4>().0.iter().enumerate() {
        words[i] = u32::from_le_bytes(*entry);
        for (plane, &byte) in planes.iter_mut().zip(entry) {
            plane[i] = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_little_endian_low_nibble_first() {
        let key: [u8; 128] = std::array::from_fn(|i| i as u8);
        let gear = Gear::from_bytes(&key);
        assert_eq!(gear.step(0, 0x00), 0x0302_0100 ^ 0x4342_4140);
        assert_eq!(gear.step(0, 0x01), 0x0706_0504 ^ 0x4342_4140);
        assert_eq!(gear.step(0, 0xf2), 0x0b0a_0908 ^ 0x7f7e_7d7c);
        assert_eq!(gear.step(1, 0x00), 2 + (0x0302_0100 ^ 0x4342_4140));
    }

    #[test]
    fn a_byte_leaves_the_hash_after_a_window() {
        let gear = Gear::from_bytes(&std::array::from_fn(|i| (i * 37 + 11) as u8));
        let mut rolling = 0;
        let data: Vec<u8> = (0..200u32).map(|i| (i * i / 7) as u8).collect();
        for (i, &byte) in data.iter().enumerate() {
            rolling = gear.step(rolling, byte);
            assert_eq!(rolling, gear.hash_at(&data, i + 1));
        }
    }
}
