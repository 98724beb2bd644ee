//! Every byte that Strongroom writes, inside an envelope or in clear, encoded and decoded.
//!
//! There is no I/O here, no clock and no randomness: values in, bytes out, and back. Decoders are
//! total: they refuse whatever would not encode back to the same bytes, they never panic, and they
//! check each length before the allocation that it asks for. `FORMAT.md` beside this crate is the
//! normative text; its section numbers are cited where they are kept.

mod checkpoint;
mod config;
mod descriptor;
mod directory;
mod entry;
mod kind;
mod kit;
mod limits;
mod names;
mod node;
mod path;
mod recipe;
mod record;
mod run;

pub use checkpoint::CheckpointHead;
pub use config::{Config, TreeExponents};
pub use crypto::{
    ChunkId, DecodeError, Decoder, Digest, Digester, DomainId, Encoder, Epoch, MemberId, SessionId,
    VaultId,
};
pub use descriptor::{Counts, Descriptor, SnapshotContent};
pub use directory::{
    ChunkEntry, ChunkKind, ChunkRef, Codec, Directory, FrameEntry, PackSplitError, split_pack,
};
pub use entry::{Content, EntryKind, Extra, ExtraAt, FileEntry, Hole, LinkGroup, Timestamp, Xattr};
pub use kind::{Kind, RecordShapeError};
pub use kit::{KIT_BYTES_MAX, Kit, KitError, KitFacts};
pub use limits::*;
pub use names::{LedgerName, NamedObject, VaultNames};
pub use node::{Child, Node, NodeEncoder};
pub use path::{PathKey, PathKeyError};
pub use recipe::{RecipeItem, RecipeNode};
pub use record::{
    CommitBody, EpochKeys, LabelBody, List, ObjectRef, Record, RecordAt, RecordError, RecordHash,
    Ref, ReportBody, SignedRecord, TagsBody,
};
pub use run::{PackListing, Run};

/// The format number of a vault that this program makes and the highest that it knows.
pub const FORMAT_NUMBER: u32 = 1;

/// Numbers the records of a ledger, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Seq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
