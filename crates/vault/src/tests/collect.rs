//! Collections through the vault's door: what is dead goes, what is live stays, whatever happens
//! in between.
//!
//! Snapshots here are real file trees of a few nodes, so a mark walks what it walks in earnest.
//! Time is moved by hand. Whatever a test does, a host that has nothing cached then reads every
//! byte of every snapshot.

use std::collections::BTreeSet;
use std::time::Duration;

use format::{
    Child, Content, Digest, EntryKind, ExtraAt, FileEntry, Node, NodeEncoder, PathKey, RecipeItem,
    RecipeNode, SessionId, Timestamp,
};
use ledger::PackStanding;
use places::Clock;

use super::*;

mod compaction;
mod crashes;
mod protocol;
mod random;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Files of one leaf.
const LEAF_FILES: usize = 3;

impl CollectProgress for Quiet {
    fn marked(&self, _: u64) {}
    fn deleted(&self, _: &str, _: u64) {}
}

/// Everything at once: no trash, no grace.
fn at_once() -> CollectOptions {
    CollectOptions { trash: Duration::ZERO, reader_grace: Duration::ZERO, ..Default::default() }
}

/// Everything at once, and as much compacted as can be.
fn compacting() -> CollectOptions {
    let compact =
        CompactOptions { max_live: Fraction::WHOLE, small_packs_max: 1, ..Default::default() };
    CollectOptions { compact: Some(compact), ..at_once() }
}

fn try_collect(vault: &mut Vault, options: &CollectOptions) -> Result<Collection> {
    vault.collect(options, &Quiet, &AtomicBool::new(false))
}

fn collect(vault: &mut Vault, options: &CollectOptions) -> Collection {
    try_collect(vault, options).unwrap()
}

/// Stores a tree of these files: leaves of a few files below one root; the last file of a leaf has
/// a recipe.
fn store_tree(writer: &Writer, contents: &[Vec<u8>]) -> Result<ChunkRef> {
    let mut lane = writer.lane();
    let mut children = Vec::new();
    for (number, files) in contents.chunks(LEAF_FILES).enumerate() {
        let mut leaf = NodeEncoder::new(0);
        for (nth, bytes) in files.iter().enumerate() {
            let chunk = lane.store(ChunkKind::Content, bytes)?.chunk;
            let length = bytes.len() as u32;
            let content = match nth + 1 == LEAF_FILES {
                false => Content::Chunks(vec![(chunk.id, length)]),
                true => {
                    let items = vec![RecipeItem { id: chunk.id, length: length.into() }];
                    let recipe = RecipeNode { level: 0, items }.encode();
                    let root = lane.store(ChunkKind::Recipe, &recipe)?.chunk.id;
                    Content::Recipe { root, level: 0 }
                }
            };
            let path = format!("/srv/{number:04}-{nth}");
            let key = PathKey::from_path(path.as_bytes()).unwrap();
            leaf.push(key.as_bytes(), &entry(content, length.into()).encode());
        }
        let last = leaf.last_key().to_vec();
        let id = lane.store(ChunkKind::Node, &leaf.take())?.chunk.id;
        children.push((last, Child { id, count: files.len() as u64, bytes: 1 }));
    }
    let mut root = NodeEncoder::new(1);
    children.iter().for_each(|(key, child)| root.push(key, &child.encode()));
    let root = lane.store(ChunkKind::Node, &root.take())?.chunk;
    lane.flush()?;
    Ok(root)
}

fn entry(content: Content, size: u64) -> FileEntry {
    FileEntry {
        kind: EntryKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        user: Vec::new(),
        group: Vec::new(),
        mtime: Timestamp::default(),
        ctime: Timestamp::default(),
        size,
        inode: 1,
        link: None,
        device: 0,
        content,
        extra: ExtraAt::None,
    }
}

/// A whole backup of these files: walks again when a pack that it relied on came to harm.
fn try_back_up(vault: &mut Vault, contents: &[Vec<u8>]) -> Result<SessionId> {
    let mut writer = vault.write(WriteOptions::default())?;
    loop {
        let root = store_tree(&writer, contents)?;
        if let CommitOutcome::Committed(committed) = writer.commit(draft(root))? {
            return Ok(committed.snapshot);
        }
    }
}

fn back_up_tree(vault: &mut Vault, contents: &[Vec<u8>]) -> SessionId {
    try_back_up(vault, contents).unwrap()
}

fn forget(vault: &mut Vault, snapshot: SessionId) {
    vault.ensure_member().unwrap();
    let draft = Draft::on_snapshots(Kind::Forget, [snapshot]);
    vault.ledger().append_one(draft).unwrap();
}

/// Every file of a snapshot.
fn restore(vault: &mut Vault, snapshot: SessionId) -> Result<Vec<Vec<u8>>> {
    let snapshot = vault.snapshot(snapshot)?;
    let reader = vault.reader()?;
    let domain = snapshot.domain;
    let read = |kind, id| reader.chunk(domain, ChunkRef { kind, id });
    let root = Node::decode(&read(ChunkKind::Node, snapshot.descriptor.unwrap().root)?).unwrap();
    let mut files = Vec::new();
    for child in 0..root.len() {
        let child = Child::decode(root.value(child)).unwrap();
        let leaf = Node::decode(&read(ChunkKind::Node, child.id)?).unwrap();
        for file in 0..leaf.len() {
            let id = match FileEntry::decode(leaf.value(file)).unwrap().content {
                Content::Chunks(chunks) => chunks[0].0,
                Content::Recipe { root, .. } => {
                    RecipeNode::decode(&read(ChunkKind::Recipe, root)?).unwrap().items[0].id
                }
            };
            files.push(read(ChunkKind::Content, id)?.to_vec());
        }
    }
    Ok(files)
}

/// Some files; those of equal seeds are equal.
fn files(seeds: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
    seeds.into_iter().map(|seed| noise(seed, 2000 + seed as usize % 500)).collect()
}

impl World {
    fn host(&self, name: &str) -> Vault {
        self.open_at(Arc::new(self.place.clone()), name)
    }

    /// A collector's key and host.
    fn collector(&self) -> Vault {
        let bundle = self.open().issue_bundle(Role::Collector, DomainChoice::Default, "gc");
        self.open_with(Arc::new(self.place.clone()), "gc", bundle.unwrap())
    }

    fn packs(&self) -> BTreeSet<Digest> {
        let names = self.place.names();
        let named = names.iter().filter_map(format::NamedObject::parse);
        named
            .filter_map(|object| match object {
                format::NamedObject::Pack(name) => Some(name),
                _ => None,
            })
            .collect()
    }

    /// Reads every byte of these snapshots with an empty cache.
    #[track_caller]
    fn expect_whole<'a>(
        &self,
        wanted: impl IntoIterator<Item = (&'a SessionId, &'a Vec<Vec<u8>>)>,
    ) {
        let bundle = Bundle::decode(&self.bundle.encode()).unwrap();
        let components = self.components(Arc::new(self.place.clone()));
        let keyring = Keyring::from_bundle(bundle);
        let mut vault = Vault::open(components, &Folders::default(), keyring, "checker").unwrap();
        for (snapshot, contents) in wanted {
            let restored = restore(&mut vault, *snapshot).unwrap();
            assert!(restored == *contents, "snapshot {snapshot} holds other bytes");
        }
    }
}
