//! Chooses the cuts among the candidates.
//!
//! A candidate is used at once or never: a weak one counts only beyond the average of the chunk it
//! lies in, and a later chunk starts later. So the state of a stream between calls is one number,
//! how much of the undecided chunk has been scanned without finding its end, and no byte is scanned
//! twice. The minimum after a cut is skipped where no scan has reached yet. Normative text: the
//! crate's documentation.

use std::sync::Arc;

use crate::ChunkSizes;
use crate::gear::Gear;
use crate::scan::{SEGMENT_BYTES, Scanner};
use crate::simd::Body;

/// Whether more bytes of a stream follow those handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// More may follow: what is undecided stays with the caller.
    Continues,
    /// Nothing follows: everything is decided.
    Ends,
}

/// Cuts streams, one after another, into chunks. Reused, it allocates nothing; one per thread.
///
/// ```
/// # use std::sync::Arc;
/// # use chunker::{Chunker, ChunkSizes, Gear, Stream};
/// # let gear = Arc::new(Gear::from_bytes(&std::array::from_fn(|i| (i * i) as u8)));
/// # let mut reads = vec![vec![7; 3 << 20], vec![9; 3 << 20]].into_iter();
/// # let mut total = 0;
/// let mut chunker = Chunker::new(gear, ChunkSizes::DEFAULT);
/// let mut buffer = Vec::new();
/// loop {
///     let read = reads.next();
///     let end = if read.is_some() { Stream::Continues } else { Stream::Ends };
///     buffer.extend(read.unwrap_or_default());
///     let mut start = 0;
///     for &length in chunker.cut(&buffer, end) {
///         let chunk = &buffer[start..start + length as usize];
///         start += chunk.len();
///     }
///     buffer.drain(..start);
/// #   total += start;
///     if end == Stream::Ends {
///         break;
///     }
/// }
/// # assert_eq!((buffer.len(), total), (0, 6 << 20));
/// ```
pub struct Chunker {
    gear: Arc<Gear>,
    sizes: ChunkSizes,
    scanner: Scanner,
    /// Bytes that the last call left undecided; the next call begins with them.
    undecided: usize,
    cuts: Vec<u32>,
}

impl Chunker {
    /// A chunker at the start of a stream.
    pub fn new(gear: Arc<Gear>, sizes: ChunkSizes) -> Self {
        Self::with_body(gear, sizes, Body::fastest())
    }

    fn with_body(gear: Arc<Gear>, sizes: ChunkSizes, body: Body) -> Self {
        let scanner = Scanner::new(sizes, body);
        Self { gear, sizes, scanner, undecided: 0, cuts: Vec::new() }
    }

    /// A new stream begins; what was undecided of the last one is forgotten. Needed only where a
    /// stream is given up before its end.
    pub fn reset(&mut self) {
        self.undecided = 0;
    }

    /// Returns the lengths, in bytes and in order, of the chunks at the front of `data` that are
    /// decided; each is at most [`ChunkSizes::max`].
    ///
    /// `data` is the stream from the start of a chunk on. While the stream continues, the bytes
    /// after the returned chunks, at most `max - 1`, are undecided: the next call must begin with
    /// the very same bytes, followed by what came in since, perhaps nothing. They are not scanned
    /// again. When the stream ends, the lengths add up to `data` and the chunker is at the start of
    /// a new stream. The cuts are the same however a stream is divided among calls.
    ///
    /// # Panics
    /// When `data` is shorter than what the last call left undecided.
    pub fn cut(&mut self, data: &[u8], end: Stream) -> &[u32] {
        assert!(
            data.len() >= self.undecided,
            "{} bytes were handed in, but {} were left undecided",
            data.len(),
            self.undecided
        );
        self.cuts.clear();
        let start = self.cut_decided(data);
        let rest = data.len() - start;
        match end {
            Stream::Continues => self.undecided = rest,
            Stream::Ends => {
                self.undecided = 0;
                if rest > 0 {
                    self.cuts.push(rest as u32);
                }
            }
        }
        &self.cuts
    }

    /// Appends the chunks that end by a candidate or by the maximum, and returns where the last of
    /// them ends. What is left is shorter than the maximum.
    fn cut_decided(&mut self, data: &[u8]) -> usize {
        let min = self.sizes.min() as usize;
        let avg = self.sizes.avg() as usize;
        let max = self.sizes.max() as usize;
        let mut start = 0;
        let mut scanned = self.undecided;
        loop {
            // Positions up to `from` are settled; a chunk's first `min` can never be its end.
            let from = scanned.max(start + min);
            if from >= data.len() {
                return start;
            }
            let to = data.len().min(from + SEGMENT_BYTES).min(start + max);
            for candidate in self.scanner.scan(&self.gear, data, from..to) {
                let position = from + candidate.end as usize;
                let length = position - start;
                if length > avg || (length > min && candidate.strong) {
                    self.cuts.push(length as u32);
                    start = position;
                }
            }
            if to - start == max {
                self.cuts.push(max as u32);
                start = to;
            }
            scanned = to;
        }
    }
}

/// Cuts a stream that is in memory as a whole: the lengths of its chunks, in bytes and in order.
pub fn cut_whole(gear: &Arc<Gear>, sizes: ChunkSizes, data: &[u8]) -> Vec<u32> {
    let mut chunker = Chunker::new(Arc::clone(gear), sizes);
    chunker.cut(data, Stream::Ends);
    chunker.cuts
}

#[cfg(test)]
mod tests;
