//! Cuts bytes at keyed, content-defined boundaries, and judges whether bytes are worth compressing.
//!
//! An edit moves only the boundaries near it, so unchanged content keeps its chunks and is stored
//! once. This crate does no I/O and knows no ids: bytes in, lengths out. DESIGN.md §7.
//!
//! # Where a stream is cut (normative)
//!
//! Let `b[0], …, b[n-1]` be the bytes of one stream (a file, a value). A *position* `p`, 1 ≤ p ≤ n,
//! is the place just after byte `b[p-1]`. All arithmetic on hashes is modulo 2^32.
//!
//! **Gear.** The 128 key bytes are 32 little-endian u32: `low[0..16]`, then `high[0..16]`.
//! `g[x] = low[x mod 16] XOR high[x div 16]` for each byte value `x`.
//!
//! **Hash.** `h(p) = Σ g[b[p-1-k]] · 2^k` for `0 ≤ k < min(32, p)`. Rolling: `h = 2h + g[byte]`,
//! starting from 0; a byte is shifted out after 32 steps, so `h(p)` depends on the 32 bytes before
//! `p` and on nothing else.
//!
//! **Candidates.** With `avg = 2^a`: `p` is a *candidate* when `h(p) < 2^(32-(a-2))`, and a
//! *strong* candidate when `h(p) < 2^(32-(a+2))`, both unsigned.
//!
//! **Cuts.** An empty stream has no chunks. A chunk that starts at `s < n` ends at the first of
//! these that exists, and the next chunk starts there:
//!
//! 1. the smallest strong candidate `p` with `s+min < p ≤ s+avg` and `p ≤ n`;
//! 2. the smallest candidate `p`, strong or not, with `s+avg < p < s+max` and `p ≤ n`;
//! 3. `s+max`, when `s+max ≤ n`;
//! 4. `n`.
//!
//! So every chunk but the last is longer than `min`, none is longer than `max`, and a stream of at
//! most `min` bytes is one chunk. As `min ≥ 64`, every hash that decides a cut covers bytes of that
//! chunk alone: a chunk's end is a function of the content from its start on, however the stream
//! came in and whatever lay before. That is what lets two streams meet again after a difference.
//!
//! **Runs.** Inside a run of one byte value `x`, from its 32nd byte on, `h(p) = -g[x]` throughout.
//! Under almost every key that is no candidate, and the run is cut into chunks of `max`. Under one
//! key in `2^(a+2)` it is a strong candidate (chunks of `min+1`), and in `2^(a-2)` a candidate
//! (chunks of `avg+1`, or less by the former). All are deterministic and deduplicate.
//!
//! # Why not hide chunk lengths here
//!
//! A gear is linear in its key, so who sees many chunk lengths can learn the key. Nobody sees them:
//! packs hide lengths. The key makes cuts differ between vaults and nothing more is asked of it.

pub mod compressibility;
mod cut;
mod gear;
#[cfg(test)]
mod generated;
mod scan;
mod simd;
mod sizes;

pub use cut::{Chunker, Stream, cut_whole};
pub use gear::Gear;
pub use sizes::{AVG_BYTES_MAX, AVG_BYTES_MIN, CHUNK_BYTES_MAX, ChunkSizes, Error, MIN_BYTES_MIN};
