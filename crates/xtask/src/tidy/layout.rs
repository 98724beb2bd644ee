//! The rules for the workspace: the member list is the architecture.
//!
//! Members stand on floors and may use only what lies on floors below, so the system can be
//! learned in the order of the list. Checked from the manifests' text alone, which is our own
//! and plain enough to be read line by line. DESIGN: the table of crates.

mod manifest;
#[cfg(test)]
mod tests;

use super::Finding;
use super::source::CIPHER_CRATES;
use manifest::{Dependency, Kind, Manifest};

/// The manifests' texts.
pub(crate) struct Manifests {
    /// The root's, which is the program's too.
    pub(crate) root: String,
    /// Each folder in `crates/`, sorted, with its manifest if it has one.
    pub(crate) members: Vec<(String, Option<String>)>,
}

/// Ground floor first; a crate uses only floors below its own.
const FLOORS: &[&[&str]] = &[
    &["crypto", "places", "chunker"],
    &["format", "s3", "rocks"],
    &["tree", "ledger"],
    &["vault"],
    &["files", "store", "replica"],
    &["strongroom"],
    &["keeper", "server"],
    &["cli"],
];

/// Crates that serve development; the program does not contain them.
const TOOLS: &[&str] = &["testkit", "xtask"];

/// The one tool that tests may use, and the floors that it may use itself.
const TEST_TOOL: &str = "testkit";
const TEST_TOOL_FLOORS: usize = 2;

/// The program's folder: it has no manifest, the root package is built from it.
const PROGRAM: &str = "cli";

/// What a crate must not know though it lies on a floor below, with the reason.
const MUST_NOT_KNOW: &[(&str, &str, &str)] = &[
    ("s3", "crypto", "a place stores bytes that are sealed already"),
    ("tree", "places", "a tree does not know where its nodes lie"),
    ("replica", "vault", "a replica is made of sealed bytes and holds no key"),
    ("files", "s3", "files come from any place"),
];

/// Every rule of layout that the manifests break.
pub(crate) fn check(manifests: &Manifests) -> Vec<Finding> {
    let root = Manifest::parse("Cargo.toml", &manifests.root);
    let mut findings = check_lists(&root, &manifests.members);
    findings.extend(check_dependencies(PROGRAM, &root));
    for (folder, text) in &manifests.members {
        let path = format!("crates/{folder}/Cargo.toml");
        match text {
            Some(text) => {
                let member = Manifest::parse(&path, text);
                findings.extend(check_dependencies(folder, &member));
                findings.extend(check_lints(&member));
            }
            None if folder == PROGRAM => {}
            None => findings.push(Finding::new(&path, 1, "the folder has no manifest")),
        }
    }
    findings
}

/// The lists of members say what the folders say, in the order of the floors.
fn check_lists(root: &Manifest, folders: &[(String, Option<String>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let exists = |name: &str| {
        folders.iter().any(|(folder, text)| folder == name && text.is_some() && name != PROGRAM)
    };
    for (folder, text) in folders {
        if text.is_some() && floor(folder).is_none() && !TOOLS.contains(&folder.as_str()) {
            let message = format!("crates/{folder} stands on no floor of the list in xtask");
            findings.push(Finding::new(root.path, 1, message));
        }
    }
    let ordered = FLOORS.iter().flat_map(|floor| floor.iter()).chain(TOOLS);
    let members: Vec<String> =
        ordered.filter(|name| exists(name)).map(|name| format!("crates/{name}")).collect();
    let mut defaults = members.clone();
    defaults.insert(0, ".".to_owned());
    for (key, expected) in [("members", members), ("default-members", defaults)] {
        let (line, actual) = root.list(key);
        if actual != expected {
            let message = format!(
                "{key} are {}; by floors and folders they are {}",
                actual.join(" "),
                expected.join(" ")
            );
            findings.push(Finding::new(root.path, line, message));
        }
    }
    findings
}

fn check_dependencies(name: &str, manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in &manifest.dependencies {
        let message =
            forbidden_cipher(name, dependency).or_else(|| forbidden_member(name, dependency));
        if let Some(message) = message {
            findings.push(Finding::new(manifest.path, dependency.line, message));
        }
    }
    findings
}

fn forbidden_cipher(name: &str, dependency: &Dependency) -> Option<String> {
    let cipher = CIPHER_CRATES.contains(&dependency.name.as_str());
    (cipher && name != "crypto")
        .then(|| format!("{}: only crates/crypto names a cipher crate", dependency.name))
}

fn forbidden_member(name: &str, dependency: &Dependency) -> Option<String> {
    let used = dependency.name.as_str();
    if TOOLS.contains(&used) {
        let allowed = used == TEST_TOOL && dependency.kind == Kind::Development;
        return (!allowed).then(|| format!("{name} uses {used}, which is for tests only"));
    }
    let used_floor = floor(used)?;
    if let Some((_, _, reason)) =
        MUST_NOT_KNOW.iter().find(|(who, what, _)| *who == name && *what == used)
    {
        return Some(format!("{name} must not know {used}: {reason}"));
    }
    let floors = match floor(name) {
        Some(floor) => floor,
        None if name == TEST_TOOL => TEST_TOOL_FLOORS,
        None => FLOORS.len(),
    };
    (used_floor >= floors)
        .then(|| format!("{name} uses {used}, which does not lie on a floor below its own"))
}

/// Every member takes the workspace's lints.
fn check_lints(manifest: &Manifest) -> Option<Finding> {
    let message = "takes no lints from the workspace: add [lints] workspace = true";
    (!manifest.takes_lints).then(|| Finding::new(manifest.path, 1, message))
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}
