//! The head of a checkpoint: who says that the state after a record lies sealed behind it.
//!
//! A checkpoint is this head in clear and then a sealed object that holds the state. The root key
//! signs it for everything; a collector signs it for backing up only, with its certificate beside.
//! So a client that has replayed nothing yet can tell whose word it takes. FORMAT.md §11.

use crypto::{DecodeError, Decoder, Digest, Encoder, MemberId, Signature, VaultId};

use crate::{CERTIFICATE_BYTES_MAX, RecordAt, Seq};

const VERSION: u8 = 1;

/// What is signed of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointHead {
    /// The vault.
    pub vault: VaultId,
    /// The record after which the state was such.
    pub at: RecordAt,
    /// The digest of the sealed object behind the head.
    pub object: Digest,
    /// Who signs: the root key, or a member.
    pub author: MemberId,
    /// The member's certificate; none for the root key.
    pub certificate: Option<Vec<u8>>,
}

impl CheckpointHead {
    /// The bytes that are signed.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).raw(self.vault.as_bytes()).u64(self.at.seq.0).raw(self.at.hash.as_bytes());
        e.raw(self.object.as_bytes()).raw(self.author.as_bytes());
        e.option(self.certificate.as_ref(), |e, bytes| {
            e.bytes(bytes);
        });
        e.finish()
    }

    /// The head with its signature, as it lies before the sealed object.
    pub fn encode_signed(&self, signature: &Signature) -> Vec<u8> {
        let mut bytes = self.encode();
        bytes.extend_from_slice(signature.as_bytes());
        bytes
    }

    /// Reads a head from the beginning of a checkpoint. Gives its signature, which is still to be
    /// checked, and the sealed object behind it.
    ///
    /// # Errors
    /// [`DecodeError`] when it is none.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Signature, &[u8]), DecodeError> {
        let mut d = Decoder::new(bytes);
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "a checkpoint", version, known: VERSION });
        }
        let head = Self {
            vault: VaultId::from_bytes(d.array()?),
            at: RecordAt { seq: Seq(d.u64()?), hash: Digest::from_bytes(d.array()?) },
            object: Digest::from_bytes(d.array()?),
            author: MemberId::from_bytes(d.array()?),
            certificate: d.option(|d| d.bytes(CERTIFICATE_BYTES_MAX).map(<[u8]>::to_vec))?,
        };
        if (head.author == MemberId::ROOT) != head.certificate.is_none() {
            let what = "a checkpoint's author and certificate";
            return Err(DecodeError::NotCanonical { what });
        }
        let signature = Signature::from_bytes(d.array()?);
        Ok((head, signature, d.rest()))
    }
}
