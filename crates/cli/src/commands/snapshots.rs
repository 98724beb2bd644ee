//! `snapshots`: what the vault holds, oldest first.
//!
//! A snapshot that the key cannot read is listed by what the ledger says of it in clear.

use std::io::{self, Write};

use serde_json::{Value, json};
use strongroom::{MemberId, Snapshot, SnapshotStanding};

use crate::context::{Access, Context};
use crate::exit::{Exit, Result};
use crate::output::{Fields, Remark, Report, fields, put_paths, short, show_path};
use crate::sizes;
use crate::sources::Sources;
use crate::table::{Align, Table};
use crate::time;

/// Lists the snapshots, oldest first.
///
/// Times are in UTC.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Lists them.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<Listing> {
    let mut vault = context.open(Access::Read)?;
    let snapshots = vault.snapshots()?;
    context.hear_warnings(&vault);
    let sources = Sources::new(&snapshots, vault.ledger().state());
    Ok(Listing { snapshots, sources })
}

/// The snapshots of a vault.
pub(crate) struct Listing {
    snapshots: Vec<Snapshot>,
    sources: Sources,
}

impl Listing {
    /// The snapshots that damage hides, and what is wrong with each.
    fn damaged(&self) -> impl Iterator<Item = (String, &str)> {
        self.snapshots.iter().filter_map(|s| Some((short(s.id), s.problem.as_deref()?)))
    }

    fn member(&self, member: MemberId) -> String {
        self.sources.label(member).map_or_else(|| short(member), str::to_owned)
    }

    /// A name that is another member's is shown with who used it.
    fn name(&self, snapshot: &Snapshot, name: &str) -> String {
        match self.sources.is_foreign(snapshot) {
            true => format!("{name} (by {})", self.member(snapshot.member)),
            false => name.to_owned(),
        }
    }

    fn row(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut row = vec![short(snapshot.id), time::show(snapshot.claimed)];
        let trashed = match snapshot.standing {
            SnapshotStanding::Trashed => " (in the trash)",
            _ => "",
        };
        match &snapshot.descriptor {
            None => {
                let why = match &snapshot.problem {
                    Some(_) => "damaged",
                    None => "this key cannot read more",
                };
                let name = format!("(by {}; {why})", self.member(snapshot.member));
                row.extend([name, "?".into(), "?".into(), trashed.trim_start().into()]);
            }
            Some(descriptor) => {
                let paths: Vec<_> = descriptor.paths.iter().map(|path| show_path(path)).collect();
                let tags = descriptor.tags.iter().map(|tag| format!("  #{tag}"));
                row.extend([
                    self.name(snapshot, &descriptor.name),
                    sizes::count(descriptor.counts.files),
                    sizes::show(descriptor.counts.bytes),
                    paths.join(" ") + &tags.collect::<String>() + trashed,
                ]);
            }
        }
        row
    }

    fn object(&self, snapshot: &Snapshot) -> Value {
        let mut object = fields(json!({
            "id": snapshot.id.to_string(),
            "seq": snapshot.seq.0,
            "time": time::show_exact(snapshot.claimed),
            "member": snapshot.member.to_string(),
            "label": self.sources.label(snapshot.member),
            "domain": snapshot.domain.to_string(),
            "trashed": snapshot.standing == SnapshotStanding::Trashed,
        }));
        if let Some(problem) = &snapshot.problem {
            object.insert("problem".to_owned(), problem.as_str().into());
        }
        if let Some(descriptor) = &snapshot.descriptor {
            let counts = descriptor.counts;
            object.extend(fields(json!({
                "name": descriptor.name,
                "name_of_another": self.sources.is_foreign(snapshot),
                "tags": descriptor.tags,
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
        Value::Object(object)
    }
}

impl Report for Listing {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.snapshots.is_empty() {
            return writeln!(out, "no snapshots yet");
        }
        let mut table = Table::new(&[
            ("ID", Align::Left),
            ("TIME", Align::Left),
            ("NAME", Align::Left),
            ("FILES", Align::Right),
            ("SIZE", Align::Right),
            ("PATHS", Align::Left),
        ]);
        for snapshot in &self.snapshots {
            table.row(self.row(snapshot));
        }
        table.write(out)
    }

    fn is_answer(&self) -> bool {
        true
    }

    fn fields(&self) -> Fields {
        let objects: Vec<_> = self.snapshots.iter().map(|s| self.object(s)).collect();
        fields(json!({ "snapshots": objects }))
    }

    fn exit(&self) -> Exit {
        match self.damaged().next() {
            Some(_) => Exit::Tampered,
            None => Exit::Done,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let mut remarks: Vec<_> = self
            .damaged()
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
