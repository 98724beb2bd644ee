//! Small trees of files, as a backup would write and a restore would read them.
//!
//! A file's content is a number; equal numbers are equal bytes, so sessions share chunks. What a
//! tree takes over from its base it takes over unseen, as a backup does with files that did not
//! change; all else is stored through a lane.

use std::collections::{BTreeMap, BTreeSet};

use crypto::{DomainId, Entropy, SeededEntropy};
use format::{
    ChunkId, ChunkKind, ChunkRef, Content, EntryKind, ExtraAt, FileEntry, Node, PathKey, Timestamp,
};
use testkit::simulation::Dice;
use tree::{Boundary, Builder};
use vault::{Error, Reader, Result, Writer};

/// Files by number, contents by number.
pub(crate) type Files = BTreeMap<u8, u16>;

/// Contents by key, as they read back.
pub(crate) type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// A tree that was written.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) domain: DomainId,
    pub(crate) files: Files,
    chunks: BTreeMap<u8, ChunkId>,
    pub(crate) root: ChunkId,
}

/// The bytes of a content.
pub(crate) fn bytes_of(content: u16) -> Vec<u8> {
    let mut bytes = vec![0; 20 + usize::from(content % 60)];
    SeededEntropy::new(content.into()).fill(&mut bytes);
    bytes
}

/// What a source may look like some time after it looked so.
pub(crate) fn changed(files: &Files, contents: u64, dice: &mut Dice) -> Files {
    let mut files = files.clone();
    for _ in 0..dice.below(4) {
        files.insert(dice.below(6) as u8, dice.below(contents) as u16);
    }
    if dice.chance(1, 4) {
        files.remove(&(dice.below(6) as u8));
    }
    if files.is_empty() {
        files.insert(0, dice.below(contents) as u16);
    }
    files
}

/// Writes a tree; `rest` is called between files.
pub(crate) fn write(
    writer: &Writer,
    files: &Files,
    base: Option<&Tree>,
    mut rest: impl FnMut(),
) -> Result<Tree> {
    let check = writer.must_check_inherited();
    let good = |kind, id| Ok::<_, Error>(!check || writer.is_stored(ChunkRef { kind, id })?);
    let mut lane = writer.lane();
    let mut chunks = BTreeMap::new();
    for (file, content) in files {
        let inherited = base.filter(|base| base.files.get(file) == Some(content));
        let chunk = match inherited.map(|base| base.chunks[file]) {
            Some(chunk) if good(ChunkKind::Content, chunk)? => chunk,
            _ => {
                rest();
                lane.store(ChunkKind::Content, &bytes_of(*content))?.chunk.id
            }
        };
        chunks.insert(*file, chunk);
    }
    let same = base.filter(|base| base.files == *files);
    let root = match same.map(|base| base.root) {
        Some(root) if good(ChunkKind::Node, root)? => root,
        _ => {
            let (leaf, interior) = writer.trees().files;
            let boundary = Boundary::new(writer.tree_key(), leaf, interior);
            let mut builder = Builder::new(boundary, lane.nodes());
            for (file, chunk) in &chunks {
                let entry = entry(*chunk, bytes_of(files[file]).len() as u32);
                builder.push(key(*file).as_bytes(), &entry.encode()).map_err(stored)?;
            }
            builder.finish().map_err(stored)?.id
        }
    };
    lane.flush()?;
    Ok(Tree { domain: writer.domain(), files: files.clone(), chunks, root })
}

/// Reads a tree: its contents by file, and every chunk of it.
pub(crate) fn read(
    reader: &Reader,
    domain: DomainId,
    root: ChunkId,
) -> Result<(Contents, BTreeSet<ChunkRef>)> {
    let (mut contents, mut chunks) = (BTreeMap::new(), BTreeSet::new());
    let root = ChunkRef { kind: ChunkKind::Node, id: root };
    let node = reader.chunk(domain, root)?;
    chunks.insert(root);
    let node = Node::decode(&node).expect("what was written is a node");
    for index in 0..node.len() {
        let entry = FileEntry::decode(node.value(index)).expect("what was written is an entry");
        let Content::Chunks(content) = &entry.content else { panic!("no recipe was written") };
        let mut bytes = Vec::new();
        for (id, _) in content {
            let chunk = ChunkRef { kind: ChunkKind::Content, id: *id };
            bytes.extend_from_slice(&reader.chunk(domain, chunk)?);
            chunks.insert(chunk);
        }
        contents.insert(node.key(index).to_vec(), bytes);
    }
    Ok((contents, chunks))
}

/// The chunks of a tree, from its node alone: who may not read content can tell them.
pub(crate) fn chunks(
    reader: &Reader,
    domain: DomainId,
    root: ChunkId,
) -> Result<BTreeSet<ChunkRef>> {
    let root = ChunkRef { kind: ChunkKind::Node, id: root };
    let node = Node::decode(&reader.chunk(domain, root)?).expect("what was written is a node");
    let mut chunks = BTreeSet::from([root]);
    for index in 0..node.len() {
        let entry = FileEntry::decode(node.value(index)).expect("what was written is an entry");
        let Content::Chunks(content) = &entry.content else { panic!("no recipe was written") };
        chunks.extend(content.iter().map(|(id, _)| ChunkRef { kind: ChunkKind::Content, id: *id }));
    }
    Ok(chunks)
}

/// What reading a tree of these files must give.
pub(crate) fn expected(files: &Files) -> Contents {
    files.iter().map(|(f, content)| (key(*f).as_bytes().to_vec(), bytes_of(*content))).collect()
}

fn key(file: u8) -> PathKey {
    PathKey::from_path(format!("/{file}").as_bytes()).expect("a digit is a name")
}

fn entry(chunk: ChunkId, length: u32) -> FileEntry {
    FileEntry {
        kind: EntryKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        user: Vec::new(),
        group: Vec::new(),
        mtime: Timestamp::default(),
        ctime: Timestamp::default(),
        size: length.into(),
        inode: 0,
        link: None,
        device: 0,
        content: Content::Chunks(vec![(chunk, length)]),
        extra: ExtraAt::None,
    }
}

fn stored(error: tree::Error<Error>) -> Error {
    match error {
        tree::Error::Store(error) => error,
        other => panic!("a tree of a few files is within every limit: {other}"),
    }
}
