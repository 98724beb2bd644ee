//! Which snapshots are meant by name, tag and path, and how they are grouped.
//!
//! Given twice, an option asks for any of its values; different options must all hold. A snapshot
//! that does not say what it is of (damaged, or not for this key) passes no filter, so nothing is
//! ever chosen by what is not known of it. DESIGN.md §15.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::ValueEnum;
use strongroom::{Descriptor, MemberId, Snapshot};

use crate::exit::{Failure, Result};
use crate::output::{short, show_path};
use crate::sources::Sources;
use crate::suggestion::nearest_text;

/// What snapshots are chosen by.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Filter {
    /// Only snapshots of sources of this name (again for more)
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Vec<String>,
    /// Only snapshots with this tag; with all of A,B (again for other ones)
    #[arg(long, value_name = "TAG[,TAG]")]
    pub(crate) tag: Vec<String>,
    /// Only snapshots of sources that hold this path (again for more)
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Vec<OsString>,
}

impl Filter {
    /// Whether every snapshot passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.is_empty() && self.tag.is_empty() && self.path.is_empty()
    }

    /// Whether a snapshot passes.
    pub(crate) fn keeps(&self, snapshot: &Snapshot) -> bool {
        self.is_empty() || self.keeps_source(snapshot)
    }

    /// Those that pass, in their order. None is an error that names the nearest values there are;
    /// a vault without snapshots has none to name.
    pub(crate) fn choose(&self, snapshots: &[Snapshot]) -> Result<Vec<Snapshot>> {
        let chosen: Vec<_> = snapshots.iter().filter(|s| self.keeps(s)).cloned().collect();
        if chosen.is_empty() && !snapshots.is_empty() {
            return Err(self.none(snapshots));
        }
        Ok(chosen)
    }

    /// Paths are absolute, whatever the working folder: a relative one is a mistake.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(path) = self.path.iter().find(|path| !Path::new(path).is_absolute()) else {
            return Ok(());
        };
        let message = format!("--path {} is not absolute", show_path(path.as_bytes()));
        Err(Failure::usage(message, "snapshots know absolute paths: begin it with /"))
    }

    fn keeps_source(&self, snapshot: &Snapshot) -> bool {
        let Some(descriptor) = &snapshot.descriptor else { return false };
        let has_tags = |tags: &String| {
            tags.split(',').all(|wanted| snapshot.tags.iter().any(|tag| tag == wanted))
        };
        let has_path = |path: &OsString| {
            let path = plain_path(path.as_bytes());
            descriptor.paths.iter().any(|own| holds(plain_path(own), path))
        };
        any(&self.name, |name| *name == descriptor.name)
            && any(&self.tag, has_tags)
            && any(&self.path, has_path)
    }

    fn none(&self, snapshots: &[Snapshot]) -> Failure {
        let known = || snapshots.iter().filter_map(|s| s.descriptor.as_ref());
        let options = [("--name", &self.name), ("--tag", &self.tag)];
        let typed = options.iter().flat_map(|(option, values)| {
            values.iter().map(move |value| format!("{option} {value}"))
        });
        let paths = self.path.iter().map(|p| format!("--path {}", show_path(p.as_bytes())));
        let message = format!(
            "none of {} snapshots matches {}",
            snapshots.len(),
            typed.chain(paths).collect::<Vec<_>>().join(" ")
        );
        let names = self.name.iter().find_map(|name| {
            let there = || known().map(|d| d.name.as_str());
            let near = nearest_text(name, there()).filter(|near| near != name)?;
            Some(format!("--name {near}"))
        });
        let near = names.or_else(|| {
            self.tag.iter().flat_map(|tags| tags.split(',')).find_map(|tag| {
                let there = snapshots.iter().flat_map(|s| &s.tags).map(String::as_str);
                let near = nearest_text(tag, there).filter(|near| *near != tag)?;
                Some(format!("--tag {near}"))
            })
        });
        let hint = match near {
            Some(near) => format!("did you mean {near}? `strongroom snapshots` lists all"),
            None => "`strongroom snapshots` lists all, with their names, tags and paths".into(),
        };
        Failure::not_found(message, hint)
    }
}

/// Whether one of the values fits, or there are none.
fn any<T>(values: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(fits)
}

/// A path without the slashes at its end.
fn plain_path(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    &path[..end]
}

/// Whether `path` is `folder` or lies below it; the root is empty.
fn holds(folder: &[u8], path: &[u8]) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// What snapshots are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// The source's name
    Name,
    /// The source's paths
    Path,
    /// The member that made it
    Member,
    /// Its tags
    Tag,
}

impl GroupBy {
    /// What the group of a snapshot is called by this.
    pub(crate) fn value(self, snapshot: &Snapshot, sources: &Sources) -> String {
        let described = |show: &dyn Fn(&Descriptor) -> String| {
            snapshot.descriptor.as_ref().map_or_else(|| "?".to_owned(), show)
        };
        match self {
            Self::Name => described(&|d| d.name.clone()),
            Self::Path => described(&|d| {
                let paths: Vec<_> = d.paths.iter().map(|path| show_path(path)).collect();
                paths.join(" ")
            }),
            Self::Member => member_text(snapshot.member, sources),
            Self::Tag => match &snapshot.tags[..] {
                [] => described(&|_| "no tags".to_owned()),
                tags => format!("#{}", tags.join(" #")),
            },
        }
    }

    /// The word for people and programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Path => "path",
            Self::Member => "member",
            Self::Tag => "tag",
        }
    }
}

/// What a member is called, else the beginning of its id.
pub(crate) fn member_text(member: MemberId, sources: &Sources) -> String {
    sources.label(member).map_or_else(|| short(member), str::to_owned)
}

/// Snapshots that belong together, oldest first.
pub(crate) struct Group {
    /// What they have in common, in the order that was asked for; empty when all are one group.
    pub(crate) values: Vec<String>,
    /// The snapshots.
    pub(crate) snapshots: Vec<Snapshot>,
}

/// Groups snapshots; groups stand in the order of what they have in common.
pub(crate) fn group(snapshots: Vec<Snapshot>, by: &[GroupBy], sources: &Sources) -> Vec<Group> {
    let mut groups = std::collections::BTreeMap::<Vec<String>, Vec<Snapshot>>::new();
    for snapshot in snapshots {
        let values = by.iter().map(|by| by.value(&snapshot, sources)).collect();
        groups.entry(values).or_default().push(snapshot);
    }
    groups.into_iter().map(|(values, snapshots)| Group { values, snapshots }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_held_by_itself_and_what_lies_above() {
        for (folder, path, is_held) in [
            ("/srv", "/srv", true),
            ("/srv/", "/srv/a", true),
            ("/", "/srv", true),
            ("/srv", "/srv2", false),
            ("/srv/a", "/srv", false),
        ] {
            let held = holds(plain_path(folder.as_bytes()), plain_path(path.as_bytes()));
            assert_eq!(held, is_held, "{folder} {path}");
        }
    }

    #[test]
    fn a_relative_path_is_refused() {
        let filter = Filter { path: vec!["srv".into()], ..Filter::default() };
        assert_eq!(filter.check().unwrap_err().exit.code(), 2);
        assert!(Filter::default().check().is_ok());
    }
}
