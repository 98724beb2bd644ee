//! What `collect --compact` says: the plan before anything moves, then what was done.
//!
//! Of a rehearsal the plan is the result; else it is a note, and the result is what moved.

use std::io::{self, Write};

use serde_json::{Value, json};
use strongroom::{CollectProgress, Compaction, CompactionPlan};

use crate::context::Context;
use crate::output::{Output, Remark};
use crate::progress::Display;
use crate::sizes;

/// Counts a collection, and says what is planned when it is.
pub(super) struct Announcing<'a> {
    display: &'a Display,
    /// `None` when the plan is the result.
    output: Option<Output>,
}

impl<'a> Announcing<'a> {
    pub(super) fn new(display: &'a Display, context: &Context, is_rehearsal: bool) -> Self {
        Self { display, output: (!is_rehearsal).then_some(context.output) }
    }
}

impl CollectProgress for Announcing<'_> {
    fn marked(&self, nodes: u64) {
        self.display.meter().marked(nodes);
    }

    fn deleted(&self, name: &str, bytes: u64) {
        self.display.meter().deleted(name, bytes);
    }

    fn planned(&self, plan: &CompactionPlan) {
        if let (Some(output), true) = (self.output, plan.packs > 0) {
            self.display.make_room();
            output.note(&format!("{} to compact: {}", packs(plan), gain(plan)));
        }
    }

    fn moved(&self, bytes: u64) {
        self.display.meter().moved(bytes);
    }
}

pub(super) fn write_text(
    compaction: &Compaction,
    is_rehearsal: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let plan = &compaction.plan;
    match (plan.packs, is_rehearsal) {
        (0, _) if plan.left_packs > 0 => {}
        (0, _) => writeln!(out, "no pack is worth compacting")?,
        (_, true) => writeln!(out, "{} would be compacted: {}", packs(plan), gain(plan))?,
        (_, false) => {
            let old = sizes::plural(compaction.packs, "pack");
            let new = sizes::plural(compaction.new_packs, "new pack");
            let (moved, bytes) = (compaction.moved_bytes, compaction.new_bytes);
            let (moved, bytes) = (sizes::show(moved), sizes::show(bytes));
            writeln!(out, "{old} compacted: {moved} moved into {new}, {bytes} with their index")?;
        }
    }
    if plan.left_packs > 0 {
        let are = if plan.left_packs == 1 { "is" } else { "are" };
        let left = sizes::plural(plan.left_packs, "pack");
        writeln!(out, "{left} {are} worth it too and beyond --compact-limit")?;
    }
    Ok(())
}

/// The packs of a plan.
fn packs(plan: &CompactionPlan) -> String {
    let small = match plan.small_packs {
        0 => String::new(),
        small => format!(", {} of them small", sizes::count(small)),
    };
    let bytes = sizes::show(plan.total_bytes);
    format!("{} ({bytes}{small})", sizes::plural(plan.packs, "pack"))
}

/// What a plan costs, and what it gains.
fn gain(plan: &CompactionPlan) -> String {
    let (moved, new) = (sizes::show(plan.moved_bytes), sizes::show(plan.new_bytes));
    let freed = sizes::show(plan.freed_bytes());
    format!("{moved} to move, about {new} of space needed first, about {freed} free in the end")
}

pub(super) fn object(compaction: &Compaction) -> Value {
    let plan = &compaction.plan;
    json!({
        "plan": {
            "packs": plan.packs,
            "small_packs": plan.small_packs,
            "total_bytes": plan.total_bytes,
            "moved_bytes": plan.moved_bytes,
            "new_bytes": plan.new_bytes,
            "freed_bytes": plan.freed_bytes(),
            "left_packs": plan.left_packs,
        },
        "packs": compaction.packs,
        "chunks": compaction.chunks,
        "moved_bytes": compaction.moved_bytes,
        "new_packs": compaction.new_packs,
        "new_bytes": compaction.new_bytes,
        "sessions": compaction.sessions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "unmoved": compaction.unmoved.iter().map(|unmoved| json!({
            "pack": unmoved.pack.to_string(),
            "chunks": unmoved.chunks,
            "reason": unmoved.reason,
        })).collect::<Vec<_>>(),
    })
}

pub(super) fn remarks(compaction: &Compaction) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let unmoved = &compaction.unmoved;
    for one in unmoved.iter().take(UNMOVED_SHOWN_MAX) {
        let chunks = sizes::plural(one.chunks, "live chunk");
        remarks.push(Remark::new(format!(
            "pack {} stays: {chunks} of it cannot be read: {}",
            one.pack, one.reason
        )));
    }
    let more = unmoved.len().saturating_sub(UNMOVED_SHOWN_MAX) as u64;
    if more > 0 {
        remarks.push(Remark::new(format!("and {}", sizes::plural(more, "more pack"))));
    }
    if let Some(last) = remarks.pop() {
        remarks.push(last.hint(
            "`strongroom verify --data` names what is hurt; a backup stores again what the source \
             still has",
        ));
    }
    remarks
}

const UNMOVED_SHOWN_MAX: usize = 10;
