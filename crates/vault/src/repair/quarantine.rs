//! Replaces a damaged object: a copy of it first, read back, then the right bytes.
//!
//! A place has no overwriting, so the damaged object is deleted between the two: only after its
//! copy is durable and with the right bytes in hand. A crash there leaves it missing, and the next
//! repair finds the same right bytes again. Where versions are kept, the damaged one is only
//! hidden, and stays as it is without a copy.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use crypto::Digest;
use places::{ObjectName, Place, PutOptions};

use super::{RepairMode, Step, StepOutcome};
use crate::vault::is_absent;
use crate::{Error, Result};

/// A damaged object longer than this is not copied, and so not replaced.
const OBJECT_BYTES_MAX: u64 = 1 << 30;

/// What became of an object that was not right.
pub(super) struct Replaced {
    wrong: &'static str,
    outcome: StepOutcome,
    /// What is to be said beside what was done.
    more: Option<String>,
}

impl Replaced {
    pub(super) fn named(self, name: &ObjectName, action: &str) -> Step {
        let action = match (self.outcome, self.more) {
            (StepOutcome::Left, Some(reason)) => reason,
            (_, Some(more)) => format!("{action}; {more}"),
            (_, None) => action.to_owned(),
        };
        let (object, wrong) = (name.as_str().to_owned(), self.wrong.to_owned());
        Step { object, wrong, action, outcome: self.outcome }
    }
}

/// Makes sure that these bytes lie under a name. `None` when they did.
pub(super) fn replace(
    place: &dyn Place,
    name: &ObjectName,
    right: Bytes,
    folder: Option<PathBuf>,
    mode: RepairMode,
) -> Result<Option<Replaced>> {
    let found = match place.stat(name)? {
        None => None,
        Some(stat) if stat.size > OBJECT_BYTES_MAX => {
            let more = Some(format!("it is {} bytes: delete it by hand", stat.size));
            let wrong = "it holds other bytes";
            return Ok(Some(Replaced { wrong, outcome: StepOutcome::Left, more }));
        }
        Some(_) => match place.get(name, None) {
            Ok(bytes) => Some(bytes),
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(error.into()),
        },
    };
    if found.as_ref() == Some(&right) {
        return Ok(None);
    }
    let wrong = if found.is_some() { "it holds other bytes" } else { "it is missing" };
    if mode == RepairMode::Plan {
        return Ok(Some(Replaced { wrong, outcome: StepOutcome::Planned, more: None }));
    }
    let mut more = None;
    if let (Some(_), Some(versions)) = (&found, place.versions()) {
        versions.hide(name)?;
        more = Some("what lay there is kept as an older version".into());
    } else if let Some(damaged) = &found {
        let Some(folder) = folder else {
            let more = Some("name a folder to keep the damaged object in: --quarantine DIR".into());
            return Ok(Some(Replaced { wrong, outcome: StepOutcome::Left, more }));
        };
        let kept = keep(&folder, name, damaged).map_err(|error| Error::home(&folder, error))?;
        more = Some(format!("what lay there is kept in {}", kept.display()));
        if let Err(error) = place.delete(name) {
            let more = Some(format!("it cannot be replaced: {error}"));
            return Ok(Some(Replaced { wrong, outcome: StepOutcome::Left, more }));
        }
    }
    let _ = place.put(name, right.clone(), &PutOptions::default())?;
    if place.get(name, None)? != right {
        return Err(Error::object(name, "other bytes were put there meanwhile"));
    }
    Ok(Some(Replaced { wrong, outcome: StepOutcome::Done, more }))
}

/// Writes a copy under a name of its own, durable, and reads it back.
fn keep(folder: &Path, name: &ObjectName, bytes: &[u8]) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let digest = Digest::of(bytes).to_string();
    let path = folder.join(format!("{}.{}", name.as_str().replace('/', "_"), &digest[..16]));
    if fs::read(&path).is_ok_and(|kept| kept == bytes) {
        return Ok(path);
    }
    let temporary = path.with_extension("part");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    fs::File::open(folder)?.sync_all()?;
    match fs::read(&path)? == bytes {
        true => Ok(path),
        false => Err(std::io::Error::other("the copy reads back other bytes")),
    }
}
