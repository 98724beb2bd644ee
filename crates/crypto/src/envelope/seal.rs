//! Makes one object, in the one buffer that will be stored.
//!
//! The payload is laid out where its ciphertext will lie, with room for the tags, and each
//! segment is sealed in place once the next one begins. Segment 0 begins with the payload's
//! length, so it waits for the end; so does the last, which must say that it is the last. The
//! data key is drawn here and dropped with the sealer: it seals one object, once. DESIGN §5.

use super::header::{Header, ObjectKind};
use super::segment::{
    PAYLOAD_START, Position, SEGMENT_BYTES, SEGMENT_PLAIN_BYTES, SEGMENT_TAG_BYTES, SegmentKey,
    object_len,
};
use super::wrap::{Wrapping, keep, prefix_len, wrap};
use crate::key::KeyBytes;
use crate::{Digest, Entropy, Error, Result, SymmetricKey};

/// Seals the payload that is written to it.
pub struct ObjectSealer {
    header: Header,
    key: SegmentKey,
    /// Prefix, sealed segments, then the plaintext of the current one. Segment 0 stays plaintext.
    buffer: Vec<u8>,
    /// The segment being filled, from 0.
    segment: u64,
    /// Bytes of the stream in it.
    filled: usize,
    payload_len: u64,
}

/// An object ready to be stored.
pub struct SealedObject {
    /// The digest of all its bytes.
    pub name: Digest,
    /// All its bytes.
    pub bytes: Vec<u8>,
}

impl ObjectSealer {
    /// Draws a data key, wraps it, and starts the object in `buffer`, whose capacity is reused and
    /// whose contents are dropped.
    ///
    /// # Errors
    /// [`Error::Wrapping`] when the kind is wrapped by the other sort of key.
    pub fn new(
        header: Header,
        wrapping: Wrapping<'_>,
        entropy: &dyn Entropy,
        mut buffer: Vec<u8>,
    ) -> Result<Self> {
        buffer.clear();
        let (_, key) = wrap(&header, wrapping, entropy, &mut buffer)?;
        Ok(Self::start(header, &key, entropy, buffer))
    }

    /// As [`Self::new`]; also gives the data key, sealed under `local`, for a host that keeps a
    /// copy of the object in its cache and could not open it otherwise.
    ///
    /// # Errors
    /// Those of [`Self::new`]; [`Error::Wrapping`] for all but metadata packs: no host may open its
    /// own content again (P4).
    pub fn new_kept(
        header: Header,
        wrapping: Wrapping<'_>,
        local: &SymmetricKey,
        entropy: &dyn Entropy,
        mut buffer: Vec<u8>,
    ) -> Result<(Self, Vec<u8>)> {
        if header.kind != ObjectKind::MetadataPack {
            return Err(Error::Wrapping { kind: header.kind });
        }
        buffer.clear();
        let (data_key, key) = wrap(&header, wrapping, entropy, &mut buffer)?;
        let kept = keep(&header, &data_key, local, entropy);
        Ok((Self::start(header, &key, entropy, buffer), kept))
    }

    fn start(header: Header, key: &KeyBytes, entropy: &dyn Entropy, mut buffer: Vec<u8>) -> Self {
        let key = SegmentKey::to_seal(header.suite, key, entropy);
        buffer.extend_from_slice(&[0; PAYLOAD_START as usize]);
        let filled = PAYLOAD_START as usize;
        Self { header, key, buffer, segment: 0, filled, payload_len: 0 }
    }

    /// Appends to the payload.
    pub fn write(&mut self, payload: &[u8]) {
        self.payload_len += payload.len() as u64;
        let mut rest = payload;
        while !rest.is_empty() {
            let (taken, left) = rest.split_at(rest.len().min(self.room()));
            self.buffer.extend_from_slice(taken);
            self.filled += taken.len();
            rest = left;
        }
    }

    /// Bytes of payload so far.
    pub fn payload_len(&self) -> u64 {
        self.payload_len
    }

    /// Bytes of the stream so far: the payload and its length.
    pub fn stream_len(&self) -> u64 {
        PAYLOAD_START + self.payload_len
    }

    /// What the object is.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Pads the stream with zeros to `padded_stream_length` bytes, seals the rest, and names the
    /// object.
    ///
    /// # Errors
    /// [`Error::PayloadLength`] when the stream is longer already, [`Error::ObjectLength`] when the
    /// object would be longer than 4 GiB.
    pub fn finish(mut self, padded_stream_length: u64) -> Result<SealedObject> {
        object_len(self.header.kind, padded_stream_length)?;
        let padding =
            padded_stream_length.checked_sub(self.stream_len()).ok_or(Error::PayloadLength {
                payload: self.payload_len,
                stream: padded_stream_length,
            })?;
        self.pad(padding);
        self.buffer.extend_from_slice(&[0; SEGMENT_TAG_BYTES]);

        let start = prefix_len(self.header.kind);
        self.buffer[start..][..PAYLOAD_START as usize]
            .copy_from_slice(&self.payload_len.to_le_bytes());
        let last = start + self.segment as usize * SEGMENT_BYTES;
        self.key.seal(self.segment, Position::Last, &mut self.buffer[last..]);
        if self.segment > 0 {
            self.key.seal(0, Position::Inner, &mut self.buffer[start..][..SEGMENT_BYTES]);
        }
        Ok(SealedObject { name: Digest::of(&self.buffer), bytes: self.buffer })
    }

    /// Gives up the object and hands its buffer back, emptied.
    pub fn abandon(mut self) -> Vec<u8> {
        self.buffer.clear();
        self.buffer
    }

    fn pad(&mut self, mut padding: u64) {
        while padding > 0 {
            let count = usize::try_from(padding).map_or(self.room(), |left| left.min(self.room()));
            self.buffer.resize(self.buffer.len() + count, 0);
            self.filled += count;
            padding -= count as u64;
        }
    }

    /// Bytes that fit into the current segment. A full one is left behind for the next: something
    /// is about to follow, so it is not the last.
    fn room(&mut self) -> usize {
        if self.filled == SEGMENT_PLAIN_BYTES {
            self.buffer.extend_from_slice(&[0; SEGMENT_TAG_BYTES]);
            if self.segment > 0 {
                let start = self.buffer.len() - SEGMENT_BYTES;
                self.key.seal(self.segment, Position::Inner, &mut self.buffer[start..]);
            }
            self.segment += 1;
            self.filled = 0;
        }
        SEGMENT_PLAIN_BYTES - self.filled
    }
}
