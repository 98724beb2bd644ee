//! What a backup says of the snapshot that it made.
//!
//! The last line counts what was read, what of it was new, what that saved and what it takes.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::json;
use strongroom::BackupReport;

use crate::exit::Exit;
use crate::output::{Fields, Remark, Report, fields, problems, put_paths, short};
use crate::sizes;

/// The snapshot that was made.
pub(crate) struct BackedUp {
    pub(super) report: BackupReport,
    pub(super) name: String,
    pub(super) paths: Vec<Vec<u8>>,
    /// How many of the paths do not exist.
    pub(super) missing: u64,
    pub(super) is_rehearsal: bool,
    pub(super) elapsed: Duration,
    pub(super) problems_most: usize,
}

impl BackedUp {
    /// Bytes read in each second.
    fn rate(&self) -> u64 {
        (self.report.counts.bytes_read as f64 / self.elapsed.as_secs_f64().max(0.001)) as u64
    }

    /// What was read, what it brought, what that takes.
    fn summary(&self) -> String {
        let counts = &self.report.counts;
        let mut text = format!(
            "{} in all, {} read, ",
            sizes::show(counts.bytes),
            sizes::show(counts.bytes_read)
        );
        if counts.bytes_read > 0 {
            text += &format!("{}/s, ", sizes::show(self.rate()));
        }
        text += &format!("{} new, ", sizes::show(counts.bytes_new));
        if counts.bytes_known > 0 {
            text += &format!("{} saved as known, ", sizes::show(counts.bytes_known));
        }
        let compressed = counts.bytes_new.saturating_sub(counts.bytes_stored);
        if compressed > 0 {
            text += &format!("{} saved by compression, ", sizes::show(compressed));
        }
        let stored = if self.is_rehearsal { "would be stored" } else { "stored" };
        text += &format!("{} {stored}, ", sizes::show(counts.bytes_stored));
        text + &format!("in {:.1} s", self.elapsed.as_secs_f64())
    }
}

impl Report for BackedUp {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let counts = &self.report.counts;
        let what = match (self.report.snapshot, self.report.unchanged_since) {
            (Some(id), _) => format!("snapshot {} of {}", short(id), self.name),
            (None, Some(id)) => {
                format!("no snapshot of {}, which is as in {}", self.name, short(id))
            }
            (None, None) => format!("would make a snapshot of {}", self.name),
        };
        writeln!(
            out,
            "{what}: {} new, {} changed, {} unchanged",
            sizes::plural(counts.files_new, "file"),
            sizes::count(counts.files_changed),
            sizes::count(counts.files_unchanged),
        )?;
        writeln!(out, "{}", self.summary())
    }

    fn fields(&self) -> Fields {
        let (report, counts) = (&self.report, &self.report.counts);
        let mut fields = fields(json!({
            "snapshot": report.snapshot.map(|id| id.to_string()),
            "unchanged_since": report.unchanged_since.map(|id| id.to_string()),
            "seq": report.seq.map(|seq| seq.0),
            "base": report.base.map(|id| id.to_string()),
            "base_problem": report.base_problem,
            "dry_run": self.is_rehearsal,
            "name": self.name,
            "files_new": counts.files_new,
            "files_changed": counts.files_changed,
            "files_unchanged": counts.files_unchanged,
            "folders": counts.folders,
            "others": counts.others,
            "bytes": counts.bytes,
            "bytes_read": counts.bytes_read,
            "bytes_known": counts.bytes_known,
            "bytes_new": counts.bytes_new,
            "bytes_stored": counts.bytes_stored,
            "bytes_per_second": self.rate(),
            "problems": problems(&report.problems),
            "problems_total": report.problems.total(),
            "seconds": self.elapsed.as_secs_f64(),
        }));
        put_paths(&mut fields, "paths", &self.paths);
        fields
    }

    fn exit(&self) -> Exit {
        match self.report.is_complete() {
            true => Exit::Done,
            false => Exit::Incomplete,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let report = &self.report;
        let mut remarks = Vec::new();
        if let Some(problem) = &report.base_problem {
            let text = format!("the snapshot before could not be used: {problem}");
            remarks.push(Remark::new(text).hint("files were read instead"));
        }
        remarks.extend(Remark::of_problems(&report.problems, self.problems_most));
        match report.problems.total() {
            0 => {}
            total => remarks.push(
                Remark::new(format!(
                    "incomplete: {} could not be read, or changed meanwhile",
                    sizes::plural(total, "path")
                ))
                .hint(match self.missing {
                    missing if missing == total => "check how they are spelled",
                    _ => "run it as a user who may read them, or leave them out with --exclude",
                }),
            ),
        }
        remarks
    }
}
