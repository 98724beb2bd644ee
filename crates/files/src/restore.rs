//! Brings files of a snapshot back, below one folder and nowhere else.
//!
//! The structure is: restorer > batch > file. One thread reads the tree in key order and makes
//! folders; workers fetch, verify and write files under a temporary name and rename them; folders
//! get their metadata last, deepest first, once all below is written. Everything is reached from
//! the target's handle without following links (see [`target`]), so neither a hostile snapshot
//! nor a link planted meanwhile leads out. A file whose content is damaged is not made, and is
//! named. DESIGN.md §10.

mod finish;
mod item;
mod mark;
mod metadata;
mod options;
mod pass;
mod plan;
mod present;
mod select;
mod strip;
mod sweep;
mod target;
#[cfg(test)]
mod tests;
mod verify;
mod write;

use vault::{Reader, Snapshot};

pub use options::{
    Devices, Overwrite, Owner, Privileges, RestoreCounts, RestoreOptions, RestoreReport,
};

use crate::Result;
use crate::list::{files_root, find};
use crate::progress::{Cancel, Progress};
use format::EntryKind;
use mark::{Mark, Opened};
use metadata::Rules;
use pass::Restorer;

/// Restores a snapshot, or what lies at `options.path` in it, into the folder `options.target`.
///
/// A folder's contents go into the target; a single file goes there under its own name. A target
/// that holds files is refused unless `options.overwrite` allows it, or it carries the mark of an
/// interrupted restore of the same snapshot and path: then that restore goes on. Free space is
/// checked before anything is written. What concerns one file is in the report.
///
/// # Errors
/// A target that is not empty or too full, a path that the snapshot does not have, a pattern that
/// means nothing, and what ends all work: a vault that cannot be read, a target that cannot be
/// written.
pub fn restore(
    reader: &Reader,
    snapshot: &Snapshot,
    options: &RestoreOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<RestoreReport> {
    let root = files_root(snapshot)?;
    let matcher = options.patterns.compile()?;
    let top = find(reader, snapshot, &options.path)?;
    let restorer = Restorer {
        reader,
        domain: snapshot.domain,
        root,
        top: &top,
        options,
        rules: &Rules::new(options),
        sources: snapshot.descriptor.as_ref().map_or(&[], |d| &d.paths),
        matcher: &matcher,
        progress,
        cancel,
    };
    let mark = Mark::new(snapshot.id, options);
    if options.dry_run {
        return match options.target.exists() {
            true => {
                let opened = mark.open(&options.target, options.overwrite)?;
                restorer.count(Some(&opened.target), opened.overwrite)
            }
            false => restorer.count(None, options.overwrite),
        };
    }
    let opened = mark.open_target(&options.target, options.overwrite)?;
    let sum = snapshot.descriptor.as_ref().map_or(u64::MAX, |d| d.counts.bytes);
    restorer.check_space(&opened.target, sum, opened.overwrite)?;
    mark.write(&opened)?;
    let Opened { target, overwrite, is_created, .. } = opened;
    let mut report = restorer.run(&target, overwrite)?;
    target.sync()?;
    if options.verify {
        restorer.verify(&target, &mut report)?;
    }
    mark.remove(&target)?;
    if is_created && top.entry.kind == EntryKind::Folder && options.strip == 0 {
        restorer.finish_target(&target, &mut report);
    }
    Ok(report)
}
