//! `cargo xtask vectors`: writes the examples of the format that any language can read.
//!
//! A vector is a text file below `tests/format/vectors/`: header lines `name: value`, an empty
//! line, then the bytes in hex. The folder says which structure it shows, `expect` whether a
//! decoder takes it (`ok`) or why not. All are made from fixed seeds, so the same code writes the
//! same files; a test fails when it would write others, which is how a change of the format is
//! noticed. FORMAT.md.

mod files;
mod keys;
mod packs;
mod records;
mod sealed;
mod tables;
mod trees;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// Writes all vectors below `root`, and removes those that are no more.
pub(crate) fn run(root: &Path) -> ExitCode {
    let folder = root.join(FOLDER);
    match write(&folder) {
        Ok(count) => {
            println!("{count} vectors in {FOLDER}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

const FOLDER: &str = "tests/format/vectors";

fn write(folder: &Path) -> std::io::Result<usize> {
    let vectors = all();
    for name in present(folder)? {
        if !vectors.contains_key(&name) {
            std::fs::remove_file(folder.join(name))?;
        }
    }
    for (name, text) in &vectors {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(vectors.len())
}

/// The names of the vectors that are there, as `structure/case`.
fn present(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    if !folder.exists() {
        return Ok(names);
    }
    for structure in std::fs::read_dir(folder)? {
        let structure = structure?;
        for case in std::fs::read_dir(structure.path())? {
            let (structure, case) = (structure.file_name(), case?.file_name());
            names.push(format!("{}/{}", structure.to_string_lossy(), case.to_string_lossy()));
        }
    }
    Ok(names)
}

/// Every vector's text, by its name.
fn all() -> BTreeMap<String, String> {
    let mut set = Set::default();
    keys::add(&mut set);
    sealed::add(&mut set);
    records::add(&mut set);
    packs::add(&mut set);
    trees::add(&mut set);
    files::add(&mut set);
    tables::add(&mut set);
    set.0
}

/// The vectors made so far.
#[derive(Default)]
struct Set(BTreeMap<String, String>);

impl Set {
    /// Vectors of one structure, with header lines that all of them carry.
    fn structure(&mut self, structure: &'static str, fields: &[(&str, String)]) -> Cases<'_> {
        let fields = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        Cases { set: self, structure, fields }
    }
}

struct Cases<'a> {
    set: &'a mut Set,
    structure: &'static str,
    fields: String,
}

impl Cases<'_> {
    /// Bytes that a decoder takes, with what it finds in them.
    fn good(&mut self, name: &str, comment: &str, found: &[(&str, String)], bytes: &[u8]) {
        let found: String =
            found.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        self.put(name, "ok", comment, &found, &hex_lines(bytes));
    }

    /// Bytes that a decoder refuses, and why.
    fn bad(&mut self, name: &str, expect: &str, comment: &str, bytes: &[u8]) {
        self.put(name, expect, comment, "", &hex_lines(bytes));
    }

    /// What every structure refuses: one byte less, one more, nothing at all.
    fn bad_ends(&mut self, bytes: &[u8]) {
        self.bad("one-byte-short", "short", "the last byte is missing", &bytes[..bytes.len() - 1]);
        self.bad("one-byte-long", "trailing", "a byte follows the last field", &with(bytes, &[0]));
        self.bad("empty", "short", "there are no bytes", &[]);
    }

    /// A version that nobody knows, in the first byte.
    fn bad_version(&mut self, bytes: &[u8]) {
        self.bad("version-2", "version", "the version is 2", &set(bytes, 0, &[2]));
    }

    /// Lines of values instead of bytes.
    fn table(&mut self, name: &str, comment: &str, lines: &[String]) {
        self.put(name, "ok", comment, "", &(lines.join("\n") + "\n"));
    }

    fn put(&mut self, name: &str, expect: &str, comment: &str, found: &str, body: &str) {
        let name = format!("{}/{name}", self.structure);
        let text = format!("expect: {expect}\ncomment: {comment}\n{}{found}\n{body}", self.fields);
        let before = self.set.0.insert(name.clone(), text);
        assert!(before.is_none(), "two vectors are called {name}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex_lines(bytes: &[u8]) -> String {
    bytes.chunks(48).map(|line| hex(line) + "\n").collect()
}

/// `bytes` with others at `at`.
fn set(bytes: &[u8], at: usize, others: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at..at + others.len()].copy_from_slice(others);
    changed
}

/// `bytes` with the lowest bit of one byte changed.
fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    set(bytes, at, &[bytes[at] ^ 1])
}

/// `bytes`, then others.
fn with(bytes: &[u8], others: &[u8]) -> Vec<u8> {
    [bytes, others].concat()
}

/// `bytes` without those of `range`, and others in their place.
fn splice(bytes: &[u8], range: std::ops::Range<usize>, others: &[u8]) -> Vec<u8> {
    [&bytes[..range.start], others, &bytes[range.end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_in_the_repository_are_those_that_the_code_makes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FOLDER);
        let vectors = all();
        for name in present(&folder).unwrap() {
            assert!(vectors.contains_key(&name), "{name} is made no more: run cargo xtask vectors");
        }
        for (name, text) in vectors {
            let there = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
            assert!(there == text, "{name} would be written otherwise: run cargo xtask vectors");
        }
    }
}
