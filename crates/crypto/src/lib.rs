//! Seals and opens bytes. The only crate that touches key material or names a cipher crate.
//!
//! It owns the key types and what follows from what ([`RootSecret`], [`Keyring`]), the forms in
//! which keys travel ([`Bundle`], [`Slot`], [`Certificate`]), and the two forms of sealed
//! bytes: the object ([`ObjectSealer`], [`OpenedObject`]) and the small record
//! ([`seal_small`]). It does no I/O and knows no format of content; randomness is an argument
//! ([`Entropy`]), and no function takes a nonce. DESIGN §5 and §6, FORMAT.md.

mod bundle;
mod certificate;
mod codec;
mod entropy;
mod envelope;
mod epoch_keys;
mod error;
mod id;
mod kdf;
mod kem;
mod key;
mod key_file;
mod keyring;
mod member;
mod role;
mod slot;
mod small;
mod suite;
mod witness;
mod words;

#[cfg(test)]
mod testing;

pub use bundle::Bundle;
pub use certificate::{Certificate, SignedCertificate};
pub use codec::{DecodeError, Decoder, Encoder};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use envelope::{
    COMMITMENT_BYTES, Expected, HEADER_BYTES, Header, KEPT_KEY_BYTES, OBJECT_BYTES_MAX, ObjectKind,
    ObjectPrefix, ObjectSealer, OpenedObject, PADDED_STREAM_LEAST, PAYLOAD_START, SEGMENT_BYTES,
    SEGMENT_PLAIN_BYTES, SealedObject, SegmentSpan, Unwrapping, Wrapping, object_len,
    padded_stream_len, padme, prefix_len, stream_len, wrap_bytes,
};
pub use epoch_keys::{EPOCHS_MAX, EpochKeys, EpochKeysBinding};
pub use error::{Error, ErrorKind, Result};
pub use id::{
    ChunkId, Digest, Digester, DomainId, Epoch, MemberId, ParseIdError, SessionId, VaultId,
};
pub use kem::{KemPublic, KemSecret};
pub use key::{
    ChunkerKey, NameKey, RootSecret, Signature, SigningContext, SigningKey, SymmetricKey, TreeKey,
    VerifyingKey,
};
pub use keyring::Keyring;
pub use member::MemberKeys;
pub use role::Role;
pub use slot::{Argon2Parameters, Slot};
pub use small::{SMALL_OVERHEAD, SmallKind, open_small, seal_small};
pub use suite::Suite;
#[doc(hidden)]
pub use witness::{SealWitness, Sealing};
pub use words::ROOT_WORDS;
