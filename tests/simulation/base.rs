//! The vault that every play begins with: an owner's, with its members certified. It is made once,
//! and each play begins with a copy of its objects.

use std::sync::{Arc, OnceLock};

use crypto::{Bundle, Keyring, MemberKeys, Role, SeededEntropy, Suite};
use places::{ManualClock, MemoryPlace, MemorySnapshot, Time};
use vault::{Components, CreateOptions, DomainChoice, Folders, Protection, Vault};

/// When every play begins.
pub(crate) const START: Time = Time::from_millis(1_700_000_000_000);

/// A host's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Owner,
    /// Writers of one domain.
    Writer(usize),
    /// A writer of a domain of its own.
    Stranger,
    Collector(usize),
    Reader,
}

pub(crate) const WRITERS: usize = 3;
pub(crate) const COLLECTORS: usize = 2;

pub(crate) struct Base {
    pub(crate) objects: MemorySnapshot,
    owner: Vec<u8>,
    owner_member: Vec<u8>,
    writers: Vec<Vec<u8>>,
    stranger: Vec<u8>,
    collectors: Vec<Vec<u8>>,
    reader: Vec<u8>,
}

impl Base {
    pub(crate) fn get() -> &'static Self {
        static BASE: OnceLock<Base> = OnceLock::new();
        BASE.get_or_init(Self::make)
    }

    fn make() -> Self {
        let place = MemoryPlace::with_clock(Arc::new(ManualClock::new(START)));
        let components = Components {
            place: Arc::new(place.clone()),
            clock: Arc::new(ManualClock::new(START)),
            entropy: Arc::new(SeededEntropy::new(1)),
        };
        let options = CreateOptions {
            suite: Suite::Aes256Gcm,
            protection: Protection::KeyFile,
            label: "owner",
            pack_size: Some(4 << 20),
        };
        let (mut vault, owner) = Vault::create(components, &Folders::default(), &options).unwrap();
        vault.ensure_member().unwrap();
        let owner_member = vault.keyring().member().unwrap().encode().to_vec();
        let mut issue = |role, domain, label: &str| {
            vault.issue_bundle(role, domain, label).unwrap().encode().to_vec()
        };
        let writers = (0..WRITERS)
            .map(|n| issue(Role::Writer, DomainChoice::Default, &format!("writer {n}")))
            .collect();
        let stranger = issue(Role::Writer, DomainChoice::Own, "stranger");
        let collectors = (0..COLLECTORS)
            .map(|n| issue(Role::Collector, DomainChoice::Default, &format!("collector {n}")))
            .collect();
        let reader = issue(Role::Reader, DomainChoice::Default, "reader");
        let owner = owner.encode().to_vec();
        Self {
            objects: place.snapshot(),
            owner,
            owner_member,
            writers,
            stranger,
            collectors,
            reader,
        }
    }

    pub(crate) fn keyring(&self, key: Key) -> Keyring {
        let bundle = match key {
            Key::Owner => &self.owner,
            Key::Writer(number) => &self.writers[number],
            Key::Stranger => &self.stranger,
            Key::Collector(number) => &self.collectors[number],
            Key::Reader => &self.reader,
        };
        let keyring = Keyring::from_bundle(Bundle::decode(bundle).unwrap());
        if key == Key::Owner {
            keyring.attach_member(MemberKeys::decode(&self.owner_member).unwrap()).unwrap();
        }
        keyring
    }
}
