//! Is anything acknowledged ever lost? Work is stopped at every step: a killed process, a place
//! that dies before or after each request, a full disk, a place that hangs. Afterwards earlier
//! snapshots are whole, verification is clean, and the next backup goes on.

#![allow(clippy::unwrap_used)]

// The program, killed with SIGKILL at many moments.
mod killed;

// The engine over a place that stops at each of its operations, one after the other.
mod every_step;

// A place without room, and one that does not answer.
mod full_and_silent;

// The program on a file system that really is full.
mod small_disk;

// A small vault in memory and what must hold of it.
mod world;
