//! Does the program say and do what its users are told? Commands are typed as users type them;
//! output, hints and exit codes are compared, whole stories are played through on real files.

#![allow(clippy::unwrap_used, reason = "whatever is unwrapped here is what the suite checks")]

// A program, a folder of its own, and what it printed.
mod world;

// The cases in `cases/`: typed commands and what must be printed, as one text.
mod console;

// From the first backup to the last restore, with an owner's key and with a writer's.
mod story;

// The shapes that programs read.
mod json;

// A vault that was rolled back or broken: reading goes on, adding is refused.
mod standing;

// Signals, closed pipes, and passphrases that nobody may inherit.
mod processes;

// Damage, from its discovery to its repair by the next backup.
mod lost;

// Snapshots mounted as folders, where FUSE works.
mod mount;

// The manual and the reference beside the source are those that the program makes.
mod generated;

// What the README shows can be typed, and its story runs.
mod readme;

// The units for systemd and the line for cron run what they say, and may do no more.
mod units;
