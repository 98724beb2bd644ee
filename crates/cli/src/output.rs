//! What is printed, and how: text for people or JSON for programs.
//!
//! Results go to standard output; notes, warnings and errors to standard error. A report prints
//! itself either way. Paths are bytes: in JSON `path` is their text and `path_hex` the bytes, when
//! they are no text. DESIGN.md §15.

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use strongroom::{PathText, Problem, Problems};

use crate::args::Common;
use crate::exit::{Exit, Failure};

/// The fields of an object.
pub(crate) type Fields = Map<String, Value>;

/// What a command did.
pub(crate) trait Report {
    /// For people.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()>;

    /// For programs: what stands beside `version` and `command`.
    fn fields(&self) -> Fields;

    /// Whether nothing is printed at all, because the command printed something else.
    fn is_silent(&self) -> bool {
        false
    }

    /// Whether it is what was asked for, which --quiet prints too.
    fn is_answer(&self) -> bool {
        false
    }

    /// How the run ends.
    fn exit(&self) -> Exit {
        Exit::Done
    }

    /// What people must hear of it whatever the output: each with what to do, if anything.
    fn remarks(&self) -> Vec<Remark> {
        Vec::new()
    }
}

/// Something that went less than well, without ending the work.
pub(crate) struct Remark {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Remark {
    /// A remark that needs no next step.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// What to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// One remark for each of the first problems, then one for all others.
    pub(crate) fn of_problems(problems: &Problems, most: usize) -> Vec<Self> {
        let shown = problems.named().iter().take(most);
        let mut remarks: Vec<_> = shown.map(|problem| Self::new(problem.to_string())).collect();
        let rest = problems.total() - remarks.len() as u64;
        if rest > 0 {
            remarks.push(Self::new(format!("… and {rest} more; --json names up to 1000")));
        }
        remarks
    }
}

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
}

impl Output {
    /// As the options say.
    pub(crate) fn new(common: &Common) -> Self {
        Self { json: common.json, quiet: common.quiet, verbose: common.verbose }
    }

    /// As nothing but the kind of output says.
    pub(crate) fn plain(json: bool) -> Self {
        Self { json, quiet: false, verbose: false }
    }

    /// Prints a command's result as one line of JSON.
    pub(crate) fn json_line(
        self,
        out: &mut dyn Write,
        command: &str,
        fields: Fields,
    ) -> io::Result<()> {
        let mut object = json!({ "version": 1, "command": command });
        if let Some(map) = object.as_object_mut() {
            map.extend(fields);
        }
        writeln!(out, "{object}")
    }

    /// Says something that may interest.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet && !self.json {
            say(format_args!("note: {text}"));
        }
    }

    /// Says something that must be heard.
    pub(crate) fn warning(self, text: &str) {
        match self.json {
            true => say(format_args!("{}", json!({ "warning": { "message": text } }))),
            false => say(format_args!("warning: {text}")),
        }
    }

    /// Says what must be heard, and what to do about it.
    pub(crate) fn warning_with_hint(self, text: &str, hint: &str) {
        match self.json {
            true => {
                let warning = json!({ "message": text, "hint": hint });
                say(format_args!("{}", json!({ "warning": warning })));
            }
            false => say(format_args!("warning: {text}\nhint: {hint}")),
        }
    }

    /// Says why a command did not do what was asked.
    pub(crate) fn failure(self, failure: &Failure) {
        let Failure { kind, message, hint, exit } = failure;
        match self.json {
            true => {
                let error = json!({ "kind": kind, "message": message, "hint": hint,
                    "exit": exit.code() });
                say(format_args!("{}", json!({ "error": error })));
            }
            false => say(format_args!("error: {message}\nhint: {hint}")),
        }
    }

    /// Says what a report wants to be heard.
    pub(crate) fn remarks(self, report: &dyn Report) {
        // In JSON they stand in the report itself.
        if self.json {
            return;
        }
        for Remark { message, hint } in report.remarks() {
            say(format_args!("warning: {message}"));
            if let Some(hint) = hint {
                say(format_args!("hint: {hint}"));
            }
        }
    }

    /// How many problems are shown by name.
    pub(crate) fn problems_most(self) -> usize {
        if self.verbose { usize::MAX } else { 20 }
    }
}

/// Prints a line on standard error. Nobody may be listening any more, which is no reason to stop.
pub(crate) fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Makes the fields of an object from an object literal.
pub(crate) fn fields(value: Value) -> Fields {
    match value {
        Value::Object(map) => map,
        other => Fields::from_iter([("value".to_owned(), other)]),
    }
}

/// Puts a path into an object: as text, and its bytes when the text is not all of it.
pub(crate) fn put_path(fields: &mut Fields, name: &str, path: &[u8]) {
    let text = String::from_utf8_lossy(path);
    if text.as_bytes() != path {
        fields.insert(format!("{name}_hex"), hex(path).into());
    }
    fields.insert(name.to_owned(), text.into());
}

/// Puts a list of paths into an object.
pub(crate) fn put_paths(fields: &mut Fields, name: &str, paths: &[Vec<u8>]) {
    let text: Vec<_> = paths.iter().map(|path| String::from_utf8_lossy(path)).collect();
    if text.iter().zip(paths).any(|(text, path)| text.as_bytes() != path) {
        let bytes: Vec<_> = paths.iter().map(|path| hex(path)).collect();
        fields.insert(format!("{name}_hex"), bytes.into());
    }
    fields.insert(name.to_owned(), json!(text));
}

/// Problems as an array.
pub(crate) fn problems(problems: &Problems) -> Value {
    let object = |problem: &Problem| {
        let mut fields = fields(json!({ "reason": problem.reason }));
        put_path(&mut fields, "path", &problem.path);
        Value::Object(fields)
    };
    problems.named().iter().map(object).collect()
}

/// A path for people, on one line.
pub(crate) fn show_path(path: &[u8]) -> String {
    PathText::new(path).to_string()
}

/// The first eight digits of an id: enough to tell it from others.
pub(crate) fn short(id: impl std::fmt::Display) -> String {
    id.to_string().chars().take(8).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
