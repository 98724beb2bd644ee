//! Tests of the ledger over real records, keys and places.
//!
//! `world` makes a vault in memory with members of every role; each other file asks one question.

mod abuse;
mod bundles;
mod checkpoints;
mod compaction;
mod crowd;
mod damage;
mod history;
mod keys;
mod locks;
mod odd_places;
mod packs;
mod places_that_fail;
mod races;
mod roles;
mod schedules;
mod sessions;
mod snapshots;
mod states;
mod world;
mod years;
