//! Reads ranges of packs' streams, from the place or from the host's own copy.
//!
//! A pack is read in blocks of 16 segments, 1 MiB of its stream, so that a restore shows the place
//! only which blocks it reads. The data key of a pack is opened once. A writer that can open no pack
//! reads the metadata packs that it kept (`cache/packs/<name>`: the data key sealed under the local
//! key, then the object as it lies in the place). DESIGN §5, §6.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use crypto::{
    Expected, Header, KEPT_KEY_BYTES, Keyring, ObjectKind, OpenedObject, PAYLOAD_START,
    SEGMENT_PLAIN_BYTES, Unwrapping, object_len, prefix_len,
};
use format::{Digest, VaultNames};
use places::Place;

use crate::home::Home;
use crate::shared_cache::SharedCache;
use crate::table::TablePack;
use crate::{Error, Result};

/// How many bytes of a stream are read at once.
const BLOCK_BYTES: u64 = 16 * SEGMENT_PLAIN_BYTES as u64;
/// Opened blocks that are kept, in bytes.
const BLOCKS_KEPT_BYTES: usize = 20 << 20;
/// Packs whose data keys are kept.
const PACKS_KEPT: usize = 512;

/// Reads packs.
pub(crate) struct PackSource {
    place: Arc<dyn Place>,
    keyring: Arc<Keyring>,
    home: Arc<Home>,
    packs: SharedCache<Digest, Arc<OpenPack>>,
    blocks: SharedCache<(Digest, u64), Bytes>,
}

/// A pack whose data key is open.
struct OpenPack {
    opened: OpenedObject,
    length: u64,
    copy: Option<File>,
}

impl PackSource {
    pub(crate) fn new(place: Arc<dyn Place>, keyring: Arc<Keyring>, home: Arc<Home>) -> Self {
        let packs = SharedCache::new(PACKS_KEPT);
        Self { place, keyring, home, packs, blocks: SharedCache::new(BLOCKS_KEPT_BYTES) }
    }

    /// A range of a pack's payload.
    pub(crate) fn read(&self, pack: &TablePack, range: Range<u64>) -> Result<Bytes> {
        let range = PAYLOAD_START + range.start..PAYLOAD_START + range.end;
        if range.end > pack.stream_length {
            return Err(Error::object(
                VaultNames::pack(&pack.name),
                format!("bytes {range:?} of its stream of {} are wanted", pack.stream_length),
            ));
        }
        let (first, last) = (range.start / BLOCK_BYTES, (range.end.max(1) - 1) / BLOCK_BYTES);
        let within = |number: u64| {
            let start = range.start.max(number * BLOCK_BYTES) - number * BLOCK_BYTES;
            let end = range.end.min((number + 1) * BLOCK_BYTES) - number * BLOCK_BYTES;
            start as usize..end as usize
        };
        if first == last {
            return Ok(self.block(pack, first)?.slice(within(first)));
        }
        let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
        for number in first..=last {
            bytes.extend_from_slice(&self.block(pack, number)?[within(number)]);
        }
        Ok(bytes.into())
    }

    /// The kept copies' folder, for the writer.
    pub(crate) fn copies(home: &Home) -> Result<Option<PathBuf>> {
        home.cache_folder("packs")
    }

    fn block(&self, pack: &TablePack, number: u64) -> Result<Bytes> {
        self.blocks.get(&(pack.name, number), || {
            let open = self.open(pack)?;
            let start = number * BLOCK_BYTES;
            let end = (start + BLOCK_BYTES).min(pack.stream_length);
            let damaged = |error: crypto::Error| Error::object(VaultNames::pack(&pack.name), error);
            let span = open.opened.segment_range(open.length, start..end).map_err(damaged)?;
            let sealed = self.raw(pack, &open, span.object_range)?;
            let opened = open.opened.open_segments(open.length, span.first_segment, &sealed);
            let opened = Bytes::from(opened.map_err(damaged)?);
            let weight = opened.len();
            Ok((opened, weight))
        })
    }

    fn raw(&self, pack: &TablePack, open: &OpenPack, range: Range<u64>) -> Result<Bytes> {
        let name = VaultNames::pack(&pack.name);
        let Some(copy) = &open.copy else {
            let bytes =
                self.place.get(&name, Some(range.clone())).map_err(|error| match error.kind() {
                    places::ErrorKind::Invalid => Error::object(&name, error),
                    _ => error.into(),
                })?;
            if bytes.len() as u64 != range.end - range.start {
                return Err(Error::object(&name, "it is shorter than its index says"));
            }
            return Ok(bytes);
        };
        let mut bytes = vec![0; (range.end - range.start) as usize];
        copy.read_exact_at(&mut bytes, KEPT_KEY_BYTES as u64 + range.start)
            .map_err(|error| Error::object(&name, error))?;
        Ok(bytes.into())
    }

    fn open(&self, pack: &TablePack) -> Result<Arc<OpenPack>> {
        self.packs.get(&pack.name, || {
            let copy = match pack.kind {
                ObjectKind::MetadataPack => self.open_copy(pack)?,
                _ => None,
            };
            let open = match copy {
                Some(copy) => copy,
                None => self.open_in_place(pack)?,
            };
            Ok((Arc::new(open), 1))
        })
    }

    fn open_in_place(&self, pack: &TablePack) -> Result<OpenPack> {
        let name = VaultNames::pack(&pack.name);
        let secret = match pack.kind {
            ObjectKind::ContentPack => self.keyring.content_secret(pack.epoch)?,
            _ => self.keyring.meta_secret(pack.epoch)?,
        };
        let length = object_len(pack.kind, pack.stream_length)?;
        let prefix = self.place.get(&name, Some(0..prefix_len(pack.kind) as u64));
        let prefix = prefix.map_err(|error| match error.kind() {
            places::ErrorKind::Invalid => Error::object(&name, error),
            _ => error.into(),
        })?;
        let opened = OpenedObject::open(&prefix, Unwrapping::Kem(&secret), self.expected(pack));
        let opened = opened.map_err(|error| Error::object(&name, error))?;
        check_header(pack, opened.header())?;
        Ok(OpenPack { opened, length, copy: None })
    }

    /// The copy that this host kept, when it is there and whole.
    fn open_copy(&self, pack: &TablePack) -> Result<Option<OpenPack>> {
        let Some(folder) = Self::copies(&self.home)? else { return Ok(None) };
        let Ok(file) = File::open(folder.join(pack.name.to_string())) else { return Ok(None) };
        let length = object_len(pack.kind, pack.stream_length)?;
        let mut head = vec![0; KEPT_KEY_BYTES + prefix_len(pack.kind)];
        let whole = file.metadata().is_ok_and(|m| m.len() == KEPT_KEY_BYTES as u64 + length);
        if !whole || file.read_exact_at(&mut head, 0).is_err() {
            return Ok(None);
        }
        let (kept, prefix) = head.split_at(KEPT_KEY_BYTES);
        let opened = OpenedObject::open_kept(prefix, kept, self.home.local(), self.expected(pack));
        Ok(opened.ok().map(|opened| OpenPack { opened, length, copy: Some(file) }))
    }

    fn expected(&self, pack: &TablePack) -> Expected {
        let keyring = &self.keyring;
        Expected { kind: pack.kind, vault_id: keyring.vault_id(), suite: keyring.suite() }
    }
}

fn check_header(pack: &TablePack, header: &Header) -> Result<()> {
    if header.session != pack.session || header.epoch != pack.epoch {
        return Err(Error::object(
            VaultNames::pack(&pack.name),
            format!("it is of session {}, its index says {}", header.session, pack.session),
        ));
    }
    Ok(())
}
