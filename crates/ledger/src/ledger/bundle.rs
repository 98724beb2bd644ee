//! Bundles: 1,024 records verbatim in one object, so that a new client reads one and not many.
//!
//! Anyone may write one and nobody is believed: a bundle counts only when its records replay
//! without a break up to a last one that is well signed and lies in the ledger with the same bytes.
//! Then the chain vouches for all before it. Layout: version u8 = 1, u64 first seq, list of {u64
//! whole length, bytes}. FORMAT.md §11.

use bytes::Bytes;
use format::{BUNDLE_RECORDS, DecodeError, Decoder, Encoder, RECORD_BYTES_MAX, Seq, VaultNames};
use places::{Put, PutOptions};

use super::Ledger;
use crate::state::Stop;
use crate::{Context, Outcome, RecordBytes, Result, Trust, VoidReason};

/// The longest bundle that is written or read; the records of a longer one are read singly.
pub(crate) const BUNDLE_BYTES_MAX: u64 = 64 << 20;
const VERSION: u8 = 1;

impl Ledger {
    /// Writes the bundles that are missing below the head. Says how many it wrote.
    ///
    /// # Errors
    /// [`crate::Error::Place`]. What was written stays.
    pub fn write_bundles(&mut self) -> Result<usize> {
        let mut written = 0;
        // Backwards from the newest: those before one that stands were written when it was.
        let whole = (self.state.head().seq.0 + 1) / BUNDLE_RECORDS;
        for number in (0..whole).rev() {
            let (first, last) = span(number);
            let name = VaultNames::bundle(first, last);
            if self.components.place.stat(&name)?.is_some() {
                break;
            }
            let records = self.shelf.read_some(first, BUNDLE_RECORDS as usize)?;
            let Some(bytes) = encode(first, &records) else { continue };
            match self.components.place.put(&name, bytes.into(), &PutOptions::default())? {
                Put::Created => written += 1,
                Put::Exists => {}
            }
        }
        Ok(written)
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
        let anchored = applied.last().is_some_and(|one| is_anchor(one.outcome));
        let lies_there = self.shelf.read(last)?;
        if !anchored || lies_there.as_ref() != records.last() {
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

/// Whether the last record of a bundle was well signed, so that its `prev` vouches for all before.
fn is_anchor(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Valid => true,
        Outcome::Void(reason) => !reason.is_unsigned() && reason != VoidReason::Mended,
    }
}

fn span(number: u64) -> (Seq, Seq) {
    let first = number * BUNDLE_RECORDS;
    (Seq(first), Seq(first + BUNDLE_RECORDS - 1))
}

/// `None` when a record is missing or the bundle would be too long.
fn encode(first: Seq, records: &[Option<RecordBytes>]) -> Option<Vec<u8>> {
    let mut e = Encoder::new();
    e.u8(VERSION).u64(first.0).count(records.len());
    for record in records {
        let record = record.as_ref()?;
        e.u64(record.whole_length).bytes(&record.bytes);
        if e.len() as u64 > BUNDLE_BYTES_MAX {
            return None;
        }
    }
    Some(e.finish())
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
