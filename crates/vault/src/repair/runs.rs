//! Rebuilds index runs from the packs' own directories.
//!
//! A pack says itself what it holds, so a run that is missing or does not open costs nothing. The
//! new runs are published by a `merge`, in a session of this host that it closes: such a session
//! may list what others made, and it drops the runs that cannot be read. Content packs need the
//! content key; what a role cannot open is left and said. FORMAT.md §7, §10.

use std::collections::BTreeMap;

use bytes::Bytes;
use crypto::{Digest, Header, Role, stream_len};
use format::{DomainId, ObjectRef, PackListing, Run, VaultNames, split_pack};
use ledger::{Draft, State};
use places::PutOptions;

use super::{RepairMode, Work};
use crate::index::{counts, each_run, seal_run};
use crate::vault::Vault;
use crate::verify::{runs_of, says_damage};
use crate::{Error, Reader, Result};

/// Chunks that one rebuilt run lists, and one pack's more.
const RUN_CHUNKS: usize = 1 << 18;
const NEEDS_KEY: &str = "use the owner's key, which opens every pack and may publish its listing";

/// What is to be rebuilt of a domain.
#[derive(Default)]
struct Broken {
    runs: Vec<(Digest, String)>,
    packs: Vec<Digest>,
}

impl Vault {
    pub(super) fn rebuild_runs(&mut self, work: &mut Work<'_>) -> Result<()> {
        let mut broken = self.find_broken(work)?;
        let runs: Vec<Digest> =
            broken.values().flat_map(|broken| &broken.runs).map(|(run, _)| *run).collect();
        let fetched = self.fetch_runs(work, runs.into_iter())?;
        match work.options.mode {
            RepairMode::Make if !fetched.is_empty() => broken = self.find_broken(work)?,
            _ => broken.retain(|_, broken| {
                // What a run lists that is fetched is not rebuilt.
                let before = broken.runs.len();
                broken.runs.retain(|(run, _)| !fetched.contains(run));
                broken.runs.len() == before
            }),
        }
        for (domain, broken) in broken {
            let may = matches!(self.keyring().role(), Role::Owner | Role::Collector);
            if may && self.ledger().standing().forbids_append().is_none() {
                self.rebuild_domain(work, domain, &broken)?;
                continue;
            }
            for (run, wrong) in &broken.runs {
                work.left(VaultNames::run(run).as_str(), wrong.clone(), NEEDS_KEY);
            }
        }
        Ok(())
    }

    /// The runs that cannot be read, and the packs that lie there and that no other run lists.
    fn find_broken(&self, work: &Work<'_>) -> Result<BTreeMap<DomainId, Broken>> {
        let ledger = self.ledger();
        let state = ledger.state();
        let context = self.index_context();
        let mut listed: Vec<(Digest, bool)> = state.packs().map(|(n, _)| (*n, false)).collect();
        let mut broken: BTreeMap<DomainId, Broken> = BTreeMap::new();
        each_run(&context, &runs_of(state), |_, of, fetched| {
            work.go_on()?;
            match fetched {
                Ok(run) => {
                    for pack in run.packs.iter().filter(|p| counts(state, of.session, p)) {
                        if let Ok(at) = listed.binary_search_by_key(&pack.name, |(n, _)| *n) {
                            listed[at].1 = true;
                        }
                    }
                    Ok(())
                }
                Err(error) if says_damage(&error) => {
                    let wrong = error.to_string();
                    broken.entry(of.domain).or_default().runs.push((of.name, wrong));
                    Ok(())
                }
                Err(error) => Err(error),
            }
        })?;
        let unlisted = listed.into_iter().filter(|(_, is_listed)| !is_listed);
        for (name, _) in unlisted {
            let domain = domain_of(state, &name);
            if let Some(domain) = domain
                && self.components().place.stat(&VaultNames::pack(&name))?.is_some()
            {
                broken.entry(domain).or_default().packs.push(name);
            }
        }
        Ok(broken)
    }

    fn rebuild_domain(
        &mut self,
        work: &mut Work<'_>,
        domain: DomainId,
        broken: &Broken,
    ) -> Result<()> {
        let reader = self.reader_of_place()?;
        let mut listings = Vec::new();
        let (mut runs, mut chunks, mut rebuilt) = (Vec::new(), 0, 0);
        for pack in &broken.packs {
            work.go_on()?;
            match self.listing_of(&reader, pack) {
                Ok(listing) => {
                    rebuilt += 1;
                    chunks +=
                        listing.directory.frames.iter().map(|f| f.chunks.len()).sum::<usize>();
                    listings.push(listing);
                }
                Err(error) if error.kind() == crate::ErrorKind::Denied => {
                    let name = VaultNames::pack(pack);
                    work.left(name.as_str(), "no readable index run lists it", NEEDS_KEY);
                }
                Err(error) if says_damage(&error) => {
                    work.left(VaultNames::pack(pack).as_str(), error.to_string(), "it is lost");
                }
                Err(error) => return Err(error),
            }
            if chunks >= RUN_CHUNKS {
                runs.push(Run::new(std::mem::take(&mut listings)));
                chunks = 0;
            }
        }
        if !listings.is_empty() {
            runs.push(Run::new(listings));
        }
        if runs.is_empty() && broken.runs.is_empty() {
            return Ok(());
        }
        let action = format!("rebuilt from {rebuilt} packs that only it listed");
        for (run, wrong) in &broken.runs {
            work.step(VaultNames::run(run).as_str(), wrong.clone(), action.clone());
        }
        if broken.runs.is_empty() {
            let wrong = format!("{rebuilt} packs are listed by no run");
            work.step("the index", wrong, "listed from their own directories");
        }
        match work.options.mode {
            RepairMode::Make => self.publish_runs(domain, runs, broken),
            RepairMode::Plan => Ok(()),
        }
    }

    /// What a pack says of itself.
    fn listing_of(&self, reader: &Reader, pack: &Digest) -> Result<PackListing> {
        let name = VaultNames::pack(pack);
        let object = self.components().place.get(&name, None)?;
        if Digest::of(&object) != *pack {
            return Err(Error::object(&name, "its bytes do not have its name"));
        }
        let Header { kind, session, epoch, .. } = Header::peek(&object)?;
        let stream_length = stream_len(kind, object.len() as u64)?;
        let directory = Default::default();
        let listing = PackListing { name: *pack, session, kind, epoch, stream_length, directory };
        let prefix = object.get(..crypto::prefix_len(kind)).unwrap_or_default();
        let opened = reader.open_prefix(&listing, prefix)?;
        let payload = opened.open_all(&object).map_err(|error| Error::object(&name, error))?;
        let (_, directory) =
            split_pack(&payload, kind).map_err(|error| Error::object(&name, error))?;
        Ok(PackListing { directory, ..listing })
    }

    /// Appends the `merge` that puts these runs in the place of the broken ones.
    fn publish_runs(&mut self, domain: DomainId, runs: Vec<Run>, broken: &Broken) -> Result<()> {
        let (session, lock) = self.begin_session(domain)?;
        let place = self.components().place.clone();
        let mut needs = Vec::new();
        for run in runs {
            let epoch = self.ledger().state().epoch();
            let object = seal_run(&self.index_context(), session, domain, epoch, &run)?;
            let name = VaultNames::run(&object.name);
            let _ = place.put(&name, Bytes::from(object.bytes), &PutOptions::default())?;
            needs.push(ObjectRef::Run(object.name));
        }
        self.ledger().append(|state| {
            let still = broken.runs.iter().map(|(run, _)| run);
            let still = still.filter(|run| state.run(run).is_some_and(|r| r.dropped.is_none()));
            let drops = still.map(|run| ObjectRef::Run(*run)).collect();
            Ok::<_, Error>(Some(Draft::merge(session, needs.clone(), drops)))
        })?;
        lock.remove();
        self.forget_index();
        Ok(())
    }
}

fn domain_of(state: &State, pack: &Digest) -> Option<DomainId> {
    Some(state.session(state.pack(pack)?.session)?.domain)
}
