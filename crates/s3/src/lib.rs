//! A place in an S3 bucket.
//!
//! [`S3Place`] is the five verbs of [`places::Place`] as requests, one for each put and get; large
//! objects go up in parts. This is the one crate that names the SDK or an async runtime: each place
//! has a small runtime of its own, calls block, and nothing async leaks out.
//! Nothing is retried here: [`places::Retrying`] does that, and settles what became of a put whose
//! answer was lost. Conditions on puts are used and never trusted: `places::probe` finds out.
//! DESIGN.md §4.

mod client;
mod errors;
mod list;
mod multipart;
mod options;
mod place;
mod retention;
mod runtime;
#[cfg(test)]
mod tests;
mod transport;
mod versions;

pub use options::{
    CONNECTIONS_DEFAULT, Credentials, MULTIPART_ABOVE_BYTES, PART_BYTES, PlainHttp, S3Options,
};
pub use place::S3Place;
