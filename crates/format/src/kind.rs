//! The kinds of ledger records, and the shape that each must have.
//!
//! The shape is what the clear part alone decides: whether a record names a session, which refs it
//! carries, whether it may name needs and drops. Who may append a kind is the ledger's rule; what a
//! kind does is the ledger's state. FORMAT.md §10.

use crate::{DecodeError, List, Record, Ref};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// What a record does.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name = $code,)*
        }

        impl Kind {
            /// Every kind, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The kind's code in a record.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The kind with this code.
            pub fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for Kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)*
                })
            }
        }
    };
}

kinds! {
    /// The first record: the vault begins.
    Genesis = 1, "genesis";
    /// A member is certified.
    Certify = 2, "certify";
    /// A member's certificate ends.
    Revoke = 3, "revoke";
    /// The vault's keys move to a new epoch.
    Rotate = 4, "rotate";
    /// What may change about a vault changes.
    Policy = 5, "policy";
    /// The owner settles a break.
    Mend = 6, "mend";
    /// A surviving place takes over from a lost one.
    Recover = 7, "recover";
    /// The mark may pass over what is missing of a snapshot.
    WriteOff = 8, "write-off";
    /// A hold on a snapshot ends.
    Release = 9, "release";
    /// A snapshot's tags change.
    Tag = 10, "tag";
    /// A session begins.
    Open = 11, "open";
    /// A session publishes packs.
    Packs = 12, "packs";
    /// A session ends with what it made.
    Commit = 13, "commit";
    /// A session ends without a snapshot.
    Abandon = 14, "abandon";
    /// Somebody reports something.
    Report = 15, "report";
    /// Snapshots go to the trash.
    Forget = 16, "forget";
    /// Snapshots leave the trash for good.
    Purge = 17, "purge";
    /// No writer may rely on these packs from here on.
    Suspect = 18, "suspect";
    /// Suspected packs may be deleted from here on.
    Condemn = 19, "condemn";
    /// A suspicion ends.
    Clear = 20, "clear";
    /// Condemned objects were deleted.
    Swept = 21, "swept";
    /// Index runs are replaced by one.
    Merge = 22, "merge";
    /// Packs are damaged or missing.
    Lost = 23, "lost";
    /// The whole state lies in an object.
    Checkpoint = 24, "checkpoint";
    /// Lost packs are whole again.
    Found = 25, "found";
    /// Snapshots may not be forgotten.
    Hold = 26, "hold";
    /// Snapshots come back from the trash.
    Undo = 27, "undo";
}

impl Kind {
    /// Whether records of this kind are signed by the owner's root key.
    pub fn is_owner_kind(self) -> bool {
        (self.code()) <= Self::Tag.code()
    }

    /// Whether records of this kind name the session that they belong to.
    pub fn names_session(self) -> bool {
        matches!(self, Self::Open | Self::Packs | Self::Commit | Self::Abandon | Self::Merge)
    }

    /// Checks what the clear part alone decides about a record of this kind.
    pub fn check_shape(self, record: &Record) -> Result<(), RecordShapeError> {
        let wrong = |what| Err(RecordShapeError { kind: self, what });
        if self.names_session() != record.session.is_some() {
            return wrong("session");
        }
        // A writer's are in the record: else one long list, named again and again, would be read by
        // everybody as often.
        let is_writers = matches!(self, Self::Packs | Self::Commit);
        let long = record.needs.inline().is_none();
        if (!self.may_need() && !record.needs.is_empty()) || (is_writers && long) {
            return wrong("needs");
        }
        if !matches!(self, Self::Condemn | Self::Merge | Self::Checkpoint)
            && !record.drops.is_empty()
        {
            return wrong("drops");
        }
        if !self.refs_fit(&record.refs) {
            return wrong("refs");
        }
        Ok(())
    }

    fn may_need(self) -> bool {
        matches!(self, Self::Packs | Self::Commit | Self::Merge | Self::Checkpoint)
    }

    fn refs_fit(self, refs: &List<Ref>) -> bool {
        // A long list names only packs or snapshots: what decides validity is in the record.
        let List::Inline(refs) = refs else {
            return matches!(
                self,
                Self::Suspect | Self::Swept | Self::Lost | Self::Found | Self::Forget | Self::Purge
            );
        };
        match self {
            Self::Genesis => {
                matches!(refs[..], [Ref::Config(_), Ref::FormatNumber(_), Ref::EpochKeys(_)])
            }
            Self::Certify => matches!(refs[..], [Ref::Certificate(_)]),
            Self::Revoke => matches!(refs[..], [Ref::Member(_)]),
            Self::Rotate => match refs.split_first() {
                Some((Ref::EpochKeys(_), rest)) => {
                    rest.iter().all(|r| matches!(r, Ref::SealedKeys { .. }))
                }
                _ => false,
            },
            Self::Policy => matches!(refs[..], [] | [Ref::FormatNumber(_)]),
            Self::Mend => matches!(refs[..], [Ref::Record(_)]),
            Self::Recover => {
                matches!(refs[..], [Ref::Place(_), Ref::Record(_), Ref::LostAfter(_)])
            }
            Self::WriteOff | Self::Release | Self::Tag => matches!(refs[..], [Ref::Snapshot(_)]),
            Self::Open => matches!(refs[..], [Ref::Domain(_)] | [Ref::Domain(_), Ref::Snapshot(_)]),
            Self::Commit => matches!(refs[..], [] | [Ref::Snapshot(_)]),
            Self::Packs | Self::Abandon | Self::Merge | Self::Report => refs.is_empty(),
            Self::Forget | Self::Purge | Self::Hold | Self::Undo => {
                !refs.is_empty() && refs.iter().all(|r| matches!(r, Ref::Snapshot(_)))
            }
            Self::Suspect | Self::Lost | Self::Found => {
                !refs.is_empty() && refs.iter().all(|r| matches!(r, Ref::Pack(_)))
            }
            Self::Swept => refs.iter().all(|r| matches!(r, Ref::Pack(_))),
            Self::Condemn | Self::Clear => matches!(refs[..], [Ref::Suspect(_)]),
            Self::Checkpoint => matches!(refs[..], [Ref::Record(_), Ref::Object(_)]),
        }
    }
}

/// A record whose clear part does not have the shape of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} of this {kind} record are not those of its kind")]
pub struct RecordShapeError {
    /// The record's kind.
    pub kind: Kind,
    /// Which field.
    pub what: &'static str,
}

impl From<RecordShapeError> for DecodeError {
    fn from(error: RecordShapeError) -> Self {
        Self::NotCanonical { what: error.what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_code_and_has_a_name_of_its_own() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(kind.code() as usize, index + 1, "codes are given in order");
            assert_eq!(Kind::from_code(kind.code()), Some(*kind));
            assert_eq!(Kind::ALL.iter().filter(|k| k.to_string() == kind.to_string()).count(), 1);
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_code(28), None);
    }
}
