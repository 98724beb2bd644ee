//! Walks each snapshot from its root: every chunk that it reaches lies in a good pack.
//!
//! A subtree that was found whole is not walked again, in this snapshot or another; a hurt one is,
//! so that each snapshot's hurt paths are named.

use std::collections::HashSet;

use crypto::{DomainId, SessionId};
use format::{ChunkId, ChunkKind, ChunkRef, Descriptor, PathKey, VaultNames};

use super::Check;
use crate::reader::Reader;
use crate::references::references;
use crate::{Error, ErrorKind, Result};

/// Nodes below one another: a tree and a recipe, both at their deepest.
const DEPTH_MAX: usize = 2 * format::TREE_DEPTH_MAX as usize + 4;

/// Half of an id: ids are keyed digests, so no two have one half, and the set takes half the room.
type ShortId = [u8; 16];

fn short(id: &ChunkId) -> ShortId {
    *id.as_bytes().first_chunk().expect("an id is 32 bytes")
}

/// Walks all these snapshots.
pub(super) fn walk_snapshots(
    check: &mut Check<'_>,
    reader: &Reader,
    snapshots: &[(SessionId, ledger::Snapshot)],
) -> Result<()> {
    let mut whole = HashSet::new();
    for (id, snapshot) in snapshots {
        check.found.snapshots += 1;
        let Some(body) = snapshot.body else {
            check.damaged(&format!("snapshot {id}"), "its commit record's body does not open");
            check.hurt.insert(*id);
            continue;
        };
        let mut walk =
            Walk { check, reader, whole: &mut whole, snapshot: *id, domain: snapshot.domain };
        let Some(bytes) = walk.chunk(body.descriptor, &[])? else { continue };
        match Descriptor::decode(&bytes) {
            Ok(descriptor) => {
                walk.node(descriptor.root_ref(), &[], 0)?;
            }
            Err(error) => {
                check.hurt.insert(*id);
                check.damaged(&format!("snapshot {id}"), error).snapshots.push(*id);
            }
        }
    }
    Ok(())
}

struct Walk<'w, 'c> {
    check: &'w mut Check<'c>,
    reader: &'w Reader,
    whole: &'w mut HashSet<ShortId>,
    snapshot: SessionId,
    domain: DomainId,
}

impl Walk<'_, '_> {
    /// Walks a node and all below it; whether all is whole.
    fn node(&mut self, chunk: ChunkRef, key: &[u8], depth: usize) -> Result<bool> {
        self.check.go_on()?;
        if self.whole.contains(&short(&chunk.id)) {
            return Ok(true);
        }
        if depth > DEPTH_MAX {
            self.hurt(&format!("tree node {}", chunk.id), "its tree is too deep", key);
            return Ok(false);
        }
        let Some(bytes) = self.chunk(chunk, key)? else { return Ok(false) };
        let references = match references(chunk, &bytes) {
            Ok(references) => references,
            Err(error) => {
                self.hurt(&format!("tree node {}", chunk.id), &error.to_string(), key);
                return Ok(false);
            }
        };
        let mut whole = true;
        for reference in references {
            let key = reference.key.as_deref().unwrap_or(key);
            whole &= match reference.chunk.kind {
                ChunkKind::Node | ChunkKind::Recipe => {
                    self.node(reference.chunk, key, depth + 1)?
                }
                _ => self.leaf(reference.chunk, key)?,
            };
        }
        if whole {
            self.whole.insert(short(&chunk.id));
        }
        Ok(whole)
    }

    /// Whether a chunk that refers to nothing is where it should be.
    fn leaf(&mut self, chunk: ChunkRef, key: &[u8]) -> Result<bool> {
        let places = self.reader.packs_of(self.domain, chunk)?;
        if places.iter().any(|pack| self.check.known.gives(pack, &chunk.id)) {
            return Ok(true);
        }
        match places.first() {
            Some(pack) => {
                let object = VaultNames::pack(pack).as_str().to_owned();
                self.hurt(&object, "a chunk of it cannot be read", key);
            }
            None => {
                let missing = Error::ChunkMissing { chunk, domain: self.domain };
                self.hurt(&format!("chunk {}", chunk.id), &missing.to_string(), key);
            }
        }
        Ok(false)
    }

    /// Reads a chunk; notes the damage when it cannot be had.
    fn chunk(&mut self, chunk: ChunkRef, key: &[u8]) -> Result<Option<bytes::Bytes>> {
        match self.reader.chunk(self.domain, chunk) {
            Ok(bytes) => {
                self.check.found.bytes += bytes.len() as u64;
                Ok(Some(bytes))
            }
            Err(error) => match error.kind() {
                ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Invalid => {
                    let packs = self.reader.packs_of(self.domain, chunk)?;
                    let object = match packs.first() {
                        Some(pack) => VaultNames::pack(pack).as_str().to_owned(),
                        None => format!("chunk {}", chunk.id),
                    };
                    self.hurt(&object, &error.to_string(), key);
                    Ok(None)
                }
                _ => Err(error),
            },
        }
    }

    fn hurt(&mut self, object: &str, reason: &str, key: &[u8]) {
        let path = PathKey::decode(key).and_then(|key| key.to_path());
        let path = path.unwrap_or_else(|_| key.to_vec());
        self.check.hurt(object, reason, self.snapshot, path);
    }
}
