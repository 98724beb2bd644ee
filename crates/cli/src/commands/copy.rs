//! `copy`: copies snapshots from another vault, or from another domain of the same one.
//!
//! Snapshots that the target holds already are passed over, so the same line copies what is new
//! every night, and goes on where it was stopped. What of the source cannot be read is named, and
//! the run ends with exit code 4. What was typed is checked before any place is touched.

mod report;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom::{
    Copier, CopyOptions, CopyOutcome, CopyPlan, Role, Snapshot, SnapshotStanding, Time, Vault,
};

use super::backup::{CompressionChoice, threads};
use super::init::pack_bytes;
use crate::context::{Access, Context};
use crate::exit::{Failure, Result};
use crate::filter::Filter;
use crate::keys::{KeySource, TypedKeys};
use crate::progress::{Display, Meter};
use crate::selector::{Selector, choose_all};
use crate::signals::Signal;
use crate::sizes;
use crate::time;
pub(crate) use report::CopiedAll;
use report::Row;

/// Copies snapshots from another vault into this one.
///
/// The other vault has keys of its own, named by the options that begin with --from; this one is
/// named by --vault, as ever. Copies keep their name, paths, tags and times. What is there already
/// is not copied again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to copy [default: all that is live and passes the filters]
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<OsString>,
    /// The vault to copy from
    #[arg(long, value_name = "URL")]
    from: OsString,
    /// Its key file [environment: STRONGROOM_FROM_KEY]
    #[arg(long, value_name = "FILE")]
    from_key: Option<PathBuf>,
    /// A file that holds its passphrase [environment: STRONGROOM_FROM_PASSPHRASE_FILE]
    #[arg(long, value_name = "FILE")]
    from_passphrase_file: Option<PathBuf>,
    /// A shell command that prints its passphrase
    #[arg(long, value_name = "COMMAND")]
    from_passphrase_command: Option<OsString>,
    #[command(flatten)]
    filter: Filter,
    /// Only snapshots that were made then or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only the newest N of each source
    #[arg(long, value_name = "N")]
    latest: Option<u32>,
    /// How hard to compress
    #[arg(long, value_name = "HOW", default_value = "default")]
    compression: CompressionChoice,
    /// The size of packs, 4MiB to 512MiB [default: this vault's]
    #[arg(long, value_name = "SIZE", value_parser = sizes::parse)]
    pack_size: Option<u64>,
    /// How many threads read, cut and compress, up to 64 [default: one for each core]
    #[arg(long, value_name = "N", value_parser = threads)]
    read_threads: Option<std::num::NonZeroUsize>,
    /// Say what would be read and stored, and store nothing
    #[arg(long)]
    dry_run: bool,
}

/// Copies them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<CopiedAll> {
    args.filter.check()?;
    let selectors = Selector::parse_whole(&args.snapshots)?;
    let since = args.since.as_deref().map(time::parse_start).transpose();
    let since = since.map_err(|message| Failure::usage(message, "give --since such a time"))?;
    let options = CopyOptions {
        compression: args.compression.into(),
        pack_size: args.pack_size.map(pack_bytes).transpose()?,
        read_threads: args.read_threads,
        dry_run: args.dry_run,
        ..CopyOptions::default()
    };
    let from = TypedKeys {
        key: &args.from_key,
        passphrase_file: &args.from_passphrase_file,
        passphrase_command: &args.from_passphrase_command,
        kit: &None,
    };
    let keys = KeySource::choose_from(&from, context)?;
    let access = if args.dry_run { Access::Read } else { Access::Append };
    let stopped = |failure: Failure| failure.when_stopped(NOTHING_COPIED);
    let mut target = context.open(access).map_err(stopped)?;
    let source = context.open_other(&args.from, keys);
    let mut source = source.map_err(of_source).map_err(stopped)?;
    let snapshots = match &selectors[..] {
        [] => source.snapshots()?,
        selectors => choose_all(selectors, &mut source, context)?,
    };
    context.hear_warnings(&source);
    let chosen = choose(args, !selectors.is_empty(), since, snapshots)?;
    copy(args.dry_run, chosen, &mut source, &mut target, options, context)
}

fn copy(
    is_rehearsal: bool,
    chosen: Vec<Snapshot>,
    source: &mut Vault,
    target: &mut Vault,
    options: CopyOptions,
    context: &Context,
) -> Result<CopiedAll> {
    check_roles(source, target)?;
    let mut copier = Copier::new(source, target, options)?;
    let CopyPlan { missing, present, unseen } = copier.plan(&chosen)?;
    if unseen > 0 {
        let text = format!(
            "this key cannot look into {} of the vault: copies among them are made again",
            sizes::plural(unseen, "snapshot")
        );
        context.output.warning_with_hint(&text, "use the owner's key to copy into the vault");
    }
    let display = Display::start(context, "files", None);
    let meter = display.shared_meter();
    expect(&missing, &meter);
    let state = Done { all: missing.len(), copied: Arc::default(), meter };
    let leaving = context.signals.leave_when_late(state.last_words(context));
    let mut outcomes = Vec::with_capacity(missing.len());
    let mut ended = Ok(());
    for snapshot in &missing {
        match copier.copy(snapshot, state.meter.as_ref(), context.signals.cancel()) {
            Ok(outcome) => {
                let is_copied = matches!(outcome, CopyOutcome::Copied(_));
                state.copied.fetch_add(is_copied.into(), Ordering::Relaxed);
                outcomes.push((Row::of(snapshot), outcome));
            }
            Err(error) => {
                ended = Err(Failure::from(error).when_stopped(&state.kept()));
                break;
            }
        }
    }
    drop(leaving);
    let elapsed = state.meter.elapsed();
    drop(display);
    drop(copier);
    if let (Err(_), done @ 1..) = (&ended, state.copied.load(Ordering::Relaxed)) {
        context.output.note(&format!("{done} of {} were copied", missing_text(&missing)));
    }
    ended?;
    context.hear_warnings(target);
    let problems_most = context.output.problems_most();
    Ok(CopiedAll { outcomes, present, is_rehearsal, elapsed, problems_most })
}

/// The roles that it takes, before anything is read.
fn check_roles(source: &Vault, target: &Vault) -> Result<()> {
    let role = source.keyring().role();
    if !matches!(role, Role::Owner | Role::Reader) {
        let message = format!("a {role}'s key reads no files, so nothing can be copied with it");
        let hint = "give the owner's key or a reader's with --from-key";
        return Err(Failure::denied(message, hint));
    }
    let role = target.keyring().role();
    if !matches!(role, Role::Owner | Role::Writer) {
        let message = format!("a {role}'s key adds no snapshots, so nothing can be copied here");
        let hint = "give the owner's key or a writer's with --key";
        return Err(Failure::denied(message, hint));
    }
    Ok(())
}

fn missing_text(missing: &[Snapshot]) -> String {
    sizes::plural(missing.len() as u64, "snapshot")
}

fn expect(missing: &[Snapshot], meter: &Meter) {
    let counts = missing.iter().filter_map(|s| Some(s.descriptor.as_ref()?.counts));
    let (files, bytes) = counts.fold((0, 0_u64), |(files, bytes), counts| {
        (files + counts.files, bytes.saturating_add(counts.bytes))
    });
    strongroom::Progress::expected(meter, files, bytes);
}

/// Those of the source's snapshots that options and selectors ask for.
fn choose(
    args: &Args,
    are_named: bool,
    since: Option<Time>,
    mut snapshots: Vec<Snapshot>,
) -> Result<Vec<Snapshot>> {
    if !are_named {
        // What was forgotten is copied only when it is named.
        snapshots.retain(|snapshot| snapshot.standing == SnapshotStanding::Live);
    }
    let mut chosen = args.filter.choose(&snapshots)?;
    chosen.retain(|snapshot| since.is_none_or(|since| snapshot.claimed >= since));
    let Some(most) = args.latest else { return Ok(chosen) };
    let mut rows: BTreeMap<_, u32> = BTreeMap::new();
    chosen.reverse();
    chosen.retain(|snapshot| {
        let row = snapshot.descriptor.as_ref().map(|d| (d.name.clone(), d.paths.clone()));
        let count = rows.entry((snapshot.domain, row)).or_default();
        *count += 1;
        *count <= most
    });
    chosen.reverse();
    Ok(chosen)
}

/// How far the copying came.
struct Done {
    all: usize,
    copied: Arc<AtomicUsize>,
    meter: Arc<Meter>,
}

const NOTHING_COPIED: &str = "nothing was copied: the next run begins anew";

impl Done {
    /// What is left behind when it is stopped.
    fn kept(&self) -> String {
        kept(self.all, self.copied.load(Ordering::Relaxed), &self.meter)
    }

    /// Ends the program when a signal finds the copying in something that takes its time. The
    /// session stays open; the host's next one closes it.
    fn last_words(&self, context: &Context) -> impl FnOnce(Signal) + Send + 'static {
        let (all, copied, meter) = (self.all, self.copied.clone(), self.meter.clone());
        let output = context.output;
        move |signal| {
            meter.hide();
            let kept = kept(all, copied.load(Ordering::Relaxed), &meter);
            let failure = Failure::cancelled().stopped_by(signal).with_hint(kept);
            output.failure(&failure);
            // Other threads still use the keys, so they cannot be wiped: they go with the process.
            #[allow(clippy::disallowed_methods)]
            std::process::exit(failure.exit.code().into())
        }
    }
}

fn kept(all: usize, copied: usize, meter: &Meter) -> String {
    match (copied, meter.bytes_published()) {
        (0, 0) => NOTHING_COPIED.to_owned(),
        (_, bytes) => format!(
            "{copied} of {} were copied; {} that were stored are kept for the next run",
            sizes::plural(all as u64, "snapshot"),
            sizes::show(bytes)
        ),
    }
}

/// The next step where the vault to copy from does not open.
fn of_source(failure: Failure) -> Failure {
    match failure.kind {
        "denied" => failure.with_hint(
            "give the key of the vault to copy from, with --from-key or --from-passphrase-file",
        ),
        "not-found" | "unavailable" => {
            failure.with_hint("check how --from is spelled and that its disk is mounted")
        }
        _ => failure,
    }
}
