//! A file of settings: its text, and whether it may be trusted to run commands.
//!
//! Who can write the file could run what he likes as its user, if the file names commands to run:
//! so such a file and its folder must belong to this user or root, and nobody else may write there.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::Setting;
use crate::exit::{Failure, Result, plain};
use crate::output::show_path;

/// How much a file is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It was named.
    Must,
    /// It is read if it is there.
    May,
    /// The same; a file that only others may read is none of this user's.
    MayBeClosed,
}

/// What was found.
pub(super) enum Found {
    Text(String),
    Nothing,
    /// It may not be read; this is what the system says.
    Closed(String),
}

const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a file of settings.
pub(super) fn read(path: &Path, need: Need) -> Result<Found> {
    let shown = show_path(path.as_os_str().as_encoded_bytes());
    let failed = |error: std::io::Error| {
        let hint = "check the file of settings, or name another with --config FILE";
        Failure::usage(format!("{shown}: {}", plain(&error)), hint)
    };
    let opened = match (File::open(path), need) {
        (Err(error), Need::May | Need::MayBeClosed) if is_not_there(&error) => {
            return Ok(Found::Nothing);
        }
        (Err(error), Need::MayBeClosed) if error.kind() == ErrorKind::PermissionDenied => {
            return Ok(Found::Closed(plain(&error)));
        }
        (opened, _) => opened.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("{shown}: a file of settings has at most {FILE_BYTES_MAX} bytes");
        return Err(Failure::usage(message, "name a file of settings with --config FILE"));
    }
    String::from_utf8(bytes).map(Found::Text).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        Failure::usage(format!("{shown}:{line}: this is not UTF-8"), "write the file as UTF-8")
    })
}

fn is_not_there(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// An error when others than this user and root could change what the file makes us run.
pub(super) fn refuse_if_writable_by_others(path: &Path, setting: &Setting) -> Result<()> {
    let failed = |error: std::io::Error| Failure::local(path, &error);
    let path = path.canonicalize().map_err(failed)?;
    let file = path.metadata().map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let of_folder = folder.metadata().map_err(failed)?;
    // In a folder with the sticky bit, as /tmp, nobody replaces another's file.
    let (what, metadata) = match (others_may_write(&file), others_may_write(&of_folder)) {
        (true, _) => (&*path, file),
        (false, true) if of_folder.mode() & 0o1000 == 0 => (folder, of_folder),
        (false, _) => return Ok(()),
    };
    let what = show_path(what.as_os_str().as_encoded_bytes());
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    let Setting { at, key, .. } = setting;
    let message = format!(
        "{at}: {key} runs a command, but others may change it: {what} has mode {mode:04o} and \
         belongs to user {owner}"
    );
    Err(Failure::usage(message, format!("run `chmod go-w {what}`, and own it")))
}

fn others_may_write(metadata: &Metadata) -> bool {
    let user = rustix::process::geteuid().as_raw();
    metadata.mode() & 0o022 != 0 || ![0, user].contains(&metadata.uid())
}
