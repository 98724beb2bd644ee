//! `diff`: what changed from one snapshot to another, one line for each entry.
//!
//! Lines are printed as differences are found; what both snapshots share is not read. The letters
//! are those that other backup programs use: + - M for content, m for metadata only, T for type,
//! and R for a file that only changed its place.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};
use strongroom::{
    Change, ChangeKind, Comparison, EntryKind, FileEntry, MOVES_LOOKED_AT_MAX, Moves, comparison,
    diff,
};

use crate::context::{Access, Context};
use crate::entry::entry_value;
use crate::exit::{Failure, Result};
use crate::output::{Fields, Report, fields, put_path, show_path};
use crate::selector::Selector;
use crate::sizes;
use crate::suggestion::explain_path;
use crate::table::{Align, Table};

/// Shows what changed from one snapshot to another.
///
/// A line begins with + for what is new, - for what is gone, M for changed content, m for changed
/// metadata alone, T for another type, R for a file that only changed its place. Snapshots of
/// different domains share no names: there, files are compared by size and time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first snapshot, and a path to look below
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    before: OsString,
    /// The second snapshot
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    after: OsString,
    /// Look only at what lies at and below this path
    #[arg(value_name = ":/PATH")]
    path: Option<OsString>,
    /// Print only how much changed
    #[arg(long)]
    stat: bool,
    /// Tell files that only changed their place (by content, so not empty ones)
    #[arg(long)]
    renames: bool,
    /// Show folders of which only the time changed, as each change below one changes it
    #[arg(long)]
    folder_times: bool,
}

/// Compares.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Compared> {
    let [before, after] = [Selector::parse(&args.before)?, Selector::parse(&args.after)?];
    let under = common_path(&before, &after, args)?;
    let mut vault = context.open(Access::Read)?;
    let before = before.choose(&mut vault, context)?;
    let after = after.choose(&mut vault, context)?;
    let reader = vault.reader()?;
    let differences = || {
        diff(&reader, &before, &after, &under)
            .map_err(|error| explain_path(error, &reader, &after, &under))
    };
    if comparison(&before, &after) == Comparison::SizeAndTime {
        let text = "the snapshots are of different domains: files are compared by size and time";
        context.output.note(text);
    }
    let mut moves = match args.renames {
        true => Moves::find(differences()?)?,
        false => Moves::default(),
    };
    if moves.is_cut {
        let most = sizes::count(MOVES_LOOKED_AT_MAX as u64);
        context.output.warning(&format!("only the first {most} files were looked at for moves"));
    }
    let ids = [before.id.to_string(), after.id.to_string()];
    let mut compared = Compared { ids, is_table: args.stat, counts: Default::default() };
    let mut out = BufWriter::new(io::stdout().lock());
    for change in differences()? {
        context.check_stopped()?;
        let Some(change) = moves.tell(change?) else { continue };
        if !args.folder_times && is_folder_time(&change) {
            continue;
        }
        compared.count(&change);
        if args.stat {
            continue;
        }
        let line = match context.output.json {
            true => Value::Object(object(&change)).to_string(),
            false => line(&change),
        };
        writeln!(out, "{line}").map_err(Failure::output)?;
    }
    out.flush().map_err(Failure::output)?;
    Ok(compared)
}

/// The one path that was named, or the root.
fn common_path(before: &Selector, after: &Selector, args: &Args) -> Result<Vec<u8>> {
    let third = args.path.as_ref().map(|path| {
        let path = path.as_bytes();
        path.strip_prefix(b":").unwrap_or(path).to_vec()
    });
    if let Some(path) = third.as_ref().filter(|path| !path.starts_with(b"/")) {
        let message = format!("{} is no path in a snapshot", show_path(path));
        return Err(Failure::usage(message, "write :/PATH, such as :/srv/data"));
    }
    let mut named = [before.path.clone(), after.path.clone(), third].into_iter().flatten();
    let path = named.next().unwrap_or_else(|| b"/".to_vec());
    match named.find(|other| *other != path) {
        None => Ok(path),
        Some(other) => {
            let (path, other) = (show_path(&path), show_path(&other));
            let message = format!("{path} and {other} are different paths");
            Err(Failure::usage(message, "name one path: it is compared in both snapshots"))
        }
    }
}

/// Whether it only says that something was added to a folder or removed from it.
fn is_folder_time(change: &Change) -> bool {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return false };
    let bare = |e: &FileEntry| (e.mode, e.uid, e.gid, e.user.clone(), e.group.clone());
    change.kind == ChangeKind::Metadata
        && after.kind == EntryKind::Folder
        && before.mtime != after.mtime
        && bare(before) == bare(after)
        && before.extra == after.extra
}

fn line(change: &Change) -> String {
    let entry = change.after.as_ref().or(change.before.as_ref());
    let slash = match entry.is_some_and(|entry| entry.kind == EntryKind::Folder) {
        true if change.path != b"/" => "/",
        _ => "",
    };
    let path = show_path(&change.path);
    match &change.kind {
        ChangeKind::Moved { from } => format!("R {} -> {path}", show_path(from)),
        kind => format!("{} {path}{slash}", letter(kind)),
    }
}

fn letter(kind: &ChangeKind) -> char {
    match kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Content => 'M',
        ChangeKind::Metadata => 'm',
        ChangeKind::Type => 'T',
        ChangeKind::Moved { .. } => 'R',
    }
}

fn object(change: &Change) -> Fields {
    let mut object = fields(json!({
        "change": WORDS[index(&change.kind)],
        "before": entry_value(change.before.as_ref()),
        "after": entry_value(change.after.as_ref()),
    }));
    put_path(&mut object, "path", &change.path);
    if let ChangeKind::Moved { from } = &change.kind {
        put_path(&mut object, "from", from);
    }
    object
}

const WORDS: [&str; 6] = ["added", "removed", "content", "metadata", "type", "moved"];

fn index(kind: &ChangeKind) -> usize {
    match kind {
        ChangeKind::Added => 0,
        ChangeKind::Removed => 1,
        ChangeKind::Content => 2,
        ChangeKind::Metadata => 3,
        ChangeKind::Type => 4,
        ChangeKind::Moved { .. } => 5,
    }
}

/// How much changed in one way.
#[derive(Clone, Copy, Default)]
struct Count {
    files: u64,
    folders: u64,
    others: u64,
    /// Of files, before and after.
    bytes_before: u64,
    bytes_after: u64,
}

impl Count {
    fn entries(&self) -> u64 {
        self.files + self.folders + self.others
    }
}

/// What was compared, and how much of it changed.
pub(crate) struct Compared {
    ids: [String; 2],
    is_table: bool,
    counts: [Count; 6],
}

impl Compared {
    fn count(&mut self, change: &Change) {
        let count = &mut self.counts[index(&change.kind)];
        let entry = change.after.as_ref().or(change.before.as_ref());
        match entry.map(|entry| entry.kind) {
            Some(EntryKind::File) => count.files += 1,
            Some(EntryKind::Folder) => count.folders += 1,
            _ => count.others += 1,
        }
        let bytes = |entry: &Option<FileEntry>| {
            let file = entry.as_ref().filter(|entry| entry.kind == EntryKind::File);
            file.map_or(0, |entry| entry.size)
        };
        count.bytes_before += bytes(&change.before);
        count.bytes_after += bytes(&change.after);
    }

    fn write_line(&self, out: &mut dyn Write) -> io::Result<()> {
        let [added, removed, content, metadata, types, moved] = &self.counts;
        if self.counts.iter().all(|count| count.entries() == 0) {
            return writeln!(out, "no differences");
        }
        let mut line = format!(
            "{} added ({}), {} removed ({}), {} changed ({} to {}), {} changed in metadata alone",
            sizes::count(added.entries()),
            sizes::show(added.bytes_after),
            sizes::count(removed.entries()),
            sizes::show(removed.bytes_before),
            sizes::count(content.entries()),
            sizes::show(content.bytes_before),
            sizes::show(content.bytes_after),
            sizes::count(metadata.entries()),
        );
        for (count, text) in [(types, "of another type"), (moved, "moved")] {
            if count.entries() > 0 {
                line += &format!(", {} {text}", sizes::count(count.entries()));
            }
        }
        writeln!(out, "{line}")
    }
}

impl Report for Compared {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if !self.is_table {
            return self.write_line(out);
        }
        let right = |name| (name, Align::Right);
        let mut table = Table::new(&[
            ("", Align::Left),
            right("FILES"),
            right("FOLDERS"),
            right("OTHERS"),
            right("BEFORE"),
            right("AFTER"),
        ]);
        for (word, count) in WORDS.iter().zip(&self.counts) {
            table.row([
                (*word).to_owned(),
                sizes::count(count.files),
                sizes::count(count.folders),
                sizes::count(count.others),
                sizes::show(count.bytes_before),
                sizes::show(count.bytes_after),
            ]);
        }
        table.write(out)
    }

    fn is_answer(&self) -> bool {
        self.is_table
    }

    fn fields(&self) -> Fields {
        let mut object = fields(json!({ "before": self.ids[0], "after": self.ids[1] }));
        for (word, count) in WORDS.iter().zip(&self.counts) {
            let Count { files, folders, others, bytes_before, bytes_after } = count;
            let value = json!({ "files": files, "folders": folders, "others": others,
                "bytes_before": bytes_before, "bytes_after": bytes_after });
            object.insert((*word).to_owned(), value);
        }
        object
    }
}
