//! The text of a key file, as somebody may have edited it.
//! Property: decode never panics, and whatever it accepts encodes back to the same line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::key_file(data);
});
