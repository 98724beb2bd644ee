//! The entries between two keys, as an iterator of owned pairs.
//!
//! For who reads much, [`Cursor`] lends what it holds instead.

use crate::{Cursor, Error, NodeSource};
use crypto::ChunkId;
use std::ops::{Bound, RangeBounds};

/// The entries whose keys lie in `keys`, in order.
pub fn range<S: NodeSource>(source: S, root: ChunkId, keys: impl RangeBounds<Vec<u8>>) -> Range<S> {
    let start = match keys.start_bound() {
        Bound::Unbounded => None,
        Bound::Included(key) => Some(key.clone()),
        // The least key that is greater.
        Bound::Excluded(key) => Some([&key[..], &[0]].concat()),
    };
    let end = keys.end_bound().cloned();
    Range { cursor: Cursor::new(source, root), start, end, is_done: false }
}

/// Yields entries in key order; ends after the first error.
pub struct Range<S> {
    cursor: Cursor<S>,
    start: Option<Vec<u8>>,
    end: Bound<Vec<u8>>,
    is_done: bool,
}

impl<S: NodeSource> Range<S> {
    fn step(&mut self) -> Result<Option<Pair>, Error<S::Error>> {
        if let Some(start) = self.start.take() {
            self.cursor.seek(&start)?;
        }
        let end = &self.end;
        let entry = self.cursor.next()?.filter(|(key, _)| match end {
            Bound::Unbounded => true,
            Bound::Included(last) => *key <= &last[..],
            Bound::Excluded(end) => *key < &end[..],
        });
        Ok(entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }
}

impl<S: NodeSource> Iterator for Range<S> {
    type Item = Result<Pair, Error<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let entry = self.step().transpose();
        self.is_done = !matches!(entry, Some(Ok(_)));
        entry
    }
}

type Pair = (Vec<u8>, Vec<u8>);
