//! `verify`: whether the vault is whole, and which files any damage hurts.
//!
//! Damage is a result, not an error: it is reported, and the run ends with exit code 4.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::{Damage, Verification, VerifyDepth, verify_keyless};

use crate::context::{Access, Context};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Fields, Remark, Report, fields, put_path, short, show_path};
use crate::progress::Display;
use crate::sizes;

/// Checks that the vault is whole.
///
/// The ledger, the index and the trees are read, and every object must be there. Damage ends it
/// with exit code 4, and each damaged object names the snapshots and files that it hurts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read and verify every byte too
    #[arg(long, conflicts_with = "no_key")]
    data: bool,
    /// Use no key: check that every object has the bytes of its name, and the ledger's chain and
    /// signatures
    #[arg(long)]
    no_key: bool,
}

/// Verifies.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Verified> {
    let stop = context.signals.stop();
    let (found, elapsed) = if args.no_key {
        let components = context.open_place()?;
        let display = Display::start(context, "objects", None);
        let found = verify_keyless(&components, display.meter(), stop);
        (found, display.meter().elapsed())
    } else {
        let mut vault = context.open(Access::Read)?;
        let depth = if args.data { VerifyDepth::Data } else { VerifyDepth::Structure };
        let display = Display::start(context, "objects", None);
        let found = vault.verify(depth, display.meter(), stop);
        (found, display.meter().elapsed())
    };
    // A cancelled verification says so in words of its own.
    let found = found.map_err(|error| match context.check_stopped() {
        Err(stopped) => stopped.when_stopped("nothing was changed; run it again to verify all"),
        Ok(()) => Failure::from(error),
    })?;
    let depth = match (args.no_key, args.data) {
        (true, _) => "without a key",
        (_, true) => "every byte",
        _ => "structure",
    };
    Ok(Verified { found, depth, elapsed, is_verbose: context.output.verbose })
}

/// What verification found.
pub(crate) struct Verified {
    found: Verification,
    depth: &'static str,
    elapsed: Duration,
    is_verbose: bool,
}

impl Report for Verified {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let found = &self.found;
        let snapshots = match found.snapshots {
            // Without a key nobody knows what the objects make up.
            0 => String::new(),
            count => format!("{}, ", sizes::plural(count, "snapshot")),
        };
        writeln!(
            out,
            "verified ({}): {}, {}, {}{} read in {:.1} s",
            self.depth,
            sizes::plural(found.records, "record"),
            sizes::plural(found.objects, "object"),
            snapshots,
            sizes::show(found.bytes),
            self.elapsed.as_secs_f64(),
        )?;
        if found.strangers > 0 {
            let strangers = sizes::plural(found.strangers, "object");
            writeln!(out, "{strangers} of no record: left by work that was interrupted, harmless")?;
        }
        match found.damage.len() as u64 {
            0 => writeln!(out, "no damage found"),
            damage => writeln!(out, "{} damaged or missing", sizes::plural(damage, "object")),
        }
    }

    fn fields(&self) -> Fields {
        let found = &self.found;
        let damage: Vec<_> = found.damage.iter().map(damage_object).collect();
        fields(json!({
            "depth": self.depth,
            "records": found.records,
            "objects": found.objects,
            "bytes": found.bytes,
            "snapshots": found.snapshots,
            "chunks": found.chunks,
            "strangers": found.strangers,
            "damage": damage,
            "seconds": self.elapsed.as_secs_f64(),
        }))
    }

    fn exit(&self) -> Exit {
        match self.found.damage.is_empty() {
            true => Exit::Done,
            false => Exit::Tampered,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let most = if self.is_verbose { usize::MAX } else { PATHS_SHOWN_MAX };
        let mut remarks = Vec::new();
        for damage in &self.found.damage {
            remarks.push(match damage.reason.contains(&damage.object) {
                true => Remark::new(&damage.reason),
                false => Remark::new(format!("{}: {}", damage.object, damage.reason)),
            });
            for hurt in damage.paths.iter().take(most) {
                let (snapshot, path) = (short(hurt.snapshot), show_path(&hurt.path));
                remarks.push(Remark::new(format!("  hurts {snapshot}:{path}")));
            }
            let rest = damage.paths_total - damage.paths.len().min(most) as u64;
            if rest > 0 {
                remarks.push(Remark::new(format!("  and {} more", sizes::plural(rest, "path"))));
            }
            if damage.paths.is_empty() && !damage.snapshots.is_empty() {
                let ids: Vec<_> = damage.snapshots.iter().map(short).collect();
                remarks.push(Remark::new(format!("  hurts snapshots {}", ids.join(", "))));
            }
        }
        if let Some(last) = remarks.pop() {
            remarks.push(last.hint(
                "keep the vault as it is and bring the named objects back from a copy of it; \
                 what is not named can be restored",
            ));
        }
        remarks
    }
}

const PATHS_SHOWN_MAX: usize = 10;

fn damage_object(damage: &Damage) -> Value {
    let path = |hurt: &strongroom::HurtPath| {
        let mut object = fields(json!({ "snapshot": hurt.snapshot.to_string() }));
        put_path(&mut object, "path", &hurt.path);
        Value::Object(object)
    };
    json!({
        "object": damage.object,
        "reason": damage.reason,
        "snapshots": damage.snapshots.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "paths": damage.paths.iter().map(path).collect::<Vec<_>>(),
        "paths_total": damage.paths_total,
    })
}
