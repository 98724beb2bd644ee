//! `restore`: brings files of a snapshot back, below one folder.
//!
//! Damage in the vault ends it with exit code 4, a target that refuses files with 3; all else is
//! restored either way.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use strongroom::{
    Devices, Overwrite, Patterns, Privileges, RestoreOptions, RestoreReport, restore,
};

use crate::context::{Access, Context};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Fields, Remark, Report, fields, problems, show_path};
use crate::progress::Display;
use crate::selector::Selector;
use crate::sizes;
use crate::suggestion::explain_path;

/// Restores a snapshot, or a part of it, into a folder.
///
/// `restore latest --to DIR` makes DIR/srv/…, `restore latest:/srv --to DIR` puts what is inside
/// /srv into DIR. An interrupted restore goes on when the command is run again. Every byte is
/// verified.
///
/// A GLOB without / matches names at any depth, one with / whole paths of the snapshot; ** matches
/// any number of folders, and a / at the end folders only.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot, and a path in it
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    snapshot: OsString,
    /// The folder to restore into; it is made when it is not there
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Restore only what matches (again for more)
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave out what matches (again for more)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// What to do with files that are there already
    #[arg(long, value_name = "WHICH", default_value = "never")]
    overwrite: OverwriteChoice,
    /// Say what would be restored, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Restore setuid, setgid and capabilities too
    #[arg(long)]
    setuid: bool,
    /// Restore device files too
    #[arg(long)]
    devices: bool,
}

/// What to do with files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OverwriteChoice {
    /// Refuse a folder that holds anything
    Never,
    /// Replace those of another type, size or time
    Changed,
    /// Replace all
    Always,
}

/// Restores.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Restored> {
    let selector = Selector::parse(&args.snapshot)?;
    check_target(args, context)?;
    let mut vault = context.open(Access::Read)?;
    check_key(&vault)?;
    let snapshot = selector.choose(&mut vault, context)?;
    let reader = vault.reader()?;
    let options = options(args, &selector);
    let whole = selector.path.is_none() && args.include.is_empty() && args.exclude.is_empty();
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
        is_filtered: !args.include.is_empty(),
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

fn options(args: &Args, selector: &Selector) -> RestoreOptions {
    let patterns = args.include.iter().fold(Patterns::new(), |all, glob| all.include(glob));
    let patterns = args.exclude.iter().fold(patterns, |all, glob| all.exclude(glob));
    RestoreOptions {
        path: selector.path_or_root().to_vec(),
        patterns,
        overwrite: match args.overwrite {
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
        )
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
        if !self.report.damaged.is_empty() {
            Exit::Tampered
        } else if !self.report.skipped.is_empty() {
            Exit::Incomplete
        } else {
            Exit::Done
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let RestoreReport { counts, damaged, skipped, metadata } = &self.report;
        let mut remarks = Vec::new();
        for problems in [damaged, skipped, metadata] {
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
            skipped.total(),
            "not restored: the target refuses them",
            "make room for them there, or give --overwrite changed (or always)",
        );
        say(counts.owners_skipped, "kept this user as owner", "run it as root to restore owners");
        say(
            counts.privileges_masked,
            "lost setuid, setgid or capabilities",
            "give --setuid to restore them, as root where they belong to others",
        );
        say(counts.devices_skipped, "left out: device files", "give --devices to restore them");
        let is_nothing = counts.files + counts.files_kept + counts.links + counts.others == 0;
        if self.is_filtered && is_nothing && remarks.is_empty() {
            remarks.push(Remark::new("no file matches").hint(
                "a GLOB without / matches names, one with / whole paths as `strongroom ls` shows",
            ));
        }
        remarks
    }
}
