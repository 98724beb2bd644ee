//! `cat`: a file's bytes, as they were, on standard output.
//!
//! Nothing else goes there, so that they can be piped on.

use std::ffi::OsString;
use std::io::{self, Write};

use strongroom::open_file;

use crate::context::{Access, Context};
use crate::exit::{Failure, Result};
use crate::output::{Fields, Report};
use crate::selector::Selector;
use crate::suggestion::explain_path;

/// Prints a file of a snapshot.
///
/// It goes to standard output; every byte is verified before it is printed. With --json only errors
/// are JSON.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot, and the file in it
    #[arg(value_name = "SNAPSHOT:/PATH")]
    file: OsString,
}

/// Prints a file.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Printed> {
    let selector = Selector::parse(&args.file)?;
    print(&selector, context)
}

/// Prints the file that is selected.
pub(crate) fn print(selector: &Selector, context: &Context) -> Result<Printed> {
    let Some(path) = &selector.path else {
        let message = format!("{selector} names no file");
        return Err(Failure::usage(message, "write SNAPSHOT:/PATH, such as latest:/etc/hosts"));
    };
    let mut vault = context.open(Access::Read)?;
    let snapshot = selector.choose(&mut vault, context)?;
    let reader = vault.reader()?;
    let mut file = open_file(&reader, &snapshot, path)
        .map_err(|error| explain_path(error, &reader, &snapshot, path))?;
    let mut out = io::stdout().lock();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut offset = 0;
    loop {
        context.check_stopped()?;
        let count = file.read_at(offset, &mut buffer)?;
        if count == 0 {
            break;
        }
        out.write_all(&buffer[..count]).map_err(Failure::output)?;
        offset += count as u64;
    }
    out.flush().map_err(Failure::output)?;
    Ok(Printed)
}

const BUFFER_BYTES: usize = 1 << 20;

/// A file was printed, and nothing else is.
pub(crate) struct Printed;

impl Report for Printed {
    fn write_text(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn fields(&self) -> Fields {
        Fields::new()
    }

    fn is_silent(&self) -> bool {
        true
    }
}
