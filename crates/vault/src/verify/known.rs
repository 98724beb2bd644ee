//! What is known of each pack while a vault is verified: some 64 bytes for each, in a sorted list.
//!
//! It stands for the directories of all packs, which would not fit into memory: those are read run
//! by run, as they are needed. Chunks that a damaged pack cannot give are kept beside it, by the
//! pack's number and eight bytes of their ids; ids are uniform, so two do not meet.

use std::collections::HashSet;

use crypto::Digest;
use format::ChunkId;
use ledger::{PackStanding, State};

/// The packs that the ledger knows, by name.
pub(super) struct KnownPacks {
    packs: Vec<KnownPack>,
    bad: HashSet<(u32, u64)>,
}

/// One pack.
#[derive(Clone, Copy)]
pub(super) struct KnownPack {
    pub(super) name: Digest,
    /// How long its object is; `None` when there is none.
    pub(super) size: Option<u64>,
    /// The readable run that lists it, by its place among the runs.
    pub(super) run: Option<u32>,
    /// Whether the ledger says that it is lost.
    pub(super) was_lost: bool,
    pub(super) state: PackState,
}

/// What reading a pack has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackState {
    /// It is not read this time.
    Unread,
    /// It is to be read.
    Due,
    /// All of it is as it should be.
    Well,
    /// Something of it cannot be read; `bad` says what.
    Ill,
    /// Nothing of it can be read.
    Gone,
}

impl KnownPacks {
    pub(super) fn new(state: &State) -> Self {
        // The ledger gives them in the order of their names.
        let packs = state.packs().map(|(name, _)| KnownPack {
            name: *name,
            size: None,
            run: None,
            was_lost: state.pack_standing(name) == PackStanding::Lost,
            state: PackState::Unread,
        });
        Self { packs: packs.collect(), bad: HashSet::new() }
    }

    /// These packs, in the order of their names.
    #[cfg(test)]
    pub(super) fn of(packs: Vec<KnownPack>) -> Self {
        Self { packs, bad: HashSet::new() }
    }

    pub(super) fn number(&self, name: &Digest) -> Option<usize> {
        self.packs.binary_search_by_key(name, |pack| pack.name).ok()
    }

    pub(super) fn find(&mut self, name: &Digest) -> Option<&mut KnownPack> {
        let number = self.number(name)?;
        self.packs.get_mut(number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KnownPack> {
        self.packs.iter()
    }

    pub(super) fn all(&mut self) -> &mut [KnownPack] {
        &mut self.packs
    }

    /// Takes note of a chunk that this pack cannot give.
    pub(super) fn spoil(&mut self, name: &Digest, chunk: &ChunkId) {
        if let Some(number) = self.number(name) {
            self.bad.insert((number as u32, short(chunk)));
        }
    }

    /// Whether the pack gives the chunk, as far as is known.
    pub(super) fn gives(&self, name: &Digest, chunk: &ChunkId) -> bool {
        let Some(number) = self.number(name) else { return false };
        match self.packs[number].state {
            PackState::Gone => false,
            PackState::Ill => !self.bad.contains(&(number as u32, short(chunk))),
            _ => true,
        }
    }
}

fn short(chunk: &ChunkId) -> u64 {
    let (first, _) = chunk.as_bytes().split_first_chunk().expect("an id is 32 bytes");
    u64::from_le_bytes(*first)
}
