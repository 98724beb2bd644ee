//! An owner's host that decides what is kept: forgets, brings back, holds, releases, as a program
//! does it. It purges by record, without waiting for a collection to find the trash too old, and
//! gives up sessions that were silent for a day, by its own clock, which may be wrong.

use std::time::Duration;

use crypto::SessionId;
use format::Kind;
use ledger::{Draft, SnapshotStanding};
use vault::{Error, Vault};

use super::{Actor, Host};

pub(crate) struct Keeper;

const SILENT: Duration = Duration::from_secs(24 * 3600);

impl Actor for Keeper {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
        vault.refresh()?;
        for (kind, snapshots) in decide(host, vault) {
            let ended = match kind {
                Kind::Forget => vault.forget(&snapshots).map(drop),
                Kind::Undo => vault.undo_forget(&snapshots).map(drop),
                Kind::Hold => vault.hold(&snapshots).map(drop),
                Kind::Release => vault.release(&snapshots).map(drop),
                _ => purge(vault, &snapshots),
            };
            match ended {
                // Another keeper or a collector was faster.
                Ok(()) | Err(Error::NoSnapshot { .. } | Error::Held { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let now = host.clock.now();
        let mut ledger = vault.ledger();
        let silent: Vec<_> = ledger
            .state()
            .open_sessions()
            .filter(|(_, session)| now > session.last_claimed.plus(SILENT))
            .map(|(id, _)| id)
            .collect();
        for id in silent {
            ledger.append(|state| {
                let open = state.open_sessions().any(|(open, _)| open == id);
                Ok::<_, Error>(open.then(|| Draft::abandon(id)))
            })?;
        }
        Ok(())
    }
}

/// What becomes of some of the snapshots.
fn decide(host: &mut Host, vault: &Vault) -> Vec<(Kind, Vec<SessionId>)> {
    let kinds = [Kind::Release, Kind::Hold, Kind::Undo, Kind::Purge, Kind::Forget];
    let mut decided = kinds.map(|kind| (kind, Vec::new()));
    let ledger = vault.ledger();
    let there = ledger.state().snapshots();
    for (id, snapshot) in there.filter(|(_, s)| s.standing != SnapshotStanding::Purged) {
        if !host.dice.chance(1, 2) {
            continue;
        }
        let kind = match (snapshot.standing, snapshot.held, host.dice.below(8)) {
            (_, true, 0..4) => Kind::Release,
            (_, true, _) => continue,
            (_, false, 0) => Kind::Hold,
            (SnapshotStanding::Trashed, _, 1 | 2) => Kind::Undo,
            (SnapshotStanding::Trashed, ..) => Kind::Purge,
            _ => Kind::Forget,
        };
        decided.iter_mut().filter(|(of, _)| *of == kind).for_each(|(_, ids)| ids.push(id));
    }
    decided.into_iter().filter(|(_, ids)| !ids.is_empty()).collect()
}

/// Purges those that still lie in the trash.
pub(crate) fn purge(vault: &Vault, snapshots: &[SessionId]) -> vault::Result<()> {
    vault.ledger().append(|state| {
        let is_trash = |id: &&SessionId| {
            let snapshot = state.snapshot(**id);
            snapshot.is_some_and(|s| s.standing == SnapshotStanding::Trashed && !s.held)
        };
        let trash: Vec<_> = snapshots.iter().filter(is_trash).copied().collect();
        let some = !trash.is_empty();
        Ok::<_, Error>(some.then(|| Draft::on_snapshots(Kind::Purge, trash)))
    })?;
    Ok(())
}
