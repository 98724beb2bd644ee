//! `recover`: makes a vault of its own of a copy that survived the loss of the vault's place.
//!
//! The copy is fetched into a new folder, or goes on where it lies. The owner's record that ends it
//! tells every other host to follow. What is known to have been there and has not survived stops it
//! until the owner says `--accept-loss`. DESIGN.md §9, §12.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom::{
    Loss, MissingObject, PlaceUrl, RecordAt, RecoverOptions, Recovered, Rehearsal, ReplicaOptions,
    recover, recover_in_place,
};

use super::replicate::{Asked, Counted, requests, usage};
use crate::context::{Context, parse_url};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Fields, Remark, Report, fields};
use crate::prices::{Cost, Prices, Usage};
use crate::progress::Display;
use crate::sizes;

/// Makes a copy that survived the vault again, with the owner's passphrase, key file or kit.
///
/// A new machine needs the copy's URL and the kit or the passphrase, nothing else. To get files
/// back at once, `strongroom restore --vault URL` reads the copy as it is; recover to back up
/// again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The copy that survived: a replica, or whatever holds the vault
    #[arg(long, value_name = "URL", required_unless_present = "in_place")]
    from: Option<OsString>,
    /// Where the vault shall lie: a new or empty folder, or what an interrupted recovery left
    #[arg(long, value_name = "DIR", required_unless_present = "in_place")]
    to: Option<OsString>,
    /// Go on where the copy lies, at --vault, without copying anything
    #[arg(long, conflicts_with_all = ["from", "to"])]
    in_place: bool,
    /// Give up the records that were seen and have not survived, for good
    #[arg(long)]
    accept_loss: bool,
    /// Say what would be copied, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Say also what it would cost, at the prices in this file, as `replicate` takes it; they are
    /// those of the copy
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    price_file: Option<PathBuf>,
}

/// Recovers.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let rehearsal = if args.dry_run { Rehearsal::Yes } else { Rehearsal::No };
    let options = RecoverOptions {
        loss: if args.accept_loss { Loss::Accept } else { Loss::Refuse },
        copy: ReplicaOptions {
            connections: context.common.connections.into(),
            rehearsal,
            ..ReplicaOptions::default()
        },
    };
    let prices = args.price_file.as_deref().map(Prices::read).transpose()?;
    match (&args.from, &args.to) {
        (Some(from), Some(to)) => {
            let (from, to) = (parse_url(from)?, parse_url(to)?);
            to_new_place(&from, &to, &options, prices, context)
        }
        _ => in_place(&options, context),
    }
}

fn to_new_place(
    from: &PlaceUrl,
    to: &PlaceUrl,
    options: &RecoverOptions,
    prices: Option<Prices>,
    context: &Context,
) -> Result<Outcome> {
    if let PlaceUrl::Folder(folder) = to {
        check_folder(folder)?;
    }
    let counted = Arc::new(Counted::new(context.place_at(from)?));
    let (survivor, host) = context.open_survivor(counted.clone())?;
    let is_rehearsal = options.copy.rehearsal == Rehearsal::Yes;
    let target = match to {
        // What is not there yet is not made to count what would be put there.
        PlaceUrl::Folder(folder) if is_rehearsal && !folder.exists() => {
            context.create_place_at(&PlaceUrl::Memory)?
        }
        url => context.create_place_at(url)?,
    };
    let target = context.components(target);
    let display = Display::start(context, "objects", None);
    let meter = display.shared_meter();
    let done = recover(&survivor, &target, &host, options, &*meter, context.signals.stop());
    let elapsed = meter.elapsed();
    drop(display);
    let recovered = done.map_err(|error| {
        Failure::from(error).when_stopped("what was copied stays; run it again for the rest")
    })?;
    let plan = is_rehearsal.then(|| {
        let asked = Asked { source: usage(&counted), ..Asked::default() }.with(&recovered.pass);
        Plan { asked: asked.source, cost: prices.map(|prices| prices.cost(&asked.source)) }
    });
    let vault = survivor.config().vault.to_string();
    Ok(Outcome {
        vault,
        place: to.to_string(),
        recovered,
        is_rehearsal,
        is_copied: true,
        plan,
        elapsed,
    })
}

fn in_place(options: &RecoverOptions, context: &Context) -> Result<Outcome> {
    let url = context.place_url()?;
    let (mut vault, _) = context.open_survivor(context.place_at(&url)?)?;
    let recovered = recover_in_place(&mut vault, options)?;
    Ok(Outcome {
        vault: vault.config().vault.to_string(),
        place: url.to_string(),
        recovered,
        is_rehearsal: options.copy.rehearsal == Rehearsal::Yes,
        is_copied: false,
        plan: None,
        elapsed: Duration::ZERO,
    })
}

/// Refuses a folder that holds anything else than what an interrupted recovery left.
fn check_folder(folder: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::local(folder, &error)),
    };
    let entries = entries.map(|entry| Ok(entry?.file_name()));
    let entries: Vec<_> =
        entries.collect::<io::Result<_>>().map_err(|error| Failure::local(folder, &error))?;
    let is_marked = entries.iter().any(|name| name == "replica");
    // The first object, the mark, is put through a name that begins with a dot.
    let is_hidden = |name: &OsString| name.as_encoded_bytes().starts_with(b".");
    match is_marked || entries.iter().all(is_hidden) {
        true => Ok(()),
        false => Err(Failure::failed(
            format!("{} is not empty, and no interrupted recovery left it", folder.display()),
            "name a new or an empty folder with --to",
        )),
    }
}

/// What a recovery would take.
struct Plan {
    /// Of the copy: what was asked of it so far, and what would be.
    asked: Usage,
    cost: Option<Cost>,
}

/// What was recovered.
pub(crate) struct Outcome {
    vault: String,
    place: String,
    recovered: Recovered,
    is_rehearsal: bool,
    is_copied: bool,
    plan: Option<Plan>,
    elapsed: Duration,
}

impl Report for Outcome {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { vault, place, recovered, .. } = self;
        let Recovered { survived, seen, lost_after, by, pass } = recovered;
        if self.is_copied {
            let what = format!(
                "{}, {} with {}",
                sizes::plural(pass.records, "record"),
                sizes::plural(pass.objects, "other object"),
                sizes::show(pass.bytes + pass.record_bytes)
            );
            match self.is_rehearsal {
                true => writeln!(out, "would copy {what}")?,
                false => {
                    let seconds = self.elapsed.as_secs_f64();
                    writeln!(out, "copied {what}, in {seconds:.1} s")?;
                }
            }
        }
        if let Some(Plan { asked, cost }) = &self.plan {
            writeln!(out, "takes of the copy about {}", requests(asked))?;
            if let Some(cost) = cost {
                writeln!(out, "costs about {}", cost.text())?;
            }
        }
        match seen {
            None => writeln!(out, "the newest record that survived is {}", survived.seq)?,
            Some(seen) => {
                writeln!(out, "given up: records after {lost_after}, up to {} at least", seen.seq)?
            }
        }
        match by {
            None => writeln!(out, "vault {vault} would go on at {place}"),
            Some(by) => writeln!(
                out,
                "vault {vault} goes on at {place} from record {}: `strongroom kit create` makes a \
                 kit that names it",
                by.seq
            ),
        }
    }

    fn fields(&self) -> Fields {
        let Recovered { survived, seen, lost_after, by, pass } = &self.recovered;
        let plan = self.plan.as_ref().map(|Plan { asked, cost }| {
            json!({
                "put": asked.puts, "get": asked.gets, "list": asked.lists, "head": asked.heads,
                "bytes_out": asked.bytes_out, "cost": cost.as_ref().map(Cost::object),
            })
        });
        let seq = |at: &Option<RecordAt>| at.map(|at| at.seq.0);
        let missing = |missing: &MissingObject| {
            let MissingObject { object, reason } = missing;
            json!({ "object": object.as_str(), "reason": reason })
        };
        fields(json!({
            "vault": self.vault, "place": self.place, "dry_run": self.is_rehearsal,
            "survived": survived.seq.0, "seen": seq(seen), "lost_after": lost_after.0,
            "recovered_by": seq(by), "records": pass.records, "objects": pass.objects,
            "bytes": pass.bytes + pass.record_bytes, "plan": plan,
            "missing": pass.missing.iter().map(missing).collect::<Vec<_>>(),
            "seconds": self.elapsed.as_secs_f64(),
        }))
    }

    fn exit(&self) -> Exit {
        match self.recovered.pass.missing.is_empty() {
            true => Exit::Done,
            false => Exit::Tampered,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let missing = self.recovered.pass.missing.iter().map(|missing| {
            let MissingObject { object, reason } = missing;
            let text = match reason.contains(object.as_str()) {
                true => format!("not copied: {reason}"),
                false => format!("not copied: {object}: {reason}"),
            };
            Remark::new(text).hint(
                "`strongroom repair --from URL` fetches it from another copy; \
                 `strongroom verify` names the files that it hurts",
            )
        });
        missing.collect()
    }
}
