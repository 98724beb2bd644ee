//! Strongroom for programs: everything an embedder needs, under one roof.
//!
//! A [`Vault`] lies in a [`Place`]; [`open_place`] and [`create_place`] turn a [`PlaceUrl`] into
//! one: this is the one crate that names every kind of place. Backups are made by [`backup`],
//! looked into by [`list`], [`find`] and [`open_file`], and brought back by [`restore`]; a
//! [`Replicator`] keeps another place after the vault's. Errors of every room below become one
//! [`Error`], and [`Error::kind`] says what to do about it. DESIGN.md §3.
//!
//! # Example
//! A vault in memory, a backup of a folder, and one file read back:
//! ```
//! use std::io::Read;
//! use std::sync::Arc;
//! use strongroom::{
//!     BackupOptions, Cancel, Clock, Components, CreateOptions, Folders, OsEntropy, PlaceOptions,
//!     PlaceUrl, Protection, Quiet, Suite, SystemClock, Vault,
//! };
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("letter.txt"), "dear vault")?;
//!
//! let clock: Arc<dyn Clock> = Arc::new(SystemClock);
//! let options = PlaceOptions::default();
//! let place = strongroom::create_place(&PlaceUrl::Memory, &options, clock.clone())?;
//! let start = clock.now();
//! let components = Components { place, clock, entropy: Arc::new(OsEntropy) };
//! let options = CreateOptions {
//!     suite: Suite::Aes256Gcm,
//!     protection: Protection::KeyFile,
//!     label: "here",
//!     pack_size: None,
//! };
//! // The bundle is the vault's root secret: keep `owner.to_key_file()` where nobody else reads it.
//! let (mut vault, _owner) = Vault::create(components, &Folders::default(), &options)?;
//!
//! let path = strongroom::absolute_path(folder.path(), "letter.txt".as_ref())?;
//! let options = BackupOptions::new("letters", vec![path.clone()], start);
//! let report = strongroom::backup(&mut vault, &options, &Quiet, &Cancel::new())?;
//!
//! let id = report.snapshot.expect("it was no dry run");
//! let (reader, snapshot) = (vault.reader()?, vault.snapshot(id)?);
//! let mut text = String::new();
//! strongroom::open_file(&reader, &snapshot, &path)?.read_to_string(&mut text)?;
//! assert_eq!(text, "dear vault");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod machine;
mod place;
mod recover;

pub use crypto::{
    Argon2Parameters, Bundle, DomainId, Entropy, Error as KeyError, ErrorKind as KeyErrorKind,
    Keyring, MemberId, OsEntropy, Role, RootSecret, SessionId, SessionId as SnapshotId, Suite,
    VaultId,
};
pub use error::{Error, ErrorKind, Result};
pub use files::{
    BackupCounts, BackupOptions, BackupReport, BlockDevices, Cancel, Case, Change, ChangeKind,
    Choice, Comparison, CopiedSnapshot, Copier, CopyCounts, CopyOptions, CopyOutcome, CopyPlan,
    Depth, Devices, Differences, Error as FilesError, ErrorKind as FilesErrorKind, Exclusions,
    FileReader, GitIgnore, ListedEntry, MARKER_BYTES_MAX, MOVES_LOOKED_AT_MAX, Marker, Moves,
    Overwrite, Owner, Parent, PathText, Pattern, Patterns, Privileges, Problem, Problems, Progress,
    Query, Quiet, READ_THREADS_MAX, RefusedSnapshot, RestoreCounts, RestoreOptions, RestoreReport,
    Search, SizeBound, SnapshotUsage, Usage, absolute_path, backup, backup_stream, comparison,
    diff, find, list, open_file, read_extra, restore, usage,
};
#[cfg(target_os = "linux")]
pub use files::{
    Catalog, CatalogEntry, Freshness, Mount, MountEvents, MountOptions, Unmounted, mount,
    mount_snapshot,
};
pub use format::{
    Config, Counts, Descriptor, Digest, EntryKind, Extra, FORMAT_NUMBER, FileEntry, KIT_BYTES_MAX,
    Kind as RecordKind, Kit, KitError, KitFacts, PACK_BYTES_MAX, PACK_BYTES_MIN, Record,
    SnapshotContent, Timestamp,
};
pub use ledger::{
    Alarm, Applied, Body as RecordBody, Entry as LedgerEntry, Error as LedgerError,
    ErrorKind as LedgerErrorKind, Ledger, LockReport, Member, Outcome, ProcessMemory, ProtectMode,
    RecordAt, RecordBytes, Seq, Standing, State, VoidReason,
};
pub use machine::preferred_suite;
pub use place::{PlaceOptions, create_place, open_place};
pub use places::{
    Clock, Error as PlaceError, ErrorKind as PlaceErrorKind, LOCK_DAYS_MAX, ObjectLock, ObjectName,
    Obstacle, Place, PlaceUrl, Put, PutOptions, Rates, Recording, RequestClass, RequestCounts,
    RequestTotals, RetentionMode, S3Url, SystemClock, Throttled, Time, Verb,
};
pub use recover::{Host, Loss, RecoverOptions, Recovered, recover, recover_in_place};
pub use replica::{
    Comparison as ReplicaComparison, Error as ReplicaError, Lag, MissingObject, Pass, ReadBack,
    Rehearsal, ReplicaOptions, ReplicaProgress, Replicator, compare as compare_replica,
};
pub use s3::{Credentials, PlainHttp};
pub use vault::{
    Amount, ChunkTotals, CollectMode, CollectOptions, CollectProgress, Collection, Committed,
    CompactOptions, Compaction, CompactionPlan, Components, Compression, CreateOptions, Damage,
    DomainChoice, DomainUse, Elsewhere, Error as VaultError, ErrorKind as VaultErrorKind, Floor,
    Folders, Forgotten, Fraction, GroupBy, HalfDead, HurtPath, Inventory, KeepReason, KeptObject,
    KnownLocks, LeftAloneReason, Merged, Origin, Paranoia, Period, Planned, Protection, Reader,
    Reading, Removed, Repair, RepairMode, RepairOptions, Reported, Reporting, Retention, Seen,
    Snapshot, SnapshotStanding, Source, Stages, Step as RepairStep, StepOutcome, StoppedDomain,
    StoredChunks, TRASH_DAYS_DEFAULT, TagEdit, UnmovedPack, UtcOffset, Vault, Verdict,
    Verification, VerifyOptions, VerifyProgress, Waiting, Written, check_label, foreign_names,
    is_incomplete, open_slot, read_config, repair_versions, slots, verify_keyless,
};
