//! Which snapshot is meant, and which path in it.
//!
//! A selector is `latest`, `latest:NAME`, `NAME@TIME`, `@TIME` or the beginning of an id; `:/PATH`
//! may follow. None or several that match are errors that name the candidates. DESIGN.md §15.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use strongroom::{Snapshot, SnapshotStanding, Time, Vault, is_incomplete};

use crate::commands::snapshots::DAMAGED_HINT;
use crate::context::Context;
use crate::exit::{Exit, Failure, Result};
use crate::output::{short, show_path};
use crate::sources::Sources;
use crate::suggestion::nearest_text;
use crate::time;

/// A snapshot, and perhaps a path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    text: String,
    which: Which,
    /// The path after `:`, as bytes; it begins with `/`.
    pub(crate) path: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    /// The newest, of this name if one is given.
    Latest(Option<String>),
    /// The newest that is not younger, of this name if one is given.
    At(Option<String>, Time),
    /// The one whose id begins so.
    Id(String),
}

const FORMS: &str = "write latest, latest:NAME, NAME@TIME, @TIME or the first digits of an id, \
    then :/PATH if you like, where PATH begins with /";

impl Selector {
    /// Reads a selector.
    pub(crate) fn parse(typed: &OsStr) -> Result<Self> {
        let bytes = typed.as_bytes();
        let border = bytes.windows(2).position(|pair| pair == b":/");
        let (which, path) = match border {
            Some(at) => (&bytes[..at], Some(bytes[at + 1..].to_vec())),
            None => (bytes, None),
        };
        let shown = show_path(bytes);
        let failure = Failure::usage(format!("{shown:?} selects no snapshot"), FORMS);
        let text = std::str::from_utf8(which);
        let wrong = || Failure { hint: meant(text.unwrap_or_default()), ..failure.clone() };
        let text = text.map_err(|_| wrong())?;
        let named = |name: &str| -> Result<Option<String>> {
            match name.contains([':', '/', '@']) {
                true => Err(wrong()),
                false => Ok((!name.is_empty()).then(|| name.to_owned())),
            }
        };
        let which = if text == "latest" {
            Which::Latest(None)
        } else if let Some(name) = text.strip_prefix("latest:") {
            Which::Latest(Some(named(name)?.ok_or_else(wrong)?))
        } else if let Some((name, at)) = text.split_once('@') {
            let at = time::parse_end(at).map_err(|message| Failure::usage(message, FORMS))?;
            Which::At(named(name)?, at)
        } else if text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            if text.len() < ID_DIGITS_LEAST {
                let message = format!("{text:?} is too short for the beginning of an id");
                return Err(Failure::usage(message, "give at least 4 digits of the id"));
            }
            Which::Id(text.to_ascii_lowercase())
        } else {
            return Err(wrong());
        };
        Ok(Self { text: text.to_owned(), which, path })
    }

    /// Reads selectors of whole snapshots.
    pub(crate) fn parse_whole(typed: &[OsString]) -> Result<Vec<Self>> {
        let read = |typed: &OsString| match Self::parse(typed)? {
            Self { text, path: Some(_), .. } => {
                let message = format!("{} names a path", show_path(typed.as_bytes()));
                Err(Failure::usage(message, format!("name the snapshot as a whole: {text}")))
            }
            whole => Ok(whole),
        };
        typed.iter().map(read).collect()
    }

    /// Whether it is the beginning of an id.
    pub(crate) fn is_id(&self) -> bool {
        matches!(self.which, Which::Id(_))
    }

    /// The path, the root of the snapshot when none was given.
    pub(crate) fn path_or_root(&self) -> &[u8] {
        self.path.as_deref().unwrap_or(b"/")
    }

    /// The snapshot that is meant.
    pub(crate) fn choose(&self, vault: &mut Vault, context: &Context) -> Result<Snapshot> {
        let snapshots = vault.snapshots()?;
        context.hear_warnings(vault);
        let chosen = self.among(&snapshots, vault)?;
        if let Some(problem) = &chosen.problem {
            let message = format!("snapshot {} is damaged: {problem}", short(chosen.id));
            return Err(Failure::damaged(message, DAMAGED_HINT));
        }
        if !matches!(self.which, Which::Id(_)) {
            warn_of_newer(&snapshots, &chosen, context);
        }
        Ok(chosen)
    }

    fn among(&self, snapshots: &[Snapshot], vault: &Vault) -> Result<Snapshot> {
        let sources = Sources::new(snapshots, vault.ledger().state());
        let is_live = |s: &&Snapshot| s.standing == SnapshotStanding::Live;
        let named = |name: &Option<String>, snapshot: &Snapshot| match name {
            // What was salvaged of a damaged snapshot is chosen by its own name or id alone.
            None => !is_incomplete(snapshot),
            Some(name) => snapshot.descriptor.as_ref().is_some_and(|d| d.name == *name),
        };
        let chosen = match &self.which {
            Which::Id(prefix) => return self.by_id(snapshots, prefix),
            Which::Latest(name) => {
                let own = snapshots.iter().rev().filter(is_live);
                own.filter(|s| !sources.is_foreign(s)).find(|s| named(name, s))
            }
            Which::At(name, at) => {
                let own = snapshots.iter().filter(is_live).filter(|s| !sources.is_foreign(s));
                let own = own.filter(|s| named(name, s) && s.claimed <= *at);
                own.max_by_key(|s| (s.claimed, s.seq))
            }
        };
        chosen
            .cloned()
            .ok_or_else(|| self.nameless(snapshots).unwrap_or_else(|| self.none(snapshots)))
    }

    fn by_id(&self, snapshots: &[Snapshot], prefix: &str) -> Result<Snapshot> {
        let matching = |s: &&Snapshot| s.id.to_string().starts_with(prefix);
        let found: Vec<_> = snapshots.iter().filter(matching).collect();
        match found[..] {
            [] => Err(self.none(snapshots)),
            [one] => Ok(one.clone()),
            _ => Err(Failure::usage(
                format!("{} snapshots begin with {prefix}", found.len()),
                format!("give more digits: {}", candidates(found.into_iter(), Digits::All)),
            )),
        }
    }

    fn none(&self, snapshots: &[Snapshot]) -> Failure {
        if snapshots.is_empty() {
            let hint = "make one with `strongroom backup PATH`";
            return Failure::not_found("the vault holds no snapshots", hint);
        }
        let message = format!("no snapshot matches {:?}", self.text);
        let newest = candidates(snapshots.iter().rev(), Digits::Short);
        let near = match self.near(snapshots) {
            Some(near) => format!("did you mean {near}? "),
            None => String::new(),
        };
        let hint = format!("{near}there is {newest}; `strongroom snapshots` lists all");
        Failure::not_found(message, hint)
    }

    /// Why no name can be found, when the key reads none.
    fn nameless(&self, snapshots: &[Snapshot]) -> Option<Failure> {
        let (Which::Latest(Some(name)) | Which::At(Some(name), _)) = &self.which else {
            return None;
        };
        let is_closed = |s: &Snapshot| s.descriptor.is_none() && s.problem.is_none();
        if snapshots.is_empty() || !snapshots.iter().all(is_closed) {
            return None;
        }
        let message = format!("this key cannot tell which snapshots are of {name:?}");
        let hint = "use a key that may list them, such as the owner's, or give the id";
        Some(Failure::denied(message, hint))
    }

    /// The selector that was perhaps meant.
    fn near(&self, snapshots: &[Snapshot]) -> Option<String> {
        let names = snapshots.iter().filter_map(|s| Some(s.descriptor.as_ref()?.name.as_str()));
        match &self.which {
            Which::Latest(Some(name)) => {
                let near = nearest_text(name, names.filter(|near| near != name))?;
                Some(format!("latest:{near}"))
            }
            Which::At(Some(name), _) => {
                let near = nearest_text(name, names.filter(|near| near != name))?;
                let at = self.text.split_once('@')?.1;
                Some(format!("{near}@{at}"))
            }
            Which::Latest(None) | Which::At(None, _) => None,
            Which::Id(typed) => {
                let ids = snapshots.iter().map(|s| s.id.to_string());
                let digits: Vec<_> =
                    ids.map(|id| id[..typed.len().min(id.len())].to_owned()).collect();
                nearest_text(typed, digits.iter().map(String::as_str)).map(str::to_owned)
            }
        }
    }
}

/// The forms of a selector, after the one that was perhaps meant.
fn meant(typed: &str) -> String {
    let is_name = !typed.is_empty() && !typed.contains([':', '/', '@']);
    let latest = nearest_text(typed, ["latest"]).map(str::to_owned);
    let near = latest.or_else(|| is_name.then(|| format!("latest:{typed}")));
    near.map_or_else(|| FORMS.to_owned(), |near| format!("did you mean {near}? {FORMS}"))
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.text)?;
        match &self.path {
            Some(path) => write!(f, ":{}", show_path(path)),
            None => Ok(()),
        }
    }
}

/// The snapshots that are meant, each once, in the order of their commits. Damaged ones too: an id
/// names them.
pub(crate) fn choose_all(
    selectors: &[Selector],
    vault: &mut Vault,
    context: &Context,
) -> Result<Vec<Snapshot>> {
    let snapshots = vault.snapshots()?;
    context.hear_warnings(vault);
    let mut chosen = Vec::new();
    for selector in selectors {
        let snapshot = selector.among(&snapshots, vault)?;
        if !selector.is_id() {
            warn_of_newer(&snapshots, &snapshot, context);
        }
        chosen.push(snapshot);
    }
    chosen.sort_by_key(|snapshot| snapshot.seq);
    chosen.dedup_by_key(|snapshot| snapshot.seq);
    Ok(chosen)
}

/// A damaged snapshot does not say its name, so it may be the one that was meant.
fn warn_of_newer(snapshots: &[Snapshot], chosen: &Snapshot, context: &Context) {
    for newer in snapshots.iter().filter(|s| s.seq > chosen.seq) {
        let Some(problem) = &newer.problem else { continue };
        let text = format!("snapshot {} is newer and damaged: {problem}", short(newer.id));
        context.output.warning_with_hint(&text, DAMAGED_HINT);
        context.note_exit(Exit::Tampered);
    }
}

const ID_DIGITS_LEAST: usize = 4;
const CANDIDATES_MAX: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Digits {
    Short,
    All,
}

fn candidates<'a>(snapshots: impl Iterator<Item = &'a Snapshot>, digits: Digits) -> String {
    let show = |snapshot: &Snapshot| {
        let name = snapshot.descriptor.as_ref().map_or("?", |d| d.name.as_str());
        let id = match digits {
            Digits::Short => short(snapshot.id),
            Digits::All => snapshot.id.to_string(),
        };
        format!("{id} ({name}@{})", time::show(snapshot.claimed))
    };
    let mut shown: Vec<_> = snapshots.take(CANDIDATES_MAX + 1).map(show).collect();
    if shown.len() > CANDIDATES_MAX {
        shown[CANDIDATES_MAX] = "…".to_owned();
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Selector {
        Selector::parse(OsStr::new(text)).unwrap()
    }

    #[test]
    fn every_form_is_read() {
        let name = || Some("web".to_owned());
        let time = time::parse_end("2026-11-22T10:00").unwrap();
        for (text, which) in [
            ("latest", Which::Latest(None)),
            ("latest:web", Which::Latest(name())),
            ("web@2026-11-22T10:00", Which::At(name(), time)),
            ("@2026-11-22T10:00", Which::At(None, time)),
            ("ABCD", Which::Id("abcd".into())),
        ] {
            assert_eq!(parse(text).which, which, "{text}");
            let with_path = parse(&format!("{text}:/srv/a:/b"));
            assert_eq!(with_path.which, which, "{text}");
            assert_eq!(with_path.path.as_deref(), Some(&b"/srv/a:/b"[..]));
        }
    }

    #[test]
    fn a_path_need_not_be_text() {
        let selector = Selector::parse(OsStr::from_bytes(b"latest:/caf\xe9")).unwrap();
        assert_eq!(selector.path_or_root(), b"/caf\xe9");
        assert_eq!(parse("latest").path_or_root(), b"/");
    }

    #[test]
    fn what_selects_nothing_is_refused() {
        for text in ["", "abc", "newest", "latest:", "web@noon", "@", ":/srv", "web", "latest:a@b"]
        {
            let failure = Selector::parse(OsStr::new(text)).unwrap_err();
            assert_eq!(failure.exit.code(), 2, "{text}");
        }
    }
}
