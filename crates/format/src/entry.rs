//! A file's entry in a file tree: the value of its path's key.
//!
//! An entry is at most 512 bytes. What a file holds is never here: a file of one byte is a content
//! chunk, more than 8 chunks are named by a recipe. Link target, extended attributes (ACLs are
//! such) and holes lie in the entry while it keeps its limit, else in a metadata chunk. A sparse
//! file's content is its data without the holes. FORMAT.md §8.

use crate::{
    CHUNK_BYTES_MAX, CHUNKS_INLINE_MAX, ChunkId, DecodeError, Decoder, ENTRY_BYTES_MAX,
    EXTRA_BYTES_MAX, Encoder, HOLES_MAX, OWNER_NAME_BYTES_MAX, TREE_DEPTH_MAX, XATTR_BYTES_MAX,
    XATTRS_MAX,
};

const VERSION: u8 = 1;
/// Of extra metadata in a chunk of its own.
const EXTRA_VERSION: u8 = 1;

/// What a file system says of one file, and where its content lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// What it is.
    pub kind: EntryKind,
    /// The lower 12 bits of its mode: permissions, setuid, setgid, sticky.
    pub mode: u16,
    /// Its owner's number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
    /// Its owner's name, empty when unknown.
    pub user: Vec<u8>,
    /// Its group's name, empty when unknown.
    pub group: Vec<u8>,
    /// When its content last changed.
    pub mtime: Timestamp,
    /// When its metadata last changed.
    pub ctime: Timestamp,
    /// Its size in bytes, holes included; 0 for all but files and links.
    pub size: u64,
    /// Its inode's number.
    pub inode: u64,
    /// Set for what has other names as well.
    pub link: Option<LinkGroup>,
    /// The number of a device file.
    pub device: u64,
    /// The content of a regular file.
    pub content: Content,
    /// Link target, attributes, holes.
    pub extra: ExtraAt,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// A regular file.
    File = 1,
    /// A folder.
    Folder = 2,
    /// A symbolic link.
    Symlink = 3,
    /// A named pipe.
    Fifo = 4,
    /// A socket.
    Socket = 5,
    /// A block device.
    BlockDevice = 6,
    /// A character device.
    CharDevice = 7,
}

/// A time of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since the Unix epoch.
    pub seconds: i64,
    /// Nanoseconds within the second, below 10^9.
    pub nanos: u32,
}

/// Names one inode among all files of a snapshot, with the entry's `inode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkGroup {
    /// The device that the inode lies on.
    pub device: u64,
}

/// Where a regular file's content lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its chunks with their lengths, at most [`CHUNKS_INLINE_MAX`]; none for an empty file.
    Chunks(Vec<(ChunkId, u32)>),
    /// The root of its recipe.
    Recipe {
        /// The recipe's root.
        root: ChunkId,
        /// The root's level.
        level: u8,
    },
}

/// Where an entry's extra metadata lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraAt {
    /// There is none.
    None,
    /// In the entry.
    Inline(Extra),
    /// In a metadata chunk of kind `Extra`.
    Chunk(ChunkId),
}

/// Link target, attributes and holes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Extra {
    /// Where a symbolic link points.
    pub target: Vec<u8>,
    /// Extended attributes, ACLs among them, in the order of their names.
    pub xattrs: Vec<Xattr>,
    /// Where a file has no data, in order.
    pub holes: Vec<Hole>,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// Its name, with its name space.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// A range of a file without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

impl FileEntry {
    /// The entry's bytes; [`ENTRY_BYTES_MAX`] at most when `extra` is not inline.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).u8(self.kind as u8).u16(self.mode).u32(self.uid).u32(self.gid);
        e.bytes(&self.user).bytes(&self.group);
        e.i64(self.mtime.seconds).u32(self.mtime.nanos);
        e.i64(self.ctime.seconds).u32(self.ctime.nanos);
        e.u64(self.size).u64(self.inode);
        e.option(self.link.as_ref(), |e, link| {
            e.u64(link.device);
        });
        e.u64(self.device);
        match &self.content {
            Content::Chunks(chunks) => e.u8(0).list(chunks, |e, (id, length)| {
                e.raw(id.as_bytes()).u32(*length);
            }),
            Content::Recipe { root, level } => e.u8(1).raw(root.as_bytes()).u8(*level),
        };
        match &self.extra {
            ExtraAt::None => e.u8(0),
            ExtraAt::Inline(extra) => extra.encode_into(e.u8(1)),
            ExtraAt::Chunk(id) => e.u8(2).raw(id.as_bytes()),
        };
        e.finish()
    }

    /// Reads an entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            let (value, max) = (bytes.len() as u64, ENTRY_BYTES_MAX as u64);
            return Err(DecodeError::Limit { at: 0, value, max });
        }
        let mut d = Decoder::new(bytes);
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "a file's entry", version, known: VERSION });
        }
        let kind = EntryKind::decode(&mut d)?;
        let mode = d.u16()?;
        if mode > 0o7777 {
            return Err(d.invalid("a file's mode", mode.into()));
        }
        let (uid, gid) = (d.u32()?, d.u32()?);
        let user = d.bytes(OWNER_NAME_BYTES_MAX)?.to_vec();
        let group = d.bytes(OWNER_NAME_BYTES_MAX)?.to_vec();
        let (mtime, ctime) = (Timestamp::decode(&mut d)?, Timestamp::decode(&mut d)?);
        let (size, inode) = (d.u64()?, d.u64()?);
        let link = d.option(|d| d.u64().map(|device| LinkGroup { device }))?;
        let device = d.u64()?;
        let content = Content::decode(&mut d)?;
        let extra = match d.u8()? {
            0 => ExtraAt::None,
            1 => ExtraAt::Inline(Extra::decode_from(&mut d)?),
            2 => ExtraAt::Chunk(ChunkId::from_bytes(d.array()?)),
            code => return Err(d.invalid("where extra metadata lies", code.into())),
        };
        d.finish()?;
        let entry = Self {
            kind,
            mode,
            uid,
            gid,
            user,
            group,
            mtime,
            ctime,
            size,
            inode,
            link,
            device,
            content,
            extra,
        };
        entry.check()?;
        Ok(entry)
    }

    /// Checks extra metadata that were read from a chunk against the entry that names it.
    ///
    /// # Errors
    /// [`DecodeError::NotCanonical`] for a link without target and a target without link, for holes
    /// of what is no file or beyond its end, and for content and holes that are not the size.
    pub fn check_extra(&self, extra: &Extra) -> Result<(), DecodeError> {
        if (self.kind == EntryKind::Symlink) == extra.target.is_empty() {
            return Err(DecodeError::NotCanonical { what: "the target of a symbolic link" });
        }
        let end = extra.holes.last().map_or(0, |h| h.offset.saturating_add(h.length));
        if end > self.size || (self.kind != EntryKind::File && end > 0) {
            return Err(DecodeError::NotCanonical { what: "the holes of a file" });
        }
        let holes: u64 = extra.holes.iter().map(|hole| hole.length).sum();
        if !self.content.may_have(self.data_size().saturating_sub(holes)) {
            return Err(DecodeError::NotCanonical { what: "the size of a file" });
        }
        Ok(())
    }

    /// Checks what fields say of one another.
    fn check(&self) -> Result<(), DecodeError> {
        let wrong = |what| Err(DecodeError::NotCanonical { what });
        if self.kind != EntryKind::File && self.content != Content::EMPTY {
            return wrong("the content of what is no file");
        }
        if !matches!(self.kind, EntryKind::File | EntryKind::Symlink) && self.size > 0 {
            return wrong("the size of what is neither file nor link");
        }
        if !matches!(self.kind, EntryKind::BlockDevice | EntryKind::CharDevice) && self.device > 0 {
            return wrong("the device number of what is no device");
        }
        match &self.extra {
            ExtraAt::None => self.check_extra(&Extra::default()),
            ExtraAt::Inline(extra) if extra.is_empty() => wrong("empty extra metadata"),
            ExtraAt::Inline(extra) => self.check_extra(extra),
            // Its holes are not known here, only that content leaves room for them.
            ExtraAt::Chunk(_) if self.content.known_length() > Some(self.data_size()) => {
                wrong("the size of a file")
            }
            ExtraAt::Chunk(_) => Ok(()),
        }
    }

    /// The size of a file; 0 for a link, whose size is its target's.
    fn data_size(&self) -> u64 {
        if self.kind == EntryKind::File { self.size } else { 0 }
    }
}

impl EntryKind {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match d.u8()? {
            1 => Self::File,
            2 => Self::Folder,
            3 => Self::Symlink,
            4 => Self::Fifo,
            5 => Self::Socket,
            6 => Self::BlockDevice,
            7 => Self::CharDevice,
            code => return Err(d.invalid("a file's type", code.into())),
        })
    }
}

impl Timestamp {
    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let (seconds, nanos) = (d.i64()?, d.u32()?);
        match nanos {
            0..1_000_000_000 => Ok(Self { seconds, nanos }),
            _ => Err(d.invalid("the nanoseconds of a time", nanos.into())),
        }
    }
}

impl Content {
    /// The content of what has none.
    pub const EMPTY: Self = Self::Chunks(Vec::new());

    /// Its length, unless only a recipe knows it.
    fn known_length(&self) -> Option<u64> {
        match self {
            Self::Chunks(chunks) => Some(chunks.iter().map(|(_, length)| u64::from(*length)).sum()),
            Self::Recipe { .. } => None,
        }
    }

    /// Whether it may be so long; a recipe always names something.
    fn may_have(&self, length: u64) -> bool {
        self.known_length().map_or(length > 0, |known| known == length)
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.u8()? {
            0 => {
                let chunks = d.list(CHUNKS_INLINE_MAX, 36, |d| {
                    let id = ChunkId::from_bytes(d.array()?);
                    let length = d.u32()?;
                    match length {
                        1..=CHUNK_BYTES_MAX => Ok((id, length)),
                        _ => Err(d.invalid("a chunk's length", length.into())),
                    }
                })?;
                Ok(Self::Chunks(chunks))
            }
            1 => {
                let root = ChunkId::from_bytes(d.array()?);
                let level = d.u8()?;
                match level {
                    0..=TREE_DEPTH_MAX => Ok(Self::Recipe { root, level }),
                    _ => Err(d.invalid("the level of a recipe", level.into())),
                }
            }
            code => Err(d.invalid("where content lies", code.into())),
        }
    }
}

impl Extra {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.target.is_empty() && self.xattrs.is_empty() && self.holes.is_empty()
    }

    /// The bytes of a chunk of kind `Extra`.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(EXTRA_VERSION);
        self.encode_into(&mut e);
        e.finish()
    }

    /// The fields; in an entry its version stands for theirs.
    fn encode_into<'e>(&self, e: &'e mut Encoder) -> &'e mut Encoder {
        e.bytes(&self.target);
        e.list(&self.xattrs, |e, xattr| {
            e.bytes(&xattr.name).bytes(&xattr.value);
        });
        e.list(&self.holes, |e, hole| {
            e.u64(hole.offset).u64(hole.length);
        })
    }

    /// Reads a chunk of kind `Extra`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let version = d.u8()?;
        if version != EXTRA_VERSION {
            let what = "a file's extra metadata";
            return Err(DecodeError::Version { what, version, known: EXTRA_VERSION });
        }
        let extra = Self::decode_from(&mut d)?;
        d.finish()?;
        Ok(extra)
    }

    fn decode_from(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let target = d.bytes(EXTRA_BYTES_MAX)?.to_vec();
        let xattrs: Vec<Xattr> = d.list(XATTRS_MAX, 8, |d| {
            let name = d.bytes(255)?.to_vec();
            let value = d.bytes(XATTR_BYTES_MAX)?.to_vec();
            Ok::<_, DecodeError>(Xattr { name, value })
        })?;
        let holes: Vec<Hole> = d.list(HOLES_MAX, 16, |d| {
            Ok::<_, DecodeError>(Hole { offset: d.u64()?, length: d.u64()? })
        })?;
        if !xattrs.is_sorted_by(|a, b| a.name < b.name) {
            return Err(DecodeError::NotCanonical { what: "the order of a file's attributes" });
        }
        let mut end = None;
        for hole in &holes {
            let next = hole.offset.checked_add(hole.length);
            if hole.length == 0 || end >= Some(hole.offset) || next.is_none() {
                return Err(DecodeError::NotCanonical { what: "the order of a file's holes" });
            }
            end = next;
        }
        Ok(Self { target, xattrs, holes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> FileEntry {
        FileEntry {
            kind: EntryKind::File,
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            user: b"user".to_vec(),
            group: b"group".to_vec(),
            mtime: Timestamp { seconds: -1, nanos: 999_999_999 },
            ctime: Timestamp { seconds: 7, nanos: 0 },
            size: 70,
            inode: 9,
            link: Some(LinkGroup { device: 3 }),
            device: 0,
            content: Content::Chunks(vec![(ChunkId::from_bytes([1; 32]), 60)]),
            extra: ExtraAt::Inline(Extra {
                target: Vec::new(),
                xattrs: vec![Xattr { name: b"user.a".to_vec(), value: b"b".to_vec() }],
                holes: vec![Hole { offset: 0, length: 10 }],
            }),
        }
    }

    #[test]
    fn an_entry_reads_back_and_nothing_shorter_or_longer_does() {
        let bytes = entry().encode();
        assert_eq!(FileEntry::decode(&bytes), Ok(entry()));
        for length in 0..bytes.len() {
            assert!(FileEntry::decode(&bytes[..length]).is_err());
        }
        assert!(FileEntry::decode(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn the_longest_entry_without_inline_extra_keeps_the_limit() {
        let mut entry = entry();
        entry.user = vec![b'u'; OWNER_NAME_BYTES_MAX];
        entry.group = vec![b'g'; OWNER_NAME_BYTES_MAX];
        entry.content = Content::Chunks(vec![(ChunkId::from_bytes([1; 32]), 1); CHUNKS_INLINE_MAX]);
        entry.extra = ExtraAt::Chunk(ChunkId::from_bytes([2; 32]));
        assert!(entry.encode().len() <= ENTRY_BYTES_MAX, "{}", entry.encode().len());
    }

    #[test]
    fn fields_that_contradict_one_another_are_refused() {
        let inline = |extra: Extra| ExtraAt::Inline(extra);
        let target = || Extra { target: b"there".to_vec(), ..Extra::default() };
        let folder = |f: &mut FileEntry| {
            (f.kind, f.size, f.content, f.extra) =
                (EntryKind::Folder, 0, Content::EMPTY, ExtraAt::None);
        };
        let bad: [&dyn Fn(&mut FileEntry); 9] = [
            &|f| f.size = 69,
            &|f| f.size = 71,
            &|f| f.extra = ExtraAt::None,
            &|f| f.extra = inline(target()),
            &|f| f.device = 1,
            &|f| (f.size, f.extra) = (59, ExtraAt::Chunk(ChunkId::from_bytes([2; 32]))),
            &|f| {
                folder(f);
                f.kind = EntryKind::Symlink;
            },
            &|f| {
                folder(f);
                f.size = 1;
            },
            &|f| {
                let holes = vec![Hole { offset: 0, length: 10 }];
                folder(f);
                f.extra = inline(Extra { holes, ..Extra::default() });
            },
        ];
        for (number, change) in bad.iter().enumerate() {
            let mut entry = entry();
            change(&mut entry);
            assert!(FileEntry::decode(&entry.encode()).is_err(), "change {number} was taken");
        }
    }

    #[test]
    fn holes_that_touch_or_overlap_are_refused() {
        let hole = |offset, length| Hole { offset, length };
        for holes in [vec![hole(5, 0)], vec![hole(0, 5), hole(5, 1)], vec![hole(1, u64::MAX)]] {
            let extra = Extra { holes, ..Extra::default() };
            assert!(Extra::decode(&extra.encode()).is_err(), "{extra:?}");
        }
    }
}
