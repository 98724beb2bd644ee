//! A state as bytes: for a client's sealed cache, and for checkpoints.
//!
//! The encoding is canonical: maps and sets lie in the order of their keys, each key once, and what
//! follows from other fields is not written. So equal states are equal bytes, and whatever decodes
//! encodes back to the same. Layout: version u8 = 2, then the fields in the order of
//! [`State::encode`]. FORMAT.md §10.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crypto::{KemPublic, Role, VerifyingKey};
use format::{
    CommitBody, DecodeError, Decoder, Digest, DomainId, Encoder, Epoch, EpochKeys, MemberId,
    RecordAt, Seq, SessionId,
};
use places::Time;

use super::{
    Checkpoint, Condemned, EpochState, KEPT_MAX, Member, Origin, Policy, Recover, Report, Run,
    Session, SessionStart, SessionStatus, Snapshot, SnapshotStanding, State, VoidReason,
    VoidRecord, check_config,
};
use crate::Result;

const VERSION: u8 = 2;
const COUNT_MAX: usize = u32::MAX as usize;
/// Room for more items is made only as they come.
const ROW_ALLOCATED_MAX: usize = 1 << 16;

impl State {
    /// The state's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).bytes(&self.config_bytes).u32(self.format_number);
        self.head.put(&mut e);
        self.epochs.put(&mut e);
        self.members.put(&mut e);
        self.sessions.put(&mut e);
        e.count(self.closed.len()).raw(self.closed.as_flattened());
        self.snapshots.put(&mut e);
        self.packs.put(&mut e);
        self.runs.put(&mut e);
        self.suspicions.put(&mut e);
        self.condemned.put(&mut e);
        self.lost.put(&mut e);
        self.newest_lost.put(&mut e);
        self.newest_trouble.put(&mut e);
        self.mends.put(&mut e);
        self.settled.put(&mut e);
        self.recovers.put(&mut e);
        self.policy.put(&mut e);
        self.checkpoint.put(&mut e);
        self.reports.put(&mut e);
        e.u64(self.void_count);
        self.voids.put(&mut e);
        e.finish()
    }

    /// Reads a state's bytes. What it says is as good as who kept or signed them.
    ///
    /// # Errors
    /// [`crate::Error::Decode`] when they are no state in its one form, [`crate::Error::Config`]
    /// when the config in it is not its root key's.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut d = Decoder::new(bytes);
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "the state", version, known: VERSION }.into());
        }
        let config_bytes = d.bytes(format::CONFIG_BYTES_MAX)?.to_vec();
        let config = check_config(&config_bytes)?;
        let format_number = d.u32()?;
        let mut state = Self::empty(config_bytes, config, format_number, Field::take(&mut d)?);
        state.epochs = Field::take(&mut d)?;
        state.members = Field::take(&mut d)?;
        state.sessions = Field::take(&mut d)?;
        state.closed = Arc::new(take_closed(&mut d)?);
        state.snapshots = Field::take(&mut d)?;
        state.packs = Field::take(&mut d)?;
        state.runs = Field::take(&mut d)?;
        state.suspicions = Field::take(&mut d)?;
        state.condemned = Field::take(&mut d)?;
        state.lost = Field::take(&mut d)?;
        state.newest_lost = Field::take(&mut d)?;
        state.newest_trouble = Field::take(&mut d)?;
        state.mends = Field::take(&mut d)?;
        state.settled = Field::take(&mut d)?;
        state.recovers = Field::take(&mut d)?;
        state.policy = Field::take(&mut d)?;
        state.checkpoint = Field::take(&mut d)?;
        state.reports = Field::take(&mut d)?;
        state.void_count = d.u64()?;
        state.voids = Field::take(&mut d)?;
        d.finish()?;
        state.derive()?;
        Ok(state)
    }

    /// Fills in what follows from other fields, and refuses what no replay leads to.
    fn derive(&mut self) -> Result<(), DecodeError> {
        let refuse = |what| Err(DecodeError::NotCanonical { what });
        if !self.epochs.contains_key(&Epoch(0)) {
            return refuse("a state without epoch 0");
        }
        if self.reports.len() > KEPT_MAX || self.voids.len() > KEPT_MAX {
            return refuse("the kept reports and void records of a state");
        }
        for (id, snapshot) in &self.snapshots {
            if self.commits.insert(snapshot.seq, *id).is_some() {
                return refuse("two snapshots of one record in a state");
            }
        }
        for (seq, packs) in &self.suspicions {
            for name in packs {
                if self.suspects.insert(*name, *seq).is_some() {
                    return refuse("a pack under two suspicions in a state");
                }
            }
        }
        Ok(())
    }
}

/// Taken as they lie: there are millions of them after years.
fn take_closed(d: &mut Decoder<'_>) -> Result<Vec<SessionStart>, DecodeError> {
    let count = d.count(COUNT_MAX, size_of::<SessionStart>())?;
    let (starts, _) = d.raw(count * size_of::<SessionStart>())?.as_chunks();
    if !starts.is_sorted_by(|one, next| one < next) {
        return Err(DecodeError::NotCanonical { what: "the order of closed sessions in a state" });
    }
    Ok(starts.to_vec())
}

/// A value in an encoded state.
trait Field: Sized {
    /// The fewest bytes that it takes.
    const LEAST: usize;
    fn put(&self, e: &mut Encoder);
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

impl<K: Field + Ord, V: Field> Field for BTreeMap<K, V> {
    const LEAST: usize = 4;
    fn put(&self, e: &mut Encoder) {
        e.count(self.len());
        for (key, value) in self {
            key.put(e);
            value.put(e);
        }
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = d.count(COUNT_MAX, K::LEAST + V::LEAST)?;
        // Built from a sorted row at once, which is many times faster than one by one.
        let mut row: Vec<(K, V)> = Vec::with_capacity(count.min(ROW_ALLOCATED_MAX));
        for _ in 0..count {
            let key = K::take(d)?;
            if row.last().is_some_and(|(last, _)| *last >= key) {
                return Err(DecodeError::NotCanonical { what: "the order of a map in a state" });
            }
            row.push((key, V::take(d)?));
        }
        Ok(row.into_iter().collect())
    }
}

impl<K: Field + Ord> Field for BTreeSet<K> {
    const LEAST: usize = 4;
    fn put(&self, e: &mut Encoder) {
        e.count(self.len());
        self.iter().for_each(|key| key.put(e));
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut set = Self::new();
        for _ in 0..d.count(COUNT_MAX, K::LEAST)? {
            let key = K::take(d)?;
            if set.last().is_some_and(|last| *last >= key) {
                return Err(DecodeError::NotCanonical { what: "the order of a set in a state" });
            }
            set.insert(key);
        }
        Ok(set)
    }
}

impl<T: Field> Field for Vec<T> {
    const LEAST: usize = 4;
    fn put(&self, e: &mut Encoder) {
        e.count(self.len());
        self.iter().for_each(|item| item.put(e));
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.list(COUNT_MAX, T::LEAST, T::take)
    }
}

impl<T: Field> Field for VecDeque<T> {
    const LEAST: usize = 4;
    fn put(&self, e: &mut Encoder) {
        e.count(self.len());
        self.iter().for_each(|item| item.put(e));
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.list(COUNT_MAX, T::LEAST, T::take).map(Self::from)
    }
}

impl<T: Field> Field for Option<T> {
    const LEAST: usize = 1;
    fn put(&self, e: &mut Encoder) {
        e.option(self.as_ref(), |e, value| value.put(e));
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.option(T::take)
    }
}

macro_rules! id_fields {
    ($($id:ty = $bytes:literal),+) => {$(
        impl Field for $id {
            const LEAST: usize = $bytes;
            fn put(&self, e: &mut Encoder) {
                e.raw(self.as_bytes());
            }
            fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                d.array().map(Self::from_bytes)
            }
        }
    )+};
}

id_fields!(SessionId = 16, MemberId = 16, DomainId = 16, Digest = 32);

/// Structures whose fields follow one another.
macro_rules! struct_fields {
    ($($name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {$(
        impl Field for $name {
            const LEAST: usize = 0 $(+ <$type as Field>::LEAST)+;
            fn put(&self, e: &mut Encoder) {
                $(self.$field.put(e);)+
            }
            fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: <$type as Field>::take(d)?),+ })
            }
        }
    )+};
}

struct_fields! {
    RecordAt { seq: Seq, hash: Digest }
    EpochState { seq: Seq, keys: EpochKeys }
    Member {
        role: Role, domain: DomainId, epoch: Epoch, verifying: VerifyingKey, kem: KemPublic,
        label: Option<String>, certified: Seq, revoked: Option<Seq>,
    }
    Session {
        member: MemberId, domain: DomainId, base: Option<SessionId>, status: SessionStatus,
        opened: Seq, last: Seq, last_claimed: Time,
    }
    Snapshot {
        seq: Seq, claimed: Time, member: MemberId, domain: DomainId, standing: SnapshotStanding,
        since: Seq, held: bool, written_off: bool, body: Option<CommitBody>,
        tags: Option<Vec<String>>,
    }
    Origin { session: SessionId, seq: Seq }
    Run { origin: Origin, dropped: Option<Seq> }
    Condemned { seq: Seq, swept: Option<Seq> }
    Recover { at: RecordAt, place: [u8; 16], from: RecordAt, lost_after: Seq }
    Policy { seq: Seq, payload: Option<Vec<u8>> }
    Checkpoint { seq: Seq, member: MemberId, at: RecordAt, object: Digest }
    Report { seq: Seq, member: MemberId, claimed: Time }
    VoidRecord { seq: Seq, author: Option<MemberId>, reason: VoidReason }
}

impl Field for u8 {
    const LEAST: usize = 1;
    fn put(&self, e: &mut Encoder) {
        e.u8(*self);
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.u8()
    }
}

impl Field for bool {
    const LEAST: usize = 1;
    fn put(&self, e: &mut Encoder) {
        e.u8((*self).into());
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(d.invalid("a yes or no", value.into())),
        }
    }
}

impl Field for [u8; 16] {
    const LEAST: usize = 16;
    fn put(&self, e: &mut Encoder) {
        e.raw(self);
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.array()
    }
}

impl Field for Seq {
    const LEAST: usize = 8;
    fn put(&self, e: &mut Encoder) {
        e.u64(self.0);
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.u64().map(Self)
    }
}

impl Field for Epoch {
    const LEAST: usize = 4;
    fn put(&self, e: &mut Encoder) {
        e.u32(self.0);
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.u32().map(Self)
    }
}

impl Field for Time {
    const LEAST: usize = 8;
    fn put(&self, e: &mut Encoder) {
        e.i64(self.as_millis());
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.i64().map(Self::from_millis)
    }
}

impl Field for String {
    const LEAST: usize = 4;
    fn put(&self, e: &mut Encoder) {
        e.bytes(self.as_bytes());
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let bytes = d.bytes(format::LABEL_BYTES_MAX)?.to_vec();
        Self::from_utf8(bytes).map_err(|_| DecodeError::NotCanonical { what: "a text in a state" })
    }
}

impl Field for Role {
    const LEAST: usize = 1;
    fn put(&self, e: &mut Encoder) {
        e.u8(self.to_u8());
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::from_u8(d.u8()?)
    }
}

impl Field for VerifyingKey {
    const LEAST: usize = 32;
    fn put(&self, e: &mut Encoder) {
        e.raw(self.as_bytes());
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        d.array().map(Self::from_bytes)
    }
}

impl Field for KemPublic {
    const LEAST: usize = KemPublic::BYTES;
    fn put(&self, e: &mut Encoder) {
        e.raw(self.as_bytes());
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let what = "a member's X-Wing key in a state";
        Self::from_bytes(d.raw(Self::BYTES)?).map_err(|_| DecodeError::NotCanonical { what })
    }
}

impl Field for EpochKeys {
    const LEAST: usize = 4 + 2 * KemPublic::BYTES;
    fn put(&self, e: &mut Encoder) {
        e.u32(self.epoch.0).raw(&self.content[..]).raw(&self.meta[..]);
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let epoch = Epoch(d.u32()?);
        Ok(Self { epoch, content: Box::new(d.array()?), meta: Box::new(d.array()?) })
    }
}

impl Field for CommitBody {
    const LEAST: usize = 4;
    fn put(&self, e: &mut Encoder) {
        e.bytes(&self.encode());
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::decode(d.bytes(format::RECORD_BYTES_MAX)?)
    }
}

impl Field for VoidReason {
    const LEAST: usize = 1;
    fn put(&self, e: &mut Encoder) {
        e.u8(self.code());
    }
    fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let code = d.u8()?;
        Self::from_code(code).ok_or_else(|| d.invalid("why a record is void", code.into()))
    }
}

/// Fieldless enums with codes from 1 on.
macro_rules! enum_fields {
    ($($name:ident { $($variant:ident),+ })+) => {$(
        impl Field for $name {
            const LEAST: usize = 1;
            fn put(&self, e: &mut Encoder) {
                e.u8(*self as u8);
            }
            fn take(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let code = d.u8()?;
                $(if code == Self::$variant as u8 { return Ok(Self::$variant) })+
                Err(d.invalid(stringify!($name), code.into()))
            }
        }
    )+};
}

enum_fields! {
    SessionStatus { Open, Committed, Abandoned, Merged, Recovered, Revoked }
    SnapshotStanding { Live, Trashed, Purged }
}
