//! A pack that is being filled: frames go in, a built pack comes out.
//!
//! Full packs have streams of one constant length, the last of a session the Padmé length of what
//! it holds; segments ignore where chunks begin. What the place sees of a backup is a number of
//! packs. DESIGN §5, FORMAT.md §6.

use std::sync::{Arc, Mutex};

use crypto::{
    Entropy, Epoch, Header, KemPublic, ObjectKind, ObjectSealer, SealedObject, SessionId, Suite,
    SymmetricKey, VaultId, Wrapping, padded_stream_len,
};
use format::{ChunkEntry, Codec, Directory, FrameEntry, PACK_FRAMES_MAX, PackListing};
use ledger::State;

use crate::writer::lock;
use crate::{Error, Result};

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

/// What the next pack of a type is made with: it follows the vault's epochs while packs are filled.
#[derive(Clone)]
pub(crate) struct NextMould(Arc<Mutex<Arc<PackMould>>>);

impl NextMould {
    pub(crate) fn new(mould: PackMould) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(mould))))
    }

    /// Seals the packs that are begun from here on to the keys of the newest epoch.
    pub(crate) fn follow(&self, state: &State) -> Result<()> {
        let mut mould = lock(&self.0);
        if mould.epoch == state.epoch() {
            return Ok(());
        }
        let (epoch, public) = newest_key(state, mould.kind)?;
        let PackMould { kind, suite, vault_id, session, stream_length, .. } = **mould;
        let local = mould.local.as_ref().map(SymmetricKey::duplicate);
        let entropy = mould.entropy.clone();
        *mould = Arc::new(PackMould {
            kind,
            suite,
            vault_id,
            session,
            epoch,
            public,
            local,
            stream_length,
            entropy,
        });
        Ok(())
    }

    fn now(&self) -> Arc<PackMould> {
        lock(&self.0).clone()
    }
}

/// The public key that packs of this type are sealed to now.
pub(crate) fn newest_key(state: &State, kind: ObjectKind) -> Result<(Epoch, KemPublic)> {
    let epoch = state.epoch();
    let keys = state.epoch_keys(epoch);
    let keys = keys.ok_or_else(|| Error::object("the ledger", "it holds no public keys"))?;
    let public = match kind {
        ObjectKind::ContentPack => &keys.content,
        _ => &keys.meta,
    };
    Ok((epoch, KemPublic::from_bytes(&public[..])?))
}

/// Fills one pack after the other.
pub(crate) struct PackBuilder {
    next: NextMould,
    open: Option<OpenPack>,
}

struct OpenPack {
    mould: Arc<PackMould>,
    sealer: ObjectSealer,
    kept: Option<Vec<u8>>,
    directory: Directory,
    chunks: usize,
}

/// A pack that takes no more frames.
pub(crate) struct FilledPack {
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
    pub(crate) fn new(next: NextMould) -> Self {
        Self { next, open: None }
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
            Some(open) if !open.has_room(stored.len(), chunks.len()) => self.take(Fullness::Full),
            _ => None,
        };
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(OpenPack::begin(self.next.now(), spare())?),
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
        Some(FilledPack { pack, full })
    }
}

impl OpenPack {
    fn begin(mould: Arc<PackMould>, buffer: Vec<u8>) -> Result<Self> {
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
        Ok(Self { mould, sealer, kept, directory: Directory::default(), chunks: 0 })
    }

    fn has_room(&self, stored: usize, chunks: usize) -> bool {
        let frames = self.directory.frames.len() + 1;
        let directory = Directory::encoded_len(frames, self.chunks + chunks) + TRAILER_BYTES;
        frames <= PACK_FRAMES_MAX
            && self.sealer.stream_len() + (stored + directory) as u64 <= self.mould.stream_length
    }
}

impl FilledPack {
    /// Writes the directory, seals what is left, names the pack.
    pub(crate) fn build(self) -> Result<BuiltPack> {
        let Self { pack, full } = self;
        let OpenPack { mould, mut sealer, kept, directory, .. } = pack;
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
