//! A path's key in a file tree; no key may lead out of the root.
//! Property: decode never panics, and whatever it accepts encodes back to the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::path_key(data);
});
