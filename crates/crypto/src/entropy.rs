//! Where randomness comes from.
//!
//! Whoever draws a key, a nonce or an id is handed an [`Entropy`]: the system's in programs, a
//! seeded one in simulations, so that one seed replays the world. Nothing else in the project
//! asks for random bytes. DESIGN §3.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hpke::rand_core::{TryCryptoRng, TryRng};

use crate::SealWitness;

/// A source of random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `out` with bytes that nobody can predict.
    fn fill(&self, out: &mut [u8]);

    /// Who is told of every seal made with what is drawn here: nobody, but in tests that look for
    /// a nonce used twice.
    #[doc(hidden)]
    fn witness(&self) -> Option<Arc<dyn SealWitness>> {
        None
    }
}

/// The operating system's source.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Panics
    /// When the system has no random source: nothing can be sealed safely then.
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system has a working random source");
    }
}

/// The same bytes for the same seed and order of calls. For simulations and tests only: whoever
/// knows the seed knows every key.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    calls: AtomicU64,
}

impl SeededEntropy {
    /// Starts the sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed, calls: AtomicU64::new(0) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut hasher = blake3::Hasher::new_derive_key("strongroom-v1 seeded entropy");
        hasher.update(&self.seed.to_le_bytes()).update(&call.to_le_bytes());
        hasher.finalize_xof().fill(out);
    }
}

/// Draws an array.
pub(crate) fn draw<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// An [`Entropy`] in the shape that the hpke crate asks for.
pub(crate) struct EntropyRng<'a>(pub(crate) &'a dyn Entropy);

impl TryRng for EntropyRng<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(draw(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(draw(self.0)))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for EntropyRng<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_its_sequence_and_no_other() {
        let [one, same, other] = [7, 7, 8].map(SeededEntropy::new);
        let first = draw::<40>(&one);
        assert_eq!(first, draw(&same));
        assert_ne!(first, draw(&other));
        assert_ne!(first, draw(&one), "a second call gave the bytes of the first");
    }
}
