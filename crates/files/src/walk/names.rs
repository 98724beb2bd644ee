//! The names in one folder, compactly: a million take a few tens of megabytes.
//!
//! All bytes lie in one arena, each name after its length; sorting moves only offsets. Names are
//! taken from the front. Nothing here knows what a name stands for. DESIGN.md §10.

use rustix::fd::AsFd;
use rustix::io::Errno;

/// Names, taken from the front one by one.
#[derive(Default)]
pub(crate) struct Names {
    arena: Vec<u8>,
    /// Where each name's length lies.
    starts: Vec<u32>,
    taken: usize,
}

impl Names {
    /// Adds a name at the end. A name that no file system has, or one beyond 4 GiB of names, is
    /// passed over.
    pub(crate) fn push(&mut self, name: &[u8]) {
        let (Ok(length), Ok(start)) = (u16::try_from(name.len()), u32::try_from(self.arena.len()))
        else {
            return;
        };
        self.starts.push(start);
        self.arena.extend_from_slice(&length.to_le_bytes());
        self.arena.extend_from_slice(name);
    }

    /// Orders all names by their bytes, which is the order of keys too. A name that a file system
    /// gave twice, as the folder changed meanwhile, is kept once.
    pub(crate) fn sort(&mut self) {
        let Self { arena, starts, .. } = self;
        starts.sort_unstable_by_key(|start| name_at(arena, *start));
        starts.dedup_by_key(|start| name_at(arena, *start));
    }

    /// Whether a name is among those that are left, once they are sorted.
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        let left = &self.starts[self.taken..];
        left.binary_search_by(|start| name_at(&self.arena, *start).cmp(name)).is_ok()
    }

    /// Takes the first name.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        let start = *self.starts.get(self.taken)?;
        self.taken += 1;
        Some(name_at(&self.arena, start))
    }

    /// Whether none is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.starts.len()
    }

    /// Drops all names, and their memory.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn name_at(arena: &[u8], start: u32) -> &[u8] {
    let start = start as usize;
    let length = usize::from(u16::from_le_bytes([arena[start], arena[start + 1]]));
    &arena[start + 2..start + 2 + length]
}

/// Adds the names of an open folder, in no order, without `.` and `..`.
#[cfg(target_os = "linux")]
pub(crate) fn read_folder(folder: impl AsFd, names: &mut Names) -> Result<(), Errno> {
    let mut buffer = Vec::with_capacity(32 << 10);
    let mut entries = rustix::fs::RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        push_real(names, entry?.file_name().to_bytes());
    }
    Ok(())
}

/// Adds the names of an open folder, in no order, without `.` and `..`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn read_folder(folder: impl AsFd, names: &mut Names) -> Result<(), Errno> {
    for entry in rustix::fs::Dir::read_from(folder)? {
        push_real(names, entry?.file_name().to_bytes());
    }
    Ok(())
}

fn push_real(names: &mut Names, name: &[u8]) {
    if name != b"." && name != b".." {
        names.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_in_the_order_of_their_bytes() {
        let mut names = Names::default();
        let long = [b'x'; 255];
        for name in [&b"b"[..], b"\xff", b"a\x01", b"a", &long, b"\x01", b"a"] {
            names.push(name);
        }
        names.sort();
        assert!(names.contains(b"a\x01") && !names.contains(b"x"));
        let mut sorted = Vec::new();
        while let Some(name) = names.next() {
            sorted.push(name.to_vec());
        }
        assert_eq!(sorted, [&b"\x01"[..], b"a", b"a\x01", b"b", &long, b"\xff"]);
        assert!(names.is_empty());
    }
}
