//! Appending: one record at the next number, put if absent, read back before it is acknowledged.
//!
//! A record's bytes are made once per number and repeated until the place says who has the number,
//! so neither a lost answer nor a crash makes two of one or loses one acknowledged. Who loses the
//! race applies what won, waits a random time, and asks for a new draft. DESIGN §9.

use std::time::Duration;

use bytes::Bytes;
use crypto::{Entropy, Keyring, SMALL_OVERHEAD, SigningContext, SigningKey, SmallKind, seal_small};
use format::{
    Config, DecodeError, Digest, Epoch, EpochKeys, FORMAT_NUMBER, Kind, List, MemberId, ObjectRef,
    Record, RecordAt, Ref, Seq, SignedRecord, VaultNames,
};
use places::{Put, PutOptions};

use super::{Components, Ledger};
use crate::shelf::Shelf;
use crate::state::Resolved;
use crate::{Author, Break, Draft, Error, Lists, RecordBytes, Result};

/// How often a record may lose the race for a number.
const RACES_MAX: u32 = 1000;
/// How often one number is tried while the place does not say who has it.
const TRIES_MAX: u32 = 12;
const TRY_PAUSE_MIN: Duration = Duration::from_millis(50);
const TRY_PAUSE_MAX: Duration = Duration::from_secs(10);
/// What one lost try counts as having taken, at least and at most: the unit of the wait after it.
const LOST_TRY_MIN: Duration = Duration::from_millis(5);
const LOST_TRY_MAX: Duration = Duration::from_secs(1);
/// By how much the longest wait grows with each race lost in a row, how often it does, and where
/// it ends.
const RACE_GROWTH: u32 = 3;
const RACE_GROWTHS_MAX: u32 = 6;
const RACE_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Longer lists lie in an object of their own.
const INLINE_ITEMS_MAX: usize = 4096;

/// A record that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number and hash.
    pub at: RecordAt,
    /// What it does.
    pub kind: Kind,
}

impl Ledger {
    /// Appends one record: catches up, asks `draft` what to append to the state as it is, and tries
    /// that under the next number. When another was faster, `draft` is asked again with the newer
    /// state; `None` gives up. The record stands in the place, read back, when this returns it.
    ///
    /// # Errors
    /// What `draft` returns. [`Error::Broken`], [`Error::History`], [`Error::NewerFormat`],
    /// [`Error::Replica`] when nothing may be appended here now; [`Error::Void`] when the record
    /// would have no effect; [`Error::NoKeys`] and [`Error::Crypto`] when it cannot be signed or
    /// sealed; [`Error::Unsettled`] when the place does not say whether it stands, which a later
    /// [`Ledger::refresh`] shows; [`Error::Contended`]; [`Error::Place`].
    pub fn append<E: From<Error>>(
        &mut self,
        mut draft: impl FnMut(&crate::State) -> Result<Option<Draft>, E>,
    ) -> Result<Option<Appended>, E> {
        self.refresh()?;
        let mut kind = Kind::Report;
        for race in 0..RACES_MAX {
            let Some(next) = draft(&self.state)? else { return Ok(None) };
            kind = next.kind;
            self.check_may_append(&next)?;
            let (record, bytes) = self.make(&next)?;
            let began = self.components.clock.now();
            if settle(&self.shelf, &self.components, record.seq, &bytes)? {
                return Ok(Some(self.acknowledge(&record, bytes)?));
            }
            let before = self.state.next();
            self.refresh()?;
            let moved = self.state.next().0.saturating_sub(before.0);
            let took = self.components.clock.now().as_millis() - began.as_millis();
            self.pause_after_race(moved, took, race);
            self.refresh()?;
        }
        Err(Error::Contended { kind, tries: RACES_MAX }.into())
    }

    fn check_may_append(&self, draft: &Draft) -> Result<()> {
        if !self.standing.vouched.allows(draft.kind) {
            return Err(Error::Vouched { kind: draft.kind });
        }
        // An owner's recover is the answer to these alarms; it names the place where it counts.
        let answers = draft.kind == Kind::Recover
            && self.standing.broken().is_none()
            && match (&self.marked, draft.refs.first()) {
                (Some(id), Some(Ref::Place(place))) => id == place,
                (marked, _) => marked.is_none(),
            };
        match self.standing.forbids_append() {
            Some(Error::History(_) | Error::Replica) if answers => Ok(()),
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Makes the record's bytes for the next number.
    fn make(&self, draft: &Draft) -> Result<(Record, Bytes)> {
        let kind = draft.kind;
        let keyring = self.keyring.as_deref().ok_or(Error::NoKeys { kind })?;
        let (author, key) = match draft.author {
            Author::Root => (MemberId::ROOT, keyring.root_signing()?),
            Author::Member => (keyring.member_id()?, keyring.signing()?),
        };
        let state = &self.state;
        let claimed = draft.claimed.unwrap_or_else(|| self.components.clock.now());
        let mut record = Record::new(state.vault(), kind, author, state.epoch(), claimed);
        record.seq = state.next();
        record.prev = state.head().hash;
        record.session = draft.session;
        let lists = Resolved {
            refs: draft.refs.clone(),
            needs: draft.needs.clone(),
            drops: draft.drops.clone(),
        };
        // A record without effect would stand for ever: better none.
        let void = |reason| Error::Void { kind, reason };
        state.judge_own(&record, &lists).map_err(void)?;
        let seq = record.seq;
        record.refs = match matches!(draft.refs.first(), Some(Ref::Pack(_) | Ref::Snapshot(_))) {
            true => {
                list(lists.refs, |items| self.put_list(seq, List::<Ref>::encode_object(items)))?
            }
            false => List::Inline(lists.refs),
        };
        let put = |items: &[ObjectRef]| self.put_list(seq, List::<ObjectRef>::encode_object(items));
        record.needs = match kind {
            Kind::Packs | Kind::Commit => List::Inline(lists.needs),
            _ => list(lists.needs, put)?,
        };
        record.drops = list(lists.drops, put)?;
        let shape = kind.check_shape(&record).map_err(DecodeError::from);
        shape.map_err(|wrong| Error::Record { kind, reason: wrong.into() })?;
        let suite = self.state.config();
        let bytes = seal(&record, &draft.payload, suite, keyring, key, &*self.components.entropy)?;
        Ok((record, bytes))
    }

    /// Puts a long list, named by its digest, and reads it back: whoever guesses a list could have
    /// put something else under its name, and a record whose list is not there is a break.
    fn put_list(&self, seq: Seq, bytes: Vec<u8>) -> Result<Digest> {
        let digest = Digest::of(&bytes);
        let name = VaultNames::list(&digest);
        let (Put::Created | Put::Exists) =
            self.components.place.put(&name, bytes.into(), &PutOptions::default())?;
        match self.shelf.list(&digest)? {
            Some(_) => Ok(digest),
            None => Err(Break::List { seq, digest }.into()),
        }
    }

    /// Applies an own record that stands.
    fn acknowledge(&mut self, record: &Record, bytes: Bytes) -> Result<Appended> {
        let hash = Digest::of(&bytes);
        if let Some(found) = self.absorb(&RecordBytes::whole(bytes))? {
            return Err(found.into());
        }
        if let Some(reason) = self.state.void_of(record.seq) {
            return Err(Error::Void { kind: record.kind, reason });
        }
        self.standing.alarms.clear();
        self.judge_standing();
        // The record stands: a memory that cannot be written is told by the next refresh.
        let _ = self.remember_head();
        Ok(Appended { at: RecordAt { seq: record.seq, hash }, kind: record.kind })
    }

    /// Waits up to a time that grows with how long a try takes here, how far the tail moved
    /// meanwhile, and how often the race was lost: the first tells of the place, the others of how
    /// many others there are.
    fn pause_after_race(&self, moved: u64, took_ms: i64, race: u32) {
        let moved = u32::try_from(moved.max(1)).unwrap_or(u32::MAX);
        let took = Duration::from_millis(u64::try_from(took_ms).unwrap_or_default());
        let growth = RACE_GROWTH.pow(race.min(RACE_GROWTHS_MAX));
        let longest = took.clamp(LOST_TRY_MIN, LOST_TRY_MAX).saturating_mul(moved);
        let longest = longest.saturating_mul(growth).min(RACE_PAUSE_MAX);
        let pause = random_part(longest, &*self.components.entropy);
        if !pause.is_zero() {
            self.components.clock.sleep(pause);
        }
    }
}

/// Repeats the same bytes under the same number until the place says who has it. Says whether
/// these bytes do; they were read back then.
///
/// # Errors
/// [`Error::Unsettled`] when the place does not say, [`Error::ReadBack`], [`Error::Place`].
pub(super) fn settle(
    shelf: &Shelf,
    components: &Components,
    seq: Seq,
    bytes: &Bytes,
) -> Result<bool> {
    let mut pause = TRY_PAUSE_MIN;
    let mut created = false;
    let mut last = None;
    for _ in 0..TRIES_MAX {
        match attempt(shelf, seq, bytes, &mut created) {
            Ok(Some(own)) if own || !created => return Ok(own),
            Ok(Some(_)) => return Err(Error::ReadBack { seq, found: "another record" }),
            // An attempt that ended in nothing under the number is repeated as it is.
            Ok(None) => {}
            Err(Error::Place(error)) if error.kind() == places::ErrorKind::Unavailable => {
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
        components.clock.sleep(pause + random_part(pause, &*components.entropy));
        pause = (pause * 2).min(TRY_PAUSE_MAX);
    }
    match last {
        Some(reason) => Err(Error::Unsettled { seq, tries: TRIES_MAX, reason }),
        None => Err(Error::ReadBack { seq, found: "nothing" }),
    }
}

/// One put and one look. `None` when nothing lies under the number afterwards.
fn attempt(shelf: &Shelf, seq: Seq, bytes: &Bytes, created: &mut bool) -> Result<Option<bool>> {
    if !*created {
        *created = shelf.put(seq, bytes)? == Put::Created;
    }
    let found = shelf.read(seq)?;
    Ok(found.map(|found| found == RecordBytes::whole(bytes.clone())))
}

/// The bytes of a vault's first record.
pub(super) fn genesis(
    components: &Components,
    config: &Config,
    config_bytes: &[u8],
    keyring: &Keyring,
) -> Result<Bytes> {
    let root = keyring.root()?;
    let epoch = Epoch(0);
    let keys = EpochKeys {
        epoch,
        content: Box::new(*root.content_secret(epoch).public().as_bytes()),
        meta: Box::new(*root.meta_secret(epoch).public().as_bytes()),
    };
    let now = components.clock.now();
    let mut record = Record::new(config.vault, Kind::Genesis, MemberId::ROOT, epoch, now);
    record.prev = Digest::of(config_bytes);
    record.refs = List::Inline(vec![
        Ref::Config(config_bytes.to_vec()),
        Ref::FormatNumber(FORMAT_NUMBER),
        Ref::EpochKeys(keys),
    ]);
    seal(&record, b"", config, keyring, keyring.root_signing()?, &*components.entropy)
}

/// Seals the body, pads and signs.
fn seal(
    record: &Record,
    payload: &[u8],
    config: &Config,
    keyring: &Keyring,
    key: &SigningKey,
    entropy: &dyn Entropy,
) -> Result<Bytes> {
    let kind = record.kind;
    let clear = record.encode_clear();
    let plain_len = Record::body_plain_len(clear.len(), payload.len(), SMALL_OVERHEAD)
        .map_err(|reason| Error::Record { kind, reason })?;
    let plain = SignedRecord::pad_body(payload, plain_len);
    let body_key = keyring.ledger(record.epoch)?;
    let small = SmallKind::LedgerBody;
    let body = seal_small(config.suite, &body_key, small, record.vault, &clear, &plain, entropy);
    let mut bytes = SignedRecord::to_sign(&clear, &body);
    let signature = key.sign(SigningContext::Record, &bytes);
    bytes.extend_from_slice(signature.as_bytes());
    Ok(bytes.into())
}

fn list<T>(items: Vec<T>, put: impl FnOnce(&[T]) -> Result<Digest>) -> Result<List<T>> {
    if items.len() <= INLINE_ITEMS_MAX {
        return Ok(List::Inline(items));
    }
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    Ok(List::Object { digest: put(&items)?, count })
}

fn random_part(longest: Duration, entropy: &dyn Entropy) -> Duration {
    let mut drawn = [0; 4];
    entropy.fill(&mut drawn);
    longest.mul_f64(f64::from(u32::from_le_bytes(drawn)) / f64::from(u32::MAX))
}
