//! A table of chunks: where each lies, sorted by id, to be searched without being loaded.
//!
//! The structure is: packs, the index runs that it covers, a filter, a fan-out over the first bits
//! of the ids, then the entries. Ids are uniform, so the fan-out leads to a short bucket; of the
//! entries only the segments that are asked for are opened. In memory stay the packs, the fan-out
//! and, from the first search that asks it, the filter: about 2 bytes per chunk. A large table is
//! cut into shards by the first bits of the ids: the last one is its head, which alone holds the
//! packs and runs, and names the others. A table lies sealed in the cache, or in memory for a host
//! without one. FORMAT.md §12.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use crypto::{
    Entropy, Expected, Header, ObjectKind, ObjectSealer, OpenedObject, PAYLOAD_START,
    SEGMENT_PLAIN_BYTES, Suite, SymmetricKey, Unwrapping, VaultId, Wrapping, padded_stream_len,
    prefix_len,
};
use format::{
    ChunkId, ChunkKind, ChunkRef, Codec, DecodeError, Decoder, Digest, DomainId, Encoder, Epoch,
    PackListing, SessionId,
};

use crate::{Error, Result};

const VERSION: u8 = 1;
const ENTRY_BYTES: usize = 32 + 1 + 1 + 6 * 4;
/// Entries that share one place of the fan-out, on average.
const BUCKET_ENTRIES: usize = 128;
const FILTER_BITS_PER_ENTRY: usize = 10;
const FILTER_PROBES: u32 = 5;
const PACKS_MAX: usize = 1 << 24;
/// The most bits that tell the shards of a table apart.
pub(crate) const PREFIX_BITS_MAX: u8 = 16;
const ENTRIES_MAX: usize = 1 << 32;

/// A pack that entries of a table lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TablePack {
    pub(crate) name: Digest,
    pub(crate) session: SessionId,
    pub(crate) domain: DomainId,
    pub(crate) kind: ObjectKind,
    pub(crate) epoch: Epoch,
    pub(crate) stream_length: u64,
}

/// Where one chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TableEntry {
    pub(crate) id: ChunkId,
    pub(crate) kind: ChunkKind,
    /// Index into the table's packs.
    pub(crate) pack: u32,
    pub(crate) frame: FramePlace,
    /// Where the chunk begins in the frame.
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

/// Where a frame lies in its pack's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FramePlace {
    pub(crate) offset: u32,
    pub(crate) stored_length: u32,
    pub(crate) plain_length: u32,
    pub(crate) codec: FrameCodec,
}

/// A codec that sorts, for entries that do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FrameCodec(u8);

impl FrameCodec {
    pub(crate) fn codec(self) -> Codec {
        if self.0 == 0 { Codec::None } else { Codec::Zstd }
    }
}

/// Which ids a table is of: those that begin with these bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub(crate) value: u32,
    pub(crate) bits: u8,
}

impl Prefix {
    /// The prefix of an id that has this many bits.
    pub(crate) fn of(id: &ChunkId, bits: u8) -> Self {
        Self { value: bucket(id, 0, bits) as u32, bits }
    }

    /// All prefixes of this many bits.
    pub(crate) fn all(bits: u8) -> impl Iterator<Item = Self> {
        (0..1u32 << bits).map(move |value| Self { value, bits })
    }

    /// Whether no other of its bits comes after it: the shard of this one is the head.
    pub(crate) fn is_last(self) -> bool {
        self.value + 1 == 1 << self.bits
    }
}

/// What a table is built from, one shard after the other.
#[derive(Default)]
pub(crate) struct TableBuilder {
    packs: Vec<TablePack>,
    pack_index: HashMap<Digest, u32>,
    runs: Vec<Digest>,
    siblings: Vec<Digest>,
    entries: Vec<TableEntry>,
}

impl TableBuilder {
    /// Notes the file of another shard, without which the table is not whole.
    pub(crate) fn needs_sibling(&mut self, file: Digest) {
        self.siblings.push(file);
    }

    /// Notes that all packs of this run are in the table.
    pub(crate) fn cover(&mut self, run: Digest) {
        self.runs.push(run);
    }

    /// Adds all chunks of a pack.
    pub(crate) fn add(&mut self, listing: &PackListing, domain: DomainId) {
        let pack = self.pack(TablePack {
            name: listing.name,
            session: listing.session,
            domain,
            kind: listing.kind,
            epoch: listing.epoch,
            stream_length: listing.stream_length,
        });
        let mut frame_offset = 0;
        for frame in &listing.directory.frames {
            let place = FramePlace {
                offset: frame_offset,
                stored_length: frame.stored_length,
                plain_length: frame.plain_length(),
                codec: FrameCodec(frame.codec as u8),
            };
            let mut offset = 0;
            for chunk in &frame.chunks {
                let ChunkRef { kind, id } = chunk.chunk;
                let length = chunk.length;
                self.entries.push(TableEntry { id, kind, pack, frame: place, offset, length });
                offset += length;
            }
            frame_offset = frame_offset.saturating_add(frame.stored_length);
        }
    }

    /// Adds an entry of another table.
    pub(crate) fn add_entry(&mut self, entry: TableEntry, pack: &TablePack) {
        let pack = self.pack(pack.clone());
        self.entries.push(TableEntry { pack, ..entry });
    }

    /// How many entries wait to be encoded.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it says nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.runs.is_empty()
    }

    fn pack(&mut self, pack: TablePack) -> u32 {
        let next = self.packs.len() as u32;
        let index = *self.pack_index.entry(pack.name).or_insert(next);
        if index == next {
            self.packs.push(pack);
        }
        index
    }

    /// The payload of the shard of all entries added since the last one.
    pub(crate) fn encode(&mut self, prefix: Prefix) -> Vec<u8> {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable();
        entries.dedup();
        let mut e = Encoder::new();
        e.u8(VERSION).u8(prefix.bits).u32(prefix.value);
        let (packs, runs, siblings) = match prefix.is_last() {
            true => (&self.packs[..], &self.runs[..], &self.siblings[..]),
            false => (&[][..], &[][..], &[][..]),
        };
        e.list(packs, |e, p| {
            e.raw(p.name.as_bytes()).raw(p.session.as_bytes()).raw(p.domain.as_bytes());
            e.u8(p.kind.to_u8()).u32(p.epoch.0).u64(p.stream_length);
        });
        e.list(runs, |e, run| {
            e.raw(run.as_bytes());
        });
        e.list(siblings, |e, file| {
            e.raw(file.as_bytes());
        });
        e.u64(entries.len() as u64);
        e.bytes(&make_filter(&entries));
        let fan_bits = fan_bits(entries.len());
        let mut starts = vec![0u32; (1 << fan_bits) + 1];
        for entry in &entries {
            starts[bucket(&entry.id, prefix.bits, fan_bits) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        e.u8(fan_bits);
        for start in starts {
            e.u32(start);
        }
        for entry in &entries {
            e.raw(entry.id.as_bytes()).u8(entry.kind.code()).u8(entry.frame.codec.0);
            e.u32(entry.pack).u32(entry.frame.offset).u32(entry.frame.stored_length);
            e.u32(entry.frame.plain_length).u32(entry.offset).u32(entry.length);
        }
        e.finish()
    }
}

/// A table, or one shard of it, that can be searched.
pub(crate) struct Table {
    pub(crate) prefix: Prefix,
    /// The packs of all shards, when this one is the head; else none.
    pub(crate) packs: Vec<TablePack>,
    pub(crate) runs: Vec<Digest>,
    /// The files of the other shards, in the order of their prefixes, when this one is the head.
    pub(crate) siblings: Vec<Digest>,
    entries: usize,
    /// The filter of a table in a file, once it was asked.
    filter: OnceLock<Bytes>,
    /// Where the filter lies in the payload.
    filter_at: Range<u64>,
    fan_bits: u8,
    starts: Vec<u32>,
    /// Where the entries begin in the payload.
    entries_at: u64,
    source: Source,
}

/// Whether a search asks the filter before it opens entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilterUse {
    /// It does: right where most tables lack the chunk.
    Ask,
    /// It does not, and the filter need not lie in memory: right for searches in the order of ids.
    PassBy,
}

enum Source {
    Memory(Bytes),
    File(Box<SealedFile>),
}

impl Table {
    /// A table that lies in memory.
    pub(crate) fn in_memory(payload: Vec<u8>) -> Result<Self> {
        let head = Head::decode(&mut Decoder::new(&payload)).map_err(Error::decode("a table"))?;
        Self::from_head(head, payload.len() as u64, Source::Memory(payload.into()))
    }

    /// Seals a payload as it lies in the cache.
    pub(crate) fn seal(
        payload: &[u8],
        (suite, vault_id): (Suite, VaultId),
        local: &SymmetricKey,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>> {
        let session = SessionId::from_bytes([0; 16]);
        let kind = ObjectKind::CacheFile;
        let header = Header { suite, kind, vault_id, session, epoch: Epoch(0) };
        let mut sealer = ObjectSealer::new(header, Wrapping::Keyed(local), entropy, Vec::new())?;
        sealer.write(payload);
        let padded = padded_stream_len(sealer.stream_len());
        Ok(sealer.finish(padded)?.bytes)
    }

    /// Opens a table of the cache.
    pub(crate) fn open(
        path: &Path,
        (suite, vault_id): (Suite, VaultId),
        local: &SymmetricKey,
    ) -> Result<Self> {
        let expected = Expected { kind: ObjectKind::CacheFile, vault_id, suite };
        let file = SealedFile::open(path, local, expected)?;
        let length = u64::from_le_bytes(
            file.read(0..PAYLOAD_START)?[..]
                .try_into()
                .map_err(|_| Error::object("a table", "short"))?,
        );
        // The head is read in growing steps: how long it is, only it can say.
        let mut step = 1 << 20;
        loop {
            let end = length.min(step);
            let bytes = file.read(PAYLOAD_START..PAYLOAD_START + end)?;
            match Head::decode(&mut Decoder::new(&bytes)) {
                Ok(head) => return Self::from_head(head, length, Source::File(Box::new(file))),
                Err(DecodeError::Short { .. }) if end < length => step *= 4,
                Err(error) => return Err(Error::object("a table", error)),
            }
        }
    }

    fn from_head(head: Head, payload_length: u64, source: Source) -> Result<Self> {
        let Head { prefix, packs, runs, siblings, entries, filter_at, fan_bits, starts, length } =
            head;
        let wanted = length as u64 + (entries * ENTRY_BYTES) as u64;
        if wanted != payload_length {
            return Err(Error::object("a table", "its length does not fit its entries"));
        }
        let entries_at = length as u64;
        Ok(Self {
            prefix,
            packs,
            runs,
            siblings,
            entries,
            filter: OnceLock::new(),
            filter_at,
            fan_bits,
            starts,
            entries_at,
            source,
        })
    }

    /// Keeps at most so many opened segments of the file.
    pub(crate) fn keep_segments(&self, most: usize) {
        if let Source::File(file) = &self.source {
            file.most_kept.store(most, Ordering::Relaxed);
        }
    }

    /// How many entries it has.
    pub(crate) fn len(&self) -> usize {
        self.entries
    }

    /// Every entry of this chunk; most often none or one.
    pub(crate) fn find(&self, chunk: &ChunkRef) -> Result<Vec<TableEntry>> {
        Ok(self.find_at(chunk, FilterUse::Ask)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Every entry of this chunk with its position among all entries.
    pub(crate) fn find_at(
        &self,
        chunk: &ChunkRef,
        filter: FilterUse,
    ) -> Result<Vec<(usize, TableEntry)>> {
        if filter == FilterUse::Ask && !self.filter()?.may_hold(&chunk.id) {
            return Ok(Vec::new());
        }
        let at = bucket(&chunk.id, self.prefix.bits, self.fan_bits);
        let (start, end) = (self.starts[at] as usize, self.starts[at + 1] as usize);
        let bytes = self.raw(start, end)?;
        let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let first = entries.partition_point(|entry| entry[..32] < chunk.id.as_bytes()[..]);
        let same = entries[first..].iter().take_while(|e| e[..32] == chunk.id.as_bytes()[..]);
        let same = same
            .enumerate()
            .map(|(nth, entry)| Ok((start + first + nth, decode_entry(&mut Decoder::new(entry))?)));
        let mut found =
            same.collect::<std::result::Result<Vec<_>, _>>().map_err(Error::decode("a table"))?;
        found.retain(|(_, entry)| entry.kind == chunk.kind);
        Ok(found)
    }

    /// The entries whose ids begin with `prefix`.
    pub(crate) fn shard(&self, prefix: Prefix) -> Result<Vec<TableEntry>> {
        Ok(self.range(prefix)?.1)
    }

    /// The entries whose ids begin with `prefix`, in their order, and the position of the first.
    pub(crate) fn range(&self, prefix: Prefix) -> Result<(usize, Vec<TableEntry>)> {
        // Of the prefix, what comes after the one that all entries share.
        let inner = prefix.bits.saturating_sub(self.prefix.bits);
        let local = prefix.value as usize & ((1 << inner) - 1);
        let (low, high) = if inner <= self.fan_bits {
            let shift = self.fan_bits - inner;
            (self.starts[local << shift], self.starts[(local + 1) << shift])
        } else {
            let at = local >> (inner - self.fan_bits);
            (self.starts[at], self.starts[at + 1])
        };
        let bytes = self.raw(low as usize, high as usize)?;
        let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let entries = entries.iter().map(|entry| decode_entry(&mut Decoder::new(entry)));
        let mut entries = entries
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(Error::decode("a table"))?;
        let others = |entry: &TableEntry| Prefix::of(&entry.id, prefix.bits) != prefix;
        let before = entries.iter().take_while(|entry| others(entry)).count();
        entries.retain(|entry| !others(entry));
        Ok((low as usize + before, entries))
    }

    /// The filter; from here on it stays in memory.
    fn filter(&self) -> Result<Filter<'_>> {
        let Range { start, end } = self.filter_at;
        let bytes = match (&self.source, self.filter.get()) {
            (Source::Memory(payload), _) => &payload[start as usize..end as usize],
            (Source::File(_), Some(bytes)) => bytes,
            (Source::File(file), None) => {
                let bytes = file.read(PAYLOAD_START + start..PAYLOAD_START + end)?;
                self.filter.get_or_init(|| bytes)
            }
        };
        Ok(Filter(bytes))
    }

    /// The bytes of some entries.
    fn raw(&self, start: usize, end: usize) -> Result<Bytes> {
        if start >= end {
            return Ok(Bytes::new());
        }
        let from = self.entries_at + (start * ENTRY_BYTES) as u64;
        let to = self.entries_at + (end * ENTRY_BYTES) as u64;
        match &self.source {
            Source::Memory(payload) => Ok(payload.slice(from as usize..to as usize)),
            Source::File(file) => file.read(PAYLOAD_START + from..PAYLOAD_START + to),
        }
    }
}

/// What stands before a table's entries.
struct Head {
    prefix: Prefix,
    packs: Vec<TablePack>,
    runs: Vec<Digest>,
    siblings: Vec<Digest>,
    entries: usize,
    filter_at: Range<u64>,
    fan_bits: u8,
    starts: Vec<u32>,
    length: usize,
}

impl Head {
    fn decode(d: &mut Decoder<'_>) -> std::result::Result<Self, DecodeError> {
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "a table", version, known: VERSION });
        }
        let bits = d.u8()?;
        let value = d.u32()?;
        if bits > PREFIX_BITS_MAX || value >= 1 << bits {
            return Err(d.invalid("the prefix of a table", value.into()));
        }
        let prefix = Prefix { value, bits };
        let packs = d.list(PACKS_MAX, 77, |d| {
            let name = Digest::from_bytes(d.array()?);
            let session = SessionId::from_bytes(d.array()?);
            let domain = DomainId::from_bytes(d.array()?);
            let kind = ObjectKind::from_u8(d.u8()?)?;
            let epoch = Epoch(d.u32()?);
            let stream_length = d.u64()?;
            Ok::<_, DecodeError>(TablePack { name, session, domain, kind, epoch, stream_length })
        })?;
        let digest = |d: &mut Decoder<'_>| Ok::<_, DecodeError>(Digest::from_bytes(d.array()?));
        let runs = d.list(PACKS_MAX, 32, digest)?;
        let siblings = d.list(PACKS_MAX, 32, digest)?;
        let entries = d.u64()?;
        if entries >= ENTRIES_MAX as u64 {
            return Err(d.invalid("the number of a table's entries", entries));
        }
        let filter_bytes = d.bytes(ENTRIES_MAX)?.len() as u64;
        let filter_at = d.position() as u64 - filter_bytes..d.position() as u64;
        let fan_bits = d.u8()?;
        if fan_bits > 24 {
            return Err(d.invalid("the fan-out of a table", fan_bits.into()));
        }
        let places = (1usize << fan_bits) + 1;
        let starts: Vec<u32> = d
            .raw(places * 4)?
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        if !starts.is_sorted() || starts.last().copied() != Some(entries as u32) {
            return Err(DecodeError::NotCanonical { what: "the fan-out of a table" });
        }
        let length = d.position();
        let entries = entries as usize;
        Ok(Self { prefix, packs, runs, siblings, entries, filter_at, fan_bits, starts, length })
    }
}

fn decode_entry(d: &mut Decoder<'_>) -> std::result::Result<TableEntry, DecodeError> {
    let id = ChunkId::from_bytes(d.array()?);
    let code = d.u8()?;
    let kind = ChunkKind::from_code(code);
    let kind = kind.ok_or_else(|| d.invalid("a chunk's kind", code.into()))?;
    let codec = FrameCodec(d.u8()?);
    let pack = d.u32()?;
    let (offset, stored_length, plain_length) = (d.u32()?, d.u32()?, d.u32()?);
    let frame = FramePlace { offset, stored_length, plain_length, codec };
    Ok(TableEntry { id, kind, pack, frame, offset: d.u32()?, length: d.u32()? })
}

/// No bytes make the decoders of a table panic.
pub(crate) fn check(bytes: &[u8]) {
    let mut d = Decoder::new(bytes);
    if let Ok(head) = Head::decode(&mut d) {
        assert!(head.length <= bytes.len());
        let _ = decode_entry(&mut d);
    }
}

/// A Bloom filter whose bits are chosen by parts of the ids, which are uniform. A hit is only ever
/// a reason to look.
struct Filter<'a>(&'a [u8]);

impl Filter<'_> {
    fn may_hold(&self, id: &ChunkId) -> bool {
        let mut bits = filter_bits(id, self.0.len());
        !self.0.is_empty() && bits.all(|bit| self.0[bit / 8] & 1 << (bit % 8) != 0)
    }
}

fn make_filter(entries: &[TableEntry]) -> Vec<u8> {
    let bytes = (entries.len() * FILTER_BITS_PER_ENTRY).div_ceil(8).max(8);
    let mut filter = vec![0; bytes];
    for entry in entries {
        for bit in filter_bits(&entry.id, bytes) {
            filter[bit / 8] |= 1 << (bit % 8);
        }
    }
    filter
}

/// The bits of a filter of so many bytes that an id sets.
fn filter_bits(id: &ChunkId, bytes: usize) -> impl Iterator<Item = usize> + use<> {
    let bits = (bytes as u64 * 8).max(1);
    let [a, b] = [8, 16].map(|at| part(id, at));
    // Kirsch and Mitzenmacher, "Less hashing, same performance" (2006).
    (0..FILTER_PROBES).map(move |i| (a.wrapping_add(b.wrapping_mul(i.into())) % bits) as usize)
}

fn part(id: &ChunkId, at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.as_bytes()[at..at + 8]);
    u64::from_be_bytes(bytes)
}

/// The `bits` bits of an id that come after its first `skip`.
fn bucket(id: &ChunkId, skip: u8, bits: u8) -> usize {
    if bits == 0 { 0 } else { ((part(id, 0) << skip) >> (64 - bits)) as usize }
}

fn fan_bits(entries: usize) -> u8 {
    (entries / BUCKET_ENTRIES).checked_ilog2().unwrap_or(0).min(24) as u8
}

/// An object in a local file, of which segments are opened as they are asked for.
struct SealedFile {
    file: File,
    length: u64,
    opened: OpenedObject,
    name: String,
    kept: Mutex<HashMap<u64, Bytes>>,
    most_kept: AtomicUsize,
}

impl SealedFile {
    fn open(path: &Path, key: &SymmetricKey, expected: Expected) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::home(path, e))?;
        let length = file.metadata().map_err(|e| Error::home(path, e))?.len();
        let mut prefix = vec![0; prefix_len(expected.kind)];
        file.read_exact_at(&mut prefix, 0).map_err(|e| Error::home(path, e))?;
        let opened = OpenedObject::open(&prefix, Unwrapping::Keyed(key), expected)?;
        let name = path.display().to_string();
        let most_kept = AtomicUsize::new(1);
        Ok(Self { file, length, opened, name, kept: Mutex::default(), most_kept })
    }

    /// A range of the stream; without a copy where it lies in one segment.
    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let size = SEGMENT_PLAIN_BYTES as u64;
        let (first, at) = (range.start / size, range.start % size);
        let length = range.end - range.start;
        if at + length <= size {
            let segment = self.segment(first)?;
            let within = at as usize..(at + length) as usize;
            return match within.end <= segment.len() {
                true => Ok(segment.slice(within)),
                false => Err(self.shorter()),
            };
        }
        let mut out = Vec::with_capacity(length as usize);
        for number in first..range.end.div_ceil(size) {
            let segment = self.segment(number)?;
            let start = range.start.saturating_sub(number * size).min(segment.len() as u64);
            let end = (range.end - number * size).min(segment.len() as u64);
            out.extend_from_slice(&segment[start as usize..end as usize]);
        }
        if out.len() as u64 != length {
            return Err(self.shorter());
        }
        Ok(out.into())
    }

    fn shorter(&self) -> Error {
        Error::object(&self.name, "it is shorter than it says")
    }

    fn segment(&self, number: u64) -> Result<Bytes> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = lock().get(&number) {
            return Ok(segment.clone());
        }
        let start = number * SEGMENT_PLAIN_BYTES as u64;
        let span = self.opened.segment_range(self.length, start..start + 1)?;
        let mut sealed = vec![0; (span.object_range.end - span.object_range.start) as usize];
        self.file
            .read_exact_at(&mut sealed, span.object_range.start)
            .map_err(|error| Error::object(&self.name, error))?;
        let opened = self.opened.open_segments(self.length, number, &sealed)?;
        let segment = Bytes::from(opened);
        let mut kept = lock();
        if kept.len() >= self.most_kept.load(Ordering::Relaxed) {
            // Any one will do: ids are uniform, so no segment is more likely to be asked for.
            if let Some(any) = kept.keys().next().copied() {
                kept.remove(&any);
            }
        }
        kept.insert(number, segment.clone());
        Ok(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::SeededEntropy;
    use format::{ChunkEntry, Directory, FrameEntry};

    fn chunk(number: u32) -> ChunkRef {
        let digest = Digest::of(&number.to_le_bytes());
        ChunkRef { kind: ChunkKind::Content, id: ChunkId::from_bytes(*digest.as_bytes()) }
    }

    fn builder(count: u32) -> TableBuilder {
        let entry = |n| ChunkEntry { chunk: chunk(n), length: 10 };
        let frames = (0..count)
            .map(|n| FrameEntry { codec: Codec::None, stored_length: 10, chunks: vec![entry(n)] })
            .collect();
        let listing = PackListing {
            name: Digest::of(b"pack"),
            session: SessionId::from_bytes([1; 16]),
            kind: ObjectKind::ContentPack,
            epoch: Epoch(0),
            stream_length: 1 << 25,
            directory: Directory { frames },
        };
        let mut builder = TableBuilder::default();
        builder.add(&listing, DomainId::DEFAULT);
        builder.cover(Digest::of(b"run"));
        builder
    }

    #[test]
    fn every_chunk_is_found_where_it_lies_and_no_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let entropy = SeededEntropy::new(1);
        let key = SymmetricKey::draw(&entropy);
        let of = (Suite::Aes256Gcm, VaultId::from_bytes([1; 32]));
        for count in [0, 1, 127, 5000] {
            let payload = builder(count).encode(Prefix::default());
            std::fs::write(&path, Table::seal(&payload, of, &key, &entropy).unwrap()).unwrap();
            let tables =
                [Table::in_memory(payload).unwrap(), Table::open(&path, of, &key).unwrap()];
            for table in tables {
                for number in 0..count {
                    let found = table.find(&chunk(number)).unwrap();
                    assert_eq!(found.len(), 1);
                    assert_eq!(found[0].frame.offset, number * 10);
                }
                for number in count..count + 500 {
                    assert!(table.find(&chunk(number)).unwrap().is_empty());
                }
                let shards = Prefix::all(3).map(|prefix| table.shard(prefix).unwrap().len());
                assert_eq!(shards.sum::<usize>(), count as usize);
            }
        }
    }

    #[test]
    fn the_filter_lets_few_strangers_through() {
        let table = Table::in_memory(builder(5000).encode(Prefix::default())).unwrap();
        let hits =
            (5000..25_000).filter(|n| table.filter().unwrap().may_hold(&chunk(*n).id)).count();
        assert!(hits < 20_000 / 50, "{hits} of 20,000 strangers passed");
    }
}
