//! The state of a ledger, from a checkpoint or a cache.
//! Property: decode never panics, and whatever it accepts encodes back to the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    ledger::fuzzing::state(data);
});
