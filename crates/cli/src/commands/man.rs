//! `man`: the manual, made from the definitions that the command line is parsed by.
//!
//! One page for each command, or all of them as one text in Markdown. The project keeps both beside
//! the source, `crates/cli/man` and `crates/cli/REFERENCE.md`, and a test that they are not behind.

mod pages;
mod reference;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory, ValueEnum};
use serde_json::json;

use crate::args::Cli;
use crate::exit::{Failure, Result};
use crate::output::{Fields, Report, fields, show_path};
use crate::suggestion::nearest_text;

/// Prints the manual.
///
/// `strongroom man | man -l -` shows the page of the program, `strongroom man restore | man -l -`
/// that of a command. With --output all pages are written into a folder, such as
/// /usr/local/share/man/man1; pages of the same names are replaced.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command whose page to print, such as `key export` [default: the program]
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    command: Vec<String>,
    /// Write all pages into a folder, made when it is not there
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// As what to print it
    #[arg(long, value_name = "FORM", default_value = "roff", conflicts_with = "output")]
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// As `man` reads it, a page for each command
    Roff,
    /// As Markdown, all commands in one text
    Markdown,
}

/// Prints or writes the manual.
pub(crate) fn run(args: &Args) -> Result<Box<dyn Report>> {
    let mut program = Cli::command();
    program.build();
    if let Some(folder) = &args.output {
        return Ok(Box::new(write_all(&program, folder)?));
    }
    let command = choose(&program, &args.command)?;
    let text = match args.form {
        Form::Roff => pages::page(command).map_err(Failure::output)?,
        Form::Markdown if !args.command.is_empty() => {
            return Err(Failure::usage(
                "--form markdown prints all commands",
                "leave the command's name out",
            ));
        }
        Form::Markdown => reference::text(&program),
    };
    Ok(Box::new(Printed { text }))
}

fn choose<'c>(program: &'c Command, names: &[String]) -> Result<&'c Command> {
    let mut command = program;
    for name in names {
        command = command.find_subcommand(name).ok_or_else(|| {
            let there: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
            let hint = match nearest_text(name, there.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => "`strongroom --help` lists the commands".to_owned(),
            };
            let above = command.get_display_name().unwrap_or("strongroom").replace('-', " ");
            Failure::usage(format!("`{above}` has no command {name}"), hint)
        })?;
    }
    Ok(command)
}

fn write_all(program: &Command, folder: &Path) -> Result<Written> {
    let local = |error| Failure::local(folder, &error);
    std::fs::create_dir_all(folder).map_err(local)?;
    let pages = pages::all(program).map_err(local)?;
    for (name, page) in &pages {
        let path = folder.join(name);
        std::fs::write(&path, page).map_err(|error| Failure::local(&path, &error))?;
    }
    Ok(Written { folder: folder.to_owned(), pages: pages.len() })
}

struct Printed {
    text: String,
}

impl Report for Printed {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.text.as_bytes())
    }

    fn fields(&self) -> Fields {
        fields(json!({ "text": self.text }))
    }

    fn is_answer(&self) -> bool {
        true
    }
}

struct Written {
    folder: PathBuf,
    pages: usize,
}

impl Report for Written {
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let folder = show_path(self.folder.as_os_str().as_encoded_bytes());
        writeln!(out, "{} pages written to {folder}", self.pages)
    }

    fn fields(&self) -> Fields {
        let folder = self.folder.as_os_str().as_encoded_bytes();
        let mut fields = fields(json!({ "pages": self.pages }));
        crate::output::put_path(&mut fields, "output", folder);
        fields
    }
}
