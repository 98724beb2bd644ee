//! A place, as somebody types it.
//! Property: parse never panics, and what it accepts is shown as the same place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::place_url(data);
});
