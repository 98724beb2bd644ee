//! What copying says of each snapshot, and of all.
//!
//! What could not be read at the source is damage: it is named, and the run ends with exit code 4.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::{CopiedSnapshot, CopyCounts, CopyOutcome, RefusedSnapshot, Snapshot, SnapshotId};

use crate::exit::Exit;
use crate::output::{Fields, Remark, Report, fields, problems, put_paths, short};
use crate::sizes;

/// What a copied snapshot is of.
pub(super) struct Row {
    name: String,
    paths: Vec<Vec<u8>>,
}

impl Row {
    /// Of this snapshot; one that cannot be read is of nothing.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let descriptor = snapshot.descriptor.as_ref();
        let name = descriptor.map_or_else(|| "?".to_owned(), |d| d.name.clone());
        Self { name, paths: descriptor.map(|d| d.paths.clone()).unwrap_or_default() }
    }
}

/// What became of all snapshots that were asked for.
pub(crate) struct CopiedAll {
    pub(super) outcomes: Vec<(Row, CopyOutcome)>,
    /// Those that are there already.
    pub(super) present: Vec<SnapshotId>,
    pub(super) is_rehearsal: bool,
    pub(super) elapsed: Duration,
    pub(super) problems_most: usize,
}

impl CopiedAll {
    fn copied(&self) -> impl Iterator<Item = (&Row, &CopiedSnapshot)> {
        self.outcomes.iter().filter_map(|(row, outcome)| match outcome {
            CopyOutcome::Copied(copied) => Some((row, copied.as_ref())),
            CopyOutcome::Refused(_) => None,
        })
    }

    fn refused(&self) -> impl Iterator<Item = &RefusedSnapshot> {
        self.outcomes.iter().filter_map(|(_, outcome)| match outcome {
            CopyOutcome::Copied(_) => None,
            CopyOutcome::Refused(refused) => Some(refused),
        })
    }

    fn totals(&self) -> CopyCounts {
        let mut totals = CopyCounts::default();
        self.copied().for_each(|(_, copied)| totals.add(&copied.counts));
        totals
    }

    fn summary(&self) -> String {
        let totals = self.totals();
        let count = sizes::plural(self.copied().count() as u64, "snapshot");
        let (done, stored) = match self.is_rehearsal {
            true => ("would copy", "would be stored"),
            false => ("copied", "stored"),
        };
        let present = match self.present.len() {
            0 => String::new(),
            some => format!(", {} {} there already", sizes::count(some as u64), was(some)),
        };
        format!(
            "{done} {count}{present}: {} read, {} new, {} {stored}, in {:.1} s",
            sizes::show(totals.bytes_read),
            sizes::show(totals.bytes_new),
            sizes::show(totals.bytes_stored),
            self.elapsed.as_secs_f64()
        )
    }
}

impl Report for CopiedAll {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (row, copied) in self.copied() {
            let CopyCounts { files, bytes, bytes_read, bytes_new, .. } = copied.counts;
            let (name, source) = (&row.name, short(copied.source));
            let what = match copied.snapshot {
                Some(id) => format!("snapshot {} of {name}, a copy of {source}", short(id)),
                None => format!("would copy {source} of {name}"),
            };
            writeln!(
                out,
                "{what}: {}, {}, {} read, {} new",
                sizes::plural(files, "file"),
                sizes::show(bytes),
                sizes::show(bytes_read),
                sizes::show(bytes_new),
            )?;
        }
        match (self.outcomes.len(), self.present.len()) {
            (0, 0) => writeln!(out, "there is nothing to copy: no snapshot was asked for"),
            (0, present) => {
                let (all, are) = (sizes::plural(present as u64, "snapshot"), was(present));
                writeln!(out, "there is nothing to copy: {all} {are} there already")
            }
            _ => writeln!(out, "{}", self.summary()),
        }
    }

    fn fields(&self) -> Fields {
        let copied = self.copied().map(|(row, copied)| {
            let counts = &copied.counts;
            let mut object = counted(counts);
            object.extend(fields(json!({
                "source": copied.source.to_string(),
                "snapshot": copied.snapshot.map(|id| id.to_string()),
                "seq": copied.seq.map(|seq| seq.0),
                "base": copied.base.map(|id| id.to_string()),
                "base_problem": copied.base_problem,
                "name": row.name,
                "problems": problems(&copied.problems),
                "problems_total": copied.problems.total(),
            })));
            put_paths(&mut object, "paths", &row.paths);
            Value::Object(object)
        });
        let refused = self.refused().map(|refused| {
            json!({ "source": refused.source.to_string(), "reason": refused.reason,
                "damaged": refused.is_damaged })
        });
        let mut all = counted(&self.totals());
        all.extend(fields(json!({
            "copied": copied.collect::<Vec<_>>(),
            "refused": refused.collect::<Vec<_>>(),
            "present": self.present.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "dry_run": self.is_rehearsal,
            "seconds": self.elapsed.as_secs_f64(),
        })));
        all
    }

    fn exit(&self) -> Exit {
        let copied = self.copied().map(|(_, copied)| match copied.problems.is_empty() {
            true => Exit::Done,
            false => Exit::Tampered,
        });
        let refused = self.refused().map(|refused| match refused.is_damaged {
            true => Exit::Tampered,
            false => Exit::Incomplete,
        });
        copied.chain(refused).fold(Exit::Done, Exit::and)
    }

    fn remarks(&self) -> Vec<Remark> {
        let mut remarks = Vec::new();
        for (_, copied) in self.copied() {
            if let Some(problem) = &copied.base_problem {
                let text = format!("the copy before could not be used: {problem}");
                remarks.push(Remark::new(text).hint("all of the snapshot was read instead"));
            }
            remarks.extend(Remark::of_problems(&copied.problems, self.problems_most));
            if !copied.problems.is_empty() {
                let paths = sizes::plural(copied.problems.total(), "path");
                let (source, made) = (short(copied.source), copied.snapshot.map(short));
                let lacking = made.map_or_else(String::new, |made| format!(": {made} lacks them"));
                let text = format!("{paths} of {source} could not be read{lacking}");
                remarks.push(Remark::new(text).hint(DAMAGED));
            }
        }
        for RefusedSnapshot { source, reason, is_damaged } in self.refused() {
            let text = format!("snapshot {} was not copied: {reason}", short(source));
            let remark = Remark::new(text);
            remarks.push(if *is_damaged { remark.hint(DAMAGED) } else { remark });
        }
        remarks
    }
}

fn was(count: usize) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

const DAMAGED: &str = "`strongroom verify` on the vault copied from names the damaged objects; \
    once they are repaired, forget the copy that lacks them and copy again";

fn counted(counts: &CopyCounts) -> Fields {
    fields(json!({
        "files": counts.files,
        "bytes": counts.bytes,
        "files_read": counts.files_read,
        "bytes_read": counts.bytes_read,
        "bytes_known": counts.bytes_known,
        "bytes_new": counts.bytes_new,
        "bytes_stored": counts.bytes_stored,
    }))
}
