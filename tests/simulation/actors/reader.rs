//! Restores any snapshot that is protected. It reads back whole, or the place did not answer; one
//! that was purged meanwhile may be gone.

use vault::{ErrorKind, Vault};

use super::{Actor, Host};
use crate::oracle::{is_protected, lock};
use crate::trees;

pub(crate) struct Restorer;

impl Actor for Restorer {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
        vault.refresh()?;
        let damages = lock(&host.register).counts.damaged;
        let reader = vault.reader()?;
        let (id, tree) = {
            let ledger = vault.ledger();
            let register = lock(&host.register);
            let state = ledger.state();
            let there = state.snapshots().filter(|(id, _)| is_protected(state, *id));
            let there: Vec<_> =
                there.filter_map(|(id, _)| register.trees.get_key_value(&id)).collect();
            let Some((id, tree)) = host.dice.pick(&there) else { return Ok(()) };
            (**id, (*tree).clone())
        };
        match trees::read(&reader, tree.domain, tree.root) {
            Ok((read, _)) if read == trees::expected(&tree.files) => {
                lock(&host.register).counts.restores += 1;
                Ok(())
            }
            Ok(_) => {
                host.turns.stop(format!("a restore of {id} gave other bytes"));
                Ok(())
            }
            Err(error) => {
                let harmless = {
                    let register = lock(&host.register);
                    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Denied)
                        || register.tampered.is_some()
                        || !register.damaged.is_empty()
                        || register.counts.damaged > damages
                };
                vault.refresh()?;
                if !harmless && is_protected(vault.ledger().state(), id) {
                    host.turns.stop(format!("a restore of {id} failed: {error}"));
                }
                Err(error)
            }
        }
    }
}
