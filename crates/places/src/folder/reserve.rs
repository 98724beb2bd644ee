//! Room kept for ledger records: packs and index runs are refused before the disk is full.
//!
//! A vault that cannot append to its ledger cannot even free space, so bulk data stops while
//! min(64 MiB, 2 % of the disk) is still free. Records are small and always fit. DESIGN.md §4.

use crate::name::ObjectName;

/// Whether an object is bulk data, which leaves the reserve alone.
pub(super) fn applies_to(name: &ObjectName) -> bool {
    ["packs/", "index/"].iter().any(|bulk| name.as_str().starts_with(bulk))
}

/// The size of a disk and what an unprivileged process may still use of it, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) total: u64,
    pub(super) free: u64,
}

impl Room {
    /// The reserve that storing `needed` bytes would touch; `None` when there is room enough.
    /// A disk that says it has no bytes at all cannot tell, and is not judged.
    pub(super) fn shortage(self, needed: u64) -> Option<u64> {
        let reserve = (self.total / 50).min(RESERVE_BYTES_MAX);
        let left = self.free.checked_sub(needed);
        let fits = self.total == 0 || left.is_some_and(|left| left >= reserve);
        (!fits).then_some(reserve)
    }
}

const RESERVE_BYTES_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_large_disk_keeps_64_mib_and_a_small_one_2_percent() {
        let large = Room { total: 1 << 40, free: 96 * MIB };
        assert_eq!(large.shortage(32 * MIB), None);
        assert_eq!(large.shortage(32 * MIB + 1), Some(64 * MIB));
        let small = Room { total: 100 * MIB, free: 10 * MIB };
        assert_eq!(small.shortage(8 * MIB), None);
        assert_eq!(small.shortage(8 * MIB + 1), Some(2 * MIB));
    }

    #[test]
    fn an_object_larger_than_what_is_free_does_not_fit() {
        assert_eq!(Room { total: 1000, free: 10 }.shortage(u64::MAX), Some(20));
    }

    #[test]
    fn a_disk_that_tells_nothing_is_not_judged() {
        assert_eq!(Room { total: 0, free: 0 }.shortage(32 * MIB), None);
    }

    #[test]
    fn only_packs_and_index_runs_leave_the_reserve_alone() {
        let applies = |name| applies_to(&ObjectName::parse(name).unwrap());
        assert!(applies("packs/00/11") && applies("index/11"));
        assert!(!applies("ledger/11") && !applies("config") && !applies("packs"));
    }
}
