//! A member's own keys: one to sign with, one to receive new role keys with.
//!
//! Each host has its own; its member id is the digest of both public keys. A host that works with
//! the root secret draws them before its first record and keeps them sealed under K_local in its
//! state folder. DESIGN §6.

use zeroize::Zeroizing;

use crate::key::{KEY_BYTES, KeyBytes};
use crate::{
    DecodeError, Decoder, DomainId, Entropy, KemPublic, KemSecret, MemberId, Result, SigningKey,
    VerifyingKey,
};

/// A member's signing key and X-Wing secret.
pub struct MemberKeys {
    signing: SigningKey,
    kem: KemSecret,
    kem_public: KemPublic,
    id: MemberId,
}

impl MemberKeys {
    /// Draws the keys of a new member.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self::new(SigningKey::draw(entropy), KemSecret::draw(entropy))
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`crate::Error::Decode`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut decoder = Decoder::new(bytes);
        let version = decoder.u8()?;
        if version != VERSION {
            return Err(version_error("member keys", version).into());
        }
        let keys = Self::read(&mut decoder)?;
        decoder.finish()?;
        Ok(keys)
    }

    /// Version u8 = 1, Ed25519 seed, X-Wing seed: 65 bytes, in clear.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(1 + Self::SEED_BYTES));
        out.push(VERSION);
        self.write(&mut out);
        out
    }

    /// The digest of both public keys.
    pub fn member_id(&self) -> MemberId {
        self.id
    }

    /// Signs the member's records.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// Checks the member's signatures.
    pub fn verifying(&self) -> VerifyingKey {
        self.signing.verifying()
    }

    /// Opens what is sealed to the member.
    pub fn kem(&self) -> &KemSecret {
        &self.kem
    }

    /// Seals to the member.
    pub fn kem_public(&self) -> &KemPublic {
        &self.kem_public
    }

    /// A second holder of the same keys.
    pub fn duplicate(&self) -> Self {
        Self {
            signing: self.signing.duplicate(),
            kem: self.kem.duplicate(),
            kem_public: self.kem_public.clone(),
            id: self.id,
        }
    }

    pub(crate) const SEED_BYTES: usize = 2 * KEY_BYTES;

    pub(crate) fn read(decoder: &mut Decoder<'_>) -> Result<Self> {
        let signing = SigningKey::from_seed(read_secret(decoder)?);
        Ok(Self::new(signing, KemSecret::from_seed(read_secret(decoder)?)))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.signing.seed());
        out.extend_from_slice(self.kem.seed());
    }

    fn new(signing: SigningKey, kem: KemSecret) -> Self {
        let kem_public = kem.public();
        let id = MemberId::of(&signing.verifying(), &kem_public);
        Self { signing, kem, kem_public, id }
    }
}

impl MemberId {
    /// The id of the member with these keys: BLAKE3(Ed25519 key ‖ X-Wing key)[..16].
    pub fn of(verifying: &VerifyingKey, kem: &KemPublic) -> Self {
        let digest =
            blake3::Hasher::new().update(verifying.as_bytes()).update(kem.as_bytes()).finalize();
        Self::from_bytes(*digest.as_bytes().first_chunk().expect("a digest has 32 bytes"))
    }

    /// The domain that this member has for itself.
    pub const fn own_domain(self) -> DomainId {
        DomainId::from_bytes(*self.as_bytes())
    }
}

const VERSION: u8 = 1;

/// The next 32 bytes, copied only into memory that is wiped.
pub(crate) fn read_secret(decoder: &mut Decoder<'_>) -> Result<KeyBytes, DecodeError> {
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    secret.copy_from_slice(decoder.raw(KEY_BYTES)?);
    Ok(secret)
}

/// For structures of which version 1 is the only one.
pub(crate) const fn version_error(what: &'static str, version: u8) -> DecodeError {
    match version {
        0 => DecodeError::Invalid { at: 0, what: "version", value: 0 },
        version => DecodeError::Version { what, version, known: 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn member_keys_read_back_and_other_bytes_are_refused() {
        let keys = MemberKeys::draw(&SeededEntropy::new(1));
        let bytes = keys.encode();
        assert_eq!(MemberKeys::decode(&bytes).unwrap().member_id(), keys.member_id());
        assert_eq!(keys.duplicate().encode(), bytes);
        for length in 0..bytes.len() {
            assert!(MemberKeys::decode(&bytes[..length]).is_err());
        }
        assert!(MemberKeys::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(MemberKeys::decode(&[&[2], &bytes[1..]].concat()).is_err());
    }
}
