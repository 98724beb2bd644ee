//! One run of the program: parse, do, report.
//!
//! Whatever happens ends here in an exit code and, when it is bad, in an `error:` and a `hint:`. A
//! reader that closes our output early (as `head` does) is no error. DESIGN.md §15.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use strongroom::RequestTotals;

use crate::command_line::{self, Refusal};
use crate::commands;
use crate::context::Context;
use crate::environment::Environment;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Report, say};
use crate::requests;

/// Runs the program with the arguments of the process.
pub(crate) fn run() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
        let text = panic.payload_as_str().unwrap_or("no message");
        say(format_args!("error: internal error{}: {text}", place.unwrap_or_default()));
        say(format_args!("hint: this is a mistake in strongroom: please report the line above"));
    }));
    std::panic::catch_unwind(|| run_with(std::env::args_os().collect()))
        .unwrap_or(Exit::Failed)
        .into()
}

fn run_with(arguments: Vec<OsString>) -> Exit {
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let environment = Environment::read();
    let (cli, config) = match command_line::parse(&arguments, &environment) {
        Ok(parsed) => parsed,
        Err(refusal) => return refused(refusal, wants_json),
    };
    let output = Output::new(&cli.common);
    config.notes.iter().for_each(|note| output.note(note));
    let name = cli.command.name();
    let (context, ended) = match Context::new(cli.common, environment, config, output) {
        Ok(context) => {
            let ended = commands::run(cli.command, &context);
            let ended = ended.and_then(|report| {
                let asked = context.requests.totals();
                show(name, report.as_ref(), &asked, output)
            });
            (Some(context), ended)
        }
        Err(failure) => (None, Err(failure)),
    };
    let noted = context.as_ref().map_or(Exit::Done, Context::noted);
    let exit = match ended {
        Ok(exit) => exit,
        Err(failure) if failure.is_closed_output() => Exit::Done,
        Err(failure) => {
            let failure = match context.as_ref().and_then(Context::signal) {
                Some(signal) => failure.stopped_by(signal),
                None => failure,
            };
            output.failure(&failure);
            failure.exit
        }
    };
    exit.and(noted)
}

/// Prints a report, and what buckets were asked for it; gives the exit code that it asks for.
fn show(name: &str, report: &dyn Report, asked: &RequestTotals, output: Output) -> Result<Exit> {
    let mut out = std::io::stdout().lock();
    let written = match output.json {
        _ if report.is_silent() => Ok(()),
        true => {
            let mut fields = report.fields();
            fields.extend(requests::fields(asked));
            output.json_line(&mut out, name, fields)
        }
        false if output.quiet && !report.is_answer() => Ok(()),
        false => report.write_text(&mut out).and_then(|()| match report.is_answer() {
            // What was asked for stands alone.
            true => Ok(()),
            false => requests::write_text(asked, &mut out),
        }),
    };
    written.and_then(|()| out.flush()).map_err(Failure::output)?;
    output.remarks(report);
    Ok(report.exit())
}

/// Help goes to standard output; anything else that was typed wrong is a usage error.
fn refused(refusal: Refusal, wants_json: bool) -> Exit {
    match refusal {
        Refusal::Help(text) => {
            let _ = write!(std::io::stdout(), "{text}");
            Exit::Done
        }
        Refusal::Failure(failure) => {
            Output::plain(wants_json).failure(&failure);
            failure.exit
        }
    }
}
