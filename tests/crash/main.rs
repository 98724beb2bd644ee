//! Is anything acknowledged ever lost? Every command is stopped at every step: a killed process,
//! a place that dies before or after each request, a full disk, a place that hangs. Afterwards
//! earlier snapshots are whole, verification is clean, and the command run again ends well.
//! Through all of it, no key seals twice under one nonce.

#![allow(clippy::unwrap_used)]

// The program, killed with SIGKILL at many moments.
mod killed;

// The program, killed or without power after each of its changes to files, one after the other.
#[cfg(target_os = "linux")]
mod every_change;

// Each command over a place that stops at each of its operations, one after the other.
mod every_step;

// The commands, each as one value.
mod commands;

// The small vault that each of them finds.
mod base;

// A whole life with crashes, clones and roll-backs: every seal has its own key and nonce.
mod nonces;

// A place without room, and one that does not answer.
mod full_and_silent;

// The program on a file system that really is full.
mod small_disk;

// A small vault in memory and what must hold of it.
mod world;
