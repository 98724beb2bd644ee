//! Does anybody hold more than the job needs? The program is run with the keys of each role, and
//! all that it leaves on disk is searched for what must not be there.

#![allow(clippy::unwrap_used, reason = "whatever is unwrapped here is what the suite checks")]

// A vault, an owner and a backup host, each with a home of its own.
mod world;

// A writer adds, incrementally, and opens nothing.
mod writer;

// Vault, cache and state hold no name and no content in clear.
mod leaks;
