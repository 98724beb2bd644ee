//! A pack's payload: frames, then the directory that says what lies in them.
//!
//! The structure is: frames ‖ directory ‖ u32 directory length. A frame is the unit of compression:
//! one large chunk, or consecutive small chunks together. Frames lie back to back from the start of
//! the payload and chunks back to back in their frame, so offsets are sums and neither overlap nor
//! gap can be written. The same directory lies in an index run, so a run can be rebuilt from its
//! packs. FORMAT.md §6.

use crate::{
    CHUNK_BYTES_MAX, ChunkId, DecodeError, Decoder, Encoder, FRAME_BYTES_MAX, FRAME_CHUNKS_MAX,
    PACK_FRAMES_MAX,
};
use crypto::ObjectKind;

/// What a chunk holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum ChunkKind {
    /// A piece of a file's content, or of a stored value.
    Content = 1,
    /// A node of a file tree.
    Node = 2,
    /// A node of a recipe.
    Recipe = 3,
    /// A snapshot's descriptor.
    Descriptor = 4,
    /// What does not fit into a file's entry.
    Extra = 5,
    /// A store's node: keys and inline values.
    Body = 6,
    /// A store's node: the ids that it references.
    Links = 7,
}

impl ChunkKind {
    /// The kind's code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Content,
            2 => Self::Node,
            3 => Self::Recipe,
            4 => Self::Descriptor,
            5 => Self::Extra,
            6 => Self::Body,
            7 => Self::Links,
            _ => return None,
        })
    }

    /// Whether chunks of this kind lie in content packs and are named by `K_id`; the others lie in
    /// metadata packs and are named by `K_node`.
    pub fn is_content(self) -> bool {
        matches!(self, Self::Content | Self::Body)
    }

    /// The kind of pack that chunks of this kind lie in.
    pub fn pack(self) -> ObjectKind {
        match self.is_content() {
            true => ObjectKind::ContentPack,
            false => ObjectKind::MetadataPack,
        }
    }

    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let code = d.u8()?;
        Self::from_code(code).ok_or_else(|| d.invalid("a chunk's kind", code.into()))
    }
}

impl std::fmt::Display for ChunkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Content => "content",
            Self::Node => "tree node",
            Self::Recipe => "recipe",
            Self::Descriptor => "descriptor",
            Self::Extra => "extra metadata",
            Self::Body => "store node",
            Self::Links => "store links",
        })
    }
}

/// Names a chunk with its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChunkRef {
    /// What the chunk holds.
    pub kind: ChunkKind,
    /// Its name.
    pub id: ChunkId,
}

impl ChunkRef {
    pub(crate) fn encode(&self, e: &mut Encoder) {
        e.u8(self.kind.code()).raw(self.id.as_bytes());
    }

    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { kind: ChunkKind::decode(d)?, id: ChunkId::from_bytes(d.array()?) })
    }
}

/// How a frame is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Codec {
    /// As it is.
    None = 0,
    /// As one zstd frame (RFC 8878).
    Zstd = 1,
}

/// What a pack holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Directory {
    /// The frames, in the order in which they lie.
    pub frames: Vec<FrameEntry>,
}

/// One frame of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameEntry {
    /// How it is stored.
    pub codec: Codec,
    /// How many bytes it takes in the payload.
    pub stored_length: u32,
    /// The chunks in it, in the order in which they lie.
    pub chunks: Vec<ChunkEntry>,
}

/// One chunk of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkEntry {
    /// The chunk's kind and name.
    pub chunk: ChunkRef,
    /// How many bytes it has.
    pub length: u32,
}

impl FrameEntry {
    /// How many bytes the frame has when it is decompressed.
    pub fn plain_length(&self) -> u32 {
        self.chunks.iter().map(|c| c.length).sum()
    }
}

impl Directory {
    /// How many bytes the frames take.
    pub fn frames_length(&self) -> u64 {
        self.frames.iter().map(|f| u64::from(f.stored_length)).sum()
    }

    /// How many bytes the stream of a pack with these frames has at least: its payload's length,
    /// frames, directory, and the directory's length.
    pub fn stream_length_min(&self) -> u64 {
        let chunks = self.frames.iter().map(|f| f.chunks.len()).sum();
        let directory = Self::encoded_len(self.frames.len(), chunks) + TRAILER_BYTES;
        crypto::PAYLOAD_START + self.frames_length() + directory as u64
    }

    /// How many bytes a directory of these frames and chunks takes.
    pub fn encoded_len(frames: usize, chunks: usize) -> usize {
        1 + 4 + frames * FRAME_ENTRY_BYTES + chunks * CHUNK_ENTRY_BYTES
    }

    /// The directory's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        self.encode_into(&mut e);
        e.finish()
    }

    pub(crate) fn encode_into(&self, e: &mut Encoder) {
        e.u8(VERSION).list(&self.frames, |e, frame| {
            e.u8(frame.codec as u8).u32(frame.stored_length);
            e.list(&frame.chunks, |e, entry| {
                entry.chunk.encode(e);
                e.u32(entry.length);
            });
        });
    }

    /// Reads a directory.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let directory = Self::decode_from(&mut d)?;
        d.finish()?;
        Ok(directory)
    }

    pub(crate) fn decode_from(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "a directory", version, known: VERSION });
        }
        let frames = d.list(PACK_FRAMES_MAX, FRAME_ENTRY_BYTES, decode_frame)?;
        Ok(Self { frames })
    }

    /// The kind of the first chunk that has no place in an object of this kind.
    pub(crate) fn alien_in(&self, kind: ObjectKind) -> Option<ChunkKind> {
        let mut kinds = self.frames.iter().flat_map(|f| &f.chunks).map(|c| c.chunk.kind);
        kinds.find(|chunk| chunk.pack() != kind)
    }

    /// The directory's length as it ends a payload, after the directory.
    pub fn encode_trailer(directory_len: usize) -> [u8; TRAILER_BYTES] {
        u32::try_from(directory_len).expect("a directory is shorter than its pack").to_le_bytes()
    }
}

/// Takes the payload of a pack of this kind apart: its frames' bytes and its directory.
pub fn split_pack(payload: &[u8], kind: ObjectKind) -> Result<(&[u8], Directory), PackSplitError> {
    let (rest, trailer) = payload
        .split_last_chunk::<TRAILER_BYTES>()
        .ok_or(PackSplitError::Short { payload: payload.len() })?;
    let length = u32::from_le_bytes(*trailer) as usize;
    let at = rest
        .len()
        .checked_sub(length)
        .ok_or(PackSplitError::DirectoryLength { length, payload: payload.len() })?;
    let (frames, directory) = rest.split_at(at);
    let directory = Directory::decode(directory)?;
    if directory.frames_length() != frames.len() as u64 {
        return Err(PackSplitError::FramesLength {
            listed: directory.frames_length(),
            actual: frames.len() as u64,
        });
    }
    match directory.alien_in(kind) {
        None => Ok((frames, directory)),
        Some(chunk) => Err(PackSplitError::ChunkKind { chunk, pack: kind }),
    }
}

/// Why a payload is no pack's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackSplitError {
    /// It is too short for the length of a directory.
    #[error("a pack's payload of {payload} bytes is too short")]
    Short {
        /// The payload's length.
        payload: usize,
    },
    /// Its directory would begin before it does.
    #[error("a directory of {length} bytes does not fit into a payload of {payload}")]
    DirectoryLength {
        /// What the last four bytes say.
        length: usize,
        /// The payload's length.
        payload: usize,
    },
    /// The directory does not decode.
    #[error("the pack's directory is malformed: {0}")]
    Directory(#[from] DecodeError),
    /// The frames are not as long as the directory says.
    #[error("the directory lists {listed} bytes of frames, the payload holds {actual}")]
    FramesLength {
        /// What the directory says.
        listed: u64,
        /// What lies before it.
        actual: u64,
    },
    /// A chunk lies in a pack of the other kind.
    #[error("a chunk of kind {chunk:?} lies in a {pack}")]
    ChunkKind {
        /// The chunk's kind.
        chunk: ChunkKind,
        /// The pack's.
        pack: ObjectKind,
    },
}

const VERSION: u8 = 1;
const FRAME_ENTRY_BYTES: usize = 1 + 4 + 4;
const CHUNK_ENTRY_BYTES: usize = 1 + 32 + 4;
/// The bytes after a directory that say how long it is.
const TRAILER_BYTES: usize = 4;

fn decode_frame(d: &mut Decoder<'_>) -> Result<FrameEntry, DecodeError> {
    let codec = match d.u8()? {
        0 => Codec::None,
        1 => Codec::Zstd,
        code => return Err(d.invalid("a frame's codec", code.into())),
    };
    let stored_length = d.u32()?;
    let chunks = d.list(FRAME_CHUNKS_MAX, CHUNK_ENTRY_BYTES, |d| {
        let chunk = ChunkRef::decode(d)?;
        let length = d.u32()?;
        match length {
            1..=CHUNK_BYTES_MAX => Ok(ChunkEntry { chunk, length }),
            _ => Err(d.invalid("a chunk's length", length.into())),
        }
    })?;
    let plain: u64 = chunks.iter().map(|c| u64::from(c.length)).sum();
    if plain > u64::from(FRAME_BYTES_MAX) {
        return Err(d.invalid("a frame's length", plain));
    }
    let stored = u64::from(stored_length);
    // Raw frames are as long as their chunks; a compressed one is kept only when it is shorter.
    let fits = match codec {
        Codec::None => stored == plain,
        Codec::Zstd => stored < plain,
    };
    if stored == 0 || !fits {
        return Err(d.invalid("a frame's stored length", stored));
    }
    Ok(FrameEntry { codec, stored_length, chunks })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let chunk = |n: u8, length| ChunkEntry {
            chunk: ChunkRef { kind: ChunkKind::Content, id: ChunkId::from_bytes([n; 32]) },
            length,
        };
        Directory {
            frames: vec![
                FrameEntry {
                    codec: Codec::Zstd,
                    stored_length: 10,
                    chunks: vec![chunk(1, 7), chunk(2, 9)],
                },
                FrameEntry { codec: Codec::None, stored_length: 5, chunks: vec![chunk(3, 5)] },
            ],
        }
    }

    #[test]
    fn a_pack_is_taken_apart_into_its_frames_and_its_directory() {
        let encoded = directory().encode();
        assert_eq!(encoded.len(), Directory::encoded_len(2, 3));
        let trailer = Directory::encode_trailer(encoded.len());
        let payload = [&[0xaa; 15][..], &encoded, &trailer].concat();
        let kind = ObjectKind::ContentPack;
        assert_eq!(split_pack(&payload, kind), Ok((&[0xaa; 15][..], directory())));
        for wrong in [&payload[..3], &payload[1..], &payload[..payload.len() - 1]] {
            assert!(split_pack(wrong, kind).is_err());
        }
        let (chunk, pack) = (ChunkKind::Content, ObjectKind::MetadataPack);
        assert_eq!(split_pack(&payload, pack), Err(PackSplitError::ChunkKind { chunk, pack }));
    }

    #[test]
    fn a_frame_that_claims_more_or_less_than_it_can_hold_is_refused() {
        let bad: [fn(&mut FrameEntry); 6] = [
            |f| f.stored_length = 16,
            |f| f.stored_length = 0,
            |f| f.chunks[0].length = 0,
            |f| f.chunks.clear(),
            |f| f.chunks[0].length = CHUNK_BYTES_MAX + 1,
            |f| f.codec = Codec::None,
        ];
        for change in bad {
            let mut directory = directory();
            change(&mut directory.frames[0]);
            assert!(Directory::decode(&directory.encode()).is_err());
        }
    }
}
