//! A certificate in a record, which anyone with access to the place can write.
//! Property: decode and verify never panic, and no signature holds that nobody made.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::certificate(data);
});
