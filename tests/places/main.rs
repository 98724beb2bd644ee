//! Does one place serve many? Programs on one host and on several, all at once, on one folder.

#![allow(clippy::unwrap_used, reason = "whatever is unwrapped here is what the suite checks")]

// What goes wrong between the program and a bucket.
mod bad_days;
// A bucket of a real S3 server.
mod bucket;
// A bucket on many machines, of which some die.
mod cluster;
// Requests that fail, answers that are cut, slow, wrong or dated by another clock.
mod faults;
// Somebody with a bucket's credentials means harm.
mod hostile;
// Servers that die, buckets and credentials that end, a store that ignores conditions.
mod outages;
// Each role works with the policy that the program prints for it, and can do no more.
mod policies;
// Many processes back up to one folder vault at the same time.
mod together;
// A vault in a bucket behind a proxy.
mod troubled;
