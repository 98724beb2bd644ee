//! The rules for one Rust file: how it opens, its sizes, and the words that belong elsewhere.
//!
//! A file's path decides which rules hold for it: tests may unwrap, only `crypto` names ciphers,
//! only `places` and the tools read clocks. Each exception is listed here with its reason.

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::Finding;
use super::scanner::{Function, Source, find};

/// Who compiles a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Everyone,
    Tests,
}

/// The files and folders that only tests compile, as the file at `path` declares them.
pub(crate) fn test_modules(path: &str, text: &str) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let home = match file {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    };
    let source = Source::new(text);
    let mut modules = Vec::new();
    for item in source.test_items() {
        let words = source.code[item].split_once("mod ").map(|(_, declared)| declared);
        if let Some(name) = words.and_then(|declared| declared.strip_suffix(';')) {
            modules.extend([format!("{home}/{name}.rs"), format!("{home}/{name}/")]);
        }
    }
    modules
}

/// Every rule that the file at `path` breaks.
pub(crate) fn check(path: &str, text: &str, audience: Audience) -> Vec<Finding> {
    let source = Source::new(text);
    let file = File {
        path,
        audience: if is_test_file(path) { Audience::Tests } else { audience },
        test_items: source.test_items(),
        functions: source.functions(),
        source,
        findings: Vec::new(),
    };
    file.check()
}

struct File<'a> {
    path: &'a str,
    audience: Audience,
    source: Source<'a>,
    functions: Vec<Function>,
    test_items: Vec<Range<usize>>,
    findings: Vec<Finding>,
}

impl File<'_> {
    fn check(mut self) -> Vec<Finding> {
        self.check_name();
        self.check_opening();
        self.check_sizes();
        self.check_inline_tests();
        self.check_bool_parameters();
        self.check_words();
        self.check_comments();
        self.check_ciphers();
        self.check_unsafe();
        self.check_environment_macros();
        self.findings
    }

    fn check_name(&mut self) {
        for part in self.path.split('/') {
            let name = part.strip_suffix(".rs").unwrap_or(part);
            if VAGUE_NAMES.contains(&name) || name.ends_with("_v2") {
                self.report_line(1, format!("`{name}` says nothing: name it after what it does"));
            }
        }
    }

    fn check_opening(&mut self) {
        let head = self.source.text.lines().map_while(|line| line.strip_prefix("//!"));
        // Chapters under headings are a crate's guide, not its idea.
        let opening: Vec<&str> = head.take_while(|line| !line.starts_with(" #")).collect();
        if opening.is_empty() {
            return self.report_line(1, "opens without `//!`: say the file's idea first");
        }
        let sentences = count_sentences(&opening);
        if !OPENING_SENTENCES.contains(&sentences) {
            let message = format!("opens with {sentences} sentences; 2 to 8 tell its idea");
            self.report_line(1, message);
        }
    }

    fn check_sizes(&mut self) {
        let count = self.source.text.lines().count();
        if count > FILE_LINES_MAX {
            self.report_line(1, format!("{count} lines; a file has at most {FILE_LINES_MAX}"));
        }
        for (index, line) in self.source.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > LINE_COLUMNS_MAX && !line.contains("https://") {
                let message = format!("{columns} columns; a line has at most {LINE_COLUMNS_MAX}");
                self.report_line(index + 1, message);
            }
        }
        for function in self.functions.clone() {
            let lines = self.source.lines(&function.range);
            if lines > FUNCTION_LINES_MAX {
                let name = &function.name;
                let message =
                    format!("`{name}` has {lines} lines; a function at most {FUNCTION_LINES_MAX}");
                self.report(function.range.start, message);
            }
        }
    }

    fn check_inline_tests(&mut self) {
        for item in self.test_items.clone() {
            let code = &self.source.code[item.clone()];
            let Some(module) = find(code, "mod").first().copied() else { continue };
            let lines = self.source.lines(&(item.start + module..item.end));
            if lines > INLINE_TEST_LINES_MAX {
                let message = format!(
                    "{lines} lines of inline tests; at most {INLINE_TEST_LINES_MAX}, \
                     more go to a file of their own"
                );
                self.report(item.start, message);
            }
        }
    }

    fn check_bool_parameters(&mut self) {
        for function in self.functions.clone() {
            let parameters = self.source.code[function.parameters.clone()].to_owned();
            let takes_bool = || split_parameters(&parameters).any(|kind| kind == "bool");
            if function.public && !self.is_test(function.range.start) && takes_bool() {
                let name = &function.name;
                let message =
                    format!("`{name}` takes a bool: write two functions or an enum instead");
                self.report(function.range.start, message);
            }
        }
    }

    fn check_words(&mut self) {
        for rule in WORDS {
            if starts_with_any(self.path, rule.allowed) {
                continue;
            }
            for word in rule.words {
                for at in find(&self.source.code, word) {
                    if rule.scope == Scope::Everywhere || !self.is_test(at) {
                        self.report(at, format!("`{word}`: {}", rule.instead));
                    }
                }
            }
        }
    }

    fn check_comments(&mut self) {
        for word in ["FIXME", "XXX"] {
            for at in find(&self.source.comments, word) {
                self.report(at, format!("{word}: mend it, or write down what holds today"));
            }
        }
    }

    fn check_ciphers(&mut self) {
        if self.path.starts_with("crates/crypto/") {
            return;
        }
        for name in CIPHER_CRATES {
            let name = name.replace('-', "_");
            for at in find(&self.source.code, &name) {
                let before = self.source.code[..at].trim_end();
                let path_begins = !before.ends_with("::");
                let is_path = self.source.code[at + name.len()..].starts_with("::")
                    || before.ends_with("use");
                if path_begins && is_path {
                    self.report(at, format!("`{name}`: only crates/crypto names a cipher crate"));
                }
            }
        }
    }

    fn check_unsafe(&mut self) {
        if UNSAFE_FILES.contains(&self.path) {
            return;
        }
        for at in find(&self.source.code, "unsafe") {
            self.report(at, "`unsafe`: only in the files that xtask lists for it");
        }
    }

    /// Cargo's own variables are facts of the build, all others come from who runs it.
    fn check_environment_macros(&mut self) {
        if starts_with_any(self.path, ENVIRONMENT_ALLOWED) {
            return;
        }
        for name in ["env!(", "option_env!("] {
            for at in find(&self.source.code, name) {
                let variable = &self.source.text[at + name.len()..];
                if !variable.trim_start().starts_with("\"CARGO_") && !self.is_test(at) {
                    self.report(at, format!("`{name}`: pass the value as an argument"));
                }
            }
        }
    }

    /// Whether only tests see what stands at this offset.
    fn is_test(&self, at: usize) -> bool {
        self.audience == Audience::Tests || self.test_items.iter().any(|item| item.contains(&at))
    }

    fn report(&mut self, at: usize, message: impl Into<String>) {
        self.report_line(self.source.line(at), message);
    }

    fn report_line(&mut self, line: usize, message: impl Into<String>) {
        self.findings.push(Finding::new(self.path, line, message));
    }
}

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_COLUMNS_MAX: usize = 100;
const INLINE_TEST_LINES_MAX: usize = 150;
const OPENING_SENTENCES: std::ops::RangeInclusive<usize> = 2..=8;

const VAGUE_NAMES: [&str; 8] =
    ["utils", "util", "misc", "common", "helper", "helpers", "shared", "stuff"];

/// Crates that only `crypto` may name, as in a manifest.
pub(super) const CIPHER_CRATES: &[&str] = &[
    "aes-gcm",
    "argon2",
    "aws-lc-rs",
    "blake3",
    "chacha20poly1305",
    "ed25519-dalek",
    "getrandom",
    "hkdf",
    "hpke",
    "ml-kem",
    "rand",
    "ring",
    "sha2",
    "sha3",
    "siphasher",
    "x-wing",
    "x25519-dalek",
    "xaes-256-gcm",
];

/// Files that may contain `unsafe`, each with its reason.
const UNSAFE_FILES: &[&str] = &[
    // The gear in AVX2 and AVX-512; tested equal to the scalar form.
    "crates/chunker/src/simd.rs",
];

/// A set of words that belong elsewhere.
struct WordRule {
    words: &'static [&'static str],
    scope: Scope,
    /// Paths that may use them.
    allowed: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
}

#[derive(PartialEq, Eq)]
enum Scope {
    Everywhere,
    OutsideTests,
}

const WORDS: &[WordRule] = &[
    WordRule {
        words: &[".unwrap()"],
        scope: Scope::OutsideTests,
        allowed: &[],
        instead: "return the error, or `expect(\"why it cannot fail\")`",
    },
    WordRule {
        words: &["todo!(", "unimplemented!(", "dbg!("],
        scope: Scope::Everywhere,
        allowed: &[],
        instead: "finish it",
    },
    WordRule {
        words: &["#[ignore"],
        scope: Scope::Everywhere,
        allowed: &[],
        instead: "a test runs or does not exist",
    },
    WordRule {
        words: &[
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "env::args",
            "env::args_os",
            "env::home_dir",
            "env::set_var",
            "env::remove_var",
        ],
        scope: Scope::OutsideTests,
        allowed: ENVIRONMENT_ALLOWED,
        instead: "pass the value as an argument; only doors read the environment",
    },
    WordRule {
        words: &[
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "thread::sleep",
            "thread::sleep_ms",
        ],
        scope: Scope::Everywhere,
        allowed: CLOCK_ALLOWED,
        instead: "take a `Clock` or the time as an argument, so that one seed replays all",
    },
    WordRule {
        words: &["println!", "eprintln!", "print!", "eprint!"],
        scope: Scope::OutsideTests,
        allowed: PRINT_ALLOWED,
        instead: "return what there is to say; only the program prints",
    },
];

const ENVIRONMENT_ALLOWED: &[&str] = &[
    "crates/cli/",     // The door: turns environment and flags into options.
    "crates/keeper/",  // A door.
    "crates/server/",  // A door.
    "crates/testkit/", // A failure is repeated by STRONGROOM_SEED.
    "crates/xtask/",   // Is a program.
    "benches/",        // Are programs.
];

const CLOCK_ALLOWED: &[&str] = &[
    "crates/places/",  // Home of `Clock`, whose real form asks the system.
    "crates/cli/",     // Shows progress; hands the real clock in.
    "crates/testkit/", // Bounds how long a simulated world may take.
    "crates/xtask/",   // Is a program.
    "benches/",        // Measure time.
    "tests/",          // Wait for real processes, and kill them.
];

const PRINT_ALLOWED: &[&str] = &[
    "crates/cli/",   // The program.
    "crates/xtask/", // Is a program.
    "benches/",      // Are programs.
    "fuzz/",         // Are programs.
];

fn is_test_file(path: &str) -> bool {
    let is_part = |part| ["tests", "benches", "tests.rs", "build.rs"].contains(&part);
    path.split('/').any(is_part)
}

fn starts_with_any(path: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

/// Sentences end with a mark before a space or an end; text between code fences has none.
fn count_sentences(lines: &[&str]) -> usize {
    let mut fenced = false;
    let mut prose = String::new();
    for line in lines {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line.trim());
            prose.push(' ');
        }
    }
    let is_end =
        |word: &&str| word.trim_end_matches(['`', ')', '"', '*', '_']).ends_with(['.', '!', '?']);
    let is_short = |word: &&str| ["e.g.", "i.e.", "vs.", "etc."].contains(word);
    prose.split_whitespace().filter(is_end).filter(|word| !is_short(word)).count()
}

/// The types of a function's parameters, without spaces.
fn split_parameters(parameters: &str) -> impl Iterator<Item = String> {
    let mut kinds = vec![String::new()];
    let mut depth = 0i32;
    for c in parameters.chars().filter(|c| !c.is_whitespace()) {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        match kinds.last_mut() {
            Some(_) if c == ',' && depth <= 0 => kinds.push(String::new()),
            Some(kind) => kind.push(c),
            None => {}
        }
    }
    let kind = |text: String| text.split_once(':').map(|(_, kind)| kind.to_owned());
    kinds.into_iter().filter_map(kind)
}
