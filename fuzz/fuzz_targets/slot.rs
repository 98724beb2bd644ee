//! A key slot, which anyone with access to the place can write.
//! Property: decode never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::slot(data);
});
