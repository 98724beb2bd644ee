//! "did you mean": the nearest of what there is to what was typed.
//!
//! Near means few letters wrong: a suggestion that is no likely slip confuses more than it helps,
//! so then there is none. A path is followed as far as it is right; there, the folder's names are
//! compared. Suggesting never fails: what cannot be read is not suggested.

use strongroom::{Depth, FilesError, Reader, Snapshot, find, list};

use crate::exit::Failure;
use crate::output::show_path;

/// The likeliest of these that is near to what was typed.
pub(crate) fn nearest_text<'a>(
    typed: &str,
    there: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let scored = there.into_iter().map(|text| (likeness(typed, text), text));
    let near = scored.filter(|(likeness, _)| *likeness >= LIKENESS_LEAST);
    let best = near.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, text)| text)
}

/// The failure of looking for a path in a snapshot; its hint names the nearest path that is there.
pub(crate) fn explain_path(
    error: FilesError,
    reader: &Reader,
    snapshot: &Snapshot,
    path: &[u8],
) -> Failure {
    let is_missing = matches!(error, FilesError::NotFound { .. });
    let failure = Failure::from(error);
    match is_missing.then(|| nearest_path(reader, snapshot, path)).flatten() {
        None => failure,
        Some(near) => {
            let near = show_path(&near);
            let hint = format!("did you mean {near}? {}", failure.hint);
            failure.with_hint(hint)
        }
    }
}

/// The path that is nearest: the same below one of the source's own paths, else what is called
/// most like it in the deepest of its folders that is there.
fn nearest_path(reader: &Reader, snapshot: &Snapshot, path: &[u8]) -> Option<Vec<u8>> {
    let is_there = |path: &[u8]| find(reader, snapshot, path).is_ok();
    let sources = snapshot.descriptor.iter().flat_map(|descriptor| &descriptor.paths);
    let below = sources.map(|source| [source, path].concat());
    if let Some(below) = below.take(SOURCES_TRIED).find(|below| is_there(below)) {
        return Some(below);
    }
    let mut folder = b"/".to_vec();
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        let mut next = folder.clone();
        if !next.ends_with(b"/") {
            next.push(b'/');
        }
        next.extend_from_slice(name);
        if is_there(&next) {
            folder = next;
            continue;
        }
        let typed = String::from_utf8_lossy(name);
        let entries = list(reader, snapshot, &folder, Depth::Folder).ok()?;
        let there: Vec<_> =
            entries.take(NAMES_COMPARED).map_while(Result::ok).map(|entry| entry.path).collect();
        let names = there.iter().filter_map(|path| path.rsplit(|byte| *byte == b'/').next());
        let names: Vec<_> = names.map(String::from_utf8_lossy).collect();
        let near = nearest_text(&typed, names.iter().map(AsRef::as_ref))?;
        let at = names.iter().position(|name| name == near)?;
        return there.into_iter().nth(at);
    }
    None
}

const SOURCES_TRIED: usize = 16;
const NAMES_COMPARED: usize = 10_000;

/// From 0 to 1; letters in another case are as good as the same.
fn likeness(typed: &str, text: &str) -> f64 {
    let letters = |text: &str| text.chars().take(LETTERS_MAX).collect::<String>().to_lowercase();
    let (typed, text) = (letters(typed), letters(text));
    let begins = !typed.is_empty() && text.starts_with(&typed);
    strsim::normalized_damerau_levenshtein(&typed, &text).max(if begins { 0.8 } else { 0.0 })
}

const LIKENESS_LEAST: f64 = 0.6;
/// Comparing costs the product of both lengths.
const LETTERS_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_what_was_meant_and_strangers_nothing() {
        let there = ["web", "database", "mail", "hosts"];
        for (typed, meant) in [
            ("databse", Some("database")),
            ("Mail", Some("mail")),
            ("host", Some("hosts")),
            ("data", Some("database")),
            ("wbe", Some("web")),
            ("printer", None),
            ("", None),
        ] {
            assert_eq!(nearest_text(typed, there), meant, "{typed}");
        }
    }
}
