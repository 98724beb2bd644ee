//! What a file has beside its content: link target, extended attributes, holes.
//!
//! ACLs are extended attributes. Of the name spaces, `user.`, `trusted.`, POSIX ACLs and
//! capabilities are kept; other `security.` and `system.` attributes belong to the machine, not to
//! the file. A file system without attributes has none, which is no problem. DESIGN.md §10.

use format::{EXTRA_BYTES_MAX, Extra, HOLES_MAX, Hole, XATTR_BYTES_MAX, XATTRS_MAX, Xattr};
use rustix::fd::AsFd;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// The attributes of an open file, in the order of their names.
pub(crate) fn xattrs_of(file: impl AsFd) -> Result<Vec<Xattr>, Errno> {
    let file = file.as_fd();
    read_xattrs(
        |buffer| rustix::fs::flistxattr(file, buffer),
        |name, buffer| rustix::fs::fgetxattr(file, name, buffer),
    )
}

/// The attributes of what cannot be opened for reading: links, pipes, sockets, devices.
#[cfg(target_os = "linux")]
pub(crate) fn xattrs_at(folder: impl AsFd, name: &[u8]) -> Result<Vec<Xattr>, Errno> {
    let path = path_through_proc(folder, name);
    let path = &path[..];
    let read = read_xattrs(
        |buffer| rustix::fs::llistxattr(path, buffer),
        |name, buffer| rustix::fs::lgetxattr(path, name, buffer),
    );
    match read {
        // The file vanished, or there is no /proc: nothing can be known.
        Err(Errno::NOENT) => Ok(Vec::new()),
        other => other,
    }
}

/// Elsewhere these are not read.
#[cfg(not(target_os = "linux"))]
pub(crate) fn xattrs_at(_folder: impl AsFd, _name: &[u8]) -> Result<Vec<Xattr>, Errno> {
    Ok(Vec::new())
}

/// A path to `name` in an open folder, for calls that know only paths.
#[cfg(target_os = "linux")]
pub(crate) fn path_through_proc(folder: impl AsFd, name: &[u8]) -> Vec<u8> {
    use std::os::fd::AsRawFd;
    let mut path = format!("/proc/self/fd/{}/", folder.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

fn read_xattrs(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<Xattr>, Errno> {
    let mut small = [0; 1024];
    let mut large = Vec::new();
    let names = match list(&mut small) {
        Ok(0) | Err(Errno::NOTSUP | Errno::NODATA) => return Ok(Vec::new()),
        Ok(length) => &small[..length],
        Err(Errno::RANGE) => {
            large.resize(LIST_BYTES_MAX, 0);
            let length = list(&mut large)?;
            &large[..length]
        }
        Err(error) => return Err(error),
    };
    let mut xattrs = Vec::new();
    let mut bytes = 0;
    for name in names.split(|byte| *byte == 0).filter(|name| is_kept(name)) {
        let Some(value) = read_value(name, &get)? else { continue };
        bytes += name.len() + value.len() + 8;
        if xattrs.len() == XATTRS_MAX || bytes > EXTRA_BYTES_MAX / 4 {
            return Err(Errno::TOOBIG);
        }
        xattrs.push(Xattr { name: name.to_vec(), value });
    }
    xattrs.sort_by(|a, b| a.name.cmp(&b.name));
    xattrs.dedup_by(|a, b| a.name == b.name);
    Ok(xattrs)
}

/// The names of those attributes of a file that are kept; none where they cannot be listed.
pub(crate) fn kept_names(list: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Vec<Vec<u8>> {
    let mut small = [0; 1024];
    let mut large = Vec::new();
    let names = match list(&mut small) {
        Ok(length) => &small[..length],
        Err(Errno::RANGE) => {
            large.resize(LIST_BYTES_MAX, 0);
            let length = list(&mut large).unwrap_or(0);
            &large[..length]
        }
        Err(_) => return Vec::new(),
    };
    let names = names.split(|byte| *byte == 0).filter(|name| is_kept(name));
    names.map(<[u8]>::to_vec).collect()
}

/// Linux lists at most this many bytes of names.
const LIST_BYTES_MAX: usize = 64 << 10;

/// An attribute's value; `None` when it is gone, or not for this user to read.
fn read_value(
    name: &[u8],
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = vec![0; 256];
    loop {
        match get(name, &mut value) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(Errno::RANGE) if value.len() < XATTR_BYTES_MAX => {
                value.resize(value.len() * 16, 0);
            }
            Err(Errno::RANGE) => return Err(Errno::TOOBIG),
            Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Whether attributes of this name are kept.
pub(crate) fn is_kept(name: &[u8]) -> bool {
    let spaces: [&[u8]; 3] = [b"user.", b"trusted.", b"system.posix_acl_"];
    name.len() <= 255 && (name == CAPABILITY || spaces.iter().any(|space| name.starts_with(space)))
}

/// The attribute that gives a program rights, as setuid does.
pub(crate) const CAPABILITY: &[u8] = b"security.capability";

/// Where a file of this size has no data, in order. More than [`HOLES_MAX`] are not looked for:
/// what follows counts as data, and reads as zeros.
pub(crate) fn holes_of(file: impl AsFd, size: u64) -> Vec<Hole> {
    let file = file.as_fd();
    let mut holes = Vec::new();
    let mut at = 0;
    while at < size && holes.len() < HOLES_MAX {
        let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            Err(Errno::NXIO) => size,
            // This file system knows no holes.
            Err(_) => return Vec::new(),
        };
        if data > at {
            holes.push(Hole { offset: at, length: data - at });
        }
        if data == size {
            break;
        }
        at = match rustix::fs::seek(file, SeekFrom::Hole(data)) {
            Ok(hole) if hole > data => hole,
            _ => break,
        };
    }
    holes
}

/// The ranges of a file that hold data: all but the holes. Empty ranges are left out.
pub(crate) fn data_ranges(holes: &[Hole], size: u64) -> Vec<std::ops::Range<u64>> {
    let mut ranges = Vec::with_capacity(holes.len() + 1);
    let mut at = 0;
    for hole in holes {
        if hole.offset > at {
            ranges.push(at..hole.offset.min(size));
        }
        at = hole.offset.saturating_add(hole.length);
    }
    if at < size {
        ranges.push(at..size);
    }
    ranges
}

/// Extra metadata that holds only these attributes.
pub(crate) fn with_xattrs(xattrs: Vec<Xattr>) -> Extra {
    Extra { xattrs, ..Extra::default() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn holes_are_found_and_what_is_left_is_the_data() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 << 20).unwrap();
        file.write_all_at(&[1; 4096], 1 << 20).unwrap();

        let holes = holes_of(&file, 4 << 20);

        if holes.is_empty() {
            return; // This file system knows no holes.
        }
        let mebibyte = 1 << 20;
        let ranges = data_ranges(&holes, 4 * mebibyte);
        assert!(ranges.iter().any(|range| range.contains(&mebibyte)), "{ranges:?}");
        let data: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        let hole: u64 = holes.iter().map(|hole| hole.length).sum();
        assert_eq!(data + hole, 4 * mebibyte);
        assert!(hole >= 3 * mebibyte, "{holes:?}");
        let extra = Extra { holes, ..Extra::default() };
        assert_eq!(Extra::decode(&extra.encode()), Ok(extra));
    }

    #[test]
    fn a_file_without_holes_is_one_range() {
        assert_eq!(data_ranges(&[], 5).first(), Some(&(0..5)));
        assert_eq!(data_ranges(&[], 5).len(), 1);
        assert!(data_ranges(&[], 0).is_empty());
        assert!(data_ranges(&[Hole { offset: 0, length: 9 }], 9).is_empty());
        assert_eq!(data_ranges(&[Hole { offset: 2, length: 3 }], 9), [0..2, 5..9]);
    }

    #[test]
    fn attributes_come_in_the_order_of_their_names_whatever_their_size() {
        let file = tempfile::tempfile().unwrap();
        let set = |name: &str, value: &[u8]| {
            rustix::fs::fsetxattr(&file, name, value, rustix::fs::XattrFlags::empty())
        };
        if set("user.zebra", b"z") == Err(Errno::NOTSUP) {
            return;
        }
        set("user.ant", &[7; 1000]).unwrap();
        set("user.empty", b"").unwrap();

        let xattrs = xattrs_of(&file).unwrap();

        let names: Vec<_> = xattrs.iter().map(|x| (&x.name[..], x.value.len())).collect();
        let expected: [(&[u8], usize); 3] =
            [(b"user.ant", 1000), (b"user.empty", 0), (b"user.zebra", 1)];
        assert_eq!(names, expected);
    }
}
