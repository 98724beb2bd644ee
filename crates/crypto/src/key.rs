//! Keys, as types that keep to themselves.
//!
//! A key type wipes its bytes when dropped, has no `Debug`, `Clone` or serialised form, and
//! compares in constant time. Each says what it is for, so a key for one thing cannot be handed
//! in for another. Public keys and signatures are plain values. DESIGN §5 and §6.
//!
//! ```compile_fail
//! fn shown<T: std::fmt::Debug>() {}
//! shown::<crypto::SymmetricKey>();
//! ```
//! ```compile_fail
//! fn copied<T: Clone>() {}
//! copied::<crypto::RootSecret>();
//! ```

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

use crate::entropy::draw;
use crate::{ChunkId, DomainId, Entropy, Epoch, Error, KemSecret, Result, VaultId, kdf};

/// The length of most keys, in bytes.
pub(crate) const KEY_BYTES: usize = 32;

pub(crate) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

/// Seals small records, or wraps the data keys of objects.
pub struct SymmetricKey(KeyBytes);

impl SymmetricKey {
    /// Length, in bytes.
    pub const BYTES: usize = KEY_BYTES;

    /// Draws a new key.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(Zeroizing::new(draw(entropy)))
    }

    /// A second holder of the same key.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// A key for one thing, made from this one.
    pub fn derive(&self, label: &'static str, context: &[u8]) -> Self {
        Self(kdf::derive(&self.0[..], label, context))
    }

    pub(crate) fn from_bytes(bytes: KeyBytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    pub(crate) fn for_domain(&self, domain: DomainId) -> Self {
        self.derive("domain", domain.as_bytes())
    }
}

impl PartialEq for SymmetricKey {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0[..], &other.0[..]).is_ok()
    }
}

impl Eq for SymmetricKey {}

/// From which every key of a vault follows. Held by owners; printed on the recovery kit.
pub struct RootSecret(KeyBytes);

impl RootSecret {
    /// Length, in bytes.
    pub const BYTES: usize = KEY_BYTES;

    /// Draws the secret of a new vault.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self(Zeroizing::new(draw(entropy)))
    }

    /// The secret with these bytes, as read from a recovery kit.
    pub fn from_bytes(bytes: Zeroizing<[u8; Self::BYTES]>) -> Self {
        Self(bytes)
    }

    /// Its bytes, for the recovery kit alone.
    pub fn expose(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// A second holder of the same secret.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// The vault's root signing key.
    pub fn signing(&self) -> SigningKey {
        SigningKey::from_seed(kdf::derive(&self.0[..], "root-sign", b""))
    }

    /// The vault that this secret is the root of.
    pub fn vault_id(&self) -> VaultId {
        VaultId::of_root(&self.signing().verifying())
    }

    /// Opens content packs of an epoch.
    pub fn content_secret(&self, epoch: Epoch) -> KemSecret {
        KemSecret::from_seed(self.of_epoch("content-kem", epoch))
    }

    /// Opens metadata packs of an epoch.
    pub fn meta_secret(&self, epoch: Epoch) -> KemSecret {
        KemSecret::from_seed(self.of_epoch("meta-kem", epoch))
    }

    /// K_ledger of an epoch: seals the bodies of ledger records.
    pub fn ledger(&self, epoch: Epoch) -> SymmetricKey {
        SymmetricKey(self.of_epoch("ledger", epoch))
    }

    /// K_index of an epoch, the parent of every domain's.
    pub(crate) fn index(&self, epoch: Epoch) -> SymmetricKey {
        SymmetricKey(self.of_epoch("index", epoch))
    }

    /// K_id, the parent of every domain's.
    pub(crate) fn content_names(&self) -> SymmetricKey {
        self.lasting("content-names")
    }

    /// K_node, the parent of every domain's.
    pub(crate) fn node_names(&self) -> SymmetricKey {
        self.lasting("node-names")
    }

    /// K_chunk, the parent of every domain's.
    pub(crate) fn chunker(&self) -> SymmetricKey {
        self.lasting("chunker")
    }

    /// K_tree, the parent of every domain's. A domain's tree key is the first half of its child.
    pub(crate) fn tree(&self) -> SymmetricKey {
        self.lasting("tree")
    }

    /// K_local of a host that works with the root secret itself.
    pub(crate) fn local(&self) -> SymmetricKey {
        self.lasting("local")
    }

    fn lasting(&self, label: &'static str) -> SymmetricKey {
        SymmetricKey(kdf::derive(&self.0[..], label, b""))
    }

    fn of_epoch(&self, label: &'static str, epoch: Epoch) -> KeyBytes {
        kdf::derive(&self.0[..], label, &epoch.0.to_be_bytes())
    }
}

impl PartialEq for RootSecret {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0[..], &other.0[..]).is_ok()
    }
}

impl Eq for RootSecret {}

impl VaultId {
    /// The id of the vault with this root key: SHA-256("strongroom-v1/vault" ‖ key).
    pub fn of_root(root: &VerifyingKey) -> Self {
        let digest = digest(&SHA256, &[&b"strongroom-v1/vault"[..], root.as_bytes()].concat());
        Self::from_bytes(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }
}

/// What is signed. Bytes signed as one are never valid as another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SigningContext {
    /// A ledger record.
    Record,
    /// A member's certificate.
    Certificate,
    /// A vault's config.
    Config,
    /// The head of a checkpoint.
    Checkpoint,
}

impl SigningContext {
    const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Certificate => "certificate",
            Self::Config => "config",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// "strongroom-v1/" ‖ name ‖ 00 ‖ bytes.
    fn message(self, bytes: &[u8]) -> Vec<u8> {
        [b"strongroom-v1/", self.name().as_bytes(), &[0], bytes].concat()
    }
}

/// Signs with Ed25519 (RFC 8032).
pub struct SigningKey {
    seed: KeyBytes,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// Draws a new key.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Self::from_seed(Zeroizing::new(draw(entropy)))
    }

    /// Signs `bytes` as what `context` says.
    pub fn sign(&self, context: SigningContext, bytes: &[u8]) -> Signature {
        let signature = self.pair.sign(&context.message(bytes));
        Signature(signature.as_ref().try_into().expect("an Ed25519 signature has 64 bytes"))
    }

    /// The key that checks its signatures.
    pub fn verifying(&self) -> VerifyingKey {
        VerifyingKey(self.pair.public_key().as_ref().try_into().expect("the key has 32 bytes"))
    }

    /// A second holder of the same key.
    pub fn duplicate(&self) -> Self {
        Self::from_seed(self.seed.clone())
    }

    pub(crate) fn from_seed(seed: KeyBytes) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed[..])
            .expect("an Ed25519 seed is any 32 bytes");
        Self { seed, pair }
    }

    pub(crate) fn seed(&self) -> &[u8; KEY_BYTES] {
        &self.seed
    }
}

/// Checks signatures of a [`SigningKey`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; Self::BYTES]);

impl VerifyingKey {
    /// Length, in bytes.
    pub const BYTES: usize = 32;

    /// The key with these bytes; bytes that are no key verify nothing.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Checks that `bytes` were signed as what `context` says.
    ///
    /// # Errors
    /// [`Error::Signature`] when they were not.
    pub fn verify(
        &self,
        context: SigningContext,
        bytes: &[u8],
        signature: &Signature,
    ) -> Result<()> {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(&context.message(bytes), &signature.0)
            .map_err(|_| Error::Signature { what: context.name() })
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; Self::BYTES]);

impl Signature {
    /// Length, in bytes.
    pub const BYTES: usize = 64;

    /// The signature with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Names chunks: K_id names content, K_node names metadata.
pub struct NameKey(SymmetricKey);

impl NameKey {
    /// The id of a chunk: BLAKE3 keyed, of kind ‖ plaintext.
    pub fn name(&self, kind: u8, plaintext: &[u8]) -> ChunkId {
        let mut hasher = blake3::Hasher::new_keyed(self.0.as_bytes());
        hasher.update(&[kind]).update(plaintext);
        ChunkId::from_bytes(*hasher.finalize().as_bytes())
    }

    /// A second holder of the same key.
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    pub(crate) fn new(key: SymmetricKey) -> Self {
        Self(key)
    }
}

/// Places the boundaries of tree nodes.
pub struct TreeKey(Zeroizing<[u8; Self::BYTES]>);

impl TreeKey {
    /// Length, in bytes.
    pub const BYTES: usize = 16;

    /// The low 32 bits of SipHash-2-4 over level ‖ key.
    pub fn boundary(&self, level: u8, key: &[u8]) -> u32 {
        use std::hash::Hasher as _;
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&[level]);
        hasher.write(key);
        hasher.finish() as u32
    }

    /// A second holder of the same key.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// The first half of a domain's K_tree.
    pub(crate) fn new(key: &SymmetricKey) -> Self {
        let mut half = Zeroizing::new([0; Self::BYTES]);
        half.copy_from_slice(&key.as_bytes()[..Self::BYTES]);
        Self(half)
    }
}

/// Keys the chunker.
pub struct ChunkerKey(SymmetricKey);

impl ChunkerKey {
    /// The chunker's two tables of 16 u32, little-endian, one after the other.
    pub fn gear_tables(&self) -> [u8; 128] {
        *kdf::derive(self.0.as_bytes(), "gear", b"")
    }

    /// A second holder of the same key.
    pub fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    pub(crate) fn new(key: SymmetricKey) -> Self {
        Self(key)
    }
}

#[cfg(test)]
mod tests;
