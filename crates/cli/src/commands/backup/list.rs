//! Paths to back up that stand in files, or come through standard input.
//!
//! Paths are bytes and are taken as they are, without patterns. Relative ones start from the
//! current folder, like those that are typed.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::Args;
use super::stream::StandardInput;
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::sizes;

/// The typed paths, then those of all lists.
pub(super) fn with_lists(args: &Args, context: &Context) -> Result<Vec<OsString>> {
    let from_stdin =
        args.files_from.iter().chain(&args.files_from0).filter(|path| path.as_os_str() == "-");
    if from_stdin.count() > 1 {
        return Err(Failure::usage(
            "standard input is named twice as a list of paths",
            "name it once",
        ));
    }
    let mut paths = args.paths.clone();
    for file in &args.files_from {
        let bytes = read(file, context)?;
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        paths.extend(lines.filter(|line| !line.starts_with(b"#")).filter_map(path));
    }
    for file in &args.files_from0 {
        paths.extend(read(file, context)?.split(|byte| *byte == 0).filter_map(path));
    }
    match paths.is_empty() {
        false => Ok(paths),
        true => Err(Failure::usage(
            "the lists name no path to back up",
            "check what was written to them, or give a path",
        )),
    }
}

fn path(bytes: &[u8]) -> Option<OsString> {
    (!bytes.is_empty()).then(|| OsString::from_vec(bytes.to_vec()))
}

/// A list has at most so many bytes.
const LIST_BYTES_MAX: u64 = 256 << 20;

fn read(file: &Path, context: &Context) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => {
            let input = StandardInput::of_process(&context.signals);
            input.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes)
        }
        false => std::fs::File::open(file)
            .and_then(|file| file.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    context.check_stopped()?;
    read.map_err(|error| Failure::local(file, &error))?;
    if bytes.len() as u64 > LIST_BYTES_MAX {
        return Err(Failure::usage(
            format!("{} is longer than {}", file.display(), sizes::show(LIST_BYTES_MAX)),
            "name folders instead of each file in them",
        ));
    }
    Ok(bytes)
}
