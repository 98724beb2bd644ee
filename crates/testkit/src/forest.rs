//! Grows trees of files from a seed: plain ones, and ones with everything that POSIX allows.
//!
//! Trees are small, for deleting many small files is slow. Times are set, so that two trees from
//! one seed are equal to the nanosecond.

use std::ffi::OsStr;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};

/// How unpleasant a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nastiness {
    /// Folders and files of text.
    Plain,
    /// Every type of file, names that are no text, holes, links, attributes.
    Nasty,
}

/// Grows trees from a seed.
pub struct Forest {
    state: u64,
}

impl Forest {
    /// A forest of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// Grows a tree of about `files` files below `root`, which is made.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn grow(&mut self, root: &Path, files: usize, nastiness: Nastiness) -> std::io::Result<()> {
        fs::create_dir_all(root)?;
        let folders: Vec<_> = (0..files.div_ceil(8))
            .map(|n| root.join(format!("folder-{}", n % 7)).join(format!("sub-{n}")))
            .collect();
        for folder in &folders {
            fs::create_dir_all(folder)?;
        }
        for number in 0..files {
            let folder = &folders[number % folders.len()];
            let length = self.length();
            let content = self.text(length);
            fs::write(folder.join(format!("file-{number}.txt")), content)?;
        }
        if nastiness == Nastiness::Nasty {
            self.grow_nasty(&root.join("nasty"))?;
        }
        self.set_times(root)
    }

    /// `length` bytes that do not compress.
    pub fn noise(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// `length` bytes that do.
    pub fn text(&mut self, length: usize) -> Vec<u8> {
        const WORDS: [&str; 8] =
            ["vault ", "ledger ", "chunk ", "pack ", "snapshot ", "key ", "session\n", "tree "];
        let mut bytes = Vec::with_capacity(length + 16);
        while bytes.len() < length {
            let word = WORDS[(self.next() >> 7) as usize % WORDS.len()];
            bytes.extend_from_slice(word.as_bytes());
            if self.next().is_multiple_of(16) {
                bytes.extend_from_slice(self.next().to_string().as_bytes());
            }
        }
        bytes.truncate(length);
        bytes
    }

    fn grow_nasty(&mut self, root: &Path) -> std::io::Result<()> {
        fs::create_dir_all(root.join("empty folder"))?;
        fs::write(root.join("empty"), b"")?;
        fs::write(root.join("one byte"), b"x")?;
        fs::write(root.join(OsStr::from_bytes(b"no \xff\xfe text \x01\x02")), b"bytes")?;
        fs::write(root.join("n".repeat(255)), b"a name of 255 bytes")?;
        fs::write(root.join("big"), self.noise(3_000_000))?;
        fs::write(root.join("linked-1"), self.noise(5000))?;
        fs::hard_link(root.join("linked-1"), root.join("linked-2"))?;
        fs::create_dir_all(root.join("other"))?;
        fs::hard_link(root.join("linked-1"), root.join("other/linked-3"))?;
        symlink("big", root.join("link"))?;
        symlink("/nowhere/at all", root.join("dangling"))?;
        symlink(OsStr::from_bytes(&[b'l'; 1000]), root.join("long link"))?;
        rustix::fs::mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::from(0o640), 0)?;
        rustix::fs::mknodat(CWD, root.join("socket"), FileType::Socket, Mode::from(0o600), 0)?;
        self.grow_sparse(&root.join("sparse"))?;
        self.grow_deep(&root.join("deep"))?;
        let attributed = root.join("attributed");
        fs::write(&attributed, b"with attributes")?;
        // Not every file system has them; a tree without is a tree all the same.
        let _ =
            rustix::fs::setxattr(&attributed, "user.note", b"\x00binary\xff", XattrFlags::empty());
        let modes =
            [("empty", 0o000), ("one byte", 0o4755), ("big", 0o2644), ("empty folder", 0o1777)];
        for (name, mode) in modes {
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    fn grow_sparse(&mut self, path: &Path) -> std::io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(path)?;
        for offset in [1 << 20, 40 << 20] {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&self.noise(8192))?;
        }
        file.set_len(64 << 20)
    }

    fn grow_deep(&mut self, path: &Path) -> std::io::Result<()> {
        let mut folder = path.to_path_buf();
        for depth in 0..12 {
            folder.push(format!("{depth:0>80}"));
        }
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("bottom"), b"deep")
    }

    /// Sets every time in the tree, from the leaves up.
    fn set_times(&mut self, path: &Path) -> std::io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_dir() {
            let entries: std::io::Result<Vec<_>> =
                fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
            let mut entries = entries?;
            entries.sort();
            for entry in entries {
                self.set_times(&entry)?;
            }
        }
        let time = Timespec {
            tv_sec: 1_500_000_000 + (self.next() >> 36) as i64,
            tv_nsec: (self.next() % 1_000_000_000) as i64,
        };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }

    fn length(&mut self) -> usize {
        match self.next() % 10 {
            0 => 0,
            1..=6 => (self.next() % 5_000) as usize,
            7 | 8 => (self.next() % 60_000) as usize,
            _ => (self.next() % 400_000) as usize,
        }
    }

    /// Marsaglia, "Xorshift RNGs" (2003), with a multiplication.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
