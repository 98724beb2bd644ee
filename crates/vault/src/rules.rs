//! The safety rules of sessions and collections, by name.
//!
//! In earnest all of them hold, always. A simulation switches one off to show that it would notice:
//! a rule whose absence nothing notices is either not needed or not tested. Only tests call
//! [`Rules::without`]. DESIGN §9.

/// One safety rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Rule {
    /// A writer deduplicates only onto packs that are neither suspect nor condemned nor lost.
    DeduplicateOntoTrusted,
    /// Before each try to append, a writer checks that nothing it relies on came under suspicion.
    CheckBeforeCommit,
    /// A writer inherits only from a base that is live or trashed, which its `open` names.
    NameTheBase,
    /// A mark starts from the state at the `suspect` record, not from an older one.
    MarkAfterSuspicion,
    /// A mark counts snapshots in the trash.
    MarkTrash,
    /// A mark counts the bases of open sessions.
    MarkBases,
    /// A mark counts no pack that lies under another's suspicion.
    PassForeignSuspects,
    /// A mark counts no pack that is lost, and a `lost` after the suspicion begins it again.
    PassLost,
    /// Only packs of closed sessions are suspected, condemned or deleted as strangers.
    CollectOnlyClosed,
    /// A node that cannot be read stops the collection of its domain.
    StopAtUnreadable,
    /// A pack whose chunks a compaction moved is condemned only when a mark finds it dead.
    MarkWhatWasMoved,
}

/// Which rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    off: u32,
}

impl Rules {
    /// All of them.
    pub const ALL: Self = Self { off: 0 };

    /// All of these but one: for tests that must see what it prevents.
    pub const fn without(self, rule: Rule) -> Self {
        Self { off: self.off | 1 << rule as u8 }
    }

    /// Whether a rule holds.
    pub const fn hold(self, rule: Rule) -> bool {
        self.off & (1 << rule as u8) == 0
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::ALL
    }
}
