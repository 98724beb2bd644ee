//! `forget`: snapshots into the trash, by a policy or by name, and back.
//!
//! What a policy does is told source by source, with the reason for every snapshot, and a dry run
//! tells the same. Nothing is deleted: `--undo` brings back what was not purged yet. DESIGN.md §9.

mod policy;

use std::ffi::OsString;
use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;
use strongroom::{Snapshot, SnapshotStanding, TRASH_DAYS_DEFAULT, Time};

use crate::context::{Access, Context};
use crate::exit::{Failure, Result};
use crate::filter::{Filter, GroupBy};
use crate::output::{Fields, Report, fields, short};
use crate::selector::{Selector, choose_all};
use crate::sizes::plural;
use crate::table::{Align, Table};
use crate::time;

/// Puts snapshots into the trash, by rules or by name.
///
/// Rules are applied to each source (name and paths) for itself; a snapshot stays when any rule
/// keeps it. The newest snapshot of a source, and the newest that is more than a day older, stay
/// whatever the rules say; what is held stays too. Periods are those of UTC.
///
/// Nothing is deleted: until `collect` empties the trash, which keeps things for 7 days if not told
/// otherwise, `forget --undo ID` brings a snapshot back. Needs the key of the owner or a collector;
/// --undo that of the owner or a reader.
///
/// A SPAN is such as 12h, 30d, 8w or 1y6m (a month has 30 days, a year 365), and ends at the newest
/// snapshot of the source.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshots to forget, instead of rules
    #[arg(value_name = "SNAPSHOT", conflicts_with_all = ["undo", "Rules", "Filter"])]
    snapshots: Vec<OsString>,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    filter: Filter,
    /// What makes a source (several with commas) [default: name,path]
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    group_by: Vec<GroupBy>,
    /// Where periods begin, such as +02:00 [default: UTC]
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    utc_offset: Option<String>,
    /// Keep only what the rules keep
    #[arg(long)]
    no_floor: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Bring snapshots back from the trash
    #[arg(long, value_name = "ID", num_args = 1.., conflicts_with_all = ["Rules", "Filter"])]
    undo: Vec<OsString>,
}

/// What is kept.
#[derive(Debug, clap::Args)]
struct Rules {
    /// Keep the N newest
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_last: u32,
    /// Keep the newest of each of the last N hours that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_hourly: u32,
    /// The same of days
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_daily: u32,
    /// The same of weeks, from Monday on
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_weekly: u32,
    /// The same of months
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_monthly: u32,
    /// The same of years
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_yearly: u32,
    /// Keep all that are this young
    #[arg(long, value_name = "SPAN")]
    keep_within: Option<String>,
    /// Keep all with this tag (again for more)
    #[arg(long, value_name = "TAG")]
    keep_tag: Vec<String>,
}

/// Forgets, or brings back.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Box<dyn Report>> {
    if !args.undo.is_empty() {
        return Ok(Box::new(undo(args, context)?));
    }
    if args.snapshots.is_empty() {
        return Ok(Box::new(policy::run(args, context)?));
    }
    Ok(Box::new(forget(args, context)?))
}

fn access(args: &Args) -> Access {
    if args.dry_run { Access::Read } else { Access::Append }
}

/// Forgets those that were named.
fn forget(args: &Args, context: &Context) -> Result<Moved> {
    let selectors = Selector::parse_whole(&args.snapshots)?;
    let mut vault = context.open(access(args))?;
    let named = choose_all(&selectors, &mut vault, context)?;
    if let Some(held) = named.iter().find(|snapshot| snapshot.held) {
        return Err(strongroom::VaultError::Held { snapshot: held.id }.into());
    }
    let ids: Vec<_> = named.iter().map(|snapshot| snapshot.id).collect();
    if !args.dry_run {
        vault.forget(&ids)?;
    }
    Ok(Moved::new(named, SnapshotStanding::Live, args, context))
}

/// Brings back those that were named.
fn undo(args: &Args, context: &Context) -> Result<Moved> {
    let selectors = Selector::parse_whole(&args.undo)?;
    if let Some(other) = selectors.iter().find(|selector| !selector.is_id()) {
        let message = format!("{other} selects no snapshot in the trash");
        return Err(Failure::usage(message, TRASH_HINT));
    }
    let mut vault = context.open(access(args))?;
    let named = choose_all(&selectors, &mut vault, context)
        .map_err(|failure| failure.with_hint(TRASH_HINT))?;
    let ids: Vec<_> = named.iter().map(|snapshot| snapshot.id).collect();
    if !args.dry_run {
        vault.undo_forget(&ids)?;
    }
    Ok(Moved::new(named, SnapshotStanding::Trashed, args, context))
}

const TRASH_HINT: &str = "give the first digits of an id that `strongroom snapshots --trash` lists";

/// Snapshots that were named, and went into the trash or came back.
struct Moved {
    /// Those that changed, or would.
    moved: Vec<Snapshot>,
    /// Those that were so before.
    unchanged: Vec<Snapshot>,
    from: SnapshotStanding,
    dry_run: bool,
    until: Time,
}

impl Moved {
    fn new(named: Vec<Snapshot>, from: SnapshotStanding, args: &Args, context: &Context) -> Self {
        let (moved, unchanged) = named.into_iter().partition(|s| s.standing == from);
        Self { moved, unchanged, from, dry_run: args.dry_run, until: trash_until(context) }
    }
}

impl Report for Moved {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let into = self.from == SnapshotStanding::Live;
        let done = match (into, self.dry_run) {
            (true, false) => "forgotten",
            (true, true) => "would be forgotten",
            (false, false) => "brought back",
            (false, true) => "would be brought back",
        };
        let already = if into { "in the trash already" } else { "not in the trash" };
        let mut table = Table::new(&["ID", "TIME", "NAME", ""].map(|name| (name, Align::Left)));
        let all = self.moved.iter().map(|s| (s, done));
        for (snapshot, what) in all.chain(self.unchanged.iter().map(|s| (s, already))) {
            let name = snapshot.descriptor.as_ref().map_or("?", |d| d.name.as_str());
            let id = short(snapshot.id);
            table.row([id, time::show(snapshot.claimed), name.to_owned(), what.to_owned()]);
        }
        table.write(out)?;
        if into && !self.moved.is_empty() {
            write_way_back(out, self.moved.len(), self.until, self.dry_run)?;
        }
        Ok(())
    }

    fn fields(&self) -> Fields {
        let ids = |snapshots: &[Snapshot]| -> Vec<String> {
            snapshots.iter().map(|snapshot| snapshot.id.to_string()).collect()
        };
        let moved = match self.from {
            SnapshotStanding::Live => "forgotten",
            _ => "undone",
        };
        fields(json!({
            "dry_run": self.dry_run, moved: ids(&self.moved), "unchanged": ids(&self.unchanged),
            "undo_until": time::show_exact(self.until),
        }))
    }
}

/// Until when what is forgotten now can surely be brought back.
fn trash_until(context: &Context) -> Time {
    context.clock.now().plus(Duration::from_secs(u64::from(TRASH_DAYS_DEFAULT) * 86_400))
}

fn write_way_back(
    out: &mut dyn Write,
    forgotten: usize,
    until: Time,
    dry_run: bool,
) -> io::Result<()> {
    let (forgotten, until) = (plural(forgotten as u64, "snapshot"), time::show(until));
    match dry_run {
        true => writeln!(out, "dry run: {forgotten} would go to the trash"),
        false => writeln!(
            out,
            "{forgotten} went to the trash; `strongroom forget --undo ID` brings one back, until \
             {until} at least (`collect --trash-days` may change that)"
        ),
    }
}
