//! Copies snapshots from one vault into another: other keys, another domain, other chunk sizes.
//!
//! The structure is: copier > pass > batch > entry. A pass walks a snapshot's tree at the source in
//! key order, workers open each chunk, verify it and store it under the target's name, and the tree
//! is built anew. Snapshots go oldest first, each on the copy of the one before it, so that what
//! did not change is not even read. A copy is marked with what it is of ([`Origin`]), so copying
//! again copies what is missing; what an interrupted copy published is found again. What cannot be
//! read at the source is named, and the copy is made without it. DESIGN.md §7, §8, §15.

mod held;
mod options;
mod pass;
#[cfg(test)]
mod tests;
mod walk;
mod worker;

use crypto::{DomainId, Role};
use format::{ChunkId, Counts, Descriptor, SnapshotContent};
use tree::{Cursor, Diff};
use vault::{
    CommitOutcome, Origin, Reader, Rehearsal, Snapshot, SnapshotDraft, Vault, WriteOptions, Writer,
    Written, tags_of_copy,
};

pub use options::{
    CopiedSnapshot, CopyCounts, CopyOptions, CopyOutcome, CopyPlan, RefusedSnapshot,
};

use crate::archive::ATTEMPTS_MAX;
use crate::progress::{Cancel, Progress};
use crate::{Error, ErrorKind, Result};
use held::{Base, Held};
use pass::{Ground, Pass};
use walk::Walk;
use worker::{Cuts, Origins, Tally};

/// Copies snapshots of one vault into another, one after the other.
pub struct Copier<'v> {
    source: &'v mut Vault,
    target: &'v mut Vault,
    options: CopyOptions,
    domain: DomainId,
    reader: Reader,
    held: Held,
    /// The session of a dry run, which all its snapshots share: what the first would have stored is
    /// known to the next.
    rehearsal: Option<Writer>,
    /// What the sessions before have done.
    before: Written,
}

impl<'v> Copier<'v> {
    /// Looks at both vaults.
    ///
    /// # Errors
    /// [`vault::Error::RoleMayNot`] when the source's key reads no content, or the target's commits
    /// no snapshots; errors of the places.
    pub fn new(source: &'v mut Vault, target: &'v mut Vault, options: CopyOptions) -> Result<Self> {
        let role = source.keyring().role();
        if !matches!(role, Role::Owner | Role::Reader) {
            let what = "read what files contain, as the source of a copy must";
            return Err(vault::Error::RoleMayNot { role, what }.into());
        }
        let role = target.keyring().role();
        if !matches!(role, Role::Owner | Role::Writer) {
            let what = "commit snapshots, as the target of a copy must";
            return Err(vault::Error::RoleMayNot { role, what }.into());
        }
        let domain = options.domain.unwrap_or_else(|| target.keyring().domain());
        let sources = source.snapshots()?;
        let mut held = target.snapshots()?;
        held.retain(|snapshot| snapshot.domain == domain);
        let held = Held::new(source.config().vault, &sources, target.config().vault, &held);
        let reader = source.reader()?;
        let (rehearsal, before) = (None, Written::default());
        Ok(Self { source, target, options, domain, reader, held, rehearsal, before })
    }

    /// Sorts out which of the chosen snapshots of the source the target lacks.
    ///
    /// # Errors
    /// [`Error::SameDomain`] when all of them are the target's own.
    pub fn plan(&self, chosen: &[Snapshot]) -> Result<CopyPlan> {
        let vault = self.source.config().vault;
        let is_own =
            |snapshot: &Snapshot| snapshot.domain == self.domain && self.held.is_own(snapshot.id);
        if vault == self.target.config().vault && !chosen.is_empty() && chosen.iter().all(is_own) {
            return Err(Error::SameDomain { vault, domain: self.domain });
        }
        let (present, mut missing): (Vec<_>, Vec<_>) =
            chosen.iter().cloned().partition(|snapshot| self.held.has(snapshot));
        missing.sort_by_key(|snapshot| snapshot.seq);
        let present = present.iter().map(|snapshot| snapshot.id).collect();
        Ok(CopyPlan { missing, present, unseen: self.held.unseen })
    }

    /// Copies a snapshot. Oldest first is cheapest: each copy builds on the one before.
    ///
    /// # Errors
    /// What stops all copying: errors of the places, the target's ledger, a raised `cancel`. The
    /// session is then abandoned, and what it published is found again.
    pub fn copy(
        &mut self,
        snapshot: &Snapshot,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<CopyOutcome> {
        let refused = |reason: String, is_damaged: bool| {
            let source = snapshot.id;
            Ok(CopyOutcome::Refused(RefusedSnapshot { source, reason, is_damaged }))
        };
        let descriptor = match (&snapshot.descriptor, &snapshot.problem) {
            (Some(descriptor), _) => descriptor,
            (None, Some(problem)) => return refused(problem.clone(), true),
            (None, None) => return refused("the key cannot open it".to_owned(), false),
        };
        if descriptor.content != SnapshotContent::Files {
            return refused("it holds a store, and only files can be copied".to_owned(), false);
        }
        let tags = match tags_of_copy(&snapshot.tags, &self.origins_of(snapshot)) {
            Ok(tags) => tags,
            Err(error) => return refused(error.to_string(), false),
        };
        for _ in 0..ATTEMPTS_MAX {
            let base = self.held.base_for(snapshot);
            let mut writer = self.writer(base.as_ref(), snapshot)?;
            let onwards = Onwards { progress, before: self.before };
            let job = Job { snapshot, descriptor, tags: &tags, progress: &onwards, cancel };
            match self.passes(&mut writer, base, &job) {
                Ok(copied) => {
                    self.keep(writer, &copied);
                    return Ok(CopyOutcome::Copied(Box::new(copied.report)));
                }
                Err(Trouble::Source(error)) => {
                    self.give_up(writer, &onwards);
                    return refused(error.to_string(), true);
                }
                Err(Trouble::Target(Error::Vault(error)))
                    if error.kind() == vault::ErrorKind::Closed => {}
                Err(Trouble::Target(error)) => {
                    self.give_up(writer, &onwards);
                    return Err(error);
                }
            }
        }
        Err(Error::Restless { attempts: ATTEMPTS_MAX })
    }

    /// What a copy of this snapshot is a copy of.
    fn origins_of(&self, snapshot: &Snapshot) -> Vec<Origin> {
        let own = Origin { vault: self.source.config().vault, snapshot: snapshot.id };
        let mut origins = snapshot.origins();
        origins.push(own);
        origins
    }

    fn writer(&mut self, base: Option<&Base>, snapshot: &Snapshot) -> Result<Writer> {
        if let Some(writer) = self.rehearsal.take() {
            return Ok(writer);
        }
        let CopyOptions { compression, pack_size, paranoia, dry_run, .. } = self.options;
        let rehearsal = if dry_run { Rehearsal::Yes } else { Rehearsal::No };
        Ok(self.target.write(WriteOptions {
            domain: Some(self.domain),
            base: base.map(|base| base.id),
            compression,
            pack_size,
            paranoia,
            rehearsal,
            claimed: Some(snapshot.claimed),
        })?)
    }

    /// Remembers what was made, for the snapshots to come.
    fn keep(&mut self, writer: Writer, copied: &Copied) {
        let report = &copied.report;
        if self.options.dry_run {
            self.rehearsal = Some(writer);
        } else {
            self.before = self.before + writer.written();
        }
        let made = report.snapshot.unwrap_or(report.source);
        if report.problems.is_empty() {
            let root = report.snapshot.map(|_| copied.root);
            self.held.add(made, report.source, root);
        }
    }

    /// Ends a session without a snapshot, and says what it leaves to the next one.
    fn give_up(&mut self, writer: Writer, progress: &dyn Progress) {
        if self.options.dry_run {
            self.rehearsal = Some(writer);
            return;
        }
        progress.written(&writer.written());
        // The error that led here counts; what is left is abandoned by the next session.
        if let Ok(written) = writer.abandon() {
            progress.written(&written);
            self.before = self.before + written;
        }
    }

    /// Goes through the snapshot until the target accepts what was made of it.
    fn passes(
        &mut self,
        writer: &mut Writer,
        base: Option<Base>,
        job: &Job<'_>,
    ) -> Result<Copied, Trouble> {
        let begun = writer.written();
        let is_built_on = |base: &Base| {
            self.options.dry_run
                || (writer.base() == Some(base.id) && !writer.must_check_inherited())
        };
        let mut base = base.filter(is_built_on);
        let mut base_problem = None;
        for _ in 0..ATTEMPTS_MAX {
            let (root, tally) = match self.pass(writer, base.as_ref(), job) {
                Err(Trouble::Source(error) | Trouble::Target(error))
                    if base.is_some() && is_out_of_reach(&error) =>
                {
                    base_problem = Some(error.to_string());
                    base = None;
                    self.pass(writer, None, job)?
                }
                other => other?,
            };
            if !tally.problems.is_empty() {
                // A place that is gone looks like one whose objects are.
                vault::read_config(self.source.components().place.as_ref()).map_err(Error::from)?;
            }
            let draft = job.draft(root.id, &tally);
            let mut report = job.report(&tally);
            match writer.commit(draft).map_err(Error::from)? {
                CommitOutcome::Again => {
                    base = base.filter(|_| !writer.must_check_inherited());
                    continue;
                }
                CommitOutcome::Rehearsed => {}
                CommitOutcome::Committed(committed) => {
                    report.snapshot = Some(committed.snapshot);
                    report.seq = Some(committed.seq);
                }
            }
            job.progress.written(&writer.written());
            job.unchanged(&tally);
            report.counts.take_written(&(writer.written() - begun));
            report.base = base.map(|base| base.id).filter(|_| report.snapshot.is_some());
            report.base_problem = base_problem;
            return Ok(Copied { report, root: root.id });
        }
        Err(Error::Restless { attempts: ATTEMPTS_MAX }.into())
    }

    fn pass(
        &mut self,
        writer: &Writer,
        base: Option<&Base>,
        job: &Job<'_>,
    ) -> Result<(tree::Root, Tally), Trouble> {
        let Job { snapshot, descriptor, progress, cancel, .. } = *job;
        let nodes = self.reader.nodes(snapshot.domain);
        let (walk, ground) = match base {
            None => (Walk::All(Cursor::new(nodes, descriptor.root)), Ground::Bare),
            Some(Base { root, original_root, .. }) => {
                let held = self.target.reader().map_err(Error::from)?.nodes(self.domain);
                let copy = root.map(|root| Cursor::new(held.clone(), root));
                let diff = Diff::new(nodes.clone(), *original_root, nodes, descriptor.root);
                let ground = match root {
                    Some(root) => Ground::Copy { nodes: held, root: *root },
                    None => Ground::Bare,
                };
                (Walk::Since { diff: Box::new(diff), copy }, ground)
            }
        };
        let cuts = self.cuts(snapshot.domain)?;
        let origins = Origins { reader: &self.reader, domain: snapshot.domain, cuts };
        let threads = self.options.threads();
        Pass { writer, origins, threads, progress, cancel }.run(walk, ground)
    }

    /// Whether the source's chunks are what the target would make of the same bytes.
    fn cuts(&self, domain: DomainId) -> Result<Cuts> {
        let keys = |vault: &Vault, domain| -> Result<_> {
            let config = vault.config();
            let sizes = (config.chunk_min, config.chunk_avg, config.chunk_max);
            let gear = vault.keyring().chunker(domain).map_err(vault::Error::from)?;
            Ok((config.vault, domain, sizes, gear.gear_tables()))
        };
        let is_alike = keys(self.source, domain)? == keys(self.target, self.domain)?;
        Ok(if is_alike { Cuts::Alike } else { Cuts::Anew })
    }
}

/// What a snapshot became.
struct Copied {
    report: CopiedSnapshot,
    root: ChunkId,
}

/// A snapshot that is being copied.
#[derive(Clone, Copy)]
struct Job<'j> {
    snapshot: &'j Snapshot,
    descriptor: &'j Descriptor,
    tags: &'j [String],
    progress: &'j dyn Progress,
    cancel: &'j Cancel,
}

impl Job<'_> {
    /// All that the source says of itself, less what could not be read.
    fn draft(&self, root: ChunkId, tally: &Tally) -> SnapshotDraft {
        let Descriptor { name, paths, start, end, content, .. } = self.descriptor.clone();
        let (tags, end, counts) = (self.tags.to_vec(), Some(end), self.counts(tally));
        SnapshotDraft { name, paths, tags, start, end, root, content, counts }
    }

    fn counts(&self, tally: &Tally) -> Counts {
        let counts = self.descriptor.counts;
        Counts {
            files: counts.files.saturating_sub(tally.files_missing),
            others: counts.others.saturating_sub(tally.others_missing),
            bytes: counts.bytes.saturating_sub(tally.bytes_missing),
            unreadable: counts.unreadable.saturating_add(tally.problems.total()),
            ..counts
        }
    }

    fn report(&self, tally: &Tally) -> CopiedSnapshot {
        let Counts { files, bytes, .. } = self.counts(tally);
        CopiedSnapshot {
            source: self.snapshot.id,
            snapshot: None,
            seq: None,
            base: None,
            base_problem: None,
            counts: CopyCounts {
                files,
                bytes,
                files_read: tally.files_read,
                bytes_read: tally.bytes_read,
                ..CopyCounts::default()
            },
            problems: tally.problems.clone(),
        }
    }

    /// What the base had already is done too.
    fn unchanged(&self, tally: &Tally) {
        let Counts { files, bytes, .. } = self.descriptor.counts;
        self.progress.files_done(files.saturating_sub(tally.files));
        self.progress.bytes_skipped(bytes.saturating_sub(tally.bytes));
    }
}

/// Whose fault it is that a snapshot was not copied.
enum Trouble {
    /// The source is damaged: other snapshots may be whole.
    Source(Error),
    /// All copying ends.
    Target(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Target(error)
    }
}

/// Whether an error only says that something of the source is damaged or gone.
fn is_damage(error: &Error) -> bool {
    use vault::ErrorKind::{Corrupt, NotFound};
    matches!(error.kind(), ErrorKind::Vault(Corrupt | NotFound))
}

/// Whether an error says that a base cannot be read, with this key or at all.
fn is_out_of_reach(error: &Error) -> bool {
    is_damage(error) || error.kind() == ErrorKind::Vault(vault::ErrorKind::Denied)
}

/// Hears of one session after others, whose work counts too.
struct Onwards<'p> {
    progress: &'p dyn Progress,
    before: Written,
}

impl Progress for Onwards<'_> {
    fn file(&self, path: &[u8]) {
        self.progress.file(path);
    }

    fn files_done(&self, count: u64) {
        self.progress.files_done(count);
    }

    fn bytes_done(&self, count: u64) {
        self.progress.bytes_done(count);
    }

    fn expected(&self, files: u64, bytes: u64) {
        self.progress.expected(files, bytes);
    }

    fn written(&self, written: &Written) {
        self.progress.written(&(self.before + *written));
    }

    fn bytes_skipped(&self, count: u64) {
        self.progress.bytes_skipped(count);
    }
}
