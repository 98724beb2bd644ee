//! How large chunks are: at least, on average, at most.
//!
//! A value of [`ChunkSizes`] has been checked, so the rest of the crate never checks again. The
//! limits keep three things true: a cut depends only on bytes of its own chunk (the minimum is
//! longer than the gear's window), both thresholds fit 32 bits, and a chunk fits the format's
//! limit.

use crate::gear::WINDOW_BYTES;

/// The smallest average chunk size, in bytes.
pub const AVG_BYTES_MIN: u32 = 4 << 10;
/// The largest average chunk size, in bytes.
pub const AVG_BYTES_MAX: u32 = 8 << 20;
/// The smallest minimum chunk size, in bytes.
pub const MIN_BYTES_MIN: u32 = 64;
/// No chunk is ever longer, in bytes.
pub const CHUNK_BYTES_MAX: u32 = 16 << 20;

const _: () = assert!(MIN_BYTES_MIN as usize >= WINDOW_BYTES);
const _: () = assert!(2 * AVG_BYTES_MAX <= CHUNK_BYTES_MAX);
const _: () = assert!(MIN_BYTES_MIN <= AVG_BYTES_MIN / 2);

/// The bounds of chunk lengths, in bytes. The mean length of a long stream's chunks is about
/// `min + avg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkSizes {
    min: u32,
    avg: u32,
    max: u32,
}

impl ChunkSizes {
    /// For files: 256 KiB, 1 MiB, 4 MiB.
    pub const DEFAULT: Self = Self { min: 256 << 10, avg: 1 << 20, max: 4 << 20 };

    /// Checks and keeps the three sizes.
    ///
    /// # Errors
    /// `avg` is not a power of two from 4 KiB to 8 MiB, `min` is not from 64 to `avg / 2`, or `max`
    /// is not from `2 * avg` to 16 MiB.
    pub const fn new(min: u32, avg: u32, max: u32) -> Result<Self, Error> {
        if !avg.is_power_of_two() || avg < AVG_BYTES_MIN || avg > AVG_BYTES_MAX {
            return Err(Error::Average { avg });
        }
        if min < MIN_BYTES_MIN || min > avg / 2 {
            return Err(Error::Minimum { min, most: avg / 2 });
        }
        if max < 2 * avg || max > CHUNK_BYTES_MAX {
            return Err(Error::Maximum { max, least: 2 * avg });
        }
        Ok(Self { min, avg, max })
    }

    /// Every chunk but a stream's last is longer than this.
    pub const fn min(self) -> u32 {
        self.min
    }

    /// Where the search for a boundary becomes easier; a power of two.
    pub const fn avg(self) -> u32 {
        self.avg
    }

    /// No chunk is longer than this.
    pub const fn max(self) -> u32 {
        self.max
    }
}

impl Default for ChunkSizes {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why chunk sizes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The average is out of range or not a power of two.
    #[error(
        "average chunk size {avg} is not a power of two from {AVG_BYTES_MIN} to {AVG_BYTES_MAX}"
    )]
    Average {
        /// The size that was asked for, in bytes.
        avg: u32,
    },
    /// The minimum is out of range.
    #[error("minimum chunk size {min} is not from {MIN_BYTES_MIN} to {most} (half the average)")]
    Minimum {
        /// The size that was asked for, in bytes.
        min: u32,
        /// The largest that the average allows, in bytes.
        most: u32,
    },
    /// The maximum is out of range.
    #[error(
        "maximum chunk size {max} is not from {least} (twice the average) to {CHUNK_BYTES_MAX}"
    )]
    Maximum {
        /// The size that was asked for, in bytes.
        max: u32,
        /// The smallest that the average allows, in bytes.
        least: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_sizes_pass_their_own_check() {
        let ChunkSizes { min, avg, max } = ChunkSizes::DEFAULT;
        assert_eq!(ChunkSizes::new(min, avg, max), Ok(ChunkSizes::DEFAULT));
        assert_eq!(ChunkSizes::default(), ChunkSizes::DEFAULT);
    }

    #[test]
    fn sizes_at_the_limits_are_accepted() {
        for (min, avg, max) in [
            (64, 4 << 10, 8 << 10),
            (2 << 10, 4 << 10, 16 << 20),
            (64, 8 << 20, 16 << 20),
            (4 << 20, 8 << 20, 16 << 20),
        ] {
            let sizes = ChunkSizes::new(min, avg, max).expect("valid sizes");
            assert_eq!((sizes.min(), sizes.avg(), sizes.max()), (min, avg, max));
        }
    }

    #[test]
    fn sizes_beyond_the_limits_are_refused_by_name() {
        for avg in [0, 1, 2 << 10, 5000, 16 << 20, u32::MAX, 1 << 31] {
            assert_eq!(ChunkSizes::new(64, avg, 16 << 20), Err(Error::Average { avg }));
        }
        for min in [0, 63, 2049, u32::MAX] {
            let refused = ChunkSizes::new(min, 4096, 8192);
            assert_eq!(refused, Err(Error::Minimum { min, most: 2048 }));
        }
        for max in [0, 8191, (16 << 20) + 1, u32::MAX] {
            let refused = ChunkSizes::new(64, 4096, max);
            assert_eq!(refused, Err(Error::Maximum { max, least: 8192 }));
        }
    }

    #[test]
    fn a_refusal_names_the_size_and_its_bounds() {
        let refused = ChunkSizes::new(63, 4096, 8192).expect_err("63 is too small");
        assert_eq!(
            refused.to_string(),
            "minimum chunk size 63 is not from 64 to 2048 (half the average)"
        );
    }
}
