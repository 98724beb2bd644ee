//! A pack that is being filled: frames go in, a built pack comes out.
//!
//! Full packs have streams of one constant length, the last of a session the Padmé length of what
//! it holds; segments ignore where chunks begin. What the place sees of a backup is a number of
//! packs. DESIGN §5, FORMAT.md §6.

use std::sync::Arc;

use crypto::{
    Entropy, Epoch, Header, KemPublic, ObjectKind, ObjectSealer, SealedObject, SessionId, Suite,
    SymmetricKey, VaultId, Wrapping, padded_stream_len,
};
use format::{ChunkEntry, Codec, Directory, FrameEntry, PACK_FRAMES_MAX, PackListing};

use crate::Result;

/// What all packs of a session and type have in common.
pub(crate) struct PackMould {
    pub(crate) kind: ObjectKind,
    pub(crate) suite: Suite,
    pub(crate) vault_id: VaultId,
    pub(crate) session: SessionId,
    pub(crate) epoch: Epoch,
    pub(crate) public: KemPublic,
    /// Set when the host keeps copies of such packs.
    pub(crate) local: Option<SymmetricKey>,
    /// How long the stream of a full pack is.
    pub(crate) stream_length: u64,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// Fills one pack after the other.
pub(crate) struct PackBuilder {
    mould: Arc<PackMould>,
    open: Option<OpenPack>,
}

struct OpenPack {
    sealer: ObjectSealer,
    kept: Option<Vec<u8>>,
    directory: Directory,
    chunks: usize,
}

/// A pack that takes no more frames.
pub(crate) struct FilledPack {
    mould: Arc<PackMould>,
    pack: OpenPack,
    full: Fullness,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fullness {
    Full,
    LastOfSession,
}

/// A sealed pack with what is to be said of it.
pub(crate) struct BuiltPack {
    pub(crate) object: SealedObject,
    pub(crate) listing: PackListing,
    /// The data key under the host's local key, for its own copy.
    pub(crate) kept: Option<Vec<u8>>,
}

impl PackBuilder {
    pub(crate) fn new(mould: PackMould) -> Self {
        Self { mould: Arc::new(mould), open: None }
    }

    /// Adds a frame; gives the pack that had no room for it, if there was one.
    pub(crate) fn append(
        &mut self,
        codec: Codec,
        stored: &[u8],
        chunks: Vec<ChunkEntry>,
        spare: impl FnOnce() -> Vec<u8>,
    ) -> Result<Option<FilledPack>> {
        let filled = match &self.open {
            Some(open) if !open.has_room(stored.len(), chunks.len(), self.mould.stream_length) => {
                self.take(Fullness::Full)
            }
            _ => None,
        };
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(OpenPack::begin(&self.mould, spare())?),
        };
        open.sealer.write(stored);
        open.chunks += chunks.len();
        let stored_length = u32::try_from(stored.len()).expect("a frame is at most 16 MiB");
        open.directory.frames.push(FrameEntry { codec, stored_length, chunks });
        Ok(filled)
    }

    /// Gives the last pack, if anything was added to it.
    pub(crate) fn finish(&mut self) -> Option<FilledPack> {
        self.take(Fullness::LastOfSession)
    }

    fn take(&mut self, full: Fullness) -> Option<FilledPack> {
        let pack = self.open.take()?;
        Some(FilledPack { mould: self.mould.clone(), pack, full })
    }
}

impl OpenPack {
    fn begin(mould: &PackMould, buffer: Vec<u8>) -> Result<Self> {
        let PackMould { kind, suite, vault_id, session, epoch, .. } = *mould;
        let header = Header { suite, kind, vault_id, session, epoch };
        let wrapping = Wrapping::Kem(&mould.public);
        let entropy = mould.entropy.as_ref();
        let (sealer, kept) = match &mould.local {
            None => (ObjectSealer::new(header, wrapping, entropy, buffer)?, None),
            Some(local) => {
                let made = ObjectSealer::new_kept(header, wrapping, local, entropy, buffer)?;
                (made.0, Some(made.1))
            }
        };
        Ok(Self { sealer, kept, directory: Directory::default(), chunks: 0 })
    }

    fn has_room(&self, stored: usize, chunks: usize, stream_length: u64) -> bool {
        let frames = self.directory.frames.len() + 1;
        let directory = Directory::encoded_len(frames, self.chunks + chunks) + TRAILER_BYTES;
        frames <= PACK_FRAMES_MAX
            && self.sealer.stream_len() + (stored + directory) as u64 <= stream_length
    }
}

impl FilledPack {
    /// Writes the directory, seals what is left, names the pack.
    pub(crate) fn build(self) -> Result<BuiltPack> {
        let Self { mould, pack, full } = self;
        let OpenPack { mut sealer, kept, directory, .. } = pack;
        let encoded = directory.encode();
        sealer.write(&encoded);
        sealer.write(&Directory::encode_trailer(encoded.len()));
        let padded = padded_stream_len(sealer.stream_len());
        let stream_length = match full {
            Fullness::LastOfSession if padded <= mould.stream_length => padded,
            // A frame that is longer than a pack makes one as long as several: how long the
            // frame is does not show.
            _ => sealer.stream_len().next_multiple_of(mould.stream_length),
        };
        let PackMould { kind, session, epoch, .. } = *mould;
        let object = sealer.finish(stream_length)?;
        let name = object.name;
        let listing = PackListing { name, session, kind, epoch, stream_length, directory };
        Ok(BuiltPack { object, listing, kept })
    }
}

const TRAILER_BYTES: usize = 4;
