//! How much a verification reads, and what it may append.
//!
//! Plain values: which packs a [`Reading`] takes is decided in `plan.rs`, from these, from what the
//! ledger knows and from what was read before.

use std::time::Duration;

/// How much of the packs is read; ledger, runs and trees are always read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reading {
    /// None: every pack is there and as long as it should be.
    #[default]
    Structure,
    /// All of them.
    All,
    /// So many of them, drawn anew each time.
    Sample(Fraction),
    /// Those that are due, so that runs spread over this span read every stored byte once within
    /// it. Which pack was read when is remembered in the host's state folder.
    Coverage(Duration),
}

/// A part of a whole, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u32);

impl Fraction {
    /// All of it.
    pub const WHOLE: Self = Self(1_000_000);
    /// Half of it.
    pub const HALF: Self = Self(500_000);

    /// So many millionths: 1 to 1,000,000.
    pub const fn from_millionths(millionths: u32) -> Option<Self> {
        match millionths {
            1..=1_000_000 => Some(Self(millionths)),
            _ => None,
        }
    }

    /// The part of a number, rounded up.
    pub fn of(self, whole: u64) -> u64 {
        let part = (u128::from(whole) * u128::from(self.0)).div_ceil(1_000_000);
        u64::try_from(part).unwrap_or(whole)
    }
}

/// Whether what was found goes into the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reporting {
    /// Packs that are damaged or missing are appended as `lost`, so that the next backup stores
    /// what they held again; packs that read well again as `found`.
    #[default]
    Append,
    /// Nothing is appended.
    Never,
}

/// How to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct VerifyOptions {
    /// How much is read.
    pub reading: Reading,
    /// Whether what is found is appended.
    pub reporting: Reporting,
}

impl VerifyOptions {
    /// Reads so much and appends what it finds.
    pub fn new(reading: Reading) -> Self {
        Self { reading, reporting: Reporting::default() }
    }
}
