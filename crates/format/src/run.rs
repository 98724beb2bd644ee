//! An index run: which chunk lies where in which pack.
//!
//! Each `packs` and `commit` record brings one run that lists the packs it publishes, with their
//! directories; a merged run lists packs of many sessions. What a run says of a pack is never
//! trusted further than the pack's own bytes bear out. FORMAT.md §7.

use crate::{
    DecodeError, Decoder, Digest, Directory, Encoder, Epoch, OBJECT_BYTES_MAX, RUN_PACKS_MAX,
    SessionId,
};
use crypto::ObjectKind;

const VERSION: u8 = 1;
const LISTING_BYTES_MIN: usize = 32 + 16 + 1 + 4 + 8 + 5;

/// The payload of an index run.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Run {
    /// The packs, in the order of their names.
    pub packs: Vec<PackListing>,
}

/// What a run says of one pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackListing {
    /// The pack's name.
    pub name: Digest,
    /// The session that made it.
    pub session: SessionId,
    /// Content or metadata.
    pub kind: ObjectKind,
    /// The epoch whose key it is sealed to.
    pub epoch: Epoch,
    /// How many bytes its stream has, padding included.
    pub stream_length: u64,
    /// What it holds.
    pub directory: Directory,
}

impl Run {
    /// A run of these packs.
    pub fn new(mut packs: Vec<PackListing>) -> Self {
        packs.sort_unstable_by_key(|p| p.name);
        Self { packs }
    }

    /// The run's payload.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).list(&self.packs, |e, pack| {
            e.raw(pack.name.as_bytes()).raw(pack.session.as_bytes()).u8(pack.kind.to_u8());
            e.u32(pack.epoch.0).u64(pack.stream_length);
            pack.directory.encode_into(e);
        });
        e.finish()
    }

    /// Reads a run's payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "an index run", version, known: VERSION });
        }
        let packs = d.list(RUN_PACKS_MAX, LISTING_BYTES_MIN, PackListing::decode)?;
        d.finish()?;
        if !packs.is_sorted_by(|a, b| a.name < b.name) {
            return Err(DecodeError::NotCanonical { what: "the order of packs in an index run" });
        }
        Ok(Self { packs })
    }
}

impl PackListing {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let name = Digest::from_bytes(d.array()?);
        let session = SessionId::from_bytes(d.array()?);
        let code = d.u8()?;
        let kind = ObjectKind::from_u8(code)
            .ok()
            .filter(|k| matches!(k, ObjectKind::ContentPack | ObjectKind::MetadataPack))
            .ok_or_else(|| d.invalid("a pack's type", code.into()))?;
        let epoch = Epoch(d.u32()?);
        let stream_length = d.u64()?;
        let directory = Directory::decode_from(d)?;
        if stream_length > OBJECT_BYTES_MAX || directory.stream_length_min() > stream_length {
            return Err(d.invalid("a pack's stream length", stream_length));
        }
        if let Some(other) = directory.alien_in(kind) {
            return Err(d.invalid("a chunk's kind in a pack of this type", other.code().into()));
        }
        Ok(Self { name, session, kind, epoch, stream_length, directory })
    }
}
