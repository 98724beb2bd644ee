//! Collecting, measured: the memory of a mark, a collection with nothing to do, reading all data.
//!
//! The mark goes over a made-up vault, in a process of its own whose peak memory is printed; the
//! other two over vaults that are really written. Sizes are small unless they are given: `cargo
//! bench --bench collect -- mark=100000000 reached=10000000 idle=1000000 verify=1024 in=FOLDER`
//! (chunks of the index, those that the tree reaches, chunks, MiB; 0 leaves a part out; the mark
//! takes 60 bytes of disk for each chunk). Machines are noisy: compare CPU seconds, and figures of
//! one run. Beside peers: `benches/compare/collect.py`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crypto::{
    Expected, Header, Keyring, ObjectKind, OpenedObject, RootSecret, SeededEntropy, Unwrapping,
};
use format::{
    Child, ChunkKind, ChunkRef, Codec, Content, ExtraAt, NodeEncoder, PathKey, RecipeItem,
    RecipeNode, split_pack,
};
use rustix::time::{ClockId, clock_gettime};
use strongroom::*;
use testkit::Forest;
use vault::{CommitOutcome, MadeUpVault, SnapshotDraft, WriteOptions, Writer};

type Outcome<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Chunks of a pack of the made-up vault: 32 KiB each as they are stored.
const PACK_CHUNKS: u64 = 1000;
/// Chunks below one recipe, files in one leaf of the tree.
const RECIPE_CHUNKS: usize = 200;
const LEAF_FILES: usize = 50;

fn main() -> Outcome {
    // `cargo test --benches` runs this too: it only has to compile then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let given = |name: &str| {
        std::env::args().rev().find_map(|argument| Some(argument.strip_prefix(name)?.to_owned()))
    };
    let number = |name: &str, otherwise: u64| given(name).map_or(Ok(otherwise), |n| n.parse());
    let base = given("in=").map_or_else(std::env::temp_dir, PathBuf::from);
    let mark = number("mark=", 200_000)?;
    let made_up = MadeUpVault::new(mark, number("reached=", mark / 10 * 9)?, PACK_CHUNKS);
    if given("measured=").is_some() {
        return mark_and_print(made_up, &base);
    }
    let folder =
        std::path::absolute(base)?.join(format!("strongroom-bench-{}", std::process::id()));
    let (idle, verify) = (number("idle=", 20_000)?, number("verify=", 64)?);
    in_folder(&folder, mark, || measure_mark(made_up, &folder))?;
    in_folder(&folder, idle, || measure_idle(idle, &folder))?;
    in_folder(&folder, verify, || measure_verify(verify, &folder))
}

/// Measures something of this size, if it has any, in a folder that is removed afterwards.
fn in_folder(folder: &Path, size: u64, measure: impl FnOnce() -> Outcome) -> Outcome {
    if size == 0 {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    let measured = measure();
    std::fs::remove_dir_all(folder)?;
    measured
}

/// Marks a made-up vault in another process.
fn measure_mark(made_up: MadeUpVault, folder: &Path) -> Outcome {
    let began = Instant::now();
    made_up.write_index(folder)?;
    println!("wrote an index of {} chunks in {:.1} s", made_up.chunks(), seconds(began));
    let status = std::process::Command::new(std::env::current_exe()?)
        .args(std::env::args().filter(|argument| argument.contains('=')))
        .args(["measured=yes".into(), format!("in={}", folder.display())])
        .status()?;
    if status.success() { Ok(()) } else { Err("the mark came to an end".into()) }
}

fn mark_and_print(made_up: MadeUpVault, folder: &Path) -> Outcome {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let found = made_up.mark(folder)?;
    assert_eq!(found.live_chunks, made_up.live_chunks());
    println!(
        "mark of {} chunks and tally of {} in {} packs, {} dead: {:.1} s, {:.1} CPU s, peak {} MiB",
        made_up.live_chunks(),
        made_up.chunks(),
        found.packs,
        found.dead_packs,
        seconds(began),
        cpu_seconds() - cpu,
        peak_memory()? >> 20,
    );
    Ok(())
}

/// Collects twice where nothing is to be collected.
fn measure_idle(chunks: u64, folder: &Path) -> Outcome {
    let world = World::new(folder)?;
    {
        let mut vault = world.open()?;
        let mut writer = vault.write(WriteOptions::default())?;
        let root = store_many(&writer, chunks)?;
        commit(&mut writer, root)?;
    }
    for which in ["first", "second", "third"] {
        let (began, cpu) = (Instant::now(), cpu_seconds());
        let mut vault = world.open()?;
        let found = vault.collect(&CollectOptions::default(), &Silent, &AtomicBool::new(false))?;
        assert_eq!((found.freed_bytes(), found.stopped.len(), found.suspected), (0, 0, 0));
        println!(
            "{which} collect of {chunks} chunks, with nothing to do: {:.2} s, {:.2} CPU s",
            seconds(began),
            cpu_seconds() - cpu,
        );
    }
    Ok(())
}

/// Stores so many chunks of a few bytes, and a tree of files above them.
fn store_many(writer: &Writer, chunks: u64) -> Outcome<ChunkRef> {
    let mut lane = writer.lane();
    let mut leaves = Vec::new();
    let mut leaf = NodeEncoder::new(0);
    let numbers: Vec<u64> = (0..chunks).collect();
    for (file, some) in numbers.chunks(RECIPE_CHUNKS).enumerate() {
        let mut items = Vec::new();
        for number in some {
            let id = lane.store(ChunkKind::Content, &number.to_le_bytes())?.chunk.id;
            items.push(RecipeItem { id, length: 8 });
        }
        let recipe = RecipeNode { level: 0, items }.encode();
        let root = lane.store(ChunkKind::Recipe, &recipe)?.chunk.id;
        let key = PathKey::from_path(format!("/srv/{file:08}").as_bytes())?;
        let size = some.len() as u64 * 8;
        leaf.push(key.as_bytes(), &entry(Content::Recipe { root, level: 0 }, size).encode());
        if leaf.count() as usize == LEAF_FILES {
            leaves.push((leaf.last_key().to_vec(), leaf.count(), leaf.take()));
        }
    }
    if leaf.count() > 0 {
        leaves.push((leaf.last_key().to_vec(), leaf.count(), leaf.take()));
    }
    let mut root = NodeEncoder::new(1);
    for (key, count, bytes) in leaves {
        let id = lane.store(ChunkKind::Node, &bytes)?.chunk.id;
        root.push(&key, &Child { id, count: count.into(), bytes: bytes.len() as u64 }.encode());
    }
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

fn commit(writer: &mut Writer, root: ChunkRef) -> Outcome {
    let draft = SnapshotDraft {
        name: "bench".into(),
        paths: vec![b"/srv".to_vec()],
        tags: vec![],
        start: Time::from_millis(0),
        end: None,
        root: root.id,
        content: SnapshotContent::Files,
        counts: Counts::default(),
    };
    match writer.commit(draft)? {
        CommitOutcome::Committed(_) => Ok(()),
        other => Err(format!("the commit ended as {other:?}").into()),
    }
}

/// Reads all data, and holds the CPU time to that of the stages on the same bytes.
fn measure_verify(mib: u64, folder: &Path) -> Outcome {
    let world = World::new(folder)?;
    let source = folder.join("source");
    std::fs::create_dir_all(&source)?;
    let mut forest = Forest::new(2);
    for nth in 0..mib.div_ceil(16) {
        std::fs::write(source.join(format!("noise-{nth}")), forest.noise(8 << 20))?;
        std::fs::write(source.join(format!("text-{nth}")), forest.text(8 << 20))?;
    }
    let mut vault = world.open()?;
    let options = BackupOptions::new(
        "bench",
        vec![absolute_path(&source, "".as_ref())?],
        Time::from_millis(0),
    );
    backup(&mut vault, &options, &Quiet, &Cancel::new())?;
    for _ in 0..2 {
        let stages = Stages::of(&vault, &folder.join("vault/packs"))?;
        let (began, cpu) = (Instant::now(), cpu_seconds());
        let options = VerifyOptions::new(Reading::All);
        let found = vault.verify(&options, &Silent, &AtomicBool::new(false))?;
        assert!(found.damage.is_empty());
        let (wall, cpu) = (seconds(began), cpu_seconds() - cpu);
        let Stages { bytes, read, digest, open, decompress, name } = stages;
        let sum = read + digest + open + decompress + name;
        println!(
            "verify --data of {} MiB of packs: {wall:.2} s, {cpu:.2} CPU s; its stages: read \
             {read:.2}, BLAKE3 of packs {digest:.2}, open {open:.2}, decompress {decompress:.2}, \
             BLAKE3 of chunks {name:.2}, in all {sum:.2} CPU s = {:.0} %",
            bytes >> 20,
            100.0 * sum / cpu,
        );
    }
    Ok(())
}

/// What each stage of reading all packs costs by itself, in CPU seconds.
#[derive(Default)]
struct Stages {
    bytes: u64,
    read: f64,
    digest: f64,
    open: f64,
    decompress: f64,
    name: f64,
}

impl Stages {
    fn of(vault: &Vault, packs: &Path) -> Outcome<Self> {
        let mut stages = Self::default();
        for folder in std::fs::read_dir(packs)? {
            for file in std::fs::read_dir(folder?.path())? {
                stages.add(vault, &file?.path())?;
            }
        }
        Ok(stages)
    }

    fn add(&mut self, vault: &Vault, file: &Path) -> Outcome {
        let object = timed(&mut self.read, || std::fs::read(file))?;
        self.bytes += object.len() as u64;
        let digest = timed(&mut self.digest, || Digest::of(&object));
        assert!(file.ends_with(digest.to_string()));
        let Header { kind, epoch, vault_id, suite, .. } = Header::peek(&object)?;
        let secret = match kind {
            ObjectKind::ContentPack => vault.keyring().content_secret(epoch)?,
            _ => vault.keyring().meta_secret(epoch)?,
        };
        let expected = Expected { kind, vault_id, suite };
        let payload = timed(&mut self.open, || {
            OpenedObject::open_whole(&object, Unwrapping::Kem(&secret), expected)
        })?;
        let (mut rest, directory) = split_pack(&payload, kind)?;
        let mut context = zstd::bulk::Decompressor::new()?;
        for frame in &directory.frames {
            let (stored, left) = rest.split_at(frame.stored_length as usize);
            rest = left;
            let plain = timed(&mut self.decompress, || match frame.codec {
                Codec::None => Ok(None),
                Codec::Zstd => context.decompress(stored, frame.plain_length() as usize).map(Some),
            })?;
            let mut plain = plain.as_deref().unwrap_or(stored);
            for chunk in &frame.chunks {
                let (bytes, left) = plain.split_at(chunk.length as usize);
                plain = left;
                timed(&mut self.name, || std::hint::black_box(Digest::of(bytes)));
            }
        }
        Ok(())
    }
}

/// A vault in a folder, and a host's home beside it.
struct World {
    folder: PathBuf,
    place: Arc<dyn Place>,
}

impl World {
    fn new(folder: &Path) -> Outcome<Self> {
        let url: PlaceUrl = folder.join("vault").to_string_lossy().parse()?;
        let place = create_place(&url, &PlaceOptions::default(), Arc::new(SystemClock))?;
        let world = Self { folder: folder.to_path_buf(), place };
        let options = CreateOptions {
            suite: preferred_suite(),
            protection: Protection::Kept(&Bundle::owner(root_secret(), preferred_suite())),
            label: "bench",
            pack_size: None,
        };
        Vault::create(world.components(), &world.folders(), &options)?;
        Ok(world)
    }

    fn open(&self) -> Outcome<Vault> {
        let keyring = Keyring::from_bundle(Bundle::owner(root_secret(), preferred_suite()));
        Ok(Vault::open(self.components(), &self.folders(), keyring, "bench")?)
    }

    fn components(&self) -> Components {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        Components { place: self.place.clone(), clock, entropy }
    }

    fn folders(&self) -> Folders {
        let (cache, state) = (self.folder.join("cache"), self.folder.join("state"));
        Folders { cache: Some(cache), state: Some(state) }
    }
}

fn root_secret() -> RootSecret {
    RootSecret::draw(&SeededEntropy::new(3))
}

struct Silent;

impl VerifyProgress for Silent {
    fn object(&self, _: &str, _: u64) {}
}

impl CollectProgress for Silent {
    fn marked(&self, _: u64) {}
    fn deleted(&self, _: &str, _: u64) {}
}

fn timed<T>(sum: &mut f64, work: impl FnOnce() -> T) -> T {
    let began = cpu_seconds();
    let done = work();
    *sum += cpu_seconds() - began;
    done
}

fn seconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory that this process ever had, in bytes.
fn peak_memory() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = peak.ok_or("no VmHWM")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}
