//! What is left after the worst day, and does it suffice?
//!
//! Vaults are copied, places lost, hosts begun anew; what comes back is compared with what was.

#![allow(clippy::unwrap_used, reason = "whatever is unwrapped here is what the suite checks")]

// A small vault in memory, and a place beside it.
mod world;

// Another place kept complete without a key, killed at any request.
mod replica;

// A vault with hosts that remember, and a replica of it.
mod hosts;

// With the copy's place and the kit alone, by the program.
mod kit_only;

// The owner goes on from what survived, and the other hosts follow.
mod recover;

// What is damaged comes back from another copy.
mod repair_from;

// A replica over the years: holds, clocks, races, other histories, and how it compares.
mod upkeep;

// The command `replicate`: without a key, killed at any moment, following.
mod command;

// A replica at a place that locks objects.
mod locks;
