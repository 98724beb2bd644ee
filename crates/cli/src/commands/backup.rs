//! `backup`: makes a snapshot of files and folders, or of what a program prints.
//!
//! Sources that cannot be read are named, the snapshot is made without them, and the run ends with
//! exit code 3.

mod paths;
mod stream;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use strongroom::{
    BackupOptions, BackupReport, Compression, Paranoia, Patterns, backup, backup_stream,
};

use crate::commands::init::pack_bytes;
use crate::context::{Access, Context};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Fields, Remark, Report, fields, problems, put_paths, short};
use crate::progress::Display;
use crate::sizes;
use paths::Paths;
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
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<OsString>,
    /// What the source is called [default: what this host is called in the vault]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A tag for the snapshot (again for more)
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Leave out what matches (again for more)
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// A file of patterns to leave out, one a line; ! before one takes it in again
    #[arg(long, value_name = "FILE")]
    exclude_file: Vec<PathBuf>,
    /// Do not go into other file systems
    #[arg(long)]
    one_file_system: bool,
    /// What standard input is called: its path is /NAME
    #[arg(long, value_name = "NAME")]
    stdin_name: Option<OsString>,
    /// How hard to compress
    #[arg(long, value_name = "HOW", default_value = "default")]
    compression: CompressionChoice,
    /// The size of packs, 4MiB to 512MiB [default: the vault's]
    #[arg(long, value_name = "SIZE", value_parser = sizes::parse)]
    pack_size: Option<u64>,
    /// Say what would be read, and store nothing
    #[arg(long)]
    dry_run: bool,
    /// Read all files, changed or not
    #[arg(long)]
    force: bool,
    /// Open all that was compressed again before it is stored, not only samples
    #[arg(long)]
    paranoid: bool,
}

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CompressionChoice {
    /// Not at all
    None,
    /// zstd level 1
    Fast,
    /// zstd level 3
    Default,
    /// zstd level 19
    Max,
}

/// Makes a snapshot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<BackedUp> {
    let start = context.clock.now();
    let from_stdin = standard_input(args)?;
    let patterns = patterns(args)?;
    let pack_size = args.pack_size.map(pack_bytes).transpose()?;
    check_names(args)?;
    let (paths, missing, patterns) = match &from_stdin {
        Some(_) => (Vec::new(), 0, patterns),
        None => {
            let paths = Paths::resolve(&args.paths, context)?;
            let patterns = paths.without_own(patterns, context)?;
            (paths.absolute, paths.missing, patterns)
        }
    };
    let access = if args.dry_run { Access::Read } else { Access::Append };
    let mut vault = context.open(access)?;
    let name = args.name.clone().unwrap_or_else(|| context.default_name(&vault));
    let options = BackupOptions {
        tags: args.tag.clone(),
        patterns,
        one_file_system: args.one_file_system,
        force: args.force,
        compression: compression(args.compression),
        paranoia: if args.paranoid { Paranoia::EveryFrame } else { Paranoia::Samples },
        pack_size,
        dry_run: args.dry_run,
        ..BackupOptions::new(&name, paths.clone(), start)
    };
    let display = Display::start(context, "files", None);
    let (meter, cancel) = (display.meter(), context.signals.cancel());
    let made = match &from_stdin {
        None => backup(&mut vault, &options, meter, cancel),
        Some(called) => {
            let mut input = StandardInput::new(&context.signals);
            backup_stream(&mut vault, &options, called.as_bytes(), &mut input, meter, cancel)
        }
    };
    let elapsed = meter.elapsed();
    drop(display);
    let report = made.map_err(|error| {
        // Reading standard input ends with an error of its own when a signal stops it.
        let failure = match context.check_stopped() {
            Err(stopped) => stopped,
            Ok(()) => error.into(),
        };
        failure.when_stopped("no snapshot was made; what was stored is kept for the next backup")
    })?;
    let paths = from_stdin.map_or(paths, |called| vec![[b"/", called.as_bytes()].concat()]);
    context.hear_warnings(&vault);
    let problems_most = context.output.problems_most();
    let is_rehearsal = args.dry_run;
    Ok(BackedUp { report, name, paths, missing, is_rehearsal, elapsed, problems_most })
}

/// The name of standard input, when that is the source.
fn standard_input(args: &Args) -> Result<Option<OsString>> {
    let is_stdin = args.paths.iter().any(|path| path == "-");
    match (is_stdin, &args.stdin_name) {
        (false, None) => Ok(None),
        (true, Some(_)) if args.paths.len() > 1 => Err(Failure::usage(
            "standard input and other paths do not go into one snapshot",
            "give - alone, and back the other paths up on their own",
        )),
        (true, Some(_)) if args.dry_run => Err(Failure::usage(
            "standard input is read once: there is no --dry-run of it",
            "leave --dry-run out",
        )),
        (true, Some(name)) if !is_file_name(name) => Err(Failure::usage(
            format!("--stdin-name {name:?} is not a file's name"),
            "give a name without /, such as --stdin-name db.sql",
        )),
        (true, Some(name)) => Ok(Some(name.clone())),
        (true, None) => Err(Failure::usage(
            "standard input has no name",
            "give --stdin-name NAME, such as `dump | strongroom backup - --stdin-name db.sql`",
        )),
        (false, Some(_)) => Err(Failure::usage(
            "--stdin-name names standard input, but the path is not -",
            "give - as the path, or leave --stdin-name out",
        )),
    }
}

fn is_file_name(name: &OsStr) -> bool {
    !matches!(name.as_bytes(), b"" | b"." | b"..") && !name.as_bytes().contains(&b'/')
}

fn check_names(args: &Args) -> Result<()> {
    if let Some(name) = &args.name {
        strongroom::check_label("the name", name)?;
    }
    for tag in &args.tag {
        strongroom::check_label("the tag", tag)?;
    }
    Ok(())
}

fn patterns(args: &Args) -> Result<Patterns> {
    let mut patterns = Patterns::new();
    for path in &args.exclude_file {
        let lines = std::fs::read_to_string(path).map_err(|error| Failure::local(path, &error))?;
        patterns = patterns.exclude_lines(&lines);
    }
    Ok(args.exclude.iter().fold(patterns, |all, glob| all.exclude(glob)))
}

fn compression(choice: CompressionChoice) -> Compression {
    match choice {
        CompressionChoice::None => Compression::None,
        CompressionChoice::Fast => Compression::Fast,
        CompressionChoice::Default => Compression::Default,
        CompressionChoice::Max => Compression::Max,
    }
}

/// The snapshot that was made.
pub(crate) struct BackedUp {
    report: BackupReport,
    name: String,
    paths: Vec<Vec<u8>>,
    /// How many of the paths do not exist.
    missing: u64,
    is_rehearsal: bool,
    elapsed: Duration,
    problems_most: usize,
}

impl Report for BackedUp {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let counts = &self.report.counts;
        let what = match self.report.snapshot {
            Some(id) => format!("snapshot {} of {}", short(id), self.name),
            None => format!("would make a snapshot of {}", self.name),
        };
        writeln!(
            out,
            "{what}: {} new, {} changed, {} unchanged",
            sizes::plural(counts.files_new, "file"),
            sizes::count(counts.files_changed),
            sizes::count(counts.files_unchanged),
        )?;
        if self.is_rehearsal {
            return writeln!(out, "{} in all", sizes::show(counts.bytes));
        }
        writeln!(
            out,
            "{} in all, {} read, {} new, {} stored, in {:.1} s",
            sizes::show(counts.bytes),
            sizes::show(counts.bytes_read),
            sizes::show(counts.bytes_new),
            sizes::show(counts.bytes_stored),
            self.elapsed.as_secs_f64(),
        )
    }

    fn fields(&self) -> Fields {
        let (report, counts) = (&self.report, &self.report.counts);
        let mut fields = fields(json!({
            "snapshot": report.snapshot.map(|id| id.to_string()),
            "seq": report.seq.map(|seq| seq.0),
            "base": report.base.map(|id| id.to_string()),
            "base_problem": report.base_problem,
            "dry_run": self.is_rehearsal,
            "name": self.name,
            "files_new": counts.files_new,
            "files_changed": counts.files_changed,
            "files_unchanged": counts.files_unchanged,
            "folders": counts.folders,
            "others": counts.others,
            "bytes": counts.bytes,
            "bytes_read": counts.bytes_read,
            "bytes_new": counts.bytes_new,
            "bytes_stored": counts.bytes_stored,
            "problems": problems(&report.problems),
            "problems_total": report.problems.total(),
            "seconds": self.elapsed.as_secs_f64(),
        }));
        put_paths(&mut fields, "paths", &self.paths);
        fields
    }

    fn exit(&self) -> Exit {
        match self.report.is_complete() {
            true => Exit::Done,
            false => Exit::Incomplete,
        }
    }

    fn remarks(&self) -> Vec<Remark> {
        let report = &self.report;
        let mut remarks = Vec::new();
        if let Some(problem) = &report.base_problem {
            let text = format!("the snapshot before could not be used: {problem}");
            remarks.push(Remark::new(text).hint("all files were read instead"));
        }
        remarks.extend(Remark::of_problems(&report.problems, self.problems_most));
        match report.problems.total() {
            0 => {}
            total => remarks.push(
                Remark::new(format!(
                    "incomplete: {} could not be read, or changed meanwhile",
                    sizes::plural(total, "path")
                ))
                .hint(match self.missing {
                    missing if missing == total => "check how they are spelled",
                    _ => "run it as a user who may read them, or leave them out with --exclude",
                }),
            ),
        }
        remarks
    }
}
