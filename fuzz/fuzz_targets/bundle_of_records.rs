//! Records in a row, as they lie in one object.
//! Property: decode never panics, and whatever it accepts encodes back to the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    ledger::fuzzing::bundle(data);
});
