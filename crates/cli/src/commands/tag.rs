//! `tag`: changes the tags of snapshots.
//!
//! The tags in force replace those that the backup gave; filters and rules go by them. DESIGN.md
//! §9.

use std::ffi::OsString;
use std::io::{self, Write};

use serde_json::json;
use strongroom::{SnapshotId, TagEdit};

use crate::context::{Access, Context};
use crate::exit::{Failure, Result};
use crate::output::{Fields, Report, fields, short};
use crate::selector::{Selector, choose_all};

/// Changes the tags of snapshots.
///
/// Needs the owner's key.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshots
    #[arg(value_name = "SNAPSHOT", required = true)]
    snapshots: Vec<OsString>,
    /// Add this tag (again for more)
    #[arg(long, value_name = "TAG")]
    add: Vec<String>,
    /// Take this tag away (again for more)
    #[arg(long, value_name = "TAG")]
    remove: Vec<String>,
    /// Have this tag and no other (again for more; an empty one for none)
    #[arg(long, value_name = "TAG", conflicts_with_all = ["add", "remove"])]
    set: Vec<String>,
}

/// Changes them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Tagged> {
    let selectors = Selector::parse_whole(&args.snapshots)?;
    let Args { add, remove, set, .. } = args;
    if add.is_empty() && remove.is_empty() && set.is_empty() {
        let hint = "give --add TAG, --remove TAG or --set TAG";
        return Err(Failure::usage("no tag is named", hint));
    }
    let all = set.iter().filter(|tag| !tag.is_empty()).cloned().collect();
    let edit =
        TagEdit { set: (!set.is_empty()).then_some(all), add: add.clone(), remove: remove.clone() };
    for tag in edit.set.iter().flatten().chain(add) {
        strongroom::check_label("the tag", tag)?;
    }
    let mut vault = context.open(Access::Append)?;
    let named = choose_all(&selectors, &mut vault, context)?;
    let tagged =
        named.into_iter().map(|snapshot| Ok((snapshot.id, vault.tag(snapshot.id, &edit)?)));
    Ok(Tagged { tagged: tagged.collect::<Result<_>>()? })
}

/// Snapshots and their tags.
pub(crate) struct Tagged {
    tagged: Vec<(SnapshotId, Vec<String>)>,
}

impl Report for Tagged {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        self.tagged.iter().try_for_each(|(id, tags)| match &tags[..] {
            [] => writeln!(out, "{} has no tags", short(id)),
            tags => writeln!(out, "{} #{}", short(id), tags.join(" #")),
        })
    }

    fn fields(&self) -> Fields {
        let object =
            |(id, tags): &(SnapshotId, Vec<String>)| json!({ "id": id.to_string(), "tags": tags });
        fields(json!({ "snapshots": self.tagged.iter().map(object).collect::<Vec<_>>() }))
    }
}
