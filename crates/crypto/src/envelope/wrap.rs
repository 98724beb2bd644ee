//! The data key: drawn for one object, wrapped into it, and committed to.
//!
//! Packs: enc[1120] ‖ sealed[48] = HPKE to the kind's public key with info =
//! "strongroom-v1/dek" ‖ header. Others: nonce[24] ‖ sealed[48] by the suite's extended-nonce
//! AEAD with that as associated data. PRK = HKDF-Extract(SHA-256(header), data key); the
//! segments' key and the commitment are expanded from it with "segment" and "commit". DESIGN
//! §5.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::header::{HEADER_BYTES, Header, ObjectKind};
use crate::kem::KEM_ENC_BYTES;
use crate::key::{KEY_BYTES, KeyBytes};
use crate::small::{NONCE_BYTES, TAG_BYTES, open_with_aad, seal_with_aad};
use crate::{
    DecodeError, Entropy, Error, KemPublic, KemSecret, Result, Sealing, SymmetricKey,
    entropy::draw, kdf,
};

/// By what the data key of a new object is wrapped.
#[derive(Clone, Copy)]
pub enum Wrapping<'a> {
    /// Packs: sealed to the public key of the kind and epoch.
    Kem(&'a KemPublic),
    /// Index runs and cache files: under the index key or the local key.
    Keyed(&'a SymmetricKey),
}

/// By what the data key of an object is opened.
#[derive(Clone, Copy)]
pub enum Unwrapping<'a> {
    /// Packs: the secret of the kind and epoch.
    Kem(&'a KemSecret),
    /// Index runs and cache files: the index key or the local key.
    Keyed(&'a SymmetricKey),
}

/// What stands before the segments: header ‖ wrapped data key ‖ commitment.
pub enum ObjectPrefix {}

impl ObjectPrefix {
    /// The longest prefix of any kind, in bytes: so much of an unknown object is to be read first.
    pub const BYTES_MAX: usize = prefix_len(ObjectKind::ContentPack);
}

/// Length of the commitment, in bytes.
pub const COMMITMENT_BYTES: usize = 32;

/// Length of the wrapped data key, in bytes.
pub const fn wrap_bytes(kind: ObjectKind) -> usize {
    let lead = if kind.is_sealed_to_public_key() { KEM_ENC_BYTES } else { NONCE_BYTES };
    lead + KEY_BYTES + TAG_BYTES
}

/// Length of all that stands before the segments, in bytes.
pub const fn prefix_len(kind: ObjectKind) -> usize {
    HEADER_BYTES + wrap_bytes(kind) + COMMITMENT_BYTES
}

/// Length of a data key that a host keeps for itself, in bytes.
pub const KEPT_KEY_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// Draws a data key; gives it with the segments' key and writes the prefix to `out`.
pub(super) fn wrap(
    header: &Header,
    wrapping: Wrapping<'_>,
    entropy: &dyn Entropy,
    out: &mut Vec<u8>,
) -> Result<(KeyBytes, KeyBytes)> {
    let kind = header.kind;
    let header_bytes = header.encode();
    let info = info(&header_bytes);
    let data_key: KeyBytes = Zeroizing::new(draw(entropy));
    let wrapped = match (kind.is_sealed_to_public_key(), wrapping) {
        (true, Wrapping::Kem(public)) => public.seal(header.suite, &info, &data_key[..], entropy),
        (false, Wrapping::Keyed(key)) => {
            seal_with_aad(header.suite, key, Sealing::Wrap, &info, &data_key[..], entropy)
        }
        _ => return Err(Error::Wrapping { kind }),
    };
    let (segment_key, commitment) = expand(&header_bytes, &data_key);
    out.extend_from_slice(&header_bytes);
    out.extend_from_slice(&wrapped);
    out.extend_from_slice(&commitment[..]);
    assert_eq!(wrapped.len(), wrap_bytes(kind), "the layout gives every kind's wrap one length");
    Ok((data_key, segment_key))
}

/// Seals a data key once more, under a host's local key, for a pack that it keeps in its cache.
pub(super) fn keep(
    header: &Header,
    data_key: &KeyBytes,
    local: &SymmetricKey,
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let info = kept_info(&header.encode());
    seal_with_aad(header.suite, local, Sealing::Wrap, &info, &data_key[..], entropy)
}

/// Opens what [`keep`] sealed and checks the commitment in the object's prefix.
pub(super) fn open_kept(
    header: &Header,
    kept: &[u8],
    local: &SymmetricKey,
    prefix: &[u8],
) -> Result<KeyBytes> {
    let kind = header.kind;
    if prefix.len() < prefix_len(kind) {
        return Err(DecodeError::Short { at: 0, wanted: prefix_len(kind) }.into());
    }
    let (header_bytes, rest) = prefix.split_at(HEADER_BYTES);
    let opened = open_with_aad(header.suite, local, &kept_info(header_bytes), kept)
        .map(Zeroizing::new)
        .ok_or(Error::DataKey { kind, epoch: header.epoch })?;
    commit(kind, header_bytes, &opened, &rest[wrap_bytes(kind)..][..COMMITMENT_BYTES])
}

/// Checks the commitment to an opened data key; gives the segments' key.
fn commit(kind: ObjectKind, header: &[u8], opened: &[u8], stored: &[u8]) -> Result<KeyBytes> {
    let mut data_key: KeyBytes = Zeroizing::new([0; KEY_BYTES]);
    if opened.len() != KEY_BYTES {
        return Err(DecodeError::Short { at: 0, wanted: KEY_BYTES }.into());
    }
    data_key.copy_from_slice(opened);
    let (segment_key, commitment) = expand(header, &data_key);
    verify_slices_are_equal(&commitment[..], stored).map_err(|_| Error::Commitment { kind })?;
    Ok(segment_key)
}

/// Opens the data key in a prefix, checks the commitment, gives the segments' key.
pub(super) fn unwrap(
    header: &Header,
    unwrapping: Unwrapping<'_>,
    prefix: &[u8],
) -> Result<KeyBytes> {
    let kind = header.kind;
    if prefix.len() < prefix_len(kind) {
        return Err(DecodeError::Short { at: 0, wanted: prefix_len(kind) }.into());
    }
    let (header_bytes, rest) = prefix.split_at(HEADER_BYTES);
    let (wrapped, rest) = rest.split_at(wrap_bytes(kind));
    let info = info(header_bytes);
    let opened = match (kind.is_sealed_to_public_key(), unwrapping) {
        (true, Unwrapping::Kem(secret)) => secret.open(header.suite, &info, wrapped),
        (false, Unwrapping::Keyed(key)) => {
            open_with_aad(header.suite, key, &info, wrapped).map(Zeroizing::new)
        }
        _ => return Err(Error::Wrapping { kind }),
    };
    let opened = opened.ok_or(Error::DataKey { kind, epoch: header.epoch })?;
    commit(kind, header_bytes, &opened, &rest[..COMMITMENT_BYTES])
}

fn kept_info(header: &[u8]) -> Vec<u8> {
    [b"strongroom-v1/kept-dek", header].concat()
}

fn info(header: &[u8]) -> Vec<u8> {
    [b"strongroom-v1/dek", header].concat()
}

fn expand(header: &[u8], data_key: &KeyBytes) -> (KeyBytes, KeyBytes) {
    let key = kdf::extract(digest(&SHA256, header).as_ref(), &data_key[..]);
    (kdf::expand(&key, &[b"segment"]), kdf::expand(&key, &[b"commit"]))
}
