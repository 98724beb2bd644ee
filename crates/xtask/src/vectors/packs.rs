//! Vectors of what lies in packs and index runs: directories, frames, listings.

use crypto::{Digest, Keyring, ObjectKind, SessionId};
use format::{
    ChunkEntry, ChunkId, ChunkKind, ChunkRef, Codec, Directory, FrameEntry, PackListing, Run,
};

use super::world::{DOMAIN, EPOCH, SESSION, SUITE, World};
use super::{Set, flip, hex, set, splice};

pub(crate) fn add(vectors: &mut Set) {
    chunk_ids(vectors);
    directories(vectors);
    packs(vectors);
    runs(vectors);
}

fn chunk_ids(vectors: &mut Set) {
    let world = World::new(60);
    let keyring = Keyring::owner(world.root.duplicate(), SUITE);
    let held = "an owner has every key";
    let content = keyring.content_names(DOMAIN).expect(held);
    let nodes = keyring.node_names(DOMAIN).expect(held);
    let mut lines = Vec::new();
    for kind in (1..=7).filter_map(ChunkKind::from_code) {
        let key = if kind.is_content() { &content } else { &nodes };
        for plain in [&b""[..], b"x", b"a chunk", &[7; 1500]] {
            let shown = if plain.is_empty() { "-".into() } else { hex(plain) };
            lines.push(format!("{} {shown} {}", kind.code(), key.name(kind.code(), plain)));
        }
    }
    let fields = [world.root_field(), ("domain", DOMAIN.to_string())];
    let comment = "each line: kind, plaintext (- is none), chunk id";
    vectors.structure("chunk-id", &fields).table("all", comment, &lines);
}

fn chunk(kind: ChunkKind, number: u8, length: u32) -> ChunkEntry {
    ChunkEntry { chunk: ChunkRef { kind, id: ChunkId::from_bytes([number; 32]) }, length }
}

fn frame(codec: Codec, stored_length: u32, chunks: Vec<ChunkEntry>) -> FrameEntry {
    FrameEntry { codec, stored_length, chunks }
}

fn directory(kind: ChunkKind) -> Directory {
    Directory {
        frames: vec![
            frame(Codec::Zstd, 10, vec![chunk(kind, 1, 7), chunk(kind, 2, 9)]),
            frame(Codec::None, 5, vec![chunk(kind, 3, 5)]),
        ],
    }
}

fn directories(vectors: &mut Set) {
    let mut cases = vectors.structure("directory", &[]);
    let good = directory(ChunkKind::Content);
    let bytes = good.encode();
    let found = [("frames", "2".into()), ("chunks", "3".into())];
    cases.good("two-frames", "a zstd frame of two chunks, a raw one of one", &found, &bytes);
    let found = [("frames", "0".into()), ("chunks", "0".into())];
    cases.good("none", "no frames", &found, &Directory::default().encode());
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    cases.bad("frames-huge", "limit", "more frames than allowed", &set(&bytes, 1, &[0xff; 4]));
    let comment = "more frames than there are bytes for";
    cases.bad("frames-too-many", "short", comment, &set(&bytes, 1, &[200, 0, 0, 0]));
    cases.bad("codec-2", "invalid", "no codec has the code 2", &set(&bytes, 5, &[2]));
    cases.bad("chunk-kind-0", "invalid", "no chunk has the kind 0", &set(&bytes, 14, &[0]));
    cases.bad("chunk-kind-8", "invalid", "no chunk has the kind 8", &set(&bytes, 14, &[8]));
    type Change = (&'static str, &'static str, fn(&mut FrameEntry));
    let changes: [Change; 8] = [
        ("no-chunks", "a frame without chunks", |f| f.chunks.clear()),
        ("zstd-not-shorter", "a zstd frame as long as its chunks", |f| f.stored_length = 16),
        ("zstd-of-none", "a zstd frame of no bytes", |f| f.stored_length = 0),
        ("chunk-of-none", "a chunk of no bytes", |f| f.chunks[0].length = 0),
        ("raw-too-short", "a raw frame shorter than its chunks", |f| f.codec = Codec::None),
        ("chunk-above-16-mib", "a chunk of 16 MiB and a byte", |f| {
            f.chunks[0].length = (16 << 20) + 1;
        }),
        ("frame-above-16-mib", "chunks of 16 MiB and a byte together", |f| {
            f.chunks[0].length = 16 << 20;
            f.chunks[1].length = 1;
        }),
        ("raw-too-long", "a raw frame longer than its chunks", |f| {
            f.codec = Codec::None;
            f.stored_length = 17;
        }),
    ];
    for (name, comment, change) in changes {
        let mut bad = good.clone();
        change(&mut bad.frames[0]);
        cases.bad(name, "invalid", comment, &bad.encode());
    }
    let mut many = good;
    many.frames[0].chunks = vec![chunk(ChunkKind::Content, 1, 8); 3];
    let bytes = set(&many.encode(), 10, &[1, 0, 1, 0]);
    cases.bad("chunks-too-many", "limit", "65,537 chunks in a frame", &bytes);
}

fn packs(vectors: &mut Set) {
    let fields = [("kind", ObjectKind::MetadataPack.to_u8().to_string())];
    let mut cases = vectors.structure("pack-payload", &fields);
    let payload = |directory: &Directory| {
        let directory = directory.encode();
        let trailer = Directory::encode_trailer(directory.len());
        [&[0xaa; 15][..], &directory, &trailer].concat()
    };
    let bytes = payload(&directory(ChunkKind::Node));
    let found = [("frames-length", "15".into())];
    cases.good("two-frames", "15 bytes of frames, directory, length", &found, &bytes);
    cases.bad("three-bytes", "short", "too short for a length", &bytes[..3]);
    let end = bytes.len();
    let comment = "the directory would begin before the payload";
    cases.bad("directory-too-long", "invalid", comment, &set(&bytes, end - 4, &[0xff; 4]));
    let comment = "the directory's length is one less";
    let less = set(&bytes, end - 4, &[bytes[end - 4] - 1]);
    cases.bad("directory-one-less", "version", comment, &less);
    cases.bad("frames-one-less", "invalid", "a byte of frames is missing", &bytes[1..]);
    let comment = "chunks of content in a metadata pack";
    cases.bad("content-in-metadata", "invalid", comment, &payload(&directory(ChunkKind::Content)));
    let mut mixed = directory(ChunkKind::Node);
    mixed.frames[1].chunks[0].chunk.kind = ChunkKind::Body;
    let comment = "one store's body among nodes";
    cases.bad("one-alien", "invalid", comment, &payload(&mixed));
    let more = splice(&bytes, 0..0, &[0xaa]);
    cases.bad("frames-one-more", "invalid", "a byte of frames too many", &more);
}

fn runs(vectors: &mut Set) {
    let listing = |number: u8, kind: ObjectKind, chunk: ChunkKind| PackListing {
        name: Digest::from_bytes([number; 32]),
        session: SESSION,
        kind,
        epoch: EPOCH,
        stream_length: 4096,
        directory: directory(chunk),
    };
    let content = listing(1, ObjectKind::ContentPack, ChunkKind::Content);
    let metadata = listing(2, ObjectKind::MetadataPack, ChunkKind::Node);
    let other = PackListing { session: SessionId::from_bytes([9; 16]), ..metadata.clone() };
    let mut cases = vectors.structure("run", &[]);
    let bytes = Run::new(vec![content.clone(), metadata.clone()]).encode();
    cases.good("two-packs", "a content and a metadata pack", &[("packs", "2".into())], &bytes);
    let found = [("packs", "0".into())];
    cases.good("none", "no packs", &found, &Run::default().encode());
    let merged = Run::new(vec![content.clone(), other]).encode();
    cases.good("two-sessions", "packs of two sessions", &[("packs", "2".into())], &merged);
    let least = set(&bytes, 58, &[161, 0, 0, 0, 0, 0, 0, 0]);
    let comment = "the first pack's stream has room for its payload and no more";
    cases.good("no-padding", comment, &[("packs", "2".into())], &least);
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    cases.bad("packs-huge", "limit", "more packs than allowed", &set(&bytes, 1, &[0xff; 4]));
    for (name, at, others) in [
        ("kind-run", 53, vec![3]),
        ("kind-0", 53, vec![0]),
        ("stream-above-4-gib", 58, vec![1, 0, 0, 0, 1, 0, 0, 0]),
        ("stream-below-frames", 58, vec![14, 0, 0, 0, 0, 0, 0, 0]),
        // 8 + 15 of frames + 134 of directory + 4 = 161.
        ("stream-one-byte-short", 58, vec![160, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        cases.bad(name, "invalid", "a field outside its limits", &set(&bytes, at, &others));
    }
    let comment = "a content pack said to be of metadata";
    cases.bad("kind-changed", "invalid", comment, &set(&bytes, 53, &[2]));
    let swapped = Run { packs: vec![metadata, content.clone()] }.encode();
    cases.bad("unsorted", "not-canonical", "packs not in the order of their names", &swapped);
    let twice = Run { packs: vec![content.clone(), content] }.encode();
    cases.bad("twice", "not-canonical", "one pack twice", &twice);
    cases.bad("directory-version", "version", "the directory's version", &flip(&bytes, 66));
}
