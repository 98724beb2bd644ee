//! The first bytes of an object, in clear.
//! Property: peek never panics, and whatever it accepts encodes back to the same 72 bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::header(data);
});
