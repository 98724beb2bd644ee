//! `find`: where a file is, in all snapshots or some.
//!
//! Matches are printed as they are found, each as a selector that `cat`, `ls` and `restore` take.
//! What snapshots share is looked at once. A snapshot that cannot be searched is named, and the
//! others are searched.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, BufWriter, StdoutLock, Write};

use clap::ValueEnum;
use serde_json::{Value, json};
use strongroom::{
    Case, EntryKind, ListedEntry, Query, Search, SizeBound, Snapshot, SnapshotContent,
    SnapshotStanding, Timestamp, Vault,
};

use crate::commands::snapshots::DAMAGED_HINT;
use crate::context::{Access, Context};
use crate::entry::EntryPrinter;
use crate::exit::{Exit, Failure, Result};
use crate::filter::Filter;
use crate::output::{Fields, Report, fields, short, show_path};
use crate::selector::Selector;
use crate::sizes;
use crate::time;

/// Finds files by name in all snapshots, the newest first.
///
/// A PATTERN without / matches names, one with / whole paths, which may begin anywhere unless it
/// begins with /; it has *, **, ?, [a-z] and {a,b}, and a / at its end makes it match folders only.
/// Each line is a selector for `ls`, `cat` and `restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to look for
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<String>,
    /// Only this snapshot (again for more)
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["name", "tag", "path"])]
    snapshot: Vec<OsString>,
    #[command(flatten)]
    filter: Filter,
    /// Match letters in either case
    #[arg(long, short)]
    ignore_case: bool,
    /// Only entries of this type (again for more)
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<TypeChoice>,
    /// Only files larger than +SIZE, smaller than -SIZE, or of just SIZE (again for both bounds)
    #[arg(long, value_name = "[+-]SIZE", allow_hyphen_values = true, value_parser = parse_size)]
    size: Vec<SizeBound>,
    /// Only what was modified then or later
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    newer: Option<Timestamp>,
    /// Only what was modified before
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    older: Option<Timestamp>,
    /// Each path once, from the newest snapshot that holds it
    #[arg(long, conflicts_with = "oldest")]
    newest: bool,
    /// Each path once, from the oldest snapshot that holds it
    #[arg(long)]
    oldest: bool,
    /// Show type, mode, owner, size and time
    #[arg(short = 'l', long)]
    long: bool,
}

/// The types of entries.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypeChoice {
    /// Files
    F,
    /// Folders
    D,
    /// Symbolic links
    L,
    /// Pipes
    P,
    /// Sockets
    S,
    /// Character devices
    C,
    /// Block devices
    B,
}

impl TypeChoice {
    fn kind(self) -> EntryKind {
        match self {
            Self::F => EntryKind::File,
            Self::D => EntryKind::Folder,
            Self::L => EntryKind::Symlink,
            Self::P => EntryKind::Fifo,
            Self::S => EntryKind::Socket,
            Self::C => EntryKind::CharDevice,
            Self::B => EntryKind::BlockDevice,
        }
    }
}

fn parse_size(text: &str) -> Result<SizeBound, String> {
    match text.strip_prefix(['+', '-']) {
        Some(size) if text.starts_with('+') => sizes::parse(size).map(SizeBound::Above),
        Some(size) => sizes::parse(size).map(SizeBound::Below),
        None => sizes::parse(text).map(SizeBound::Exactly),
    }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    let millis = time::parse_start(text)?.as_millis();
    let nanos = millis.rem_euclid(1000) as u32 * 1_000_000;
    Ok(Timestamp { seconds: millis.div_euclid(1000), nanos })
}

/// Looks for it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Found> {
    args.filter.check()?;
    let selectors = args.snapshot.iter().map(|s| Selector::parse(s));
    let selectors: Vec<_> = selectors.collect::<Result<_>>()?;
    if let Some(typed) = selectors.iter().zip(&args.snapshot).find(|(s, _)| s.path.is_some()) {
        let message = format!("--snapshot {} names a path", typed.1.display());
        return Err(Failure::usage(message, "put the path before the pattern: /srv/**/NAME"));
    }
    let mut vault = context.open(Access::Read)?;
    let mut snapshots = choose(args, &selectors, &mut vault, context)?;
    snapshots.sort_by_key(|snapshot| snapshot.seq);
    if !args.oldest {
        snapshots.reverse();
    }
    let query = Query {
        patterns: args.patterns.clone(),
        case: if args.ignore_case { Case::Either } else { Case::Exact },
        types: args.types.iter().map(|choice| choice.kind()).collect(),
        sizes: args.size.clone(),
        since: args.newer,
        before: args.older,
    };
    let reader = vault.reader()?;
    let mut search = Search::new(&reader, &query)?;
    let mut told = Told {
        out: BufWriter::new(io::stdout().lock()),
        once: (args.newest || args.oldest).then(HashSet::new),
        is_long: args.long,
        found: Found::default(),
    };
    for snapshot in &snapshots {
        context.check_stopped()?;
        told.found.searched += 1;
        let printer = EntryPrinter { reader: &reader, domain: snapshot.domain };
        let before = told.found.matches;
        let searched = search.search(snapshot, context.signals.cancel(), |listed| {
            told.tell(snapshot, listed, &printer, context)
        });
        told.found.holding += u64::from(told.found.matches > before);
        searched.or_else(|failure| pass_over(snapshot, failure, context))?;
    }
    told.out.flush().map_err(Failure::output)?;
    let found = told.found;
    context.output.note(&format!(
        "{} in {} of {}",
        sizes::plural_of(found.matches, "match", "matches"),
        sizes::count(found.holding),
        sizes::plural(found.searched, "snapshot"),
    ));
    Ok(found)
}

/// The snapshots to search: those that were named, or all that pass and can be read.
fn choose(
    args: &Args,
    selectors: &[Selector],
    vault: &mut Vault,
    context: &Context,
) -> Result<Vec<Snapshot>> {
    if !selectors.is_empty() {
        let chosen = selectors.iter().map(|selector| selector.choose(vault, context));
        let mut chosen: Vec<_> = chosen.collect::<Result<_>>()?;
        let mut seen = HashSet::new();
        chosen.retain(|snapshot| seen.insert(snapshot.id));
        return Ok(chosen);
    }
    let snapshots = vault.snapshots()?;
    context.hear_warnings(vault);
    let (known, unknown): (Vec<_>, Vec<_>) =
        snapshots.into_iter().partition(|snapshot| snapshot.descriptor.is_some());
    let mut closed = 0;
    for snapshot in &unknown {
        match &snapshot.problem {
            Some(problem) => {
                let text = format!("snapshot {} is damaged: {problem}", short(snapshot.id));
                context.output.warning_with_hint(&text, DAMAGED_HINT);
                context.note_exit(Exit::Tampered);
            }
            None => closed += 1,
        }
    }
    if closed > 0 && known.is_empty() {
        let text = format!("this key cannot look into any of {closed} snapshots");
        let hint = "use a key that may list them: a browser's, a reader's or the owner's";
        return Err(Failure::denied(text, hint));
    }
    if closed > 0 {
        context.output.warning(&format!("this key cannot look into {closed} other snapshots"));
    }
    let mut chosen = args.filter.choose(&known)?;
    chosen.retain(|snapshot| {
        let content = snapshot.descriptor.as_ref().map(|descriptor| descriptor.content);
        content == Some(SnapshotContent::Files)
    });
    Ok(chosen)
}

/// What concerns one snapshot is said and does not keep the others from being searched.
fn pass_over(snapshot: &Snapshot, failure: Failure, context: &Context) -> Result<()> {
    if failure.exit != Exit::Tampered && failure.kind != "not-found" {
        return Err(failure);
    }
    let text = format!("snapshot {}: {}", short(snapshot.id), failure.message);
    context.output.warning_with_hint(&text, &failure.hint);
    context.note_exit(failure.exit);
    Ok(())
}

/// What was printed so far.
struct Told {
    out: BufWriter<StdoutLock<'static>>,
    /// Sources and paths that were told, when each is told once.
    once: Option<HashSet<(String, Vec<u8>)>>,
    is_long: bool,
    found: Found,
}

impl Told {
    fn tell(
        &mut self,
        snapshot: &Snapshot,
        listed: &ListedEntry,
        printer: &EntryPrinter<'_>,
        context: &Context,
    ) -> Result<()> {
        context.check_stopped()?;
        let name = snapshot.descriptor.as_ref().map_or("", |descriptor| &descriptor.name);
        if let Some(once) = &mut self.once
            && !once.insert((name.to_owned(), listed.path.clone()))
        {
            return Ok(());
        }
        self.found.matches += 1;
        let line = if context.output.json {
            let mut object = printer.object(listed)?;
            object.insert("snapshot".to_owned(), snapshot.id.to_string().into());
            object.insert("time".to_owned(), time::show_exact(snapshot.claimed).into());
            object.insert("name".to_owned(), name.into());
            let is_trashed = snapshot.standing == SnapshotStanding::Trashed;
            object.insert("trashed".to_owned(), is_trashed.into());
            Value::Object(object).to_string()
        } else {
            let shown = format!("{}:{}", short(snapshot.id), show_path(&listed.path));
            match self.is_long {
                true => printer.long_line(listed, &shown)?,
                false => shown,
            }
        };
        writeln!(self.out, "{line}").map_err(Failure::output)
    }
}

/// How much was found.
#[derive(Clone, Copy, Default)]
pub(crate) struct Found {
    matches: u64,
    holding: u64,
    searched: u64,
}

impl Report for Found {
    /// All was printed already.
    fn write_text(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn fields(&self) -> Fields {
        fields(json!({
            "matches": self.matches,
            "snapshots_holding": self.holding,
            "snapshots_searched": self.searched,
        }))
    }
}
