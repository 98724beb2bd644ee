//! Patterns that choose files, and a path that they are asked about.
//! Property: they compile or are refused in words, and matching never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    files::fuzzing::patterns(data);
});
