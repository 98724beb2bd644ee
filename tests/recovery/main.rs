//! What is left after the worst day, and does it suffice?
//!
//! Vaults are copied, places lost, hosts begun anew; what comes back is compared with what was.

#![allow(clippy::unwrap_used, reason = "whatever is unwrapped here is what the suite checks")]

// Another place kept complete without a key, killed at any request.
mod replica;
