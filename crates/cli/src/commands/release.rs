//! `release`: ends the hold on snapshots.
//!
//! To release what is not held changes nothing and is no error. DESIGN.md §9.

use std::ffi::OsString;

use crate::commands::hold::Marked;
use crate::context::{Access, Context};
use crate::exit::Result;
use crate::selector::{Selector, choose_all};

/// Ends the hold on snapshots.
///
/// Needs the owner's key.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshots
    #[arg(value_name = "SNAPSHOT", required = true)]
    snapshots: Vec<OsString>,
}

/// Releases them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Marked> {
    let selectors = Selector::parse_whole(&args.snapshots)?;
    let mut vault = context.open(Access::Append)?;
    let named = choose_all(&selectors, &mut vault, context)?;
    let named: Vec<_> = named.into_iter().map(|snapshot| snapshot.id).collect();
    let changed = vault.release(&named)?;
    Ok(Marked { field: "released", done: "released", already: "was not held", named, changed })
}
