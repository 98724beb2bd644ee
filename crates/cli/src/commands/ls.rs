//! `ls`: what a snapshot holds, one line for each entry.
//!
//! Entries are printed as they are read, so memory does not grow with the snapshot.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};

use serde_json::{Value, json};
use strongroom::{Depth, list};

use crate::context::{Access, Context};
use crate::entry::EntryPrinter;
use crate::exit::{Failure, Result};
use crate::output::{Fields, Report, fields, show_path};
use crate::selector::Selector;
use crate::suggestion::explain_path;

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
    let printer = EntryPrinter { reader: &reader, domain: snapshot.domain };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut entries = 0;
    let path = selector.path_or_root();
    let listed = list(&reader, &snapshot, path, depth);
    for entry in listed.map_err(|error| explain_path(error, &reader, &snapshot, path))? {
        context.check_stopped()?;
        let entry = entry?;
        let line = match context.output.json {
            true => Value::Object(printer.object(&entry)?).to_string(),
            false if args.long => printer.long_line(&entry, &show_path(&entry.path))?,
            false => show_path(&entry.path),
        };
        writeln!(out, "{line}").map_err(Failure::output)?;
        entries += 1;
    }
    out.flush().map_err(Failure::output)?;
    Ok(Listed { snapshot: snapshot.id.to_string(), entries })
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
