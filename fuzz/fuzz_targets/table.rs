//! A table of the index, from the cache.
//! Property: decode never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    vault::fuzzing::table(data);
});
