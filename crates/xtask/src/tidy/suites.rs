//! The rules for test suites and modules: what lies in a folder is what its list says.
//!
//! A suite is a folder under `tests/` with one `main.rs`, which lists each module after a comment
//! that says its question. A source file that no module declares is never compiled, so it fails.

use super::Finding;
use super::scanner::{Source, find};

/// Checks the suites in the folders of `tests/`, and that each file of `paths` is declared.
/// `read` returns a file's text, or nothing where there is none.
pub(crate) fn check(
    suites: &[String],
    paths: &[String],
    read: impl Fn(&str) -> Option<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let manifest = read("Cargo.toml").unwrap_or_default();
    for suite in suites {
        let path = format!("tests/{suite}/main.rs");
        match read(&path) {
            None => findings.push(Finding::new(&path, 1, "the suite has no main.rs")),
            Some(text) => {
                findings.extend(check_list(&path, &text));
                if !manifest.contains(&format!("\"{path}\"")) {
                    let message = format!("no [[test]] has the path {path}, so it never runs");
                    findings.push(Finding::new("Cargo.toml", 1, message));
                }
            }
        }
    }
    for path in paths {
        if path.starts_with("tests/") && path.split('/').count() == 2 {
            findings.push(Finding::new(path, 1, "lies outside every suite, so it never runs"));
        } else if !is_declared(path, &read) {
            findings.push(Finding::new(path, 1, "no module declares it, so it is never compiled"));
        }
    }
    findings
}

/// Each module that a suite lists comes after a comment.
fn check_list(path: &str, text: &str) -> Vec<Finding> {
    let source = Source::new(text);
    let lines: Vec<&str> = text.lines().collect();
    let mut findings = Vec::new();
    for at in find(&source.code, "mod") {
        let line = source.line(at);
        let above = lines[..line - 1].iter().rev().find(|line| !line.starts_with("#["));
        let is_comment = |line: &&&str| line.starts_with("//") && !line.starts_with("//!");
        if above.filter(is_comment).is_none() {
            findings.push(Finding::new(path, line, "a module without a comment line before it"));
        }
    }
    findings
}

/// Whether the file is a crate's root or some file beside or above it declares it.
fn is_declared(path: &str, read: &impl Fn(&str) -> Option<String>) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let is_root = ["main", "lib", "build"].contains(&stem);
    let is_program = ["/bin", "/benches", "/examples", "/fuzz_targets"]
        .iter()
        .any(|programs| format!("/{folder}").ends_with(programs));
    if is_root || is_program {
        return true;
    }
    let (home, name) = match (stem, folder.rsplit_once('/')) {
        ("mod", Some((above, name))) => (above, name),
        _ => (folder, stem),
    };
    let parents = [
        format!("{home}/lib.rs"),
        format!("{home}/main.rs"),
        format!("{home}/mod.rs"),
        format!("{home}.rs"),
    ];
    parents.iter().filter_map(|parent| read(parent)).any(|text| declares(&text, name))
}

fn declares(text: &str, name: &str) -> bool {
    !find(&Source::new(text).code, &format!("mod {name};")).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[[test]]\nname = \"cli\"\npath = \"tests/cli/main.rs\"\n";

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let paths: Vec<String> = files
            .iter()
            .map(|(path, _)| (*path).to_owned())
            .filter(|p| p.ends_with(".rs"))
            .collect();
        let read = |path: &str| {
            files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        };
        check(&["cli".to_owned()], &paths, read).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_suite_that_lists_its_modules_with_comments_passes() {
        let main = "//! Idea.\n\n// Does it exit with the right code?\nmod exit_codes;\n";
        let files = [
            ("Cargo.toml", MANIFEST),
            ("tests/cli/main.rs", main),
            ("tests/cli/exit_codes.rs", ""),
        ];
        assert_eq!(messages(&files), [""; 0]);
    }

    #[test]
    fn a_module_without_a_comment_is_found() {
        let files =
            [("Cargo.toml", MANIFEST), ("tests/cli/main.rs", "//! Idea.\nmod exit_codes;\n")];
        assert_eq!(
            messages(&files),
            ["tests/cli/main.rs:2: a module without a comment line before it"]
        );
    }

    #[test]
    fn a_file_that_nobody_lists_is_found() {
        let files =
            [("Cargo.toml", MANIFEST), ("tests/cli/main.rs", ""), ("tests/cli/forgotten.rs", "")];
        assert_eq!(
            messages(&files),
            ["tests/cli/forgotten.rs:1: no module declares it, so it is never compiled"]
        );
    }

    #[test]
    fn a_suite_without_a_list_or_without_a_target_is_found() {
        assert_eq!(
            messages(&[("Cargo.toml", MANIFEST)]),
            ["tests/cli/main.rs:1: the suite has no main.rs"]
        );
        assert_eq!(
            messages(&[("Cargo.toml", ""), ("tests/cli/main.rs", "")]),
            ["Cargo.toml:1: no [[test]] has the path tests/cli/main.rs, so it never runs"]
        );
    }

    #[test]
    fn modules_are_declared_beside_or_above() {
        let files = [
            ("Cargo.toml", MANIFEST),
            ("tests/cli/main.rs", ""),
            ("crates/a/src/lib.rs", "pub mod pack;\nmod run;"),
            ("crates/a/src/pack.rs", "#[cfg(test)]\nmod tests;"),
            ("crates/a/src/pack/tests.rs", ""),
            ("crates/a/src/run/mod.rs", "mod deep;"),
            ("crates/a/src/run/deep.rs", ""),
        ];
        assert_eq!(messages(&files), [""; 0]);
    }
}
