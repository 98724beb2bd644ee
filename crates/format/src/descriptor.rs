//! The descriptor of a snapshot: what it is of, who made it and when, and the root of its tree.
//!
//! It is a metadata chunk, named in the sealed body of the snapshot's `commit` record. FORMAT.md
//! §8.

use places::Time;

use crate::record::text;
use crate::{
    ChunkId, ChunkKind, ChunkRef, DESCRIPTOR_BYTES_MAX, DecodeError, Decoder, Encoder,
    LABEL_BYTES_MAX, MemberId, PATH_BYTES_MAX, PATHS_MAX, SessionId, TAGS_MAX,
};

const VERSION: u8 = 1;

/// What a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The session that made it: the snapshot's id.
    pub session: SessionId,
    /// The member that made it.
    pub member: MemberId,
    /// The name of its source.
    pub name: String,
    /// The absolute paths of its source, sorted, as bytes.
    pub paths: Vec<Vec<u8>>,
    /// Its tags, sorted, each once.
    pub tags: Vec<String>,
    /// When the work began, as its member claims.
    pub start: Time,
    /// When the work ended, as its member claims.
    pub end: Time,
    /// The root of its tree.
    pub root: ChunkId,
    /// What the tree holds.
    pub content: SnapshotContent,
    /// What was counted on the way.
    pub counts: Counts,
}

/// What the tree of a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotContent {
    /// Files: the root is a node of a file tree.
    Files,
    /// A store: the root is a store's node.
    Store,
}

/// What a backup counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Everything else.
    pub others: u64,
    /// The sum of the files' sizes, in bytes.
    pub bytes: u64,
    /// What could not be read, or changed while it was read.
    pub unreadable: u64,
}

impl Descriptor {
    /// The root with its kind.
    pub fn root_ref(&self) -> ChunkRef {
        let kind = match self.content {
            SnapshotContent::Files => ChunkKind::Node,
            SnapshotContent::Store => ChunkKind::Links,
        };
        ChunkRef { kind, id: self.root }
    }

    /// The descriptor's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).raw(self.session.as_bytes()).raw(self.member.as_bytes());
        e.bytes(self.name.as_bytes());
        e.list(&self.paths, |e, path| {
            e.bytes(path);
        });
        e.list(&self.tags, |e, tag| {
            e.bytes(tag.as_bytes());
        });
        e.i64(self.start.as_millis()).i64(self.end.as_millis()).raw(self.root.as_bytes());
        e.u8(match self.content {
            SnapshotContent::Files => 1,
            SnapshotContent::Store => 2,
        });
        let Counts { files, folders, others, bytes, unreadable } = self.counts;
        e.u64(files).u64(folders).u64(others).u64(bytes).u64(unreadable);
        e.finish()
    }

    /// Reads a descriptor.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > DESCRIPTOR_BYTES_MAX {
            let (value, max) = (bytes.len() as u64, DESCRIPTOR_BYTES_MAX as u64);
            return Err(DecodeError::Limit { at: 0, value, max });
        }
        let mut d = Decoder::new(bytes);
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "a descriptor", version, known: VERSION });
        }
        let session = SessionId::from_bytes(d.array()?);
        let member = MemberId::from_bytes(d.array()?);
        let name = text(&mut d, LABEL_BYTES_MAX, "a source's name")?;
        let paths: Vec<Vec<u8>> =
            d.list(PATHS_MAX, 4, |d| d.bytes(PATH_BYTES_MAX).map(<[u8]>::to_vec))?;
        let tags: Vec<String> = d.list(TAGS_MAX, 4, |d| text(d, LABEL_BYTES_MAX, "a tag"))?;
        let (start, end) = (Time::from_millis(d.i64()?), Time::from_millis(d.i64()?));
        let root = ChunkId::from_bytes(d.array()?);
        let content = match d.u8()? {
            1 => SnapshotContent::Files,
            2 => SnapshotContent::Store,
            code => return Err(d.invalid("what a snapshot holds", code.into())),
        };
        let (files, folders, others) = (d.u64()?, d.u64()?, d.u64()?);
        let counts = Counts { files, folders, others, bytes: d.u64()?, unreadable: d.u64()? };
        d.finish()?;
        if !paths.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::NotCanonical { what: "the order of a descriptor's paths" });
        }
        if !tags.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::NotCanonical { what: "the order of a descriptor's tags" });
        }
        Ok(Self { session, member, name, paths, tags, start, end, root, content, counts })
    }
}
