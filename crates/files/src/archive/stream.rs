//! What a stream gives, as a snapshot of one file at the top.
//!
//! A stream is read once: whatever asks for another walk ends the backup. DESIGN.md §10.

use std::io::Read;

use format::{FileEntry, PathKey, Timestamp};
use tree::Builder;
use vault::{CommitOutcome, Vault, Writer};

use super::share::Share;
use super::worker::Worker;
use super::{Archiver, BackupReport, boundary};
use crate::nodes::tree_error;
use crate::{Error, Result};

impl Archiver<'_> {
    pub(super) fn run_stream(
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
                self.give_up(writer);
                return Err(error);
            }
        };
        let draft = self.draft(vec![path.to_vec()], root.id, &report);
        match writer.commit(draft)? {
            CommitOutcome::Again => {
                self.give_up(writer);
                return Err(Error::Restless { attempts: 1 });
            }
            CommitOutcome::Rehearsed => {}
            CommitOutcome::Committed(committed) => {
                report.snapshot = Some(committed.snapshot);
                report.seq = Some(committed.seq);
            }
        }
        report.take_written(&writer.written());
        Ok(report)
    }

    fn store_stream(
        &self,
        writer: &Writer,
        key: &PathKey,
        path: &[u8],
        stream: &mut dyn Read,
    ) -> Result<(tree::Root, BackupReport)> {
        let mut report = BackupReport::default();
        let mut entry = self.read_shared(writer, path, stream)?;
        let millis = self.options.start.as_millis();
        let nanos = (millis.rem_euclid(1000) * 1_000_000) as u32;
        entry.mtime = Timestamp { seconds: millis.div_euclid(1000), nanos };
        entry.ctime = entry.mtime;
        let folder = FileEntry {
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

    /// Reads the stream on this thread, and stores what it gives on as many as may read.
    fn read_shared(
        &self,
        writer: &Writer,
        path: &[u8],
        stream: &mut dyn Read,
    ) -> Result<FileEntry> {
        let threads = self.options.threads();
        let share = Share::among(threads);
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads)
                .map(|_| {
                    let (jobs, worker) = (share.jobs(), Worker::new(self, writer));
                    scope.spawn(move || worker.help(&jobs))
                })
                .collect();
            let mut worker = Worker::new(self, writer);
            if threads > 1 {
                worker.share_out(share.clone());
            }
            drop(share);
            let read = worker.read_stream(path, stream);
            let flushed = worker.flush();
            // The helpers end when nobody shares any more.
            drop(worker);
            for helper in helpers {
                helper.join().map_err(|_| Error::Cancelled)??;
            }
            flushed?;
            read
        })
    }
}
