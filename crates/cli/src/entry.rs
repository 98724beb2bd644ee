//! How an entry of a snapshot is printed: on a line as `ls -l` does, or as an object.
//!
//! `ls`, `find` and `diff` print entries alike, so what reads one reads all.

use serde_json::{Value, json};
use strongroom::{DomainId, EntryKind, FileEntry, ListedEntry, Reader, read_extra};

use crate::exit::Result;
use crate::output::{Fields, fields, put_path, show_path};
use crate::time;

/// Prints entries of one snapshot.
pub(crate) struct EntryPrinter<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) domain: DomainId,
}

impl EntryPrinter<'_> {
    /// Type, mode, owner, size and time, then `shown`, which names the entry.
    pub(crate) fn long_line(&self, listed: &ListedEntry, shown: &str) -> Result<String> {
        let entry = &listed.entry;
        let owner = |name: &[u8], id: u32| match name {
            [] => id.to_string(),
            name => show_path(name),
        };
        let target = match self.target(listed)? {
            Some(target) => format!(" -> {}", show_path(&target)),
            None => String::new(),
        };
        Ok(format!(
            "{}{} {:8} {:8} {:>12} {} {shown}{target}",
            letter(entry.kind),
            permissions(entry.mode),
            owner(&entry.user, entry.uid),
            owner(&entry.group, entry.gid),
            entry.size,
            time::show_file(entry.mtime),
        ))
    }

    /// All of it.
    pub(crate) fn object(&self, listed: &ListedEntry) -> Result<Fields> {
        let mut object = entry_fields(&listed.entry);
        put_path(&mut object, "path", &listed.path);
        if let Some(target) = self.target(listed)? {
            put_path(&mut object, "target", &target);
        }
        Ok(object)
    }

    fn target(&self, listed: &ListedEntry) -> Result<Option<Vec<u8>>> {
        if listed.entry.kind != EntryKind::Symlink {
            return Ok(None);
        }
        Ok(Some(read_extra(self.reader, self.domain, &listed.path, &listed.entry)?.target))
    }
}

/// What an entry is, without its path.
pub(crate) fn entry_fields(entry: &FileEntry) -> Fields {
    fields(json!({
        "type": kind_word(entry.kind),
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.uid,
        "gid": entry.gid,
        "user": String::from_utf8_lossy(&entry.user),
        "group": String::from_utf8_lossy(&entry.group),
        "size": entry.size,
        "mtime": time::show_file_exact(entry.mtime),
    }))
}

/// An entry as a value; null for none.
pub(crate) fn entry_value(entry: Option<&FileEntry>) -> Value {
    entry.map_or(Value::Null, |entry| Value::Object(entry_fields(entry)))
}

fn letter(kind: EntryKind) -> char {
    match kind {
        EntryKind::File => '-',
        EntryKind::Folder => 'd',
        EntryKind::Symlink => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::Socket => 's',
        EntryKind::CharDevice => 'c',
        EntryKind::BlockDevice => 'b',
    }
}

/// The word for programs.
fn kind_word(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Folder => "folder",
        EntryKind::Symlink => "symlink",
        EntryKind::Fifo => "fifo",
        EntryKind::Socket => "socket",
        EntryKind::CharDevice => "char-device",
        EntryKind::BlockDevice => "block-device",
    }
}

/// The nine letters of `ls -l`.
fn permissions(mode: u16) -> String {
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    let mut text = String::with_capacity(9);
    for (index, (bit, with, without)) in special.into_iter().enumerate() {
        let three = mode >> (6 - 3 * index);
        let may_run = three & 1 != 0;
        text.push(if three & 4 != 0 { 'r' } else { '-' });
        text.push(if three & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & bit != 0, may_run) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_shown_as_ls_does() {
        for (mode, text) in [
            (0o755, "rwxr-xr-x"),
            (0o4755, "rwsr-xr-x"),
            (0o6644, "rwSr-Sr--"),
            (0o1777, "rwxrwxrwt"),
            (0o1776, "rwxrwxrwT"),
            (0, "---------"),
        ] {
            assert_eq!(permissions(mode), text);
        }
    }
}
