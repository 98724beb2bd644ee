//! What is true of this crate's private decoders, whatever their input. For fuzz targets and the
//! format suite, which ask the same of every decoder: it never panics, and whatever it accepts
//! encodes back to the same bytes.

use bytes::Bytes;
use format::{Encoder, Seq};

use crate::State;
use crate::ledger::decode_bundle;

/// The state of a checkpoint and of the cache.
pub fn state(data: &[u8]) {
    if let Ok(state) = State::decode(data) {
        assert_eq!(state.encode(), data);
    }
}

/// A bundle, whose name says where it begins and ends: here its own bytes do.
pub fn bundle(data: &[u8]) {
    let (Some(first), Some(count)) = (data.get(1..9), data.get(9..13)) else { return };
    let first = u64::from_le_bytes(first.try_into().expect("eight bytes"));
    let count = u64::from(u32::from_le_bytes(count.try_into().expect("four bytes")));
    let Some(last) = count.checked_sub(1).and_then(|steps| first.checked_add(steps)) else {
        return;
    };
    let Ok(records) = decode_bundle(&Bytes::copy_from_slice(data), Seq(first), Seq(last)) else {
        return;
    };
    let mut e = Encoder::new();
    e.u8(data[0]).u64(first).count(records.len());
    for record in &records {
        e.u64(record.whole_length).bytes(&record.bytes);
    }
    assert_eq!(e.finish(), data);
}
