//! Vectors of what a snapshot says of files: path keys, entries, extra metadata, descriptors.

use format::{
    ChunkId, Content, Counts, Descriptor, EntryKind, Extra, ExtraAt, FileEntry, Hole, LinkGroup,
    MemberId, PathKey, SnapshotContent, Timestamp, Xattr,
};
use places::Time;

use super::world::SESSION;
use super::{Cases, Set, hex, set, with};

pub(crate) fn add(vectors: &mut Set) {
    path_keys(vectors);
    entries(vectors);
    extras(vectors);
    descriptors(vectors);
}

fn path_keys(vectors: &mut Set) {
    let mut cases = vectors.structure("path-key", &[]);
    for (name, path) in [
        ("root", &b"/"[..]),
        ("one", b"/srv"),
        ("three", b"/srv/data/file"),
        ("escaped", b"/a\x01b/\x02\x03"),
        ("not-utf-8", b"/caf\xe9 \xff"),
        ("dots-within", b"/.../..a/b."),
    ] {
        let key = PathKey::from_path(path).expect("these are paths");
        cases.good(name, "the key of a path", &[("path", hex(path))], key.as_bytes());
    }
    for (name, expect, comment, bytes) in [
        ("no-separator", "not-canonical", "a name without a separator", &b"a"[..]),
        ("empty-name", "invalid", "a name of no bytes", b"\x00"),
        ("empty-first", "invalid", "a first name of no bytes", b"\x01\x00a"),
        ("two-last", "not-canonical", "two last separators", b"\x00a\x00b"),
        ("no-last", "not-canonical", "no last separator", b"\x01a"),
        ("half-escape", "not-canonical", "an escape without its second byte", b"\x00a\x02"),
        ("bad-escape", "not-canonical", "an escape of nothing", b"\x00a\x02\x04"),
        ("dot", "invalid", "a name that is not one", b"\x00."),
        ("dot-dot", "invalid", "a name that leads out", b"\x01..\x00etc"),
        ("slash", "invalid", "a name with a slash", b"\x00a/b"),
    ] {
        cases.bad(name, expect, comment, bytes);
    }
    let long = with(&[0], &[b'x'; 8 << 10]);
    cases.bad("too-long", "limit", "8 KiB and a byte", &long);
}

fn entry() -> FileEntry {
    FileEntry {
        kind: EntryKind::File,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        user: b"user".to_vec(),
        group: b"users".to_vec(),
        mtime: Timestamp { seconds: -1, nanos: 999_999_999 },
        ctime: Timestamp { seconds: 1_780_000_000, nanos: 1 },
        size: 60,
        inode: 9,
        link: None,
        device: 0,
        content: Content::Chunks(vec![(ChunkId::from_bytes([1; 32]), 60)]),
        extra: ExtraAt::None,
    }
}

fn extra() -> Extra {
    Extra {
        target: Vec::new(),
        xattrs: vec![
            Xattr { name: b"user.a".to_vec(), value: b"b".to_vec() },
            Xattr { name: b"user.c".to_vec(), value: Vec::new() },
        ],
        holes: vec![Hole { offset: 0, length: 10 }, Hole { offset: 4096, length: 1 << 30 }],
    }
}

fn entries(vectors: &mut Set) {
    let mut cases = vectors.structure("entry", &[]);
    let bytes = entry().encode();
    let kind = |name: &str| [("type", name.to_string())];
    cases.good("file", "a file of one chunk", &kind("file"), &bytes);
    let holes = |content: u32, extra| FileEntry {
        size: 4096 + (1 << 30) + 100,
        content: Content::Chunks(vec![(ChunkId::from_bytes([1; 32]), content)]),
        extra,
        ..entry()
    };
    let inline = holes(4086 + 100, ExtraAt::Inline(extra()));
    cases.good("file-with-extra", "attributes and holes inline", &kind("file"), &inline.encode());
    let chunk = ExtraAt::Chunk(ChunkId::from_bytes([3; 32]));
    let recipe = Content::Recipe { root: ChunkId::from_bytes([2; 32]), level: 1 };
    let link = Some(LinkGroup { device: 64_768 });
    let large = FileEntry { content: recipe, extra: chunk, link, size: 1 << 40, ..entry() };
    let comment = "a recipe, a hard link, extra in a chunk";
    cases.good("large-file", comment, &kind("file"), &large.encode());
    let folder = FileEntry { kind: EntryKind::Folder, size: 0, content: Content::EMPTY, ..entry() };
    cases.good("folder", "a folder", &kind("folder"), &folder.encode());
    let target = Extra { target: b"../there".to_vec(), ..Extra::default() };
    let symlink = FileEntry {
        kind: EntryKind::Symlink,
        size: 8,
        content: Content::EMPTY,
        extra: ExtraAt::Inline(target),
        ..entry()
    };
    cases.good("symlink", "a symbolic link", &kind("symlink"), &symlink.encode());
    let device = FileEntry {
        kind: EntryKind::CharDevice,
        device: 259,
        size: 0,
        content: Content::EMPTY,
        ..entry()
    };
    cases.good("device", "a character device", &kind("char-device"), &device.encode());
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    // version, type, mode, uid, gid, user, group, mtime, ctime, size, inode, link, device, content
    let (user, mtime, link) = (12, 29, 69);
    let content = link + 1 + 8;
    for (name, expect, at, others) in [
        ("type-0", "invalid", 1, vec![0]),
        ("type-8", "invalid", 1, vec![8]),
        ("mode-above-12-bits", "invalid", 2, vec![0, 0x10]),
        ("user-too-long", "limit", user, vec![33, 0, 0, 0]),
        ("a-thousand-million-nanos", "invalid", mtime + 8, 1_000_000_000u32.to_le_bytes().to_vec()),
        ("link-2", "invalid", link, vec![2]),
        ("content-2", "invalid", content, vec![2]),
        ("nine-chunks", "limit", content + 1, vec![9, 0, 0, 0]),
        ("chunk-of-none", "invalid", content + 37, vec![0; 4]),
        ("chunk-above-16-mib", "invalid", content + 37, vec![1, 0, 0, 1]),
        ("extra-3", "invalid", content + 41, vec![3]),
    ] {
        cases.bad(name, expect, "a field outside its limits", &set(&bytes, at, &others));
    }
    let comment = "a folder with content";
    cases.bad("folder-with-content", "not-canonical", comment, &set(&bytes, 1, &[2]));
    let empty = FileEntry { extra: ExtraAt::Inline(Extra::default()), ..entry() };
    contradictions(&mut cases, &folder, &symlink);
    for (name, content) in [("content-too-short", 4185), ("content-too-long", 4187)] {
        let comment = "content and holes are not the size";
        let bad = holes(content, ExtraAt::Inline(extra()));
        cases.bad(name, "not-canonical", comment, &bad.encode());
    }
    let comment = "extra inline that says nothing";
    cases.bad("empty-extra", "not-canonical", comment, &empty.encode());
    let value = Xattr { name: b"user.x".to_vec(), value: vec![0; 400] };
    let big = Extra { xattrs: vec![value], ..Extra::default() };
    let long = FileEntry { extra: ExtraAt::Inline(big), ..entry() };
    cases.bad("513-bytes-or-more", "limit", "longer than an entry may be", &long.encode());
    let deep = Content::Recipe { root: ChunkId::from_bytes([2; 32]), level: 49 };
    let deep = FileEntry { content: deep, ..entry() };
    cases.bad("recipe-level-49", "invalid", "deeper than any recipe", &deep.encode());
}

/// Fields that are good alone and not together.
fn contradictions(cases: &mut Cases<'_>, folder: &FileEntry, symlink: &FileEntry) {
    let holes = |holes: &[(u64, u64)]| {
        let holes = holes.iter().map(|&(offset, length)| Hole { offset, length }).collect();
        ExtraAt::Inline(Extra { holes, ..Extra::default() })
    };
    let chunk = ExtraAt::Chunk(ChunkId::from_bytes([3; 32]));
    let recipe = || Content::Recipe { root: ChunkId::from_bytes([2; 32]), level: 1 };
    for (name, comment, bad) in [
        ("size-below-content", "a chunk of 60 bytes", FileEntry { size: 59, ..entry() }),
        ("size-above-content", "a chunk of 60 bytes", FileEntry { size: 61, ..entry() }),
        (
            "size-below-content-extra",
            "in any case",
            FileEntry { size: 59, extra: chunk, ..entry() },
        ),
        (
            "recipe-of-none",
            "a recipe of an empty file",
            FileEntry { content: recipe(), size: 0, ..entry() },
        ),
        (
            "hole-beyond-size",
            "a hole that ends behind the file",
            FileEntry { extra: holes(&[(60, 1)]), ..entry() },
        ),
        (
            "only-holes-and-a-recipe",
            "a recipe that has nothing to hold",
            FileEntry { content: recipe(), extra: holes(&[(0, 60)]), ..entry() },
        ),
        (
            "folder-with-holes",
            "a folder has none",
            FileEntry { extra: holes(&[(0, 1)]), ..folder.clone() },
        ),
        ("folder-with-size", "a folder has none", FileEntry { size: 1, ..folder.clone() }),
        (
            "file-with-target",
            "only links have one",
            FileEntry { extra: symlink.extra.clone(), ..entry() },
        ),
        (
            "symlink-without-target",
            "a link needs one",
            FileEntry { extra: ExtraAt::None, ..symlink.clone() },
        ),
        ("file-with-device", "only devices have a number", FileEntry { device: 259, ..entry() }),
    ] {
        cases.bad(name, "not-canonical", comment, &bad.encode());
    }
}

fn extras(vectors: &mut Set) {
    let mut cases = vectors.structure("extra", &[]);
    let bytes = extra().encode();
    let found = [("xattrs", "2".into()), ("holes", "2".into())];
    cases.good("file", "two attributes, two holes", &found, &bytes);
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    let comment = "the fields as in an entry, without a version";
    cases.bad("without-version", "version", comment, &bytes[1..]);
    let with_holes = |holes: &[(u64, u64)]| {
        let holes = holes.iter().map(|&(offset, length)| Hole { offset, length }).collect();
        Extra { holes, ..extra() }.encode()
    };
    for (name, holes) in [
        ("hole-of-none", &[(5, 0)][..]),
        ("holes-touch", &[(0, 5), (5, 1)]),
        ("holes-overlap", &[(0, 5), (4, 9)]),
        ("holes-unsorted", &[(10, 5), (0, 1)]),
        ("hole-beyond-2-64", &[(1, u64::MAX)]),
    ] {
        cases.bad(name, "not-canonical", "holes must be apart and in order", &with_holes(holes));
    }
    let names = |names: &[&[u8]]| {
        let xattr = |name: &&[u8]| Xattr { name: name.to_vec(), value: Vec::new() };
        Extra { xattrs: names.iter().map(xattr).collect(), ..Extra::default() }.encode()
    };
    let unsorted = names(&[b"user.b", b"user.a"]);
    cases.bad("xattrs-unsorted", "not-canonical", "attributes not in order", &unsorted);
    let twice = names(&[b"user.a", b"user.a"]);
    cases.bad("xattr-twice", "not-canonical", "an attribute twice", &twice);
    let long = names(&[&[b'x'; 256]]);
    cases.bad("xattr-name-of-256", "limit", "a name of 256 bytes", &long);
    cases.bad("target-huge", "limit", "a target longer than any", &set(&bytes, 1, &[0xff; 4]));
    cases.bad("xattrs-huge", "limit", "more than 4,096", &set(&bytes, 5, &[1, 16, 0, 0]));
}

fn descriptors(vectors: &mut Set) {
    let good = Descriptor {
        session: SESSION,
        member: MemberId::from_bytes([6; 16]),
        name: "büro".into(),
        paths: vec![b"/home".to_vec(), b"/srv/caf\xe9".to_vec()],
        tags: vec!["daily".into(), "keep".into()],
        start: Time::from_millis(1_780_000_000_000),
        end: Time::from_millis(1_780_000_060_000),
        root: ChunkId::from_bytes([4; 32]),
        content: SnapshotContent::Files,
        counts: Counts { files: 3, folders: 2, others: 1, bytes: 70_000, unreadable: 0 },
    };
    let bytes = good.encode();
    let mut cases = vectors.structure("descriptor", &[]);
    let found = [("name", hex("büro".as_bytes())), ("root", good.root.to_string())];
    cases.good("files", "a snapshot of two folders", &found, &bytes);
    let store = Descriptor { content: SnapshotContent::Store, ..good.clone() };
    cases.good("store", "a snapshot of a store", &found, &store.encode());
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    cases.bad("name-huge", "limit", "a name longer than any", &set(&bytes, 33, &[0xff; 4]));
    let comment = "a byte that is not UTF-8";
    cases.bad("name-not-utf-8", "not-canonical", comment, &set(&bytes, 37, &[0xff]));
    type Change = (&'static str, fn(&mut Descriptor));
    let changes: [Change; 4] = [
        ("paths-unsorted", |d| d.paths.reverse()),
        ("path-twice", |d| d.paths[1] = d.paths[0].clone()),
        ("tags-unsorted", |d| d.tags.reverse()),
        ("tag-twice", |d| d.tags[1] = d.tags[0].clone()),
    ];
    for (name, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        cases.bad(name, "not-canonical", "each once and in order", &bad.encode());
    }
    let content = bytes.len() - 41;
    for (name, code) in [("content-0", 0), ("content-3", 3)] {
        cases.bad(name, "invalid", "neither files nor a store", &set(&bytes, content, &[code]));
    }
}
