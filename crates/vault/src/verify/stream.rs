//! Reads one pack from front to back, a few MiB at a time.
//!
//! Each piece is digested, opened and cut into frames; each frame is decompressed and each chunk
//! named anew. What is held is a piece and a frame, whatever the pack's size. Behind the frames
//! lie the directory that the pack's index run lists, and zeros: anything else is damage.
//! FORMAT.md §6.

use crypto::{
    Digest, Digester, OpenedObject, PAYLOAD_START, SEGMENT_BYTES, object_len, prefix_len,
};
use format::{Codec, Directory, DomainId, FrameEntry, PackListing, VaultNames};
use places::{ObjectName, Place};

use crate::reader::Reader;
use crate::{Error, Result};

/// How much is read at once: whole segments, 8 MiB.
const PIECE_BYTES: u64 = 128 * SEGMENT_BYTES as u64;

/// What was read of a pack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReadPack {
    pub(super) bytes: u64,
    pub(super) chunks: u64,
}

/// Reads a pack whole: its name, and its chunks as far as the role may.
pub(super) fn read_pack(
    place: &dyn Place,
    reader: &Reader,
    listing: &PackListing,
    domain: DomainId,
) -> Result<ReadPack> {
    let name = VaultNames::pack(&listing.name);
    let length = object_len(listing.kind, listing.stream_length)?;
    if !reader.may_read(listing) {
        return read_name(place, &listing.name, length);
    }
    let head = prefix_len(listing.kind) as u64;
    let prefix = get(place, &name, 0, head.min(length))?;
    let opened = reader.open_prefix(listing, &prefix)?;
    let mut digester = Digester::new();
    digester.update(&prefix);
    let mut content = Content::new(reader, listing, domain);
    let (mut at, mut segment) = (head, 0);
    while at < length {
        let piece = get(place, &name, at, PIECE_BYTES.min(length - at))?;
        digester.update(&piece);
        content.open(&opened, length, segment, &piece)?;
        at += piece.len() as u64;
        segment += piece.len().div_ceil(SEGMENT_BYTES) as u64;
    }
    content.check_end()?;
    if digester.finish() != listing.name {
        return Err(Error::object(&name, OTHER_BYTES));
    }
    Ok(ReadPack { bytes: length, chunks: content.chunks })
}

/// Checks that a pack of this length has the bytes of its name.
pub(super) fn read_name(place: &dyn Place, pack: &Digest, length: u64) -> Result<ReadPack> {
    let name = VaultNames::pack(pack);
    let mut digester = Digester::new();
    let mut at = 0;
    while at < length {
        let piece = get(place, &name, at, PIECE_BYTES.min(length - at))?;
        digester.update(&piece);
        at += piece.len() as u64;
    }
    match digester.finish() == *pack {
        true => Ok(ReadPack { bytes: length, chunks: 0 }),
        false => Err(Error::object(&name, OTHER_BYTES)),
    }
}

pub(super) const OTHER_BYTES: &str = "its bytes do not have its name";

fn get(place: &dyn Place, name: &ObjectName, at: u64, length: u64) -> Result<bytes::Bytes> {
    let bytes = place.get(name, Some(at..at + length)).map_err(|error| match error.kind() {
        // The range ends beyond the object.
        places::ErrorKind::Invalid => Error::object(name, error),
        _ => error.into(),
    })?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(Error::object(name, "it is shorter than it should be")),
    }
}

/// A pack's stream, as far as it is opened and not judged yet.
struct Content<'a> {
    reader: &'a Reader,
    listing: &'a PackListing,
    domain: DomainId,
    opened: Vec<u8>,
    next: Next,
    chunks: u64,
}

/// What comes next in the stream.
enum Next {
    Length,
    Frame(usize),
    Directory,
    Padding,
}

impl<'a> Content<'a> {
    fn new(reader: &'a Reader, listing: &'a PackListing, domain: DomainId) -> Self {
        Self { reader, listing, domain, opened: Vec::new(), next: Next::Length, chunks: 0 }
    }

    fn open(
        &mut self,
        object: &OpenedObject,
        length: u64,
        segment: u64,
        piece: &[u8],
    ) -> Result<()> {
        object
            .open_segments_into(length, segment, piece, &mut self.opened)
            .map_err(|error| self.damaged(error))?;
        let opened = std::mem::take(&mut self.opened);
        let judged = self.judge(&opened)?;
        self.opened = opened;
        self.opened.drain(..judged);
        Ok(())
    }

    /// Judges what is whole; says how much that is.
    fn judge(&mut self, opened: &[u8]) -> Result<usize> {
        let directory = &self.listing.directory;
        let mut rest = opened;
        loop {
            match self.next {
                Next::Length => {
                    let Some((length, left)) = rest.split_first_chunk() else { break };
                    let listed = directory.frames_length() + self.tail_length() as u64;
                    if u64::from_le_bytes(*length) != listed {
                        return Err(self.other_directory());
                    }
                    const { assert!(PAYLOAD_START == 8) };
                    rest = left;
                    self.next = Next::Frame(0);
                }
                Next::Frame(number) => {
                    let Some(frame) = directory.frames.get(number) else {
                        self.next = Next::Directory;
                        continue;
                    };
                    let Some((stored, left)) = rest.split_at_checked(frame.stored_length as usize)
                    else {
                        break;
                    };
                    self.frame(frame, stored)?;
                    rest = left;
                    self.next = Next::Frame(number + 1);
                }
                Next::Directory => {
                    let Some((tail, left)) = rest.split_at_checked(self.tail_length()) else {
                        break;
                    };
                    let encoded = directory.encode();
                    let (written, trailer) = tail.split_at(encoded.len());
                    if written != encoded || trailer != Directory::encode_trailer(encoded.len()) {
                        return Err(self.other_directory());
                    }
                    rest = left;
                    self.next = Next::Padding;
                }
                Next::Padding => {
                    if rest.iter().any(|byte| *byte != 0) {
                        return Err(self.damaged("its padding is not zeros"));
                    }
                    rest = &[];
                    break;
                }
            }
        }
        Ok(opened.len() - rest.len())
    }

    fn frame(&mut self, frame: &FrameEntry, stored: &[u8]) -> Result<()> {
        let plain_length = frame.plain_length() as usize;
        let opened;
        let mut rest = match frame.codec {
            Codec::None if stored.len() == plain_length => stored,
            codec => {
                let plain = self.reader.decompress(codec, stored, plain_length);
                opened = plain.map_err(|error| self.damaged(error))?;
                &opened[..]
            }
        };
        for entry in &frame.chunks {
            let Some((bytes, left)) = rest.split_at_checked(entry.length as usize) else {
                return Err(self.damaged("a chunk ends outside its frame"));
            };
            rest = left;
            if self.reader.chunk_id(self.domain, entry.chunk.kind, bytes)? != entry.chunk.id {
                let pack = self.listing.name;
                return Err(Error::ChunkContent { chunk: entry.chunk, pack });
            }
            self.chunks += 1;
        }
        Ok(())
    }

    /// The stream ended; nothing may be wanting.
    fn check_end(&self) -> Result<()> {
        match self.next {
            Next::Padding if self.opened.is_empty() => Ok(()),
            _ => Err(self.damaged("it ends before its directory does")),
        }
    }

    fn tail_length(&self) -> usize {
        let directory = &self.listing.directory;
        let chunks = directory.frames.iter().map(|frame| frame.chunks.len()).sum();
        Directory::encoded_len(directory.frames.len(), chunks) + TRAILER_BYTES
    }

    fn damaged(&self, reason: impl std::fmt::Display) -> Error {
        Error::object(VaultNames::pack(&self.listing.name), reason)
    }

    fn other_directory(&self) -> Error {
        self.damaged("its directory is not the one that its index run lists")
    }
}

const TRAILER_BYTES: usize = 4;
