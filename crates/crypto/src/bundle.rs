//! A role bundle: all that a member needs to act in a vault, as one secret.
//!
//! The owner's is the root secret; any other carries the member's own keys, its local secret,
//! and its role's keys of every epoch. It travels only sealed in a [`crate::Slot`] or as a key
//! file. The encoding is canonical: version u8 = 1 ‖ vault id ‖ suite u16 ‖ role u8, then for
//! the owner R, else domain ‖ Ed25519 seed ‖ X-Wing seed ‖ local ‖ the role's lasting keys ‖
//! u32 count of epochs ‖ each {epoch u32, the role's keys of it}: one at least, without a gap
//! from the first to the last. DESIGN §6.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::epoch_keys::LastingKeys;
use crate::key::KEY_BYTES;
use crate::member::{read_secret, version_error};
use crate::{
    DecodeError, Decoder, DomainId, EPOCHS_MAX, Entropy, Epoch, EpochKeys, Error, MemberKeys,
    Result, Role, RootSecret, Suite, SymmetricKey, VaultId,
};

/// All that a member needs to act in a vault.
pub struct Bundle {
    pub(crate) vault_id: VaultId,
    pub(crate) suite: Suite,
    pub(crate) secrets: Secrets,
}

/// What a bundle carries.
pub(crate) enum Secrets {
    Owner(RootSecret),
    Member(Box<MemberSecrets>),
}

/// What the bundle of any role but the owner carries.
pub(crate) struct MemberSecrets {
    pub(crate) role: Role,
    pub(crate) domain: DomainId,
    pub(crate) member: MemberKeys,
    pub(crate) local: SymmetricKey,
    pub(crate) lasting: LastingKeys,
    pub(crate) epochs: BTreeMap<Epoch, EpochKeys>,
}

impl Bundle {
    /// The owner's bundle.
    pub fn owner(root: RootSecret, suite: Suite) -> Self {
        Self { vault_id: root.vault_id(), suite, secrets: Secrets::Owner(root) }
    }

    /// A new member's bundle with keys drawn for it, of the epochs from 0 to `newest`. The role
    /// owner has no keys of its own here: its bundle is the root secret's.
    ///
    /// # Errors
    /// [`Error::Epochs`] when there are more than [`EPOCHS_MAX`].
    pub fn for_role(
        root: &RootSecret,
        suite: Suite,
        role: Role,
        domain: DomainId,
        newest: Epoch,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        if role == Role::Owner {
            return Ok(Self::owner(root.duplicate(), suite));
        }
        let member = MemberKeys::draw(entropy);
        Self::for_member(root, suite, role, domain, newest, member, entropy)
    }

    /// As [`Self::for_role`], for keys that were drawn before: a domain of the member's own is
    /// `member.member_id().own_domain()`.
    ///
    /// # Errors
    /// [`Error::RoleNotGranted`] for the owner, [`Error::Epochs`] for more than [`EPOCHS_MAX`].
    pub fn for_member(
        root: &RootSecret,
        suite: Suite,
        role: Role,
        domain: DomainId,
        newest: Epoch,
        member: MemberKeys,
        entropy: &dyn Entropy,
    ) -> Result<Self> {
        if role == Role::Owner {
            return Err(Error::RoleNotGranted { role });
        }
        let count = newest.0 as usize + 1;
        if count > EPOCHS_MAX {
            return Err(Error::Epochs { count, most: EPOCHS_MAX });
        }
        let epochs = (0..=newest.0).map(Epoch);
        let secrets = MemberSecrets {
            role,
            domain,
            member,
            local: SymmetricKey::draw(entropy),
            lasting: LastingKeys::for_role(root, role, domain),
            epochs: epochs.map(|e| (e, EpochKeys::for_role(root, role, domain, e))).collect(),
        };
        let secrets = Secrets::Member(Box::new(secrets));
        Ok(Self { vault_id: root.vault_id(), suite, secrets })
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::Decode`] when it is malformed or not canonical, [`Error::OtherVault`] when an
    /// owner's root secret is of another vault.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut decoder = Decoder::new(bytes);
        let version = decoder.u8()?;
        if version != VERSION {
            return Err(version_error("bundle", version).into());
        }
        let vault_id = VaultId::from_bytes(decoder.array()?);
        let suite = Suite::from_u16(decoder.u16()?)?;
        let role = Role::from_u8(decoder.u8()?)?;
        let secrets = match role {
            Role::Owner => Secrets::Owner(RootSecret::from_bytes(read_secret(&mut decoder)?)),
            role => Secrets::Member(Box::new(MemberSecrets::read(&mut decoder, role)?)),
        };
        decoder.finish()?;
        if let Secrets::Owner(root) = &secrets {
            let actual = root.vault_id();
            if actual != vault_id {
                return Err(Error::OtherVault { expected: vault_id, actual });
            }
        }
        Ok(Self { vault_id, suite, secrets })
    }

    /// The bundle's bytes, in clear.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let body_bytes = match &self.secrets {
            Secrets::Owner(_) => KEY_BYTES,
            Secrets::Member(secrets) => secrets.encoded_len(),
        };
        // Room for all of it at once: a vector that grows leaves copies of secrets behind.
        let mut out = Zeroizing::new(Vec::with_capacity(CLEAR_BYTES + body_bytes));
        out.push(VERSION);
        out.extend_from_slice(self.vault_id.as_bytes());
        out.extend_from_slice(&self.suite.to_u16().to_le_bytes());
        out.push(self.role().to_u8());
        match &self.secrets {
            Secrets::Owner(root) => out.extend_from_slice(root.expose()),
            Secrets::Member(secrets) => secrets.write(&mut out),
        }
        debug_assert_eq!(out.len(), CLEAR_BYTES + body_bytes);
        out
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
        match &self.secrets {
            Secrets::Owner(_) => Role::Owner,
            Secrets::Member(secrets) => secrets.role,
        }
    }

    /// The member's domain; the default one for the owner.
    pub fn domain(&self) -> DomainId {
        match &self.secrets {
            Secrets::Owner(_) => DomainId::DEFAULT,
            Secrets::Member(secrets) => secrets.domain,
        }
    }

    /// The member's own keys; none in an owner's bundle.
    pub fn member(&self) -> Option<&MemberKeys> {
        match &self.secrets {
            Secrets::Owner(_) => None,
            Secrets::Member(secrets) => Some(&secrets.member),
        }
    }

    /// The root secret, in an owner's bundle.
    pub fn root(&self) -> Option<&RootSecret> {
        match &self.secrets {
            Secrets::Owner(root) => Some(root),
            Secrets::Member(_) => None,
        }
    }
}

impl MemberSecrets {
    fn read(decoder: &mut Decoder<'_>, role: Role) -> Result<Self> {
        let domain = DomainId::from_bytes(decoder.array()?);
        let member = MemberKeys::read(decoder)?;
        let local = SymmetricKey::from_bytes(read_secret(decoder)?);
        let lasting = LastingKeys::read(decoder, role)?;
        let count = decoder.count(EPOCHS_MAX, EPOCH_BYTES + EpochKeys::encoded_len(role))?;
        let mut epochs = BTreeMap::new();
        for _ in 0..count {
            let epoch = Epoch(decoder.u32()?);
            let last = epochs.last_key_value().map(|(last, _): (&Epoch, _)| *last);
            if last.is_some_and(|last| last.0.checked_add(1) != Some(epoch.0)) {
                return Err(NOT_CANONICAL.into());
            }
            epochs.insert(epoch, EpochKeys::read(decoder, role)?);
        }
        if epochs.is_empty() {
            return Err(NOT_CANONICAL.into());
        }
        Ok(Self { role, domain, member, local, lasting, epochs })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.domain.as_bytes());
        self.member.write(out);
        out.extend_from_slice(self.local.as_bytes());
        self.lasting.write(out);
        let count = u32::try_from(self.epochs.len()).expect("a bundle has at most 4,096 epochs");
        out.extend_from_slice(&count.to_le_bytes());
        for (epoch, keys) in &self.epochs {
            out.extend_from_slice(&epoch.0.to_le_bytes());
            keys.write(out);
        }
    }

    fn encoded_len(&self) -> usize {
        let epoch_bytes = EPOCH_BYTES + EpochKeys::encoded_len(self.role);
        DomainId::BYTES
            + MemberKeys::SEED_BYTES
            + KEY_BYTES
            + LastingKeys::encoded_len(self.role)
            + size_of::<u32>()
            + self.epochs.len() * epoch_bytes
    }
}

const VERSION: u8 = 1;
const CLEAR_BYTES: usize = 1 + VaultId::BYTES + 2 + 1;
const EPOCH_BYTES: usize = size_of::<u32>();
const NOT_CANONICAL: DecodeError =
    DecodeError::NotCanonical { what: "the bundle's list of epochs" };
