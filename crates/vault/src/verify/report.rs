//! Appends what a verification found of packs: `lost`, so that writers store what they held again,
//! and `found` for those that read well again. Who may append which is the ledger's table; for all
//! others, and where nothing may be appended, it is said why not. DESIGN §9.

use crypto::{Digest, Role};
use format::Kind;
use ledger::{Draft, PackStanding, State};

use super::known::{KnownPack, KnownPacks, PackState};
use crate::vault::Vault;
use crate::{Error, Result};

/// Packs that one record names.
const BATCH: usize = 4096;

/// What a verification appended to the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Packs that are lost from here on.
    pub lost: u64,
    /// Packs that are lost no more.
    pub found: u64,
    /// Why not all of it was appended.
    pub withheld: Option<String>,
}

impl KnownPacks {
    pub(super) fn was_lost(&self, name: &Digest) -> bool {
        self.iter().nth(self.number(name).unwrap_or(usize::MAX)).is_some_and(|pack| pack.was_lost)
    }

    fn names(&self, is_meant: impl Fn(&KnownPack) -> bool) -> Vec<Digest> {
        self.iter().filter(|pack| is_meant(pack)).map(|pack| pack.name).collect()
    }
}

impl Vault {
    /// Appends what is new about packs.
    pub(super) fn report(&mut self, known: &KnownPacks) -> Reported {
        let hurt = |pack: &KnownPack| matches!(pack.state, PackState::Ill | PackState::Gone);
        let lost = known.names(|pack| hurt(pack) && !pack.was_lost);
        let found = known.names(|pack| pack.state == PackState::Well && pack.was_lost);
        let mut reported = Reported::default();
        for (kind, packs) in [(Kind::Lost, lost), (Kind::Found, found)] {
            if packs.is_empty() {
                continue;
            }
            match self.append_packs(kind, &packs) {
                Ok(count) if kind == Kind::Lost => reported.lost = count,
                Ok(count) => reported.found = count,
                Err(error) => reported.withheld = Some(error.to_string()),
            }
        }
        reported
    }

    fn append_packs(&mut self, kind: Kind, packs: &[Digest]) -> Result<u64> {
        let role = self.keyring().role();
        let may = match kind {
            Kind::Lost => matches!(role, Role::Owner | Role::Reader | Role::Collector),
            _ => matches!(role, Role::Owner | Role::Reader),
        };
        if !may {
            return Err(Error::Name {
                what: "the key",
                value: role.to_string(),
                reason: "this role does not report damage: verify with an owner's or reader's",
            });
        }
        if let Some(error) = self.ledger().standing().forbids_append() {
            return Err(error.into());
        }
        self.ensure_member()?;
        let mut count = 0;
        for batch in packs.chunks(BATCH) {
            let mut named = 0;
            let appended = self.ledger().append(|state| {
                let changes = batch.iter().copied().filter(|pack| is_news(state, kind, pack));
                let changes: Vec<Digest> = changes.collect();
                named = changes.len() as u64;
                Ok::<_, Error>((named > 0).then(|| Draft::on_packs(kind, changes)))
            })?;
            count += if appended.is_some() { named } else { 0 };
        }
        Ok(count)
    }
}

/// Whether the ledger does not say so already. What was condemned meanwhile is nobody's loss.
fn is_news(state: &State, kind: Kind, pack: &Digest) -> bool {
    use PackStanding::{Good, Lost, Suspect};
    matches!((kind, state.pack_standing(pack)), (Kind::Lost, Good | Suspect) | (Kind::Found, Lost))
}
