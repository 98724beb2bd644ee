//! What was typed, and nothing else: no defaults of the machine, no environment.
//!
//! Each command's own arguments stand in its file below `commands`. The common ones work before and
//! after the command's name. DESIGN.md §15.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use strongroom::{LOCK_DAYS_MAX, ObjectLock, RetentionMode};

use crate::commands::{
    backup, bench, cat, collect, completions, config, copy, diff, find, forget, hold, init, key,
    kit, ledger, ls, man, mount, protect, recover, release, repair, replicate, restore, snapshots,
    stats, tag, verify,
};

use crate::exit::{Failure, Result};
use crate::quantities::parse_rate;

/// Encrypted, deduplicated backups, in a vault that proves what it holds.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version = VERSION, disable_help_subcommand = true)]
#[command(max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// What all commands take.
    #[command(flatten)]
    pub(crate) common: Common,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The program's version, and the number of the format that it writes.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (vault format 1)");
const _: () = assert!(strongroom::FORMAT_NUMBER == 1, "VERSION says another number");

const AFTER_HELP: &str = "\
Exit codes:
  0 done                    4 damage, tampering or roll-back found
  1 failed                  5 denied: wrong key or role
  2 wrong usage             6 the place is unavailable
  3 done but incomplete     7 conflict, or the ledger is broken";

/// What all commands take.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Where the vault lies: a folder, or a bucket as s3://BUCKET/PREFIX?endpoint=URL&region=NAME
    /// [environment: STRONGROOM_VAULT]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) vault: Option<OsString>,
    /// A key file instead of a passphrase [environment: STRONGROOM_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// A file that holds the passphrase [environment: STRONGROOM_PASSPHRASE_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A shell command that prints the passphrase
    #[arg(long, global = true, value_name = "COMMAND")]
    pub(crate) passphrase_command: Option<OsString>,
    /// A recovery kit, or its 24 words, instead of a passphrase; - is standard input
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kit: Option<PathBuf>,
    /// The file of settings [default: /etc/strongroom/config.toml, then
    /// ~/.config/strongroom/config.toml] [environment: STRONGROOM_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Which profile of the settings to use [environment: STRONGROOM_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Where to keep what may be deleted at any time [default: ~/.cache/strongroom;
    /// of root: /var/cache/strongroom]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Where to keep what notices a roll-back [default:
    /// ~/.local/state/strongroom; of root: /var/lib/strongroom]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// How many requests to make to a bucket at the same time
    #[arg(long, global = true, value_name = "NUMBER", default_value = "16")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) connections: u16,
    /// Send no more than this in a second, such as 2MiB [default: no limit]
    #[arg(long, global = true, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) limit_upload: Option<NonZeroU64>,
    /// Fetch no more than this in a second [default: no limit]
    #[arg(long, global = true, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) limit_download: Option<NonZeroU64>,
    /// Trust the certificates in this PEM file, and no others
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Allow a bucket's endpoint without TLS on other machines: who listens learns what the bucket
    /// does, and can disturb
    #[arg(long, global = true)]
    pub(crate) plain_http: bool,
    /// Lock what is put into a bucket with Object Lock: governance, which who is allowed to may end
    /// earlier, or compliance, which nobody may
    #[arg(long, global = true, value_name = "MODE")]
    pub(crate) lock_mode: Option<RetentionMode>,
    /// For how many days to lock it; `collect`, `protect` and `replicate` extend the locks of what
    /// is still needed
    #[arg(long, global = true, value_name = "DAYS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(LOCK_DAYS_MAX)))]
    pub(crate) lock_days: Option<u32>,
    /// How to show progress, on standard error
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: ProgressMode,
    /// Name every problem, not only the first ones
    #[arg(long, short, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Print only what was asked for and what is wrong
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Print JSON, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Common {
    /// How what is put is to be locked, if it is.
    pub(crate) fn lock(&self) -> Result<Option<ObjectLock>> {
        match (self.lock_mode, self.lock_days) {
            (None, None) => Ok(None),
            (Some(mode), Some(days)) => Ok(ObjectLock::new(mode, days)),
            (Some(mode), None) => Err(Failure::usage(
                format!("--lock-mode {mode} does not say for how long"),
                "give --lock-days too, such as --lock-days 30",
            )),
            (None, Some(days)) => Err(Failure::usage(
                format!("--lock-days {days} does not say who may end a lock earlier"),
                "give --lock-mode governance (who is allowed to) or compliance (nobody) too",
            )),
        }
    }
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A line on a terminal, else plain
    #[default]
    Auto,
    /// A line of text every 30 seconds
    Plain,
    /// An object of JSON every second
    Json,
    /// Nothing
    None,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Backup(Box<backup::Args>),
    Snapshots(snapshots::Args),
    Ls(ls::Args),
    Find(find::Args),
    #[command(alias = "dump")]
    Cat(cat::Args),
    Diff(diff::Args),
    Mount(mount::Args),
    Restore(restore::Args),
    Forget(forget::Args),
    Hold(hold::Args),
    Release(release::Args),
    Tag(tag::Args),
    Copy(Box<copy::Args>),
    #[command(aliases = ["prune", "gc"])]
    Collect(collect::Args),
    Protect(protect::Args),
    Stats(stats::Args),
    #[command(alias = "check")]
    Verify(verify::Args),
    Repair(repair::Args),
    Replicate(Box<replicate::Args>),
    Recover(recover::Args),
    Key(key::Args),
    Kit(kit::Args),
    Ledger(ledger::Args),
    Config(config::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// What `command` says in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Backup(_) => "backup",
            Self::Snapshots(_) => "snapshots",
            Self::Ls(_) => "ls",
            Self::Find(_) => "find",
            Self::Cat(_) => "cat",
            Self::Diff(_) => "diff",
            Self::Mount(_) => "mount",
            Self::Restore(_) => "restore",
            Self::Forget(_) => "forget",
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
            Self::Tag(_) => "tag",
            Self::Copy(_) => "copy",
            Self::Collect(_) => "collect",
            Self::Protect(_) => "protect",
            Self::Stats(_) => "stats",
            Self::Verify(_) => "verify",
            Self::Repair(_) => "repair",
            Self::Replicate(_) => "replicate",
            Self::Recover(_) => "recover",
            Self::Key(args) => args.name(),
            Self::Kit(args) => args.name(),
            Self::Ledger(args) => args.name(),
            Self::Config(args) => args.name(),
            Self::Bench(_) => "bench",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}
