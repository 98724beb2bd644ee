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
mod content;
mod options;
mod pass;
mod read;
#[cfg(test)]
mod tests;
mod worker;

use std::io::Read;

use format::{Counts, PathKey, SnapshotContent, Timestamp};
use tree::{Boundary, Builder};
use vault::{CommitOutcome, Reader, Rehearsal, SnapshotDraft, Vault, WriteOptions, Writer};

pub use options::{BackupCounts, BackupOptions, BackupReport};

use crate::error::{PathText, Problems};
use crate::exclude::Matcher;
use crate::nodes::tree_error;
use crate::owners::Owners;
use crate::progress::{Cancel, Progress};
use crate::source::Source;
use crate::walk::Walker;
use crate::{Error, Result};
use base::Base;
use options::Change;
use worker::Worker;

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
/// The options' paths and patterns are not looked at. A stream is read once, so when the vault asks
/// for another walk this is an error of kind `Conflict` and the caller begins anew.
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
const ATTEMPTS_MAX: u32 = 4;

struct Archiver<'a> {
    options: &'a BackupOptions,
    matcher: Matcher,
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
        let matcher = options.patterns.compile()?;
        Ok(Self { options, matcher, owners: Owners::of_system(), progress, cancel })
    }

    fn run(&self, vault: &mut Vault) -> Result<BackupReport> {
        let source = Source::new(&self.options.paths)?;
        let paths = source.paths().to_vec();
        let base = vault.base_for(&self.options.name, &paths)?;
        if self.options.dry_run {
            let reader = vault.reader()?;
            return self.count(Source::new(&paths)?, Base::new(base.as_ref(), &reader));
        }
        for _ in 0..ATTEMPTS_MAX {
            let mut writer = vault.write(self.write_options(base.as_ref().map(|base| base.id)))?;
            let reader = vault.reader()?;
            // A session may have opened with another base than was asked for, or with none.
            let base = base.as_ref().filter(|base| writer.base() == Some(base.id));
            match self.passes(&mut writer, &reader, &paths, base) {
                Err(Error::Vault(error)) if error.kind() == vault::ErrorKind::Closed => {}
                Ok(report) => return Ok(report),
                Err(error) => {
                    // The first error counts; what is left is abandoned by the next session.
                    let _ = writer.abandon();
                    return Err(error);
                }
            }
        }
        Err(Error::Restless { attempts: ATTEMPTS_MAX })
    }

    /// Walks until the vault accepts what was made.
    fn passes(
        &self,
        writer: &mut Writer,
        reader: &Reader,
        paths: &[Vec<u8>],
        base: Option<&vault::Snapshot>,
    ) -> Result<BackupReport> {
        for _ in 0..ATTEMPTS_MAX {
            let base = Base::new(base, reader);
            let (root, mut report) = self.pass(writer, reader, Source::new(paths)?, base)?;
            let draft = self.draft(paths.to_vec(), root.id, &report);
            if let CommitOutcome::Committed(committed) = writer.commit(draft)? {
                report.snapshot = Some(committed.snapshot);
                report.seq = Some(committed.seq);
                report.take_written(&writer.written());
                return Ok(report);
            }
        }
        Err(Error::Restless { attempts: ATTEMPTS_MAX })
    }

    /// Walks and compares, reads no file and writes nothing.
    fn count(&self, source: Source, mut base: Base) -> Result<BackupReport> {
        let mut report = BackupReport::default();
        let mut walker = self.walker(source, &mut report.problems)?;
        while let Some(found) = walker.next(&mut report.problems) {
            self.cancel.check()?;
            self.progress.file(&found.path());
            let known = base.entry(&found.key);
            let change = match &known {
                None => Change::New,
                Some(known) if self.is_unchanged(known, &found.stat, &base) => Change::Unchanged,
                Some(_) => Change::Changed,
            };
            report.counts.count(found.stat.kind, found.stat.size, change);
            self.progress.files_done(1);
        }
        self.check_found(&walker)?;
        report.base = base.id();
        report.base_problem = base.problem().map(str::to_owned);
        Ok(report)
    }

    fn run_stream(
        &self,
        vault: &mut Vault,
        key: &PathKey,
        path: &[u8],
        stream: &mut dyn Read,
    ) -> Result<BackupReport> {
        let mut writer = vault.write(self.write_options(None))?;
        let made = self.store_stream(&writer, key, path, stream);
        let (root, mut report) = match made {
            Ok(made) => made,
            Err(error) => {
                let _ = writer.abandon();
                return Err(error);
            }
        };
        let draft = self.draft(vec![path.to_vec()], root.id, &report);
        match writer.commit(draft)? {
            CommitOutcome::Again => {
                let _ = writer.abandon();
                Err(Error::Restless { attempts: 1 })
            }
            CommitOutcome::Rehearsed => Ok(report),
            CommitOutcome::Committed(committed) => {
                report.snapshot = Some(committed.snapshot);
                report.seq = Some(committed.seq);
                report.take_written(&writer.written());
                Ok(report)
            }
        }
    }

    fn store_stream(
        &self,
        writer: &Writer,
        key: &PathKey,
        path: &[u8],
        stream: &mut dyn Read,
    ) -> Result<(tree::Root, BackupReport)> {
        let mut report = BackupReport::default();
        let mut worker = Worker::new(self, writer);
        let mut entry = worker.read_stream(path, stream)?;
        let millis = self.options.start.as_millis();
        let nanos = (millis.rem_euclid(1000) * 1_000_000) as u32;
        entry.mtime = Timestamp { seconds: millis.div_euclid(1000), nanos };
        entry.ctime = entry.mtime;
        worker.flush()?;
        let folder = format::FileEntry {
            kind: format::EntryKind::Folder,
            mode: 0o755,
            size: 0,
            content: format::Content::EMPTY,
            ..entry.clone()
        };
        let mut lane = writer.lane();
        let mut builder = Builder::new(boundary(writer), lane.nodes());
        builder.push(PathKey::root().as_bytes(), &folder.encode()).map_err(tree_error)?;
        builder.push(key.as_bytes(), &entry.encode()).map_err(tree_error)?;
        let root = builder.finish().map_err(tree_error)?;
        lane.flush()?;
        report.counts.folders = 1;
        report.counts.files_new = 1;
        report.counts.bytes = entry.size;
        report.counts.bytes_read = entry.size;
        Ok((root, report))
    }

    fn walker(&self, source: Source, problems: &mut Problems) -> Result<Walker<'_>> {
        Walker::new(source, &self.matcher, self.options.file_systems(), problems)
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
        let BackupOptions { domain, compression, pack_size, paranoia, .. } = *self.options;
        let rehearsal = Rehearsal::No;
        WriteOptions { domain, base, compression, pack_size, paranoia, rehearsal }
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

/// The rule by which file trees of this vault are divided into nodes.
fn boundary(writer: &Writer) -> Boundary {
    let (leaf, interior) = writer.trees().files;
    Boundary::new(writer.tree_key(), leaf, interior)
}
