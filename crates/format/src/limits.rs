//! The limits of the format, each named once, unit last.
//!
//! A decoder checks them before the allocation they protect, an encoder's caller before it builds.
//! Relations between them are asserted when this file is compiled. FORMAT.md §15.

/// The longest object.
pub const OBJECT_BYTES_MAX: u64 = 4 << 30;
/// The smallest pack size that a vault may choose.
pub const PACK_BYTES_MIN: u32 = 4 << 20;
/// The largest pack size that a vault may choose.
pub const PACK_BYTES_MAX: u32 = 512 << 20;
/// The pack size of a vault that chooses none.
pub const PACK_BYTES_DEFAULT: u32 = 32 << 20;
/// The longest chunk, before compression.
pub const CHUNK_BYTES_MAX: u32 = 16 << 20;
/// Small chunks are put into one frame until it holds this much.
pub const FRAME_BYTES_TARGET: u32 = 256 << 10;
/// The longest frame, before compression.
pub const FRAME_BYTES_MAX: u32 = CHUNK_BYTES_MAX;
/// The most chunks in one frame.
pub const FRAME_CHUNKS_MAX: usize = 1 << 16;
/// The most frames in one pack.
pub const PACK_FRAMES_MAX: usize = 1 << 20;
/// The most packs that one index run lists.
pub const RUN_PACKS_MAX: usize = 1 << 16;
/// The longest key of a tree.
pub const TREE_KEY_BYTES_MAX: usize = 8 << 10;
/// The longest path of a file, escaped.
pub const PATH_BYTES_MAX: usize = 8 << 10;
/// The longest value of a file entry; what is longer goes to a metadata chunk.
pub const ENTRY_BYTES_MAX: usize = 512;
/// The longest value in any tree.
pub const TREE_VALUE_BYTES_MAX: usize = 64 << 10;
/// The longest node of a tree: four times the largest target, plus one entry and what frames it.
pub const NODE_BYTES_MAX: usize = 512 << 10;
/// The longest index run: longer than the directory of the largest pack.
pub const RUN_BYTES_MAX: u64 = 512 << 20;
/// The deepest tree.
pub const TREE_DEPTH_MAX: u8 = 48;
/// A file of more chunks than this names them in a recipe.
pub const CHUNKS_INLINE_MAX: usize = 8;
/// The longest record of the ledger.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// The shortest record of the ledger; longer ones are padded to the next power of 4 of it.
pub const RECORD_BYTES_MIN: usize = 1 << 10;
/// The most items of a list that lies in an object of its own.
pub const LIST_ITEMS_MAX: usize = 1 << 22;
/// The longest list object.
pub const LIST_BYTES_MAX: u64 = 256 << 20;
/// The most key slots of a vault.
pub const SLOTS_MAX: usize = 64;
/// The longest key slot.
pub const SLOT_BYTES_MAX: u64 = 1 << 20;
/// The longest config.
pub const CONFIG_BYTES_MAX: usize = 4 << 10;
/// A member's certificate.
pub const CERTIFICATE_BYTES_MAX: usize = 4 << 10;
/// The longest label, name of a source, or tag.
pub const LABEL_BYTES_MAX: usize = 255;
/// The most tags of a snapshot.
pub const TAGS_MAX: usize = 256;
/// The most paths of a snapshot.
pub const PATHS_MAX: usize = 4096;
/// The longest descriptor of a snapshot.
pub const DESCRIPTOR_BYTES_MAX: usize = 1 << 20;
/// The longest extra metadata of one file: link target, attributes, holes.
pub const EXTRA_BYTES_MAX: usize = CHUNK_BYTES_MAX as usize;
/// The most extended attributes of one file.
pub const XATTRS_MAX: usize = 4096;
/// The longest value of an extended attribute.
pub const XATTR_BYTES_MAX: usize = 1 << 20;
/// The most holes of one file.
pub const HOLES_MAX: usize = 1 << 19;
/// The longest user or group name.
pub const OWNER_NAME_BYTES_MAX: usize = 32;
/// How many records the longest bundles hold.
pub const BUNDLE_RECORDS: u64 = 1024;
/// How many records bundles may hold, the longest first. Each is a multiple of the next.
pub const BUNDLE_SPANS: [u64; 3] = [BUNDLE_RECORDS, 128, 16];
/// The longest text of a report.
pub const REPORT_BYTES_MAX: usize = 64 << 10;

const _: () = assert!(CHUNK_BYTES_MAX < PACK_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_TARGET <= FRAME_BYTES_MAX);
const _: () = assert!(PATH_BYTES_MAX <= TREE_KEY_BYTES_MAX);
const _: () = assert!(ENTRY_BYTES_MAX <= TREE_VALUE_BYTES_MAX);
const _: () = assert!(EXTRA_BYTES_MAX <= CHUNK_BYTES_MAX as usize);
const _: () = assert!(HOLES_MAX * 16 <= EXTRA_BYTES_MAX);
