//! The bodies of records, which are sealed: a member wrote them.
//! Property: decode never panics, and whatever it accepts encodes back to the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::properties;

fuzz_target!(|data: &[u8]| {
    properties::body_certify(data);
    properties::body_commit(data);
    properties::body_tag(data);
});
