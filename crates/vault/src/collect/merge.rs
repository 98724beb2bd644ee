//! Merges small index runs of a domain into one.
//!
//! When a domain has many small runs, the smallest are merged as long as the next one is not much
//! longer than all before it together: each entry is so written a few times, whatever the vault's
//! size. The merged run is made under the newest epoch in a session of its own, which the `merge`
//! record closes; it keeps what counts of packs that are not condemned. The replaced runs are
//! deleted later, as `drops` of that record. DESIGN §7, FORMAT.md §7.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use crypto::{
    Digest, DomainId, Header, ObjectKind, ObjectSealer, SessionId, Wrapping, padded_stream_len,
};
use format::{ObjectRef, PackListing, RUN_PACKS_MAX, Run, VaultNames};
use ledger::{Draft, State};
use places::PutOptions;

use super::{Lying, Work};
use crate::home::SessionLock;
use crate::index::{RunToRead, counts, each_run};
use crate::{Error, ErrorKind, Result};

/// A run of at most so many bytes is small.
const SMALL_BYTES_MAX: u64 = 8 << 20;
/// Runs of so many bytes in all are merged into one at most: what is held in memory.
const MERGED_BYTES_MAX: u64 = 32 << 20;
/// So many are merged at least when there are too many.
const MERGED_RUNS_MIN: usize = 16;

impl Work<'_> {
    /// Merges small runs, in each domain that has too many.
    pub(super) fn merge_runs(&mut self) -> Result<()> {
        let stopped: HashSet<DomainId> = self.found.stopped.iter().map(|s| s.domain).collect();
        let mut small: BTreeMap<DomainId, Vec<(u64, Digest, SessionId)>> = BTreeMap::new();
        {
            let ledger = self.vault.ledger();
            let state = ledger.state();
            for (name, origin) in state.runs() {
                let domain = state.session(origin.session).map(|session| session.domain);
                let bytes = self.listed.runs.get(name).map(|lying| lying.bytes);
                if let (Some(domain), Some(bytes)) = (domain, bytes)
                    && bytes <= SMALL_BYTES_MAX
                    && !stopped.contains(&domain)
                {
                    small.entry(domain).or_default().push((bytes, *name, origin.session));
                }
            }
        }
        for (domain, mut runs) in small {
            if runs.len() > self.options.small_runs_max {
                runs.sort_unstable();
                runs.truncate(worth_merging(&runs));
                self.merge(domain, &runs)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, domain: DomainId, runs: &[(u64, Digest, SessionId)]) -> Result<()> {
        self.go_on()?;
        let Some(merged) = self.read_merged(domain, runs)? else { return Ok(()) };
        let session = SessionId::draw(self.vault.components().entropy.as_ref());
        let lock = self.vault.home().lock_session(session)?;
        self.vault.ledger().append_one(Draft::open(session, domain, None))?;
        let stands = self.put_merged(session, domain, &merged, runs);
        if !matches!(stands, Ok(true)) {
            self.abandon(session, lock)?;
            return stands.map(|_| ());
        }
        lock.remove();
        self.found.merged.runs += runs.len() as u64;
        self.found.merged.into += 1;
        Ok(())
    }

    /// What counts of these runs; nothing when one of them cannot be read, which the next mark
    /// will say.
    fn read_merged(
        &self,
        domain: DomainId,
        runs: &[(u64, Digest, SessionId)],
    ) -> Result<Option<Run>> {
        let context = self.vault.index_context();
        let mut packs: BTreeMap<Digest, PackListing> = BTreeMap::new();
        let to_read = |(_, name, session): &(u64, Digest, SessionId)| RunToRead {
            name: *name,
            session: *session,
            domain,
        };
        let runs: Vec<RunToRead> = runs.iter().map(to_read).collect();
        let mut unreadable = false;
        each_run(&context, &runs, |_, at, fetched| {
            self.go_on()?;
            let run = match fetched {
                Ok(run) => run,
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(_) => {
                    unreadable = true;
                    return Ok(());
                }
            };
            let ledger = self.vault.ledger();
            let state = ledger.state();
            let counting = run
                .packs
                .into_iter()
                .filter(|pack| state.pack(&pack.name).is_some() && counts(state, at.session, pack));
            packs.extend(counting.map(|pack| (pack.name, pack)));
            Ok(())
        })?;
        let good = !unreadable && packs.len() <= RUN_PACKS_MAX;
        Ok(good.then(|| Run::new(packs.into_values().collect())))
    }

    /// Stores the merged run and appends `merge`; `false` when another merged some of them first.
    fn put_merged(
        &mut self,
        session: SessionId,
        domain: DomainId,
        merged: &Run,
        runs: &[(u64, Digest, SessionId)],
    ) -> Result<bool> {
        let name = self.put_run(session, domain, merged)?;
        let drops: Vec<ObjectRef> = runs.iter().map(|(_, run, _)| ObjectRef::Run(*run)).collect();
        let stand = |state: &State| {
            runs.iter().all(|(_, run, _)| state.run(run).is_some_and(|r| r.dropped.is_none()))
        };
        let appended = self.vault.ledger().append(|state| {
            let draft = || Draft::merge(session, vec![ObjectRef::Run(name)], drops.clone());
            Ok::<_, Error>(stand(state).then(draft))
        })?;
        Ok(appended.is_some())
    }

    fn put_run(&mut self, session: SessionId, domain: DomainId, run: &Run) -> Result<Digest> {
        let vault = &*self.vault;
        let epoch = vault.ledger().state().epoch();
        let key = vault.keyring().index(domain, epoch)?;
        let header = Header {
            suite: vault.config().suite,
            kind: ObjectKind::IndexRun,
            vault_id: vault.config().vault,
            session,
            epoch,
        };
        let components = vault.components();
        let entropy = components.entropy.as_ref();
        let mut sealer = ObjectSealer::new(header, Wrapping::Keyed(&key), entropy, Vec::new())?;
        sealer.write(&run.encode());
        let padded = padded_stream_len(sealer.stream_len());
        let object = sealer.finish(padded)?;
        let lying = Lying { bytes: object.bytes.len() as u64, stored_at: self.now };
        let body = Bytes::from(object.bytes);
        let _ =
            components.place.put(&VaultNames::run(&object.name), body, &PutOptions::default())?;
        self.listed.runs.insert(object.name, lying);
        Ok(object.name)
    }

    fn abandon(&self, session: SessionId, lock: SessionLock) -> Result<()> {
        self.vault.ledger().append(|state| {
            let open =
                state.session(session).is_some_and(|s| s.status == ledger::SessionStatus::Open);
            Ok::<_, Error>(open.then(|| Draft::abandon(session)))
        })?;
        lock.remove();
        Ok(())
    }
}

/// How many of these runs, the smallest first, are worth merging.
fn worth_merging(runs: &[(u64, Digest, SessionId)]) -> usize {
    let (mut count, mut total) = (0, 0);
    for (bytes, ..) in runs {
        let much_longer = count >= MERGED_RUNS_MIN && *bytes > total;
        if much_longer || total + bytes > MERGED_BYTES_MAX {
            break;
        }
        total += bytes;
        count += 1;
    }
    count
}
