//! A world that one seed replays: turns, a place with bad weather, a clock that only turns move.
//!
//! Actors run real, blocking code, each on a thread of its own; [`Turns`] lets one of them run at a
//! time and draws who is next, so a seed is a schedule. Every call of a [`SimulatedPlace`] and
//! every sleep of a [`SimulatedClock`] is a point where another may go on. The [`Weather`] says how
//! often a call is lost, answered too late, done twice, or the last of its process. What may happen
//! to a store in earnest may happen here, and no more: a put stays atomic and has one winner.

mod dice;
mod place;
mod turns;

pub use dice::Dice;
pub use place::{Bucket, Event, Onlooker, SimulatedPlace, Watch, Weather};
pub use turns::{Part, SimulatedClock, Turns};
