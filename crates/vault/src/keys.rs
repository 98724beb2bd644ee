//! Keys of a vault: slots that a passphrase opens, bundles for new members.
//!
//! A new member's bundle is made here, and its certificate stands in the ledger before the bundle
//! is given out, so a key file works from its first moment. DESIGN §6.

use crypto::{Bundle, Certificate, DomainId, MemberKeys, Role, Slot};
use format::{SLOT_BYTES_MAX, SLOTS_MAX, VaultNames};
use places::{ObjectName, Place};

use crate::vault::Vault;
use crate::{Error, Result};

/// The key slots of a vault, as they lie there; what does not decode is passed over.
///
/// # Errors
/// Errors of the place.
pub fn slots(place: &dyn Place) -> Result<Vec<(ObjectName, Slot)>> {
    let mut slots = Vec::new();
    for listed in place.list(&VaultNames::slots(), None)?.take(SLOTS_MAX) {
        let listed = listed?;
        if listed.size > SLOT_BYTES_MAX {
            continue;
        }
        if let Ok(slot) = Slot::decode(&place.get(&listed.name, None)?) {
            slots.push((listed.name, slot));
        }
    }
    slots.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(slots)
}

/// Opens a vault's key slots with a passphrase: the bundle of the first that opens.
///
/// # Errors
/// [`Error::NoSlot`] when there is none; the error of the last one tried, most often
/// [`crypto::Error::WrongPassphrase`].
pub fn open_slot(place: &dyn Place, vault: crypto::VaultId, passphrase: &[u8]) -> Result<Bundle> {
    let mut last = Error::NoSlot { place: place.describe() };
    for (_, slot) in slots(place)?.into_iter().filter(|(_, slot)| slot.vault_id() == vault) {
        match slot.open(passphrase) {
            Ok(bundle) if bundle.vault_id() == vault => return Ok(bundle),
            Ok(_) => {}
            // That its own slot is damaged says more than that it is not another's.
            Err(_) if matches!(last, Error::Crypto(crypto::Error::SlotDamaged)) => {}
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Which domain a new member works in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainChoice {
    /// The one of all members that were given none of their own.
    Default,
    /// One that nobody else works in.
    Own,
    /// A given one.
    Given(DomainId),
}

impl Vault {
    /// Certifies a new member and gives its bundle; for the role owner, the owner's own bundle.
    ///
    /// # Errors
    /// [`crypto::Error`] when this keyring is not an owner's; errors of the ledger;
    /// [`Error::Name`] for a label that may not be used.
    pub fn issue_bundle(
        &mut self,
        role: Role,
        domain: DomainChoice,
        label: &str,
    ) -> Result<Bundle> {
        let root = self.keyring().root()?.duplicate();
        let suite = self.config().suite;
        if role == Role::Owner {
            return Ok(Bundle::owner(root, suite));
        }
        check_label("the label", label)?;
        let keys = MemberKeys::draw(self.components().entropy.as_ref());
        let domain = match domain {
            DomainChoice::Default => DomainId::DEFAULT,
            DomainChoice::Own => keys.member_id().own_domain(),
            DomainChoice::Given(domain) => domain,
        };
        self.refresh()?;
        let epoch = self.ledger().state().epoch();
        let certificate = Certificate::of(&keys, self.config().vault, role, domain, epoch);
        let certificate = certificate.issue(self.keyring().root_signing()?);
        let entropy = self.components().entropy.clone();
        let bundle = Bundle::for_member(&root, suite, role, domain, epoch, keys, entropy.as_ref())?;
        self.ledger().certify(&certificate, label)?;
        Ok(bundle)
    }
}

/// Checks a label, a source's name or a tag.
///
/// # Errors
/// [`Error::Name`].
pub fn check_label(what: &'static str, value: &str) -> Result<()> {
    let wrong = |reason| Err(Error::Name { what, value: value.to_owned(), reason });
    match value {
        "" => wrong("it is empty"),
        _ if value.len() > format::LABEL_BYTES_MAX => wrong("it is longer than 255 bytes"),
        _ if value.contains([':', '/', '@']) => wrong("it holds one of : / @"),
        _ if value.chars().any(char::is_control) => wrong("it holds a control character"),
        _ => Ok(()),
    }
}
