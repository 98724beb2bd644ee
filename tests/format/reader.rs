//! The independent reader: every vector, and whole vaults made by the program.
//!
//! `reader.py` knows FORMAT.md and no line of the program. It gets a folder and a key file, so what
//! it brings back shows that a vault outlives the program. Its Python packages are installed by
//! `scripts/setup`; without them these tests fail, as a reader that is not run proves nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crypto::{Bundle, DomainId, Epoch, Role, SeededEntropy};

use crate::vector;

#[test]
fn the_independent_reader_judges_every_vector_as_it_says() {
    let output = python("judging.py").arg(vector::folder()).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn a_vault_made_by_the_program_reads_back_by_the_text_alone() {
    for suite in ["aes-256-gcm", "chacha20-poly1305"] {
        let world = World::new(suite);
        world.backup();
        world.change();
        world.backup();

        let roles: &[Role] =
            if suite == "aes-256-gcm" { &[Role::Owner, Role::Reader] } else { &[Role::Owner] };
        for key in roles.iter().map(|role| world.key(*role)) {
            let listing = world.read(&key, &["--list"], &world.source());
            assert!(listing.status.success(), "{suite}: {}", told(&listing));
            assert_eq!(sorted(&listing.stdout), world.listing(), "{suite}");
            for (path, content) in world.files() {
                let read = world.read(&key, &[], &path);
                assert!(read.status.success(), "{suite}: {}: {}", path.display(), told(&read));
                assert!(read.stdout == content, "{suite}: {} differs", path.display());
            }
        }
    }
}

#[test]
fn a_role_without_the_keys_reads_nothing() {
    let world = World::new("aes-256-gcm");
    world.backup();
    for role in [Role::Writer, Role::Auditor, Role::Browser] {
        let path = world.source().join("small/7");
        let read = world.read(&world.key(role), &[], &path);
        assert!(!read.status.success() && read.stdout.is_empty(), "{role}: {}", told(&read));
        assert!(told(&read).contains("denied"), "{role}: {}", told(&read));
    }
}

#[test]
fn a_changed_byte_of_any_object_is_noticed() {
    let world = World::new("aes-256-gcm");
    world.backup();
    let vault = world.folder().join("vault");
    for part in ["config", "ledger", "index", "packs"] {
        for object in objects(&vault.join(part)) {
            let bytes = std::fs::read(&object).unwrap();
            let mut changed = bytes.clone();
            // In the middle of a pack or run all is sealed.
            changed[bytes.len() / 2] ^= 1;
            std::fs::write(&object, changed).unwrap();
            let failed = world.files().iter().any(|(path, content)| {
                let read = world.read(&world.owner_key(), &[], path);
                let wrong = read.status.success() && read.stdout != *content;
                assert!(!wrong, "{} changed: wrong bytes came back", object.display());
                !read.status.success()
            });
            assert!(failed, "{} changed, and nobody noticed", object.display());
            std::fs::write(&object, bytes).unwrap();
        }
    }
}

/// A vault in a folder and a source beside it.
struct World {
    guard: tempfile::TempDir,
}

impl World {
    fn new(suite: &str) -> Self {
        let world = Self { guard: tempfile::tempdir().unwrap() };
        world.write("empty", b"");
        world.write("one-chunk", &noise(1, 100_000));
        // More than 8 chunks: a recipe.
        world.write("many-chunks", &noise(2, 14 << 20));
        world.write("text", &b"the same line again and again\n".repeat(20_000));
        for number in 0..300 {
            world.write(&format!("small/{number}"), format!("file {number}").as_bytes());
        }
        let odd = OsStr::from_bytes(b"caf\xe9 \x01\x02");
        std::fs::write(world.source().join(odd), b"an odd name").unwrap();
        let sparse = std::fs::File::create(world.source().join("sparse")).unwrap();
        sparse.set_len(8 << 20).unwrap();
        sparse.write_all_at(b"an island", 4 << 20).unwrap();
        std::os::unix::fs::symlink("small/7", world.source().join("link")).unwrap();
        let key = world.owner_key();
        world.run(&["init", "--suite", suite, "--pack-size", "4MiB", "--label", "host"], &key);
        world
    }

    /// What a second snapshot has to hold.
    fn change(&self) {
        self.write("small/7", b"changed");
        self.write("new", b"new");
        std::fs::remove_file(self.source().join("one-chunk")).unwrap();
    }

    fn backup(&self) {
        let source = self.source();
        self.run(&["backup", source.to_str().unwrap()], &self.owner_key());
    }

    fn run(&self, arguments: &[&str], key: &Path) {
        let folder = self.folder();
        let output = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .args(arguments)
            .arg("--vault")
            .arg(folder.join("vault"))
            .arg("--key")
            .arg(key)
            .arg("--cache-dir")
            .arg(folder.join("cache"))
            .arg("--state-dir")
            .arg(folder.join("state"))
            .env("HOME", &folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "strongroom {arguments:?}: {}", told(&output));
    }

    fn read(&self, key: &Path, arguments: &[&str], path: &Path) -> Output {
        python("reader.py")
            .arg("--vault")
            .arg(self.folder().join("vault"))
            .arg("--key")
            .arg(key)
            .args(arguments)
            .arg(path)
            .output()
            .unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.guard.path().canonicalize().unwrap()
    }

    fn source(&self) -> PathBuf {
        self.folder().join("source")
    }

    fn owner_key(&self) -> PathBuf {
        self.folder().join("owner.key")
    }

    /// A key file of another role, made from the owner's.
    fn key(&self, role: Role) -> PathBuf {
        let text = std::fs::read_to_string(self.owner_key()).unwrap();
        let owner = Bundle::from_key_file(&text).unwrap();
        let (root, suite) = (owner.root().unwrap(), owner.suite());
        let entropy = SeededEntropy::new(1);
        let bundle =
            Bundle::for_role(root, suite, role, DomainId::DEFAULT, Epoch(0), &entropy).unwrap();
        let path = self.folder().join(format!("{role}.key"));
        std::fs::write(&path, bundle.to_key_file().as_bytes()).unwrap();
        path
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.source().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The regular files of the source, but only a few of the many small ones.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let few = |path: &PathBuf| {
            !path.parent().unwrap().ends_with("small")
                || path.ends_with("small/7")
                || path.ends_with("small/299")
        };
        let regular = |path: &PathBuf| path.symlink_metadata().unwrap().is_file();
        objects(&self.source())
            .into_iter()
            .filter(|path| few(path) && regular(path))
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect()
    }

    /// What the reader lists: type and path, a line each, in the order of their bytes.
    fn listing(&self) -> Vec<Vec<u8>> {
        let mut lines: Vec<Vec<u8>> = objects(&self.source())
            .into_iter()
            .chain([self.source().join("small")])
            .map(|path| {
                let kind = path.symlink_metadata().unwrap().file_type();
                let name = match () {
                    () if kind.is_dir() => "folder",
                    () if kind.is_symlink() => "symlink",
                    () => "file",
                };
                [name.as_bytes(), b" ", &path.into_os_string().into_vec()].concat()
            })
            .collect();
        lines.sort();
        lines
    }
}

/// All but folders below `folder`, or the file that it is.
fn objects(folder: &Path) -> Vec<PathBuf> {
    if !folder.symlink_metadata().unwrap().is_dir() {
        return vec![folder.to_owned()];
    }
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| objects(path)).collect()
}

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    crypto::Entropy::fill(&SeededEntropy::new(seed), &mut bytes);
    bytes
}

fn sorted(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> =
        text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect();
    lines.sort();
    lines
}

/// A script of this folder, to be run with the packages that it needs.
fn python(script: &str) -> Command {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let tools = || {
        set("STRONGROOM_TOOLS").unwrap_or_else(|| {
            set("HOME").expect("the tools lie below HOME").join(".cache/strongroom")
        })
    };
    let python = set("STRONGROOM_PYTHON").unwrap_or_else(|| tools().join("venv/bin/python"));
    assert!(
        python.exists(),
        "{} is missing: run scripts/setup, which installs the independent reader's packages",
        python.display()
    );
    let mut command = Command::new(python);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format");
    command.arg("-B").arg(folder.join(script));
    command
}

fn told(output: &Output) -> String {
    let text = [&output.stdout[..output.stdout.len().min(2000)], &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}
