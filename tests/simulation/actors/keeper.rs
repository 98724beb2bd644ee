//! An owner's host that decides what is kept: forgets, brings back, purges, holds, releases. It
//! gives up sessions that were silent for a day, by its own clock, which may be wrong.

use std::time::Duration;

use format::Kind;
use ledger::{Draft, SnapshotStanding};
use vault::{Error, Vault};

use super::{Actor, Host};

pub(crate) struct Keeper;

const SILENT: Duration = Duration::from_secs(24 * 3600);

impl Actor for Keeper {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
        vault.refresh()?;
        let mut ledger = vault.ledger();
        let there: Vec<_> = ledger
            .state()
            .snapshots()
            .filter(|(_, snapshot)| snapshot.standing != SnapshotStanding::Purged)
            .map(|(id, snapshot)| (id, snapshot.standing, snapshot.held))
            .collect();
        for (id, standing, held) in there {
            if !host.dice.chance(1, 2) {
                continue;
            }
            let kind = match (standing, held, host.dice.below(8)) {
                (_, true, 0..4) => Kind::Release,
                (_, true, _) => continue,
                (_, false, 0) => Kind::Hold,
                (SnapshotStanding::Trashed, _, 1 | 2) => Kind::Undo,
                (SnapshotStanding::Trashed, ..) => Kind::Purge,
                _ => Kind::Forget,
            };
            match ledger.append_one(Draft::on_snapshots(kind, [id])) {
                // Another keeper was faster.
                Ok(_) | Err(ledger::Error::Void { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let now = host.clock.now();
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
