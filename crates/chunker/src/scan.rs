//! Finds the candidates: positions whose hash is below a threshold.
//!
//! A vectorised body looks for 64-byte blocks that hold a candidate (one block in some thousands
//! does), and the scalar body then judges those blocks alone. So there is one definition of a
//! candidate, in [`scan_scalar`], and a vectorised body can only be wrong by missing a block.

use std::ops::Range;

use crate::ChunkSizes;
use crate::gear::Gear;
use crate::simd::{BLOCK_BYTES, Body};

/// How much is scanned at a time, in bytes: whole blocks for each of 16 stripes, small enough that
/// little is scanned beyond a boundary, where the next chunk's minimum is skipped.
pub(crate) const SEGMENT_BYTES: usize = 128 << 10;

const _: () = assert!(SEGMENT_BYTES.is_multiple_of(16 * BLOCK_BYTES));

/// A position at which a chunk may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The position, counted from the start of the scanned range.
    pub(crate) end: u32,
    /// Whether it may end a chunk that is still shorter than the average.
    pub(crate) strong: bool,
}

/// A hash below `easy` makes a candidate, below `hard` a strong one.
#[derive(Clone, Copy)]
pub(crate) struct Thresholds {
    pub(crate) easy: u32,
    pub(crate) hard: u32,
}

impl Thresholds {
    /// Normalisation level 2: four times as hard below the average as without, then as easy.
    pub(crate) fn new(sizes: ChunkSizes) -> Self {
        let bits = sizes.avg().ilog2();
        Self { easy: 1 << (32 - (bits - 2)), hard: 1 << (32 - (bits + 2)) }
    }
}

/// Scans ranges and keeps the room for their results, so that no scan allocates anew.
pub(crate) struct Scanner {
    thresholds: Thresholds,
    body: Body,
    blocks: Vec<u32>,
    candidates: Vec<Candidate>,
    #[cfg(test)]
    scanned_bytes: usize,
}

impl Scanner {
    pub(crate) fn new(sizes: ChunkSizes, body: Body) -> Self {
        let thresholds = Thresholds::new(sizes);
        Self {
            thresholds,
            body,
            blocks: Vec::new(),
            candidates: Vec::new(),
            #[cfg(test)]
            scanned_bytes: 0,
        }
    }

    /// The candidates after each byte of `range`, in order. The hashes' windows reach back into
    /// what lies before the range. At most 2^32 - 1 bytes.
    pub(crate) fn scan(&mut self, gear: &Gear, data: &[u8], range: Range<usize>) -> &[Candidate] {
        debug_assert!(u32::try_from(range.len()).is_ok());
        #[cfg(test)]
        {
            self.scanned_bytes += range.len();
        }
        self.candidates.clear();
        self.blocks.clear();
        let easy = self.thresholds.easy;
        let searched = self.body.find_blocks(gear, easy, data, range.clone(), &mut self.blocks);
        // The stripes report side by side.
        self.blocks.sort_unstable();
        let origin = range.start;
        for &block in &self.blocks {
            let start = origin + block as usize;
            let part = start..start + BLOCK_BYTES;
            scan_scalar(gear, self.thresholds, data, part, origin, &mut self.candidates);
        }
        let rest = origin + searched..range.end;
        scan_scalar(gear, self.thresholds, data, rest, origin, &mut self.candidates);
        &self.candidates
    }

    /// How many bytes all scans together have covered.
    #[cfg(test)]
    pub(crate) fn scanned_bytes(&self) -> usize {
        self.scanned_bytes
    }
}

/// Appends the candidates after each byte of `range`, as positions counted from `origin`.
fn scan_scalar(
    gear: &Gear,
    thresholds: Thresholds,
    data: &[u8],
    range: Range<usize>,
    origin: usize,
    candidates: &mut Vec<Candidate>,
) {
    let mut hash = gear.hash_at(data, range.start);
    let first = range.start - origin + 1;
    for (i, &byte) in data[range].iter().enumerate() {
        hash = gear.step(hash, byte);
        if hash < thresholds.easy {
            let end = (first + i) as u32;
            candidates.push(Candidate { end, strong: hash < thresholds.hard });
        }
    }
}

#[cfg(test)]
mod tests;
