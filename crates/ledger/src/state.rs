//! What follows from the records of a ledger: a pure replay, without I/O and without a clock.
//!
//! Records go in by number; each is valid and has its effect, or void and has none, or breaks the
//! chain and is not taken. Validity is decided by clear parts and earlier records alone, so a
//! replica without a key and a member agree; a key only adds what bodies hold (labels, where
//! descriptors lie, tags). FORMAT.md §10.

mod codec;
mod compaction;
mod effects;
mod parts;
mod query;
mod rules;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use crypto::{Keyring, Signature, SigningContext, SmallKind, VerifyingKey, open_small};
use format::{
    Config, Digest, Epoch, Kind, List, MemberId, ObjectRef, RECORD_BYTES_MAX, Record, RecordAt,
    RecordHash, Ref, Seq, SessionId, SignedRecord, VaultId,
};

use compaction::{Compaction, Watch};
pub use parts::{
    Checkpoint, Condemned, EpochState, Member, Origin, PackStanding, Policy, Recover, Report, Run,
    Session, SessionStatus, Snapshot, SnapshotStanding, VoidRecord, Voids,
};
pub(crate) use verdict::chained;
pub use verdict::{Applied, Body, Break, Outcome, VoidReason};

use crate::{Error, RecordBytes, Result};

/// The state after some record of a vault's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    config_bytes: Vec<u8>,
    config: Config,
    format_number: u32,
    head: RecordAt,
    epochs: BTreeMap<Epoch, EpochState>,
    members: BTreeMap<MemberId, Member>,
    sessions: BTreeMap<SessionId, Session>,
    /// The beginnings of the ids of closed sessions that were forgotten, rising.
    closed: Arc<Vec<SessionStart>>,
    snapshots: BTreeMap<SessionId, Snapshot>,
    commits: BTreeMap<Seq, SessionId>,
    packs: BTreeMap<Digest, Origin>,
    runs: BTreeMap<Digest, Run>,
    suspicions: BTreeMap<Seq, BTreeSet<Digest>>,
    suspects: BTreeMap<Digest, Seq>,
    condemned: BTreeMap<Digest, Condemned>,
    lost: BTreeMap<Digest, Seq>,
    newest_lost: Option<Seq>,
    newest_trouble: Option<Seq>,
    mends: BTreeMap<Seq, RecordHash>,
    settled: BTreeSet<Seq>,
    recovers: Vec<Recover>,
    policy: Option<Policy>,
    checkpoint: Option<Checkpoint>,
    reports: VecDeque<Report>,
    void_count: u64,
    voids: VecDeque<VoidRecord>,
    compaction: Compaction,
    watch: Watch,
}

/// How the id of a session that was forgotten is kept: the first bytes of it.
type SessionStart = [u8; 8];

/// What applying a record needs beside the record.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Whether signatures are checked.
    pub trust: Trust,
    /// Where long lists are read.
    pub lists: &'a dyn Lists,
    /// Opens bodies; without it the state knows no labels, descriptors and tags.
    pub keyring: Option<&'a Keyring>,
}

/// Whether signatures are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Every signature is checked.
    Check,
    /// The bytes come from where only checked ones are kept, such as a host's own sealed cache.
    CheckedBefore,
}

/// Reads the objects that long lists lie in.
pub trait Lists {
    /// The bytes of `lists/<digest>`, checked against the digest; `None` when it is not there or
    /// is another object.
    ///
    /// # Errors
    /// When the place does not answer.
    fn list(&self, digest: &Digest) -> Result<Option<Bytes>>;
}

/// For records whose lists are all inline.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLists;

impl Lists for NoLists {
    fn list(&self, _: &Digest) -> Result<Option<Bytes>> {
        Ok(None)
    }
}

/// Why a record was not applied.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The chain is broken here.
    Break(Box<Break>),
    /// What is needed could not be read.
    Error(Error),
}

impl From<Break> for Stop {
    fn from(found: Break) -> Self {
        Self::Break(Box::new(found))
    }
}

/// Void records and reports that a state keeps by number; older ones are only counted.
const KEPT_MAX: usize = 256;

impl State {
    /// Begins with a vault's config, which `config_id` vouches for, and its first record.
    ///
    /// # Errors
    /// [`Error::Config`] when the config is not the one that its root key signed, [`Error::Broken`]
    /// when the record is not its genesis.
    pub fn begin(config_bytes: &[u8], genesis: &RecordBytes, trust: Trust) -> Result<Self> {
        let config = check_config(config_bytes)?;
        let refuse = |reason: &str| Error::from(Break::Genesis { reason: reason.into() });
        if genesis.whole_length > RECORD_BYTES_MAX as u64 {
            return Err(refuse("it is longer than a record may be"));
        }
        let signed = SignedRecord::decode(&genesis.bytes).map_err(|e| refuse(&e.to_string()))?;
        let record = &signed.record;
        let Some([Ref::Config(held), Ref::FormatNumber(number), Ref::EpochKeys(keys)]) =
            record.refs.inline()
        else {
            return Err(refuse("it is a record of another kind"));
        };
        let begins = record.vault == config.vault
            && record.seq == Seq(0)
            && record.prev == Digest::of(config_bytes)
            && record.author == MemberId::ROOT
            && record.epoch == Epoch(0)
            && record.session.is_none();
        if !begins || held.as_slice() != config_bytes {
            return Err(refuse("it is of another vault or config"));
        }
        if keys.epoch != Epoch(0) || *number == 0 {
            return Err(refuse("its epoch or format number is not a first one"));
        }
        if trust == Trust::Check {
            let root = VerifyingKey::from_bytes(config.root_public);
            verify(&root, &signed).map_err(|_| refuse("its signature does not hold"))?;
        }
        let epoch = EpochState { seq: Seq(0), keys: keys.clone() };
        let head = RecordAt { seq: Seq(0), hash: Digest::of(&genesis.bytes) };
        let mut state = Self::empty(config_bytes.to_vec(), config, *number, head);
        state.epochs.insert(Epoch(0), epoch);
        Ok(state)
    }

    /// Applies the record of the next number.
    ///
    /// # Errors
    /// [`Error::Broken`] when it breaks the chain; [`Error::Place`] when a long list could not be
    /// read. The state is then as it was before.
    pub fn apply(&mut self, bytes: &RecordBytes, context: &Context<'_>) -> Result<Applied> {
        self.step(bytes, context).map_err(|stop| match stop {
            Stop::Break(found) => Error::Broken(found),
            Stop::Error(error) => error,
        })
    }

    pub(crate) fn step(
        &mut self,
        bytes: &RecordBytes,
        context: &Context<'_>,
    ) -> Result<Applied, Stop> {
        self.step_signed(bytes, context, context.trust)
    }

    /// The same for a record whose own signature may have been checked before.
    pub(crate) fn step_signed(
        &mut self,
        bytes: &RecordBytes,
        context: &Context<'_>,
        signature: Trust,
    ) -> Result<Applied, Stop> {
        if let Some(applied) = self.pass_settled() {
            return Ok(applied);
        }
        let seq = self.next();
        let raw = SignedRecord::hash(&bytes.bytes, bytes.whole_length);
        let signed = match self.authenticate(seq, bytes, signature) {
            Ok(signed) => signed,
            Err((author, reason)) => {
                let at = RecordAt { seq, hash: chained(&self.head.hash, &raw) };
                return Ok(self.void(at, author, None, reason));
            }
        };
        let at = RecordAt { seq, hash: raw };
        let record = &signed.record;
        if record.prev != self.head.hash {
            return Err(Stop::from(Break::Previous {
                seq,
                author: record.author,
                named: record.prev,
                before: self.head.hash,
                hash: raw,
            }));
        }
        // Lists are read only for those whose record may have an effect: a missing one is a break.
        let lists = match self.check_author(record) {
            Ok(()) => Resolved::read(record, context.lists)?,
            Err(reason) => Err(reason),
        };
        match lists.and_then(|lists| self.judge(record, &lists, context.trust).map(|()| lists)) {
            Err(reason) => {
                let author = Some(record.author);
                Ok(self.void(at, author, Some(signed.record), reason))
            }
            Ok(lists) => {
                let (body, payload) = self.open_body(&signed, context.keyring);
                let body = self.effect(at, record, &lists, payload.as_deref(), body);
                self.advance(at);
                Ok(Applied { at, record: Some(signed.record), outcome: Outcome::Valid, body })
            }
        }
    }

    /// The break that the record of the next number would be, as far as its own bytes say.
    pub(crate) fn breaks_chain(&self, bytes: &RecordBytes) -> Option<Break> {
        let seq = self.next();
        let signed = self.authenticate(seq, bytes, Trust::Check).ok()?;
        let record = &signed.record;
        (record.prev != self.head.hash).then(|| Break::Previous {
            seq,
            author: record.author,
            named: record.prev,
            before: self.head.hash,
            hash: SignedRecord::hash(&bytes.bytes, bytes.whole_length),
        })
    }

    /// How a record that may follow this state hangs on what lies before it.
    pub(crate) fn link(&self, seq: Seq, bytes: &RecordBytes, before: &RecordHash) -> Link {
        match self.authenticate(seq, bytes, Trust::Check) {
            Ok(signed) => Link::Signed { prev: signed.record.prev },
            Err(_) => {
                let raw = SignedRecord::hash(&bytes.bytes, bytes.whole_length);
                Link::Junk { chained: chained(before, &raw) }
            }
        }
    }

    /// Passes over the next number when an owner's `mend` settled it, whatever lies there.
    pub(crate) fn pass_settled(&mut self) -> Option<Applied> {
        let seq = self.next();
        let hash = *self.mends.get(&seq)?;
        self.settled.insert(seq);
        Some(self.void(RecordAt { seq, hash }, None, None, VoidReason::Mended))
    }

    /// Learns of a `mend` that lies ahead, so that replay can pass over what it settles. Of two
    /// for one number, the one learned later counts: it was tried because the first did not do.
    pub(crate) fn learn_mend(&mut self, mended: RecordAt) {
        self.mends.insert(mended.seq, mended.hash);
    }

    /// What a record mends, when it is a `mend` that the root key signed for this number. Its
    /// `prev` is not looked at: it stands behind a break.
    pub(crate) fn signed_mend(&self, seq: Seq, bytes: &RecordBytes) -> Option<RecordAt> {
        let signed = self.authenticate(seq, bytes, Trust::Check).ok()?;
        let record = &signed.record;
        let mends = record.author == MemberId::ROOT && record.kind == Kind::Mend;
        match record.refs.inline()? {
            [Ref::Record(at)] if mends && Seq(0) < at.seq && at.seq < seq => Some(*at),
            _ => None,
        }
    }

    /// Checks a record's signature ahead of its turn, by the key of its author: an id has one key
    /// for ever. What does not hold, or is by nobody known yet, is checked when its turn comes.
    pub(crate) fn check_ahead(&self, bytes: &RecordBytes) -> Trust {
        let checked = SignedRecord::decode(&bytes.bytes).ok().and_then(|signed| {
            let key = match signed.record.author {
                MemberId::ROOT => self.root(),
                author => self.members.get(&author)?.verifying,
            };
            verify(&key, &signed).ok()
        });
        checked.map_or(Trust::Check, |()| Trust::CheckedBefore)
    }

    /// The `rotate` record that began an epoch, when these bytes are it.
    pub(crate) fn signed_rotate(&self, epoch: Epoch, bytes: &RecordBytes) -> Option<Record> {
        let known = self.epochs.get(&epoch)?;
        let record = self.authenticate(known.seq, bytes, Trust::Check).ok()?.record;
        let rotates = record.author == MemberId::ROOT && record.kind == Kind::Rotate;
        match record.refs.inline()?.first()? {
            Ref::EpochKeys(keys) if rotates && *keys == known.keys => Some(record),
            _ => None,
        }
    }

    /// The mends whose numbers this replay had already applied before it met them. Whoever has
    /// any must replay from the start.
    pub(crate) fn has_unsettled_mends(&self) -> bool {
        self.mends.keys().any(|seq| *seq <= self.head.seq && !self.settled.contains(seq))
    }

    /// Whether a record would be valid next, without applying it.
    ///
    /// # Errors
    /// Why it would be void.
    pub(crate) fn judge_own(&self, record: &Record, lists: &Resolved) -> Result<(), VoidReason> {
        self.author_key(record.author)?;
        self.judge(record, lists, Trust::Check)
    }

    fn empty(config_bytes: Vec<u8>, config: Config, format_number: u32, head: RecordAt) -> Self {
        Self {
            config_bytes,
            config,
            format_number,
            head,
            epochs: BTreeMap::new(),
            members: BTreeMap::new(),
            sessions: BTreeMap::new(),
            closed: Arc::default(),
            snapshots: BTreeMap::new(),
            commits: BTreeMap::new(),
            packs: BTreeMap::new(),
            runs: BTreeMap::new(),
            suspicions: BTreeMap::new(),
            suspects: BTreeMap::new(),
            condemned: BTreeMap::new(),
            lost: BTreeMap::new(),
            newest_lost: None,
            newest_trouble: None,
            mends: BTreeMap::new(),
            settled: BTreeSet::new(),
            recovers: Vec::new(),
            policy: None,
            checkpoint: None,
            reports: VecDeque::new(),
            void_count: 0,
            voids: VecDeque::new(),
            compaction: Compaction::default(),
            watch: Watch::default(),
        }
    }

    /// Takes a record apart and checks that somebody certified signed it for this number.
    fn authenticate<'a>(
        &self,
        seq: Seq,
        bytes: &'a RecordBytes,
        trust: Trust,
    ) -> Result<SignedRecord<'a>, (Option<MemberId>, VoidReason)> {
        if bytes.whole_length > RECORD_BYTES_MAX as u64 {
            return Err((None, VoidReason::TooLong));
        }
        let signed =
            SignedRecord::decode(&bytes.bytes).map_err(|_| (None, VoidReason::Malformed))?;
        let record = &signed.record;
        let void = |reason| (Some(record.author), reason);
        if record.vault != self.config.vault {
            return Err(void(VoidReason::OtherVault));
        }
        if record.seq != seq {
            return Err(void(VoidReason::OtherNumber));
        }
        let key = self.author_key(record.author).map_err(void)?;
        if trust == Trust::Check {
            verify(&key, &signed).map_err(void)?;
        }
        Ok(signed)
    }

    fn author_key(&self, author: MemberId) -> Result<VerifyingKey, VoidReason> {
        if author == MemberId::ROOT {
            return Ok(self.root());
        }
        let member = self.members.get(&author).ok_or(VoidReason::NotCertified)?;
        match member.revoked {
            Some(_) => Err(VoidReason::RevokedAuthor),
            None => Ok(member.verifying),
        }
    }

    fn void(
        &mut self,
        at: RecordAt,
        author: Option<MemberId>,
        record: Option<Record>,
        reason: VoidReason,
    ) -> Applied {
        self.void_count += 1;
        keep(&mut self.voids, VoidRecord { seq: at.seq, author, reason });
        self.advance(at);
        Applied { at, record, outcome: Outcome::Void(reason), body: Body::Closed }
    }

    /// The payload of a body that the state uses.
    fn open_body(
        &self,
        signed: &SignedRecord<'_>,
        keyring: Option<&Keyring>,
    ) -> (Body, Option<Vec<u8>>) {
        let record = &signed.record;
        let used = match record.kind {
            Kind::Certify | Kind::Tag | Kind::Policy => true,
            Kind::Commit => !record.refs.is_empty(),
            _ => false,
        };
        let Some(keyring) = keyring.filter(|_| used) else { return (Body::Closed, None) };
        match open_payload(&self.config, keyring, signed) {
            Ok(payload) => (Body::Opened, Some(payload)),
            Err(Error::Crypto(error)) if error.kind() == crypto::ErrorKind::Denied => {
                (Body::Closed, None)
            }
            Err(_) => (Body::Unreadable, None),
        }
    }
}

/// How a record hangs on what lies before it.
pub(crate) enum Link {
    /// Somebody certified signed that this lies before it.
    Signed { prev: RecordHash },
    /// Nobody did; with it, the chain has this hash.
    Junk { chained: RecordHash },
}

#[cfg(test)]
impl State {
    /// Says that this is the state after a record, and that all packs are condemned.
    pub(crate) fn pretend(&mut self, at: RecordAt) {
        let condemned = Condemned { seq: at.seq, swept: None };
        let packs = std::mem::take(&mut self.packs);
        self.condemned.extend(packs.into_keys().map(|name| (name, condemned)));
        self.head = at;
    }
}

/// A record's lists, read from their objects where they are long.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) refs: Vec<Ref>,
    pub(crate) needs: Vec<ObjectRef>,
    pub(crate) drops: Vec<ObjectRef>,
}

impl Resolved {
    fn read(record: &Record, lists: &dyn Lists) -> Result<Result<Self, VoidReason>, Stop> {
        let seq = record.seq;
        let refs = resolve(&record.refs, seq, lists, List::<Ref>::decode_object)?;
        let needs = resolve(&record.needs, seq, lists, List::<ObjectRef>::decode_object)?;
        let drops = resolve(&record.drops, seq, lists, List::<ObjectRef>::decode_object)?;
        Ok(refs.and_then(|refs| {
            let (needs, drops) = (needs?, drops?);
            Ok(Self { refs, needs, drops })
        }))
    }
}

fn resolve<T: Clone>(
    list: &List<T>,
    seq: Seq,
    lists: &dyn Lists,
    decode: impl Fn(&[u8]) -> Result<Vec<T>, format::DecodeError>,
) -> Result<Result<Vec<T>, VoidReason>, Stop> {
    match list {
        List::Inline(items) => Ok(Ok(items.clone())),
        List::Object { digest, count } => {
            // An object that is not there now may come later, so its absence cannot make a record
            // void: two clients would disagree for ever.
            let bytes = lists.list(digest).map_err(Stop::Error)?;
            let bytes = bytes.ok_or(Break::List { seq, digest: *digest })?;
            let items = decode(&bytes).ok().filter(|items| items.len() == *count as usize);
            Ok(items.ok_or(VoidReason::ListMalformed))
        }
    }
}

/// Opens a record's body.
pub(crate) fn open_payload(
    config: &Config,
    keyring: &Keyring,
    signed: &SignedRecord<'_>,
) -> Result<Vec<u8>> {
    let key = keyring.ledger(signed.record.epoch)?;
    let kind = SmallKind::LedgerBody;
    let plain = open_small(config.suite, &key, kind, config.vault, signed.clear, signed.body)?;
    Ok(SignedRecord::unpad_body(&plain)?.to_vec())
}

/// Decodes a config and checks that its own root key signed it and makes its vault id.
pub(crate) fn check_config(bytes: &[u8]) -> Result<Config> {
    let refuse = |reason: String| Error::Config { reason };
    let (config, signature) = Config::decode(bytes).map_err(|e| refuse(e.to_string()))?;
    let root = VerifyingKey::from_bytes(config.root_public);
    let actual = VaultId::of_root(&root);
    if actual != config.vault {
        return Err(refuse(format!(
            "its root key is that of vault {actual}, but it names {}",
            config.vault
        )));
    }
    let signature = Signature::from_bytes(signature);
    root.verify(SigningContext::Config, &config.encode(), &signature)
        .map_err(|e| refuse(e.to_string()))?;
    Ok(config)
}

fn verify(key: &VerifyingKey, signed: &SignedRecord<'_>) -> Result<(), VoidReason> {
    let signature = Signature::from_bytes(*signed.signature);
    key.verify(SigningContext::Record, signed.signed, &signature).map_err(|_| VoidReason::Signature)
}

fn keep<T>(kept: &mut VecDeque<T>, item: T) {
    if kept.len() == KEPT_MAX {
        kept.pop_front();
    }
    kept.push_back(item);
}
