//! `ls`: what a snapshot holds, one line for each entry.
//!
//! Entries are printed as they are read, so memory does not grow with the snapshot.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};

use serde_json::{Value, json};
use strongroom::{Depth, EntryKind, ListedEntry, Reader, Snapshot, list, read_extra};

use crate::context::{Access, Context};
use crate::exit::{Failure, Result};
use crate::output::{Fields, Report, fields, put_path, show_path};
use crate::selector::Selector;
use crate::time;

/// Lists what a snapshot holds.
///
/// Without a path that is its root. A snapshot is latest, latest:NAME, NAME@TIME, @TIME or the
/// first digits of its id; then :/PATH if you like. A TIME such as 2026-11-22 or 2026-11-22T10:00
/// is in UTC.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot, and a path in it
    #[arg(value_name = "SNAPSHOT[:/PATH]")]
    snapshot: OsString,
    /// Show type, mode, owner, size and time
    #[arg(short = 'l', long)]
    long: bool,
    /// List all that lies below
    #[arg(short = 'R', long)]
    recursive: bool,
}

/// Lists entries.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Listed> {
    let selector = Selector::parse(&args.snapshot)?;
    let mut vault = context.open(Access::Read)?;
    let snapshot = selector.choose(&mut vault, context)?;
    let reader = vault.reader()?;
    let depth = if args.recursive { Depth::Subtree } else { Depth::Folder };
    let printer = Printer { reader: &reader, snapshot: &snapshot, is_long: args.long };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut entries = 0;
    for entry in list(&reader, &snapshot, selector.path_or_root(), depth)? {
        context.check_stopped()?;
        let entry = entry?;
        let line = match context.output.json {
            true => Value::Object(printer.object(&entry)?).to_string(),
            false => printer.line(&entry)?,
        };
        writeln!(out, "{line}").map_err(Failure::output)?;
        entries += 1;
    }
    out.flush().map_err(Failure::output)?;
    Ok(Listed { snapshot: snapshot.id.to_string(), entries })
}

struct Printer<'a> {
    reader: &'a Reader,
    snapshot: &'a Snapshot,
    is_long: bool,
}

impl Printer<'_> {
    fn line(&self, listed: &ListedEntry) -> Result<String> {
        let ListedEntry { path, entry, .. } = listed;
        let shown = show_path(path);
        if !self.is_long {
            return Ok(shown);
        }
        let owner = |name: &[u8], id: u32| match name {
            [] => id.to_string(),
            name => show_path(name),
        };
        let target = match self.target(listed)? {
            Some(target) => format!(" -> {}", show_path(&target)),
            None => String::new(),
        };
        Ok(format!(
            "{}{} {:8} {:8} {:>12} {} {shown}{target}",
            letter(entry.kind),
            permissions(entry.mode),
            owner(&entry.user, entry.uid),
            owner(&entry.group, entry.gid),
            entry.size,
            time::show_file(entry.mtime),
        ))
    }

    fn object(&self, listed: &ListedEntry) -> Result<Fields> {
        let ListedEntry { path, entry, .. } = listed;
        let mut object = fields(json!({
            "type": kind(entry.kind),
            "mode": format!("{:04o}", entry.mode),
            "uid": entry.uid,
            "gid": entry.gid,
            "user": String::from_utf8_lossy(&entry.user),
            "group": String::from_utf8_lossy(&entry.group),
            "size": entry.size,
            "mtime": time::show_file_exact(entry.mtime),
        }));
        put_path(&mut object, "path", path);
        if let Some(target) = self.target(listed)? {
            put_path(&mut object, "target", &target);
        }
        Ok(object)
    }

    fn target(&self, listed: &ListedEntry) -> Result<Option<Vec<u8>>> {
        if listed.entry.kind != EntryKind::Symlink {
            return Ok(None);
        }
        let domain = self.snapshot.domain;
        let extra = read_extra(self.reader, domain, &listed.path, &listed.entry)?;
        Ok(Some(extra.target))
    }
}

fn letter(kind: EntryKind) -> char {
    match kind {
        EntryKind::File => '-',
        EntryKind::Folder => 'd',
        EntryKind::Symlink => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::Socket => 's',
        EntryKind::CharDevice => 'c',
        EntryKind::BlockDevice => 'b',
    }
}

fn kind(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Folder => "folder",
        EntryKind::Symlink => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
        EntryKind::CharDevice => "char-device",
        EntryKind::BlockDevice => "block-device",
    }
}

/// The nine letters of `ls -l`.
fn permissions(mode: u16) -> String {
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    let mut text = String::with_capacity(9);
    for (index, (bit, with, without)) in special.into_iter().enumerate() {
        let three = mode >> (6 - 3 * index);
        let may_run = three & 1 != 0;
        text.push(if three & 4 != 0 { 'r' } else { '-' });
        text.push(if three & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & bit != 0, may_run) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// What was listed.
pub(crate) struct Listed {
    snapshot: String,
    entries: u64,
}

impl Report for Listed {
    /// All was printed already.
    fn write_text(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn fields(&self) -> Fields {
        fields(json!({ "snapshot": self.snapshot, "entries": self.entries }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_shown_as_ls_does() {
        for (mode, text) in [
            (0o755, "rwxr-xr-x"),
            (0o4755, "rwsr-xr-x"),
            (0o6644, "rwSr-Sr--"),
            (0o1777, "rwxrwxrwt"),
            (0o1776, "rwxrwxrwT"),
            (0, "---------"),
        ] {
            assert_eq!(permissions(mode), text);
        }
    }
}
