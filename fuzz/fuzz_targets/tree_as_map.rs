//! A tree that is built and edited, beside an ordered map.
//! Property: both hold the same, and the tree shows nothing of its history.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::tree_as_map(data);
});
