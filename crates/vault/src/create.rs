//! Makes a vault: key slot, then config, then the first record.
//!
//! The config is put only if absent, which decides between two who make a vault at one place. A
//! config with an empty ledger is an init that was interrupted: the same passphrase or kept key
//! finishes it.
//! FORMAT.md §4.

use std::sync::Arc;

use bytes::Bytes;
use crypto::{Argon2Parameters, Bundle, Entropy, Keyring, RootSecret, SigningContext, Slot, Suite};
use format::{Config, PACK_BYTES_MAX, PACK_BYTES_MIN, VaultNames};
use ledger::{Components, Ledger};
use places::{Place, Put, PutOptions};

use crate::config::read_config;
use crate::home::Folders;
use crate::keys::slots;
use crate::vault::{Vault, probe_place};
use crate::{Error, Result};

/// What a new vault is to be.
pub struct CreateOptions<'a> {
    /// Its ciphers.
    pub suite: Suite,
    /// What protects its root secret.
    pub protection: Protection<'a>,
    /// What this host is called in it.
    pub label: &'a str,
    /// How many bytes the stream of a full pack has; `None` for the default.
    pub pack_size: Option<u32>,
}

/// What protects a vault's root secret.
pub enum Protection<'a> {
    /// A key slot in the vault.
    Passphrase {
        /// Not empty.
        passphrase: &'a [u8],
        /// How costly a guess is.
        parameters: Argon2Parameters,
    },
    /// Nothing in the vault: the caller keeps the bundle that [`Vault::create`] gives.
    KeyFile,
    /// Nothing in the vault: the caller has kept this owner's bundle already, so that a crash at
    /// any moment leaves no vault without a key. Its suite counts.
    Kept(&'a Bundle),
}

impl Vault {
    /// Makes a vault and opens it; gives the owner's bundle too.
    ///
    /// # Errors
    /// [`Error::VaultExists`]; [`Error::Unfinished`] when an interrupted init of other keys stands
    /// in the way; [`Error::NoConditions`]; errors of the place.
    pub fn create(
        components: Components,
        folders: &Folders,
        options: &CreateOptions<'_>,
    ) -> Result<(Self, Bundle)> {
        let (vault, bundle) = Self::create_with(components, folders, options, |components| {
            probe_place(components)?;
            Ok(Ledger::init)
        })?;
        // Forgotten, it is only asked again.
        let _ = vault.remember_probe();
        Ok((vault, bundle))
    }

    /// The same for a vault that only one program at a time ever writes to, which any place can
    /// hold: also one that cannot refuse a second object of one name.
    ///
    /// # Errors
    /// As [`Vault::create`], without [`Error::NoConditions`].
    pub fn create_for_single_writer(
        components: Components,
        folders: &Folders,
        options: &CreateOptions<'_>,
    ) -> Result<(Self, Bundle)> {
        Self::create_with(components, folders, options, |_| Ok(Ledger::init_for_single_writer))
    }

    fn create_with(
        components: Components,
        folders: &Folders,
        options: &CreateOptions<'_>,
        choose: impl FnOnce(&Components) -> Result<Init>,
    ) -> Result<(Self, Bundle)> {
        let place = components.place.as_ref();
        let unfinished = match read_config(place) {
            Ok((config, _)) if place.stat(&VaultNames::config())?.is_none() => {
                let vault = format!("{}, behind a delete marker", config.vault);
                return Err(exists(place, &vault));
            }
            Ok((config, bytes)) => {
                let root = take_unfinished(&components, &config, options)?;
                Some((bytes, root, config.suite))
            }
            Err(Error::NoVault { .. }) => None,
            Err(error) => return Err(error),
        };
        let init = choose(&components)?;
        let (config_bytes, root, suite) = match unfinished {
            Some(unfinished) => unfinished,
            None => begin(&components, options)?,
        };
        let bundle = Bundle::owner(root.duplicate(), suite);
        let keyring = Arc::new(Keyring::owner(root.duplicate(), suite));
        init(components.clone(), &config_bytes, keyring)?;
        let keyring = Keyring::owner(root, suite);
        Ok((Self::open(components, folders, keyring, options.label)?, bundle))
    }
}

/// Puts a vault's first record.
type Init = fn(Components, &[u8], Arc<Keyring>) -> ledger::Result<Ledger>;

/// Puts the key slot and the config of a new vault.
fn begin(
    components: &Components,
    options: &CreateOptions<'_>,
) -> Result<(Vec<u8>, RootSecret, Suite)> {
    let entropy = components.entropy.as_ref();
    let place = components.place.as_ref();
    let (root, suite) = match options.protection {
        Protection::Kept(bundle) => {
            (bundle.root().ok_or(not_an_owner())?.duplicate(), bundle.suite())
        }
        _ => (RootSecret::draw(entropy), options.suite),
    };
    let signing = root.signing();
    let public = *signing.verifying().as_bytes();
    let mut config = Config::new(root.vault_id(), public, suite);
    if let Some(size) = options.pack_size {
        if !(PACK_BYTES_MIN..=PACK_BYTES_MAX).contains(&size) || !size.is_multiple_of(64 << 10) {
            return Err(Error::OutOfLimits {
                what: "the pack size in bytes, a multiple of 64 KiB,",
                value: size.into(),
                least: PACK_BYTES_MIN.into(),
                most: PACK_BYTES_MAX.into(),
            });
        }
        config.pack_size = size;
    }
    let mut slot = None;
    if let Protection::Passphrase { passphrase, parameters } = options.protection {
        let bundle = Bundle::owner(root.duplicate(), suite);
        let sealed = Slot::seal(passphrase, parameters, &bundle, entropy)?;
        slot = Some(put_slot(place, entropy, sealed)?);
    }
    let signature = signing.sign(SigningContext::Config, &config.encode());
    let bytes = config.encode_signed(signature.as_bytes());
    let put =
        place.put(&VaultNames::config(), Bytes::from(bytes.clone()), &PutOptions::default())?;
    if put == Put::Exists {
        if let Some(slot) = slot {
            match place.delete(&slot) {
                // Locked, it stays for its days: it opens a root secret that nobody uses.
                Err(error) if error.kind() == places::ErrorKind::Denied => {}
                deleted => deleted?,
            }
        }
        return Err(exists(place, "another init was faster"));
    }
    Ok((bytes, root, suite))
}

/// Puts a key slot under a name of its own.
pub(crate) fn put_slot(
    place: &dyn Place,
    entropy: &dyn Entropy,
    sealed: Vec<u8>,
) -> Result<places::ObjectName> {
    let mut id = [0; 16];
    entropy.fill(&mut id);
    let name = VaultNames::slot(&id);
    match place.put(&name, Bytes::from(sealed), &PutOptions::default())? {
        Put::Created => Ok(name),
        Put::Exists => Err(Error::object(&name, "a random name was taken twice")),
    }
}

/// The root secret of an init that was interrupted after its config.
fn take_unfinished(
    components: &Components,
    config: &Config,
    options: &CreateOptions<'_>,
) -> Result<RootSecret> {
    let place = components.place.as_ref();
    if Ledger::is_begun(components.place.clone())? {
        return Err(exists(place, &config.vault.to_string()));
    }
    let passphrase = match options.protection {
        Protection::Passphrase { passphrase, .. } => passphrase,
        Protection::Kept(bundle) if bundle.vault_id() == config.vault => {
            return Ok(bundle.root().ok_or(not_an_owner())?.duplicate());
        }
        _ => return Err(Error::Unfinished { place: place.describe() }),
    };
    for (_, slot) in slots(place)? {
        if slot.vault_id() != config.vault {
            continue;
        }
        if let Ok(bundle) = slot.open(passphrase)
            && let Some(root) = bundle.root()
        {
            return Ok(root.duplicate());
        }
    }
    Err(Error::Unfinished { place: place.describe() })
}

fn not_an_owner() -> Error {
    Error::Name { what: "the key", value: "a role's bundle".into(), reason: "it is not an owner's" }
}

fn exists(place: &dyn Place, vault: &str) -> Error {
    Error::VaultExists { place: place.describe(), vault: vault.to_owned() }
}
