//! Is every byte what `crates/format/FORMAT.md` says?
//!
//! The vectors are files that any language can read; here the program's decoders and the
//! independent reader in Python both judge them. Random and damaged bytes show that decoders are
//! total. The reader restores files from a vault that the program made, from the key file and the
//! text alone.

#![allow(clippy::unwrap_used, reason = "whatever is unwrapped here is what the suite checks")]

// How each structure of the vectors is decoded, checked and opened.
mod decoders;
// What is true of each decoder, whatever its input; fuzz targets assert the same.
#[expect(unreachable_pub, reason = "the fuzz targets are another crate")]
mod properties;
// The independent reader: every vector, and whole vaults made by the program.
mod reader;
// Vectors of values: key schedule, chunk ids, boundaries, cuts, padding.
mod tables;
// Random bytes and damaged good ones: no decoder panics, and what it takes encodes back.
mod total;
// A vector as a file.
mod vector;
// Every vector is taken or refused for the reason that it states.
mod vectors;
