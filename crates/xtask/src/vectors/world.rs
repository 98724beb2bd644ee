//! The fixed vault that vectors are of: one root secret and what follows from it.

use crypto::{
    DomainId, Entropy, Epoch, MemberKeys, RootSecret, SeededEntropy, SessionId, Suite, VaultId,
};

use super::hex;

/// A vault made from a seed; equal seeds make equal vaults.
pub(crate) struct World {
    pub(crate) root: RootSecret,
    pub(crate) member: MemberKeys,
    pub(crate) entropy: SeededEntropy,
}

impl World {
    /// The vault of all vectors, with randomness of its own for each structure.
    pub(crate) fn new(structure: u64) -> Self {
        let entropy = SeededEntropy::new(1);
        let (root, member) = (RootSecret::draw(&entropy), MemberKeys::draw(&entropy));
        Self { root, member, entropy: SeededEntropy::new(structure) }
    }

    /// Another vault's root.
    pub(crate) fn other_root() -> RootSecret {
        RootSecret::draw(&SeededEntropy::new(2))
    }

    pub(crate) fn vault(&self) -> VaultId {
        self.root.vault_id()
    }

    /// The header line that gives all keys.
    pub(crate) fn root_field(&self) -> (&'static str, String) {
        ("root", hex(self.root.expose()))
    }

    /// The next bytes of this structure's randomness.
    pub(crate) fn bytes(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

pub(crate) const SUITE: Suite = Suite::Aes256Gcm;
pub(crate) const EPOCH: Epoch = Epoch(3);
pub(crate) const DOMAIN: DomainId = DomainId::from_bytes([0xd0; 16]);
pub(crate) const SESSION: SessionId = SessionId::from_bytes([0x5e; 16]);
