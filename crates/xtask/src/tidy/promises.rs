//! The rule for promises: a test that a text names exists.
//!
//! README.md and THREATS.md say which test shows what, as `path/of/file.rs::name`. A name that no
//! function of that file bears, nor a line `name: …` of one of its macros, is found, and so is a
//! text that names none.

use super::Finding;

/// The texts that name tests.
pub(crate) const TEXTS: [&str; 2] = ["README.md", "crates/vault/THREATS.md"];

/// Checks every test that the texts name. `read` returns a file's text, or nothing where there is
/// none.
pub(crate) fn check(read: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in TEXTS {
        let text = read(path).unwrap_or_default();
        let mut named = 0;
        for (number, line) in text.lines().enumerate() {
            for (file, name) in line.split('`').filter_map(test_name) {
                named += 1;
                if !read(file).is_some_and(|source| has_test(&source, name)) {
                    let message = format!("{file} has no test {name}");
                    findings.push(Finding::new(path, number + 1, message));
                }
            }
        }
        if named == 0 {
            findings.push(Finding::new(path, 1, "names no test of what it promises"));
        }
    }
    findings
}

/// File and function, when this is the name of a test.
fn test_name(text: &str) -> Option<(&str, &str)> {
    text.split_once("::").filter(|(file, _)| file.ends_with(".rs"))
}

fn has_test(source: &str, name: &str) -> bool {
    let lines = || source.lines().map(str::trim_start);
    let (function, line) = (format!("fn {name}("), format!("{name}:"));
    lines().any(|text| text.starts_with(&function) || text.starts_with(&line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(readme: &str, source: &str) -> Vec<String> {
        let read = |path: &str| match path {
            "README.md" | "crates/vault/THREATS.md" => Some(readme.to_owned()),
            "tests/a.rs" => Some(source.to_owned()),
            _ => None,
        };
        let of_readme = check(read).into_iter().filter(|finding| finding.path == "README.md");
        of_readme.map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_test_that_exists_passes_also_as_a_line_of_a_macro() {
        let source = "fn it_holds() {}\neach! {\n    it_is_whole: INIT,\n}\n";
        let readme = "`tests/a.rs::it_holds` and `tests/a.rs::it_is_whole`";
        assert_eq!(messages(readme, source), [""; 0]);
    }

    #[test]
    fn a_test_that_nobody_wrote_is_found() {
        let found = messages("so\n`tests/a.rs::it`, `tests/b.rs::it`", "fn it_holds() {}");
        let expected = ["tests/a.rs has no test it", "tests/b.rs has no test it"];
        assert_eq!(found, expected.map(|message| format!("README.md:2: {message}")));
    }

    #[test]
    fn a_text_that_names_no_test_is_found() {
        assert_eq!(messages("trust us", ""), ["README.md:1: names no test of what it promises"]);
    }
}
