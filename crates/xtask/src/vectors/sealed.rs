//! Vectors of sealed bytes: objects of every kind in both suites, their headers, small boxes.

use crypto::{
    Header, Keyring, ObjectKind, ObjectSealer, SessionId, SmallKind, Suite, Wrapping, prefix_len,
    seal_small,
};

use super::world::{DOMAIN, EPOCH, SESSION, World};
use super::{Cases, Set, flip, hex, set, splice, with};

pub(crate) fn add(vectors: &mut Set) {
    objects(vectors);
    kept_packs(vectors);
    small_boxes(vectors);
}

/// What objects are made of.
struct Maker {
    world: World,
    suite: Suite,
    keyring: Keyring,
}

impl Maker {
    fn new(seed: u64, suite: Suite) -> Self {
        let world = World::new(seed);
        let keyring = Keyring::owner(world.root.duplicate(), suite);
        Self { world, suite, keyring }
    }

    fn header(&self, kind: ObjectKind) -> Header {
        let vault_id = self.world.vault();
        Header { suite: self.suite, kind, vault_id, session: SESSION, epoch: EPOCH }
    }

    fn seal(&self, header: Header, payload: &[u8], stream_len: u64) -> Vec<u8> {
        let held = "an owner has every key";
        let content = self.world.root.content_secret(EPOCH).public();
        let meta = self.world.root.meta_secret(EPOCH).public();
        let index = self.keyring.index(DOMAIN, EPOCH).expect(held);
        let local = self.keyring.local();
        let ledger = self.keyring.ledger(EPOCH).expect(held);
        let wrapping = match header.kind {
            ObjectKind::ContentPack => Wrapping::Kem(&content),
            ObjectKind::MetadataPack => Wrapping::Kem(&meta),
            ObjectKind::IndexRun => Wrapping::Keyed(&index),
            ObjectKind::CacheFile => Wrapping::Keyed(&local),
            ObjectKind::Checkpoint => Wrapping::Keyed(&ledger),
        };
        let mut sealer = ObjectSealer::new(header, wrapping, &self.world.entropy, Vec::new())
            .expect("each kind is wrapped by its own sort of key");
        sealer.write(payload);
        sealer.finish(stream_len).expect("the stream has room for the payload").bytes
    }
}

fn objects(vectors: &mut Set) {
    for (suite, seed) in Suite::ALL.into_iter().zip([20, 30]) {
        for (kind, name) in [
            (ObjectKind::ContentPack, "content-pack"),
            (ObjectKind::MetadataPack, "metadata-pack"),
            (ObjectKind::IndexRun, "index-run"),
            (ObjectKind::CacheFile, "cache-file"),
            (ObjectKind::Checkpoint, "checkpoint"),
        ] {
            let maker = Maker::new(seed + u64::from(kind.to_u8()), suite);
            let structure = match suite {
                Suite::Aes256Gcm => match kind {
                    ObjectKind::ContentPack => "object-content-pack",
                    ObjectKind::MetadataPack => "object-metadata-pack",
                    ObjectKind::IndexRun => "object-index-run",
                    ObjectKind::CacheFile => "object-cache-file",
                    ObjectKind::Checkpoint => "object-checkpoint",
                },
                Suite::ChaCha20Poly1305 => "object-suite-2",
            };
            let mut cases = vectors.structure(structure, &fields(&maker, kind));
            let payload = maker.world.bytes(20);
            let bytes = maker.seal(maker.header(kind), &payload, 40);
            let found = [("payload", hex(&payload))];
            if suite == Suite::ChaCha20Poly1305 {
                cases.good(name, "20 bytes, padded to a stream of 40", &found, &bytes);
                cases.bad(
                    &format!("{name}-changed"),
                    "authentication",
                    "a bit of the segment",
                    &flip(&bytes, bytes.len() - 20),
                );
                continue;
            }
            cases.good("short", "20 bytes, padded to a stream of 40", &found, &bytes);
            bad_objects(&mut cases, &maker, kind, &bytes);
        }
    }
    long_object(vectors);
}

fn fields(maker: &Maker, kind: ObjectKind) -> [(&'static str, String); 6] {
    [
        maker.world.root_field(),
        ("vault", maker.world.vault().to_string()),
        ("suite", maker.suite.to_u16().to_string()),
        ("kind", kind.to_u8().to_string()),
        ("domain", DOMAIN.to_string()),
        ("epoch", EPOCH.to_string()),
    ]
}

fn bad_objects(cases: &mut Cases<'_>, maker: &Maker, kind: ObjectKind, bytes: &[u8]) {
    let prefix = prefix_len(kind);
    for (name, expect, at, others) in [
        ("magic", "magic", 0, vec![b'X']),
        ("suite-0", "suite", 8, vec![0]),
        ("suite-2", "other-suite", 8, vec![2]),
        ("kind-0", "invalid", 10, vec![0]),
        ("flags-1", "invalid", 11, vec![1]),
        ("vault-changed", "other-vault", 12, vec![0xff]),
        ("session-changed", "authentication", 44, vec![0xff]),
        ("epoch-changed", "authentication", 60, vec![4]),
        ("segment-log2-17", "invalid", 64, vec![17]),
        ("reserved-1", "invalid", 71, vec![1]),
    ] {
        cases.bad(name, expect, "a field of the header", &set(bytes, at, &others));
    }
    let other = if kind == ObjectKind::ContentPack { 2 } else { 1 };
    let comment = "presented as another kind";
    cases.bad("other-kind", "other-kind", comment, &set(bytes, 10, &[other]));
    for (name, at) in [
        ("wrap-first-byte-changed", 72),
        ("wrap-last-byte-changed", prefix - 33),
        ("commitment-changed", prefix - 1),
        ("segment-changed", prefix + 3),
        ("tag-changed", bytes.len() - 1),
    ] {
        cases.bad(name, "authentication", "a bit was changed", &flip(bytes, at));
    }
    cases.bad(
        "one-byte-short",
        "authentication",
        "the last byte is missing",
        &bytes[..bytes.len() - 1],
    );
    cases.bad("one-byte-long", "authentication", "a byte follows", &with(bytes, &[0]));
    cases.bad("only-prefix", "length", "no segment follows the prefix", &bytes[..prefix]);
    cases.bad("prefix-cut", "short", "the commitment is cut", &bytes[..prefix - 1]);
    cases.bad("header-cut", "short", "the header is cut", &bytes[..71]);
    cases.bad("empty", "short", "there are no bytes", &[]);
    let second = maker.seal(maker.header(kind), b"another object", 40);
    let mixed = [&bytes[..prefix], &second[prefix..]].concat();
    cases.bad("segments-of-another", "authentication", "segments of another object", &mixed);
    let header = Header { session: SessionId::from_bytes([7; 16]), ..maker.header(kind) };
    let moved = maker.seal(header, b"another session", 40);
    let mixed = splice(&moved, 0..72, &bytes[..72]);
    cases.bad("header-of-another", "authentication", "the header of another object", &mixed);
    // The same bytes of payload, one sealed as another kind, then told to be this one.
    let twin = if kind.is_sealed_to_public_key() {
        ObjectKind::ALL.into_iter().find(|k| *k != kind && k.is_sealed_to_public_key())
    } else {
        ObjectKind::ALL.into_iter().find(|k| *k != kind && !k.is_sealed_to_public_key())
    };
    if let Some(twin) = twin {
        let sealed = maker.seal(maker.header(twin), b"of another kind", 40);
        let relabelled = set(&sealed, 10, &[kind.to_u8()]);
        let comment = "an object of another kind, relabelled";
        cases.bad("relabelled", "authentication", comment, &relabelled);
    }
}

/// Two segments: what only their order and the mark of the last protect.
fn long_object(vectors: &mut Set) {
    let kind = ObjectKind::IndexRun;
    let maker = Maker::new(29, Suite::Aes256Gcm);
    let mut cases = vectors.structure("object-two-segments", &fields(&maker, kind));
    let payload = vec![0x70; 65_600];
    let bytes = maker.seal(maker.header(kind), &payload, 65_700);
    let found = [("payload-length", payload.len().to_string())];
    let comment = "a payload of 65,600 bytes 70, padded to a stream of 65,700";
    cases.good("whole", comment, &found, &bytes);
    let border = prefix_len(kind) + 65_552;
    let comment = "the last segment is missing; the first is not marked as the last";
    cases.bad("cut-at-border", "authentication", comment, &bytes[..border]);
    let comment = "the first segment is missing";
    let without_first = splice(&bytes, prefix_len(kind)..border, &[]);
    cases.bad("first-missing", "authentication", comment, &without_first);
    let comment = "a last segment of a tag and nothing else";
    cases.bad("empty-last", "length", comment, &bytes[..border + 16]);
}

/// A host's copy of its own metadata pack: the kept key, then the object.
fn kept_packs(vectors: &mut Set) {
    let kind = ObjectKind::MetadataPack;
    for (suite, seed) in Suite::ALL.into_iter().zip([50, 51]) {
        let maker = Maker::new(seed, suite);
        let payload = maker.world.bytes(20);
        let keep = || {
            let meta = maker.world.root.meta_secret(EPOCH).public();
            let (wrapping, local) = (Wrapping::Kem(&meta), maker.keyring.local());
            let (header, entropy) = (maker.header(kind), &maker.world.entropy);
            let (mut sealer, kept) =
                ObjectSealer::new_kept(header, wrapping, &local, entropy, Vec::new())
                    .expect("keys of metadata packs are kept");
            sealer.write(&payload);
            let object = sealer.finish(40).expect("the stream has room for the payload");
            with(&kept, &object.bytes)
        };
        let (bytes, other) = (keep(), keep());
        let mut cases = vectors.structure("kept-pack", &fields(&maker, kind));
        let comment = "the kept key, then the object: 20 bytes, padded to a stream of 40";
        let name = format!("suite-{}", suite.to_u16());
        cases.good(&name, comment, &[("payload", hex(&payload))], &bytes);
        for (what, at) in [
            ("nonce", 0),
            ("key", 30),
            ("tag", 71),
            ("session", 72 + 44),
            ("commitment", 72 + prefix_len(kind) - 1),
            ("segment", bytes.len() - 1),
        ] {
            let name = format!("{name}-{what}-changed");
            cases.bad(&name, "authentication", "a bit was changed", &flip(&bytes, at));
        }
        let mixed = with(&bytes[..72], &other[72..]);
        let comment = "the kept key of another object of the session";
        cases.bad(&format!("{name}-other-key"), "authentication", comment, &mixed);
        let relabelled = set(&bytes, 72 + 10, &[ObjectKind::ContentPack.to_u8()]);
        let comment = "keys of content packs are not kept";
        cases.bad(&format!("{name}-content"), "other-kind", comment, &relabelled);
        cases.bad(&format!("{name}-cut"), "short", "the kept key is cut", &bytes[..71]);
    }
}

fn small_boxes(vectors: &mut Set) {
    for (suite, structure, seed) in
        [(Suite::Aes256Gcm, "small-box", 40), (Suite::ChaCha20Poly1305, "small-box-suite-2", 41)]
    {
        let world = World::new(seed);
        let names = b"what names it";
        let plain = b"a small secret";
        let ledger = world.root.ledger(EPOCH);
        let local = Keyring::owner(world.root.duplicate(), suite).local();
        let fields = [
            world.root_field(),
            ("vault", world.vault().to_string()),
            ("suite", suite.to_u16().to_string()),
            ("epoch", EPOCH.to_string()),
            ("names", hex(names)),
        ];
        for kind in [SmallKind::LedgerBody, SmallKind::MemberKeys, SmallKind::StateFile] {
            let key = if kind == SmallKind::LedgerBody { &ledger } else { &local };
            let seal = |kind, names: &[u8]| {
                seal_small(suite, key, kind, world.vault(), names, plain, &world.entropy)
            };
            let bytes = seal(kind, names);
            let mut all = fields.to_vec();
            all.push(("kind", kind.to_u8().to_string()));
            let mut cases = vectors.structure(structure, &all);
            let name = kind.to_string().replace(' ', "-");
            let found = [("plaintext", hex(plain))];
            cases.good(&name, "a small box", &found, &bytes);
            for (what, at) in [("nonce", 0), ("text", 24), ("tag", bytes.len() - 1)] {
                let name = format!("{name}-{what}-changed");
                cases.bad(&name, "authentication", "a bit was changed", &flip(&bytes, at));
            }
            let other = if kind == SmallKind::StateFile {
                SmallKind::MemberKeys
            } else {
                SmallKind::StateFile
            };
            let sealed = seal(other, names);
            let comment = "sealed as another kind under the same key";
            cases.bad(&format!("{name}-other-kind"), "authentication", comment, &sealed);
            let sealed = seal(kind, b"other names");
            cases.bad(&format!("{name}-other-names"), "authentication", "other names", &sealed);
            let cut = &bytes[..39];
            cases.bad(&format!("{name}-cut"), "short", "shorter than nonce and tag", cut);
        }
    }
}
