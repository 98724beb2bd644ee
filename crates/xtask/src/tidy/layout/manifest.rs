//! Reads as much of a manifest as the rules of layout need.
//!
//! Line by line: section heads, keys at the start of a line, lists of strings. Our own manifests
//! are written so; a list that opens on one line may close on a later one.

/// A manifest's dependencies and lists.
pub(super) struct Manifest<'a> {
    /// Relative to the project's root.
    pub(super) path: &'a str,
    pub(super) dependencies: Vec<Dependency>,
    /// Whether `[lints]` says `workspace = true`.
    pub(super) takes_lints: bool,
    lists: Vec<(String, usize, Vec<String>)>,
}

/// One dependency on a crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    /// As the manifest's key says; a member's without the prefix of its package.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Counted from 1.
    pub(super) line: usize,
}

/// When a dependency is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Development,
}

impl<'a> Manifest<'a> {
    pub(super) fn parse(path: &'a str, text: &str) -> Self {
        let mut manifest =
            Self { path, dependencies: Vec::new(), takes_lints: false, lists: Vec::new() };
        let mut section = String::new();
        let mut open_list = false;
        for (index, raw) in text.lines().enumerate() {
            let line = raw.split(" #").next().unwrap_or(raw).trim();
            if line.starts_with('#') {
                continue;
            }
            if open_list {
                manifest.extend_list(line);
                open_list = !line.ends_with(']');
            } else if let Some(head) = line.strip_prefix('[') {
                section = head.trim_matches(['[', ']']).to_owned();
                manifest.section(&section, index + 1);
            } else if let Some((key, value)) = line.split_once('=') {
                let value = value.trim();
                manifest.key(&section, key.trim(), value, index + 1);
                open_list = value.starts_with('[') && !value.ends_with(']');
            }
        }
        manifest
    }

    /// The strings of a list and its line; an absent list is empty.
    pub(super) fn list(&self, key: &str) -> (usize, Vec<String>) {
        let found = self.lists.iter().find(|(name, _, _)| name == key);
        found.map_or((1, Vec::new()), |(_, line, items)| (*line, items.clone()))
    }

    /// A head such as `[dependencies.vault]` is itself a dependency.
    fn section(&mut self, section: &str, line: usize) {
        if let Some((table, name)) = section.rsplit_once('.')
            && let Some(kind) = kind_of(table)
        {
            self.depend(name, kind, line);
        }
    }

    fn key(&mut self, section: &str, key: &str, value: &str, line: usize) {
        if let Some(kind) = kind_of(section) {
            let name = key.split('.').next().unwrap_or(key);
            self.depend(name, kind, line);
        } else if section == "lints" && key == "workspace" {
            self.takes_lints = value == "true";
        } else if value.starts_with('[') {
            self.lists.push((key.to_owned(), line, Vec::new()));
            self.extend_list(value);
        }
    }

    fn depend(&mut self, name: &str, kind: Kind, line: usize) {
        let name = name.trim_matches('"');
        let name = name.strip_prefix("strongroom-").unwrap_or(name).to_owned();
        self.dependencies.push(Dependency { name, kind, line });
    }

    fn extend_list(&mut self, line: &str) {
        if let Some((_, _, items)) = self.lists.last_mut() {
            items.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
}

/// What a section's dependencies are for; none when it lists no dependencies of its package.
fn kind_of(section: &str) -> Option<Kind> {
    let table = match section.strip_prefix("target.") {
        Some(target) => target.rsplit('.').next().unwrap_or(target),
        None => section,
    };
    match table {
        "dependencies" | "build-dependencies" => Some(Kind::Normal),
        "dev-dependencies" => Some(Kind::Development),
        _ => None,
    }
}
