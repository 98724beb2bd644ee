//! A key slot: a role bundle sealed under a passphrase.
//!
//! version u8 = 1 ‖ suite u16 ‖ vault id ‖ factors u8 ‖ Argon2id memory KiB u32 ‖ passes u32 ‖
//! lanes u32 ‖ salt[32] ‖ commitment[32], in clear, then small(bundle) to the end. With the hash
//! Argon2id(passphrase, salt), the key is KDF(hash, "slot", factors u8) and the commitment
//! KDF(hash, "slot-commit", factors u8): no slot opens under two passphrases, and a wrong one is
//! told from damage. Everything in clear is authenticated with the bundle. A slot lies in a place
//! that others can write to, so its Argon2 parameters have limits that are checked before anything
//! is allocated. Argon2id: RFC 9106. DESIGN §6.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::entropy::draw;
use crate::key::KEY_BYTES;
use crate::member::version_error;
use crate::{
    Bundle, DecodeError, Decoder, Encoder, Entropy, Error, Result, SMALL_OVERHEAD, SmallKind,
    Suite, SymmetricKey, VaultId, kdf, open_small, seal_small,
};

/// A key slot as read from a place, not yet opened.
#[derive(Clone, Debug)]
pub struct Slot {
    clear: Clear,
    sealed: Vec<u8>,
}

impl Slot {
    /// The longest slot, in bytes.
    pub const BYTES_MAX: usize = 1 << 20;

    /// Seals `bundle` under `passphrase`; gives the slot's bytes.
    ///
    /// # Errors
    /// [`Error::EmptyPassphrase`], [`Error::KdfLimits`], [`Error::KdfMemory`].
    pub fn seal(
        passphrase: &[u8],
        parameters: Argon2Parameters,
        bundle: &Bundle,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>> {
        if passphrase.is_empty() {
            return Err(Error::EmptyPassphrase);
        }
        let mut clear = Clear {
            suite: bundle.suite(),
            vault_id: bundle.vault_id(),
            factors: FACTOR_PASSPHRASE,
            parameters,
            salt: draw(entropy),
            commitment: [0; KEY_BYTES],
        };
        let Derived { key, commitment } = clear.derive(passphrase)?;
        clear.commitment = *commitment;
        let mut out = clear.encode();
        let sealed = seal_small(
            clear.suite,
            &key,
            SmallKind::KeySlot,
            clear.vault_id,
            &out,
            &bundle.encode(),
            entropy,
        );
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// Reads a slot's clear part; checks nothing that needs the passphrase.
    ///
    /// # Errors
    /// [`Error::Decode`] when it is malformed, [`Error::UnknownSuite`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > Self::BYTES_MAX {
            let (value, max) = (bytes.len() as u64, Self::BYTES_MAX as u64);
            return Err(DecodeError::Limit { at: 0, value, max }.into());
        }
        let mut decoder = Decoder::new(bytes);
        let clear = Clear::read(&mut decoder)?;
        let sealed = decoder.rest();
        if sealed.len() < SMALL_OVERHEAD {
            let (at, wanted) = (decoder.position(), SMALL_OVERHEAD);
            return Err(DecodeError::Short { at, wanted }.into());
        }
        Ok(Self { clear, sealed: sealed.to_vec() })
    }

    /// Opens the slot. Takes as long and as much memory as its parameters say.
    ///
    /// # Errors
    /// [`Error::KdfLimits`] and [`Error::Factors`] before any work; [`Error::KdfMemory`];
    /// [`Error::WrongPassphrase`] when the commitment is not the passphrase's: it is wrong, or
    /// salt, parameters or commitment were changed; [`Error::SlotDamaged`] when it is the
    /// passphrase's and the rest was changed; those of [`Bundle::decode`]; [`Error::OtherVault`]
    /// and [`Error::OtherSuite`] when the bundle is not of the slot's vault.
    pub fn open(&self, passphrase: &[u8]) -> Result<Bundle> {
        let clear = &self.clear;
        if clear.factors != FACTOR_PASSPHRASE {
            return Err(Error::Factors { factors: clear.factors });
        }
        let Derived { key, commitment } = clear.derive(passphrase)?;
        verify_slices_are_equal(&commitment[..], &clear.commitment)
            .map_err(|_| Error::WrongPassphrase)?;
        let kind = SmallKind::KeySlot;
        let names = clear.encode();
        let plain = open_small(clear.suite, &key, kind, clear.vault_id, &names, &self.sealed)
            .map(Zeroizing::new)
            .map_err(|_| Error::SlotDamaged)?;
        let bundle = Bundle::decode(&plain)?;
        if bundle.vault_id() != clear.vault_id {
            let (expected, actual) = (clear.vault_id, bundle.vault_id());
            return Err(Error::OtherVault { expected, actual });
        }
        if bundle.suite() != clear.suite {
            let (expected, actual) = (clear.suite, bundle.suite());
            return Err(Error::OtherSuite { expected, actual });
        }
        Ok(bundle)
    }

    /// The vault it says it is for.
    pub fn vault_id(&self) -> VaultId {
        self.clear.vault_id
    }

    /// The suite it says it is sealed with.
    pub fn suite(&self) -> Suite {
        self.clear.suite
    }

    /// What its passphrase is hashed with.
    pub fn parameters(&self) -> Argon2Parameters {
        self.clear.parameters
    }
}

/// How hard a passphrase is to guess: the cost of one guess.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argon2Parameters {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes, worked on in parallel.
    pub lanes: u32,
}

impl Argon2Parameters {
    /// 256 MiB, 3 passes, 4 lanes.
    pub const DEFAULT: Self = Self { memory_kib: 256 << 10, passes: 3, lanes: 4 };

    /// Protects nothing; makes tests fast.
    pub const CHEAP_FOR_TESTS: Self = Self { memory_kib: 64, passes: 1, lanes: 1 };

    /// The most memory, in KiB: 4 GiB.
    pub const MEMORY_KIB_MAX: u32 = 4 << 20;

    /// The most passes.
    pub const PASSES_MAX: u32 = 16;

    /// The most lanes.
    pub const LANES_MAX: u32 = 64;

    /// Below this memory, in KiB, a warning is due.
    pub const MEMORY_KIB_FLOOR: u32 = 64 << 10;

    /// Whether a guess is so cheap that a warning is due.
    pub const fn is_below_floor(&self) -> bool {
        self.memory_kib < Self::MEMORY_KIB_FLOOR
    }

    /// Checks the limits.
    ///
    /// # Errors
    /// [`Error::KdfLimits`] when one is passed.
    pub const fn check(&self) -> Result<()> {
        let Self { memory_kib, passes, lanes } = *self;
        let sane = memory_kib <= Self::MEMORY_KIB_MAX
            && passes >= 1
            && passes <= Self::PASSES_MAX
            && lanes >= 1
            && lanes <= Self::LANES_MAX
            && memory_kib >= 8 * lanes;
        if sane { Ok(()) } else { Err(Error::KdfLimits { memory_kib, passes, lanes }) }
    }

    fn hash(&self, passphrase: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
        self.check()?;
        let Self { memory_kib, passes, lanes } = *self;
        let params = Params::new(memory_kib, passes, lanes, Some(KEY_BYTES))
            .map_err(|_| Error::KdfLimits { memory_kib, passes, lanes })?;
        let mut hash = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, salt, &mut hash[..])
            .map_err(|_| Error::KdfMemory { memory_kib })?;
        Ok(hash)
    }
}

impl Default for Argon2Parameters {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What stands in clear at the start of a slot.
#[derive(Clone, Debug)]
struct Clear {
    suite: Suite,
    vault_id: VaultId,
    factors: u8,
    parameters: Argon2Parameters,
    salt: [u8; 32],
    commitment: [u8; KEY_BYTES],
}

/// What follows from a passphrase.
struct Derived {
    key: SymmetricKey,
    commitment: Zeroizing<[u8; KEY_BYTES]>,
}

impl Clear {
    fn read(decoder: &mut Decoder<'_>) -> Result<Self> {
        let version = decoder.u8()?;
        if version != VERSION {
            return Err(version_error("key slot", version).into());
        }
        Ok(Self {
            suite: Suite::from_u16(decoder.u16()?)?,
            vault_id: VaultId::from_bytes(decoder.array()?),
            factors: decoder.u8()?,
            parameters: Argon2Parameters {
                memory_kib: decoder.u32()?,
                passes: decoder.u32()?,
                lanes: decoder.u32()?,
            },
            salt: decoder.array()?,
            commitment: decoder.array()?,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder
            .u8(VERSION)
            .u16(self.suite.to_u16())
            .raw(self.vault_id.as_bytes())
            .u8(self.factors)
            .u32(self.parameters.memory_kib)
            .u32(self.parameters.passes)
            .u32(self.parameters.lanes)
            .raw(&self.salt)
            .raw(&self.commitment);
        encoder.finish()
    }

    fn derive(&self, passphrase: &[u8]) -> Result<Derived> {
        let hash = self.parameters.hash(passphrase, &self.salt)?;
        let key = SymmetricKey::from_bytes(kdf::derive(&hash[..], "slot", &[self.factors]));
        Ok(Derived { key, commitment: kdf::derive(&hash[..], "slot-commit", &[self.factors]) })
    }
}

const VERSION: u8 = 1;
const FACTOR_PASSPHRASE: u8 = 0x01;

#[cfg(test)]
mod tests;
