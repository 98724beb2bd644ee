//! A certificate: the owner's word that a member with these keys acts in a role and domain.
//!
//! It lies in clear in the ledger, so that anyone can check who may append what: version u8 = 1
//! ‖ vault id ‖ member id ‖ Ed25519 key ‖ X-Wing key[1216] ‖ role u8 ‖ domain ‖ epoch u32 ‖
//! root signature[64] over all before it. The member id is the digest of the keys, and the
//! vault id that of the root key, so neither can be claimed by another. DESIGN §6.

use crate::member::version_error;
use crate::{
    Decoder, DomainId, Encoder, Epoch, Error, KemPublic, MemberId, MemberKeys, Result, Role,
    Signature, SigningContext, SigningKey, VaultId, VerifyingKey,
};

/// Who a member is and what it may do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The vault.
    pub vault_id: VaultId,
    /// The member: the digest of the two keys.
    pub member: MemberId,
    /// Checks the member's signatures.
    pub verifying: VerifyingKey,
    /// Seals to the member.
    pub kem: KemPublic,
    /// Its role.
    pub role: Role,
    /// Its domain.
    pub domain: DomainId,
    /// The epoch in which it was issued.
    pub epoch: Epoch,
}

impl Certificate {
    /// Length of a signed certificate, in bytes.
    pub const BYTES: usize = 1
        + VaultId::BYTES
        + MemberId::BYTES
        + VerifyingKey::BYTES
        + KemPublic::BYTES
        + 1
        + DomainId::BYTES
        + 4
        + Signature::BYTES;

    /// What is to be said of a member.
    pub fn of(
        keys: &MemberKeys,
        vault_id: VaultId,
        role: Role,
        domain: DomainId,
        epoch: Epoch,
    ) -> Self {
        Self {
            vault_id,
            member: keys.member_id(),
            verifying: keys.verifying(),
            kem: keys.kem_public().clone(),
            role,
            domain,
            epoch,
        }
    }

    /// Signs it with the vault's root key; gives the bytes.
    pub fn issue(&self, root: &SigningKey) -> Vec<u8> {
        let mut bytes = self.encode();
        let signature = root.sign(SigningContext::Certificate, &bytes);
        bytes.extend_from_slice(signature.as_bytes());
        bytes
    }

    fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder
            .u8(VERSION)
            .raw(self.vault_id.as_bytes())
            .raw(self.member.as_bytes())
            .raw(self.verifying.as_bytes())
            .raw(self.kem.as_bytes())
            .u8(self.role.to_u8())
            .raw(self.domain.as_bytes())
            .u32(self.epoch.0);
        encoder.finish()
    }
}

/// A certificate with a signature that is still to be checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCertificate {
    certificate: Certificate,
    signature: Signature,
}

impl SignedCertificate {
    /// Reads the bytes that [`Certificate::issue`] gave.
    ///
    /// # Errors
    /// [`Error::Decode`], [`Error::PublicKey`], and [`Error::MemberMismatch`] when the member id is
    /// not its keys'.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut decoder = Decoder::new(bytes);
        let version = decoder.u8()?;
        if version != VERSION {
            return Err(version_error("certificate", version).into());
        }
        let certificate = Certificate {
            vault_id: VaultId::from_bytes(decoder.array()?),
            member: MemberId::from_bytes(decoder.array()?),
            verifying: VerifyingKey::from_bytes(decoder.array()?),
            kem: KemPublic::from_bytes(decoder.raw(KemPublic::BYTES)?)?,
            role: Role::from_u8(decoder.u8()?)?,
            domain: DomainId::from_bytes(decoder.array()?),
            epoch: Epoch(decoder.u32()?),
        };
        let signature = Signature::from_bytes(decoder.array()?);
        decoder.finish()?;
        let actual = MemberId::of(&certificate.verifying, &certificate.kem);
        if certificate.member != actual {
            return Err(Error::MemberMismatch { named: certificate.member, actual });
        }
        Ok(Self { certificate, signature })
    }

    /// Checks the vault and the signature.
    ///
    /// # Errors
    /// [`Error::OtherVault`] when it is not of the vault with this root key, [`Error::Signature`]
    /// when the root key did not sign it.
    pub fn verify(&self, root: &VerifyingKey) -> Result<&Certificate> {
        let expected = VaultId::of_root(root);
        let actual = self.certificate.vault_id;
        if actual != expected {
            return Err(Error::OtherVault { expected, actual });
        }
        let bytes = self.certificate.encode();
        root.verify(SigningContext::Certificate, &bytes, &self.signature)?;
        Ok(&self.certificate)
    }

    /// What it says, unchecked.
    pub fn unverified(&self) -> &Certificate {
        &self.certificate
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests;
