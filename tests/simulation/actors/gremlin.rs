//! Damages packs and records as no client could. A pack is healed after a while, as a repair would:
//! meanwhile what needs it cannot be read, and nothing may be given up because of that. A record
//! that was changed is not healed before the end: every machine that opens the vault must notice.

use format::{Seq, VaultNames};
use places::{MemoryPlace, ObjectName, Place};
use vault::Vault;

use super::{Actor, Host};
use crate::oracle::lock;

/// Damages packs for a while.
pub(crate) struct Gremlin;

impl Actor for Gremlin {
    fn act(&mut self, host: &mut Host, _: &mut Vault) -> vault::Result<()> {
        let objects = host.bucket.objects().clone();
        let packs: Vec<_> = objects.names();
        let packs: Vec<_> =
            packs.iter().filter(|name| name.as_str().starts_with("packs/")).collect();
        let Some(name) = host.dice.pick(&packs) else { return Ok(()) };
        {
            let mut register = lock(&host.register);
            register.damaged.insert((*name).clone());
            register.counts.damaged += 1;
        }
        flip(&objects, name);
        host.rest();
        host.rest();
        heal(&objects, name);
        lock(&host.register).damaged.remove(*name);
        Ok(())
    }
}

/// Damages a record, once.
#[derive(Default)]
pub(crate) struct Vandal {
    done: bool,
}

impl Actor for Vandal {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
        vault.refresh()?;
        // A change of what nothing signed follows is seen only by who remembers it.
        let newest = {
            let ledger = vault.ledger();
            let mut seq = ledger.state().head().seq;
            while ledger.state().void_of(seq).is_some() {
                seq = Seq(seq.0 - 1);
            }
            seq.0
        };
        if !self.done && newest > 20 && host.dice.chance(1, 3) {
            self.done = true;
            let seq = Seq(1 + host.dice.below(newest - 1));
            let name = VaultNames::record(seq);
            lock(&host.register).tampered = Some(name.clone());
            flip(host.bucket.objects(), &name);
        }
        Ok(())
    }
}

/// Changes the last byte, or changes it back.
pub(crate) fn flip(objects: &MemoryPlace, name: &ObjectName) {
    objects.corrupt(name, |bytes| {
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
    });
}

/// Makes a damaged object whole, when it is still there.
pub(crate) fn heal(objects: &MemoryPlace, name: &ObjectName) {
    if matches!(objects.stat(name), Ok(Some(_))) {
        flip(objects, name);
    }
}
