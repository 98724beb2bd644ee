//! Which entries a restore takes.
//!
//! What an exclude matches is left out with all below it. With includes, only what one matches, and
//! all below it, is taken. What holds for a folder is remembered while its listing goes by.
//! DESIGN.md §10.

use format::EntryKind;

use crate::exclude::{Choice, Matcher};
use crate::source::join;

/// Judges entries in key order.
pub(crate) struct Selection<'a> {
    matcher: &'a Matcher,
    /// The folder judged last, and what holds for all in it.
    folder: Vec<u8>,
    state: State,
}

/// What holds for an entry and so for all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Left out, with all below.
    Out,
    /// Taken, with all below that is not left out.
    In,
    /// Not taken, but what lies below may be.
    Open,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(matcher: &'a Matcher) -> Self {
        let state = if matcher.has_includes() { State::Open } else { State::In };
        let folder = b"/".to_vec();
        let mut selection = Self { matcher, folder, state };
        selection.state = selection.judge(state, b"/", b"/", true);
        selection
    }

    /// Whether the entry at this absolute path is restored.
    pub(crate) fn takes(&mut self, path: &[u8], kind: EntryKind) -> bool {
        if self.matcher.is_empty() || path == b"/" {
            return self.matcher.is_empty() || self.state == State::In;
        }
        let at = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let (folder, name) = (&path[..at.max(1)], &path[at + 1..]);
        if folder != self.folder {
            self.enter(folder);
        }
        self.judge(self.state, path, name, kind == EntryKind::Folder) == State::In
    }

    /// Judges every folder on the way down to this one.
    fn enter(&mut self, folder: &[u8]) {
        let start = if self.matcher.has_includes() { State::Open } else { State::In };
        let mut path = b"/".to_vec();
        let mut state = self.judge(start, b"/", b"/", true);
        for name in folder.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            path = join(&path, name);
            state = self.judge(state, &path, name, true);
        }
        self.state = state;
        self.folder = folder.to_vec();
    }

    fn judge(&self, above: State, path: &[u8], name: &[u8], is_folder: bool) -> State {
        match (above, self.matcher.choice(path, name, is_folder)) {
            (State::Out, _) | (_, Some(Choice::Exclude)) => State::Out,
            (_, Some(Choice::Include)) => State::In,
            (state, None) => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exclude::Patterns;

    #[test]
    fn includes_take_what_they_match_and_all_below_it() {
        let patterns = Patterns::new().include("/srv/www").include("*.conf").exclude("*.tmp");
        let matcher = patterns.compile().unwrap();
        let mut selection = Selection::new(&matcher);
        for (path, expected) in [
            (&b"/srv"[..], false),
            (b"/srv/www", true),
            (b"/srv/www/a", true),
            (b"/srv/www/a/b", true),
            (b"/srv/www/a.tmp", false),
            (b"/srv/other", false),
            (b"/etc/x/y.conf", true),
            (b"/etc/x/y.conf/z", true),
            (b"/a.tmp/y.conf", false),
        ] {
            let shown = String::from_utf8_lossy(path);
            assert_eq!(selection.takes(path, EntryKind::File), expected, "{shown}");
        }
    }

    #[test]
    fn without_patterns_everything_is_taken() {
        let matcher = Patterns::new().compile().unwrap();
        assert!(Selection::new(&matcher).takes(b"/", EntryKind::Folder));
        assert!(Selection::new(&matcher).takes(b"/a/b", EntryKind::File));
    }
}
