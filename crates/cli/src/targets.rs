//! The places that replicas are kept in, as they were typed.
//!
//! None may be the vault's own place, lie within it or around it, nor be named twice: objects of
//! one would be taken for the other's. That is found before anything is opened. DESIGN.md §12.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use strongroom::{Components, PlaceUrl};

use crate::context::{Context, parse_url};
use crate::exit::{Failure, Result};

/// Places beside the vault's.
pub(crate) struct Targets(Vec<PlaceUrl>);

impl Targets {
    /// Reads and checks them.
    pub(crate) fn parse(typed: &[OsString], context: &Context) -> Result<Self> {
        let source = context.place_url()?;
        let mut targets: Vec<PlaceUrl> = Vec::with_capacity(typed.len());
        for typed in typed {
            let target = parse_url(typed)?;
            if overlap(&source, &target) {
                let message = format!("{target} is, holds or lies in the vault at {source}");
                return Err(Failure::usage(message, "name a place apart from it"));
            }
            if let Some(other) = targets.iter().find(|other| overlap(other, &target)) {
                let message = format!("{target} is, holds or lies in {other}, which is named too");
                return Err(Failure::usage(message, "name places apart from one another"));
            }
            targets.push(target);
        }
        Ok(Self(targets))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What one is called.
    pub(crate) fn name(&self, number: usize) -> String {
        self.0[number].to_string()
    }

    /// Opens one that is there, reading no more bytes than this in a second.
    pub(crate) fn open_to_read(
        &self,
        number: usize,
        read: Option<NonZeroU64>,
        context: &Context,
    ) -> Result<Components> {
        context.open_place_at(&self.0[number], read)
    }

    /// Opens one; a folder is made when it is not there.
    pub(crate) fn open(&self, number: usize, context: &Context) -> Result<Components> {
        Ok(context.components(context.create_place_at(&self.0[number])?))
    }

    /// Opens one to look at; a folder that is not there is as good as an empty one.
    pub(crate) fn look(&self, number: usize, context: &Context) -> Result<Components> {
        match &self.0[number] {
            PlaceUrl::Folder(path) if !path.exists() => {
                context.open_place_at(&PlaceUrl::Memory, None)
            }
            url => context.open_place_at(url, None),
        }
    }
}

/// Whether two places are one, or one lies in the other.
pub(crate) fn overlap(one: &PlaceUrl, other: &PlaceUrl) -> bool {
    match (one, other) {
        (PlaceUrl::Folder(one), PlaceUrl::Folder(other)) => {
            let (one, other) = (real_path(one), real_path(other));
            one.starts_with(&other) || other.starts_with(&one)
        }
        (PlaceUrl::S3(one), PlaceUrl::S3(other)) => {
            let within = |one: &str, other: &str| {
                let rest = one.strip_prefix(other);
                rest.is_some_and(|rest| {
                    other.is_empty() || rest.is_empty() || rest.starts_with('/')
                })
            };
            let (first, second) = (&one.prefix, &other.prefix);
            let is_one_bucket = one.bucket == other.bucket && one.endpoint == other.endpoint;
            is_one_bucket && (within(first, second) || within(second, first))
        }
        // Each memory is another.
        (PlaceUrl::Memory, _) | (_, PlaceUrl::Memory) => false,
        (one, other) => one == other,
    }
}

/// A path without links, as far as it exists.
fn real_path(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match existing {
        Some((above, real)) => match path.strip_prefix(above) {
            Ok(rest) if rest.as_os_str().is_empty() => real,
            Ok(rest) => real.join(rest),
            Err(_) => path,
        },
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_are_one_or_lie_in_one_another_are_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("vault/below")).unwrap();
        std::os::unix::fs::symlink("vault", folder.path().join("link")).unwrap();
        let at = |name: &str| PlaceUrl::Folder(folder.path().join(name));
        for (one, other, expected) in [
            ("vault", "vault", true),
            ("vault", "link", true),
            ("vault", "link/below/not/yet", true),
            ("vault/below", "vault", true),
            ("vault", "vault-2", false),
            ("vault", "other/vault", false),
        ] {
            assert_eq!(overlap(&at(one), &at(other)), expected, "{one} {other}");
            assert_eq!(overlap(&at(other), &at(one)), expected, "{other} {one}");
        }
        for (one, other, expected) in [
            ("s3://backups/host", "s3://backups/host?region=x", true),
            ("s3://backups", "s3://backups/host", true),
            ("s3://backups/host", "s3://backups/host-2", false),
            ("s3://backups/host", "s3://copies/host", false),
            ("s3://backups/host", "s3://backups/host?endpoint=https://other.example", false),
            ("memory:", "memory:", false),
        ] {
            let (first, second) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(overlap(&first, &second), expected, "{one} {other}");
        }
    }
}
