//! Each rule for source files, with a snippet that keeps it and one that breaks it.
//! Snippets stand in strings, which the scanner does not take for this file's own code.

use super::{Audience, check, test_modules};

const OPENING: &str = "//! An idea in one sentence. And its invariant.\n";

/// The messages for a file of the `vault` that opens well and goes on with `code`.
fn vault(code: &str) -> Vec<String> {
    at("crates/vault/src/pack.rs", code)
}

fn at(path: &str, code: &str) -> Vec<String> {
    let findings = check(path, &format!("{OPENING}{code}"), Audience::Everyone);
    findings.iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
}

#[track_caller]
fn assert_one(messages: &[String], beginning: &str) {
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].starts_with(beginning), "{messages:?}");
}

#[test]
fn a_plain_file_passes() {
    assert_eq!(vault("pub fn put(pack: &[u8]) -> usize {\n    pack.len()\n}\n"), [""; 0]);
}

#[test]
fn a_file_opens_with_two_to_eight_sentences() {
    let first =
        |text: &str| check("crates/vault/src/pack.rs", text, Audience::Everyone)[0].message.clone();
    assert!(first("use std::fs;\n").starts_with("opens without"));
    assert!(first("//! One sentence only, of v1.5 bytes.\n").starts_with("opens with 1 sentences"));
    let guide = format!("//! Its idea. And more.\n//!\n//! # Guide\n//! {}\n", "Again. ".repeat(9));
    assert_eq!(check("crates/vault/src/lib.rs", &guide, Audience::Everyone), []);
    let nine = format!("//! {}\n", "Again. ".repeat(9));
    assert!(first(&nine).starts_with("opens with 9 sentences"));
}

#[test]
fn files_lines_and_functions_have_limits() {
    assert_one(&vault(&"\n".repeat(800)), "1: 801 lines");
    assert_eq!(vault(&"\n".repeat(799)), [""; 0]);

    assert_one(&vault(&format!("// {}\n", "é".repeat(98))), "2: 101 columns");
    assert_eq!(vault(&format!("// {}\n", "é".repeat(97))), [""; 0]);
    assert_eq!(vault(&format!("// https://{}\n", "x".repeat(98))), [""; 0]);

    let function = |lines: usize| format!("fn long() {{\n{}}}\n", "    act();\n".repeat(lines - 2));
    assert_one(&vault(&function(71)), "2: `long` has 71 lines");
    assert_eq!(vault(&function(70)), [""; 0]);
}

#[test]
fn inline_tests_have_a_limit() {
    let tests = |lines: usize| {
        format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    use a;\n".repeat(lines - 2))
    };
    assert_one(&vault(&tests(151)), "2: 151 lines of inline tests");
    assert_eq!(vault(&tests(150)), [""; 0]);
}

#[test]
fn public_functions_take_no_bool() {
    assert_one(&vault("pub fn collect(&self, dry_run: bool) {}\n"), "2: `collect` takes a bool");
    assert_one(
        &vault("pub const fn of(\n    a: u8,\n    b: bool,\n) {}\n"),
        "2: `of` takes a bool",
    );
    assert_eq!(vault("fn private(dry_run: bool) {}\n"), [""; 0]);
    assert_eq!(vault("pub fn pick(by: impl Fn(u8, bool) -> bool) -> bool { true }\n"), [""; 0]);
}

#[test]
fn unwrap_is_for_tests() {
    assert_one(&vault("fn a() { b().unwrap(); }\n"), "2: `.unwrap()`");
    assert_eq!(vault("#[cfg(test)]\nmod tests {\n    fn a() { b().unwrap(); }\n}\n"), [""; 0]);
    assert_eq!(at("crates/vault/src/pack/tests.rs", "fn a() { b().unwrap(); }\n"), [""; 0]);
    assert_eq!(at("tests/cli/main.rs", "fn a() { b().unwrap(); }\n"), [""; 0]);
    assert_eq!(vault("// Not `.unwrap()`.\nfn a() { b(\".unwrap()\").unwrap_or(1); }\n"), [""; 0]);
}

#[test]
fn a_module_that_only_tests_declare_is_for_tests() {
    let text = "#[cfg(test)]\nmod world;\nmod pack;\n#[cfg(test)]\nmod tests {\n    mod a;\n}\n";
    let modules = test_modules("crates/vault/src/lib.rs", text);
    assert_eq!(modules, ["crates/vault/src/world.rs", "crates/vault/src/world/"]);
    assert_eq!(test_modules("a/pack.rs", "#[cfg(test)]\nmod b;")[0], "a/pack/b.rs");

    let code = format!("{OPENING}fn a() {{ b().unwrap(); }}\n");
    assert_eq!(check("crates/vault/src/world.rs", &code, Audience::Tests), []);
}

#[test]
fn unfinished_work_is_found_everywhere() {
    for word in ["todo!()", "unimplemented!()", "dbg!(a)"] {
        let code = format!("#[cfg(test)]\nmod tests {{\n    fn a() {{ {word}; }}\n}}\n");
        assert_one(&vault(&code), "4: `");
    }
    assert_one(&vault("#[ignore]\nfn a() {}\n"), "2: `#[ignore`");
    assert_one(&vault("// FIXME: later\n"), "2: FIXME");
    assert_one(&vault("/* XXX */\n"), "2: XXX");
    assert_eq!(vault("const A: &str = \"XXX FIXME todo!( dbg!(\";\n"), [""; 0]);
}

#[test]
fn vague_names_are_found() {
    for path in ["crates/vault/src/utils.rs", "crates/common/src/lib.rs", "tests/cli/pack_v2.rs"] {
        assert_one(&at(path, ""), "1: `");
    }
}

#[test]
fn only_crypto_names_ciphers() {
    assert_one(&vault("use blake3::Hasher;\n"), "2: `blake3`");
    assert_one(&vault("fn a() { aws_lc_rs::aead::seal(); }\n"), "2: `aws_lc_rs`");
    assert_eq!(at("crates/crypto/src/digest.rs", "use blake3::Hasher;\n"), [""; 0]);
    assert_eq!(vault("fn a(blake3: u8) { crypto::blake3::hash(blake3); }\n"), [""; 0]);
}

#[test]
fn unsafe_stays_in_the_listed_files() {
    assert_one(&vault("fn a() { unsafe { b() } }\n"), "2: `unsafe`");
    assert_eq!(at("crates/chunker/src/simd.rs", "fn a() { unsafe { b() } }\n"), [""; 0]);
    assert_eq!(vault("#![allow(unsafe_code)]\n"), [""; 0]);
}

#[test]
fn environment_clocks_and_printing_stay_at_the_doors() {
    let cases = [
        ("fn a() { std::env::var(\"HOME\"); }\n", "2: `env::var`"),
        ("fn a() { std::env::var_os(\"HOME\"); }\n", "2: `env::var_os`"),
        ("const A: &str = env!(\"HOME\");\n", "2: `env!(`"),
        ("fn a() { SystemTime::now(); }\n", "2: `SystemTime::now`"),
        ("fn a() { thread::sleep(b); }\n", "2: `thread::sleep`"),
        ("fn a() { println!(); }\n", "2: `println!`"),
    ];
    for (code, beginning) in cases {
        assert_one(&vault(code), beginning);
        assert_eq!(at("crates/cli/src/main.rs", code), [""; 0]);
    }
    assert_eq!(vault("const A: &str = env!(\"CARGO_PKG_VERSION\");\n"), [""; 0]);
    assert_eq!(at("crates/places/src/clock.rs", "fn a() { Instant::now(); }\n"), [""; 0]);
}
