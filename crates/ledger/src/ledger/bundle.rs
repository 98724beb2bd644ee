//! Bundles: up to 1,024 records verbatim in one object, so that a client reads one and not many.
//!
//! Anyone may write one and nobody is believed, see `leap`. There are three lengths, so that the
//! tail behind the last long one is a few reads as well. Layout: version u8 = 1, u64 first seq,
//! list of {u64 whole length, bytes}. FORMAT.md §11.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use format::{
    BUNDLE_RECORDS, BUNDLE_SPANS, DecodeError, Decoder, Encoder, NamedObject, RECORD_BYTES_MAX,
    Seq, VaultNames,
};
use places::{ObjectName, Put, PutOptions, Start};

use super::Ledger;
use crate::{RecordBytes, Result};

/// The longest bundle that is written or read; the records of a longer one are read singly.
pub const BUNDLE_BYTES_MAX: u64 = 64 << 20;
const VERSION: u8 = 1;
/// Records read at once to be put into a bundle.
const READ_MAX: u64 = 64;

impl Ledger {
    /// Writes the bundles that are missing below the head: the long ones, and shorter ones of what
    /// no longer one holds yet. Says how many it wrote.
    ///
    /// Any role may call it at any time, several at once; where nothing may be appended it writes
    /// nothing. With nothing to do it asks the place for one stat of each length, once for each 16
    /// records. Holds one bundle in memory.
    ///
    /// # Errors
    /// [`crate::Error::Place`]. What was written stays.
    pub fn write_bundles(&mut self) -> Result<usize> {
        if self.standing.forbids_append().is_some() {
            return Ok(0);
        }
        let (mut written, mut held) = (0, 0);
        for (level, span) in BUNDLE_SPANS.into_iter().enumerate() {
            let whole = self.state.next().0 / span;
            written += self.write_level(span, self.bundled[level].max(held / span)..whole)?;
            self.bundled[level] = whole;
            held = whole * span;
        }
        Ok(written)
    }

    /// Writes the bundles of one length that are missing among these.
    fn write_level(&self, span: u64, numbers: Range<u64>) -> Result<usize> {
        // The newest is written last: where it stands, those before it were seen to.
        let mut missing = Vec::new();
        for number in numbers.rev() {
            let (first, last) = bounds(span, number);
            let name = VaultNames::bundle(first, last);
            if self.components.place.stat(&name)?.is_some() {
                break;
            }
            missing.push((first, name));
        }
        let mut written = 0;
        for (first, name) in missing.into_iter().rev() {
            let Some(bytes) = self.bundle_from(first, span)? else { continue };
            match self.components.place.put(&name, bytes.into(), &PutOptions::default())? {
                Put::Created => written += 1,
                Put::Exists => {}
            }
        }
        Ok(written)
    }

    /// The bundles that do not hold what the ledger does, with the bytes that they should have;
    /// long ones also when they are missing. Reads every bundle and every record that one holds.
    ///
    /// # Errors
    /// [`crate::Error::Place`].
    pub fn damaged_bundles(&self) -> Result<Vec<(ObjectName, Vec<u8>)>> {
        let next = self.state.next().0;
        let long = (0..next / BUNDLE_RECORDS).map(|number| bounds(BUNDLE_RECORDS, number));
        let mut expected: BTreeSet<(Seq, Seq)> = long.collect();
        for listed in self.components.place.list(&VaultNames::bundles(), None)? {
            if let Some(NamedObject::Bundle(first, last)) = NamedObject::parse(&listed?.name) {
                let span = last.0.saturating_sub(first.0).saturating_add(1);
                let fits = first.0.is_multiple_of(span) && last.0 < next;
                if BUNDLE_SPANS.contains(&span) && fits {
                    expected.insert((first, last));
                }
            }
        }
        let mut damaged = Vec::new();
        for (first, last) in expected {
            // Records that are missing or too long for a bundle: there is none to compare with.
            let Some(right) = self.bundle_from(first, last.0 - first.0 + 1)? else { continue };
            let name = VaultNames::bundle(first, last);
            match self.components.place.get_start(&name, BUNDLE_BYTES_MAX) {
                Ok(found) if found.bytes == right && found.whole_length == right.len() as u64 => {}
                Err(error) if error.kind() != places::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => damaged.push((name, right)),
            }
        }
        Ok(damaged)
    }

    /// A record as a bundle holds it, whether or not the ledger does.
    ///
    /// # Errors
    /// [`crate::Error::Place`].
    pub fn bundled_record(&self, seq: Seq) -> Result<Option<RecordBytes>> {
        for span in BUNDLE_SPANS {
            let (first, last) = bounds(span, seq.0 / span);
            if let Some(mut records) = self.read_bundle(first, last)? {
                return Ok(Some(records.swap_remove((seq.0 - first.0) as usize)));
            }
        }
        Ok(None)
    }

    /// The bundle that begins at `first`; `None` when a record is missing or it would be too long.
    fn bundle_from(&self, first: Seq, span: u64) -> Result<Option<Vec<u8>>> {
        let mut e = Encoder::new();
        e.u8(VERSION).u64(first.0).count(span as usize);
        for step in (0..span).step_by(READ_MAX as usize) {
            let count = READ_MAX.min(span - step) as usize;
            for record in self.shelf.read_some(Seq(first.0 + step), count)? {
                let Some(record) = record else { return Ok(None) };
                e.u64(record.whole_length).bytes(&record.bytes);
                if e.len() as u64 > BUNDLE_BYTES_MAX {
                    return Ok(None);
                }
            }
        }
        Ok(Some(e.finish()))
    }

    /// The records of a bundle, `None` when there is none or it is none.
    pub(super) fn read_bundle(&self, first: Seq, last: Seq) -> Result<Option<Vec<RecordBytes>>> {
        let name = VaultNames::bundle(first, last);
        match self.components.place.get_start(&name, BUNDLE_BYTES_MAX) {
            Ok(Start { bytes, whole_length }) if bytes.len() as u64 == whole_length => {
                Ok(decode(&bytes, first, last).ok())
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == places::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The first and last number of the bundle with this number among those of its length.
pub(super) fn bounds(span: u64, number: u64) -> (Seq, Seq) {
    (Seq(number * span), Seq(number * span + (span - 1)))
}

/// The records of a bundle that goes from one number to another.
pub(crate) fn decode(
    bytes: &Bytes,
    first: Seq,
    last: Seq,
) -> Result<Vec<RecordBytes>, DecodeError> {
    let mut d = Decoder::new(bytes);
    let version = d.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version { what: "a bundle", version, known: VERSION });
    }
    let named = d.u64()?;
    let records = d.list(BUNDLE_RECORDS as usize, 12, |d| {
        let whole_length = d.u64()?;
        let record = bytes.slice_ref(d.bytes(RECORD_BYTES_MAX)?);
        let kept = whole_length.min(RECORD_BYTES_MAX as u64);
        if record.len() as u64 != kept {
            return Err(d.invalid("the length of a record in a bundle", whole_length));
        }
        Ok(RecordBytes { bytes: record, whole_length })
    })?;
    d.finish()?;
    if named != first.0 || records.len() as u64 != last.0 - first.0 + 1 {
        return Err(DecodeError::NotCanonical { what: "the span of a bundle" });
    }
    Ok(records)
}
