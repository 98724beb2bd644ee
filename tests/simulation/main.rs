//! Is anything acknowledged ever lost, whatever happens at whatever moment? The real vault runs
//! over a simulated place, clock and entropy, all drawn from one seed: several writers, collectors,
//! readers and a replicator in bad weather, beside a hostile writer. After every step each
//! committed and unforgotten snapshot restores. `STRONGROOM_SIMULATION_SEED` repeats one seed.

#![allow(clippy::unwrap_used)]

// What the seeds are asked: does every rule hold, and does one that is off get noticed?
mod seeds;

// One play: its actors, its weather and how it ended.
mod play;

// Plays whose order is written down: what chance meets too rarely.
mod staged;

// Who acts, and the processes that they are.
mod actors;

// Looks at every change and says which rule it breaks.
mod oracle;

// Small trees of files: written through a session, read back through a reader.
mod trees;

// The vault that every play begins with, made once.
mod base;

// The protocol as a small state machine, every schedule of it within small budgets.
mod model;
