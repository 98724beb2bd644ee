//! The keys that a role holds: those of one epoch, and those that never rotate.
//!
//! Which of them are there follows from the role alone, so their encoding is the held keys one
//! after another, 32 bytes each, without tags. A writer holds its own domain's children, every
//! other role the parents. In a `rotate` record the keys of the new epoch travel sealed to each
//! member's X-Wing key, bound to vault, member, role, domain and epoch. DESIGN §6.

use zeroize::Zeroizing;

use crate::key::KEY_BYTES;
use crate::member::{read_secret, version_error};
use crate::role::HeldKey;
use crate::{
    Decoder, DomainId, Entropy, Epoch, Error, KemPublic, KemSecret, MemberId, Result, Role,
    RootSecret, SmallKind, Suite, SymmetricKey, VaultId,
};

/// Most epochs of keys in a bundle or keyring.
pub const EPOCHS_MAX: usize = 4096;

/// A role's keys of one epoch.
pub struct EpochKeys {
    pub(crate) ledger: SymmetricKey,
    pub(crate) index: Option<SymmetricKey>,
    pub(crate) meta: Option<KemSecret>,
    pub(crate) content: Option<KemSecret>,
}

impl EpochKeys {
    /// What a member of this role and domain holds of an epoch.
    pub fn for_role(root: &RootSecret, role: Role, domain: DomainId, epoch: Epoch) -> Self {
        let index = role.holds(HeldKey::Index).then(|| match role {
            Role::Writer => root.index(epoch).for_domain(domain),
            _ => root.index(epoch),
        });
        Self {
            ledger: root.ledger(epoch),
            index,
            meta: role.holds(HeldKey::Meta).then(|| root.meta_secret(epoch)),
            content: role.holds(HeldKey::Content).then(|| root.content_secret(epoch)),
        }
    }

    /// Seals the keys to the member that shall have them.
    pub fn seal_to(
        &self,
        member: &KemPublic,
        suite: Suite,
        binding: &EpochKeysBinding,
        entropy: &dyn Entropy,
    ) -> Vec<u8> {
        let mut plain = Zeroizing::new(Vec::with_capacity(1 + 4 * KEY_BYTES));
        plain.push(VERSION);
        self.write(&mut plain);
        member.seal(suite, &binding.info(), &plain, entropy)
    }

    /// Opens what [`Self::seal_to`] sealed to this member.
    ///
    /// # Errors
    /// [`Error::Small`] when it does not authenticate, [`Error::Decode`] when it does not decode.
    pub fn open(
        member: &KemSecret,
        suite: Suite,
        binding: &EpochKeysBinding,
        sealed: &[u8],
    ) -> Result<Self> {
        let plain = member
            .open(suite, &binding.info(), sealed)
            .ok_or(Error::Small { kind: SmallKind::RoleKeys })?;
        let mut decoder = Decoder::new(&plain);
        let version = decoder.u8()?;
        if version != VERSION {
            return Err(version_error("role keys", version).into());
        }
        let keys = Self::read(&mut decoder, binding.role)?;
        decoder.finish()?;
        Ok(keys)
    }

    /// Bytes that a role's keys of one epoch take.
    pub(crate) fn encoded_len(role: Role) -> usize {
        KEY_BYTES * HeldKey::OF_EPOCH.iter().filter(|key| role.holds(**key)).count()
    }

    pub(crate) fn read(decoder: &mut Decoder<'_>, role: Role) -> Result<Self> {
        let ledger = SymmetricKey::from_bytes(read_secret(decoder)?);
        let mut held = |key| role.holds(key).then(|| read_secret(decoder)).transpose();
        Ok(Self {
            ledger,
            index: held(HeldKey::Index)?.map(SymmetricKey::from_bytes),
            meta: held(HeldKey::Meta)?.map(KemSecret::from_seed),
            content: held(HeldKey::Content)?.map(KemSecret::from_seed),
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.ledger.as_bytes());
        self.index.iter().for_each(|key| out.extend_from_slice(key.as_bytes()));
        self.meta.iter().for_each(|key| out.extend_from_slice(key.seed()));
        self.content.iter().for_each(|key| out.extend_from_slice(key.seed()));
    }
}

/// What sealed epoch keys are bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochKeysBinding {
    /// The vault.
    pub vault_id: VaultId,
    /// Who receives them.
    pub member: MemberId,
    /// Its role.
    pub role: Role,
    /// Its domain.
    pub domain: DomainId,
    /// Whose keys they are.
    pub epoch: Epoch,
}

impl EpochKeysBinding {
    /// "strongroom-v1/role-keys" ‖ vault id ‖ member id ‖ role u8 ‖ domain ‖ u32be epoch.
    fn info(&self) -> Vec<u8> {
        [
            &b"strongroom-v1/role-keys"[..],
            self.vault_id.as_bytes(),
            self.member.as_bytes(),
            &[self.role.to_u8()],
            self.domain.as_bytes(),
            &self.epoch.0.to_be_bytes(),
        ]
        .concat()
    }
}

/// A role's keys that never rotate, in the order of [`HeldKey::LASTING`].
pub(crate) struct LastingKeys([Option<SymmetricKey>; 4]);

impl LastingKeys {
    pub(crate) fn for_role(root: &RootSecret, role: Role, domain: DomainId) -> Self {
        Self(HeldKey::LASTING.map(|key| {
            role.holds(key).then(|| match role {
                Role::Writer => Self::parent(root, key).for_domain(domain),
                _ => Self::parent(root, key),
            })
        }))
    }

    /// The parent of every domain's key.
    pub(crate) fn parent(root: &RootSecret, key: HeldKey) -> SymmetricKey {
        match key {
            HeldKey::ContentNames => root.content_names(),
            HeldKey::NodeNames => root.node_names(),
            HeldKey::Chunker => root.chunker(),
            HeldKey::Tree => root.tree(),
            _ => unreachable!("only the lasting keys are asked for"),
        }
    }

    pub(crate) fn held(&self, key: HeldKey) -> Option<&SymmetricKey> {
        let at = HeldKey::LASTING.iter().position(|lasting| *lasting == key)?;
        self.0[at].as_ref()
    }

    pub(crate) fn encoded_len(role: Role) -> usize {
        KEY_BYTES * HeldKey::LASTING.iter().filter(|key| role.holds(**key)).count()
    }

    pub(crate) fn read(decoder: &mut Decoder<'_>, role: Role) -> Result<Self> {
        let mut keys = [None, None, None, None];
        for (slot, key) in keys.iter_mut().zip(HeldKey::LASTING) {
            if role.holds(key) {
                *slot = Some(SymmetricKey::from_bytes(read_secret(decoder)?));
            }
        }
        Ok(Self(keys))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.0.iter().flatten().for_each(|key| out.extend_from_slice(key.as_bytes()));
    }
}

const VERSION: u8 = 1;
