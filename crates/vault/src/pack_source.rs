//! Reads ranges of packs' streams, from the place or from the host's own copy.
//!
//! A pack is read in blocks of 16 segments, 1 MiB of its stream, so that a restore shows the place
//! only which blocks it reads. The data key of a pack is opened once. A writer that can open no
//! pack reads the metadata packs that it kept (`cache/packs/<name>`: the data key sealed under the
//! local key, then the object as it lies in the place). DESIGN §5, §6.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use crypto::{
    Epoch, Expected, Header, KEPT_KEY_BYTES, KemSecret, Keyring, ObjectKind, OpenedObject,
    PAYLOAD_START, SEGMENT_PLAIN_BYTES, SessionId, Unwrapping, object_len, prefix_len,
};
use format::{Digest, PackListing, VaultNames};
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

/// Whether the host's own copies of packs may stand for what lies in the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyUse {
    /// They may.
    WhenKept,
    /// What counts is what lies in the place.
    Never,
}

/// Reads packs.
pub(crate) struct PackSource {
    place: Arc<dyn Place>,
    keyring: Arc<Keyring>,
    home: Arc<Home>,
    copies: CopyUse,
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
    pub(crate) fn new(
        place: Arc<dyn Place>,
        keyring: Arc<Keyring>,
        home: Arc<Home>,
        copies: CopyUse,
    ) -> Self {
        let packs = SharedCache::new(PACKS_KEPT);
        let blocks = SharedCache::new(BLOCKS_KEPT_BYTES);
        Self { place, keyring, home, copies, packs, blocks }
    }

    /// Whether the keys at hand open packs of this kind and epoch.
    pub(crate) fn may_read(&self, kind: ObjectKind, epoch: Epoch) -> bool {
        self.secret(kind, epoch).is_ok()
    }

    /// Opens a pack's data key from its first bytes, [`prefix_len`] of them.
    pub(crate) fn open_prefix(&self, listing: &PackListing, prefix: &[u8]) -> Result<OpenedObject> {
        let name = VaultNames::pack(&listing.name);
        let secret = self.secret(listing.kind, listing.epoch)?;
        let expected = self.expected(listing.kind);
        let opened = OpenedObject::open(prefix, Unwrapping::Kem(&secret), expected);
        let opened = opened.map_err(|error| Error::object(&name, error))?;
        check_header(&listing.name, (listing.session, listing.epoch), opened.header())?;
        Ok(opened)
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

    /// The session that a kept copy is of, as its header says.
    pub(crate) fn session_of_copy(path: &Path) -> Option<SessionId> {
        let file = File::open(path).ok()?;
        let mut head = vec![0; prefix_len(ObjectKind::MetadataPack)];
        file.read_exact_at(&mut head, KEPT_KEY_BYTES as u64).ok()?;
        Some(Header::peek(&head).ok()?.session)
    }

    fn block(&self, pack: &TablePack, number: u64) -> Result<Bytes> {
        self.blocks.get(&(pack.name, number), || {
            let open = self.open(pack)?;
            let block = self.open_block(pack, &open, number);
            if block.is_ok() || open.copy.is_none() {
                return block;
            }
            // A copy that is damaged says nothing of the pack.
            self.packs.forget(&pack.name);
            self.drop_copy(pack);
            self.open_block(pack, &*self.open(pack)?, number)
        })
    }

    fn drop_copy(&self, pack: &TablePack) {
        if let Ok(Some(folder)) = Self::copies(&self.home) {
            let _ = std::fs::remove_file(folder.join(pack.name.to_string()));
        }
    }

    fn open_block(&self, pack: &TablePack, open: &OpenPack, number: u64) -> Result<(Bytes, usize)> {
        let start = number * BLOCK_BYTES;
        let end = (start + BLOCK_BYTES).min(pack.stream_length);
        let damaged = |error: crypto::Error| Error::object(VaultNames::pack(&pack.name), error);
        let span = open.opened.segment_range(open.length, start..end).map_err(damaged)?;
        let sealed = self.raw(pack, open, span.object_range)?;
        let opened = open.opened.open_segments(open.length, span.first_segment, &sealed);
        let opened = Bytes::from(opened.map_err(damaged)?);
        let weight = opened.len();
        Ok((opened, weight))
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
                ObjectKind::MetadataPack if self.copies == CopyUse::WhenKept => {
                    self.open_copy(pack)?
                }
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
        let secret = self.secret(pack.kind, pack.epoch)?;
        let length = object_len(pack.kind, pack.stream_length)?;
        let prefix = self.place.get(&name, Some(0..prefix_len(pack.kind) as u64));
        let prefix = prefix.map_err(|error| match error.kind() {
            places::ErrorKind::Invalid => Error::object(&name, error),
            _ => error.into(),
        })?;
        let opened =
            OpenedObject::open(&prefix, Unwrapping::Kem(&secret), self.expected(pack.kind));
        let opened = opened.map_err(|error| Error::object(&name, error))?;
        check_header(&pack.name, (pack.session, pack.epoch), opened.header())?;
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
        let opened =
            OpenedObject::open_kept(prefix, kept, self.home.local(), self.expected(pack.kind));
        Ok(opened.ok().map(|opened| OpenPack { opened, length, copy: Some(file) }))
    }

    fn secret(&self, kind: ObjectKind, epoch: Epoch) -> Result<KemSecret> {
        Ok(match kind {
            ObjectKind::ContentPack => self.keyring.content_secret(epoch)?,
            _ => self.keyring.meta_secret(epoch)?,
        })
    }

    fn expected(&self, kind: ObjectKind) -> Expected {
        let keyring = &self.keyring;
        Expected { kind, vault_id: keyring.vault_id(), suite: keyring.suite() }
    }
}

fn check_header(
    pack: &Digest,
    (session, epoch): (SessionId, Epoch),
    header: &Header,
) -> Result<()> {
    if header.session != session || header.epoch != epoch {
        return Err(Error::object(
            VaultNames::pack(pack),
            format!("it is of session {}, its index says {session}", header.session),
        ));
    }
    Ok(())
}
