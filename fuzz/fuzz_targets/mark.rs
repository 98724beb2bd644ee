//! What a collector keeps of a finished mark.
//! Property: decode never panics, and whatever it accepts encodes back to the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    vault::fuzzing::mark(data);
});
