//! Which files a backup passes over, and which a restore picks.
//!
//! A pattern is a glob over bytes: `*`, `?` and `[a-z]` match within one name, `**` over any number
//! of names, `{a,b}` either. Without `/` it matches a file's name at any depth; with `/`, at its
//! start or inside, the whole absolute path; a `/` at its end makes it match folders only. The last
//! pattern that matches decides. What lies in an excluded folder is not looked at, so an include
//! cannot bring it back, as in a `.gitignore`. DESIGN.md §10.

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::search::Case;
use crate::{Error, Result};

/// Patterns in order; the last that matches decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    rules: Vec<Pattern>,
}

/// One pattern, and what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What it does with what it matches.
    pub choice: Choice,
    /// The glob.
    pub glob: String,
    /// How it compares letters.
    pub case: Case,
}

/// What a pattern does with what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Takes it in.
    Include,
    /// Leaves it out.
    Exclude,
}

impl Patterns {
    /// No patterns: everything is taken.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pattern that leaves out what it matches.
    #[must_use]
    pub fn exclude(self, pattern: impl Into<String>) -> Self {
        self.with(Choice::Exclude, pattern.into(), Case::Exact)
    }

    /// Adds a pattern that leaves out what it matches, whatever the case of its letters.
    #[must_use]
    pub fn exclude_any_case(self, pattern: impl Into<String>) -> Self {
        self.with(Choice::Exclude, pattern.into(), Case::Either)
    }

    /// Adds a pattern that takes in what it matches.
    #[must_use]
    pub fn include(self, pattern: impl Into<String>) -> Self {
        self.with(Choice::Include, pattern.into(), Case::Exact)
    }

    /// Adds a pattern that takes in what it matches, whatever the case of its letters.
    #[must_use]
    pub fn include_any_case(self, pattern: impl Into<String>) -> Self {
        self.with(Choice::Include, pattern.into(), Case::Either)
    }

    /// Adds the patterns of an include file, one a line. Empty lines and lines that begin with `#`
    /// say nothing, spaces at the end of a line are dropped.
    #[must_use]
    pub fn include_lines(mut self, lines: &str) -> Self {
        for line in lines.lines().map(str::trim_end) {
            if !line.is_empty() && !line.starts_with('#') {
                self = self.include(line);
            }
        }
        self
    }

    /// Adds the patterns of an exclude file, one a line. Empty lines and lines that begin with `#`
    /// say nothing, `!` at the start makes an include, spaces at the end of a line are dropped.
    #[must_use]
    pub fn exclude_lines(mut self, lines: &str) -> Self {
        for line in lines.lines().map(str::trim_end) {
            match line.strip_prefix('!') {
                _ if line.is_empty() || line.starts_with('#') => {}
                Some(pattern) => self = self.include(pattern),
                None => self = self.exclude(line),
            }
        }
        self
    }

    /// The patterns in order.
    pub fn rules(&self) -> &[Pattern] {
        &self.rules
    }

    fn with(mut self, choice: Choice, glob: String, case: Case) -> Self {
        self.rules.push(Pattern { choice, glob, case });
        self
    }

    /// Patterns ready to match, or which of them cannot be read.
    pub(crate) fn compile(&self) -> Result<Matcher> {
        let mut names = Set::new();
        let mut paths = Set::new();
        let mut choices = Vec::with_capacity(self.rules.len());
        for (rule, pattern) in self.rules.iter().enumerate() {
            let glob = &pattern.glob;
            let body = glob.strip_suffix('/').unwrap_or(glob);
            let folders_only = body.len() < glob.len();
            choices.push((pattern.choice, folders_only));
            match body.contains('/') {
                true if body.starts_with('/') || body.starts_with("**/") => {
                    paths.add(rule, body, pattern)?;
                }
                true => paths.add(rule, &format!("/{body}"), pattern)?,
                false => names.add(rule, body, pattern)?,
            }
        }
        Ok(Matcher { names: names.build()?, paths: paths.build()?, choices })
    }
}

/// Compiled patterns.
#[derive(Debug)]
pub(crate) struct Matcher {
    names: Compiled,
    paths: Compiled,
    choices: Vec<(Choice, bool)>,
}

impl Matcher {
    /// What the last matching pattern says of this file; `None` when none matches.
    pub(crate) fn choice(&self, path: &[u8], name: &[u8], is_folder: bool) -> Option<Choice> {
        let by_name = self.names.last_match(name, |rule| self.applies(rule, is_folder));
        let by_path = self.paths.last_match(path, |rule| self.applies(rule, is_folder));
        by_name.max(by_path).map(|rule| self.choices[rule].0)
    }

    /// Whether no pattern looks at more than names, so that no path need be made.
    pub(crate) fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Whether something is left out that no pattern takes in.
    pub(crate) fn has_includes(&self) -> bool {
        self.choices.iter().any(|(choice, _)| *choice == Choice::Include)
    }

    fn applies(&self, rule: usize, is_folder: bool) -> bool {
        is_folder || !self.choices[rule].1
    }
}

struct Set {
    globs: GlobSetBuilder,
    rules: Vec<usize>,
}

impl Set {
    fn new() -> Self {
        Self { globs: GlobSetBuilder::new(), rules: Vec::new() }
    }

    fn add(&mut self, rule: usize, glob: &str, pattern: &Pattern) -> Result<()> {
        let bad = |message: String| Error::Pattern { pattern: pattern.glob.clone(), message };
        if glob.is_empty() {
            return Err(bad("it is empty".to_owned()));
        }
        let glob = GlobBuilder::new(glob)
            .literal_separator(true)
            .backslash_escape(true)
            .case_insensitive(pattern.case == Case::Either)
            .build()
            .map_err(|error| bad(error.kind().to_string()))?;
        self.globs.add(glob);
        self.rules.push(rule);
        Ok(())
    }

    fn build(self) -> Result<Compiled> {
        let globs = self.globs.build().map_err(|error| Error::Pattern {
            pattern: error.glob().unwrap_or_default().to_owned(),
            message: error.kind().to_string(),
        })?;
        Ok(Compiled { globs, rules: self.rules })
    }
}

#[derive(Debug)]
struct Compiled {
    globs: GlobSet,
    rules: Vec<usize>,
}

impl Compiled {
    fn last_match(&self, bytes: &[u8], applies: impl Fn(usize) -> bool) -> Option<usize> {
        if self.rules.is_empty() {
            return None;
        }
        let matches = self.globs.matches_candidate(&Candidate::from_bytes(bytes));
        matches.into_iter().map(|at| self.rules[at]).filter(|rule| applies(*rule)).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(patterns: &Patterns, path: &[u8]) -> bool {
        let is_folder = path.ends_with(b"/");
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        patterns.compile().unwrap().choice(path, name, is_folder) == Some(Choice::Exclude)
    }

    #[test]
    fn patterns_match_names_at_any_depth_and_paths_as_a_whole() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("*.o", b"/a/b/c.o", true),
            ("*.o", b"/a/b.o/c", false),
            ("cache", b"/home/cache/", true),
            ("cache/", b"/home/cache/", true),
            ("cache/", b"/home/cache", false),
            ("/home/*/tmp", b"/home/u/tmp/", true),
            ("/home/*/tmp", b"/home/u/v/tmp/", false),
            ("home/*/tmp", b"/home/u/tmp/", true),
            ("home/*/tmp", b"/mnt/home/u/tmp/", false),
            ("**/u/tmp", b"/mnt/home/u/tmp", true),
            ("**/u/tmp", b"/u/tmp", true),
            ("/srv/**", b"/srv/a/b", true),
            ("/srv/**", b"/srv/", false),
            ("/srv/**/x", b"/srv/x", true),
            ("/srv/**/x", b"/srv/a/b/x", true),
            ("?", b"/a/\xff", true),
            ("*\\*", b"/a*", true),
            ("*\\*", b"/ab", false),
            ("[a-c]{x,y}", b"/q/by", true),
            ("*.BAK", b"/a.bak", false),
            (".*", b"/home/.ssh/", true),
            ("*", b"/home/.ssh/", true),
        ];
        for (pattern, path, expected) in cases {
            let patterns = Patterns::new().exclude(*pattern);
            let shown = String::from_utf8_lossy(path);
            assert_eq!(excluded(&patterns, path), *expected, "{pattern} on {shown}");
        }
    }

    #[test]
    fn the_last_matching_pattern_decides() {
        let patterns = Patterns::new().exclude_lines("# old objects\n\n*.o \n!keep.o\n/x/keep.o\n");
        for (path, expected) in [(&b"/a.o"[..], true), (b"/keep.o", false), (b"/x/keep.o", true)] {
            assert_eq!(excluded(&patterns, path), expected);
        }
    }

    #[test]
    fn a_pattern_of_any_case_compares_letters_alike() {
        let patterns = Patterns::new().exclude_any_case("*.Jpg").exclude_any_case("/Tmp/a");
        let cases: [(&[u8], bool); 4] =
            [(b"/x/A.JPG", true), (b"/x/a.jpg", true), (b"/tMP/A", true), (b"/x/a.png", false)];
        for (path, expected) in cases {
            assert_eq!(excluded(&patterns, path), expected);
        }
        assert!(!excluded(&Patterns::new().exclude("*.Jpg"), b"/x/a.jpg"));
    }

    #[test]
    fn a_pattern_that_means_nothing_is_named() {
        for pattern in ["[", "", "/", "a{b"] {
            let error = Patterns::new().exclude(pattern).compile().unwrap_err();
            assert!(error.to_string().contains(&format!("{pattern:?}")), "{error}");
        }
    }
}
