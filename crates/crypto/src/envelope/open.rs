//! Opens an object, whole or by the range.
//!
//! The prefix comes first: what the header says is checked against what is expected, the data
//! key is opened, and the commitment is checked, before any segment. Then any whole segments
//! can be opened on their own. The object's length decides which segment must be marked as the
//! last, so an object cut at a segment's border does not open. DESIGN §5.

use std::ops::Range;

use super::header::{Header, ObjectKind};
use super::segment::{
    PAYLOAD_START, Position, SEGMENT_BYTES, SEGMENT_TAG_BYTES, SegmentKey, SegmentSpan, stream_len,
};
use super::wrap::{Unwrapping, open_kept, prefix_len, unwrap};
use crate::{Error, Result, Suite, SymmetricKey, VaultId};

/// What an object must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expected {
    /// What it holds.
    pub kind: ObjectKind,
    /// The vault at work.
    pub vault_id: VaultId,
    /// The vault's suite.
    pub suite: Suite,
}

/// An object whose data key is open.
pub struct OpenedObject {
    header: Header,
    key: SegmentKey,
}

impl OpenedObject {
    /// Opens the data key from an object's prefix ([`prefix_len`] bytes; more may follow).
    ///
    /// # Errors
    /// [`Error::Decode`], [`Error::NotSealedObject`] or [`Error::UnknownSuite`] for the header;
    /// [`Error::ObjectKind`], [`Error::OtherVault`], [`Error::OtherSuite`] when it is not what is
    /// expected; [`Error::Wrapping`]; [`Error::DataKey`]; [`Error::Commitment`].
    pub fn open(prefix: &[u8], unwrapping: Unwrapping<'_>, expected: Expected) -> Result<Self> {
        let header = Header::peek(prefix)?;
        expected.check(&header)?;
        let key = unwrap(&header, unwrapping, prefix)?;
        Ok(Self { header, key: SegmentKey::to_open(header.suite, &key) })
    }

    /// Opens the data key that [`crate::ObjectSealer::new_kept`] sealed under `local`.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_kept(
        prefix: &[u8],
        kept: &[u8],
        local: &SymmetricKey,
        expected: Expected,
    ) -> Result<Self> {
        let header = Header::peek(prefix)?;
        expected.check(&header)?;
        let key = open_kept(&header, kept, local, prefix)?;
        Ok(Self { header, key: SegmentKey::to_open(header.suite, &key) })
    }

    /// Opens a whole object: the payload.
    ///
    /// # Errors
    /// Those of [`Self::open`] and [`Self::open_all`].
    pub fn open_whole(
        object: &[u8],
        unwrapping: Unwrapping<'_>,
        expected: Expected,
    ) -> Result<Vec<u8>> {
        Self::open(object, unwrapping, expected)?.open_all(object)
    }

    /// What the object is, proven by the commitment.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The segments that cover a range of the stream. The payload begins at [`PAYLOAD_START`].
    ///
    /// # Errors
    /// [`Error::ObjectLength`], [`Error::StreamRange`].
    pub fn segment_range(&self, object_len: u64, stream_range: Range<u64>) -> Result<SegmentSpan> {
        SegmentSpan::covering(self.header.kind, object_len, stream_range)
    }

    /// Opens whole segments from `first_segment` on, of an object of `object_len` bytes: their
    /// part of the stream.
    ///
    /// # Errors
    /// [`Error::ObjectLength`]; [`Error::SegmentBorder`] when the ciphertext is not whole segments
    /// of it; [`Error::Segment`] when one does not authenticate.
    pub fn open_segments(
        &self,
        object_len: u64,
        first_segment: u64,
        ciphertext: &[u8],
    ) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        self.open_segments_into(object_len, first_segment, ciphertext, &mut plain)?;
        Ok(plain)
    }

    /// As [`Self::open_segments`], appending to `plain`, which an error leaves as it was.
    ///
    /// # Errors
    /// Those of [`Self::open_segments`].
    pub fn open_segments_into(
        &self,
        object_len: u64,
        first_segment: u64,
        ciphertext: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<()> {
        let kind = self.header.kind;
        let last = self.check_segments(object_len, first_segment, ciphertext)?;
        let before = plain.len();
        let count = ciphertext.len().div_ceil(SEGMENT_BYTES);
        plain.resize(before + ciphertext.len() - count * SEGMENT_TAG_BYTES, 0);
        let mut rest = &mut plain[before..];
        for (segment, sealed) in (first_segment..).zip(ciphertext.chunks(SEGMENT_BYTES)) {
            let position = if segment == last { Position::Last } else { Position::Inner };
            let (part, left) = rest.split_at_mut(sealed.len() - SEGMENT_TAG_BYTES);
            if !self.key.open(segment, position, sealed, part) {
                plain.truncate(before);
                return Err(Error::Segment { kind, segment });
            }
            rest = left;
        }
        Ok(())
    }

    /// Opens all segments of `object`, which is whole: the payload. Checks its length and that the
    /// padding is zeros.
    ///
    /// # Errors
    /// Those of [`Self::open_segments`]; [`Error::PayloadLength`], [`Error::Padding`].
    pub fn open_all(&self, object: &[u8]) -> Result<Vec<u8>> {
        let kind = self.header.kind;
        let object_len = object.len() as u64;
        let stream = stream_len(kind, object_len)?;
        let body = &object[prefix_len(kind)..];
        let (first, others) = body.split_at(body.len().min(SEGMENT_BYTES));

        // Segment 0 is opened apart, so that the payload need not be moved to lose its length.
        let start = self.open_segments(object_len, 0, first)?;
        let (length, start) = start
            .split_first_chunk::<{ PAYLOAD_START as usize }>()
            .expect("the least object's stream holds the payload's length");
        let payload_len = u64::from_le_bytes(*length);
        if payload_len > stream - PAYLOAD_START {
            return Err(Error::PayloadLength { payload: payload_len, stream });
        }
        let mut payload = Vec::with_capacity((stream - PAYLOAD_START) as usize);
        payload.extend_from_slice(start);
        if !others.is_empty() {
            self.open_segments_into(object_len, 1, others, &mut payload)?;
        }
        if payload[payload_len as usize..].iter().any(|byte| *byte != 0) {
            return Err(Error::Padding { kind });
        }
        payload.truncate(payload_len as usize);
        Ok(payload)
    }

    /// The number of the object's last segment, if the ciphertext is whole segments of it.
    fn check_segments(&self, object_len: u64, first: u64, ciphertext: &[u8]) -> Result<u64> {
        let kind = self.header.kind;
        stream_len(kind, object_len)?;
        let body = object_len - prefix_len(kind) as u64;
        let length = ciphertext.len() as u64;
        let start = first.saturating_mul(SEGMENT_BYTES as u64);
        let end = start.saturating_add(length);
        let whole = length.is_multiple_of(SEGMENT_BYTES as u64) || end == body;
        if length == 0 || end > body || !whole {
            return Err(Error::SegmentBorder { kind, first, length });
        }
        Ok(body.div_ceil(SEGMENT_BYTES as u64) - 1)
    }
}

impl Expected {
    fn check(&self, header: &Header) -> Result<()> {
        if header.vault_id != self.vault_id {
            return Err(Error::OtherVault { expected: self.vault_id, actual: header.vault_id });
        }
        if header.kind != self.kind {
            return Err(Error::ObjectKind { expected: self.kind, actual: header.kind });
        }
        if header.suite != self.suite {
            return Err(Error::OtherSuite { expected: self.suite, actual: header.suite });
        }
        Ok(())
    }
}
