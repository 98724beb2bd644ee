//! Tells code from comments and literals, without parsing Rust.
//!
//! A `Source` holds a file three times at the same offsets: as it is, as code with every comment
//! and every literal's content blanked, and as comments alone. So a brace in a string or a word
//! in a comment never counts as code. Functions and test modules are found by counting brackets.

#[cfg(test)]
mod tests;

use std::ops::Range;

/// A Rust file split into code and comments; all offsets are bytes and fit all three texts.
pub(crate) struct Source<'a> {
    /// The file as it is.
    pub(crate) text: &'a str,
    /// The code; comments and the insides of literals are blank.
    pub(crate) code: String,
    /// The comments; all else is blank.
    pub(crate) comments: String,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut splitter = Splitter {
            bytes: text.as_bytes(),
            at: 0,
            code: blank(text.as_bytes()),
            comments: blank(text.as_bytes()),
        };
        splitter.split();
        let code = String::from_utf8_lossy(&splitter.code).into_owned();
        let comments = String::from_utf8_lossy(&splitter.comments).into_owned();
        Self { text, code, comments }
    }

    /// The line, counted from 1, on which an offset lies.
    pub(crate) fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count()
    }

    /// How many lines a range touches.
    pub(crate) fn lines(&self, range: &Range<usize>) -> usize {
        1 + self.line(range.end.saturating_sub(1).max(range.start)) - self.line(range.start)
    }

    /// Every function that has a body, nested ones too.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for start in find(&self.code, "fn") {
            let after = start + "fn".len();
            let name_at = after + leading_spaces(&self.code[after..]);
            let name: String = self.code[name_at..].chars().take_while(|c| is_word(*c)).collect();
            if name_at == after || name.is_empty() {
                continue; // A function pointer type, or a macro's placeholder.
            }
            let range = start..self.item_end(name_at);
            let parameters = self.parameters(name_at + name.len());
            functions.push(Function { name, range, parameters, public: self.is_public(start) });
        }
        functions
    }

    /// The ranges of the items that only tests see, each with its attribute.
    pub(crate) fn test_items(&self) -> Vec<Range<usize>> {
        let mut items: Vec<Range<usize>> = Vec::new();
        for attribute in ["#[cfg(test)]", "#[cfg(all(test"] {
            for start in find(&self.code, attribute) {
                let after = start + self.balanced(start + 1);
                items.push(start..self.item_end(after));
            }
        }
        items
    }

    /// Where the item that begins at `from` ends: after its body, or after its semicolon.
    fn item_end(&self, from: usize) -> usize {
        let bytes = self.code.as_bytes();
        let mut at = from;
        while at < bytes.len() {
            match bytes[at] {
                b'(' | b'[' => at += self.balanced(at),
                b'{' => return at + self.balanced(at),
                b';' => return at + 1,
                _ => at += 1,
            }
        }
        bytes.len()
    }

    /// The length of the bracketed text around which the bracket at or after `open` stands.
    fn balanced(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for (index, byte) in self.code.as_bytes()[open..].iter().enumerate() {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return index + 1;
                    }
                }
                _ => {}
            }
        }
        self.code.len() - open
    }

    /// The parameters' text, of the function whose name ends at `from`.
    fn parameters(&self, from: usize) -> Range<usize> {
        let bytes = self.code.as_bytes();
        let mut angles = 0usize;
        let mut at = from;
        while at < bytes.len() {
            match bytes[at] {
                b'<' => angles += 1,
                b'>' if bytes[at - 1] != b'-' => angles = angles.saturating_sub(1),
                b'(' if angles == 0 => return at + 1..at + self.balanced(at) - 1,
                _ => {}
            }
            at += 1;
        }
        from..from
    }

    fn is_public(&self, fn_at: usize) -> bool {
        let line = self.code[..fn_at].rfind('\n').map_or(0, |newline| newline + 1);
        self.code[line..fn_at].split_whitespace().next() == Some("pub")
    }
}

/// A function with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From the word `fn` to the closing brace.
    pub(crate) range: Range<usize>,
    /// What stands between its round brackets.
    pub(crate) parameters: Range<usize>,
    /// Whether it is `pub` without restriction.
    pub(crate) public: bool,
}

/// Every offset of `needle` in `text` that does not lie inside a longer word.
pub(crate) fn find(text: &str, needle: &str) -> Vec<usize> {
    let word_first = needle.starts_with(is_word);
    let word_last = needle.ends_with(is_word);
    let stands_alone = |at: &usize| {
        let cut_before = word_first && text[..*at].ends_with(is_word);
        let cut_after = word_last && text[at + needle.len()..].starts_with(is_word);
        !cut_before && !cut_after
    };
    text.match_indices(needle).map(|(at, _)| at).filter(stands_alone).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn leading_spaces(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// The same bytes with everything but line ends turned into spaces.
fn blank(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }).collect()
}

struct Splitter<'a> {
    bytes: &'a [u8],
    at: usize,
    code: Vec<u8>,
    comments: Vec<u8>,
}

impl Splitter<'_> {
    fn split(&mut self) {
        while self.at < self.bytes.len() {
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b"//") {
                let length = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                self.comment(length);
            } else if rest.starts_with(b"/*") {
                self.comment(block_comment_length(rest));
            } else if rest[0] == b'"' {
                self.literal(quoted_length(rest));
            } else if rest[0] == b'\'' {
                match char_length(rest) {
                    Some(length) => self.literal(length),
                    None => self.keep(1), // A lifetime.
                }
            } else if rest[0] == b'_' || rest[0].is_ascii_alphanumeric() {
                self.word();
            } else {
                self.keep(1);
            }
        }
    }

    /// Keeps a word; when it is the prefix of a raw string, the string goes with it.
    fn word(&mut self) {
        let rest = &self.bytes[self.at..];
        let is_end = |b: &u8| !(*b == b'_' || b.is_ascii_alphanumeric() || *b >= 0x80);
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        let raw = matches!(&rest[..length], b"r" | b"br" | b"cr");
        let string_length = raw_length(&rest[length..]);
        self.keep(length);
        if let (true, Some(string_length)) = (raw, string_length) {
            self.literal(string_length);
        }
    }

    fn keep(&mut self, length: usize) {
        let range = self.at..self.at + length;
        self.code[range.clone()].copy_from_slice(&self.bytes[range]);
        self.at += length;
    }

    fn comment(&mut self, length: usize) {
        let range = self.at..self.at + length;
        self.comments[range.clone()].copy_from_slice(&self.bytes[range]);
        self.at += length;
    }

    /// Keeps a literal's first and last byte, so that it can be seen that something stood there.
    fn literal(&mut self, length: usize) {
        let last = self.at + length - 1;
        self.code[self.at] = self.bytes[self.at];
        if self.bytes[last] != b'\n' {
            self.code[last] = self.bytes[self.at];
        }
        self.at += length;
    }
}

/// Block comments nest.
fn block_comment_length(rest: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a literal that ends with the byte it begins with; a backslash hides the next.
fn quoted_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == rest[0] => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `#"…"#` with any number of `#`, if that is what stands here.
fn raw_length(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().position(|b| *b != b'#')?;
    if rest[hashes] != b'"' {
        return None;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let body = &rest[hashes + 1..];
    let inside = body.windows(end.len()).position(|window| window == end.as_slice());
    Some(inside.map_or(rest.len(), |inside| hashes + 1 + inside + end.len()))
}

/// The length of a character literal; none when the quote opens a lifetime.
fn char_length(rest: &[u8]) -> Option<usize> {
    match rest.get(1)? {
        b'\\' => Some(quoted_length(rest)),
        first => {
            let width = match first {
                0x00..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
        }
    }
}
