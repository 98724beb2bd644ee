//! Makes a new snapshot of what can still be read of a damaged one.
//!
//! The new one has the same paths, the name `<name>-salvaged`, and the tags `incomplete` and
//! `of-<id>`, so no backup takes it for its base and `latest` without a name passes it over; its
//! counts say how much is wanting. The old one stays as it is. Entries are taken over as they are
//! or left out whole; folders whose entry is lost get a plain one, so that what lies in them is
//! reached. What is taken over keeps its chunks: only tree nodes are written. Memory grows with
//! the number of folders.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crypto::{Digest, DomainId, Role, SessionId};
use format::{
    Child, ChunkKind, ChunkRef, Content, Counts, Descriptor, EntryKind, ExtraAt, FileEntry,
    LABEL_BYTES_MAX, Node, PathKey, SnapshotContent, Timestamp,
};
use ledger::SnapshotStanding;
use tree::{Boundary, Builder};

use super::{RepairMode, Work};
use crate::reader::Reader;
use crate::references::each_reference;
use crate::vault::{Snapshot, Vault};
use crate::verify::says_damage;
use crate::writer::{CommitOutcome, SnapshotDraft, WriteOptions, Writer};
use crate::{Error, Result};

/// The tag of a snapshot that holds only what could be salvaged.
pub const INCOMPLETE_TAG: &str = "incomplete";
/// So often a walk is begun again because packs came under suspicion meanwhile.
const TRIES_MAX: usize = 5;
const DEPTH_MAX: usize = 2 * format::TREE_DEPTH_MAX as usize + 4;

/// Whether a snapshot holds only what could be salvaged of another.
pub fn is_incomplete(snapshot: &Snapshot) -> bool {
    let tags = snapshot.descriptor.as_ref().map(|descriptor| &descriptor.tags[..]);
    tags.unwrap_or_default().iter().any(|tag| tag == INCOMPLETE_TAG)
}

impl Vault {
    /// Salvages one snapshot, unless that was done before.
    pub(super) fn salvage(&mut self, work: &mut Work<'_>, id: SessionId) -> Result<()> {
        let called = format!("snapshot {id}");
        let wrong = "a part of it cannot be read";
        if self.keyring().role() != Role::Owner {
            work.left(&called, wrong, "use the owner's key to salvage what can be read");
            return Ok(());
        }
        let of = format!("of-{id}");
        let snapshots = self.snapshots()?;
        let tags = |s: &Snapshot| s.descriptor.as_ref().map(|d| d.tags.clone()).unwrap_or_default();
        if let Some(done) = snapshots.iter().find(|s| tags(s).contains(&of)) {
            work.left(&called, wrong, format!("salvaged before, in snapshot {}", done.id));
            return Ok(());
        }
        let Some(found) = snapshots.into_iter().find(|s| s.id == id) else { return Ok(()) };
        let descriptor = match &found.descriptor {
            Some(descriptor) if descriptor.content == SnapshotContent::Files => descriptor.clone(),
            _ => {
                let reason = "its descriptor cannot be read, so nothing of it is found";
                work.left(&called, wrong, reason);
                return Ok(());
            }
        };
        if is_incomplete(&found) {
            work.left(&called, wrong, "it was salvaged from another and is hurt itself");
            return Ok(());
        }
        let reader = self.reader_of_place()?;
        let mut plan = Salvager::new(work, &reader, found.domain);
        plan.visit(descriptor.root_ref(), 0, &mut |_, _| Ok(()))?;
        let (counts, lost_folders) = (plan.counts, plan.lost_folders());
        if counts.files + counts.folders + counts.others == 0 {
            work.left(&called, wrong, "nothing of it can be read");
            return Ok(());
        }
        let entries = counts.files + counts.folders + counts.others;
        let said = format!("readable entries: {entries}, others: at least {}", counts.unreadable);
        if work.options.mode == RepairMode::Plan {
            work.step(&called, wrong, format!("would be salvaged: {said}"));
            return Ok(());
        }
        let made = self.commit_salvaged(work, &found, &descriptor, &lost_folders)?;
        work.step(&called, wrong, format!("salvaged in snapshot {made}: {said}"));
        Ok(())
    }

    fn commit_salvaged(
        &mut self,
        work: &Work<'_>,
        found: &Snapshot,
        descriptor: &Descriptor,
        lost_folders: &BTreeSet<Vec<u8>>,
    ) -> Result<SessionId> {
        let live = found.standing != SnapshotStanding::Purged;
        let options = WriteOptions {
            domain: Some(found.domain),
            base: live.then_some(found.id),
            ..WriteOptions::default()
        };
        let mut writer = self.write(options)?;
        for _ in 0..TRIES_MAX {
            let reader = self.reader_of_place()?;
            let mut salvager = Salvager::new(work, &reader, found.domain);
            let root = salvager.build(&writer, descriptor, lost_folders)?;
            let mut tags = descriptor.tags.clone();
            tags.extend([INCOMPLETE_TAG.to_owned(), format!("of-{}", found.id)]);
            let draft = SnapshotDraft {
                name: salvaged_name(&descriptor.name),
                paths: descriptor.paths.clone(),
                tags,
                start: descriptor.start,
                end: Some(descriptor.end),
                root,
                content: SnapshotContent::Files,
                counts: salvager.counts,
            };
            if let CommitOutcome::Committed(committed) = writer.commit(draft)? {
                return Ok(committed.snapshot);
            }
        }
        writer.abandon()?;
        Err(Error::object("the salvaged snapshot", "packs were lost again and again meanwhile"))
    }
}

/// A name that no backup has by chance, within the limit.
fn salvaged_name(name: &str) -> String {
    const ENDING: &str = "-salvaged";
    let mut length = name.len().min(LABEL_BYTES_MAX - ENDING.len());
    while !name.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}{ENDING}", &name[..length])
}

/// Walks what can be read.
struct Salvager<'a> {
    work: &'a Work<'a>,
    reader: &'a Reader,
    domain: DomainId,
    /// Packs that were found damaged.
    bad: HashSet<Digest>,
    counts: Counts,
    folders: BTreeSet<Vec<u8>>,
    needed: BTreeSet<Vec<u8>>,
    last_parent: Option<Vec<u8>>,
}

type Taken<'f> = &'f mut dyn FnMut(&[u8], &[u8]) -> Result<()>;

impl<'a> Salvager<'a> {
    fn new(work: &'a Work<'a>, reader: &'a Reader, domain: DomainId) -> Self {
        Self {
            work,
            reader,
            domain,
            bad: work.bad_packs.clone(),
            counts: Counts::default(),
            folders: BTreeSet::new(),
            needed: BTreeSet::new(),
            last_parent: None,
        }
    }

    /// Gives each entry below a node that can be read with all that it refers to.
    fn visit(&mut self, node: ChunkRef, depth: usize, taken: Taken<'_>) -> Result<()> {
        self.work.go_on()?;
        let Some(bytes) = self.read(node)? else {
            self.counts.unreadable += 1;
            return Ok(());
        };
        let Ok(decoded) = Node::decode(&bytes) else {
            self.counts.unreadable += 1;
            return Ok(());
        };
        for index in 0..decoded.len() {
            let (key, value) = (decoded.key(index), decoded.value(index));
            if decoded.level() > 0 {
                match Child::decode(value) {
                    Ok(child) if depth < DEPTH_MAX => {
                        let child = ChunkRef { kind: ChunkKind::Node, id: child.id };
                        self.visit(child, depth + 1, taken)?;
                    }
                    _ => self.counts.unreadable += 1,
                }
                continue;
            }
            match FileEntry::decode(value) {
                Ok(entry) if self.is_whole(&entry)? => {
                    self.note(key, &entry);
                    taken(key, value)?;
                }
                _ => self.counts.unreadable += 1,
            }
        }
        Ok(())
    }

    fn note(&mut self, key: &[u8], entry: &FileEntry) {
        match entry.kind {
            EntryKind::File => {
                self.counts.files += 1;
                self.counts.bytes = self.counts.bytes.saturating_add(entry.size);
            }
            EntryKind::Folder => {
                self.counts.folders += 1;
                self.folders.insert(key.to_vec());
            }
            _ => self.counts.others += 1,
        }
        let parent_of = |key: &[u8]| PathKey::decode(key).ok()?.parent();
        let mut parent = parent_of(key);
        while let Some(folder) = parent {
            let bytes = folder.as_bytes().to_vec();
            if self.last_parent.as_ref() == Some(&bytes) {
                break;
            }
            self.last_parent.get_or_insert_with(|| bytes.clone());
            if !self.needed.insert(bytes) {
                break;
            }
            parent = folder.parent();
        }
        self.last_parent = parent_of(key).map(|parent| parent.as_bytes().to_vec());
    }

    /// Folders that hold something and whose own entry is lost.
    fn lost_folders(&self) -> BTreeSet<Vec<u8>> {
        self.needed.difference(&self.folders).cloned().collect()
    }

    /// Writes the tree of what can be read.
    fn build(
        &mut self,
        writer: &Writer,
        descriptor: &Descriptor,
        lost_folders: &BTreeSet<Vec<u8>>,
    ) -> Result<format::ChunkId> {
        let (leaf, interior) = writer.trees().files;
        let boundary = Boundary::new(Arc::clone(&writer.tree_key()), leaf, interior);
        let mut lane = writer.lane();
        let plain = plain_folder(descriptor).encode();
        let mut missing = lost_folders.iter().peekable();
        let root = {
            let mut builder = Builder::new(boundary, lane.nodes());
            let push = |builder: &mut Builder<_>, key: &[u8], value: &[u8]| -> Result<()> {
                builder.push(key, value).map_err(tree_error)
            };
            self.visit(descriptor.root_ref(), 0, &mut |key, value| {
                while let Some(folder) = missing.next_if(|folder| &folder[..] < key) {
                    push(&mut builder, folder, &plain)?;
                }
                push(&mut builder, key, value)
            })?;
            for folder in missing {
                push(&mut builder, folder, &plain)?;
            }
            builder.finish().map_err(tree_error)?
        };
        lane.flush()?;
        self.counts.folders += lost_folders.len() as u64;
        Ok(root.id)
    }

    /// Whether all that an entry refers to can be read.
    fn is_whole(&self, entry: &FileEntry) -> Result<bool> {
        if let ExtraAt::Chunk(id) = entry.extra
            && self.read(ChunkRef { kind: ChunkKind::Extra, id })?.is_none()
        {
            return Ok(false);
        }
        match &entry.content {
            Content::Chunks(chunks) => {
                for (id, _) in chunks {
                    if !self.has(ChunkRef { kind: ChunkKind::Content, id: *id })? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Content::Recipe { root, .. } => {
                self.has_below(ChunkRef { kind: ChunkKind::Recipe, id: *root }, 0)
            }
        }
    }

    fn has_below(&self, chunk: ChunkRef, depth: usize) -> Result<bool> {
        if chunk.kind != ChunkKind::Recipe {
            return self.has(chunk);
        }
        let Some(bytes) = self.read(chunk)? else { return Ok(false) };
        let mut below = Vec::new();
        let decoded = each_reference(chunk, &bytes, |chunk, _| below.push(chunk));
        if decoded.is_err() || depth > DEPTH_MAX {
            return Ok(false);
        }
        for chunk in below {
            if !self.has_below(chunk, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a chunk can be read: from a pack that is not known to be damaged, or in fact.
    fn has(&self, chunk: ChunkRef) -> Result<bool> {
        let packs = self.reader.packs_of(self.domain, chunk)?;
        if packs.iter().any(|pack| !self.bad.contains(pack)) {
            return Ok(true);
        }
        Ok(!packs.is_empty() && self.read(chunk)?.is_some())
    }

    fn read(&self, chunk: ChunkRef) -> Result<Option<bytes::Bytes>> {
        match self.reader.chunk(self.domain, chunk) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if says_damage(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What stands for a folder whose entry is lost: for its owner alone.
fn plain_folder(descriptor: &Descriptor) -> FileEntry {
    let millis = descriptor.start.as_millis();
    let time = Timestamp { seconds: millis.div_euclid(1000), nanos: 0 };
    FileEntry {
        kind: EntryKind::Folder,
        mode: 0o700,
        uid: 0,
        gid: 0,
        user: Vec::new(),
        group: Vec::new(),
        mtime: time,
        ctime: time,
        size: 0,
        inode: 0,
        link: None,
        device: 0,
        content: Content::EMPTY,
        extra: ExtraAt::None,
    }
}

fn tree_error(error: tree::Error<Error>) -> Error {
    match error {
        tree::Error::Store(error) => error,
        other => Error::object("the salvaged tree", other),
    }
}

/// The packs that a verification found damaged.
pub(super) fn bad_packs(found: &crate::Verification) -> HashSet<Digest> {
    let names = found.damage.iter().filter_map(|damage| damage.object.parse().ok());
    names
        .filter_map(|name| match format::NamedObject::parse(&name) {
            Some(format::NamedObject::Pack(pack)) => Some(pack),
            _ => None,
        })
        .collect()
}
