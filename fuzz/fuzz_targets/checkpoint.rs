//! The head of a checkpoint, before its sealed object.
//! Property: decode never panics, and whatever it accepts encodes back to the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::checkpoint(data);
});
