//! `snapshots`: what the vault holds, oldest first, all or those that are asked for.
//!
//! A snapshot that the key cannot read is listed by what the ledger says of it in clear. One that
//! is damaged is named whatever was asked for: it does not say whether it was meant.

use std::io::{self, Write};

use serde_json::{Value, json};
use strongroom::{Origin, Snapshot, SnapshotStanding};

use crate::context::{Access, Context};
use crate::exit::{Exit, Failure, Result};
use crate::filter::{Filter, Group, GroupBy, group, member_text};
use crate::output::{Fields, Remark, Report, fields, put_paths, short, show_path};
use crate::sizes;
use crate::sources::Sources;
use crate::table::{Align, Table};
use crate::time;

/// Lists the snapshots, oldest first.
///
/// Times are in UTC; a TIME is such as 2026-11-22 or 2026-11-22T10:00.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: Filter,
    /// Those in the trash, which `forget --undo` brings back, instead of the live ones
    #[arg(long)]
    trash: bool,
    /// Only snapshots that were made then or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only the newest N, of each group when they are grouped
    #[arg(long, value_name = "N")]
    latest: Option<u32>,
    /// Put together what has the same name, path, member or tag (several with commas)
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    group_by: Vec<GroupBy>,
}

/// Lists them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Listing> {
    args.filter.check()?;
    let since = args.since.as_deref().map(time::parse_start).transpose();
    let since = since.map_err(|message| Failure::usage(message, "give --since such a time"))?;
    let mut vault = context.open(Access::Read)?;
    let snapshots = vault.snapshots()?;
    context.hear_warnings(&vault);
    let sources = Sources::new(&snapshots, vault.ledger().state());
    let damaged = snapshots.iter().filter_map(|s| Some((short(s.id), s.problem.clone()?)));
    let damaged = damaged.collect();
    let is_trashed = |s: &Snapshot| s.standing == SnapshotStanding::Trashed;
    let (trash, live): (Vec<_>, Vec<_>) = snapshots.into_iter().partition(is_trashed);
    let trashed = trash.len();
    let (from, snapshots) = if args.trash { (From::Trash, trash) } else { (From::Live, live) };
    let total = snapshots.len();
    let mut chosen = match args.filter.choose(&snapshots) {
        Ok(chosen) => chosen,
        Err(nothing) => {
            context.output.note(&format!("{}: {}", nothing.message, nothing.hint));
            Vec::new()
        }
    };
    chosen.retain(|snapshot| since.is_none_or(|since| snapshot.claimed >= since));
    let mut groups = group(chosen, &args.group_by, &sources);
    for Group { snapshots, .. } in &mut groups {
        let most = args.latest.map_or(usize::MAX, |most| most as usize);
        snapshots.drain(..snapshots.len().saturating_sub(most));
    }
    groups.retain(|group| !group.snapshots.is_empty());
    let paths_most = if context.output.verbose { usize::MAX } else { PATHS_SHOWN };
    let by = args.group_by.clone();
    Ok(Listing { groups, by, from, total, trashed, damaged, sources, paths_most })
}

/// Which snapshots are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Live,
    Trash,
}

/// A source of hundreds of paths would hide its neighbours.
const PATHS_SHOWN: usize = 4;

/// The snapshots of a vault that were asked for.
pub(crate) struct Listing {
    groups: Vec<Group>,
    by: Vec<GroupBy>,
    from: From,
    /// How many there are of these in all.
    total: usize,
    /// How many lie in the trash.
    trashed: usize,
    /// The snapshots that damage hides, and what is wrong with each.
    damaged: Vec<(String, String)>,
    sources: Sources,
    paths_most: usize,
}

impl Listing {
    /// A name that is another member's is shown with who used it.
    fn name(&self, snapshot: &Snapshot, name: &str) -> String {
        match self.sources.is_foreign(snapshot) {
            true => format!("{name} (by {})", member_text(snapshot.member, &self.sources)),
            false => name.to_owned(),
        }
    }

    fn row(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut row = vec![short(snapshot.id), time::show(snapshot.claimed)];
        let mut marks: String = snapshot.tags.iter().map(|tag| format!("  #{tag}")).collect();
        if !snapshot.origins().is_empty() {
            marks.push_str("  (copy)");
        }
        if snapshot.held {
            marks.push_str("  (held)");
        }
        if let Some(forgotten) = snapshot.forgotten {
            let since = forgotten.at.map(|at| format!(" {}", time::show(at)));
            marks.push_str(&format!("  (forgotten{})", since.unwrap_or_default()));
        }
        match &snapshot.descriptor {
            None => {
                let why = match &snapshot.problem {
                    Some(_) => "damaged",
                    None => "this key cannot read more",
                };
                let name = format!("(by {}; {why})", member_text(snapshot.member, &self.sources));
                row.extend([name, "?".into(), "?".into(), marks.trim_start().into()]);
            }
            Some(descriptor) => {
                let shown = descriptor.paths.iter().take(self.paths_most);
                let mut paths: Vec<_> = shown.map(|path| show_path(path)).collect();
                if let more @ 1.. = descriptor.paths.len() - paths.len() {
                    paths.push(format!("… and {more} more"));
                }
                row.extend([
                    self.name(snapshot, &descriptor.name),
                    sizes::count(descriptor.counts.files),
                    sizes::show(descriptor.counts.bytes),
                    paths.join(" ") + &marks,
                ]);
            }
        }
        row
    }

    fn object(&self, snapshot: &Snapshot) -> Fields {
        let mut object = fields(json!({
            "id": snapshot.id.to_string(),
            "seq": snapshot.seq.0,
            "time": time::show_exact(snapshot.claimed),
            "member": snapshot.member.to_string(),
            "label": self.sources.label(snapshot.member),
            "domain": snapshot.domain.to_string(),
            "trashed": snapshot.standing == SnapshotStanding::Trashed,
            "held": snapshot.held,
            "tags": snapshot.tags,
        }));
        if let Some(at) = snapshot.forgotten.and_then(|forgotten| forgotten.at) {
            object.insert("forgotten".to_owned(), time::show_exact(at).into());
        }
        let origins = snapshot.origins();
        if !origins.is_empty() {
            let origin = |origin: &Origin| {
                json!({ "vault": origin.vault.to_string(),
                "snapshot": origin.snapshot.to_string() })
            };
            let origins: Vec<_> = origins.iter().map(origin).collect();
            object.insert("copy_of".to_owned(), origins.into());
        }
        if let Some(problem) = &snapshot.problem {
            object.insert("problem".to_owned(), problem.as_str().into());
        }
        if let Some(descriptor) = &snapshot.descriptor {
            let counts = descriptor.counts;
            object.extend(fields(json!({
                "name": descriptor.name,
                "name_of_another": self.sources.is_foreign(snapshot),
                "start": time::show_exact(descriptor.start),
                "end": time::show_exact(descriptor.end),
                "files": counts.files,
                "folders": counts.folders,
                "others": counts.others,
                "bytes": counts.bytes,
                "unreadable": counts.unreadable,
            })));
            put_paths(&mut object, "paths", &descriptor.paths);
        }
        object
    }
}

impl Listing {
    fn write_table(&self, snapshots: &[Snapshot], out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new(&[
            ("ID", Align::Left),
            ("TIME", Align::Left),
            ("NAME", Align::Left),
            ("FILES", Align::Right),
            ("SIZE", Align::Right),
            ("PATHS", Align::Left),
        ]);
        for snapshot in snapshots {
            table.row(self.row(snapshot));
        }
        table.write(out)
    }
}

impl Report for Listing {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.groups.is_empty() {
            match (self.total, self.from) {
                (0, From::Live) => writeln!(out, "no snapshots yet")?,
                (0, From::Trash) => writeln!(out, "the trash is empty")?,
                (total, _) => {
                    let total = sizes::plural(total as u64, "snapshot");
                    writeln!(out, "none of {total} was asked for")?;
                }
            }
        }
        for (index, group) in self.groups.iter().enumerate() {
            if !self.by.is_empty() {
                let values = self.by.iter().zip(&group.values);
                let values: Vec<_> = values.map(|(by, v)| format!("{} {v}", by.word())).collect();
                let space = if index > 0 { "\n" } else { "" };
                writeln!(out, "{space}{}:", values.join(", "))?;
            }
            self.write_table(&group.snapshots, out)?;
        }
        match (self.trashed, self.from) {
            (0, _) | (_, From::Trash) => Ok(()),
            (trashed, From::Live) => writeln!(
                out,
                "{} in the trash: `strongroom snapshots --trash` lists them",
                sizes::count(trashed as u64)
            ),
        }
    }

    fn is_answer(&self) -> bool {
        true
    }

    fn fields(&self) -> Fields {
        let mut objects = Vec::new();
        for group in &self.groups {
            let values = self.by.iter().zip(&group.values);
            let values: Fields =
                values.map(|(by, value)| (by.word().to_owned(), value.as_str().into())).collect();
            for snapshot in &group.snapshots {
                let mut object = self.object(snapshot);
                if !values.is_empty() {
                    object.insert("group".to_owned(), Value::Object(values.clone()));
                }
                objects.push(Value::Object(object));
            }
        }
        fields(json!({ "snapshots": objects, "in_trash": self.trashed }))
    }

    fn exit(&self) -> Exit {
        match self.damaged[..] {
            [] => Exit::Done,
            _ => Exit::Tampered,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let mut remarks: Vec<_> = self
            .damaged
            .iter()
            .map(|(id, problem)| Remark::new(format!("snapshot {id} is damaged: {problem}")))
            .collect();
        if let Some(last) = remarks.pop() {
            remarks.push(last.hint(DAMAGED_HINT));
        }
        remarks
    }
}

/// What to do about a snapshot that cannot be read.
pub(crate) const DAMAGED_HINT: &str =
    "`strongroom verify` names the objects to bring back from a copy of the vault";
