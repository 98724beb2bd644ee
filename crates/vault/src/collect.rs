//! Collection: what nothing needs any more is found and deleted.
//!
//! A collection takes the steps of DESIGN §9 in their order, each a record or a deletion that
//! stands by itself: whoever finds a step half done, after a crash or beside another collector,
//! goes on or begins again. Invariant: a pack is deleted only when a `condemn` names it, or no
//! valid record can ever name it; it is condemned only after a mark from a state not older than
//! its suspicion chose no chunk of it. Clocks decide how long things wait, never whether they are
//! safe. What a domain's mark could not read stops the collection of that domain alone.

mod compact;
mod ground;
mod merge;
mod options;
mod remembered;
mod report;
mod retire;
mod suspicion;
mod sweep;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;

use crypto::{Digest, Header, Role, SessionId};
use format::{NamedObject, VaultNames};
use ledger::{Session, SessionStatus, State, StoredTimes};
use places::{NamePrefix, ObjectName, Place, Time};

use crate::mark::{go_on, in_parallel};
use crate::rules::Rule;
use crate::vault::Vault;
use crate::{Error, ErrorKind, Result};

pub use compact::{Compaction, CompactionPlan, UnmovedPack};
pub use options::{CollectMode, CollectOptions, CollectProgress, CompactOptions};
pub(crate) use remembered::check_remembered;
pub use report::{
    Collection, DomainUse, HalfDead, KeptObject, Merged, Removed, StoppedDomain, Waiting,
};

/// How often a collection begins again because the ground moved under it.
const ROUNDS_MAX: u32 = 4;

impl Vault {
    /// Frees what nothing needs: purges what outlived the trash, abandons sessions that fell
    /// silent, condemns packs without any live chunk, merges small index runs, and deletes what
    /// was condemned or dropped before the reader grace, and what interrupted work left. Before
    /// that, where [`CollectOptions::compact`] asks for it, live chunks are moved out of packs
    /// that are half dead or small, so that those are condemned too.
    ///
    /// May be stopped at any moment and run again, beside backups and other collections.
    ///
    /// # Errors
    /// [`Error::RoleMayNot`]; [`Error::MayNotCompact`] with any key but the owner's; errors of the
    /// place and the ledger; [`Error::Stopped`] when it is cancelled. A
    /// domain that could not be marked is no error but part of the [`Collection`].
    pub fn collect(
        &mut self,
        options: &CollectOptions,
        progress: &dyn CollectProgress,
        cancel: &AtomicBool,
    ) -> Result<Collection> {
        self.refresh()?;
        check_role(self, options)?;
        if options.mode == CollectMode::Collect {
            let member = self.ensure_member()?;
            self.abandon_dead_sessions(member)?;
        }
        let lock = self.home().lock_work("collect")?;
        let mut work = Work {
            now: self.components().clock.now(),
            vault: self,
            options,
            progress,
            cancel,
            alone: lock.is_some(),
            times: StoredTimes::default(),
            listed: Listed::default(),
            moved: HashSet::new(),
            found: Collection::default(),
        };
        work.clear_left_behind()?;
        work.purge()?;
        work.abandon_silent()?;
        work.list()?;
        if options.mode == CollectMode::Collect {
            work.compact()?;
        }
        work.condemn_dead()?;
        if options.mode == CollectMode::Collect {
            work.merge_runs()?;
        }
        work.sweep()?;
        if options.mode == CollectMode::Collect {
            // Bundles are for comfort: whoever appends next makes those that are missing.
            let _ = work.vault.ledger().write_bundles();
        }
        Ok(work.found)
    }
}

/// Says in time what would be refused at the first record.
fn check_role(vault: &Vault, options: &CollectOptions) -> Result<()> {
    let role = vault.keyring().role();
    if options.compact.is_some() && role != Role::Owner {
        return Err(Error::MayNotCompact { role });
    }
    if options.mode == CollectMode::Collect && !matches!(role, Role::Owner | Role::Collector) {
        return Err(Error::RoleMayNot { role, what: "collect" });
    }
    let epoch = vault.ledger().state().epoch();
    vault.keyring().meta_secret(epoch)?;
    Ok(())
}

/// A collection under way.
struct Work<'v> {
    vault: &'v mut Vault,
    options: &'v CollectOptions,
    progress: &'v dyn CollectProgress,
    cancel: &'v AtomicBool,
    now: Time,
    /// Whether no other collection of this host and key is under way.
    alone: bool,
    times: StoredTimes,
    listed: Listed,
    /// Packs whose live chunks this collection moved.
    moved: HashSet<Digest>,
    found: Collection,
}

/// What lies in the place.
#[derive(Default)]
struct Listed {
    packs: HashMap<Digest, Lying>,
    runs: HashMap<Digest, Lying>,
}

/// An object that lies in the place.
#[derive(Clone, Copy)]
struct Lying {
    bytes: u64,
    stored_at: Time,
}

impl Work<'_> {
    fn is_rehearsal(&self) -> bool {
        self.options.mode == CollectMode::Rehearse
    }

    fn holds(&self, rule: Rule) -> bool {
        self.vault.rules().hold(rule)
    }

    fn go_on(&self) -> Result<()> {
        go_on(self.cancel)
    }

    fn place(&self) -> &dyn Place {
        self.vault.components().place.as_ref()
    }

    fn list(&mut self) -> Result<()> {
        self.listed.packs = self.list_below(&VaultNames::packs())?;
        self.listed.runs = self.list_below(&VaultNames::runs())?;
        Ok(())
    }

    fn list_below(&self, prefix: &NamePrefix) -> Result<HashMap<Digest, Lying>> {
        let mut listed = HashMap::new();
        for object in self.place().list(prefix, None)? {
            self.go_on()?;
            let object = object?;
            if let Some(NamedObject::Pack(name) | NamedObject::Run(name)) =
                NamedObject::parse(&object.name)
            {
                let lying = Lying { bytes: object.size, stored_at: object.stored_at };
                listed.insert(name, lying);
            }
        }
        Ok(listed)
    }

    /// The sessions that the headers of these objects name, read side by side.
    fn headers(&self, names: &[ObjectName]) -> Result<Vec<HeaderAt>> {
        let place = self.place();
        let parts = in_parallel(place.calls_at_once(), names, |part| {
            part.iter().map(|name| read_header(place, name)).collect::<Result<Vec<_>>>()
        })?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Whether what such a header says lets the object be deleted.
    fn may_delete(&self, state: &State, header: &HeaderAt) -> bool {
        match header {
            HeaderAt::Of(session) => {
                state.is_closed(*session) || !self.holds(Rule::CollectOnlyClosed)
            }
            HeaderAt::Absent => true,
            HeaderAt::Unreadable(_) => false,
        }
    }
}

/// What lies at the head of an object.
#[derive(Clone, Debug)]
enum HeaderAt {
    Of(SessionId),
    Absent,
    Unreadable(String),
}

fn read_header(place: &dyn Place, name: &ObjectName) -> Result<HeaderAt> {
    match place.get(name, Some(0..crypto::HEADER_BYTES as u64)) {
        Ok(bytes) => Ok(match Header::peek(&bytes) {
            Ok(header) => HeaderAt::Of(header.session),
            Err(error) => HeaderAt::Unreadable(error.to_string()),
        }),
        Err(error) => {
            let error = Error::from(error);
            match error.kind() {
                ErrorKind::NotFound => Ok(HeaderAt::Absent),
                ErrorKind::Corrupt | ErrorKind::Invalid => {
                    Ok(HeaderAt::Unreadable(error.to_string()))
                }
                _ => Err(error),
            }
        }
    }
}

fn is_closed(session: &Session) -> bool {
    session.status != SessionStatus::Open
}

/// Whether a session ended without saying that it was done: its host's next one may go on with
/// what it published.
fn is_broken_off(session: &Session) -> bool {
    use SessionStatus::{Abandoned, Recovered, Revoked};
    matches!(session.status, Abandoned | Recovered | Revoked)
}
