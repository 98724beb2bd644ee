//! The first 72 bytes of an object: what it is, whose, and under which epoch's key.
//!
//! magic[8] "STRONGRM" ‖ suite u16 ‖ kind u8 ‖ flags u8 = 0 ‖ vault id[32] ‖ session[16] ‖
//! epoch u32 ‖ seg_log2 u8 = 16 ‖ 0[7]. In clear, so that anyone can see which session made a
//! pack; what it says is proven only once the object was opened. DESIGN §5.

use crate::{DecodeError, Decoder, Encoder, Epoch, Error, Result, SessionId, Suite, VaultId};

/// Length of a header, in bytes.
pub const HEADER_BYTES: usize = 72;

/// What an object holds. The codes are disjoint from those of [`crate::SmallKind`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum ObjectKind {
    /// Chunks of content, sealed to the content key.
    ContentPack = 1,
    /// Chunks of metadata, sealed to the metadata key.
    MetadataPack = 2,
    /// A list of where chunks lie, under the index key.
    IndexRun = 3,
    /// A file of the local cache, under the local key.
    CacheFile = 4,
    /// A ledger's state, under a ledger key.
    Checkpoint = 5,
}

impl ObjectKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::ContentPack, Self::MetadataPack, Self::IndexRun, Self::CacheFile, Self::Checkpoint];

    /// The code that stands in headers.
    pub const fn to_u8(self) -> u8 {
        self as u8
    }

    /// The kind with this code.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] for any other code.
    pub fn from_u8(code: u8) -> Result<Self, DecodeError> {
        Self::ALL.into_iter().find(|kind| kind.to_u8() == code).ok_or(DecodeError::Invalid {
            at: 10,
            what: "object kind",
            value: code.into(),
        })
    }

    /// Whether its data key is sealed to a public key; else it is wrapped by a symmetric one.
    pub const fn is_sealed_to_public_key(self) -> bool {
        matches!(self, Self::ContentPack | Self::MetadataPack)
    }
}

impl std::fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ContentPack => "content pack",
            Self::MetadataPack => "metadata pack",
            Self::IndexRun => "index run",
            Self::CacheFile => "cache file",
            Self::Checkpoint => "checkpoint",
        })
    }
}

/// What stands in clear at the start of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The vault's suite.
    pub suite: Suite,
    /// What the object holds.
    pub kind: ObjectKind,
    /// The vault it belongs to.
    pub vault_id: VaultId,
    /// The session that made it.
    pub session: SessionId,
    /// The epoch of the key that its data key is wrapped by.
    pub epoch: Epoch,
}

impl Header {
    /// Reads the header of an object from its first bytes; more may follow. Proves nothing.
    ///
    /// # Errors
    /// [`Error::Decode`] for fewer than 72 bytes or a field out of range,
    /// [`Error::NotSealedObject`], [`Error::UnknownSuite`].
    pub fn peek(bytes: &[u8]) -> Result<Self> {
        let Some((bytes, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(DecodeError::Short { at: 0, wanted: HEADER_BYTES }.into());
        };
        let mut decoder = Decoder::new(bytes);
        if decoder.array()? != MAGIC {
            return Err(Error::NotSealedObject);
        }
        let suite = Suite::from_u16(decoder.u16()?)?;
        let kind = ObjectKind::from_u8(decoder.u8()?)?;
        zero(&mut decoder, 1, "flags")?;
        let vault_id = VaultId::from_bytes(decoder.array()?);
        let session = SessionId::from_bytes(decoder.array()?);
        let epoch = Epoch(decoder.u32()?);
        let segment_log2 = decoder.u8()?;
        if segment_log2 != SEGMENT_LOG2 {
            return Err(decoder.invalid("segment size exponent", segment_log2.into()).into());
        }
        zero(&mut decoder, 7, "reserved bytes")?;
        decoder.finish()?;
        Ok(Self { suite, kind, vault_id, session, epoch })
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut encoder = Encoder::new();
        encoder
            .raw(&MAGIC)
            .u16(self.suite.to_u16())
            .u8(self.kind.to_u8())
            .u8(0)
            .raw(self.vault_id.as_bytes())
            .raw(self.session.as_bytes())
            .u32(self.epoch.0)
            .u8(SEGMENT_LOG2)
            .raw(&[0; 7]);
        encoder.finish().try_into().expect("the fields above take 72 bytes")
    }
}

fn zero(decoder: &mut Decoder<'_>, count: usize, what: &'static str) -> Result<()> {
    match decoder.raw(count)?.iter().find(|byte| **byte != 0) {
        None => Ok(()),
        Some(byte) => Err(decoder.invalid(what, (*byte).into()).into()),
    }
}

const MAGIC: [u8; 8] = *b"STRONGRM";
const SEGMENT_LOG2: u8 = super::SEGMENT_PLAIN_BYTES.trailing_zeros() as u8;
