//! The scanner on the snippets that mislead naive scanners.
//! Each test shows what must count as code and what must not.

use super::{Source, find};

#[test]
fn comments_and_literals_are_not_code() {
    let text = concat!(
        "let a = \"x { \\\" unsafe\"; // } unsafe\n",
        "let b = r#\"unsafe \" }\"#; /* unsafe /* } */ unsafe */\n",
        "let c = ('{', b'}', '\\'', '\\u{7b}', \"é{\"); let d = br\"unsafe{\";\n",
    );
    let source = Source::new(text);
    assert_eq!(source.code.len(), text.len());
    assert_eq!(find(&source.code, "unsafe"), []);
    assert!(!source.code.contains(['{', '}']), "{}", source.code);
    assert_eq!(find(&source.comments, "unsafe").len(), 3);
    assert_eq!(find(&source.code, "let").len(), 4);
}

#[test]
fn lifetimes_and_raw_names_do_not_open_literals() {
    let text = "impl<'a> Of<'a> { fn r#type(&'a self) -> &'static str { \"}\" } }";
    let source = Source::new(text);
    assert_eq!(source.code.matches(['{', '}']).count(), 4);
    assert_eq!(source.functions().len(), 1);
}

#[test]
fn functions_are_found_with_their_lines_and_parameters() {
    let text = concat!(
        "pub fn first<F: Fn(u8) -> u8>(f: F, n: [u8; 4]) -> u8 {\n",
        "    fn inner() {}\n",
        "    f(n[0])\n",
        "}\n",
        "trait T { fn second(&self); }\n",
        "type P = fn(bool);\n",
        "pub(crate) const fn third() {}\n",
    );
    let source = Source::new(text);
    let functions = source.functions();
    let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["first", "inner", "second", "third"]);
    assert_eq!(source.lines(&functions[0].range), 4);
    assert_eq!(&text[functions[0].parameters.clone()], "f: F, n: [u8; 4]");
    assert_eq!(
        functions.iter().map(|function| function.public).collect::<Vec<_>>(),
        [true, false, false, false]
    );
    assert_eq!(source.line(functions[2].range.start), 5);
}

#[test]
fn test_items_reach_to_the_end_of_what_they_guard() {
    let text = concat!(
        "fn a() {}\n",
        "#[cfg(test)]\n",
        "mod tests {\n    fn b() {}\n}\n",
        "fn c() {}\n",
        "#[cfg(test)]\nmod more;\n",
        "fn d() {}\n",
    );
    let source = Source::new(text);
    let items = source.test_items();
    let guarded: Vec<&str> = items.iter().map(|item| &text[item.clone()]).collect();
    assert_eq!(guarded, ["#[cfg(test)]\nmod tests {\n    fn b() {}\n}", "#[cfg(test)]\nmod more;"]);
}

#[test]
fn words_are_whole() {
    assert_eq!(find("unsafe_code unsafe(my_unsafe)", "unsafe"), [12]);
    assert_eq!(find("a.unwrap() b.unwrap_or()", ".unwrap()"), [1]);
}

#[test]
fn unfinished_text_ends_without_panic() {
    for text in ["\"", "'", "r#\"", "/* /*", "fn", "fn x(", "\"\\", "#[cfg(test)]", "fn x<", "b'"] {
        let source = Source::new(text);
        let _ = (source.functions(), source.test_items());
        assert_eq!(source.code.len(), text.len(), "{text}");
    }
}
