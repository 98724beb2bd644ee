//! The config: what a vault is, signed by its root key, in clear, never changed.
//!
//! It lies at `config` and, verbatim, in the genesis record, so either survives the loss of the
//! other. The vault id is the digest of the root public key that the config holds: a client that
//! knows the id cannot be given another key. What may change is a `policy` record. FORMAT.md §4.

use crate::{
    CHUNK_BYTES_MAX, DecodeError, Decoder, Encoder, PACK_BYTES_DEFAULT, PACK_BYTES_MAX,
    PACK_BYTES_MIN, VaultId,
};
use crypto::Suite;

const VERSION: u8 = 1;
const SIGNATURE_BYTES: usize = 64;

/// What a vault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The vault's id.
    pub vault: VaultId,
    /// The owner's Ed25519 public key.
    pub root_public: [u8; 32],
    /// The ciphers of the whole vault.
    pub suite: Suite,
    /// The shortest chunk of a file that is cut, in bytes.
    pub chunk_min: u32,
    /// The chunk length that the chunker aims at, in bytes; a power of 2.
    pub chunk_avg: u32,
    /// The longest chunk, in bytes.
    pub chunk_max: u32,
    /// How large nodes of trees are.
    pub trees: TreeExponents,
    /// How many bytes the stream of a full pack has.
    pub pack_size: u32,
}

/// Node sizes of each tree, as powers of 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeExponents {
    /// File trees: leaves, interior nodes.
    pub files: (u8, u8),
    /// Recipes: leaves, interior nodes.
    pub recipes: (u8, u8),
    /// Stores' trees: leaves, interior nodes.
    pub stores: (u8, u8),
}

impl TreeExponents {
    /// The exponents of a vault that chooses none.
    pub const DEFAULT: Self = Self { files: (13, 14), recipes: (13, 14), stores: (15, 14) };

    fn all(&self) -> [u8; 6] {
        let Self { files, recipes, stores } = self;
        [files.0, files.1, recipes.0, recipes.1, stores.0, stores.1]
    }
}

impl Config {
    /// A config with the default sizes.
    pub fn new(vault: VaultId, root_public: [u8; 32], suite: Suite) -> Self {
        Self {
            vault,
            root_public,
            suite,
            chunk_min: 256 << 10,
            chunk_avg: 1 << 20,
            chunk_max: 4 << 20,
            trees: TreeExponents::DEFAULT,
            pack_size: PACK_BYTES_DEFAULT,
        }
    }

    /// What the root key signs.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).raw(self.vault.as_bytes()).raw(&self.root_public).u16(self.suite.to_u16());
        e.u32(self.chunk_min).u32(self.chunk_avg).u32(self.chunk_max);
        e.raw(&self.trees.all()).u32(self.pack_size);
        e.finish()
    }

    /// The config's bytes as they lie in the place.
    pub fn encode_signed(&self, signature: &[u8; SIGNATURE_BYTES]) -> Vec<u8> {
        let mut bytes = self.encode();
        bytes.extend_from_slice(signature);
        bytes
    }

    /// Reads a config and its signature, which the caller must verify with `root_public` after it
    /// has checked that this key makes the vault id.
    pub fn decode(bytes: &[u8]) -> Result<(Self, [u8; SIGNATURE_BYTES]), DecodeError> {
        let mut d = Decoder::new(bytes);
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "the config", version, known: VERSION });
        }
        let vault = VaultId::from_bytes(d.array()?);
        let root_public = d.array()?;
        let code = d.u16()?;
        let suite = Suite::from_u16(code).map_err(|_| d.invalid("the suite", code.into()))?;
        let (chunk_min, chunk_avg, chunk_max) = (d.u32()?, d.u32()?, d.u32()?);
        let [a, b, c, e, f, g] = d.array()?;
        let trees = TreeExponents { files: (a, b), recipes: (c, e), stores: (f, g) };
        let pack_size = d.u32()?;
        let config =
            Self { vault, root_public, suite, chunk_min, chunk_avg, chunk_max, trees, pack_size };
        config.check(&d)?;
        let signature = d.array()?;
        d.finish()?;
        Ok((config, signature))
    }

    fn check(&self, d: &Decoder<'_>) -> Result<(), DecodeError> {
        let avg = self.chunk_avg;
        if !avg.is_power_of_two() || !((4 << 10)..=(8 << 20)).contains(&avg) {
            return Err(d.invalid("the average chunk size", avg.into()));
        }
        if self.chunk_min < 64 || self.chunk_min > avg / 2 {
            return Err(d.invalid("the smallest chunk size", self.chunk_min.into()));
        }
        if self.chunk_max < 2 * avg || self.chunk_max > CHUNK_BYTES_MAX {
            return Err(d.invalid("the largest chunk size", self.chunk_max.into()));
        }
        if let Some(exponent) = self.trees.all().iter().find(|m| !(8..=16).contains(*m)) {
            return Err(d.invalid("a tree exponent", (*exponent).into()));
        }
        let whole = self.pack_size.is_multiple_of(64 << 10);
        if !whole || !(PACK_BYTES_MIN..=PACK_BYTES_MAX).contains(&self.pack_size) {
            return Err(d.invalid("the pack size", self.pack_size.into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new(VaultId::from_bytes([1; 32]), [2; 32], Suite::Aes256Gcm)
    }

    #[test]
    fn a_config_reads_back_and_nothing_shorter_or_longer_does() {
        let bytes = config().encode_signed(&[3; 64]);
        assert_eq!(Config::decode(&bytes), Ok((config(), [3; 64])));
        for length in 0..bytes.len() {
            assert!(Config::decode(&bytes[..length]).is_err(), "{length} bytes were taken");
        }
        assert!(Config::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn sizes_that_would_break_the_engine_are_refused() {
        let bad: [fn(&mut Config); 6] = [
            |c| c.chunk_avg = 3 << 20,
            |c| c.chunk_min = 0,
            |c| c.chunk_max = 32 << 20,
            |c| c.trees.files.0 = 30,
            |c| c.pack_size = 0,
            |c| c.pack_size = (8 << 20) + 1,
        ];
        for change in bad {
            let mut config = config();
            change(&mut config);
            let bytes = config.encode_signed(&[3; 64]);
            assert!(Config::decode(&bytes).is_err(), "{config:?} was taken");
        }
    }
}
