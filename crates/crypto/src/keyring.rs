//! The keys that one process works with.
//!
//! A keyring is made from an owner's root secret or from a member's bundle, and hands out each
//! key by what it is for. Where the role holds no such key it says so by name; it never hands
//! out another. New epochs come in while it is in use, from `rotate` records; the keys of a
//! host that works with the root secret are attached once, before its first record. DESIGN §6.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use crate::bundle::{MemberSecrets, Secrets};
use crate::epoch_keys::LastingKeys;
use crate::role::HeldKey;
use crate::{
    Bundle, ChunkerKey, DomainId, EPOCHS_MAX, Epoch, EpochKeys, EpochKeysBinding, Error, KemSecret,
    MemberId, MemberKeys, NameKey, Result, Role, RootSecret, SigningKey, Suite, SymmetricKey,
    TreeKey, VaultId, kdf,
};

/// The keys that one process works with.
pub struct Keyring {
    vault_id: VaultId,
    suite: Suite,
    role: Role,
    domain: DomainId,
    local: SymmetricKey,
    member: OnceLock<MemberKeys>,
    held: Held,
}

enum Held {
    Root { secret: RootSecret, signing: SigningKey },
    Role { lasting: LastingKeys, epochs: RwLock<BTreeMap<Epoch, EpochKeys>> },
}

impl Keyring {
    /// The keyring of an owner, without a member's keys yet.
    pub fn owner(root: RootSecret, suite: Suite) -> Self {
        let signing = root.signing();
        Self {
            vault_id: VaultId::of_root(&signing.verifying()),
            suite,
            role: Role::Owner,
            domain: DomainId::DEFAULT,
            local: root.local(),
            member: OnceLock::new(),
            held: Held::Root { secret: root, signing },
        }
    }

    /// The keyring of a bundle's role.
    pub fn from_bundle(bundle: Bundle) -> Self {
        match bundle.secrets {
            Secrets::Owner(root) => Self::owner(root, bundle.suite),
            Secrets::Member(secrets) => {
                let MemberSecrets { role, domain, member, local, lasting, epochs } = *secrets;
                Self {
                    vault_id: bundle.vault_id,
                    suite: bundle.suite,
                    role,
                    domain,
                    local: local.derive("local", b""),
                    member: OnceLock::from(member),
                    held: Held::Role { lasting, epochs: RwLock::new(epochs) },
                }
            }
        }
    }

    /// Attaches the member's keys of this host to an owner's keyring.
    ///
    /// # Errors
    /// [`Error::MemberAttached`] when there are some already.
    pub fn attach_member(&self, keys: MemberKeys) -> Result<()> {
        self.member.set(keys).map_err(|_| {
            let member = self.member.get().map_or(MemberId::ROOT, MemberKeys::member_id);
            Error::MemberAttached { member }
        })
    }

    /// Takes the keys of a new epoch from a `rotate` record, where they are sealed to this member.
    /// An owner derives them and needs none.
    ///
    /// # Errors
    /// [`Error::Small`] or [`Error::Decode`] when they do not open, [`Error::Epochs`] when the
    /// keyring is full.
    pub fn take_epoch(&self, epoch: Epoch, sealed: &[u8]) -> Result<()> {
        let Held::Role { epochs, .. } = &self.held else { return Ok(()) };
        let member = self.member()?;
        let binding = EpochKeysBinding {
            vault_id: self.vault_id,
            member: member.member_id(),
            role: self.role,
            domain: self.domain,
            epoch,
        };
        let keys = EpochKeys::open(member.kem(), self.suite, &binding, sealed)?;
        let mut epochs = epochs.write().unwrap_or_else(PoisonError::into_inner);
        if epochs.len() >= EPOCHS_MAX && !epochs.contains_key(&epoch) {
            return Err(Error::Epochs { count: epochs.len() + 1, most: EPOCHS_MAX });
        }
        epochs.insert(epoch, keys);
        Ok(())
    }

    /// The vault it is for.
    pub fn vault_id(&self) -> VaultId {
        self.vault_id
    }

    /// The vault's suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The member's domain; the default one for an owner, whose sessions name theirs.
    pub fn domain(&self) -> DomainId {
        self.domain
    }

    /// The root secret: an owner's only.
    ///
    /// # Errors
    /// [`Error::NoKey`] for any other role.
    pub fn root(&self) -> Result<&RootSecret> {
        match &self.held {
            Held::Root { secret, .. } => Ok(secret),
            Held::Role { .. } => Err(self.no_key("what only the root secret opens")),
        }
    }

    /// The vault's root signing key: an owner's only.
    ///
    /// # Errors
    /// [`Error::NoKey`] for any other role.
    pub fn root_signing(&self) -> Result<&SigningKey> {
        match &self.held {
            Held::Root { signing, .. } => Ok(signing),
            Held::Role { .. } => Err(self.no_key("signing as the vault's root")),
        }
    }

    /// The member's own keys.
    ///
    /// # Errors
    /// [`Error::NoKey`] for an owner to whom none were attached.
    pub fn member(&self) -> Result<&MemberKeys> {
        self.member.get().ok_or_else(|| self.no_key("this host's own member"))
    }

    /// The member's id.
    ///
    /// # Errors
    /// As [`Self::member`].
    pub fn member_id(&self) -> Result<MemberId> {
        self.member().map(MemberKeys::member_id)
    }

    /// Signs the member's records.
    ///
    /// # Errors
    /// As [`Self::member`].
    pub fn signing(&self) -> Result<&SigningKey> {
        self.member().map(MemberKeys::signing)
    }

    /// Opens what is sealed to the member.
    ///
    /// # Errors
    /// As [`Self::member`].
    pub fn kem(&self) -> Result<&KemSecret> {
        self.member().map(MemberKeys::kem)
    }

    /// K_local: seals this host's cache and state.
    pub fn local(&self) -> SymmetricKey {
        self.local.duplicate()
    }

    /// Names this role's folder among others of the same vault: the first 8 bytes of
    /// KDF(K_local, "folder").
    pub fn folder_name(&self) -> [u8; 8] {
        *kdf::derive(self.local.as_bytes(), "folder", b"")
    }

    /// K_ledger: seals the bodies of ledger records.
    ///
    /// # Errors
    /// [`Error::NoEpoch`] when the epoch is not held.
    pub fn ledger(&self, epoch: Epoch) -> Result<SymmetricKey> {
        match &self.held {
            Held::Root { secret, .. } => Ok(secret.ledger(epoch)),
            Held::Role { .. } => {
                self.of_epoch(HeldKey::Ledger, epoch, |keys| Some(keys.ledger.duplicate()))
            }
        }
    }

    /// K_index of a domain: wraps the data keys of its index runs.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::NoEpoch`], or [`Error::OtherDomain`] for a writer of another.
    pub fn index(&self, domain: DomainId, epoch: Epoch) -> Result<SymmetricKey> {
        let key = match &self.held {
            Held::Root { secret, .. } => secret.index(epoch),
            Held::Role { .. } => self.of_epoch(HeldKey::Index, epoch, |keys| {
                keys.index.as_ref().map(SymmetricKey::duplicate)
            })?,
        };
        self.child(key, HeldKey::Index, domain)
    }

    /// Opens metadata packs of an epoch.
    ///
    /// # Errors
    /// [`Error::NoKey`] or [`Error::NoEpoch`].
    pub fn meta_secret(&self, epoch: Epoch) -> Result<KemSecret> {
        match &self.held {
            Held::Root { secret, .. } => Ok(secret.meta_secret(epoch)),
            Held::Role { .. } => self.of_epoch(HeldKey::Meta, epoch, |keys| {
                keys.meta.as_ref().map(KemSecret::duplicate)
            }),
        }
    }

    /// Opens content packs of an epoch.
    ///
    /// # Errors
    /// [`Error::NoKey`] or [`Error::NoEpoch`].
    pub fn content_secret(&self, epoch: Epoch) -> Result<KemSecret> {
        match &self.held {
            Held::Root { secret, .. } => Ok(secret.content_secret(epoch)),
            Held::Role { .. } => self.of_epoch(HeldKey::Content, epoch, |keys| {
                keys.content.as_ref().map(KemSecret::duplicate)
            }),
        }
    }

    /// K_id of a domain: names content chunks.
    ///
    /// # Errors
    /// [`Error::NoKey`], or [`Error::OtherDomain`] for a writer of another.
    pub fn content_names(&self, domain: DomainId) -> Result<NameKey> {
        self.lasting(HeldKey::ContentNames, domain).map(NameKey::new)
    }

    /// K_node of a domain: names metadata chunks.
    ///
    /// # Errors
    /// As [`Self::content_names`].
    pub fn node_names(&self, domain: DomainId) -> Result<NameKey> {
        self.lasting(HeldKey::NodeNames, domain).map(NameKey::new)
    }

    /// K_chunk of a domain.
    ///
    /// # Errors
    /// As [`Self::content_names`].
    pub fn chunker(&self, domain: DomainId) -> Result<ChunkerKey> {
        self.lasting(HeldKey::Chunker, domain).map(ChunkerKey::new)
    }

    /// K_tree of a domain.
    ///
    /// # Errors
    /// As [`Self::content_names`].
    pub fn tree(&self, domain: DomainId) -> Result<TreeKey> {
        self.lasting(HeldKey::Tree, domain).map(|key| TreeKey::new(&key))
    }

    fn lasting(&self, key: HeldKey, domain: DomainId) -> Result<SymmetricKey> {
        let held = match &self.held {
            Held::Root { secret, .. } => LastingKeys::parent(secret, key),
            Held::Role { lasting, .. } => {
                lasting.held(key).ok_or_else(|| self.no_key(key.what()))?.duplicate()
            }
        };
        self.child(held, key, domain)
    }

    /// A writer holds its own domain's child, every other role the parent.
    fn child(&self, held: SymmetricKey, key: HeldKey, domain: DomainId) -> Result<SymmetricKey> {
        match self.role {
            Role::Writer if domain == self.domain => Ok(held),
            Role::Writer => Err(Error::OtherDomain { role: self.role, what: key.what() }),
            _ => Ok(held.for_domain(domain)),
        }
    }

    fn of_epoch<T>(
        &self,
        key: HeldKey,
        epoch: Epoch,
        take: impl FnOnce(&EpochKeys) -> Option<T>,
    ) -> Result<T> {
        let Held::Role { epochs, .. } = &self.held else {
            return Err(self.no_key(key.what()));
        };
        if !self.role.holds(key) {
            return Err(self.no_key(key.what()));
        }
        let epochs = epochs.read().unwrap_or_else(PoisonError::into_inner);
        epochs.get(&epoch).and_then(take).ok_or_else(|| {
            let newest = epochs.last_key_value().map_or(Epoch(0), |(newest, _)| *newest);
            Error::NoEpoch { what: key.what(), epoch, newest }
        })
    }

    fn no_key(&self, what: &'static str) -> Error {
        Error::NoKey { role: self.role, what }
    }
}

#[cfg(test)]
mod tests;
