//! Does damage ever return as data? Every object of a small vault is harmed in every way that a
//! disk, a provider or an attacker can: what is read then is identical, or an error that names
//! something. The vault lies in memory, the engine is the real one.

#![allow(clippy::unwrap_used)]

// One small vault, and how to read all of it.
mod world;

// Each object flipped, cut, emptied, removed, replaced by an older or a foreign one.
mod every_object;

// Each type of object presented under the name of every other.
mod types;

// A damaged pack while restoring to disk: the files that it hurts are named, the others are whole.
mod restore;

// What `repair` puts back, from each object's loss and after a crash at each of its steps.
mod repaired;

// Each command on each kind of object in each harm: nothing wrong, nothing live deleted.
mod every_command;

// A place marked as a replica, and its mark in each harm.
mod marked;

// A vault with every kind of object.
mod past;
