//! What was typed as options of a backup, checked and resolved.
//!
//! Everything but the parent is known without the vault.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use strongroom::{
    BackupOptions, BlockDevices, Compression, Exclusions, GitIgnore, MARKER_BYTES_MAX, Marker,
    Paranoia, Parent, Patterns, Time, Vault,
};

use super::{Args, BlockDeviceChoice, CompressionChoice};
use crate::commands::init::pack_bytes;
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::selector::Selector;
use crate::time;

/// What a backup is to do.
pub(super) struct Plan {
    pub(super) exclusions: Exclusions,
    pack_size: Option<u32>,
    claimed: Option<Time>,
    parent: ParentChoice,
}

enum ParentChoice {
    Newest,
    None,
    Selected(Selector),
}

impl Plan {
    /// Checks all that was typed.
    pub(super) fn new(args: &Args) -> Result<Self> {
        if let Some(name) = &args.name {
            strongroom::check_label("the name", name)?;
        }
        for tag in &args.tag {
            strongroom::check_label("the tag", tag)?;
        }
        Ok(Self {
            exclusions: exclusions(args)?,
            pack_size: args.pack_size.map(pack_bytes).transpose()?,
            claimed: args.time.as_deref().map(claimed).transpose()?,
            parent: args.parent.as_deref().map_or(Ok(ParentChoice::Newest), parent)?,
        })
    }

    /// The same with other patterns.
    pub(super) fn with_patterns(self, patterns: Patterns) -> Self {
        Self { exclusions: Exclusions { patterns, ..self.exclusions }, ..self }
    }

    /// The snapshot to compare with.
    pub(super) fn parent(&self, vault: &mut Vault, context: &Context) -> Result<Parent> {
        match &self.parent {
            ParentChoice::Newest => Ok(Parent::Newest),
            ParentChoice::None => Ok(Parent::None),
            ParentChoice::Selected(selector) => {
                Ok(Parent::Snapshot(Box::new(selector.choose(vault, context)?)))
            }
        }
    }

    /// The options, all but the parent.
    pub(super) fn options(self, args: &Args, usual: BackupOptions) -> BackupOptions {
        BackupOptions {
            tags: args.tag.clone(),
            exclusions: self.exclusions,
            one_file_system: args.one_file_system,
            block_devices: match args.block_devices {
                BlockDeviceChoice::Metadata => BlockDevices::Metadata,
                BlockDeviceChoice::Content => BlockDevices::Content,
            },
            force: args.force,
            ignore_inode: args.ignore_inode,
            ignore_ctime: args.ignore_ctime,
            compression: args.compression.into(),
            paranoia: if args.paranoid { Paranoia::EveryFrame } else { Paranoia::Samples },
            pack_size: self.pack_size,
            read_threads: args.read_threads,
            claimed: self.claimed,
            skip_if_unchanged: args.skip_if_unchanged,
            dry_run: args.dry_run,
            ..usual
        }
    }
}

impl From<CompressionChoice> for Compression {
    fn from(choice: CompressionChoice) -> Self {
        match choice {
            CompressionChoice::None => Self::None,
            CompressionChoice::Fast => Self::Fast,
            CompressionChoice::Default => Self::Default,
            CompressionChoice::Max => Self::Max,
        }
    }
}

fn exclusions(args: &Args) -> Result<Exclusions> {
    let mut patterns = Patterns::new();
    for path in &args.exclude_file {
        let lines = std::fs::read_to_string(path).map_err(|error| Failure::local(path, &error))?;
        patterns = patterns.exclude_lines(&lines);
    }
    patterns = args.exclude.iter().fold(patterns, |all, glob| all.exclude(glob));
    patterns = args.iexclude.iter().fold(patterns, |all, glob| all.exclude_any_case(glob));
    let mut markers: Vec<_> = args.exclude_caches.then(Marker::cache).into_iter().collect();
    for typed in &args.exclude_if_present {
        markers.push(marker(typed)?);
    }
    Ok(Exclusions {
        patterns,
        markers,
        larger_than: args.exclude_larger_than,
        gitignore: if args.gitignore { GitIgnore::Obeyed } else { GitIgnore::Ignored },
    })
}

/// `NAME` or `NAME:HEADER`.
fn marker(typed: &OsStr) -> Result<Marker> {
    let bytes = typed.as_bytes();
    let (name, header) = match bytes.iter().position(|byte| *byte == b':') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    if !super::is_file_name(OsStr::from_bytes(name)) {
        let name = OsString::from_vec(name.to_vec());
        return Err(Failure::usage(
            format!("--exclude-if-present {name:?} is not a file's name"),
            "give a name without /, such as --exclude-if-present .nobackup",
        ));
    }
    if header.len() > MARKER_BYTES_MAX {
        let message = format!("the header after {name:?} has {} bytes", header.len());
        return Err(Failure::usage(message, format!("give at most {MARKER_BYTES_MAX} bytes")));
    }
    Ok(Marker { name: name.to_vec(), header: header.to_vec() })
}

fn claimed(text: &str) -> Result<Time> {
    let hint = "give a time such as --time 2026-11-22T10:00:00Z";
    time::parse_start(text).map_err(|message| Failure::usage(message, hint))
}

fn parent(typed: &OsStr) -> Result<ParentChoice> {
    if typed == "none" {
        return Ok(ParentChoice::None);
    }
    let selector = Selector::parse(typed)?;
    match &selector.path {
        None => Ok(ParentChoice::Selected(selector)),
        Some(_) => Err(Failure::usage(
            format!("--parent {typed:?} names a path in a snapshot"),
            "give a whole snapshot, such as --parent latest, or none",
        )),
    }
}
