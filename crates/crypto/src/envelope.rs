//! The sealed object: the one form in which packs, index runs and cache files are stored.
//!
//! An object is header[72] ‖ wrapped data key ‖ commitment[32] ‖ segments. A fresh data key
//! seals one object, once; segment nonces count from 0, and the last segment says that it is
//! the last, so an object cannot be cut. Segments ignore what lies inside: `stream` =
//! u64le(payload length) ‖ payload ‖ zeros, cut every 64 KiB. The header is authenticated by
//! the wrap and by the commitment, which is checked before any segment. The object's name is
//! the BLAKE3 of all its bytes. DESIGN §5.

mod header;
mod open;
mod padding;
mod seal;
mod segment;
mod wrap;

#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod tests;

pub use header::{HEADER_BYTES, Header, ObjectKind};
pub use open::{Expected, OpenedObject};
pub use padding::{PADDED_STREAM_LEAST, padded_stream_len, padme};
pub use seal::{ObjectSealer, SealedObject};
pub use segment::{
    OBJECT_BYTES_MAX, PAYLOAD_START, SEGMENT_BYTES, SEGMENT_PLAIN_BYTES, SegmentSpan, object_len,
    stream_len,
};
pub use wrap::{
    COMMITMENT_BYTES, KEPT_KEY_BYTES, ObjectPrefix, Unwrapping, Wrapping, prefix_len, wrap_bytes,
};
