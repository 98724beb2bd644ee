//! Reads and puts the numbered records of a place.
//!
//! Where a place keeps versions, the oldest version of a number is the record, whatever was written
//! over it or hides it. In a place that cannot refuse a second object of one name, the vault is for
//! a single writer: names carry the record's digest, and two under one number stop everything.
//! DESIGN §4, §9.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use format::{
    Digest, LIST_BYTES_MAX, LedgerName, NamedObject, RECORD_BYTES_MAX, RecordAt, Seq, SignedRecord,
    VaultNames,
};
use places::{
    ListCost, ObjectName, Place, Put, PutOptions, Start, Version, VersionContent, VersionId,
};

use crate::{Error, Lists, Result};

/// A record as it lies in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBytes {
    /// Its bytes; only the first [`RECORD_BYTES_MAX`] of a longer object.
    pub bytes: Bytes,
    /// How long the object is.
    pub whole_length: u64,
}

impl RecordBytes {
    /// A whole record.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            whole_length: bytes.len() as u64,
            bytes: bytes.slice(..bytes.len().min(RECORD_BYTES_MAX)),
        }
    }
}

/// The records of one place.
pub(crate) struct Shelf {
    place: Arc<dyn Place>,
    naming: Naming,
    oldest: BTreeMap<Seq, (VersionId, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    Numbers,
    NumbersAndDigests,
}

/// How far above a missing number another proves that it is missing. Without a bound, one object
/// under a huge number would stop a ledger that could never reach it.
pub(crate) const GAP_MAX: u64 = 1024;
/// Records read at once at most, each by a thread of its own.
pub(crate) const READS_AT_ONCE: usize = 16;
/// A folder with more records than this is not listed for the few names at its end.
const LISTED_WHOLE_MAX: u64 = 4096;

/// Does the same with each item, each in a thread of its own, unless no more than one is wanted at
/// once. Results are in the items' order.
pub(crate) fn side_by_side<I: Send, T: Send>(
    at_once: usize,
    items: impl IntoIterator<Item = I>,
    act: impl Fn(I) -> T + Sync,
) -> Vec<T> {
    if at_once <= 1 {
        return items.into_iter().map(act).collect();
    }
    let act = &act;
    std::thread::scope(|scope| {
        let running: Vec<_> =
            items.into_iter().map(|item| scope.spawn(move || act(item))).collect();
        let ended = running.into_iter().map(|one| one.join());
        ended.map(|one| one.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

impl Shelf {
    pub(crate) fn new(place: Arc<dyn Place>) -> Self {
        let naming = match place.capabilities().if_absent {
            true => Naming::Numbers,
            false => Naming::NumbersAndDigests,
        };
        Self { place, naming, oldest: BTreeMap::new() }
    }

    /// The shelf of a place that may hold a vault already, and its first record, whose name tells
    /// whom the vault is for.
    pub(crate) fn find(place: Arc<dyn Place>) -> Result<(Self, Option<RecordBytes>)> {
        let mut shelf = Self::new(place.clone());
        let mut first = shelf.read(Seq(0))?;
        if first.is_none() && shelf.find_oldest_versions()? {
            first = shelf.read(Seq(0))?;
        }
        if first.is_some() || shelf.naming == Naming::NumbersAndDigests {
            return Ok((shelf, first));
        }
        let single = Self::for_single_writer(place);
        let first = single.read(Seq(0))?;
        Ok((if first.is_some() { single } else { shelf }, first))
    }

    /// The shelf of a new vault for a single writer.
    pub(crate) fn for_single_writer(place: Arc<dyn Place>) -> Self {
        Self { place, naming: Naming::NumbersAndDigests, oldest: BTreeMap::new() }
    }

    pub(crate) fn is_for_single_writer(&self) -> bool {
        self.naming == Naming::NumbersAndDigests
    }

    /// How many calls at the same time the place is worth.
    pub(crate) fn calls_at_once(&self) -> usize {
        self.place.calls_at_once()
    }

    /// The record of a number, `None` when there is none.
    pub(crate) fn read(&self, seq: Seq) -> Result<Option<RecordBytes>> {
        Ok(self.read_some(seq, 1)?.pop().flatten())
    }

    /// The records of `count` numbers from `first` on.
    pub(crate) fn read_some(&self, first: Seq, count: usize) -> Result<Vec<Option<RecordBytes>>> {
        let names = self.names(first, count)?;
        let mut found = Vec::with_capacity(count);
        let at_once = READS_AT_ONCE.min(self.calls_at_once()).max(1);
        for names in names.chunks(at_once) {
            if let [(seq, name)] = names {
                found.push(self.read_named(*seq, name.as_ref())?);
                continue;
            }
            let read =
                |(seq, name): &(Seq, Option<ObjectName>)| self.read_named(*seq, name.as_ref());
            for result in side_by_side(at_once, names, read) {
                found.push(result?);
            }
        }
        Ok(found)
    }

    /// The lowest number above `seq`, at most [`GAP_MAX`] above, that the place lists.
    pub(crate) fn lowest_above(&self, seq: Seq) -> Result<Option<Seq>> {
        let long = self.naming == Naming::Numbers && seq.0 > LISTED_WHOLE_MAX;
        if long && self.place.list_cost() == ListCost::OfFolder {
            return self.probe_above(seq);
        }
        let mut lowest = None;
        self.walk_from(seq, |found| {
            if found > seq && found.0 - seq.0 <= GAP_MAX {
                lowest = Some(lowest.map_or(found, |low: Seq| low.min(found)));
            }
        })?;
        Ok(lowest)
    }

    /// The same by looking for each number: a folder would walk millions of names for a few.
    fn probe_above(&self, seq: Seq) -> Result<Option<Seq>> {
        let above: Vec<_> = (1..=GAP_MAX).filter_map(|step| seq.0.checked_add(step)).collect();
        let probe = |numbers: &[u64]| -> Result<Option<Seq>> {
            for number in numbers {
                if self.place.stat(&VaultNames::record(Seq(*number)))?.is_some() {
                    return Ok(Some(Seq(*number)));
                }
            }
            Ok(None)
        };
        let part = above.len().div_ceil(READS_AT_ONCE).max(1);
        let probed = side_by_side(self.calls_at_once(), above.chunks(part), probe);
        let found = probed.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(found.into_iter().flatten().min())
    }

    /// The numbers from `first` on that the place lists, in order, up to a gap of more than
    /// [`GAP_MAX`].
    pub(crate) fn numbers_from(&self, first: Seq) -> Result<Vec<Seq>> {
        let mut numbers: BTreeSet<Seq> = self.oldest.range(first..).map(|(seq, _)| *seq).collect();
        self.walk_from(first, |found| {
            let _ = numbers.insert(found);
        })?;
        let mut last = first;
        let within_reach = numbers.into_iter().take_while(|seq| {
            let near = seq.0 - last.0 <= GAP_MAX;
            last = *seq;
            near
        });
        Ok(within_reach.collect())
    }

    /// All bytes of the record of a number, however long: for a copy of it.
    pub(crate) fn read_whole(&self, seq: Seq) -> Result<Option<Bytes>> {
        let Some(found) = self.read(seq)? else { return Ok(None) };
        if found.whole_length == found.bytes.len() as u64 {
            return Ok(Some(found.bytes));
        }
        let Some((_, Some(name))) = self.names(seq, 1)?.pop() else { return Ok(None) };
        match (self.oldest.get(&seq), self.place.versions()) {
            (Some((version, _)), Some(versions)) => {
                Ok(Some(versions.get_version(&name, version, None)?))
            }
            _ => Ok(Some(self.place.get(&name, None)?)),
        }
    }

    /// Puts a record under its number unless there is one.
    pub(crate) fn put(&self, seq: Seq, bytes: &Bytes) -> places::Result<Put> {
        let name = match self.naming {
            Naming::Numbers => VaultNames::record(seq),
            Naming::NumbersAndDigests => single_writer_name(seq, bytes),
        };
        self.place.put(&name, bytes.clone(), &PutOptions::default())
    }

    /// Looks for numbers that were written over or hidden, and reads their oldest version from now
    /// on. Says whether there are any that were not known.
    pub(crate) fn find_oldest_versions(&mut self) -> Result<bool> {
        let Some(versions) = self.place.versions() else { return Ok(false) };
        // Versions of one name come newest first, so the last object met is the oldest.
        let mut met: BTreeMap<Seq, (u32, Option<(VersionId, u64)>)> = BTreeMap::new();
        for version in versions.list_versions(&VaultNames::records())? {
            let version = version?;
            let Some(NamedObject::Record(name)) = NamedObject::parse(&version.name) else {
                continue;
            };
            let (count, oldest) = met.entry(name.seq).or_default();
            *count += 1;
            if let VersionContent::Object { size } = version.content {
                *oldest = Some((version.id, size));
            }
        }
        let rewritten = met.into_iter().filter(|(_, (count, _))| *count > 1);
        let oldest: BTreeMap<_, _> =
            rewritten.filter_map(|(seq, (_, oldest))| Some((seq, oldest?))).collect();
        let news = oldest != self.oldest;
        self.oldest = oldest;
        Ok(news)
    }

    /// Whether the newest record was written over, or others behind it are hidden. In a place that
    /// keeps versions this costs two requests.
    pub(crate) fn is_end_touched(&self, head: RecordAt) -> Result<bool> {
        let Some(versions) = self.place.versions() else { return Ok(false) };
        if self.naming == Naming::NumbersAndDigests {
            return Ok(false);
        }
        let is_object =
            |version: &&Version| matches!(version.content, VersionContent::Object { .. });
        let next = versions.versions_of(&VaultNames::record(head.seq.next()))?;
        if next.first().is_some_and(|newest| !is_object(&newest))
            && next.iter().any(|v| is_object(&v))
        {
            return Ok(true);
        }
        let name = VaultNames::record(head.seq);
        let of_head = versions.versions_of(&name)?;
        match of_head.iter().rev().find(is_object) {
            Some(Version { id, content: VersionContent::Object { size }, .. })
                if of_head.len() > 1 =>
            {
                let range = (*size > RECORD_BYTES_MAX as u64).then_some(0..RECORD_BYTES_MAX as u64);
                let bytes = versions.get_version(&name, id, range)?;
                Ok(SignedRecord::hash(&bytes, *size) != head.hash)
            }
            _ => Ok(false),
        }
    }

    fn read_named(&self, seq: Seq, name: Option<&ObjectName>) -> Result<Option<RecordBytes>> {
        let Some(name) = name else { return Ok(None) };
        if let (Some((version, size)), Some(versions)) =
            (self.oldest.get(&seq), self.place.versions())
        {
            let range = (*size > RECORD_BYTES_MAX as u64).then_some(0..RECORD_BYTES_MAX as u64);
            let bytes = versions.get_version(name, version, range)?;
            return Ok(Some(RecordBytes { bytes, whole_length: *size }));
        }
        match self.place.get_start(name, RECORD_BYTES_MAX as u64) {
            Ok(Start { bytes, whole_length }) => Ok(Some(RecordBytes { bytes, whole_length })),
            Err(error) if error.kind() == places::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn names(&self, first: Seq, count: usize) -> Result<Vec<(Seq, Option<ObjectName>)>> {
        let numbers = (0..count as u64).map_while(|step| first.0.checked_add(step)).map(Seq);
        if self.naming == Naming::Numbers {
            return Ok(numbers.map(|seq| (seq, Some(VaultNames::record(seq)))).collect());
        }
        let mut names: BTreeMap<Seq, Option<ObjectName>> = numbers.map(|seq| (seq, None)).collect();
        let listing = self.place.list(&VaultNames::records(), Some(&VaultNames::record(first)))?;
        for listed in listing {
            let listed = listed?;
            let Some(NamedObject::Record(LedgerName { seq, digest: Some(_) })) =
                NamedObject::parse(&listed.name)
            else {
                continue;
            };
            let Some(name) = names.get_mut(&seq) else { continue };
            if name.replace(listed.name).is_some() {
                return Err(Error::TwoRecords { seq });
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Meets the numbers from `first` on that the place lists. Names in the form that this ledger
    /// does not have are no records.
    fn walk_from(&self, first: Seq, mut met: impl FnMut(Seq)) -> Result<()> {
        let after = first.0.checked_sub(1).map(|before| VaultNames::record(Seq(before)));
        let with_digest = self.naming == Naming::NumbersAndDigests;
        for listed in self.place.list(&VaultNames::records(), after.as_ref())? {
            if let Some(NamedObject::Record(name)) = NamedObject::parse(&listed?.name)
                && name.seq >= first
                && name.digest.is_some() == with_digest
            {
                met(name.seq);
            }
        }
        Ok(())
    }
}

impl Lists for Shelf {
    fn list(&self, digest: &Digest) -> Result<Option<Bytes>> {
        let name = VaultNames::list(digest);
        match self.place.stat(&name)? {
            Some(stat) if stat.size <= LIST_BYTES_MAX => {}
            _ => return Ok(None),
        }
        match self.place.get(&name, None) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| Digest::of(bytes) == *digest)),
            Err(error) if error.kind() == places::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn single_writer_name(seq: Seq, bytes: &[u8]) -> ObjectName {
    let text = format!("{}-{}", VaultNames::record(seq), Digest::of(bytes));
    text.parse().expect("a number, a dash and a digest make a short lower-case name")
}
