//! Segments: 64 KiB of the stream each, sealed in order, the last one marked.
//!
//! Segment i is sealed with nonce = u64be(i) ‖ 000000 ‖ last (01 or 00) and no associated data:
//! the key belongs to this object alone, so position and end are all there is to bind. The last
//! segment may be short, never empty. STREAM: Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015.
//! DESIGN §5.

use std::ops::Range;

use aws_lc_rs::aead::{
    AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};

use super::header::ObjectKind;
use super::wrap::prefix_len;
use crate::key::KeyBytes;
use crate::witness::Watched;
use crate::{Entropy, Error, Result, Sealing, Suite};

/// Bytes of the stream in each segment but the last.
pub const SEGMENT_PLAIN_BYTES: usize = 1 << 16;

/// Bytes of each segment but the last in the object.
pub const SEGMENT_BYTES: usize = SEGMENT_PLAIN_BYTES + SEGMENT_TAG_BYTES;

/// Where the payload begins in the stream, in bytes: its length stands before it.
pub const PAYLOAD_START: u64 = 8;

/// The longest object, in bytes.
pub const OBJECT_BYTES_MAX: u64 = 4 << 30;

pub(super) const SEGMENT_TAG_BYTES: usize = 16;

/// The length of the object that holds a stream of `stream_len` bytes.
///
/// # Errors
/// [`Error::ObjectLength`] when it is outside of the limits.
pub fn object_len(kind: ObjectKind, stream_len: u64) -> Result<u64> {
    let tags = stream_len.div_ceil(SEGMENT_PLAIN_BYTES as u64) * SEGMENT_TAG_BYTES as u64;
    let length = stream_len.saturating_add(tags).saturating_add(prefix_len(kind) as u64);
    check_object_len(kind, length)?;
    Ok(length)
}

/// The length of the stream in an object of `object_len` bytes.
///
/// # Errors
/// [`Error::ObjectLength`] when no object has that length.
pub fn stream_len(kind: ObjectKind, object_len: u64) -> Result<u64> {
    check_object_len(kind, object_len)?;
    let body = object_len - prefix_len(kind) as u64;
    let segments = body.div_ceil(SEGMENT_BYTES as u64);
    let last = body - (segments - 1) * SEGMENT_BYTES as u64;
    if last <= SEGMENT_TAG_BYTES as u64 {
        return Err(length_error(kind, object_len));
    }
    Ok(body - segments * SEGMENT_TAG_BYTES as u64)
}

/// The whole segments that cover a range of the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentSpan {
    /// The first of them.
    pub first_segment: u64,
    /// Where they lie in the object, in bytes.
    pub object_range: Range<u64>,
    /// What they hold of the stream, in bytes.
    pub stream_range: Range<u64>,
}

impl SegmentSpan {
    /// Those that cover `range` of the stream of an object of `object_len` bytes.
    ///
    /// # Errors
    /// [`Error::ObjectLength`]; [`Error::StreamRange`] for a range that is empty or ends outside.
    pub fn covering(kind: ObjectKind, object_len: u64, range: Range<u64>) -> Result<Self> {
        let length = stream_len(kind, object_len)?;
        if range.is_empty() || range.end > length {
            return Err(Error::StreamRange { start: range.start, end: range.end, length });
        }
        let first = range.start / SEGMENT_PLAIN_BYTES as u64;
        let end = range.end.div_ceil(SEGMENT_PLAIN_BYTES as u64);
        let prefix = prefix_len(kind) as u64;
        let object_end = (prefix + end * SEGMENT_BYTES as u64).min(object_len);
        let stream_end = (end * SEGMENT_PLAIN_BYTES as u64).min(length);
        Ok(Self {
            first_segment: first,
            object_range: prefix + first * SEGMENT_BYTES as u64..object_end,
            stream_range: first * SEGMENT_PLAIN_BYTES as u64..stream_end,
        })
    }
}

/// Where a segment stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Others follow it.
    Inner,
    /// The stream ends with it.
    Last,
}

/// The key of one object's segments.
pub(super) struct SegmentKey {
    key: LessSafeKey,
    watched: Option<Box<Watched>>,
}

impl SegmentKey {
    pub(super) fn to_open(suite: Suite, key: &KeyBytes) -> Self {
        let algorithm = match suite {
            Suite::Aes256Gcm => &AES_256_GCM,
            Suite::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, &key[..]).expect("both ciphers take 32-byte keys");
        Self { key: LessSafeKey::new(key), watched: None }
    }

    /// For the one object that is sealed under it.
    pub(super) fn to_seal(suite: Suite, key: &KeyBytes, entropy: &dyn Entropy) -> Self {
        let watched = Watched::new(entropy.witness(), Sealing::Segment, &key[..]);
        Self { watched: watched.map(Box::new), ..Self::to_open(suite, key) }
    }

    /// Seals `plain ‖ room for the tag` where it lies.
    pub(super) fn seal(&self, segment: u64, position: Position, bytes: &mut [u8]) {
        let (plain, room) = bytes.split_at_mut(bytes.len() - SEGMENT_TAG_BYTES);
        let nonce = nonce(segment, position);
        if let Some(watched) = &self.watched {
            watched.sealed(nonce.as_ref());
        }
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::empty(), plain)
            .expect("a segment is far below the ciphers' limit");
        room.copy_from_slice(tag.as_ref());
    }

    /// Opens `ciphertext ‖ tag` into `plain`, which is as long as the ciphertext; whether it is
    /// authentic. If not, `plain` holds nothing of use.
    #[must_use]
    pub(super) fn open(
        &self,
        segment: u64,
        position: Position,
        sealed: &[u8],
        plain: &mut [u8],
    ) -> bool {
        let Some((text, tag)) = sealed.split_last_chunk::<SEGMENT_TAG_BYTES>() else {
            return false;
        };
        self.key
            .open_separate_gather(nonce(segment, position), Aad::empty(), text, tag, plain)
            .is_ok()
    }
}

fn nonce(segment: u64, position: Position) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&segment.to_be_bytes());
    bytes[NONCE_LEN - 1] = u8::from(position == Position::Last);
    Nonce::assume_unique_for_key(bytes)
}

fn check_object_len(kind: ObjectKind, length: u64) -> Result<()> {
    let least = object_len_least(kind);
    if (least..=OBJECT_BYTES_MAX).contains(&length) {
        Ok(())
    } else {
        Err(length_error(kind, length))
    }
}

fn length_error(kind: ObjectKind, length: u64) -> Error {
    let (least, most) = (object_len_least(kind), OBJECT_BYTES_MAX);
    Error::ObjectLength { kind, length, least, most }
}

/// Prefix, the payload's length, a tag.
const fn object_len_least(kind: ObjectKind) -> u64 {
    prefix_len(kind) as u64 + PAYLOAD_START + SEGMENT_TAG_BYTES as u64
}
