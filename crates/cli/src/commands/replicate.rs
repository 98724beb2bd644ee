//! `replicate`: keeps other places complete copies of the vault, without a key.
//!
//! Each target is kept by a thread of its own, so one that is slow or out of reach holds up no
//! other. What was typed is checked before any place is touched; what went wrong at one target is
//! said with its name, and the gravest exit code ends the run. DESIGN.md §12.

mod follow;
mod report;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom::{
    Components, Pass, ReadBack, Rehearsal, ReplicaOptions, ReplicaProgress, Replicator,
};

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::hooks::{HookArgs, Hooks};
use crate::output::fields;
use crate::prices::{Prices, Usage};
use crate::progress::{Display, Meter};
use crate::quantities;
use crate::signals::Signal;
use crate::targets::Targets;
use follow::Follower;
use report::Replica;
pub(crate) use report::{Asked, Replicated, lag, requests, show_lag};

/// Keeps other places complete copies of the vault, without a key.
///
/// Each target is marked as a replica and receives what the vault holds, in an order in which every
/// snapshot restores from it or is not there yet. What a collection removes from the vault stays at
/// a replica for the hold. A run that was stopped is gone on with by the next one.
///
/// A replica opens with the vault's own keys; nothing is ever added to it but by this command. No
/// key is needed here, so this may run on a host that holds none.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to keep a copy: an empty place, or a replica of this vault (several times)
    #[arg(long, value_name = "URL", required = true)]
    to: Vec<OsString>,
    /// Go on until stopped, with a pass whenever the vault has something new
    #[arg(long, conflicts_with = "dry_run")]
    follow: bool,
    /// How often to look for something new, such as 30s
    #[arg(long, value_name = "SPAN", value_parser = quantities::parse_span)]
    #[arg(default_value = "30s", requires = "follow")]
    every: Duration,
    /// How long a replica keeps what the vault gave up, by the replica's own clock, such as 7d; 0
    /// deletes at once
    #[arg(long, value_name = "SPAN", value_parser = parse_hold, default_value = "7d")]
    hold: Duration,
    /// Read each object back from the target and compare its digest
    #[arg(long)]
    read_back: bool,
    /// Say what would be copied and deleted, and what it takes, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Say also what it would cost, at the prices in this file of TOML: currency, put-per-1000,
    /// get-per-1000, list-per-1000, head-per-1000, delete-per-1000, gb-out, gb-month
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    price_file: Option<PathBuf>,
    #[command(flatten)]
    hooks: HookArgs,
}

/// Reads a span, or 0 for none.
fn parse_hold(text: &str) -> Result<Duration, String> {
    match text.trim() {
        "0" => Ok(Duration::ZERO),
        span => quantities::parse_span(span),
    }
}

/// Replicates.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Replicated> {
    let known = fields(json!({ "dry_run": args.dry_run, "follow": args.follow }));
    let hooks = Hooks::new(&args.hooks, context, "replicate", &known);
    hooks.around(context, || replicate(args, &hooks, context))
}

fn replicate(args: &Args, hooks: &Hooks, context: &Context) -> Result<Replicated> {
    let prices = args.price_file.as_deref().map(Prices::read).transpose()?;
    let targets = Targets::parse(&args.to, context)?;
    // That there is a vault is known before any target is made.
    strongroom::read_config(&*context.open_place_limited(None)?.place)?;
    let options = ReplicaOptions {
        hold: args.hold,
        connections: context.common.connections.into(),
        read_back: if args.read_back { ReadBack::Yes } else { ReadBack::No },
        rehearsal: if args.dry_run { Rehearsal::Yes } else { Rehearsal::No },
        lock: context.common.lock()?,
        ..ReplicaOptions::default()
    };
    let display = Display::start(context, "objects", None);
    // What is put is whole or not there, so it may be left at any point.
    let _leaving = context.signals.leave_when_late(last_words(&display, hooks, context));
    if args.follow {
        return Err(Follower::new(&targets, options, args.every, &display, context).follow());
    }
    let replicas = keep_once(&targets, options, &display, context);
    let elapsed = display.meter().elapsed();
    drop(display);
    context.check_stopped().map_err(|stopped| stopped.when_stopped(KEPT))?;
    Replicated::new(replicas, args.dry_run, prices, elapsed, context)
}

/// One pass for each target, side by side.
fn keep_once(
    targets: &Targets,
    options: ReplicaOptions,
    display: &Display,
    context: &Context,
) -> Vec<Replica> {
    let keep = |number| {
        let meter = display.meter();
        let done = Keeper::open(targets, number, options, context).and_then(|mut keeper| {
            let pass = keeper.pass(meter, context)?;
            Ok((pass, keeper.asked()))
        });
        Replica { target: targets.name(number), done, elapsed: meter.elapsed() }
    };
    std::thread::scope(|scope| {
        let keep = &keep;
        let threads: Vec<_> =
            (0..targets.count()).map(|number| scope.spawn(move || keep(number))).collect();
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Ends the program when a signal finds it in something that takes its time, such as an upload.
fn last_words(
    display: &Display,
    hooks: &Hooks,
    context: &Context,
) -> impl FnOnce(Signal) + Send + 'static {
    let (meter, output, hooks) = (display.shared_meter(), context.output, hooks.clone());
    move |signal| {
        meter.hide();
        let failure = Failure::cancelled().stopped_by(signal).with_hint(KEPT);
        hooks.on_failure(&failure);
        output.failure(&failure);
        // No key is held here that could be wiped.
        #[allow(clippy::disallowed_methods)]
        std::process::exit(failure.exit.code().into())
    }
}

const KEPT: &str = "what was copied stays; the next run goes on from there";

/// What keeps one target.
struct Keeper {
    replicator: Replicator,
    source: Arc<Counted>,
    target: Arc<Counted>,
}

pub(crate) type Counted = strongroom::Recording<Arc<dyn strongroom::Place>>;

impl Keeper {
    /// Opens source and target.
    fn open(
        targets: &Targets,
        number: usize,
        options: ReplicaOptions,
        context: &Context,
    ) -> Result<Self> {
        let counted = |components: Components| {
            let place = Arc::new(Counted::new(components.place.clone()));
            (place.clone(), Components { place, ..components })
        };
        let (source, source_components) = counted(context.open_place_limited(None)?);
        let target = match options.rehearsal {
            Rehearsal::Yes => targets.look(number, context)?,
            Rehearsal::No => targets.open(number, context)?,
        };
        let (target, target_components) = counted(target);
        let replicator = Replicator::new(source_components, target_components, options);
        Ok(Self { replicator, source, target })
    }

    fn pass(&mut self, meter: &Meter, context: &Context) -> Result<Pass> {
        Ok(self.replicator.pass(meter as &dyn ReplicaProgress, context.signals.stop())?)
    }

    /// What was asked of both places so far.
    fn asked(&self) -> Asked {
        Asked { source: usage(&self.source), target: usage(&self.target) }
    }
}

/// What was asked of a place so far.
pub(crate) fn usage(place: &Counted) -> Usage {
    use strongroom::Verb;
    Usage {
        puts: place.count(Verb::Put),
        gets: place.count(Verb::Get),
        lists: place.count(Verb::List),
        heads: place.count(Verb::Stat),
        deletes: place.count(Verb::Delete),
        bytes_out: place.bytes(Verb::Get),
        bytes_stored: place.bytes(Verb::Put),
    }
}
