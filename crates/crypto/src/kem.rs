//! Keys to which anyone can seal and that only their holder can open with.
//!
//! X-Wing (X25519 + ML-KEM-768, KEM 0x647a) in HPKE base mode (RFC 9180) with HKDF-SHA256 and the
//! suite's AEAD: backups are harvested today and opened in twenty years, so both halves must fall
//! before a data key does. The secret is its 32-byte seed. DESIGN §5.

use hpke::Kem as _;
use hpke::aead::{Aead, AesGcm256, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use zeroize::Zeroizing;

use crate::entropy::{EntropyRng, draw};
use crate::witness::Watched;
use crate::{Entropy, Error, Result, Sealing, Suite};

type Public = <XWing as hpke::Kem>::PublicKey;
type Secret = <XWing as hpke::Kem>::PrivateKey;
type Encapsulated = <XWing as hpke::Kem>::EncappedKey;

/// Opens what was sealed to its [`KemPublic`].
pub struct KemSecret(Zeroizing<[u8; Self::BYTES]>);

impl KemSecret {
    /// Length of the seed, in bytes.
    pub const BYTES: usize = 32;

    /// Draws a new secret.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(Zeroizing::new(draw(entropy)))
    }

    /// The key to seal to.
    pub fn public(&self) -> KemPublic {
        let public = XWing::sk_to_pk(&self.secret());
        let mut bytes = Box::new([0; KemPublic::BYTES]);
        public.write_exact(&mut bytes[..]);
        KemPublic { bytes, public }
    }

    /// A second holder of the same secret.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Opens enc ‖ sealed as [`KemPublic::seal`] made it; nothing when it does not authenticate.
    pub(crate) fn open(
        &self,
        suite: Suite,
        info: &[u8],
        enc_and_sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (enc, sealed) = enc_and_sealed.split_at_checked(KEM_ENC_BYTES)?;
        let enc = Encapsulated::from_bytes(enc).ok()?;
        let opened = match suite {
            Suite::Aes256Gcm => open_with::<AesGcm256>(&self.secret(), &enc, info, sealed),
            Suite::ChaCha20Poly1305 => {
                open_with::<ChaCha20Poly1305>(&self.secret(), &enc, info, sealed)
            }
        };
        opened.map(Zeroizing::new)
    }

    pub(crate) fn from_seed(seed: Zeroizing<[u8; Self::BYTES]>) -> Self {
        Self(seed)
    }

    pub(crate) fn seed(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    fn secret(&self) -> Secret {
        Secret::from_bytes(&self.0[..]).expect("an X-Wing seed is any 32 bytes")
    }
}

/// Anyone can seal to it.
#[derive(Clone)]
pub struct KemPublic {
    bytes: Box<[u8; Self::BYTES]>,
    public: Public,
}

impl KemPublic {
    /// Length, in bytes.
    pub const BYTES: usize = 1216;

    /// Checks and takes the bytes of a public key.
    ///
    /// # Errors
    /// [`Error::PublicKey`] when there are not 1,216 of them or they encode no key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let error = Error::PublicKey { what: "X-Wing public key" };
        let public = Public::from_bytes(bytes).map_err(|_| error.clone())?;
        let bytes = Box::new(bytes.try_into().map_err(|_| error)?);
        Ok(Self { bytes, public })
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.bytes
    }

    /// enc[1120] ‖ ciphertext ‖ tag[16] of HPKE's single-shot seal, without associated data.
    pub(crate) fn seal(
        &self,
        suite: Suite,
        info: &[u8],
        plaintext: &[u8],
        entropy: &dyn Entropy,
    ) -> Vec<u8> {
        let sealed = match suite {
            Suite::Aes256Gcm => seal_with::<AesGcm256>(&self.public, info, plaintext, entropy),
            Suite::ChaCha20Poly1305 => {
                seal_with::<ChaCha20Poly1305>(&self.public, info, plaintext, entropy)
            }
        };
        let watched = Watched::new(entropy.witness(), Sealing::Hpke, &self.bytes[..]);
        if let Some(watched) = watched {
            watched.sealed(&sealed[..KEM_ENC_BYTES]);
        }
        sealed
    }
}

impl PartialEq for KemPublic {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for KemPublic {}

impl std::fmt::Debug for KemPublic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KemPublic({})", crate::Digest::of(&self.bytes[..]))
    }
}

/// Length of an encapsulated key, in bytes.
pub(crate) const KEM_ENC_BYTES: usize = 1120;

fn seal_with<A: Aead>(
    public: &Public,
    info: &[u8],
    plaintext: &[u8],
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let (enc, sealed) = hpke::single_shot_seal_with_rng::<A, HkdfSha256, XWing>(
        &OpModeS::Base,
        public,
        info,
        plaintext,
        b"",
        &mut EntropyRng(entropy),
    )
    .expect("sealing a short plaintext to a checked key has no way to fail");
    let mut out = vec![0; KEM_ENC_BYTES];
    enc.write_exact(&mut out);
    out.extend_from_slice(&sealed);
    out
}

fn open_with<A: Aead>(
    secret: &Secret,
    enc: &Encapsulated,
    info: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    hpke::single_shot_open::<A, HkdfSha256, XWing>(&OpModeR::Base, secret, enc, info, sealed, b"")
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn only_the_holder_opens_and_only_under_the_same_info_and_suite() {
        let entropy = SeededEntropy::new(1);
        let [ours, theirs] = [(); 2].map(|()| KemSecret::draw(&entropy));
        for suite in Suite::ALL {
            let sealed = ours.public().seal(suite, b"info", b"plaintext", &entropy);
            assert_eq!(sealed.len(), KEM_ENC_BYTES + 9 + 16);
            assert_eq!(ours.open(suite, b"info", &sealed).unwrap().as_slice(), b"plaintext");
            assert!(ours.open(suite, b"other", &sealed).is_none());
            assert!(theirs.open(suite, b"info", &sealed).is_none());
            let other = Suite::ALL.into_iter().find(|other| *other != suite).unwrap();
            assert!(ours.open(other, b"info", &sealed).is_none());
            for cut in [0, 1, KEM_ENC_BYTES - 1, KEM_ENC_BYTES, sealed.len() - 1] {
                assert!(ours.open(suite, b"info", &sealed[..cut]).is_none());
            }
        }
    }

    #[test]
    fn a_public_key_reads_back_and_other_bytes_are_refused() {
        let public = KemSecret::draw(&SeededEntropy::new(2)).public();
        assert_eq!(KemPublic::from_bytes(public.as_bytes()).unwrap(), public);
        assert!(KemPublic::from_bytes(&public.as_bytes()[1..]).is_err());
        // Coefficients of ML-KEM's ring lie below 3329; all ones is above.
        assert!(KemPublic::from_bytes(&[0xff; KemPublic::BYTES]).is_err());
    }
}
