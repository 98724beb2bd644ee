//! How long a stream is made, so that its length says little about its payload.
//!
//! Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", PETS 2019;
//! lbarman.ch/blog/padme) rounds up to a length whose binary form has its ones in the first
//! log2(log2(length)) + 1 digits: at most 12 % longer, and few distinct lengths. DESIGN §5.

/// The least length of a padded stream, in bytes.
pub const PADDED_STREAM_LEAST: u64 = 4096;

/// The padded length of a stream of `length` bytes: Padmé, and at least 4 KiB.
pub const fn padded_stream_len(length: u64) -> u64 {
    let padded = padme(length);
    if padded < PADDED_STREAM_LEAST { PADDED_STREAM_LEAST } else { padded }
}

/// `length` rounded up as Padmé does; lengths that would pass 2^64 stay as they are.
pub const fn padme(length: u64) -> u64 {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let digits = exponent.ilog2() + 1;
    let zeros = exponent.saturating_sub(digits);
    let mask = (1u64 << zeros) - 1;
    match length.checked_add(mask) {
        Some(raised) => raised & !mask,
        None => length,
    }
}
