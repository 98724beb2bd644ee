//! The snapshot that a backup builds on, read side by side with the walk.
//!
//! Both are in key order, so the base is read once from front to back. A base that cannot be read
//! costs time, never correctness: from there on every file counts as new. DESIGN.md §9, §10.

use bytes::Bytes;
use crypto::{ChunkId, DomainId, SessionId};
use format::{
    ChunkKind, ChunkRef, Content, EntryKind, ExtraAt, FileEntry, PathKey, SnapshotContent,
    Timestamp,
};
use places::Time;
use tree::{Cursor, NodeSource, RecipeReader};
use vault::{Nodes, Reader, Snapshot, Writer};

use super::{Archiver, BackupOptions};
use crate::Result;
use crate::stat::Stat;

/// The base's tree, at the place of the walk.
pub(crate) struct Base {
    id: Option<SessionId>,
    domain: DomainId,
    start: Time,
    cursor: Option<Cursor<Nodes>>,
    problem: Option<String>,
}

/// Beyond so many entries that the walk does not have, the cursor jumps.
const STEPS_MAX: usize = 16;

impl Base {
    /// The base's tree from its start; nothing, when there is no base or it holds no files.
    pub(crate) fn new(snapshot: Option<&Snapshot>, reader: &Reader) -> Self {
        let domain = snapshot.map_or(DomainId::DEFAULT, |snapshot| snapshot.domain);
        let descriptor = snapshot.and_then(|snapshot| snapshot.descriptor.as_ref());
        let files = descriptor.filter(|d| d.content == SnapshotContent::Files);
        Self {
            id: files.map(|descriptor| descriptor.session),
            domain,
            start: files.map_or(Time::EPOCH, |descriptor| descriptor.start),
            cursor: files.map(|descriptor| Cursor::new(reader.nodes(domain), descriptor.root)),
            problem: None,
        }
    }

    /// The base's entry of this key. Keys must be asked for in order.
    pub(crate) fn entry(&mut self, key: &PathKey) -> Option<FileEntry> {
        let found = find(self.cursor.as_mut()?, key.as_bytes());
        found.unwrap_or_else(|problem| {
            self.problem = Some(problem);
            self.cursor = None;
            None
        })
    }

    pub(crate) fn id(&self) -> Option<SessionId> {
        self.id
    }

    pub(crate) fn domain(&self) -> DomainId {
        self.domain
    }

    /// Why the base could not be read to its end.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

fn find(cursor: &mut Cursor<Nodes>, key: &[u8]) -> Result<Option<FileEntry>, String> {
    for _ in 0..STEPS_MAX {
        match cursor.peek().map_err(|error| error.to_string())? {
            None => return Ok(None),
            Some((at, _)) if at > key => return Ok(None),
            Some((at, value)) if at == key => {
                return FileEntry::decode(value).map(Some).map_err(|error| error.to_string());
            }
            Some(_) => cursor.advance(),
        }
    }
    cursor.seek(key).map_err(|error| error.to_string())?;
    match cursor.peek().map_err(|error| error.to_string())? {
        Some((at, value)) if at == key => {
            FileEntry::decode(value).map(Some).map_err(|error| error.to_string())
        }
        _ => Ok(None),
    }
}

impl Archiver<'_> {
    /// Whether a file's content is what the base has of it.
    pub(crate) fn is_unchanged(&self, known: &FileEntry, stat: &Stat, base: &Base) -> bool {
        let BackupOptions { force, ignore_inode, ignore_ctime, .. } = *self.options;
        let is_file = known.kind == EntryKind::File && stat.kind == EntryKind::File;
        let is_old = known.ctime == stat.ctime && is_well_before(stat.ctime, base.start);
        is_file
            && !force
            && known.size == stat.size
            && known.mtime == stat.mtime
            && (ignore_inode || known.inode == stat.inode)
            && (ignore_ctime || is_old)
    }

    /// Whether what the base says of a folder, link or device still holds: its target, attributes.
    pub(crate) fn is_undisturbed(&self, known: &FileEntry, stat: &Stat, base: &Base) -> bool {
        !self.options.force
            && known.kind == stat.kind
            && known.mtime == stat.mtime
            && known.inode == stat.inode
            && known.ctime == stat.ctime
            && is_well_before(stat.ctime, base.start)
    }
}

/// Whether a file's time lies so long before the start of a walk that no clock's grain can hide a
/// change after it.
fn is_well_before(time: Timestamp, start: Time) -> bool {
    const GRAIN_MILLIS: i64 = 2000;
    let nanos = i64::from(time.nanos.div_ceil(1_000_000));
    let millis = time.seconds.saturating_mul(1000).saturating_add(nanos);
    start.as_millis().saturating_sub(millis) >= GRAIN_MILLIS
}

/// Whether the vault holds all that an entry of the base names. Asked only while packs are lost.
pub(crate) fn is_stored(
    writer: &Writer,
    reader: &Reader,
    domain: DomainId,
    entry: &FileEntry,
) -> Result<bool> {
    let content = |id| ChunkRef { kind: ChunkKind::Content, id };
    if let ExtraAt::Chunk(id) = entry.extra
        && !writer.is_stored(ChunkRef { kind: ChunkKind::Extra, id })?
    {
        return Ok(false);
    }
    match &entry.content {
        Content::Chunks(chunks) => {
            for (id, _) in chunks {
                if !writer.is_stored(content(*id))? {
                    return Ok(false);
                }
            }
        }
        Content::Recipe { root, .. } => {
            let nodes = reader.recipes(domain);
            let recipe = StoredRecipe { writer, nodes, domain };
            for chunk in RecipeReader::new(recipe, *root) {
                // A recipe that cannot be read is not there.
                let Ok(chunk) = chunk else { return Ok(false) };
                if !writer.is_stored(content(chunk.id))? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// The nodes of a recipe, as far as the vault holds them: one that can still be read from a cache,
/// or from a pack that counts as lost, is none to build on.
struct StoredRecipe<'a> {
    writer: &'a Writer,
    nodes: Nodes,
    domain: DomainId,
}

impl NodeSource for StoredRecipe<'_> {
    type Error = vault::Error;

    fn node(&self, id: &ChunkId) -> vault::Result<Bytes> {
        let chunk = ChunkRef { kind: ChunkKind::Recipe, id: *id };
        match self.writer.is_stored(chunk)? {
            true => self.nodes.node(id),
            false => Err(vault::Error::ChunkMissing { chunk, domain: self.domain }),
        }
    }
}
