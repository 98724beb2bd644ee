//! What was typed as paths to back up, and what that means on this machine.
//!
//! Paths that do not exist are heard of before any key is asked for. The vault and this host's
//! cache never go into a backup that lies in that vault: each backup would hold all earlier ones.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use strongroom::{FilesError, Patterns, absolute_path};

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::show_path;

/// The paths of a backup.
pub(super) struct Paths {
    /// Absolute, sorted, each once; those that do not exist too.
    pub(super) absolute: Vec<Vec<u8>>,
    /// How many do not exist.
    pub(super) missing: u64,
}

impl Paths {
    /// Resolves what was typed; an error when none of it exists.
    pub(super) fn resolve(typed: &[OsString], context: &Context) -> Result<Self> {
        let current = std::env::current_dir();
        let current = current.map_err(|error| Failure::local(".".as_ref(), &error))?;
        let absolute = typed.iter().map(|path| absolute(&current, Path::new(path)));
        let mut absolute = absolute.collect::<Result<Vec<_>>>()?;
        absolute.sort();
        absolute.dedup();
        let mut missing = 0;
        for path in &absolute {
            match std::fs::symlink_metadata(as_path(path)) {
                Ok(found) if found.is_symlink() => warn_of_link(path, context),
                Err(error) if is_missing(&error) => missing += 1,
                // What else is wrong with it stands in the backup's report.
                Ok(_) | Err(_) => {}
            }
        }
        if missing == absolute.len() as u64 {
            return Err(none_exists(typed, &absolute));
        }
        Ok(Self { absolute, missing })
    }

    /// The patterns, and those that leave out the vault and the cache.
    pub(super) fn without_own(&self, patterns: Patterns, context: &Context) -> Result<Patterns> {
        let Some(vault) = context.vault_folder() else { return Ok(patterns) };
        let sources = || self.absolute.iter().map(|path| as_path(path));
        if let Some(source) = sources().find(|source| source.starts_with(&vault)) {
            let source = show_path(source.as_os_str().as_bytes());
            return Err(Failure::usage(
                format!("{source} is in the vault's own folder"),
                "name another vault with --vault, or copy the vault's folder with other means",
            ));
        }
        let holds = |folder: &Path| sources().any(|source| folder.starts_with(source));
        let mut patterns = patterns;
        if holds(&vault) {
            let shown = show_path(vault.as_os_str().as_bytes());
            context.output.note(&format!("{shown} is the vault itself: it is left out"));
            patterns = leave_out(patterns, &vault, context);
        }
        let is_named = |cache: &Path| sources().any(|source| source.starts_with(cache));
        match context.cache_folder() {
            Some(cache) if holds(&cache) && !is_named(&cache) => {
                Ok(leave_out(patterns, &cache, context))
            }
            _ => Ok(patterns),
        }
    }
}

/// An absolute path; one whose folders do not exist is taken as it was typed.
fn absolute(current: &Path, path: &Path) -> Result<Vec<u8>> {
    if path.as_os_str().is_empty() {
        let hint = "check the variable that it came from; . is the current folder";
        return Err(Failure::usage("a path to back up is empty", hint));
    }
    let error = match absolute_path(current, path) {
        Ok(absolute) => return Ok(absolute),
        Err(error) => error,
    };
    let is_plain = path.components().all(|part| part != Component::ParentDir);
    match &error {
        FilesError::System { source, .. } if is_missing(source) && is_plain => {
            let joined: PathBuf = current.join(path).components().collect();
            Ok(joined.into_os_string().into_vec())
        }
        _ => Err(error.into()),
    }
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

fn warn_of_link(path: &[u8], context: &Context) {
    let shown = show_path(path);
    let text = format!("{shown} is a symbolic link: the link is backed up, not where it leads");
    let hint = match as_path(path).canonicalize() {
        Ok(target) => format!("name {} too", show_path(target.as_os_str().as_bytes())),
        Err(_) => "it leads nowhere".to_owned(),
    };
    context.output.warning_with_hint(&text, &hint);
}

fn none_exists(typed: &[OsString], absolute: &[Vec<u8>]) -> Failure {
    let shown: Vec<_> = absolute.iter().take(NAMED_MAX).map(|path| show_path(path)).collect();
    let more = if absolute.len() > NAMED_MAX { ", …" } else { "" };
    let message = match absolute.len() {
        1 => format!("there is no {}", shown.join(", ")),
        count => format!("none of the {count} paths exists: {}{more}", shown.join(", ")),
    };
    let has_tilde = typed.iter().any(|path| path.as_bytes().starts_with(b"~"));
    let hint = match has_tilde {
        true => "the shell replaces ~ only where it is not quoted",
        false => "check how it is spelled, and that its disk is mounted",
    };
    Failure::not_found(message, hint)
}

const NAMED_MAX: usize = 5;

fn leave_out(patterns: Patterns, folder: &Path, context: &Context) -> Patterns {
    match folder.to_str() {
        Some(text) => patterns.exclude(literal(text)),
        None => {
            let shown = show_path(folder.as_os_str().as_bytes());
            let text = format!("{shown} cannot be left out: its path is not text");
            context.output.warning_with_hint(&text, "give a pattern such as --exclude '/srv/v*'");
            patterns
        }
    }
}

/// A pattern that matches this path alone.
fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | ',' | '!' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
