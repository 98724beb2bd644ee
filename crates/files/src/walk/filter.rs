//! What a walk passes over: by pattern, by size, by a marker in the folder, by `.gitignore` files.
//!
//! Patterns decide first, so that an include keeps what a `.gitignore` would leave out. A marked
//! folder is kept with its marker and nothing else. A `.gitignore` holds for its folder and all
//! below, the deepest one that matches decides, and a folder with a `.git` begins anew, as in git.
//! Only the rules of the folders on the way down are in memory, and so many at most. What cannot
//! be read leaves nothing out. DESIGN.md §10.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::names::Names;
use super::{Folder, describe, open_quietly};
use crate::Result;
use crate::error::Problems;
use crate::exclude::{Choice, Matcher, Patterns};
use crate::source::join;
use crate::stat::Stat;
use format::EntryKind;

/// What a backup passes over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusions {
    /// By name and path.
    pub patterns: Patterns,
    /// Folders that hold one of these keep nothing but it.
    pub markers: Vec<Marker>,
    /// Regular files of more bytes than this.
    pub larger_than: Option<u64>,
    /// Whether `.gitignore` files are obeyed.
    pub gitignore: GitIgnore,
}

/// A file whose being there says that the rest of its folder is not to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The file's name.
    pub name: Vec<u8>,
    /// What the file must begin with; at most [`MARKER_BYTES_MAX`] count.
    pub header: Vec<u8>,
}

impl Marker {
    /// What caches are marked with: <https://bford.info/cachedir/>.
    pub fn cache() -> Self {
        let header = b"Signature: 8a477f597d28d172789f06886806bc55";
        Self { name: b"CACHEDIR.TAG".to_vec(), header: header.to_vec() }
    }
}

/// A marker's header is at most so long.
pub const MARKER_BYTES_MAX: usize = 4096;

/// Whether `.gitignore` files are obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum GitIgnore {
    /// They are files as any.
    #[default]
    Ignored,
    /// What they match is passed over.
    Obeyed,
}

impl Exclusions {
    /// Ready to judge, or which pattern cannot be read.
    pub(crate) fn compile(&self) -> Result<Filter> {
        Ok(Filter {
            matcher: self.patterns.compile()?,
            markers: self.markers.clone(),
            larger_than: self.larger_than,
            gitignore: self.gitignore,
        })
    }
}

/// Compiled exclusions.
#[derive(Debug)]
pub(crate) struct Filter {
    matcher: Matcher,
    markers: Vec<Marker>,
    larger_than: Option<u64>,
    gitignore: GitIgnore,
}

impl Filter {
    /// Whether the walk passes over a file of this folder.
    pub(super) fn leaves_out(
        &self,
        folder: &Folder,
        name: &[u8],
        stat: &Stat,
        rules: Option<&Arc<Rules>>,
    ) -> bool {
        let is_file = stat.kind == EntryKind::File;
        if is_file && self.larger_than.is_some_and(|most| stat.size > most) {
            return true;
        }
        if self.matcher.is_empty() && rules.is_none() {
            return false;
        }
        let path = join(&folder.path, name);
        let is_folder = stat.kind == EntryKind::Folder;
        match self.matcher.choice(&path, name, is_folder) {
            Some(choice) => choice == Choice::Exclude,
            None => rules.is_some_and(|rules| rules.leave_out(&path, is_folder)),
        }
    }

    /// Leaves only the marker among a folder's names, if one says so.
    pub(super) fn apply_markers(
        &self,
        folder: &Folder,
        names: &mut Names,
        problems: &mut Problems,
    ) {
        for marker in &self.markers {
            if !names.contains(&marker.name) {
                continue;
            }
            match is_marked(folder, marker) {
                Ok(false) => {}
                Ok(true) => {
                    names.clear();
                    names.push(&marker.name);
                    return;
                }
                Err(error) => problems.add(&join(&folder.path, &marker.name), describe(error)),
            }
        }
    }

    /// The rules that hold in a folder: those of the one above, and its own.
    pub(super) fn rules_in(
        &self,
        folder: &Folder,
        names: &Names,
        above: Option<&Arc<Rules>>,
        problems: &mut Problems,
    ) -> Option<Arc<Rules>> {
        if self.gitignore == GitIgnore::Ignored {
            return None;
        }
        let above = above.filter(|_| !names.contains(b".git"));
        let read = match names.contains(b".gitignore") {
            true => Rules::read(folder, above),
            false => return above.cloned(),
        };
        read.unwrap_or_else(|reason| {
            problems.add(&join(&folder.path, b".gitignore"), reason);
            above.cloned()
        })
    }
}

fn is_marked(folder: &Folder, marker: &Marker) -> Result<bool, Errno> {
    if marker.header.is_empty() {
        return Ok(true);
    }
    match read_start(folder, &marker.name, marker.header.len().min(MARKER_BYTES_MAX)) {
        Ok(start) => Ok(start.is_some_and(|start| start == marker.header)),
        Err(Errno::NOENT | Errno::LOOP | Errno::MLINK) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The first bytes of a regular file; `None` when it is no regular file.
fn read_start(folder: &Folder, name: &[u8], most: usize) -> Result<Option<Vec<u8>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open_quietly(&folder.fd, name, flags)?;
    if Stat::of(&file)?.kind != EntryKind::File {
        return Ok(None);
    }
    let mut start = vec![0; most];
    let mut filled = 0;
    while filled < most {
        match rustix::io::read(&file, &mut start[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    start.truncate(filled);
    Ok(Some(start))
}

/// The rules of a folder's `.gitignore`, on those of the folders above.
#[derive(Debug)]
pub(super) struct Rules {
    own: Gitignore,
    above: Option<Arc<Rules>>,
    /// How many rules hold here in all.
    count: u64,
}

/// A `.gitignore` is at most so long.
const GITIGNORE_BYTES_MAX: usize = 256 << 10;
/// So many rules hold in one folder at most, those of the folders above included.
const RULES_MAX: u64 = 8192;

impl Rules {
    /// Reads a folder's `.gitignore`; why not, when it cannot be obeyed.
    fn read(folder: &Folder, above: Option<&Arc<Self>>) -> Result<Option<Arc<Self>>, String> {
        let start = read_start(folder, b".gitignore", GITIGNORE_BYTES_MAX + 1);
        let bytes = match start {
            Ok(Some(bytes)) => bytes,
            // What git does not read either.
            Ok(None) | Err(Errno::NOENT | Errno::LOOP | Errno::MLINK) => {
                return Ok(above.cloned());
            }
            Err(error) => return Err(describe(error)),
        };
        if bytes.len() > GITIGNORE_BYTES_MAX {
            return Err(format!("is not obeyed: it is longer than {GITIGNORE_BYTES_MAX} bytes"));
        }
        let root = Path::new(std::ffi::OsStr::from_bytes(&folder.path));
        let mut builder = GitignoreBuilder::new(root);
        let mut count = above.map_or(0, |above| above.count);
        // Like git, pass over lines that make no sense; they leave nothing out.
        for line in bytes.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            if !line.trim().is_empty() && builder.add_line(None, line).is_ok() {
                count += 1;
            }
        }
        if count > RULES_MAX {
            return Err(format!("is not obeyed: {count} rules would hold here, {RULES_MAX} may"));
        }
        let own = builder.build().map_err(|error| format!("is not obeyed: {error}"))?;
        Ok(Some(Arc::new(Self { own, above: above.cloned(), count })))
    }

    fn leave_out(&self, path: &[u8], is_folder: bool) -> bool {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let mut rules = Some(self);
        while let Some(Self { own, above, .. }) = rules {
            match own.matched(path, is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => rules = above.as_deref(),
            }
        }
        false
    }
}
