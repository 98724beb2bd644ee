//! Checks the rules of style and structure that the compiler does not know.
//!
//! Four parts: `layout` reads the manifests and folders, `source` reads one Rust file at a time,
//! `suites` reads the test suites, `promises` the texts that name tests. Each is a function from
//! text to findings; only this module reads the disk. The order of findings is the order of paths,
//! so two runs print the same.

mod layout;
mod promises;
mod scanner;
mod source;
mod suites;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One broken rule, at the place where to mend it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the project's root, with forward slashes.
    path: String,
    /// Counted from 1.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Checks the whole project at `root` and prints what it finds; fails when it finds anything.
pub(crate) fn run(root: &Path) -> ExitCode {
    match check(root) {
        Ok((files, findings)) if findings.is_empty() => {
            println!("tidy: {files} files, nothing to mend");
            ExitCode::SUCCESS
        }
        Ok((files, findings)) => {
            for finding in &findings {
                println!("{finding}");
            }
            println!("tidy: {files} files, {} findings", findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: tidy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns how many Rust files were read, and the findings sorted by place.
fn check(root: &Path) -> io::Result<(usize, Vec<Finding>)> {
    let mut findings = layout::check(&read_manifests(root)?);
    let mut paths = Vec::new();
    for top in ["crates", "tests", "benches", "fuzz"] {
        collect_rust_files(root, &PathBuf::from(top), &mut paths)?;
    }
    let mut texts = Vec::new();
    for path in &paths {
        texts.push((path, fs::read_to_string(root.join(path))?));
    }
    let for_tests: Vec<String> =
        texts.iter().flat_map(|(path, text)| source::test_modules(path, text)).collect();
    for (path, text) in &texts {
        let audience = match for_tests.iter().any(|module| path.starts_with(module)) {
            true => source::Audience::Tests,
            false => source::Audience::Everyone,
        };
        findings.extend(source::check(path, text, audience));
    }
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    findings.extend(suites::check(&folders(root, "tests")?, &paths, read));
    findings.extend(promises::check(read));
    findings.sort();
    findings.dedup();
    Ok((paths.len(), findings))
}

fn read_manifests(root: &Path) -> io::Result<layout::Manifests> {
    let mut members = Vec::new();
    for folder in folders(root, "crates")? {
        let text = fs::read_to_string(root.join("crates").join(&folder).join("Cargo.toml")).ok();
        members.push((folder, text));
    }
    Ok(layout::Manifests { root: fs::read_to_string(root.join("Cargo.toml"))?, members })
}

/// The names of the folders right beneath `root/folder`, sorted; none where it does not exist.
fn folders(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for (name, is_folder) in entries(&root.join(folder))? {
        if is_folder && !name.starts_with('.') {
            names.push(name);
        }
    }
    Ok(names)
}

fn collect_rust_files(root: &Path, folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
    for (name, is_folder) in entries(&root.join(folder))? {
        let path = folder.join(&name);
        if is_folder {
            if !name.starts_with('.') && !DATA_FOLDERS.contains(&name.as_str()) {
                collect_rust_files(root, &path, found)?;
            }
        } else if name.ends_with(".rs") {
            found.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

/// Folders whose files are inputs of tests or products of builds, not source.
const DATA_FOLDERS: [&str; 7] =
    ["archives", "artifacts", "cases", "corpus", "data", "target", "vectors"];

/// What lies in a folder, sorted by name; nothing where the folder does not exist.
fn entries(folder: &Path) -> io::Result<Vec<(String, bool)>> {
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing?,
    };
    let mut entries = Vec::new();
    for entry in listing {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        entries.push((entry.file_name().to_string_lossy().into_owned(), is_folder));
    }
    entries.sort();
    Ok(entries)
}
