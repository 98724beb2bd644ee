//! Which packs are worth rewriting. Reads nothing: same counts, same plan.
//!
//! A pack is worth it when too few of its chunks' bytes are live, or when it is one of many small
//! ones. The emptiest come first, up to what may be moved. What would free nothing, such as a
//! single small pack that is mostly padding, is left out.

use std::collections::{BTreeMap, BTreeSet};

use crypto::{Digest, DomainId, ObjectKind, object_len, padded_stream_len};
use format::Directory;

use super::CompactionPlan;
use crate::collect::CompactOptions;
use crate::mark::PackUse;

/// A pack is small below this part of a full one.
const SMALL_DIVISOR: u64 = 8;

/// What was selected.
pub(super) struct Selection {
    pub(super) plan: CompactionPlan,
    /// The emptiest first.
    pub(super) packs: Vec<(Digest, PackUse)>,
}

impl Selection {
    /// Keeps packs of so many live chunks, and one pack's more; whether any are left out.
    pub(super) fn keep_chunks(&mut self, most: u64) -> bool {
        let mut chunks = 0;
        let all = self.packs.len();
        self.packs.retain(|(_, used)| {
            let kept = chunks < most;
            chunks += if kept { used.live_chunks } else { 0 };
            kept
        });
        self.packs.len() < all
    }
}

/// Packs that may be put together.
type Group = (DomainId, u8);

fn group_of(used: &PackUse) -> Group {
    (used.domain, used.kind as u8)
}

/// Selects among these packs; a full one has a stream so long.
pub(super) fn select(
    packs: &[(&Digest, &PackUse)],
    options: CompactOptions,
    stream_length: u64,
) -> Selection {
    let is_small = |used: &PackUse| {
        let full = object_len(used.kind, stream_length).unwrap_or(stream_length);
        used.total_bytes < full / SMALL_DIVISOR
    };
    let mut small: BTreeMap<Group, usize> = BTreeMap::new();
    for (_, used) in packs.iter().filter(|(_, used)| is_small(used)) {
        *small.entry(group_of(used)).or_default() += 1;
    }
    let is_half_dead = |used: &PackUse| used.live_bytes < options.max_live.of(used.held_bytes);
    let is_one_of_many = |used: &PackUse| {
        is_small(used)
            && small.get(&group_of(used)).is_some_and(|count| *count > options.small_packs_max)
    };
    let mut worth: Vec<(Digest, PackUse)> = packs
        .iter()
        .filter(|(_, used)| is_half_dead(used) || is_one_of_many(used))
        .map(|(name, used)| (**name, (*used).clone()))
        .collect();
    let share = |used: &PackUse| {
        u128::from(used.live_bytes) * 1_000_000 / u128::from(used.total_bytes.max(1))
    };
    worth.sort_by_key(|(name, used)| (share(used), *name));
    let idle = idle_groups(&worth, stream_length);
    worth.retain(|(_, used)| !idle.contains(&group_of(used)));
    let all = worth.len();

    let mut moved = 0;
    worth.retain(|(_, used)| {
        let fits = options.max_moved.is_none_or(|most| moved + used.live_bytes <= most);
        moved += if fits { used.live_bytes } else { 0 };
        fits
    });
    let left_packs = (all - worth.len()) as u64;
    // What the limit left of a group may be too little to gain anything.
    let idle = idle_groups(&worth, stream_length);
    worth.retain(|(_, used)| !idle.contains(&group_of(used)));

    let only_small = worth.iter().filter(|(_, used)| !is_half_dead(used)).count() as u64;
    let total = |of: fn(&PackUse) -> u64| worth.iter().map(|(_, used)| of(used)).sum();
    let plan = CompactionPlan {
        packs: worth.len() as u64,
        small_packs: only_small,
        total_bytes: total(|used| used.total_bytes),
        moved_bytes: total(|used| used.live_bytes),
        new_bytes: sums(&worth).values().map(|sum| sum.new_bytes(stream_length)).sum(),
        left_packs,
    };
    Selection { plan, packs: worth }
}

/// The groups whose rewriting frees nothing.
fn idle_groups(worth: &[(Digest, PackUse)], stream_length: u64) -> BTreeSet<Group> {
    let sums = sums(worth).into_iter();
    let idle = sums.filter(|(_, sum)| sum.new_bytes(stream_length) >= sum.total_bytes);
    idle.map(|(group, _)| group).collect()
}

/// What a group holds.
struct Sum {
    kind: ObjectKind,
    total_bytes: u64,
    live_bytes: u64,
    live_chunks: u64,
}

fn sums(worth: &[(Digest, PackUse)]) -> BTreeMap<Group, Sum> {
    let mut sums: BTreeMap<Group, Sum> = BTreeMap::new();
    for (_, used) in worth {
        let empty = Sum { kind: used.kind, total_bytes: 0, live_bytes: 0, live_chunks: 0 };
        let sum = sums.entry(group_of(used)).or_insert(empty);
        sum.total_bytes += used.total_bytes;
        sum.live_bytes += used.live_bytes;
        sum.live_chunks += used.live_chunks;
    }
    sums
}

impl Sum {
    /// The bytes of the packs that will hold these chunks, about: each may need a frame.
    fn new_bytes(&self, stream_length: u64) -> u64 {
        let chunks = usize::try_from(self.live_chunks).unwrap_or(usize::MAX / 64);
        let directory = Directory::encoded_len(chunks, chunks) as u64;
        let stream = self.live_bytes + directory;
        let (full, rest) = (stream / stream_length, stream % stream_length);
        let length = |stream| object_len(self.kind, stream).unwrap_or(stream);
        full * length(stream_length) + length(padded_stream_len(rest).min(stream_length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fraction;
    use crate::mark::CopyClass;

    const FULL: u64 = 32 << 20;

    fn used(kind: ObjectKind, live_bytes: u64, held_bytes: u64, stream: u64) -> PackUse {
        PackUse {
            domain: DomainId::DEFAULT,
            session: crypto::SessionId::from_bytes([1; 16]),
            kind,
            class: CopyClass::Candidate,
            live_chunks: live_bytes.div_ceil(1 << 20),
            live_bytes,
            held_bytes,
            total_bytes: object_len(kind, stream).unwrap(),
        }
    }

    fn content(live: u64) -> PackUse {
        used(ObjectKind::ContentPack, live, FULL - 4096, FULL)
    }

    fn tiny() -> PackUse {
        used(ObjectKind::MetadataPack, 700, 700, 4096)
    }

    fn plan(packs: &[PackUse], options: CompactOptions) -> CompactionPlan {
        let names = (0_u64..).map(|n| Digest::of(&n.to_le_bytes())).take(packs.len());
        let names: Vec<_> = names.collect();
        let packs: Vec<_> = names.iter().zip(packs).collect();
        select(&packs, options, FULL).plan
    }

    #[test]
    fn packs_below_the_threshold_are_taken_and_fuller_ones_are_not() {
        let packs = [content(10 << 20), content(15 << 20), content(17 << 20), content(31 << 20)];
        let halves = plan(&packs, CompactOptions::default());
        assert_eq!((halves.packs, halves.moved_bytes), (2, 25 << 20));
        assert!(halves.freed_bytes() > 35 << 20, "{halves:?}");

        let max_live = Fraction::from_millionths(400_000).unwrap();
        let fewer = plan(&packs, CompactOptions { max_live, ..Default::default() });
        assert_eq!((fewer.packs, fewer.moved_bytes), (1, 10 << 20));
    }

    #[test]
    fn the_emptiest_are_moved_first_and_no_more_than_the_limit() {
        let packs = [content(12 << 20), content(2 << 20), content(7 << 20), content(4 << 20)];
        let max_moved = Some(8 << 20);
        let limited = plan(&packs, CompactOptions { max_moved, ..Default::default() });
        assert_eq!((limited.packs, limited.moved_bytes, limited.left_packs), (2, 6 << 20, 2));
    }

    #[test]
    fn small_packs_are_merged_when_they_are_many() {
        let few = plan(&vec![tiny(); 32], CompactOptions::default());
        assert_eq!(few, CompactionPlan::default());
        let many = plan(&vec![tiny(); 33], CompactOptions::default());
        assert_eq!((many.packs, many.small_packs), (33, 33));
        assert!(many.new_bytes < many.total_bytes / 3, "{many:?}");
    }

    #[test]
    fn what_would_free_nothing_is_left_alone() {
        let lone = used(ObjectKind::MetadataPack, 300, 700, 4096);
        assert_eq!(plan(&[lone], CompactOptions::default()), CompactionPlan::default());
        let max_moved = Some(700);
        let options = CompactOptions { max_moved, ..Default::default() };
        assert_eq!(plan(&vec![tiny(); 40], options).packs, 0);
    }
}
