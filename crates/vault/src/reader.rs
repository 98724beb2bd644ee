//! Reads chunks. What comes back has the name that was asked for, or is an error that names the
//! pack.
//!
//! A chunk is found in the index, its frame is read from a pack and opened within its declared
//! length, and the chunk's id is computed anew from its bytes: sealing proves that some member
//! wrote them, only the id proves that they are what was asked for (P2). When a pack fails, others
//! that hold the chunk are tried, then the ledger is read on once, and only then it is damage.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use crypto::{Entropy, Keyring, NameKey, OpenedObject};
use format::{ChunkId, ChunkKind, ChunkRef, Codec, Digest, DomainId, PackListing, VaultNames};
use ledger::{Ledger, PackStanding};
use places::Place;

use crate::compression::Decompressor;
use crate::home::Home;
use crate::index::{Found, Index, IndexContext};
use crate::pack_source::{CopyUse, PackSource};
use crate::shared_cache::SharedCache;
use crate::table::TableEntry;
use crate::{Error, Result};

/// Opened frames of small chunks that are kept, in bytes.
const FRAMES_KEPT_BYTES: usize = 8 << 20;

/// Reads verified chunks of a vault. Clones share what they have read.
#[derive(Clone)]
pub struct Reader(Arc<Inner>);

struct Inner {
    place: Arc<dyn Place>,
    entropy: Arc<dyn Entropy>,
    keyring: Arc<Keyring>,
    home: Arc<Home>,
    ledger: Arc<Mutex<Ledger>>,
    index: Arc<RwLock<Index>>,
    packs: PackSource,
    frames: SharedCache<(Digest, u32), Bytes>,
    names: Mutex<HashMap<DomainId, Arc<Names>>>,
    decompressors: Mutex<Vec<Decompressor>>,
}

/// The keys that name a domain's chunks, as far as the role holds them.
struct Names {
    content: Option<NameKey>,
    nodes: Option<NameKey>,
}

/// Where a chunk lies: sorts by pack and position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The pack.
    pub pack: Digest,
    /// Where its frame begins in the pack's payload.
    pub frame: u32,
    /// Where it begins in the frame.
    pub offset: u32,
}

/// What a reader is made of.
pub(crate) struct ReaderParts {
    pub(crate) place: Arc<dyn Place>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) home: Arc<Home>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) index: Arc<RwLock<Index>>,
}

impl Reader {
    pub(crate) fn new(parts: ReaderParts, copies: CopyUse) -> Self {
        let ReaderParts { place, entropy, keyring, home, ledger, index } = parts;
        let packs = PackSource::new(place.clone(), keyring.clone(), home.clone(), copies);
        Self(Arc::new(Inner {
            place,
            entropy,
            keyring,
            home,
            ledger,
            index,
            packs,
            frames: SharedCache::new(FRAMES_KEPT_BYTES),
            names: Mutex::default(),
            decompressors: Mutex::default(),
        }))
    }

    /// The chunk's bytes, verified by its id.
    ///
    /// # Errors
    /// [`Error::ChunkMissing`] when no pack holds it, or [`Error::Object`] of an index run that
    /// cannot be read and may list it; the error of the last pack that was tried;
    /// [`Error::Crypto`] when the role may not read its kind.
    pub fn chunk(&self, domain: DomainId, chunk: ChunkRef) -> Result<Bytes> {
        let result = match self.try_chunk(domain, chunk) {
            Err(error) if may_have_moved(&error) && self.read_on()? => {
                self.try_chunk(domain, chunk)
            }
            result => result,
        };
        result.map_err(|error| self.explain(error))
    }

    /// Where a chunk lies, without reading it; `None` when no pack holds it.
    ///
    /// # Errors
    /// When the cached index cannot be read.
    pub fn locate(&self, domain: DomainId, chunk: ChunkRef) -> Result<Option<Location>> {
        let found = self.find(domain, &chunk)?;
        Ok(found.first().map(|Found { pack, entry, .. }| Location {
            pack: pack.name,
            frame: entry.frame.offset,
            offset: entry.offset,
        }))
    }

    /// The nodes of file trees of a domain.
    pub fn nodes(&self, domain: DomainId) -> Nodes {
        Nodes { reader: self.clone(), domain, kind: ChunkKind::Node }
    }

    /// The nodes of recipes of a domain.
    pub fn recipes(&self, domain: DomainId) -> Nodes {
        Nodes { reader: self.clone(), domain, kind: ChunkKind::Recipe }
    }

    /// The packs that hold a chunk, without condemned ones.
    ///
    /// # Errors
    /// When the cached index cannot be read.
    pub fn packs_of(&self, domain: DomainId, chunk: ChunkRef) -> Result<Vec<Digest>> {
        let found = self.find(domain, &chunk)?;
        let kept = found.iter().filter(|found| found.standing != PackStanding::Condemned);
        Ok(kept.map(|found| found.pack.name).collect())
    }

    /// Reads a chunk from one pack alone.
    pub(crate) fn chunk_of_pack(
        &self,
        domain: DomainId,
        chunk: ChunkRef,
        pack: Digest,
    ) -> Result<Bytes> {
        let found = self.find(domain, &chunk)?.into_iter().find(|found| found.pack.name == pack);
        self.read(domain, chunk, &found.ok_or(Error::ChunkMissing { chunk, domain })?)
    }

    /// Reads a chunk from where an entry of the index says, from nowhere else, without reading the
    /// ledger on.
    pub(crate) fn chunk_at(
        &self,
        domain: DomainId,
        chunk: ChunkRef,
        found: &Found,
    ) -> Result<Bytes> {
        self.read(domain, chunk, found)
    }

    /// A frame as it is stored, when these chunks are all that is in it and each has its id.
    pub(crate) fn whole_frame(
        &self,
        found: &Found,
        chunks: impl Iterator<Item = TableEntry>,
    ) -> Result<Bytes> {
        let Found { pack, entry, .. } = found;
        let (stored, plain) = self.open_frame(found)?;
        let damaged = |reason: &str| Error::object(format!("pack {}", pack.name), reason);
        let mut end = 0;
        for TableEntry { id, kind, offset, length, .. } in chunks {
            let start = offset as usize;
            let Some(bytes) = plain.get(start..start + length as usize).filter(|_| start == end)
            else {
                return Err(damaged("a frame's chunks do not lie one behind the other"));
            };
            if self.chunk_id(pack.domain, kind, bytes)? != id {
                let chunk = ChunkRef { kind, id };
                return Err(Error::ChunkContent { chunk, pack: pack.name });
            }
            end = start + length as usize;
        }
        match end == entry.frame.plain_length as usize {
            true => Ok(stored),
            false => Err(damaged("a frame holds more than its chunks")),
        }
    }

    /// Whether this role holds the key that the pack is sealed to.
    pub(crate) fn may_read(&self, listing: &PackListing) -> bool {
        self.0.packs.may_read(listing.kind, listing.epoch)
    }

    /// Opens a pack's data key from its first bytes.
    pub(crate) fn open_prefix(&self, listing: &PackListing, prefix: &[u8]) -> Result<OpenedObject> {
        self.0.packs.open_prefix(listing, prefix)
    }

    fn find(&self, domain: DomainId, chunk: &ChunkRef) -> Result<Vec<Found>> {
        self.0.index.read().unwrap_or_else(PoisonError::into_inner).find(domain, chunk)
    }

    /// Names what may have listed a chunk that is not found.
    fn explain(&self, error: Error) -> Error {
        let Error::ChunkMissing { chunk, .. } = &error else { return error };
        let index = self.0.index.read().unwrap_or_else(PoisonError::into_inner);
        match index.unread().first_key_value() {
            None => error,
            Some((run, reason)) => Error::object(
                format!("{} chunk {}", chunk.kind, chunk.id),
                format!(
                    "no pack is known to hold it, and {} does not open: {reason}",
                    VaultNames::run(run)
                ),
            ),
        }
    }

    fn try_chunk(&self, domain: DomainId, chunk: ChunkRef) -> Result<Bytes> {
        let mut last = Error::ChunkMissing { chunk, domain };
        for found in self.find(domain, &chunk)? {
            match self.read(domain, chunk, &found) {
                Ok(bytes) => return Ok(bytes),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn read(&self, domain: DomainId, chunk: ChunkRef, found: &Found) -> Result<Bytes> {
        let Found { pack, entry, .. } = found;
        let alone = entry.length == entry.frame.plain_length;
        let frame = if alone {
            self.open_frame(found)?.1
        } else {
            self.0.frames.get(&(pack.name, entry.frame.offset), || {
                let (_, frame) = self.open_frame(found)?;
                let weight = frame.len();
                Ok::<_, Error>((frame, weight))
            })?
        };
        let end = u64::from(entry.offset) + u64::from(entry.length);
        if end > frame.len() as u64 {
            return Err(Error::object(
                format!("pack {}", pack.name),
                "a chunk ends outside its frame",
            ));
        }
        let bytes = frame.slice(entry.offset as usize..end as usize);
        if self.chunk_id(domain, chunk.kind, &bytes)? != chunk.id {
            return Err(Error::ChunkContent { chunk, pack: pack.name });
        }
        Ok(bytes)
    }

    /// A frame as it is stored, and opened.
    fn open_frame(&self, found: &Found) -> Result<(Bytes, Bytes)> {
        let frame = found.entry.frame;
        let start = u64::from(frame.offset);
        let range = start..start + u64::from(frame.stored_length);
        let stored = self.0.packs.read(&found.pack, range)?;
        if frame.plain_length > format::FRAME_BYTES_MAX {
            return Err(Error::object(format!("pack {}", found.pack.name), "a frame is too long"));
        }
        let plain_length = frame.plain_length as usize;
        if frame.codec.codec() == Codec::None && stored.len() == plain_length {
            return Ok((stored.clone(), stored));
        }
        self.decompress(frame.codec.codec(), &stored, plain_length)
            .map(|plain| (stored, Bytes::from(plain)))
            .map_err(|error| Error::object(format!("pack {}", found.pack.name), error))
    }

    /// Opens a frame's bytes.
    pub(crate) fn decompress(
        &self,
        codec: Codec,
        stored: &[u8],
        plain_length: usize,
    ) -> Result<Vec<u8>> {
        let lock = || self.0.decompressors.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lock().pop();
        let mut decompressor = idle.unwrap_or_else(Decompressor::new);
        let plain = decompressor.decompress(codec, stored, plain_length);
        lock().push(decompressor);
        plain
    }

    /// The id of a chunk of these bytes, stored or not.
    ///
    /// # Errors
    /// [`Error::Crypto`] when the role may not name chunks of this kind.
    pub fn chunk_id(&self, domain: DomainId, kind: ChunkKind, bytes: &[u8]) -> Result<ChunkId> {
        let names = {
            let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
            let keyring = &self.0.keyring;
            names
                .entry(domain)
                .or_insert_with(|| {
                    Arc::new(Names {
                        content: keyring.content_names(domain).ok(),
                        nodes: keyring.node_names(domain).ok(),
                    })
                })
                .clone()
        };
        let key = if kind.is_content() { &names.content } else { &names.nodes };
        match key {
            Some(key) => Ok(key.name(kind.code(), bytes)),
            // Asking again gives the error that says which key the role lacks.
            None if kind.is_content() => Err(denied(self.0.keyring.content_names(domain))),
            None => Err(denied(self.0.keyring.node_names(domain))),
        }
    }

    /// Reads the ledger on; whether there was anything new.
    fn read_on(&self) -> Result<bool> {
        let inner = &*self.0;
        let mut ledger = inner.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let before = ledger.state().head();
        ledger.refresh()?;
        if ledger.state().head() == before {
            return Ok(false);
        }
        let context = IndexContext {
            place: inner.place.as_ref(),
            keyring: &inner.keyring,
            home: &inner.home,
            entropy: inner.entropy.as_ref(),
        };
        let mut index = inner.index.write().unwrap_or_else(PoisonError::into_inner);
        index.sync(&context, ledger.state())?;
        Ok(true)
    }
}

/// Nodes of one kind and domain, read through a [`Reader`].
#[derive(Clone)]
pub struct Nodes {
    reader: Reader,
    domain: DomainId,
    kind: ChunkKind,
}

impl tree::NodeSource for Nodes {
    type Error = Error;

    fn node(&self, id: &ChunkId) -> Result<Bytes> {
        self.reader.chunk(self.domain, ChunkRef { kind: self.kind, id: *id })
    }
}

fn denied<T>(result: crypto::Result<T>) -> Error {
    match result {
        Err(error) => error.into(),
        Ok(_) => Error::object("the keyring", "it changed while it was used"),
    }
}

/// Whether a collection that moved or dropped a pack could explain the error.
fn may_have_moved(error: &Error) -> bool {
    match error {
        Error::ChunkMissing { .. } => true,
        Error::Place(error) => error.kind() == places::ErrorKind::NotFound,
        _ => false,
    }
}
