//! Says of packs that they are lost: wrongly, and takes it back, or because they are about to be.
//!
//! A pack is really destroyed only once the ledger says that it is lost, and only when each chunk
//! of a protected snapshot that lies in it lies in another pack too: from then on nobody may count
//! on it, so nothing may be missed. What nothing else holds no protocol can keep.

use crypto::Digest;
use format::{Kind, VaultNames};
use ledger::{Draft, PackStanding, SnapshotStanding, State};
use places::{MemoryPlace, Place};
use testkit::simulation::Event;
use vault::Vault;

use super::{Actor, Host};
use crate::oracle::{Register, lock, look};
use crate::trees;

pub(crate) struct Inspector;

impl Actor for Inspector {
    fn act(&mut self, host: &mut Host, vault: &mut Vault) -> vault::Result<()> {
        vault.refresh()?;
        let packs: Vec<Digest> = {
            let ledger = vault.ledger();
            let state = ledger.state();
            let good = |name: &&Digest| state.pack_standing(name) == PackStanding::Good;
            state.packs().map(|(name, _)| name).filter(good).copied().collect()
        };
        let objects = host.bucket.objects().clone();
        // Those that can be destroyed are looked for: most packs hold what no other does.
        let some: Vec<Digest> = (0..3).filter_map(|_| host.dice.pick(&packs).copied()).collect();
        let spare = some.iter().find(|pack| is_spare(&objects, &lock(&host.register), pack));
        let Some(pack) = spare.or(some.first()).copied() else { return Ok(()) };
        vault.ledger().append_one(Draft::on_packs(Kind::Lost, [pack]))?;
        host.rest();
        if !destroy_spare(host, &pack) {
            vault.ledger().append_one(Draft::on_packs(Kind::Found, [pack]))?;
        }
        Ok(())
    }
}

/// Destroys a pack that stands lost, if nothing is missed for it.
pub(crate) fn destroy_spare(host: &Host, pack: &Digest) -> bool {
    let objects = host.bucket.objects();
    let name = VaultNames::pack(pack);
    let may = is_spare(objects, &lock(&host.register), pack) && stands_lost(objects, pack);
    if !may || objects.delete(&name).is_err() {
        return false;
    }
    lock(&host.register).counts.lost += 1;
    host.bucket.tell(&Event::Deleted { name: &name });
    true
}

fn stands_lost(objects: &MemoryPlace, pack: &Digest) -> bool {
    look(objects)
        .is_ok_and(|vault| vault.ledger().state().pack_standing(pack) == PackStanding::Lost)
}

/// Whether each chunk of a snapshot that lies in this pack lies in another, which is there and
/// neither condemned nor lost.
fn is_spare(objects: &MemoryPlace, register: &Register, pack: &Digest) -> bool {
    let Ok(mut vault) = look(objects) else { return false };
    let Ok(reader) = vault.reader() else { return false };
    let ledger = vault.ledger();
    let state: &State = ledger.state();
    let there = |other: &Digest| {
        let standing = state.pack_standing(other);
        matches!(standing, PackStanding::Good | PackStanding::Suspect)
            && matches!(objects.stat(&VaultNames::pack(other)), Ok(Some(_)))
    };
    let kept = state.snapshots().filter(|(_, s)| s.standing != SnapshotStanding::Purged);
    for (id, snapshot) in kept {
        let (Some(tree), Some(body)) = (register.trees.get(&id), snapshot.body) else {
            return false;
        };
        let Ok(mut chunks) = trees::chunks(&reader, snapshot.domain, tree.root) else {
            return false;
        };
        chunks.insert(body.descriptor);
        for chunk in chunks {
            let Ok(packs) = reader.packs_of(snapshot.domain, chunk) else { return false };
            if packs.contains(pack) && !packs.iter().any(|other| other != pack && there(other)) {
                return false;
            }
        }
    }
    true
}
