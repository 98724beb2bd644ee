//! The stages that content goes through between reading and storing, one at a time.
//!
//! A backup runs them together; apart, they can be measured. Each is the very code that a backup
//! runs, with keys of a vault that does not exist, and one thread. DESIGN §7.

use std::sync::Arc;

use bytes::Bytes;
use chunker::{ChunkSizes, Gear, cut_whole};
use crypto::{
    DomainId, Entropy, Epoch, Header, KemPublic, Keyring, NameKey, ObjectKind, ObjectSealer,
    RootSecret, SessionId, Suite, VaultId, Wrapping, padded_stream_len,
};
use format::{ChunkId, ChunkKind, Config};

use crate::compression::Compressor;
use crate::{Compression, Error, Paranoia, Result};

/// The stages, with keys of their own.
pub struct Stages {
    gear: Arc<Gear>,
    chunk_sizes: ChunkSizes,
    names: NameKey,
    compressor: Compressor,
    vault_id: VaultId,
    public: KemPublic,
    suite: Suite,
    pack_size: usize,
}

impl Stages {
    /// Draws keys; sizes are those that a new vault has.
    pub fn new(suite: Suite, compression: Compression, entropy: &dyn Entropy) -> Result<Self> {
        let keyring = Keyring::owner(RootSecret::draw(entropy), suite);
        let vault_id = keyring.vault_id();
        let config = Config::new(vault_id, [0; 32], suite);
        let chunk_sizes = ChunkSizes::new(config.chunk_min, config.chunk_avg, config.chunk_max);
        let gear = Gear::from_bytes(&keyring.chunker(DomainId::DEFAULT)?.gear_tables());
        Ok(Self {
            gear: Arc::new(gear),
            chunk_sizes: chunk_sizes.map_err(|error| Error::object("a config", error))?,
            names: keyring.content_names(DomainId::DEFAULT)?,
            compressor: Compressor::new(compression, Paranoia::Samples),
            vault_id,
            public: keyring.content_secret(Epoch(0))?.public(),
            suite,
            pack_size: config.pack_size as usize,
        })
    }

    /// Cuts content: the lengths of its chunks.
    pub fn chunk(&self, content: &[u8]) -> Vec<u32> {
        cut_whole(&self.gear, self.chunk_sizes, content)
    }

    /// Names the chunks of content by their keyed digests.
    pub fn name(&self, content: &[u8], lengths: &[u32]) -> Vec<ChunkId> {
        let kind = ChunkKind::Content.code();
        pieces(content, lengths).map(|chunk| self.names.name(kind, chunk)).collect()
    }

    /// Compresses the chunks: what of them is to be stored.
    ///
    /// # Errors
    /// [`Error::Object`] when a sample does not open to what it was.
    pub fn compress(&mut self, content: &[u8], lengths: &[u32]) -> Result<Vec<u8>> {
        let mut stored = Vec::with_capacity(content.len());
        for chunk in pieces(content, lengths) {
            stored.extend_from_slice(self.compressor.compress(chunk)?.1);
        }
        Ok(stored)
    }

    /// Seals what is to be stored, in objects of a pack's size.
    ///
    /// # Errors
    /// None but programming mistakes.
    pub fn seal(&self, stored: &[u8], entropy: &dyn Entropy) -> Result<Vec<Bytes>> {
        let session = SessionId::draw(entropy);
        let (suite, vault_id) = (self.suite, self.vault_id);
        let kind = ObjectKind::ContentPack;
        let seal = |part: &[u8]| {
            let header = Header { suite, kind, vault_id, session, epoch: Epoch(0) };
            let wrapping = Wrapping::Kem(&self.public);
            let mut sealer = ObjectSealer::new(header, wrapping, entropy, Vec::new())?;
            sealer.write(part);
            let length = padded_stream_len(sealer.stream_len());
            Ok(Bytes::from(sealer.finish(length)?.bytes))
        };
        stored.chunks(self.pack_size).map(seal).collect()
    }
}

fn pieces<'c>(content: &'c [u8], lengths: &[u32]) -> impl Iterator<Item = &'c [u8]> {
    lengths.iter().scan(content, |rest, length| {
        let (piece, after) = rest.split_at_checked(*length as usize)?;
        *rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use crypto::SeededEntropy;

    use super::*;

    #[test]
    fn what_goes_in_comes_out_chunked_named_smaller_and_sealed() {
        let entropy = SeededEntropy::new(7);
        let content: Vec<u8> = b"a line of text\n".iter().copied().cycle().take(6 << 20).collect();
        let mut stages = Stages::new(Suite::Aes256Gcm, Compression::Fast, &entropy).unwrap();

        let lengths = stages.chunk(&content);
        let names = stages.name(&content, &lengths);
        let stored = stages.compress(&content, &lengths).unwrap();
        let packs = stages.seal(&stored, &entropy).unwrap();

        assert_eq!(lengths.iter().map(|length| *length as usize).sum::<usize>(), content.len());
        assert_eq!(names.len(), lengths.len());
        assert!(stored.len() < content.len() / 10);
        assert!(packs.len() == 1 && packs[0].len() > stored.len());
    }
}
