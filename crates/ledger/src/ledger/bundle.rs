//! Bundles: 1,024 records verbatim in one object, so that a new client reads one and not many.
//!
//! Anyone may write one and nobody is believed: a bundle counts only when its records replay
//! without a break up to a last one that is well signed, and when the last ones lie in the ledger
//! with the same bytes, back to one by the owner or by a second member. That one's chain vouches
//! for all before it. Layout: version u8 = 1, u64 first seq, list of {u64 whole length, bytes}.
//! FORMAT.md §11.

use bytes::Bytes;
use crypto::Role;
use format::{BUNDLE_RECORDS, DecodeError, Decoder, Encoder, RECORD_BYTES_MAX, Seq, VaultNames};
use places::{Put, PutOptions};

use super::Ledger;
use crate::state::Stop;
use crate::{Applied, Context, Outcome, RecordBytes, Result, State, Trust, VoidReason};

/// The longest bundle that is written or read; the records of a longer one are read singly.
pub(crate) const BUNDLE_BYTES_MAX: u64 = 64 << 20;
const VERSION: u8 = 1;
/// Records of a bundle that are compared with the ledger at most; when more have to be, the
/// bundle saves too little.
const COMPARED_MAX: usize = 256;
/// Records read at once to be put into a bundle.
const READ_MAX: usize = 64;

impl Ledger {
    /// Writes the bundles that are missing below the head. Says how many it wrote.
    ///
    /// Any role may call it at any time, several at once; where nothing may be appended it writes
    /// nothing. With nothing to do it asks the place for one stat, once for each 1,024 records.
    /// Holds one bundle in memory.
    ///
    /// # Errors
    /// [`crate::Error::Place`]. What was written stays.
    pub fn write_bundles(&mut self) -> Result<usize> {
        let whole = (self.state.head().seq.0 + 1) / BUNDLE_RECORDS;
        if self.bundled >= whole || self.standing.forbids_append().is_some() {
            return Ok(0);
        }
        // The newest is written last: where it stands, those before it were seen to.
        let mut missing = Vec::new();
        for number in (self.bundled..whole).rev() {
            let (first, last) = span(number);
            let name = VaultNames::bundle(first, last);
            if self.components.place.stat(&name)?.is_some() {
                break;
            }
            missing.push((first, name));
        }
        let mut written = 0;
        for (first, name) in missing.into_iter().rev() {
            let Some(bytes) = self.bundle_from(first)? else { continue };
            match self.components.place.put(&name, bytes.into(), &PutOptions::default())? {
                Put::Created => written += 1,
                Put::Exists => {}
            }
        }
        self.bundled = whole;
        Ok(written)
    }

    /// The bundle that begins at `first`; `None` when a record is missing or it would be too long.
    fn bundle_from(&self, first: Seq) -> Result<Option<Vec<u8>>> {
        let mut e = Encoder::new();
        e.u8(VERSION).u64(first.0).count(BUNDLE_RECORDS as usize);
        for step in (0..BUNDLE_RECORDS).step_by(READ_MAX) {
            for record in self.shelf.read_some(Seq(first.0 + step), READ_MAX)? {
                let Some(record) = record else { return Ok(None) };
                e.u64(record.whole_length).bytes(&record.bytes);
                if e.len() as u64 > BUNDLE_BYTES_MAX {
                    return Ok(None);
                }
            }
        }
        Ok(Some(e.finish()))
    }

    /// Applies the bundles that begin at the head, as far as there are any.
    pub(super) fn apply_bundles(&mut self) -> Result<()> {
        loop {
            let next = self.state.next();
            let (first, last) = span(next.0 / BUNDLE_RECORDS);
            // One bundle saves hundreds of reads or is not worth a read.
            if next < self.bundles_from || last.0 - next.0 < BUNDLE_RECORDS / 4 {
                return Ok(());
            }
            self.bundles_from = last.next();
            let Some(records) = self.read_bundle(first, last)? else { return Ok(()) };
            if !self.apply_bundle(&records[(next.0 - first.0) as usize..], last)? {
                return Ok(());
            }
        }
    }

    fn apply_bundle(&mut self, records: &[RecordBytes], last: Seq) -> Result<bool> {
        let mut state = self.state.clone();
        let mut applied = Vec::with_capacity(records.len());
        let keyring = self.keyring.as_deref();
        let context = Context { trust: Trust::Check, lists: &self.shelf, keyring };
        for record in records {
            match state.step(record, &context) {
                Ok(one) => {
                    // Bodies behind a rotate need its keys.
                    self.take_rotated(&one);
                    applied.push(one);
                }
                Err(Stop::Break(_)) => return Ok(false),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
        let compared = to_compare(&state, &applied);
        let Some(compared) = compared.filter(|count| *count <= COMPARED_MAX) else {
            return Ok(false);
        };
        let lie_there = self.shelf.read_some(Seq(last.0 + 1 - compared as u64), compared)?;
        let given = &records[records.len() - compared..];
        if !lie_there.iter().map(Option::as_ref).eq(given.iter().map(Some)) {
            return Ok(false);
        }
        self.head_bytes = Some(state.head().hash);
        self.state = state;
        applied.iter().for_each(|one| self.meet_remembered(one.at));
        Ok(true)
    }

    fn read_bundle(&self, first: Seq, last: Seq) -> Result<Option<Vec<RecordBytes>>> {
        let name = VaultNames::bundle(first, last);
        let place = &self.components.place;
        match place.stat(&name)? {
            Some(stat) if stat.size <= BUNDLE_BYTES_MAX => {}
            _ => return Ok(None),
        }
        match place.get(&name, None) {
            Ok(bytes) => Ok(decode(&bytes, first).ok()),
            Err(error) if error.kind() == places::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// How many of the last records must lie in the ledger with the same bytes: back to the newest by
/// the root key, by a member of role owner, or by another member than the last one's author.
/// Whoever signed the last could have signed for a history that hides what others appended; that
/// one's `prev` vouches for all before it. `None` when nobody vouches for the last.
fn to_compare(state: &State, applied: &[Applied]) -> Option<usize> {
    let author = |one: &Applied| match one.outcome {
        Outcome::Void(reason) if reason.is_unsigned() || reason == VoidReason::Mended => None,
        _ => one.record.as_ref().map(|record| record.author),
    };
    let last = author(applied.last()?)?;
    let owner = |id| state.member(id).is_none_or(|member| member.role == Role::Owner);
    let vouches = |one: &Applied| author(one).is_some_and(|id| id != last || owner(id));
    let after = applied.iter().rev().take_while(|one| !vouches(one)).count();
    Some(applied.len().min(after + 1))
}

fn span(number: u64) -> (Seq, Seq) {
    let first = number * BUNDLE_RECORDS;
    (Seq(first), Seq(first + BUNDLE_RECORDS - 1))
}

fn decode(bytes: &[u8], first: Seq) -> Result<Vec<RecordBytes>, DecodeError> {
    let mut d = Decoder::new(bytes);
    let version = d.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version { what: "a bundle", version, known: VERSION });
    }
    let named = d.u64()?;
    let records = d.list(BUNDLE_RECORDS as usize, 12, |d| {
        let whole_length = d.u64()?;
        let bytes = Bytes::copy_from_slice(d.bytes(RECORD_BYTES_MAX)?);
        let kept = whole_length.min(RECORD_BYTES_MAX as u64);
        if bytes.len() as u64 != kept {
            return Err(d.invalid("the length of a record in a bundle", whole_length));
        }
        Ok(RecordBytes { bytes, whole_length })
    })?;
    d.finish()?;
    if named != first.0 || records.len() as u64 != BUNDLE_RECORDS {
        return Err(DecodeError::NotCanonical { what: "the span of a bundle" });
    }
    Ok(records)
}
