//! A recovery kit, as somebody types it.
//! Property: reading never panics, and what it accepts is printed as the same kit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::kit(data);
});
