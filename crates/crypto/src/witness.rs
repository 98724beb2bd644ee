//! Who watches that no nonce is used twice.
//!
//! A witness comes with the [`Entropy`] that a seal is made with, so it sees what one world of a
//! test seals, on all of its threads, and no other. It is told a digest of key and nonce, which
//! gives neither away. Programs have none. DESIGN §5.
//!
//! [`Entropy`]: crate::Entropy

use std::sync::Arc;

use crate::Digest;

/// Is told of each call of an AEAD that seals.
pub trait SealWitness: Send + Sync {
    /// One call under the key and the nonce with this digest.
    fn sealed(&self, sealing: Sealing, key_and_nonce: Digest);
}

/// What a seal is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Sealing {
    /// A segment of an object, under the key of this object.
    Segment,
    /// A small record, under a key that seals many.
    Small,
    /// A data key, under a key that wraps many.
    Wrap,
    /// A short text to a public key. HPKE makes key and nonce from the encapsulated secret, so that
    /// and the public key stand for both.
    Hpke,
}

/// Tells a witness of the seals of one key.
pub(crate) struct Watched {
    witness: Arc<dyn SealWitness>,
    sealing: Sealing,
    key: blake3::Hasher,
}

impl Watched {
    /// Watches a key, when there is a witness.
    pub(crate) fn new(
        witness: Option<Arc<dyn SealWitness>>,
        sealing: Sealing,
        key: &[u8],
    ) -> Option<Self> {
        let witness = witness?;
        let mut hasher = blake3::Hasher::new_derive_key("strongroom-v1 key and nonce");
        hasher.update(key);
        Some(Self { witness, sealing, key: hasher })
    }

    /// One call under this nonce.
    pub(crate) fn sealed(&self, nonce: &[u8]) {
        let digest = *self.key.clone().update(nonce).finalize().as_bytes();
        self.witness.sealed(self.sealing, Digest::from_bytes(digest));
    }
}
