//! `mount`: shows snapshots as folders, until somebody unmounts them or a signal ends it.
//!
//! One line says that the mount is ready, so that scripts can wait for it. Being stopped is how it
//! usually ends, so that is no failure: exit code 0. DESIGN.md §10, §15.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::context::Context;
use crate::exit::Result;
use crate::output::{Fields, Report};

/// Shows snapshots as folders, read-only, through FUSE.
///
/// DIR/latest is the newest snapshot; DIR/ids/ID, DIR/names/NAME/TIME, DIR/hosts/HOST/TIME and
/// DIR/tags/TAG/TIME are all of them, and new ones appear. It ends with Ctrl-C, or when DIR is
/// unmounted (`umount DIR`, `fusermount3 -u DIR`). What is damaged is an I/O error, and is named.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An empty folder
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// Show one snapshot alone, or a folder of it
    #[arg(long, value_name = "SNAPSHOT[:/PATH]")]
    snapshot: Option<OsString>,
    /// Let other users look too, as far as modes allow
    #[arg(long)]
    allow_other: bool,
    /// Let device files work
    #[arg(long)]
    allow_dev: bool,
}

/// A mount that has ended.
pub(crate) struct Ended;

impl Report for Ended {
    fn write_text(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn fields(&self) -> Fields {
        Fields::new()
    }

    fn is_silent(&self) -> bool {
        true
    }
}

/// Mounts.
#[cfg(target_os = "linux")]
pub(crate) fn run(args: &Args, context: &Context) -> Result<Ended> {
    fuse::run(args, context)
}

/// Says that it cannot.
#[cfg(not(target_os = "linux"))]
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Ended> {
    Err(crate::exit::Failure::failed(
        "mounting is built for Linux only",
        "`strongroom restore` brings files back, `strongroom cat` prints one",
    ))
}

#[cfg(target_os = "linux")]
mod fuse {
    use std::io::Write;
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;
    use strongroom::{
        Catalog, CatalogEntry, Clock, FilesError, Freshness, MountEvents, MountOptions, Problem,
        SnapshotStanding, Time, Unmounted, Vault, mount, mount_snapshot,
    };

    use super::{Args, Ended};
    use crate::context::{Access, Context};
    use crate::exit::{Failure, Result};
    use crate::output::{Output, fields, show_path};
    use crate::selector::Selector;
    use crate::sources::Sources;
    use crate::time;

    pub(super) fn run(args: &Args, context: &Context) -> Result<Ended> {
        let selector = args.snapshot.as_deref().map(Selector::parse).transpose()?;
        let mut vault = context.open(Access::Read)?;
        let epoch = vault.ledger().state().epoch();
        vault.keyring().meta_secret(epoch)?;
        let options = MountOptions {
            allow_other: args.allow_other,
            allow_devices: args.allow_dev,
            ..MountOptions::new(&args.target)
        };
        let events = Arc::new(Said(context.output));
        let mounted = match &selector {
            Some(selector) => {
                let snapshot = selector.choose(&mut vault, context)?;
                let reader = vault.reader()?;
                mount_snapshot(reader, &snapshot, selector.path_or_root(), &options, events)?
            }
            None => {
                let reader = vault.reader()?;
                context.hear_warnings(&vault);
                let clock = context.clock.clone();
                let catalog = VaultCatalog { vault, clock, looked: None };
                mount(reader, Box::new(catalog), &options, events)?
            }
        };
        say_ready(args, context)?;
        while !mounted.is_over() && context.signal().is_none() {
            std::thread::sleep(LOOK_EVERY);
        }
        let ended = mounted.unmount()?;
        for _ in 0..LOOKS_MAX {
            if mounted.is_over() || ended == Unmounted::Busy {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        if ended == Unmounted::Busy {
            context.output.warning_with_hint(
                &format!("{} is in use: it is out of sight, and files that are open there end", {
                    shown(args)
                }),
                "close what is open there before it is unmounted",
            );
        }
        Ok(Ended)
    }

    const LOOK_EVERY: Duration = Duration::from_millis(50);
    /// So often it is looked whether the last requests are answered, before it ends anyhow.
    const LOOKS_MAX: u32 = 40;

    fn shown(args: &Args) -> String {
        use std::os::unix::ffi::OsStrExt;
        show_path(args.target.as_os_str().as_bytes())
    }

    fn say_ready(args: &Args, context: &Context) -> Result<()> {
        let mut out = std::io::stdout().lock();
        let said = match context.output.json {
            true => {
                let ready = fields(json!({ "target": shown(args), "ready": true }));
                context.output.json_line(&mut out, "mount", ready)
            }
            false => writeln!(out, "mounted on {}; Ctrl-C or umount ends it", shown(args)),
        };
        said.and_then(|()| out.flush()).map_err(Failure::output)
    }

    /// What cannot be shown is said.
    struct Said(Output);

    impl MountEvents for Said {
        fn problem(&self, problem: &Problem) {
            self.0.warning(&problem.to_string());
        }
    }

    /// The vault's snapshots, looked for again when what is known is old.
    struct VaultCatalog {
        vault: Vault,
        clock: Arc<dyn Clock>,
        looked: Option<Time>,
    }

    /// What is known may be so old, in milliseconds,
    const RECENT_MILLIS: i64 = 60_000;
    /// or so old when something was not found in it.
    const NEWEST_MILLIS: i64 = 1000;

    impl Catalog for VaultCatalog {
        fn snapshots(
            &mut self,
            freshness: Freshness,
        ) -> std::result::Result<Option<Vec<CatalogEntry>>, FilesError> {
            let now = self.clock.now();
            let may_be = match freshness {
                Freshness::Recent => RECENT_MILLIS,
                Freshness::Newest => NEWEST_MILLIS,
            };
            if let Some(looked) = self.looked
                && (0..may_be).contains(&(now.as_millis() - looked.as_millis()))
            {
                return Ok(None);
            }
            // A vault that does not answer is not asked again by each who looks.
            let is_first = self.looked.replace(now).is_none();
            if !is_first {
                self.vault.refresh()?;
            }
            let snapshots = self.vault.snapshots()?;
            let ledger = self.vault.ledger();
            let sources = Sources::new(&snapshots, ledger.state());
            let live = snapshots.iter().filter(|s| s.standing == SnapshotStanding::Live);
            let entry = |snapshot: &strongroom::Snapshot| CatalogEntry {
                snapshot: snapshot.clone(),
                time: time::show(snapshot.claimed),
                host: sources.label(snapshot.member).map(str::to_owned),
                is_foreign: sources.is_foreign(snapshot),
            };
            Ok(Some(live.map(entry).collect()))
        }
    }
}
