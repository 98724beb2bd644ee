//! A vault in memory, and hands that can do what no ledger would: sign and put any record.
//!
//! Everything is drawn from one seed; the clock moves only when somebody sleeps.

use std::sync::Arc;

use bytes::Bytes;
use crypto::{
    Bundle, Certificate, Entropy, Keyring, MemberKeys, Role, RootSecret, SMALL_OVERHEAD,
    SeededEntropy, SigningContext, SmallKind, Suite, seal_small,
};
use format::{
    ChunkId, ChunkKind, ChunkRef, CommitBody, Config, Digest, DomainId, Epoch, Kind, List,
    MemberId, ObjectRef, Record, Seq, SessionId, SignedRecord, VaultNames,
};
use places::{ManualClock, MemoryPlace, Place, Put, PutOptions};

use crate::{
    Appended, Author, Components, Draft, Error, Ledger, Memory, ProcessMemory, RecordBytes, Result,
    State,
};

/// A vault with an owner.
pub(super) struct World {
    pub(super) place: MemoryPlace,
    pub(super) clock: ManualClock,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) config_bytes: Vec<u8>,
    root: RootSecret,
}

impl World {
    /// An initialised vault whose ledger has its genesis.
    pub(super) fn new() -> Self {
        let world = Self::uninitialised(1);
        let _ = world.init();
        world
    }

    /// A vault of a config alone.
    pub(super) fn uninitialised(seed: u64) -> Self {
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
        let root = RootSecret::draw(&*entropy);
        let public = *root.signing().verifying().as_bytes();
        let config = Config::new(root.vault_id(), public, Suite::Aes256Gcm);
        let signature = root.signing().sign(SigningContext::Config, &config.encode());
        let config_bytes = config.encode_signed(signature.as_bytes());
        let clock = ManualClock::default();
        let place = MemoryPlace::with_clock(Arc::new(clock.clone()));
        Self { place, clock, entropy, config_bytes, root }
    }

    pub(super) fn init(&self) -> Result<Ledger> {
        Ledger::init(self.components(), &self.config_bytes, self.root_keyring())
    }

    pub(super) fn components(&self) -> Components {
        self.components_at(Arc::new(self.place.clone()))
    }

    pub(super) fn components_at(&self, place: Arc<dyn Place>) -> Components {
        let clock = Arc::new(self.clock.clone());
        Components { place, clock, entropy: self.entropy.clone() }
    }

    /// The owner's keys, of a host that has no member yet.
    pub(super) fn root_keyring(&self) -> Arc<Keyring> {
        Arc::new(Keyring::owner(self.root.duplicate(), Suite::Aes256Gcm))
    }

    /// The owner's ledger, for owner kinds.
    pub(super) fn root(&self) -> Ledger {
        self.open(self.root_keyring())
    }

    /// A certified member of the default domain.
    pub(super) fn member(&self, role: Role) -> Ledger {
        self.member_of(role, DomainId::DEFAULT)
    }

    /// A certified member.
    pub(super) fn member_of(&self, role: Role, domain: DomainId) -> Ledger {
        let keyring = self.keyring(role, domain);
        self.certify(&keyring);
        self.open(keyring)
    }

    /// The keys of a member that is not certified.
    pub(super) fn keyring(&self, role: Role, domain: DomainId) -> Arc<Keyring> {
        let suite = Suite::Aes256Gcm;
        if role == Role::Owner {
            let keyring = self.root_keyring();
            keyring.attach_member(MemberKeys::draw(&*self.entropy)).unwrap();
            return keyring;
        }
        let newest = self.root().state().epoch();
        let entropy = &*self.entropy;
        let bundle = Bundle::for_role(&self.root, suite, role, domain, newest, entropy);
        Arc::new(Keyring::from_bundle(bundle.unwrap()))
    }

    /// The keys of an owner's host, member included, whether the vault is initialised or not.
    pub(super) fn keyring_before_init(&self) -> Arc<Keyring> {
        self.keyring(Role::Owner, DomainId::DEFAULT)
    }

    pub(super) fn certify(&self, keyring: &Keyring) {
        let mut root = self.root();
        let certificate = self.certificate(keyring, root.state().epoch());
        root.certify(&certificate, "a host").unwrap();
    }

    pub(super) fn certificate(&self, keyring: &Keyring, epoch: Epoch) -> Vec<u8> {
        let (member, vault) = (keyring.member().unwrap(), self.root.vault_id());
        let certificate = Certificate::of(member, vault, keyring.role(), keyring.domain(), epoch);
        certificate.issue(&self.root.signing())
    }

    pub(super) fn root_secret(&self) -> &RootSecret {
        &self.root
    }

    pub(super) fn open(&self, keyring: Arc<Keyring>) -> Ledger {
        self.open_with(keyring, Arc::new(ProcessMemory::new()), None)
    }

    pub(super) fn open_with(
        &self,
        keyring: Arc<Keyring>,
        memory: Arc<dyn Memory>,
        cached: Option<State>,
    ) -> Ledger {
        let keyring = Some(keyring);
        Ledger::open(self.components(), &self.config_bytes, keyring, memory, cached).unwrap()
    }

    /// A client without any key and memory.
    pub(super) fn stranger(&self) -> Ledger {
        let memory = Arc::new(ProcessMemory::new());
        Ledger::open(self.components(), &self.config_bytes, None, memory, None).unwrap()
    }

    pub(super) fn session(&self) -> SessionId {
        SessionId::draw(&*self.entropy)
    }

    /// What would be the next record, signed whoever it is by, changed before signing.
    pub(super) fn forge(
        &self,
        by: &Ledger,
        draft: &Draft,
        change: impl FnOnce(&mut Record),
    ) -> Bytes {
        self.forge_on(by.state(), by, draft, change)
    }

    /// The same, behind any state.
    pub(super) fn forge_on(
        &self,
        state: &State,
        by: &Ledger,
        draft: &Draft,
        change: impl FnOnce(&mut Record),
    ) -> Bytes {
        let keyring = by.keyring().unwrap();
        let (author, key) = match draft.author {
            Author::Root => (MemberId::ROOT, self.root.signing()),
            Author::Member => {
                (keyring.member_id().unwrap(), keyring.signing().unwrap().duplicate())
            }
        };
        let now = places::Time::EPOCH;
        let mut record = Record::new(state.vault(), draft.kind, author, state.epoch(), now);
        (record.seq, record.prev) = (state.next(), state.head().hash);
        record.session = draft.session;
        record.refs = List::Inline(draft.refs.clone());
        record.needs = List::Inline(draft.needs.clone());
        record.drops = List::Inline(draft.drops.clone());
        change(&mut record);
        let clear = record.encode_clear();
        let length = draft.payload.len();
        let plain_len = Record::body_plain_len(clear.len(), length, SMALL_OVERHEAD).unwrap();
        let plain = SignedRecord::pad_body(&draft.payload, plain_len);
        let suite = Suite::Aes256Gcm;
        let body_key = self.root.ledger(record.epoch);
        let (kind, vault, entropy) = (SmallKind::LedgerBody, record.vault, &*self.entropy);
        let body = seal_small(suite, &body_key, kind, vault, &clear, &plain, entropy);
        let mut bytes = SignedRecord::to_sign(&clear, &body);
        let signature = key.sign(SigningContext::Record, &bytes);
        bytes.extend_from_slice(signature.as_bytes());
        bytes.into()
    }

    /// Puts bytes under a number.
    pub(super) fn put(&self, seq: Seq, bytes: impl Into<Bytes>) {
        let name = VaultNames::record(seq);
        let put = self.place.put(&name, bytes.into(), &PutOptions::default()).unwrap();
        assert_eq!(put, Put::Created);
    }

    /// Changes what lies under a number.
    pub(super) fn change(&self, seq: Seq, change: impl FnOnce(&mut Vec<u8>)) {
        self.place.corrupt(&VaultNames::record(seq), change);
    }

    pub(super) fn remove(&self, seq: Seq) {
        self.place.delete(&VaultNames::record(seq)).unwrap();
    }

    pub(super) fn bytes(&self, seq: Seq) -> Bytes {
        self.place.get(&VaultNames::record(seq), None).unwrap()
    }
}

/// A draft of every kind, naming what need not exist.
pub(super) fn sample(kind: Kind, certificate: Vec<u8>) -> Draft {
    use format::{RecordAt, Ref};
    let id = SessionId::from_bytes([9; 16]);
    let at = RecordAt { seq: Seq(0), hash: Digest::of(b"") };
    let refs = match kind {
        Kind::Genesis => vec![Ref::Config(vec![]), Ref::FormatNumber(1), epoch_keys(Epoch(0))],
        Kind::Certify => vec![Ref::Certificate(certificate)],
        Kind::Revoke => vec![Ref::Member(MemberId::from_bytes([7; 16]))],
        Kind::Rotate => vec![epoch_keys(Epoch(1))],
        Kind::Mend => vec![Ref::Record(at)],
        Kind::Recover => vec![Ref::Place([1; 16]), Ref::Record(at), Ref::LostAfter(Seq(0))],
        Kind::Open => vec![Ref::Domain(DomainId::DEFAULT)],
        Kind::Suspect | Kind::Lost | Kind::Found => vec![Ref::Pack(pack(1))],
        Kind::Condemn | Kind::Clear => vec![Ref::Suspect(Seq(1))],
        Kind::Checkpoint => vec![Ref::Record(at), Ref::Object(pack(1))],
        Kind::WriteOff | Kind::Release | Kind::Tag | Kind::Forget => vec![Ref::Snapshot(id)],
        Kind::Purge | Kind::Hold | Kind::Undo => vec![Ref::Snapshot(id)],
        _ => vec![],
    };
    let session = kind.names_session().then_some(id);
    Draft { refs, session, ..Draft::new(kind) }
}

pub(super) fn epoch_keys(epoch: Epoch) -> format::Ref {
    let key = || Box::new([0; 1216]);
    format::Ref::EpochKeys(format::EpochKeys { epoch, content: key(), meta: key() })
}

pub(super) fn pack(number: u8) -> Digest {
    Digest::of(&[number])
}

pub(super) fn packs(numbers: &[u8]) -> Vec<ObjectRef> {
    numbers.iter().map(|number| ObjectRef::Pack(pack(*number))).collect()
}

pub(super) fn runs(numbers: &[u8]) -> Vec<ObjectRef> {
    numbers.iter().map(|number| ObjectRef::Run(pack(*number))).collect()
}

pub(super) fn commit_body() -> CommitBody {
    let id = ChunkId::from_bytes([4; 32]);
    CommitBody { descriptor: ChunkRef { kind: ChunkKind::Descriptor, id } }
}

/// What the tests do with a ledger as a host would.
pub(super) trait Host {
    fn begin(&mut self, world: &World) -> SessionId;
    fn snapshot(&mut self, world: &World, packs: &[u8]) -> SessionId;
    fn add(&mut self, draft: Draft) -> Appended;
    fn refused(&mut self, draft: Draft) -> crate::VoidReason;
}

impl Host for Ledger {
    fn begin(&mut self, world: &World) -> SessionId {
        let session = world.session();
        let domain = self.keyring().unwrap().domain();
        self.add(Draft::open(session, domain, None));
        session
    }

    fn snapshot(&mut self, world: &World, numbers: &[u8]) -> SessionId {
        let session = self.begin(world);
        self.add(Draft::commit(session, packs(numbers), commit_body().encode()));
        session
    }

    fn add(&mut self, draft: Draft) -> Appended {
        let kind = draft.kind;
        self.append_one(draft).unwrap_or_else(|error| panic!("{kind}: {error}"))
    }

    fn refused(&mut self, draft: Draft) -> crate::VoidReason {
        match self.append_one(draft) {
            Err(Error::Void { reason, .. }) => reason,
            other => panic!("not refused as void: {other:?}"),
        }
    }
}

/// A record's bytes as a state takes them.
pub(super) fn whole(bytes: Bytes) -> RecordBytes {
    RecordBytes::whole(bytes)
}
