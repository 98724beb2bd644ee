//! Makes snapshots: what is on disk, merged with the snapshot before, becomes a tree in the
//! vault.
//!
//! The structure is: archiver > pass > batch > item. One thread walks the source in key order,
//! looks each file up in the base beside it, and hands batches to the workers; they read, cut and
//! store; the first thread puts their entries back in key order and builds the tree. Batches,
//! results and buffers are bounded, so memory does not grow with the source. A file that cannot
//! be read is named in the report and is not in the snapshot; one that changed while it was read
//! is named and kept as it was read. Neither stops the backup. DESIGN.md §10.

mod assemble;
mod base;
mod batch;
pub(crate) mod content;
mod options;
mod pass;
pub(crate) mod read;
pub(crate) mod share;
mod stream;
#[cfg(test)]
mod tests;
mod worker;

use std::io::Read;

use format::{Counts, PathKey, SnapshotContent};
use tree::Boundary;
use vault::{
    CommitOutcome, Reader, Rehearsal, SnapshotDraft, SnapshotStanding, Vault, WriteOptions, Writer,
};

pub use options::{
    BackupCounts, BackupOptions, BackupReport, BlockDevices, Parent, READ_THREADS_MAX,
};

use crate::error::{PathText, Problems};
use crate::owners::Owners;
use crate::progress::{Cancel, Progress};
use crate::source::Source;
use crate::walk::{Filter, Walker};
use crate::{Error, Result};
use base::Base;

/// Makes a snapshot of the paths that the options name.
///
/// What is unchanged since the base (DESIGN.md §10) is not read again. The walk is repeated when
/// the vault asks for it, and begun anew when the session was closed by somebody else; both only a
/// few times. On any error the session is abandoned: no snapshot is made.
pub fn backup(
    vault: &mut Vault,
    options: &BackupOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<BackupReport> {
    Archiver::new(options, progress, cancel)?.run(vault)
}

/// Makes a snapshot of one file, `/name`, whose content is what `stream` gives.
///
/// The options' paths and exclusions are not looked at. A stream is read once, so when the vault
/// asks for another walk this is an error of kind `Conflict` and the caller begins anew.
pub fn backup_stream(
    vault: &mut Vault,
    options: &BackupOptions,
    name: &[u8],
    stream: &mut dyn Read,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<BackupReport> {
    let key = PathKey::root()
        .child(name)
        .map_err(|source| Error::Path { path: PathText::new(name), source })?;
    let path = key.to_path().unwrap_or_default();
    progress.file(&path);
    let archiver = Archiver::new(options, progress, cancel)?;
    archiver.run_stream(vault, &key, &path, stream)
}

/// How often a walk is repeated, and how often a session is begun anew, before giving up.
pub(crate) const ATTEMPTS_MAX: u32 = 4;

struct Archiver<'a> {
    options: &'a BackupOptions,
    filter: Filter,
    owners: Owners,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

impl<'a> Archiver<'a> {
    fn new(
        options: &'a BackupOptions,
        progress: &'a dyn Progress,
        cancel: &'a Cancel,
    ) -> Result<Self> {
        let filter = options.exclusions.compile()?;
        Ok(Self { options, filter, owners: Owners::of_system(), progress, cancel })
    }

    fn run(&self, vault: &mut Vault) -> Result<BackupReport> {
        let paths = self.options.paths.clone();
        let named = Source::new(&paths)?.named();
        let base = match &self.options.parent {
            Parent::Newest => vault.base_for(&self.options.name, &named)?,
            Parent::None => None,
            Parent::Snapshot(snapshot) => Some(vault::Snapshot::clone(snapshot)),
        };
        if let Some(descriptor) = base.as_ref().and_then(|base| base.descriptor.as_ref()) {
            self.progress.expected(descriptor.counts.files, descriptor.counts.bytes);
        }
        for _ in 0..ATTEMPTS_MAX {
            let mut writer = vault.write(self.write_options(base.as_ref().map(|base| base.id)))?;
            let reader = vault.reader()?;
            let usable = self.usable(base.as_ref(), &writer);
            let run = Run { reader: &reader, base: usable, paths: &paths, named: &named };
            match self.passes(&mut writer, run) {
                Err(Error::Vault(error)) if error.kind() == vault::ErrorKind::Closed => {}
                Ok(mut report) => {
                    if report.unchanged_since.is_some() {
                        report.take_written(&writer.abandon()?);
                    }
                    if let (Parent::Snapshot(parent), None) = (&self.options.parent, usable) {
                        let reason = format!("{} is of another domain, or is gone", parent.id);
                        report.base_problem = Some(reason);
                    }
                    return Ok(report);
                }
                Err(error) => {
                    self.give_up(writer);
                    return Err(error);
                }
            }
        }
        Err(Error::Restless { attempts: ATTEMPTS_MAX })
    }

    /// The base, if the session builds on it: one may have opened with none, or with another.
    fn usable<'b>(
        &self,
        base: Option<&'b vault::Snapshot>,
        writer: &Writer,
    ) -> Option<&'b vault::Snapshot> {
        base.filter(|base| writer.base() == Some(base.id) && base.domain == writer.domain())
    }

    /// Ends a session without a snapshot, and says what it leaves to the next one.
    fn give_up(&self, writer: Writer) {
        self.progress.written(&writer.written());
        // The error that led here counts; what is left is abandoned by the next session.
        if let Ok(written) = writer.abandon() {
            self.progress.written(&written);
        }
    }

    /// Walks until the vault accepts what was made.
    fn passes(&self, writer: &mut Writer, run: Run<'_>) -> Result<BackupReport> {
        for _ in 0..ATTEMPTS_MAX {
            let base = Base::new(run.base, run.reader);
            let source = Source::new(run.paths)?;
            let (root, mut report) = self.pass(writer, run.reader, source, base)?;
            if self.options.skip_if_unchanged && run.is_unchanged(&self.options.name, root.id) {
                report.unchanged_since = run.base.map(|base| base.id);
                return Ok(report);
            }
            let draft = self.draft(run.named.to_vec(), root.id, &report);
            match writer.commit(draft)? {
                CommitOutcome::Again => continue,
                CommitOutcome::Rehearsed => {}
                CommitOutcome::Committed(committed) => {
                    report.snapshot = Some(committed.snapshot);
                    report.seq = Some(committed.seq);
                }
            }
            report.take_written(&writer.written());
            return Ok(report);
        }
        Err(Error::Restless { attempts: ATTEMPTS_MAX })
    }

    fn walker(&self, source: Source, problems: &mut Problems) -> Result<Walker<'_>> {
        Walker::new(source, &self.filter, self.options.file_systems(), problems)
    }

    /// A backup of nothing is a mistake, not an empty snapshot.
    fn check_found(&self, walker: &Walker<'_>) -> Result<()> {
        match walker.paths_found() {
            0 => Err(Error::NoSource {
                count: self.options.paths.len(),
                path: PathText::new(self.options.paths.first().map_or(&[], Vec::as_slice)),
            }),
            _ => Ok(()),
        }
    }

    fn write_options(&self, base: Option<format::SessionId>) -> WriteOptions {
        let BackupOptions { domain, compression, pack_size, paranoia, claimed, .. } = *self.options;
        let rehearsal = if self.options.dry_run { Rehearsal::Yes } else { Rehearsal::No };
        WriteOptions { domain, base, compression, pack_size, paranoia, rehearsal, claimed }
    }

    fn draft(
        &self,
        paths: Vec<Vec<u8>>,
        root: format::ChunkId,
        report: &BackupReport,
    ) -> SnapshotDraft {
        let counts = &report.counts;
        let mut tags = self.options.tags.clone();
        tags.sort();
        tags.dedup();
        SnapshotDraft {
            name: self.options.name.clone(),
            paths,
            tags,
            start: self.options.start,
            end: None,
            root,
            content: SnapshotContent::Files,
            counts: Counts {
                files: counts.files(),
                folders: counts.folders,
                others: counts.others,
                bytes: counts.bytes,
                unreadable: report.problems.total(),
            },
        }
    }
}

/// What all walks of one session have in common.
#[derive(Clone, Copy)]
struct Run<'r> {
    reader: &'r Reader,
    base: Option<&'r vault::Snapshot>,
    paths: &'r [Vec<u8>],
    /// The paths as the snapshot names them.
    named: &'r [Vec<u8>],
}

impl Run<'_> {
    /// Whether a snapshot of this tree would say nothing that the base does not.
    fn is_unchanged(&self, name: &str, root: format::ChunkId) -> bool {
        let live = self.base.filter(|base| base.standing == SnapshotStanding::Live);
        let before = live.and_then(|base| base.descriptor.as_ref());
        before.is_some_and(|d| d.root == root && d.name == name && d.paths == self.named)
    }
}

/// The rule by which file trees of this vault are divided into nodes.
pub(crate) fn boundary(writer: &Writer) -> Boundary {
    let (leaf, interior) = writer.trees().files;
    Boundary::new(writer.tree_key(), leaf, interior)
}
