//! What a coverage remembers of when packs were read.
//! Property: decode never panics, and whatever it accepts encodes back to the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    vault::fuzzing::read_times(data);
});
