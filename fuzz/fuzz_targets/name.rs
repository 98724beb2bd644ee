//! The name of an object, as a place lists it.
//! Property: parse never panics, and what it accepts is shown as it was typed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::name(data);
});
