//! The ordered map, bytes to bytes, kept as a tree of immutable nodes; and the list tree of chunks.
//!
//! Where a node ends is decided by a keyed rule over its own entries ([`Boundary`]), so equal
//! content has an equal root whatever the order of edits. A node is named by what it holds, so two
//! trees share what they have in common: [`update`] re-uses it and [`Diff`] skips it. Nodes come
//! from a [`NodeSource`] and go to a [`NodeSink`]; this crate does not know where they lie. What is
//! read is not trusted: order, level, range, count and weight are checked. FORMAT.md §8.

mod boundary;
mod builder;
mod cursor;
mod diff;
mod error;
mod load;
mod memory;
mod range;
mod recipe;
mod root;
mod store;
mod update;
mod walk;

#[cfg(test)]
mod testing;

pub use boundary::Boundary;
pub use builder::Builder;
pub use cursor::{Cursor, Entry, get};
pub use diff::{Change, Diff, diff};
pub use error::{Error, Flaw};
pub use memory::{MemoryNodes, MissingNode};
pub use range::{Range, range};
pub use recipe::{RecipeBuilder, RecipeChunk, RecipeReader, RecipeRoot};
pub use root::Root;
pub use store::{NodeSink, NodeSource};
pub use update::{Edit, update};
pub use walk::{Tour, TourStep, Visit, walk, walk_recipe};
