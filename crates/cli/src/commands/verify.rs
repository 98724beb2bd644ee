//! `verify`: whether the vault is whole, and which files any damage hurts.
//!
//! Damage is a result, not an error: it is reported, and the run ends with exit code 4. A replica
//! is verified beside the vault that it is of, without a key.

mod replica;

use std::ffi::OsString;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::{
    Damage, Fraction, Reading, ReplicaComparison, Reported, Reporting, Verification, VerifyOptions,
    verify_keyless,
};

use super::replicate::{lag, show_lag};
use crate::context::{Access, Context};
use crate::exit::{Exit, Failure, Result};
use crate::hooks::{HookArgs, Hooks};
use crate::output::{Fields, Remark, Report, fields, put_path, short, show_path};
use crate::progress::Display;
use crate::{quantities, sizes};

/// Checks that the vault is whole.
///
/// The ledger, the index and the trees are read, and every object must be there. Damage ends it
/// with exit code 4; each damaged object names the snapshots and files that it hurts, and the next
/// backup stores again what it held, as far as the source still has it.
///
/// With --replica it is a replica that is checked, beside the vault: how far it is behind is said,
/// and a replica with another history than the vault's ends it with exit code 7.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read and verify every byte too
    #[arg(long, conflicts_with = "no_key")]
    data: bool,
    /// Read so many of the packs, drawn anew each time, such as 5%
    #[arg(long, value_name = "SHARE", value_parser = quantities::parse_share)]
    #[arg(conflicts_with_all = ["data", "coverage"])]
    sample: Option<Fraction>,
    /// Read what is due, so that runs spread over this span, such as 30d, read every byte once
    #[arg(long, value_name = "SPAN", value_parser = quantities::parse_span)]
    #[arg(conflicts_with_all = ["data", "no_key"])]
    coverage: Option<Duration>,
    /// Read no more than this in a second, such as 20MiB
    #[arg(long, value_name = "RATE", value_parser = quantities::parse_rate)]
    limit_read: Option<NonZeroU64>,
    /// Use no key: check that every object has the bytes of its name, and the ledger's chain and
    /// signatures
    #[arg(long)]
    no_key: bool,
    /// Verify this replica of the vault: that its ledger is a beginning of the vault's, and that
    /// what it needs is there, with --data or --sample with the bytes of its name. Needs no key
    #[arg(long, value_name = "URL", conflicts_with_all = ["coverage", "no_report"])]
    replica: Option<OsString>,
    /// Append nothing to the ledger: neither that packs are lost nor that they came back
    #[arg(long)]
    no_report: bool,
    #[command(flatten)]
    hooks: HookArgs,
}

impl Args {
    fn reading(&self) -> Reading {
        match (self.data, self.sample, self.coverage) {
            (true, ..) => Reading::All,
            (_, Some(sample), _) => Reading::Sample(sample),
            (_, _, Some(span)) => Reading::Coverage(span),
            // Without a key the bytes are all that there is to look at.
            _ if self.no_key && self.replica.is_none() => Reading::All,
            _ => Reading::Structure,
        }
    }

    /// What was read, in words.
    fn depth(&self) -> &'static str {
        match (self.no_key && self.replica.is_none(), self.reading()) {
            (true, _) => "without a key",
            (_, Reading::All) => "every byte",
            (_, Reading::Sample(_)) => "a sample",
            (_, Reading::Coverage(_)) => "what is due",
            (_, Reading::Structure) => "structure",
        }
    }
}

/// Verifies.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Verified> {
    let known = fields(json!({ "depth": args.depth() }));
    let hooks = Hooks::new(&args.hooks, context, "verify", &known);
    hooks.around(context, || match &args.replica {
        Some(url) => replica::verify(url, args, context),
        None => verify(args, context),
    })
}

fn verify(args: &Args, context: &Context) -> Result<Verified> {
    let stop = context.signals.stop();
    if args.coverage.is_some() && context.folders()?.state.is_none() {
        return Err(Failure::usage(
            "--coverage has no folder to remember in what was read",
            "name one with --state-dir",
        ));
    }
    let (found, elapsed) = if args.no_key {
        let components = context.open_place_limited(args.limit_read)?;
        let display = Display::start(context, "objects", None);
        let found = verify_keyless(&components, args.reading(), display.meter(), stop);
        (found, display.meter().elapsed())
    } else {
        let mut vault = context.open_limited(Access::Read, args.limit_read)?;
        let reporting = if args.no_report { Reporting::Never } else { Reporting::Append };
        let options = VerifyOptions { reading: args.reading(), reporting };
        let display = Display::start(context, "objects", None);
        let found = vault.verify(&options, display.meter(), stop);
        (found, display.meter().elapsed())
    };
    // A cancelled verification says so in words of its own.
    let found = found.map_err(|error| match context.check_stopped() {
        Err(stopped) => stopped.when_stopped(match args.coverage {
            Some(_) => "nothing was changed; the next run goes on with what is due",
            None => "nothing was changed; run it again to verify all",
        }),
        Ok(()) => Failure::from(error),
    })?;
    Ok(Verified {
        found,
        reading: args.reading(),
        replica: None,
        depth: args.depth(),
        elapsed,
        is_verbose: context.output.verbose,
    })
}

/// What verification found.
pub(crate) struct Verified {
    found: Verification,
    reading: Reading,
    /// How a replica stands beside its vault.
    replica: Option<ReplicaComparison>,
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
        if let Some(ReplicaComparison { head, lag, .. }) = &self.replica {
            match lag.records {
                0 => writeln!(out, "the replica has all up to record {}", head.seq)?,
                _ => writeln!(out, "the replica is behind by {}", show_lag(lag))?,
            }
        }
        if matches!(self.reading, Reading::Sample(_) | Reading::Coverage(_)) {
            let packs = sizes::plural(found.packs, "pack");
            writeln!(out, "read {} of {packs}", sizes::count(found.packs_read))?;
        }
        if found.strangers > 0 {
            let strangers = sizes::plural(found.strangers, "object");
            writeln!(out, "{strangers} of no record: left by work that was interrupted, harmless")?;
        }
        let Reported { lost, found: back, .. } = found.reported;
        if lost > 0 {
            let packs = sizes::plural(lost, "pack");
            writeln!(out, "noted as lost: {packs}; the next backup stores again what it can")?;
        }
        if back > 0 {
            writeln!(out, "found again: {}", sizes::plural(back, "pack"))?;
        }
        if found.settled > 0 {
            let packs = sizes::plural(found.settled, "lost pack");
            writeln!(out, "{packs}: nothing needs what is in there any more")?;
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
            "packs": found.packs,
            "packs_read": found.packs_read,
            "lost": found.reported.lost,
            "found": found.reported.found,
            "report_withheld": found.reported.withheld,
            "settled": found.settled,
            "damage_unnamed": found.damage_unnamed,
            "hurt_snapshots": found.hurt.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "strangers": found.strangers,
            "damage": damage,
            "replica": self.replica.as_ref().map(|replica| json!({
                "head": replica.head.seq.0,
                "source_head": replica.source_head.seq.0,
                "lag": lag(&replica.lag),
                "source_broken": replica.source_broken,
            })),
            "seconds": self.elapsed.as_secs_f64(),
        }))
    }

    fn exit(&self) -> Exit {
        let broken = self.replica.as_ref().and_then(|replica| replica.source_broken.as_ref());
        match (self.found.damage.is_empty(), broken) {
            (false, _) => Exit::Tampered,
            (true, Some(_)) => Exit::Conflict,
            (true, None) => Exit::Done,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let most = paths_most(self.is_verbose);
        let mut remarks = Vec::new();
        for damage in &self.found.damage {
            remarks.push(match damage.reason.contains(&damage.object) {
                true => Remark::new(&damage.reason),
                false => Remark::new(format!("{}: {}", damage.object, damage.reason)),
            });
            remarks.extend(hurts(damage, most));
        }
        if self.found.damage_unnamed > 0 {
            remarks.push(Remark::new("and more objects, too many to name"));
        }
        if let Some(reason) = &self.found.reported.withheld {
            remarks.push(Remark::new(format!("the damage is not noted in the ledger: {reason}")));
        }
        if let Some(last) = remarks.pop() {
            let hint = if self.replica.is_some() { replica::HINT } else { HINT };
            remarks.push(last.hint(hint));
        }
        if let Some(broken) = self.replica.as_ref().and_then(|r| r.source_broken.as_ref()) {
            remarks.push(replica::broken(broken));
        }
        remarks
    }
}

const HINT: &str = "run a backup, which stores again what the source still has, then \
    `strongroom repair`; what is not named can be restored";

/// How many paths of a damage are shown.
pub(crate) fn paths_most(is_verbose: bool) -> usize {
    if is_verbose { usize::MAX } else { PATHS_SHOWN_MAX }
}

const PATHS_SHOWN_MAX: usize = 10;

/// What a damage hurts: paths as far as they are shown, else the snapshots.
pub(crate) fn hurts(damage: &Damage, most: usize) -> Vec<Remark> {
    let mut remarks = Vec::new();
    // Each chunk of a file that is hurt names it.
    let mut paths: Vec<_> = damage.paths.iter().collect();
    paths.dedup();
    for hurt in paths.iter().take(most) {
        let (snapshot, path) = (short(hurt.snapshot), show_path(&hurt.path));
        remarks.push(Remark::new(format!("  hurts {snapshot}:{path}")));
    }
    let unlisted = damage.paths_total - damage.paths.len() as u64;
    let rest = unlisted + paths.len().saturating_sub(most) as u64;
    if rest > 0 {
        remarks.push(Remark::new(format!("  and {} more", sizes::plural(rest, "path"))));
    }
    if damage.paths.is_empty() && !damage.snapshots.is_empty() {
        let ids: Vec<_> = damage.snapshots.iter().map(short).collect();
        remarks.push(Remark::new(format!("  hurts snapshots {}", ids.join(", "))));
    }
    remarks
}

/// A damage for programs.
pub(crate) fn damage_object(damage: &Damage) -> Value {
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
