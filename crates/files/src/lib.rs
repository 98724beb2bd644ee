//! File trees into snapshots and back.
//!
//! [`backup`] walks paths, reads what changed and commits a snapshot; [`list`], [`find`] and
//! [`open_file`] look into one, [`diff`] into two, [`Search`] and [`usage`](fn@usage) into all;
//! [`restore`] brings one back, in a sandbox below its target, and [`Copier`] copies them into
//! another vault. Paths are absolute bytes, not text.
//! What concerns one file is a [`Problem`] in the report and stops nothing. This crate knows
//! nothing of buckets and servers. DESIGN.md §10.

mod archive;
mod content;
mod copy;
mod diff;
mod error;
mod exclude;
mod extra;
#[doc(hidden)]
pub mod fuzzing;
mod layout;
mod list;
#[cfg(target_os = "linux")]
mod mount;
mod nodes;
mod owners;
mod progress;
mod restore;
mod search;
mod source;
mod stat;
#[cfg(test)]
mod testing;
mod usage;
mod walk;

pub use archive::{
    BackupCounts, BackupOptions, BackupReport, BlockDevices, Parent, READ_THREADS_MAX, backup,
    backup_stream,
};
pub use content::{FileReader, read_extra};
pub use copy::{
    CopiedSnapshot, Copier, CopyCounts, CopyOptions, CopyOutcome, CopyPlan, RefusedSnapshot,
};
pub use diff::{
    Change, ChangeKind, Comparison, Differences, MOVES_LOOKED_AT_MAX, Moves, comparison, diff,
};
pub use error::{Error, ErrorKind, PROBLEMS_KEPT_MAX, PathText, Problem, Problems, Result};
pub use exclude::{Choice, Pattern, Patterns};
pub use list::{Depth, ListedEntry, find, list, open_file};
#[cfg(target_os = "linux")]
pub use mount::{
    Catalog, CatalogEntry, Freshness, Mount, MountEvents, MountOptions, Unmounted, mount,
    mount_snapshot,
};
pub use progress::{Cancel, Progress, Quiet};
pub use restore::{
    Devices, Overwrite, Owner, Privileges, RestoreCounts, RestoreOptions, RestoreReport, restore,
};
pub use search::{Case, Query, Search, SizeBound};
pub use source::absolute_path;
pub use usage::{SnapshotUsage, Usage, usage};
pub use walk::{Exclusions, GitIgnore, MARKER_BYTES_MAX, Marker};
