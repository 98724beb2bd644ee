//! `restore`: brings files of a snapshot back, below one folder.
//!
//! Damage in the vault ends it with exit code 4, a target that refuses files or their metadata with
//! 3; all else is restored either way. `--to -` prints one file, as `cat` does.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use strongroom::{
    Choice, Devices, Overwrite, Owner, Patterns, Privileges, RestoreOptions, RestoreReport, restore,
};

use crate::commands::cat;
use crate::context::{Access, Context};
use crate::exit::{Exit, Failure, Result};
use crate::hooks::{HookArgs, Hooks};
use crate::output::{Fields, Remark, Report, fields, problems, show_path};
use crate::progress::Display;
use crate::selector::Selector;
use crate::sizes;
use crate::suggestion::explain_path;

/// Restores a snapshot, or a part of it, into a folder.
///
/// `restore latest --to DIR` makes DIR/srv/…, `restore latest:/srv --to DIR` puts what is inside
/// /srv into DIR, `restore latest:/srv/file --to -` prints a file. An interrupted restore goes on
/// when the command is run again. Every byte is verified; what DIR holds already is not fetched.
///
/// A GLOB without / matches names at any depth, one with / whole paths of the snapshot; ** matches
/// any number of folders, and a / at the end folders only.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot, and a path in it
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    snapshot: OsString,
    /// The folder to restore into, made when it is not there; - is standard output
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Restore only what matches (again for more)
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave out what matches (again for more)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// As --include, whatever the case of letters
    #[arg(long, value_name = "GLOB")]
    iinclude: Vec<String>,
    /// As --exclude, whatever the case of letters
    #[arg(long, value_name = "GLOB")]
    iexclude: Vec<String>,
    /// A file of patterns to restore, one a line
    #[arg(long, value_name = "FILE")]
    include_file: Vec<PathBuf>,
    /// A file of patterns to leave out, one a line; ! before one takes it in again
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// Take so many folders off the front of each path
    #[arg(long, value_name = "N", default_value_t = 0)]
    strip: usize,
    /// What to do with files that are there already
    #[arg(long, value_name = "WHICH", default_value = "never")]
    overwrite: OverwriteChoice,
    /// Compare the content of files that are there, whatever size and time say; as --overwrite
    /// always
    #[arg(long)]
    force: bool,
    /// Delete what the snapshot does not have in the restored folders; asks for --overwrite
    #[arg(long, conflicts_with = "strip")]
    delete: bool,
    /// Write what differs into the files that are there, not into new ones
    #[arg(long)]
    in_place: bool,
    /// Read everything back from the disk afterwards, and compare it
    #[arg(long)]
    verify: bool,
    /// Say what would be restored and deleted, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Whether files get their owners back; auto: when this is root
    #[arg(long, value_name = "WHETHER", default_value = "auto")]
    owner: OwnerChoice,
    /// Go by owners' numbers alone, not by their names where this system has them
    #[arg(long)]
    numeric_ids: bool,
    /// Restore setuid, setgid and capabilities too
    #[arg(long)]
    setuid: bool,
    /// Restore device files too
    #[arg(long)]
    devices: bool,
    #[command(flatten)]
    hooks: HookArgs,
}

/// What to do with files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OverwriteChoice {
    /// Refuse a folder that holds anything
    Never,
    /// Replace those of another type, size or time
    Changed,
    /// Compare all, and replace those that differ
    Always,
}

/// Whether files get their owners back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OwnerChoice {
    /// When this is root
    Auto,
    /// Yes; who may not is told
    Yes,
    /// No: they are this user's
    No,
}

/// Restores.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Box<dyn Report>> {
    let selector = Selector::parse(&args.snapshot)?;
    check(args)?;
    if args.to.as_os_str() == "-" {
        return Ok(Box::new(cat::print(&selector, context)?));
    }
    let known = fields(json!({ "target": args.to.to_string_lossy(), "dry_run": args.dry_run }));
    let hooks = Hooks::new(&args.hooks, context, "restore", &known);
    Ok(Box::new(hooks.around(context, || into_folder(args, &selector, context))?))
}

/// Refuses what makes no sense together.
fn check(args: &Args) -> Result<()> {
    let is_never = args.overwrite == OverwriteChoice::Never && !args.force;
    if args.delete && is_never {
        return Err(Failure::usage(
            "--delete changes a folder that holds files, and --overwrite is never",
            "give --overwrite changed (or always) too; --dry-run lists what would be deleted",
        ));
    }
    if args.to.as_os_str() == "-" && (args.delete || args.verify || args.dry_run) {
        return Err(Failure::usage(
            "standard output takes one file's bytes, and no --delete, --verify or --dry-run",
            "leave them out, or name a folder with --to",
        ));
    }
    Ok(())
}

fn into_folder(args: &Args, selector: &Selector, context: &Context) -> Result<Restored> {
    check_target(args, context)?;
    let patterns = patterns(args)?;
    let mut vault = context.open(Access::Read)?;
    check_key(&vault)?;
    let snapshot = selector.choose(&mut vault, context)?;
    let reader = vault.reader()?;
    let options = options(args, selector, patterns, context);
    let is_picked = options.patterns.rules().iter().any(|rule| rule.choice == Choice::Include);
    let whole = selector.path.is_none() && options.patterns.rules().is_empty();
    let total = snapshot.descriptor.as_ref().filter(|_| whole).map(|d| d.counts.bytes);
    let display = Display::start(context, "files", total);
    let restored = restore(&reader, &snapshot, &options, display.meter(), context.signals.cancel());
    let elapsed = display.meter().elapsed();
    drop(display);
    let report = restored.map_err(|error| {
        explain_path(error, &reader, &snapshot, selector.path_or_root())
            .when_stopped("what was restored is kept; the same command goes on from there")
    })?;
    Ok(Restored {
        report,
        snapshot: snapshot.id.to_string(),
        target: args.to.display().to_string(),
        is_rehearsal: args.dry_run,
        is_filtered: is_picked || args.strip > 0,
        strip: args.strip,
        elapsed,
        problems_most: context.output.problems_most(),
    })
}

/// Content is needed: a key that cannot open it is told so before anything is written.
fn check_key(vault: &strongroom::Vault) -> Result<()> {
    let epoch = vault.ledger().state().epoch();
    vault.keyring().content_secret(epoch)?;
    Ok(())
}

/// A vault must not be written over by what it holds.
fn check_target(args: &Args, context: &Context) -> Result<()> {
    let Some(vault) = context.vault_folder() else { return Ok(()) };
    // The part of the path that exists already says where the rest will be.
    let real = args.to.ancestors().find_map(|folder| match folder.as_os_str().is_empty() {
        true => Path::new(".").canonicalize().ok(),
        false => folder.canonicalize().ok(),
    });
    match real.filter(|real| real.starts_with(&vault)) {
        None => Ok(()),
        Some(_) => Err(Failure::usage(
            format!("{} is in the vault's own folder", show_path(args.to.as_os_str().as_bytes())),
            "name a folder outside of it with --to",
        )),
    }
}

/// What to restore and what not: of two patterns that match, an exclude decides.
fn patterns(args: &Args) -> Result<Patterns> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| Failure::local(path, &error))
    };
    let mut all = Patterns::new();
    for path in &args.include_file {
        all = all.include_lines(&read(path)?);
    }
    let all = args.include.iter().fold(all, |all, glob| all.include(glob));
    let mut all = args.iinclude.iter().fold(all, |all, glob| all.include_any_case(glob));
    for path in &args.exclude_file {
        all = all.exclude_lines(&read(path)?);
    }
    let all = args.exclude.iter().fold(all, |all, glob| all.exclude(glob));
    Ok(args.iexclude.iter().fold(all, |all, glob| all.exclude_any_case(glob)))
}

fn options(
    args: &Args,
    selector: &Selector,
    patterns: Patterns,
    context: &Context,
) -> RestoreOptions {
    RestoreOptions {
        path: selector.path_or_root().to_vec(),
        patterns,
        overwrite: match args.overwrite {
            _ if args.force => Overwrite::Always,
            OverwriteChoice::Never => Overwrite::Never,
            OverwriteChoice::Changed => Overwrite::Changed,
            OverwriteChoice::Always => Overwrite::Always,
        },
        privileges: match args.setuid {
            true => Privileges::Keep,
            false => Privileges::Mask,
        },
        devices: match args.devices {
            true => Devices::Make,
            false => Devices::Skip,
        },
        owner: match args.owner {
            OwnerChoice::Auto => Owner::Auto,
            OwnerChoice::Yes => Owner::Yes,
            OwnerChoice::No => Owner::No,
        },
        numeric_ids: args.numeric_ids,
        strip: args.strip,
        delete: args.delete,
        protected: context.own_paths(),
        in_place: args.in_place,
        verify: args.verify,
        dry_run: args.dry_run,
        ..RestoreOptions::new(&args.to)
    }
}

/// What was restored.
pub(crate) struct Restored {
    report: RestoreReport,
    snapshot: String,
    target: String,
    is_rehearsal: bool,
    /// Whether only what matches was asked for.
    is_filtered: bool,
    strip: usize,
    elapsed: Duration,
    problems_most: usize,
}

impl Report for Restored {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let counts = &self.report.counts;
        let kept = match counts.files_kept {
            0 => String::new(),
            kept => format!(", {} there already", sizes::count(kept)),
        };
        let links = match counts.links {
            0 => String::new(),
            links => format!(", {}", sizes::plural(links, "hard link")),
        };
        let (verb, time) = match self.is_rehearsal {
            true => ("would restore", String::new()),
            false => ("restored", format!(" in {:.1} s", self.elapsed.as_secs_f64())),
        };
        writeln!(
            out,
            "{verb} {} ({}){kept}{links}, {} to {}{time}",
            sizes::plural(counts.files, "file"),
            sizes::show(counts.bytes),
            sizes::plural(counts.folders, "folder"),
            self.target,
        )?;
        self.write_deletions(out)?;
        match counts.verified {
            0 => Ok(()),
            verified => writeln!(out, "read back {}", sizes::plural(verified, "file")),
        }
    }

    fn fields(&self) -> Fields {
        let counts = &self.report.counts;
        fields(json!({
            "snapshot": self.snapshot,
            "target": self.target,
            "dry_run": self.is_rehearsal,
            "files": counts.files,
            "files_kept": counts.files_kept,
            "links": counts.links,
            "folders": counts.folders,
            "others": counts.others,
            "bytes": counts.bytes,
            "bytes_reused": counts.bytes_reused,
            "deleted": problems(&self.report.deleted),
            "deleted_total": counts.deleted,
            "verified": counts.verified,
            "unequal": problems(&self.report.unequal),
            "unequal_total": self.report.unequal.total(),
            "owners_skipped": counts.owners_skipped,
            "privileges_masked": counts.privileges_masked,
            "devices_skipped": counts.devices_skipped,
            "damaged": problems(&self.report.damaged),
            "damaged_total": self.report.damaged.total(),
            "skipped": problems(&self.report.skipped),
            "skipped_total": self.report.skipped.total(),
            "metadata": problems(&self.report.metadata),
            "metadata_total": self.report.metadata.total(),
            "seconds": self.elapsed.as_secs_f64(),
        }))
    }

    fn exit(&self) -> Exit {
        let RestoreReport { damaged, skipped, metadata, unequal, .. } = &self.report;
        if !damaged.is_empty() || !unequal.is_empty() {
            Exit::Tampered
        } else if !skipped.is_empty() || !metadata.is_empty() {
            Exit::Incomplete
        } else {
            Exit::Done
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let RestoreReport { counts, damaged, skipped, metadata, unequal, .. } = &self.report;
        let mut remarks = Vec::new();
        for problems in [damaged, unequal, skipped, metadata] {
            remarks.extend(Remark::of_problems(problems, self.problems_most));
        }
        let mut say = |count: u64, what: &str, hint: &str| {
            if count > 0 {
                let text = format!("{} {what}", sizes::plural(count, "path"));
                remarks.push(Remark::new(text).hint(hint));
            }
        };
        say(
            damaged.total(),
            "not restored: damaged in the vault",
            "`strongroom verify --data` lists all that is hurt; an older snapshot may hold them",
        );
        say(
            unequal.total(),
            "read back otherwise than they were written",
            "check the disk, then run it again with --overwrite always",
        );
        say(
            skipped.total(),
            "not restored or deleted: the target refuses",
            "make room for them there, or give --overwrite changed (or always)",
        );
        say(
            metadata.total(),
            "restored without all of their metadata",
            "run it as root on a file system that keeps owners and attributes, or give --owner no",
        );
        say(counts.owners_skipped, "kept this user as owner", "run it as root to restore owners");
        say(
            counts.privileges_masked,
            "lost setuid, setgid or capabilities",
            "give --setuid to restore them, as root where they belong to others",
        );
        say(counts.devices_skipped, "left out: device files", "give --devices to restore them");
        let all = counts.files + counts.files_kept + counts.links + counts.others;
        if self.is_filtered && all + counts.folders == 0 && remarks.is_empty() {
            remarks.push(Remark::new("no file matches").hint(match self.strip {
                0 => GLOB_HINT,
                _ => "--strip N leaves out paths of up to N names",
            }));
        }
        remarks
    }
}

const GLOB_HINT: &str =
    "a GLOB without / matches names, one with / whole paths as `strongroom ls` shows";

impl Restored {
    /// What was deleted; a rehearsal names it.
    fn write_deletions(&self, out: &mut dyn Write) -> io::Result<()> {
        let deleted = &self.report.deleted;
        let verb = if self.is_rehearsal { "would delete" } else { "deleted" };
        let most = if self.is_rehearsal { usize::MAX } else { self.problems_most };
        for problem in deleted.named().iter().take(most) {
            writeln!(out, "{verb} {}", show_path(&problem.path))?;
        }
        let shown = deleted.named().len().min(most) as u64;
        if deleted.total() > shown {
            writeln!(out, "{verb} {} more", sizes::count(deleted.total() - shown))?;
        }
        match self.report.counts.deleted {
            0 => Ok(()),
            all => writeln!(out, "{verb} {} in all", sizes::plural(all, "path")),
        }
    }
}
