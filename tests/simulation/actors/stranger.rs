//! A hostile writer with a domain of its own: it may append what a writer may, and put whatever
//! under any name that is free.
//!
//! It claims others' packs and runs as its own, puts junk where the next record belongs and where
//! packs and runs would lie, and makes honest snapshots in between. It may stop others' work;
//! nothing that stands may be lost for it, and nobody else's chunks be touched.

use bytes::Bytes;
use crypto::{Digest, SessionId};
use format::{NamedObject, ObjectRef, Seq, VaultNames};
use ledger::{Draft, SessionStatus};
use places::{Place, Put, PutOptions};
use vault::Vault;

use super::writer::BackupHost;
use super::{Actor, Host};
use crate::oracle::lock;

pub(crate) struct Stranger {
    pub(crate) honest: BackupHost,
}

impl Actor for Stranger {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
        match host.dice.below(4) {
            0 => self.honest.act(host, vault),
            1 => put_junk(host, vault),
            _ => claim(host, vault),
        }
    }
}

/// Names what others made, published or not, in a session of its own.
fn claim(host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
    vault.refresh()?;
    let place = vault.components().place.clone();
    let mut names = Vec::new();
    for prefix in [VaultNames::packs(), VaultNames::runs()] {
        for listed in place.list(&prefix, None)? {
            match NamedObject::parse(&listed?.name) {
                Some(NamedObject::Pack(name)) => names.push(ObjectRef::Pack(name)),
                Some(NamedObject::Run(name)) => names.push(ObjectRef::Run(name)),
                _ => {}
            }
        }
    }
    names.retain(|_| host.dice.chance(1, 2));
    let session = {
        let mut id = [0; 16];
        vault.components().entropy.fill(&mut id);
        SessionId::from_bytes(id)
    };
    lock(&host.register).claims.insert(session);
    let domain = vault.keyring().domain();
    let mut ledger = vault.ledger();
    ledger.append_one(Draft::open(session, domain, None))?;
    host.rest();
    let names = names.into_iter().filter(|_| host.dice.chance(3, 4)).collect();
    ledger.append_one(Draft::packs(session, names))?;
    host.rest();
    if host.dice.chance(1, 2) {
        ledger.append(|state| {
            let open = state.session(session).is_some_and(|s| s.status == SessionStatus::Open);
            Ok::<_, vault::Error>(open.then(|| Draft::abandon(session)))
        })?;
    }
    Ok(())
}

/// Puts something where something else belongs.
fn put_junk(host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
    vault.refresh()?;
    let next = vault.ledger().state().next();
    let junk = Bytes::from(host.dice.draw().to_le_bytes().repeat(20));
    let guess = Digest::of(&host.dice.draw().to_le_bytes());
    let name = match host.dice.below(5) {
        0 | 1 => VaultNames::record(next),
        2 => VaultNames::record(Seq(next.0 + 5000)),
        3 => VaultNames::pack(&guess),
        _ => VaultNames::run(&guess),
    };
    let (Put::Created | Put::Exists) =
        vault.components().place.put(&name, junk, &PutOptions::default())?;
    Ok(())
}
