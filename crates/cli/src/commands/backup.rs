//! `backup`: makes a snapshot of files and folders, or of what a program prints.
//!
//! Sources that cannot be read are named, the snapshot is made without them, and the run ends with
//! exit code 3. What was typed is checked before any key is asked for.

mod command;
mod list;
mod options;
mod paths;
mod report;
mod stream;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use serde_json::json;
use strongroom::{BackupOptions, BackupReport, READ_THREADS_MAX, Vault, backup, backup_stream};

use crate::context::{Access, Context};
use crate::exit::{Failure, Result};
use crate::hooks::{HookArgs, Hooks};
use crate::output::fields;
use crate::progress::{Display, Meter};
use crate::signals::Signal;
use crate::sizes;
use command::CommandOutput;
use options::Plan;
use paths::Paths;
pub(crate) use report::BackedUp;
use stream::StandardInput;

/// Makes a snapshot of files and folders.
///
/// Files that are as they were in the snapshot before are not read again. What cannot be read is
/// named, and the snapshot is made without it. The vault itself and this host's cache are left out.
///
/// A GLOB without / matches names at any depth, one with / whole absolute paths; ** matches any
/// number of folders, and a / at the end folders only.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to back up; - is standard input
    #[arg(value_name = "PATH", required_unless_present_any = ["files_from", "files_from0"])]
    paths: Vec<OsString>,
    /// What the source is called [default: what this host is called in the vault]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A tag for the snapshot (again for more)
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// A file of paths to back up, one a line, - for standard input; # begins a remark
    #[arg(long, value_name = "FILE")]
    files_from: Vec<PathBuf>,
    /// The same with a NUL after each path, as `find -print0` writes them
    #[arg(long, value_name = "FILE")]
    files_from0: Vec<PathBuf>,
    /// Leave out what matches (again for more)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// The same, whatever the case of letters
    #[arg(long, value_name = "GLOB")]
    iexclude: Vec<String>,
    /// A file of patterns to leave out, one a line; ! before one takes it in again
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// Leave out what lies in folders that a CACHEDIR.TAG marks as caches
    #[arg(long)]
    exclude_caches: bool,
    /// Leave out what lies beside a file of this name (that begins with HEADER)
    #[arg(long, value_name = "NAME[:HEADER]")]
    exclude_if_present: Vec<OsString>,
    /// Leave out files of more than SIZE
    #[arg(long, value_name = "SIZE", value_parser = sizes::parse)]
    exclude_larger_than: Option<u64>,
    /// Leave out what the .gitignore files in the tree say
    #[arg(long)]
    gitignore: bool,
    /// Do not go into other file systems
    #[arg(long)]
    one_file_system: bool,
    /// What to keep of block devices
    #[arg(long, value_name = "WHAT", default_value = "metadata")]
    block_devices: BlockDeviceChoice,
    /// What standard input is called: its path is /NAME
    #[arg(long, value_name = "NAME")]
    stdin_name: Option<OsString>,
    /// Back up what a command prints: `--stdin-from-command -- COMMAND ARGUMENTS`
    #[arg(long)]
    stdin_from_command: bool,
    /// How hard to compress
    #[arg(long, value_name = "HOW", default_value = "default")]
    compression: CompressionChoice,
    /// The size of packs, 4MiB to 512MiB [default: the vault's]
    #[arg(long, value_name = "SIZE", value_parser = sizes::parse)]
    pack_size: Option<u64>,
    /// How many threads read, cut and compress, up to 64 [default: one for each core]
    #[arg(long, value_name = "N", value_parser = threads)]
    read_threads: Option<std::num::NonZeroUsize>,
    /// The snapshot to compare with, or none [default: the newest of the source]
    #[arg(long, value_name = "SNAPSHOT")]
    parent: Option<OsString>,
    /// Read all files, changed or not
    #[arg(long)]
    force: bool,
    /// Take files for unchanged although their inode is another
    #[arg(long)]
    ignore_inode: bool,
    /// Take files for unchanged although their ctime is another
    #[arg(long)]
    ignore_ctime: bool,
    /// Make no snapshot when nothing changed at all
    #[arg(long)]
    skip_if_unchanged: bool,
    /// The time that the snapshot claims to be of [default: now]
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// Say what would be read and stored, and store nothing
    #[arg(long)]
    dry_run: bool,
    /// Open all that was compressed again before it is stored, not only samples
    #[arg(long)]
    paranoid: bool,
    #[command(flatten)]
    hooks: HookArgs,
}

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CompressionChoice {
    /// Not at all
    None,
    /// zstd level 1
    Fast,
    /// zstd level 3
    Default,
    /// zstd level 19
    Max,
}

/// What to keep of block devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum BlockDeviceChoice {
    /// That they are devices, and their number
    Metadata,
    /// What they hold, as regular files
    Content,
}

/// What a backup reads.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Input {
    Files,
    /// Standard input, under this name.
    Standard(OsString),
    /// What a command prints, under this name.
    Command(OsString),
}

/// Makes a snapshot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<BackedUp> {
    let input = input(args)?;
    let plan = Plan::new(args)?;
    let known = fields(json!({ "name": args.name, "dry_run": args.dry_run }));
    let hooks = Hooks::new(&args.hooks, context, "backup", &known);
    hooks.around(context, || back_up(args, &input, plan, &hooks, context))
}

fn back_up(
    args: &Args,
    input: &Input,
    plan: Plan,
    hooks: &Hooks,
    context: &Context,
) -> Result<BackedUp> {
    let start = context.clock.now();
    let (paths, missing, plan) = match input {
        Input::Files => {
            let typed = list::with_lists(args, context)?;
            let paths = Paths::resolve(&typed, context)?;
            let patterns = paths.without_own(plan.exclusions.patterns.clone(), context)?;
            (paths.absolute, paths.missing, plan.with_patterns(patterns))
        }
        Input::Standard(name) | Input::Command(name) => {
            (vec![[b"/", name.as_bytes()].concat()], 0, plan)
        }
    };
    let access = if args.dry_run { Access::Read } else { Access::Append };
    let mut vault = context.open(access).map_err(|failure| failure.when_stopped(NOTHING_KEPT))?;
    let name = args.name.clone().unwrap_or_else(|| context.default_name(&vault));
    let parent = plan.parent(&mut vault, context)?;
    let usual = BackupOptions::new(&name, paths.clone(), start);
    let options = BackupOptions { parent, ..plan.options(args, usual) };
    let display = Display::start(context, "files", None);
    let meter = display.shared_meter();
    let leaving = context.signals.leave_when_late(last_words(meter.clone(), hooks, context));
    let made = make(args, input, &mut vault, &options, &meter, context);
    drop(leaving);
    let elapsed = meter.elapsed();
    drop(display);
    let report = made.map_err(|failure| {
        // Reading a stream ends with an error of its own when a signal stops it.
        let failure = match context.check_stopped() {
            Err(stopped) => stopped,
            Ok(()) => failure,
        };
        failure.when_stopped(&kept(&meter))
    })?;
    context.hear_warnings(&vault);
    let problems_most = context.output.problems_most();
    let is_rehearsal = args.dry_run;
    Ok(BackedUp { report, name, paths, missing, is_rehearsal, elapsed, problems_most })
}

/// What a backup that was stopped leaves behind.
fn kept(meter: &Meter) -> String {
    match meter.bytes_published() {
        0 => NOTHING_KEPT.to_owned(),
        bytes => format!(
            "no snapshot was made; {} that were stored are kept for the next backup",
            sizes::show(bytes)
        ),
    }
}

const NOTHING_KEPT: &str =
    "no snapshot was made, and nothing was stored yet: the next backup begins anew";

/// Ends the program when a signal finds the backup in something that takes its time, such as a
/// slow disk. The session stays open; the host's next one closes it.
fn last_words(
    meter: Arc<Meter>,
    hooks: &Hooks,
    context: &Context,
) -> impl FnOnce(Signal) + Send + 'static {
    let (hooks, output) = (hooks.clone(), context.output);
    move |signal| {
        meter.hide();
        let failure = Failure::cancelled().stopped_by(signal).with_hint(kept(&meter));
        output.failure(&failure);
        hooks.on_failure(&failure);
        // Other threads still use the keys, so they cannot be wiped: they go with the process.
        #[allow(clippy::disallowed_methods)]
        std::process::exit(failure.exit.code().into())
    }
}

fn make(
    args: &Args,
    input: &Input,
    vault: &mut Vault,
    options: &BackupOptions,
    meter: &Meter,
    context: &Context,
) -> Result<BackupReport> {
    let cancel = context.signals.cancel();
    match input {
        Input::Files => Ok(backup(vault, options, meter, cancel)?),
        Input::Standard(called) => {
            let mut stream = StandardInput::of_process(&context.signals);
            Ok(backup_stream(vault, options, called.as_bytes(), &mut stream, meter, cancel)?)
        }
        Input::Command(called) => {
            let mut stream = CommandOutput::of(&args.paths, &context.signals)?;
            let made = backup_stream(vault, options, called.as_bytes(), &mut stream, meter, cancel);
            // Why the command failed says more than that its output could not be read.
            match (stream.failure(), made) {
                (Some(failure), _) => Err(failure),
                (None, made) => Ok(made?),
            }
        }
    }
}

/// What is to be read, as far as the options fit together.
fn input(args: &Args) -> Result<Input> {
    let has_lists = !args.files_from.is_empty() || !args.files_from0.is_empty();
    let is_stdin = args.paths.iter().any(|path| path == "-");
    let is_stream = is_stdin || args.stdin_from_command;
    let is_alone = args.stdin_from_command || args.paths.len() == 1;
    match &args.stdin_name {
        Some(_) if !is_stream => Err(Failure::usage(
            "--stdin-name names standard input, but the path is not -",
            "give - as the path, or leave --stdin-name out",
        )),
        None if !is_stream => Ok(Input::Files),
        None if is_stdin && !args.stdin_from_command => Err(Failure::usage(
            "standard input has no name",
            "give --stdin-name NAME, such as `dump | strongroom backup - --stdin-name db.sql`",
        )),
        _ if !is_alone || has_lists => Err(Failure::usage(
            "standard input and other paths do not go into one snapshot",
            "give - alone, and back the other paths up on their own",
        )),
        _ if args.dry_run => Err(Failure::usage(
            "standard input is read once: there is no --dry-run of it",
            "leave --dry-run out",
        )),
        Some(name) if !is_file_name(name) => Err(Failure::usage(
            format!("--stdin-name {name:?} is not a file's name"),
            "give a name without /, such as --stdin-name db.sql",
        )),
        Some(name) if args.stdin_from_command => Ok(Input::Command(name.clone())),
        Some(name) => Ok(Input::Standard(name.clone())),
        None => command::default_name(&args.paths).map(Input::Command),
    }
}

fn is_file_name(name: &OsStr) -> bool {
    !matches!(name.as_bytes(), b"" | b"." | b"..") && !name.as_bytes().contains(&b'/')
}

pub(super) fn threads(text: &str) -> Result<std::num::NonZeroUsize, String> {
    let threads = text.parse().ok().filter(|threads| (1..=READ_THREADS_MAX).contains(threads));
    threads
        .and_then(std::num::NonZeroUsize::new)
        .ok_or_else(|| format!("a number of threads is 1 to {READ_THREADS_MAX}"))
}
