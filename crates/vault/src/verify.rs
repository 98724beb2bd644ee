//! Verification: everything that the ledger needs is there and is what it was.
//!
//! Without a key, every needed pack and run has the bytes of its name and the ledger's chain and
//! signatures hold. With a key also: runs and trees open, every chunk that a snapshot reaches lies
//! in a good pack that is there; with [`VerifyDepth::Data`] every chunk of every pack is opened and
//! named anew. Each finding says which snapshots and paths it hurts. The host's own copies are not
//! asked: what counts is what lies in the place. DESIGN §9, P5.

mod packs;
mod walk;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crypto::{Digest, SessionId, object_len};
use format::{ChunkId, ChunkRef, NamedObject, PackListing, VaultNames};
use ledger::{Components, Ledger, ProcessMemory, SnapshotStanding, State};
use places::NamePrefix;

use crate::config::read_config;
use crate::index::{IndexContext, counts, fetch_run};
use crate::vault::Vault;
use crate::{Error, ErrorKind, Result};

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyDepth {
    /// Ledger, runs, trees, and the presence and length of every pack.
    Structure,
    /// Every byte.
    Data,
}

/// What a verification found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Objects that were looked at.
    pub objects: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Records of the ledger.
    pub records: u64,
    /// Snapshots that were walked.
    pub snapshots: u64,
    /// Chunks that were opened and named anew.
    pub chunks: u64,
    /// Packs and runs that no record needs: left by interrupted work.
    pub strangers: u64,
    /// What is wrong.
    pub damage: Vec<Damage>,
}

/// One thing that is wrong, and what it hurts.
#[derive(Clone, Debug)]
pub struct Damage {
    /// The object's name in the place, or what it is.
    pub object: String,
    /// What is wrong with it.
    pub reason: String,
    /// The snapshots that it hurts.
    pub snapshots: Vec<SessionId>,
    /// The paths that it hurts, at most [`HURT_PATHS_MAX`].
    pub paths: Vec<HurtPath>,
    /// How many paths it hurts in all.
    pub paths_total: u64,
}

/// A path that cannot be restored whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HurtPath {
    /// In which snapshot.
    pub snapshot: SessionId,
    /// The path; of an unreadable tree node, the last path that it leads to.
    pub path: Vec<u8>,
}

/// The most paths that one damage lists.
pub const HURT_PATHS_MAX: usize = 1000;

/// Hears what is being read; called from several threads.
pub trait VerifyProgress: Sync {
    /// An object was read: its name and how many bytes of it.
    fn object(&self, name: &str, bytes: u64);
}

impl Vault {
    /// Verifies the vault with the keys at hand.
    ///
    /// # Errors
    /// Errors of the place, a missing role, [`Error::Stopped`] when it is cancelled. Damage is no
    /// error but part of the [`Verification`].
    pub fn verify(
        &mut self,
        depth: VerifyDepth,
        progress: &dyn VerifyProgress,
        cancel: &AtomicBool,
    ) -> Result<Verification> {
        self.refresh()?;
        let mut check = Check::new(self.components().clone(), progress, cancel);
        check.ledger(&self.ledger())?;
        let listed = check.list_objects()?;
        let mut listings = HashMap::new();
        {
            let ledger = self.ledger();
            check.strangers(&listed, ledger.state());
            check.runs(&self.index_context(), ledger.state(), &mut listings)?;
            check.presence(&listed, &listings, ledger.state());
        }
        let reader = self.reader_of_place()?;
        if depth == VerifyDepth::Data {
            packs::verify_data(&mut check, &reader, &listings)?;
        }
        let snapshots: Vec<_> = {
            let ledger = self.ledger();
            let there = ledger.state().snapshots();
            let there = there.filter(|(_, s)| s.standing != SnapshotStanding::Purged);
            there.map(|(id, snapshot)| (id, snapshot.clone())).collect()
        };
        walk::walk_snapshots(&mut check, &reader, &snapshots)?;
        Ok(check.finish())
    }
}

/// Verifies a vault without any key.
///
/// # Errors
/// As [`Vault::verify`].
pub fn verify_keyless(
    components: &Components,
    progress: &dyn VerifyProgress,
    cancel: &AtomicBool,
) -> Result<Verification> {
    let (_, config) = read_config(components.place.as_ref())?;
    let memory = Arc::new(ProcessMemory::new());
    let ledger = Ledger::open(components.clone(), &config, None, memory, None)?;
    let mut check = Check::new(components.clone(), progress, cancel);
    check.ledger(&ledger)?;
    let listed = check.list_objects()?;
    check.strangers(&listed, ledger.state());
    packs::verify_names(&mut check, ledger.state())?;
    Ok(check.finish())
}

/// A verification under way.
pub(crate) struct Check<'a> {
    components: Components,
    progress: &'a dyn VerifyProgress,
    cancel: &'a AtomicBool,
    found: Verification,
    /// Damage by the object's name, in order.
    damage: BTreeMap<String, Damage>,
    /// Packs of which nothing can be read.
    missing: HashSet<Digest>,
    /// Chunks that cannot be had from one pack.
    bad: HashSet<(Digest, ChunkId)>,
}

/// What lies in the place, with lengths.
struct Listed {
    packs: HashMap<Digest, u64>,
    runs: HashMap<Digest, u64>,
}

impl<'a> Check<'a> {
    fn new(
        components: Components,
        progress: &'a dyn VerifyProgress,
        cancel: &'a AtomicBool,
    ) -> Self {
        Self {
            components,
            progress,
            cancel,
            found: Verification::default(),
            damage: BTreeMap::new(),
            missing: HashSet::new(),
            bad: HashSet::new(),
        }
    }

    /// Replays the ledger from its first record.
    fn ledger(&mut self, ledger: &Ledger) -> Result<()> {
        let mut records = 0;
        let replayed = ledger.replay(|_, _| {
            records += 1;
            Ok(())
        });
        self.found.records = records;
        match replayed {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), ledger::ErrorKind::Unavailable) => {
                Err(error.into())
            }
            Err(error) => {
                self.damaged("ledger", error);
                Ok(())
            }
        }
    }

    fn list_objects(&mut self) -> Result<Listed> {
        let packs = self.list(&VaultNames::packs())?;
        let runs = self.list(&VaultNames::runs())?;
        Ok(Listed { packs, runs })
    }

    fn list(&mut self, prefix: &NamePrefix) -> Result<HashMap<Digest, u64>> {
        let mut listed = HashMap::new();
        for object in self.components.place.list(prefix, None)? {
            self.go_on()?;
            let object = object?;
            if let Some(NamedObject::Pack(name) | NamedObject::Run(name)) =
                NamedObject::parse(&object.name)
            {
                listed.insert(name, object.size);
            }
        }
        Ok(listed)
    }

    fn strangers(&mut self, listed: &Listed, state: &State) {
        let packs = listed.packs.keys().filter(|name| state.pack(name).is_none()).count();
        let runs = listed.runs.keys().filter(|name| state.run(name).is_none()).count();
        self.found.strangers = (packs + runs) as u64;
    }

    /// Opens every run as it lies in the place.
    fn runs(
        &mut self,
        context: &IndexContext<'_>,
        state: &State,
        listings: &mut HashMap<Digest, (PackListing, format::DomainId)>,
    ) -> Result<()> {
        for (name, session, domain) in runs_of(state) {
            self.go_on()?;
            let object = VaultNames::run(&name);
            match fetch_run(context, &name, domain) {
                Ok(run) => {
                    self.read_object(object.as_str(), 0);
                    let packs = run.packs.into_iter().filter(|p| counts(state, session, p));
                    listings.extend(packs.map(|p| (p.name, (p, domain))));
                }
                Err(error) => self.take(object.as_str(), error)?,
            }
        }
        Ok(())
    }

    /// Every pack that the ledger knows is there, as long as its run says.
    fn presence(
        &mut self,
        listed: &Listed,
        listings: &HashMap<Digest, (PackListing, format::DomainId)>,
        state: &State,
    ) {
        for (name, _) in state.packs() {
            let object = VaultNames::pack(name);
            self.found.objects += 1;
            let Some(actual) = listed.packs.get(name) else {
                self.damaged(object.as_str(), "it is missing");
                self.missing.insert(*name);
                continue;
            };
            let Some((listing, _)) = listings.get(name) else {
                self.damaged(object.as_str(), "no readable index run lists it");
                continue;
            };
            let expected = object_len(listing.kind, listing.stream_length).ok();
            if expected != Some(*actual) {
                let expected = expected.unwrap_or_default();
                self.damaged(
                    object.as_str(),
                    format!("it is {actual} bytes, its index run says {expected}"),
                );
                self.missing.insert(*name);
            }
        }
    }

    /// Notes damage; an error that says nothing about the object goes on to the caller.
    fn take(&mut self, object: &str, error: Error) -> Result<()> {
        match error.kind() {
            ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Invalid => {
                self.damaged(object, error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn damaged(&mut self, object: &str, reason: impl std::fmt::Display) -> &mut Damage {
        self.damage.entry(object.to_owned()).or_insert_with(|| Damage {
            object: object.to_owned(),
            reason: reason.to_string(),
            snapshots: Vec::new(),
            paths: Vec::new(),
            paths_total: 0,
        })
    }

    fn read_object(&mut self, name: &str, bytes: u64) {
        self.found.objects += 1;
        self.found.bytes += bytes;
        self.progress.object(name, bytes);
    }

    /// Whether a chunk can be had from this pack, as far as is known.
    fn is_good(&self, pack: Digest, chunk: ChunkRef) -> bool {
        !self.missing.contains(&pack) && !self.bad.contains(&(pack, chunk.id))
    }

    fn go_on(&self) -> Result<()> {
        go_on(self.cancel)
    }

    fn finish(mut self) -> Verification {
        self.found.damage = self.damage.into_values().collect();
        self.found
    }
}

fn runs_of(state: &State) -> Vec<(Digest, SessionId, format::DomainId)> {
    let domain = |session| state.session(session).map(|session| session.domain);
    let runs = state.runs();
    runs.filter_map(|(name, at)| Some((*name, at.session, domain(at.session)?))).collect()
}

fn go_on(cancel: &AtomicBool) -> Result<()> {
    if cancel.load(Ordering::Relaxed) {
        return Err(Error::Stopped {
            reason: "the verification was cancelled".into(),
            kind: ErrorKind::Unavailable,
        });
    }
    Ok(())
}
