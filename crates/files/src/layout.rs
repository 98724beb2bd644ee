//! Where the bytes of a file's data lie in the file, hole by hole.
//!
//! The content of a sparse file is its data without the holes, one after the other. Writing,
//! comparing and reading back all walk the same way through it. DESIGN.md §10.

use std::ops::Range;

use format::{FileEntry, Hole};

use crate::Result;
use crate::content::data_length;
use crate::error::Error;
use crate::extra::data_ranges;

/// The ranges of a file that hold its data, taken from the front.
pub(crate) struct Layout<'a> {
    path: &'a [u8],
    ranges: std::vec::IntoIter<Range<u64>>,
    range: Range<u64>,
    /// How long the data is, and how much of it was taken.
    length: u64,
    taken: u64,
}

impl<'a> Layout<'a> {
    /// Of a file with these holes. `path` is for messages.
    pub(crate) fn new(path: &'a [u8], entry: &FileEntry, holes: &[Hole]) -> Result<Self> {
        let length = data_length(path, entry.size, holes)?;
        let ranges = data_ranges(holes, entry.size).into_iter();
        Ok(Self { path, ranges, range: 0..0, length, taken: 0 })
    }

    /// Where the next `length` bytes of the data lie in the file.
    pub(crate) fn take(&mut self, length: u32) -> Result<Vec<Range<u64>>> {
        let mut left = u64::from(length);
        if left > self.length - self.taken {
            return Err(Error::damaged(self.path, "its chunks are longer than the file"));
        }
        self.taken += left;
        let mut taken = Vec::with_capacity(1);
        while left > 0 {
            if self.range.is_empty() {
                // The ranges are as long as the data, so there is one.
                let Some(next) = self.ranges.next() else { break };
                self.range = next;
            }
            let end = self.range.end.min(self.range.start + left);
            taken.push(self.range.start..end);
            left -= end - self.range.start;
            self.range.start = end;
        }
        Ok(taken)
    }

    /// Checks that all data was taken.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.taken == self.length {
            true => Ok(()),
            false => {
                let (taken, length) = (self.taken, self.length);
                let message = format_args!("its chunks have {taken} bytes, not {length}");
                Err(Error::damaged(self.path, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use format::{Content, EntryKind, ExtraAt, Timestamp};

    fn file(size: u64) -> FileEntry {
        FileEntry {
            kind: EntryKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: Vec::new(),
            group: Vec::new(),
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
            size,
            inode: 1,
            link: None,
            device: 0,
            content: Content::EMPTY,
            extra: ExtraAt::None,
        }
    }

    #[test]
    fn data_is_taken_around_holes_and_neither_more_nor_less_than_there_is() {
        let holes = [Hole { offset: 0, length: 10 }, Hole { offset: 15, length: 5 }];
        let mut layout = Layout::new(b"/f", &file(30), &holes).unwrap();
        assert_eq!(layout.take(3).unwrap().first(), Some(&(10..13)));
        assert_eq!(layout.take(5).unwrap(), [13..15, 20..23]);
        assert!(layout.finish().is_err());
        assert!(layout.take(8).is_err());
        assert_eq!(layout.take(7).unwrap().first(), Some(&(23..30)));
        layout.finish().unwrap();
    }
}
