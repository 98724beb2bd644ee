//! `hold`: nobody forgets or purges these snapshots until the owner releases them.
//!
//! To hold what is held already changes nothing and is no error. DESIGN.md §9.

use std::ffi::OsString;
use std::io::{self, Write};

use serde_json::json;
use strongroom::SnapshotId;

use crate::context::{Access, Context};
use crate::exit::Result;
use crate::output::{Fields, Report, fields, short};
use crate::selector::{Selector, choose_all};

/// Holds snapshots: nobody forgets or purges them until they are released.
///
/// What lies in the trash stays there, and is not purged. Needs the key of the owner or a reader.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshots
    #[arg(value_name = "SNAPSHOT", required = true)]
    snapshots: Vec<OsString>,
}

/// Holds them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Marked> {
    let selectors = Selector::parse_whole(&args.snapshots)?;
    let mut vault = context.open(Access::Append)?;
    let named = choose_all(&selectors, &mut vault, context)?;
    let named: Vec<_> = named.into_iter().map(|snapshot| snapshot.id).collect();
    let changed = vault.hold(&named)?;
    Ok(Marked { field: "held", done: "held", already: "held already", named, changed })
}

/// Snapshots that were named, and those that changed by it.
pub(crate) struct Marked {
    /// What those that changed are called in JSON.
    pub(crate) field: &'static str,
    /// What was done to those that changed.
    pub(crate) done: &'static str,
    /// What the others were before.
    pub(crate) already: &'static str,
    pub(crate) named: Vec<SnapshotId>,
    pub(crate) changed: Vec<SnapshotId>,
}

impl Report for Marked {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.named.iter().try_for_each(|id| {
            let what = if self.changed.contains(id) { self.done } else { self.already };
            writeln!(out, "{} {what}", short(id))
        })
    }

    fn fields(&self) -> Fields {
        let (changed, others): (Vec<_>, Vec<_>) =
            self.named.iter().partition(|id| self.changed.contains(id));
        let text = |ids: Vec<&SnapshotId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        fields(json!({ self.field: text(changed), "unchanged": text(others) }))
    }
}
