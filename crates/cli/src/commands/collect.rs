//! `collect`: frees what no snapshot needs any more.
//!
//! What waits, what the place kept and what stopped are results, told with what was freed; a domain
//! that could not be marked ends the run with exit code 4. With `--compact`, what is going to be
//! rewritten is said before it is. DESIGN.md §9.

mod compaction;

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::{
    CollectMode, CollectOptions, Collection, CompactOptions, DomainId, Fraction, KeptObject,
    LockReport, ProtectMode, Removed, TRASH_DAYS_DEFAULT,
};

use crate::context::{Access, Context};
use crate::exit::{Exit, Failure, Result};
use crate::hooks::{HookArgs, Hooks};
use crate::output::{Fields, Remark, Report, fields, short};
use crate::progress::Display;
use crate::{locks, quantities, sizes, time};

/// Empties the trash and frees what no snapshot needs.
///
/// Snapshots that lay in the trash long enough are gone for good. Packs that no snapshot needs are
/// condemned, and deleted by the first run after the reader grace; small index runs are merged;
/// sessions that said nothing for a day are abandoned, and what interrupted work left is removed.
///
/// With --compact, live chunks first leave packs that are half dead or small, which are then
/// condemned too: that needs the owner's key, and for a while the space of what moves.
///
/// It runs beside backups, may be stopped at any moment, and goes on when it is run again. Needs
/// the key of the owner or a collector.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// How many days a forgotten snapshot can be brought back
    #[arg(long, value_name = "N", default_value_t = TRASH_DAYS_DEFAULT)]
    trash_days: u32,
    /// How long what is condemned stays for those who are reading, such as 12h; 0 deletes at once
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    reader_grace: String,
    /// Move live chunks out of packs that are half dead, and merge small packs when they are many
    #[arg(long)]
    compact: bool,
    /// Compact packs of which less than this share lives
    #[arg(long, value_name = "SHARE", value_parser = quantities::parse_share)]
    #[arg(default_value = "50%", requires = "compact")]
    compact_below: Fraction,
    /// Move no more than this, such as 10GiB, the emptiest packs first [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = sizes::parse, requires = "compact")]
    compact_limit: Option<u64>,
    #[command(flatten)]
    hooks: HookArgs,
}

/// Collects.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Collected> {
    let known = fields(json!({ "dry_run": args.dry_run, "compact": args.compact }));
    let hooks = Hooks::new(&args.hooks, context, "collect", &known);
    hooks.around(context, || collect(args, context))
}

fn collect(args: &Args, context: &Context) -> Result<Collected> {
    let reader_grace = match args.reader_grace.as_str() {
        "0" => Duration::ZERO,
        span => time::parse_duration(span).map_err(|message| {
            Failure::usage(message, "give --reader-grace such a span, or 0 to delete at once")
        })?,
    };
    let compact = args.compact.then(|| CompactOptions {
        max_live: args.compact_below,
        max_moved: args.compact_limit,
        ..CompactOptions::default()
    });
    let options = CollectOptions {
        mode: if args.dry_run { CollectMode::Rehearse } else { CollectMode::Collect },
        trash: Duration::from_secs(u64::from(args.trash_days) * 24 * 3600),
        reader_grace,
        compact,
        ..CollectOptions::default()
    };
    let access = if args.dry_run { Access::Read } else { Access::Append };
    let mut vault = context.open(access)?;
    let display = Display::start(context, "objects", None);
    let progress = compaction::Announcing::new(&display, context, args.dry_run);
    let found = vault.collect(&options, &progress, context.signals.stop());
    let elapsed = display.meter().elapsed();
    drop(display);
    // A cancelled collection says so in words of its own.
    let found = found.map_err(|error| match context.check_stopped() {
        Err(stopped) => stopped.when_stopped("what was done stands; run it again to go on"),
        Ok(()) => Failure::from(error),
    })?;
    let locks = match (context.common.lock()?, args.dry_run) {
        (None, _) => None,
        (Some(lock), false) => Some((lock, ProtectMode::Extend)),
        (Some(lock), true) => Some((lock, ProtectMode::Look)),
    };
    let locks = locks.map(|(lock, mode)| vault.extend_locks(lock, mode, context.signals.stop()));
    Ok(Collected { found, locks: locks.transpose()?, dry_run: args.dry_run, elapsed })
}

/// What was collected.
pub(crate) struct Collected {
    found: Collection,
    locks: Option<LockReport>,
    dry_run: bool,
    elapsed: Duration,
}

impl Collected {
    /// What the place kept and does not say until when.
    fn kept(&self) -> impl Iterator<Item = &KeptObject> {
        self.found.kept.iter().filter(|kept| kept.until.is_none())
    }

    /// What locks keep: objects, bytes, and when the last of them ends.
    fn locked(&self) -> Option<(u64, u64, String)> {
        let locked = || self.found.kept.iter().filter_map(|kept| Some((kept.bytes, kept.until?)));
        let last = locked().map(|(_, until)| until).max()?;
        let bytes = locked().map(|(bytes, _)| bytes).sum();
        Some((locked().count() as u64, bytes, time::show(last)))
    }
}

impl Report for Collected {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let found = &self.found;
        let would = if self.dry_run { "would be " } else { "" };
        let mut line = |count: u64, one: &str, what: &str| match count {
            0 => Ok(()),
            _ => writeln!(out, "{} {would}{what}", sizes::plural(count, one)),
        };
        line(found.purged.len() as u64, "snapshot", "purged from the trash")?;
        line(found.abandoned.len() as u64, "session", "abandoned: silent for a day")?;
        line(found.cleared, "suspicion", "cleared that somebody left behind")?;
        line(found.merged.runs, "index run", "merged")?;
        if let Some(compaction) = &found.compaction {
            compaction::write_text(compaction, self.dry_run, out)?;
        }
        let condemned = &found.condemned;
        if condemned.objects > 0 {
            writeln!(out, "{} {would}condemned: no snapshot needs them", show(condemned, "pack"))?;
        }
        for (removed, what) in [
            (&found.packs, "pack"),
            (&found.runs, "replaced index run"),
            (&found.strangers, "leftover"),
        ] {
            if removed.objects > 0 {
                writeln!(out, "{} {would}deleted", show(removed, what))?;
            }
        }
        if let Some(until) = found.waiting.until {
            let waiting = sizes::plural(found.waiting.objects, "object");
            let bytes = sizes::show(found.waiting.bytes);
            writeln!(out, "{waiting} ({bytes}) to be deleted wait until {}", time::show(until))?;
        }
        if let Some((objects, bytes, until)) = self.locked() {
            let (objects, bytes) = (sizes::plural(objects, "object"), sizes::show(bytes));
            writeln!(out, "{objects} ({bytes}) to be deleted are locked until {until} at most")?;
        }
        if found.strangers_kept > 0 {
            let kept = sizes::plural(found.strangers_kept, "object");
            writeln!(out, "{kept} of no record stay: their sessions are open or not known")?;
        }
        let live: u64 = found.domains.iter().map(|domain| domain.live_bytes).sum();
        let dead: u64 = found.domains.iter().map(|domain| domain.dead_bytes).sum();
        let (live, dead) = (sizes::show(live), sizes::show(dead));
        let (freed, bytes) = match self.dry_run {
            false => ("freed", found.freed_bytes()),
            true => ("would free", found.freed_bytes() + found.condemned.bytes),
        };
        let bytes = sizes::show(bytes);
        writeln!(out, "{freed} {bytes}; packs hold {live} live, {dead} dead or padding")?;
        self.locks.as_ref().map_or(Ok(()), |report| locks::write_text(report, out))
    }

    fn fields(&self) -> Fields {
        let found = &self.found;
        let ids = |ids: &[strongroom::SessionId]| -> Vec<String> {
            ids.iter().map(ToString::to_string).collect()
        };
        fields(json!({
            "dry_run": self.dry_run,
            "purged": ids(&found.purged),
            "abandoned": ids(&found.abandoned),
            "cleared": found.cleared,
            "suspected": found.suspected,
            "condemned": removed(&found.condemned),
            "deleted": {
                "packs": removed(&found.packs),
                "runs": removed(&found.runs),
                "strangers": removed(&found.strangers),
            },
            "freed_bytes": found.freed_bytes(),
            "waiting": {
                "objects": found.waiting.objects,
                "bytes": found.waiting.bytes,
                "until": found.waiting.until.map(time::show_exact),
            },
            "kept": found.kept.iter().map(|kept| json!({
                "object": kept.name.as_str(),
                "bytes": kept.bytes,
                "until": kept.until.map(time::show_exact),
                "reason": kept.reason,
            })).collect::<Vec<_>>(),
            "strangers_kept": found.strangers_kept,
            "merged": { "runs": found.merged.runs, "into": found.merged.into },
            "domains": found.domains.iter().map(|domain| json!({
                "domain": domain.domain.to_string(),
                "packs": domain.packs,
                "live_bytes": domain.live_bytes,
                "dead_bytes": domain.dead_bytes,
            })).collect::<Vec<_>>(),
            "stopped": found.stopped.iter().map(|stopped| json!({
                "domain": stopped.domain.to_string(),
                "snapshot": stopped.snapshot.map(|id| id.to_string()),
                "reason": stopped.reason,
            })).collect::<Vec<_>>(),
            "passed_over": found.passed_over,
            "half_dead_packs": found.half_dead.len(),
            "compaction": found.compaction.as_ref().map(compaction::object),
            "locks": self.locks.as_ref().map(locks::value),
            "seconds": self.elapsed.as_secs_f64(),
        }))
    }

    fn exit(&self) -> Exit {
        let compaction = self.found.compaction.as_ref();
        let all_moved = compaction.is_none_or(|compaction| compaction.unmoved.is_empty());
        let touched = self.locks.as_ref().map_or(Exit::Done, locks::exit);
        let own = match (self.found.stopped.is_empty() && all_moved, self.kept().next()) {
            (false, _) => Exit::Tampered,
            (true, Some(_)) => Exit::Incomplete,
            (true, None) => Exit::Done,
        };
        own.and(touched)
    }

    fn remarks(&self) -> Vec<Remark> {
        let mut remarks = Vec::new();
        if self.found.passed_over > 0 {
            let missing = sizes::plural(self.found.passed_over, "missing chunk");
            remarks.push(Remark::new(format!("{missing} of written-off snapshots passed over")));
        }
        for kept in self.kept().take(KEPT_SHOWN_MAX) {
            remarks.push(Remark::new(format!("{} is kept: {}", kept.name, kept.reason)));
        }
        let more = self.kept().count().saturating_sub(KEPT_SHOWN_MAX) as u64;
        if more > 0 {
            remarks.push(Remark::new(format!("and {} more", sizes::plural(more, "kept object"))));
        }
        if let Some(last) = remarks.pop() {
            remarks.push(match self.kept().next() {
                None => last,
                Some(_) => last.hint("run it again when the place lets them go; nothing is lost"),
            });
        }
        if let Some(compaction) = &self.found.compaction {
            remarks.extend(compaction::remarks(compaction));
        }
        remarks.extend(self.locks.iter().flat_map(locks::remarks));
        for stopped in &self.found.stopped {
            let reached =
                stopped.snapshot.map(|id| format!(", which snapshot {} needs", short(id)));
            let domain = match stopped.domain == DomainId::DEFAULT {
                true => "the default domain".to_owned(),
                false => format!("domain {}", short(stopped.domain)),
            };
            let (reason, reached) = (&stopped.reason, reached.unwrap_or_default());
            let text = format!("{domain} was not collected: {reason}{reached}");
            remarks.push(Remark::new(text).hint(
                "`strongroom verify` names what is hurt; bring the objects back from a copy of \
                 the vault, or forget the snapshots that need them",
            ));
        }
        remarks
    }
}

const KEPT_SHOWN_MAX: usize = 10;

fn show(removed: &Removed, what: &str) -> String {
    format!("{} ({})", sizes::plural(removed.objects, what), sizes::show(removed.bytes))
}

fn removed(removed: &Removed) -> Value {
    json!({ "objects": removed.objects, "bytes": removed.bytes })
}
