//! What the world looks like between two steps, as small as it can be written.
//!
//! A chunk is a bit, a set of chunks or packs a byte. What an actor saw earlier is kept only where
//! a later step of it depends on it: a writer's trusted packs, a collector's mark.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A set of chunks or packs, one bit each.
pub(super) type Bits = u8;

/// How many chunks there are.
pub(super) const CHUNKS: usize = 2;

/// The most packs.
pub(super) const PACKS: usize = 4;

/// How much may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Chunks that snapshots are made of.
    pub(super) chunks: u8,
    pub(super) sessions: u8,
    pub(super) collections: u8,
    pub(super) forgets: u8,
    pub(super) losses: u8,
}

impl Budget {
    /// The budgets that are searched, each whole.
    pub(super) const EACH: [Self; 3] = [
        Self { chunks: 2, sessions: 2, collections: 2, forgets: 1, losses: 0 },
        Self { chunks: 1, sessions: 3, collections: 2, forgets: 1, losses: 0 },
        Self { chunks: 1, sessions: 3, collections: 1, forgets: 1, losses: 1 },
    ];
}

/// A pack that was put.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pack {
    pub(super) chunks: Bits,
    /// The session in its header.
    pub(super) session: u8,
    /// A record names it.
    pub(super) known: bool,
    /// It was condemned, or deleted as a stranger. When a condemned one is deleted does not
    /// matter: from the record on nobody may count on it.
    pub(super) gone: bool,
    pub(super) lost: bool,
    /// The collectors under whose suspicion it lies.
    pub(super) suspected_by: Bits,
}

impl Pack {
    /// A writer may rely on it.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_good() && self.suspected_by == 0
    }

    /// It is there for readers, and will be.
    pub(super) fn is_good(&self) -> bool {
        self.known && !self.gone && !self.lost
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    Live,
    Trashed,
    Purged,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Snapshot {
    pub(super) chunks: Bits,
    pub(super) standing: Standing,
    /// Chunks that the place lost after the commit, with no other good copy.
    pub(super) excused: Bits,
}

/// Where a writer has a chunk of the snapshot that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Has {
    Nowhere,
    InBase,
    In(u8),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Session {
    pub(super) id: u8,
    /// What it inherits from.
    pub(super) base: Option<u8>,
    pub(super) wants: Bits,
    pub(super) has: [Has; CHUNKS],
    /// The packs that it may rely on, as far as it read the ledger.
    pub(super) trusted: Bits,
}

/// An open session, as the ledger has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Opened {
    pub(super) id: u8,
    pub(super) base: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Collecting {
    Idle,
    /// It chose packs, and knows what it would keep by what it read so far.
    Chose {
        packs: Bits,
        marked: Bits,
    },
    /// `suspect` stands; what its mark reached, from the state at that record.
    Suspected {
        packs: Bits,
        marked: Bits,
        lost_since: bool,
        cleared: bool,
    },
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) left: Budget,
    pub(super) next_session: u8,
    pub(super) packs: Vec<Pack>,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) open: Vec<Opened>,
    pub(super) writers: [Option<Session>; 2],
    pub(super) collectors: [Collecting; 2],
}

impl World {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            left: budget,
            next_session: 0,
            packs: Vec::new(),
            snapshots: Vec::new(),
            open: Vec::new(),
            writers: [None, None],
            collectors: [Collecting::Idle, Collecting::Idle],
        }
    }

    /// A snapshot and a chunk of it that no reader will find.
    pub(super) fn violation(&self) -> Option<(usize, usize)> {
        let kept = self.snapshots.iter().enumerate();
        let kept = kept.filter(|(_, s)| s.standing != Standing::Purged);
        let mut chunks = kept
            .flat_map(|(index, s)| bits(s.chunks & !s.excused).map(move |chunk| (index, chunk)));
        chunks.find(|&(_, chunk)| !self.packs.iter().any(|p| has(p.chunks, chunk) && p.is_good()))
    }

    /// The same for this world and for every world that differs only in who is called first of the
    /// writers, the collectors or the chunks: 64 bits of a hash, so that two states which share
    /// them would hide one, once in some thousand million.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut world = self.clone();
        world.writers.sort();
        let mut least = hash(&world);
        for turn in [Self::swap_chunks, Self::swap_collectors, Self::swap_chunks] {
            turn(&mut world);
            world.writers.sort();
            least = least.min(hash(&world));
        }
        least
    }

    fn swap_collectors(&mut self) {
        self.collectors.swap(0, 1);
        for pack in &mut self.packs {
            pack.suspected_by = swapped(pack.suspected_by);
        }
    }

    fn swap_chunks(&mut self) {
        for pack in &mut self.packs {
            pack.chunks = swapped(pack.chunks);
        }
        for snapshot in &mut self.snapshots {
            snapshot.chunks = swapped(snapshot.chunks);
            snapshot.excused = swapped(snapshot.excused);
        }
        for session in self.writers.iter_mut().flatten() {
            session.wants = swapped(session.wants);
            session.has.swap(0, 1);
        }
    }

    /// The packs for which this is so.
    pub(super) fn packs_that(&self, is: impl Fn(&Pack) -> bool) -> Bits {
        let there = self.packs.iter().enumerate().filter(|(_, pack)| is(pack));
        there.fold(0, |set, (index, _)| set | bit(index))
    }

    pub(super) fn is_open(&self, session: u8) -> bool {
        self.open.iter().any(|opened| opened.id == session)
    }
}

pub(super) fn bit(index: usize) -> Bits {
    1 << index
}

pub(super) fn has(set: Bits, index: usize) -> bool {
    set & bit(index) != 0
}

/// A set of two, each called as the other.
fn swapped(set: Bits) -> Bits {
    (set & 1) << 1 | (set >> 1) & 1
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// The members of a set.
pub(super) fn bits(set: Bits) -> impl Iterator<Item = usize> {
    (0..Bits::BITS as usize).filter(move |&index| has(set, index))
}
