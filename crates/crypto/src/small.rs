//! Seals records that are too small and too many for an object of their own.
//!
//! A small sealed record is nonce[24] ‖ ciphertext ‖ tag[16] under a key that seals many:
//! XAES-256-GCM (suite 1) or XChaCha20-Poly1305 (suite 2), whose nonces are long enough to be
//! random. What the record is (kind, vault, and the names that tell it from its neighbours) is
//! authenticated with it: aad = kind u8 ‖ vault id ‖ names. DESIGN §5.

use chacha20poly1305::XChaCha20Poly1305;
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::{AeadInOut, KeyInit, Nonce, Tag};

use crate::entropy::draw;
use crate::witness::Watched;
use crate::{DecodeError, Entropy, Error, Result, Sealing, Suite, SymmetricKey, VaultId};

/// By how many bytes a sealed record is longer than its plaintext.
pub const SMALL_OVERHEAD: usize = NONCE_BYTES + TAG_BYTES;

pub(crate) const NONCE_BYTES: usize = 24;
pub(crate) const TAG_BYTES: usize = 16;

/// What a small sealed record is. The codes are disjoint from those of [`crate::ObjectKind`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum SmallKind {
    /// The sealed part of a ledger record.
    LedgerBody = 0x81,
    /// A role bundle in a key slot.
    KeySlot = 0x82,
    /// A member's label.
    Label = 0x83,
    /// A host's member keys in its state folder.
    MemberKeys = 0x84,
    /// Any other file of the state folder.
    StateFile = 0x85,
    /// A role's new keys in a `rotate` record.
    RoleKeys = 0x86,
    /// The remembered heads of a ledger.
    HeadLog = 0x87,
}

impl SmallKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::LedgerBody,
        Self::KeySlot,
        Self::Label,
        Self::MemberKeys,
        Self::StateFile,
        Self::RoleKeys,
        Self::HeadLog,
    ];

    /// The code that is authenticated.
    pub const fn to_u8(self) -> u8 {
        self as u8
    }
}

impl std::fmt::Display for SmallKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::LedgerBody => "ledger body",
            Self::KeySlot => "key slot",
            Self::Label => "label",
            Self::MemberKeys => "member keys",
            Self::StateFile => "state file",
            Self::RoleKeys => "role keys",
            Self::HeadLog => "head log",
        })
    }
}

/// Seals `plaintext` as a record of `kind`, bound to the vault and to `names`.
pub fn seal_small(
    suite: Suite,
    key: &SymmetricKey,
    kind: SmallKind,
    vault_id: VaultId,
    names: &[u8],
    plaintext: &[u8],
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let aad = associated(kind, vault_id, names);
    seal_with_aad(suite, key, Sealing::Small, &aad, plaintext, entropy)
}

/// Opens what [`seal_small`] made with the same key, kind, vault and names.
///
/// # Errors
/// [`Error::Decode`] when it is too short, [`Error::Small`] when it does not authenticate.
pub fn open_small(
    suite: Suite,
    key: &SymmetricKey,
    kind: SmallKind,
    vault_id: VaultId,
    names: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>> {
    if sealed.len() < SMALL_OVERHEAD {
        return Err(DecodeError::Short { at: 0, wanted: SMALL_OVERHEAD }.into());
    }
    open_with_aad(suite, key, &associated(kind, vault_id, names), sealed)
        .ok_or(Error::Small { kind })
}

fn associated(kind: SmallKind, vault_id: VaultId, names: &[u8]) -> Vec<u8> {
    [&[kind.to_u8()][..], vault_id.as_bytes(), names].concat()
}

/// nonce ‖ ciphertext ‖ tag.
pub(crate) fn seal_with_aad(
    suite: Suite,
    key: &SymmetricKey,
    sealing: Sealing,
    aad: &[u8],
    plaintext: &[u8],
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let nonce = draw::<NONCE_BYTES>(entropy);
    if let Some(watched) = Watched::new(entropy.witness(), sealing, key.as_bytes()) {
        watched.sealed(&nonce);
    }
    let mut sealed = Vec::with_capacity(plaintext.len() + SMALL_OVERHEAD);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plaintext);
    let text = &mut sealed[NONCE_BYTES..];
    let tag = match suite {
        Suite::Aes256Gcm => seal_in_place::<Xaes256Gcm>(key, &nonce, aad, text),
        Suite::ChaCha20Poly1305 => seal_in_place::<XChaCha20Poly1305>(key, &nonce, aad, text),
    };
    sealed.extend_from_slice(&tag);
    sealed
}

/// The plaintext, or nothing when it does not authenticate.
pub(crate) fn open_with_aad(
    suite: Suite,
    key: &SymmetricKey,
    aad: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let (text, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut text = text.to_vec();
    let opened = match suite {
        Suite::Aes256Gcm => open_in_place::<Xaes256Gcm>(key, nonce, aad, &mut text, tag),
        Suite::ChaCha20Poly1305 => {
            open_in_place::<XChaCha20Poly1305>(key, nonce, aad, &mut text, tag)
        }
    };
    opened.then_some(text)
}

fn seal_in_place<A: AeadInOut + KeyInit>(
    key: &SymmetricKey,
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    text: &mut [u8],
) -> [u8; TAG_BYTES] {
    let cipher = A::new_from_slice(key.as_bytes()).expect("both ciphers take 32-byte keys");
    let nonce = Nonce::<A>::try_from(&nonce[..]).expect("both ciphers take 24-byte nonces");
    let tag = cipher
        .encrypt_inout_detached(&nonce, aad, text.into())
        .expect("records are far below the ciphers' 64 GiB");
    tag.as_slice().try_into().expect("both ciphers make 16-byte tags")
}

fn open_in_place<A: AeadInOut + KeyInit>(
    key: &SymmetricKey,
    nonce: &[u8; NONCE_BYTES],
    aad: &[u8],
    text: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> bool {
    let cipher = A::new_from_slice(key.as_bytes()).expect("both ciphers take 32-byte keys");
    let nonce = Nonce::<A>::try_from(&nonce[..]).expect("both ciphers take 24-byte nonces");
    let tag = Tag::<A>::try_from(&tag[..]).expect("both ciphers make 16-byte tags");
    cipher.decrypt_inout_detached(&nonce, aad, text.into(), &tag).is_ok()
}

#[cfg(test)]
mod tests;
