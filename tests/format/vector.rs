//! A vector as a file: header lines `name: value`, an empty line, then hex or lines of values.
//! Its folder names the structure; its header says what a decoder must find, or why it refuses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One vector.
pub(crate) struct Vector {
    /// `structure/case`.
    pub(crate) name: String,
    /// The structure that it shows.
    pub(crate) structure: String,
    /// `ok`, or the class of the error.
    pub(crate) expect: String,
    fields: BTreeMap<String, String>,
    body: String,
}

impl Vector {
    /// Every vector of the repository.
    pub(crate) fn all() -> Vec<Self> {
        let mut vectors = Vec::new();
        for structure in folders(&folder()) {
            for path in folders(&structure) {
                vectors.push(Self::read(&structure, &path));
            }
        }
        assert!(vectors.len() > 400, "vectors are missing: run cargo xtask vectors");
        vectors
    }

    /// Those of one structure.
    pub(crate) fn of(structure: &str) -> Vec<Self> {
        let vectors: Vec<Self> =
            Self::all().into_iter().filter(|v| v.structure == structure).collect();
        assert!(!vectors.is_empty(), "{structure} has no vectors");
        vectors
    }

    fn read(structure: &Path, path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let structure = structure.file_name().unwrap().to_string_lossy().into_owned();
        let name = format!("{structure}/{}", path.file_name().unwrap().to_string_lossy());
        let (header, body) = text.split_once("\n\n").unwrap_or_else(|| panic!("{name}: no body"));
        let fields: BTreeMap<String, String> = header
            .lines()
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line}")))
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let expect = fields["expect"].clone();
        Self { name, structure, expect, fields, body: body.into() }
    }

    /// The text of a header line.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).unwrap_or_else(|| panic!("{}: no line {field}", self.name))
    }

    /// The text of a header line that need not be there.
    pub(crate) fn optional(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    /// A header line in hex.
    pub(crate) fn hex(&self, field: &str) -> Vec<u8> {
        unhex(self.text(field))
    }

    /// A header line as a number or an id.
    pub(crate) fn value<T: std::str::FromStr>(&self, field: &str) -> T {
        let parsed = self.text(field).parse().ok();
        parsed.unwrap_or_else(|| panic!("{}: the line {field} does not parse", self.name))
    }

    /// Whether the body is lines of values; `tables.rs` judges those.
    pub(crate) fn is_table(&self) -> bool {
        let tables = ["boundary", "chunk-id", "cuts", "key-schedule", "padding"];
        tables.contains(&&self.structure[..])
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        unhex(&self.body.split_whitespace().collect::<String>())
    }

    /// The lines of a table, each its words.
    pub(crate) fn lines(&self) -> Vec<Vec<&str>> {
        self.body.lines().map(|line| line.split(' ').collect()).collect()
    }
}

/// Where the vectors lie.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/vectors")
}

/// The bytes of a hex text; `-` has none.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let text = if text == "-" { "" } else { text };
    assert!(text.len().is_multiple_of(2), "odd hex: {text}");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
