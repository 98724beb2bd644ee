//! How a pass over the locks of a vault or a replica is told: as text, as JSON, as a warning.
//!
//! Several commands extend locks; all of them tell of it in the same words.

use std::io::{self, Write};

use serde_json::{Value, json};
use strongroom::{LockReport, Time};

use crate::exit::Exit;
use crate::output::Remark;
use crate::{sizes, time};

/// Touched objects that are named.
const NAMED: usize = 5;

/// Says what a pass found and did.
pub(crate) fn write_text(report: &LockReport, out: &mut dyn Write) -> io::Result<()> {
    let objects = sizes::plural(report.objects, "object");
    write!(out, "locks: {} extended, {objects} ", sizes::count(report.extended))?;
    match report.until {
        Some(until) => writeln!(out, "locked until {} or longer", time::show(until)),
        None if report.objects == 0 => writeln!(out, "to lock"),
        None => writeln!(out, "in all, {} without a lock", sizes::count(report.unlocked)),
    }
}

/// The same for programs.
pub(crate) fn value(report: &LockReport) -> Value {
    json!({
        "objects": report.objects,
        "asked": report.asked,
        "extended": report.extended,
        "unlocked": report.unlocked,
        "protected_until": report.until.map(exact),
        "touched": report.touched.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "touched_count": report.touched_total,
        "whole": report.is_whole,
    })
}

/// Objects that somebody wrote over or hid end the run like any damage.
pub(crate) fn exit(report: &LockReport) -> Exit {
    if report.touched_total == 0 { Exit::Done } else { Exit::Tampered }
}

/// What must be heard of objects that somebody wrote over or hid.
pub(crate) fn remarks(report: &LockReport) -> Vec<Remark> {
    if report.touched_total == 0 {
        return Vec::new();
    }
    let named: Vec<_> = report.touched.iter().take(NAMED).map(ToString::to_string).collect();
    let more = report.touched_total - named.len() as u64;
    let more = if more > 0 { format!(" and {} more", sizes::count(more)) } else { String::new() };
    let named = named.join(", ");
    vec![Remark::new(format!("somebody wrote over or hid {named}{more}")).hint(
        "`strongroom repair --versions` puts back what was there; then change the credentials of \
         the bucket",
    )]
}

fn exact(at: Time) -> String {
    time::show_exact(at)
}
