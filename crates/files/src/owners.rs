//! Names of users and groups, for their numbers.
//!
//! The two files of the system are read once; who is not in them has an empty name. A restore goes
//! by names where this system has them, else by numbers: so files find their owners on systems with
//! other numbers. Root is root, whatever it is called.
//! Why not ask the C library: its answers come from plug-ins, may take a network's time, and need
//! unsafe code. DESIGN.md §10.

use std::collections::HashMap;
use std::path::Path;

use format::{FileEntry, OWNER_NAME_BYTES_MAX};

/// The names of users and groups.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
}

impl Owners {
    /// The names that this system's files give.
    pub(crate) fn of_system() -> Self {
        let read = |path: &str| std::fs::read(Path::new(path)).unwrap_or_default();
        Self { users: names(&read("/etc/passwd")), groups: names(&read("/etc/group")) }
    }

    pub(crate) fn user(&self, uid: u32) -> &[u8] {
        self.users.get(&uid).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn group(&self, gid: u32) -> &[u8] {
        self.groups.get(&gid).map_or(&[], Vec::as_slice)
    }
}

/// The numbers of users and groups on this system, for their names elsewhere.
#[derive(Debug, Default)]
pub(crate) struct OwnerNumbers {
    users: HashMap<Vec<u8>, u32>,
    groups: HashMap<Vec<u8>, u32>,
}

impl OwnerNumbers {
    /// Knows no name: every number stays as it is.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// The numbers that this system's files give.
    pub(crate) fn of_system() -> Self {
        Self::of(Owners::of_system())
    }

    fn of(owners: Owners) -> Self {
        // Where several numbers have one name, the lowest counts.
        let turned = |names: HashMap<u32, Vec<u8>>| {
            let mut pairs: Vec<_> =
                names.into_iter().map(|(number, name)| (name, number)).collect();
            pairs.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
            pairs.into_iter().collect()
        };
        Self { users: turned(owners.users), groups: turned(owners.groups) }
    }

    /// Whose the entry is here: user and group.
    pub(crate) fn owner(&self, entry: &FileEntry) -> (u32, u32) {
        let find = |numbers: &HashMap<Vec<u8>, u32>, name: &[u8], number: u32| match number {
            0 => 0,
            _ => numbers.get(name).copied().unwrap_or(number),
        };
        let uid = find(&self.users, &entry.user, entry.uid);
        (uid, find(&self.groups, &entry.group, entry.gid))
    }
}

/// Reads lines `name:password:number:…`; the first line of a number counts.
fn names(file: &[u8]) -> HashMap<u32, Vec<u8>> {
    let mut names = HashMap::new();
    for line in file.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else { continue };
        let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
        let fits = (1..=OWNER_NAME_BYTES_MAX).contains(&name.len());
        if let (Some(number), true) = (number, fits) {
            names.entry(number).or_insert_with(|| name.to_vec());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts_and_bad_lines_do_not() {
        let names =
            names(b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:\n+::\nnobody\na:x:-1:\n:x:5:\n");
        assert_eq!(names, HashMap::from([(0, b"root".to_vec())]));
    }
}
