//! Vectors of tree and recipe nodes, and of the rule that ends them.

use std::sync::Arc;

use crypto::Keyring;
use format::{Child, ChunkId, NodeEncoder, RecipeItem, RecipeNode, TreeExponents};
use tree::Boundary;

use super::world::{DOMAIN, SUITE, World};
use super::{Set, flip, hex, set, splice, with};

pub(crate) fn add(vectors: &mut Set) {
    nodes(vectors);
    children(vectors);
    recipes(vectors);
    boundaries(vectors);
}

fn leaf(count: u32) -> Vec<u8> {
    let mut encoder = NodeEncoder::new(0);
    for number in 0..count {
        encoder.push(format!("key {number:03}").as_bytes(), &[number as u8; 2]);
    }
    encoder.take()
}

fn nodes(vectors: &mut Set) {
    let mut cases = vectors.structure("node", &[]);
    // Header 6; the first entry 4 + 7 + 4 + 2, the next ones share 6 bytes.
    let bytes = leaf(18);
    let found = |level: u8, entries: u32, first: &[u8], last: &[u8]| {
        [
            ("level", level.to_string()),
            ("entries", entries.to_string()),
            ("first-key", hex(first)),
            ("last-key", hex(last)),
        ]
    };
    let comment = "18 entries, restarts at 0 and 16";
    cases.good("leaf", comment, &found(0, 18, b"key 000", b"key 017"), &bytes);
    let comment = "the empty map";
    cases.good("empty-leaf", comment, &[("level", "0".into()), ("entries", "0".into())], &leaf(0));
    let mut encoder = NodeEncoder::new(1);
    for (key, number) in [(&b""[..], 1u8), (b"m", 2)] {
        let child = Child { id: ChunkId::from_bytes([number; 32]), count: 5, bytes: 100 };
        encoder.push(key, &child.encode());
    }
    let interior = encoder.take();
    let comment = "two children; the first one's last key is empty";
    cases.good("interior", comment, &found(1, 2, b"", b"m"), &interior);
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    let comment = "deeper than any tree";
    cases.bad("level-49", "invalid", comment, &set(&bytes, 1, &[49]));
    cases.bad("count-huge", "limit", "more entries than fit", &set(&bytes, 2, &[0xff; 4]));
    let comment = "one entry less than there are: the restarts come too early";
    cases.bad("count-one-less", "invalid", comment, &set(&bytes, 2, &[17]));
    let comment = "the first entry shares a byte with none before it";
    cases.bad("shared-at-start", "invalid", comment, &set(&bytes, 6, &[1]));
    let second = 6 + 17;
    let comment = "more shared bytes than the key before has";
    cases.bad("shared-too-many", "invalid", comment, &set(&bytes, second, &[8]));
    // "key 001" written with 5 shared bytes and "01" instead of 6 and "1".
    let less = splice(&bytes, second..second + 5, &[5, 0, 2, 0, b'0', b'1']);
    cases.bad("shared-too-few", "not-canonical", "a byte more could be shared", &less);
    let comment = "the second key equals the first";
    cases.bad("key-twice", "not-canonical", comment, &set(&bytes, second + 4, b"0"));
    let last = bytes.len() - 8;
    cases.bad("first-restart", "invalid", "a restart offset", &flip(&bytes, last));
    cases.bad("second-restart", "invalid", "a restart offset", &flip(&bytes, last + 4));
    let third = second + 11;
    let comment = "the third key is less than the second";
    cases.bad("keys-fall", "not-canonical", comment, &set(&bytes, third + 4, b"0"));
    let mut one = NodeEncoder::new(0);
    one.push(&[b'k'; 8 << 10], b"");
    let longest = one.take();
    let comment = "a key of 8 KiB";
    let key = vec![b'k'; 8 << 10];
    cases.good("longest-key", comment, &found(0, 1, &key, &key), &longest);
    let mut longer = set(&longest, 8, &[1, 0x20]);
    longer.insert(10, b'k');
    cases.bad("key-too-long", "invalid", "a key of 8 KiB and a byte", &longer);
    let comment = "a value longer than any";
    cases.bad("value-too-long", "limit", comment, &set(&bytes, 6 + 4 + 7, &[1, 0, 1, 0]));
}

fn children(vectors: &mut Set) {
    let child = Child { id: ChunkId::from_bytes([4; 32]), count: 5, bytes: 100 };
    let mut cases = vectors.structure("child", &[]);
    let found = [("count", "5".into()), ("bytes", "100".into())];
    cases.good("one", "the value above a node of 5 entries", &found, &child.encode());
    cases.bad_ends(&child.encode());
}

fn recipes(vectors: &mut Set) {
    let item = |number: u8, length| RecipeItem { id: ChunkId::from_bytes([number; 32]), length };
    let node = |level, items: &[RecipeItem]| RecipeNode { level, items: items.to_vec() }.encode();
    let items = [item(1, 1 << 20), item(2, 300_000), item(1, 1)];
    let bytes = node(0, &items);
    let mut cases = vectors.structure("recipe", &[]);
    let found = [("level", "0".into()), ("length", "1348577".into())];
    cases.good("leaf", "three chunks, the first and last one equal in name", &found, &bytes);
    let found = [("level", "1".into()), ("length", (1u64 << 40).to_string())];
    cases.good("interior", "a node below of a TiB", &found, &node(1, &[item(3, 1 << 40)]));
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    cases.bad("level-49", "invalid", "deeper than any recipe", &set(&bytes, 1, &[49]));
    cases.bad("none", "not-canonical", "no items", &node(0, &[]));
    cases.bad("length-0", "invalid", "an item of no bytes", &node(0, &[item(1, 0)]));
    let comment = "the lengths' sum passes 2^64";
    let overflow = node(1, &[item(1, u64::MAX), item(2, 1)]);
    cases.bad("sum-overflows", "not-canonical", comment, &overflow);
    cases.bad("count-huge", "limit", "more items than fit", &set(&bytes, 2, &[0xff; 4]));
    let more = with(&bytes, &[0; 39]);
    cases.bad("part-of-an-item", "trailing", "a part of an item follows", &more);
}

fn boundaries(vectors: &mut Set) {
    let world = World::new(70);
    let keyring = Keyring::owner(world.root.duplicate(), SUITE);
    let key = keyring.tree(DOMAIN).expect("an owner has every key");
    let (leaf, interior) = TreeExponents::DEFAULT.files;
    let boundary = Boundary::new(Arc::new(key), leaf, interior);
    let mut lines = Vec::new();
    for (level, entries, start, step) in
        [(0u8, 1u64, 0u64, 640u64), (1, 2, 0, 1100), (2, 1, 0, 3000)]
    {
        for number in 0..60u64 {
            let key = (number * 0x9e37_79b9 + u64::from(level)).to_le_bytes();
            let (before, weight) = (start + number * step, 8 + 90 + number);
            let cut = boundary.cut(level, entries, before, &key, weight);
            let cut = if cut { "cut" } else { "go-on" };
            lines.push(format!("{level} {entries} {before} {weight} {} {cut}", hex(&key)));
        }
    }
    let fields = [
        world.root_field(),
        ("domain", DOMAIN.to_string()),
        ("leaf-exponent", leaf.to_string()),
        ("interior-exponent", interior.to_string()),
    ];
    let comment =
        "each line: level, entries with this one, weight before, its weight, key, verdict";
    vectors.structure("boundary", &fields).table("file-tree", comment, &lines);
}
