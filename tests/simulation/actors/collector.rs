//! Frees space: suspects, marks, condemns and deletes, as DESIGN §9 says a collector does. It rests
//! between its steps, and may be stopped for a month in each of them.

use std::collections::BTreeSet;

use crypto::{Digest, Header, SessionId};
use format::{ChunkKind, ChunkRef, Kind, NamedObject, Seq, VaultNames};
use ledger::{Draft, PackStanding, SessionStatus, State};
use vault::{Error, ErrorKind, Reader, Result, Rule, Vault};

use super::{Actor, Host};
use crate::oracle::lock;
use crate::trees;

pub(crate) struct Collector;

impl Actor for Collector {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> Result<()> {
        vault.refresh()?;
        if host.dice.chance(1, 6) {
            let left = vault.ledger().state().suspicions().map(|(seq, _)| seq).next();
            if let Some(seq) = left {
                clear(vault, seq)?;
            }
        }
        self.collect(host, vault)?;
        self.sweep(host, vault)
    }
}

impl Collector {
    fn collect(&mut self, host: &mut Host, vault: &mut Vault) -> Result<()> {
        let before = vault.ledger().state().clone();
        let packs: Vec<Digest> = before.packs().map(|(name, _)| *name).collect();
        let packs: Vec<_> = packs.into_iter().filter(|_| host.dice.chance(4, 5)).collect();
        if packs.is_empty() {
            return Ok(());
        }
        host.rest();
        let suspicion = vault.ledger().append_one(Draft::on_packs(Kind::Suspect, packs))?.at.seq;
        host.rest();
        let state = vault.ledger().state().clone();
        let marked = match host.rules.hold(Rule::MarkAfterSuspicion) {
            true => &state,
            false => &before,
        };
        let reader = vault.reader()?;
        let Some(dead) = mark(host, &reader, marked, &state, suspicion)? else {
            return clear(vault, suspicion);
        };
        host.rest();
        let mut ledger = vault.ledger();
        match ledger.append_one(Draft::condemn(suspicion, dead)) {
            Ok(_) => Ok(()),
            Err(ledger::Error::Void { .. }) => {
                drop(ledger);
                clear(vault, suspicion)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes what is condemned, and strangers of closed sessions.
    fn sweep(&mut self, host: &mut Host, vault: &mut Vault) -> Result<()> {
        host.rest();
        vault.refresh()?;
        let place = vault.components().place.clone();
        let state = vault.ledger().state().clone();
        let listed: Vec<_> =
            place.list(&VaultNames::packs(), None)?.collect::<places::Result<_>>()?;
        host.rest();
        for object in listed {
            let Some(NamedObject::Pack(pack)) = NamedObject::parse(&object.name) else { continue };
            let over = match state.pack_standing(&pack) {
                PackStanding::Condemned => true,
                PackStanding::Unknown => {
                    let head = place.get(&object.name, Some(0..72))?;
                    Header::peek(&head).is_ok_and(|header| may_delete(host, &state, header.session))
                }
                _ => false,
            };
            if over {
                place.delete(&object.name)?;
            }
        }
        Ok(())
    }
}

fn may_delete(host: &Host, state: &State, session: SessionId) -> bool {
    let closed = state.session(session).map(|session| session.status != SessionStatus::Open);
    closed.unwrap_or(false) || !host.rules.hold(Rule::CollectOnlyClosed)
}

fn clear(vault: &Vault, suspicion: Seq) -> Result<()> {
    vault.ledger().append(|state| {
        let stands = state.suspicion(suspicion).is_some();
        Ok::<_, Error>(stands.then(|| Draft::clear(suspicion)))
    })?;
    Ok(())
}

/// The packs under this suspicion that nothing needs; `None` when a node is out of reach.
fn mark(
    host: &mut Host,
    reader: &Reader,
    marked: &State,
    state: &State,
    suspicion: Seq,
) -> Result<Option<BTreeSet<Digest>>> {
    let own = state.suspicion(suspicion).cloned().unwrap_or_default();
    let mut roots = marked.roots();
    let standing = |id: &SessionId| marked.snapshot(*id).map(|snapshot| snapshot.standing);
    if !host.rules.hold(Rule::MarkTrash) {
        roots.retain(|id| standing(id) != Some(ledger::SnapshotStanding::Trashed));
    }
    if !host.rules.hold(Rule::MarkBases) {
        roots.retain(|id| standing(id) != Some(ledger::SnapshotStanding::Purged));
    }
    let mut needed = BTreeSet::new();
    for root in roots {
        let Some(snapshot) = marked.snapshot(root) else { continue };
        let Some(body) = snapshot.body else { return Ok(None) };
        needed.insert((snapshot.domain, body.descriptor));
        let tree = lock(&host.register).trees.get(&root).cloned();
        let Some(tree) = tree else { return Ok(None) };
        match trees::chunks(reader, snapshot.domain, tree.root) {
            Ok(chunks) => needed.extend(chunks.into_iter().map(|chunk| (snapshot.domain, chunk))),
            Err(error) if host.rules.hold(Rule::StopAtUnreadable) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::Corrupt => return Ok(None),
                _ => return Err(error),
            },
            Err(_) => {
                let root = ChunkRef { kind: ChunkKind::Node, id: tree.root };
                needed.insert((snapshot.domain, root));
            }
        }
    }
    let mut kept = BTreeSet::new();
    for (domain, chunk) in needed {
        let packs = reader.packs_of(domain, chunk)?;
        let counts = |pack: &&Digest| match state.pack_standing(pack) {
            PackStanding::Good => true,
            PackStanding::Suspect => {
                own.contains(pack) || !host.rules.hold(Rule::PassForeignSuspects)
            }
            PackStanding::Lost => !host.rules.hold(Rule::PassLost),
            _ => false,
        };
        let mut counting = packs.iter().filter(counts);
        // What is kept anyway is best; else one of the suspects stays.
        let chosen = counting.clone().find(|pack| !own.contains(pack) || kept.contains(*pack));
        match chosen.or(counting.next()) {
            Some(pack) => drop(kept.insert(*pack)),
            None => return Ok(None),
        }
    }
    Ok(Some(own.difference(&kept).copied().collect()))
}
