//! Objects open as what they are, whole, and not at all when anything about them was changed.
//! One fixed world per suite; frozen digests pin the layout.

use aes_gcm::aead::{Aead, KeyInit};
use proptest::prelude::*;

use super::*;
use crate::*;

const VAULT: VaultId = VaultId::from_bytes([7; 32]);
const SEGMENT: usize = SEGMENT_PLAIN_BYTES;

/// One vault's keys for each kind of object.
struct World {
    entropy: SeededEntropy,
    suite: Suite,
    kem: [KemSecret; 2],
    keys: [SymmetricKey; 2],
}

impl World {
    fn new(suite: Suite) -> Self {
        let entropy = SeededEntropy::new(1);
        let kem = [(); 2].map(|()| KemSecret::draw(&entropy));
        let keys = [(); 2].map(|()| SymmetricKey::draw(&entropy));
        Self { entropy, suite, kem, keys }
    }

    fn header(&self, kind: ObjectKind) -> Header {
        let session = SessionId::from_bytes([3; 16]);
        Header { suite: self.suite, kind, vault_id: VAULT, session, epoch: Epoch(5) }
    }

    fn seal(&self, kind: ObjectKind, payload: &[u8], stream: u64) -> SealedObject {
        let public = self.kem[kind as usize % 2].public();
        let wrapping = match kind.is_sealed_to_public_key() {
            true => Wrapping::Kem(&public),
            false => Wrapping::Keyed(&self.keys[kind as usize % 2]),
        };
        let header = self.header(kind);
        let mut sealer = ObjectSealer::new(header, wrapping, &self.entropy, vec![9; 50]).unwrap();
        payload.chunks(10_007).for_each(|part| sealer.write(part));
        assert_eq!(sealer.payload_len(), payload.len() as u64);
        sealer.finish(stream).unwrap()
    }

    fn unwrapping(&self, kind: ObjectKind) -> Unwrapping<'_> {
        match kind.is_sealed_to_public_key() {
            true => Unwrapping::Kem(&self.kem[kind as usize % 2]),
            false => Unwrapping::Keyed(&self.keys[kind as usize % 2]),
        }
    }

    fn expected(&self, kind: ObjectKind) -> Expected {
        Expected { kind, vault_id: VAULT, suite: self.suite }
    }

    fn open(&self, kind: ObjectKind, object: &[u8]) -> Result<Vec<u8>> {
        OpenedObject::open_whole(object, self.unwrapping(kind), self.expected(kind))
    }
}

fn payload(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededEntropy::new(length as u64).fill(&mut bytes);
    bytes
}

#[test]
fn every_kind_and_suite_opens_to_its_payload_at_every_edge_of_a_segment() {
    for suite in Suite::ALL {
        let world = World::new(suite);
        for kind in ObjectKind::ALL {
            for length in [0, 1, SEGMENT - 9, SEGMENT - 8, SEGMENT - 7, 2 * SEGMENT - 8, 200_000] {
                for padding in [0, 1, 70_000] {
                    let stream = length as u64 + PAYLOAD_START + padding;
                    let sealed = world.seal(kind, &payload(length), stream);
                    assert_eq!(sealed.bytes.len() as u64, object_len(kind, stream).unwrap());
                    assert_eq!(stream_len(kind, sealed.bytes.len() as u64), Ok(stream));
                    assert_eq!(sealed.name, Digest::of(&sealed.bytes));
                    assert_eq!(Header::peek(&sealed.bytes), Ok(world.header(kind)));
                    assert!(world.open(kind, &sealed.bytes).unwrap() == payload(length));
                }
            }
        }
    }
}

#[test]
fn the_bytes_of_an_object_are_frozen() {
    let frozen = [
        (
            "986c740c7afe4aa65f1bc2aff115e5dfce30fe089bcde854a3dd5fa62481203a",
            ObjectKind::ContentPack,
        ),
        (
            "92ce6c8f75d7c6463513ac34efcf77a2b8285115d0c31e84ba8fbc3768b3a8b6",
            ObjectKind::MetadataPack,
        ),
        ("d305f2462cfbe4ccb1e296c7fc673914788f3fdaab8213f48d6bfb39911b387c", ObjectKind::IndexRun),
        ("23634e0a1101367772e96601f943735ca40c1f015b0986623e8e21da6f45ab88", ObjectKind::CacheFile),
    ];
    for (digest, kind) in frozen {
        let sealed = World::new(Suite::Aes256Gcm).seal(kind, &payload(100_000), 120_000);
        assert_eq!(sealed.name.to_string(), digest, "{kind}");
    }
    let sealed =
        World::new(Suite::ChaCha20Poly1305).seal(ObjectKind::IndexRun, &payload(100), 4096);
    assert_eq!(
        sealed.name.to_string(),
        "878e3e74f316f4d86b02c9183d27190254f50e81cfe4c4cd9657b2876bda8ea7"
    );
}

#[test]
fn segments_are_the_aes_gcm_of_the_oracle() {
    let world = World::new(Suite::Aes256Gcm);
    let kind = ObjectKind::IndexRun;
    let text = payload(SEGMENT + 100);
    let stream = text.len() as u64 + PAYLOAD_START;
    let object = world.seal(kind, &text, stream).bytes;

    let info = [b"strongroom-v1/dek", &object[..HEADER_BYTES]].concat();
    let wrapped = &object[HEADER_BYTES..][..wrap_bytes(kind)];
    let data_key = small::open_with_aad(world.suite, &world.keys[1], &info, wrapped).unwrap();
    let salt = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &object[..HEADER_BYTES]);
    let key = kdf::expand::<32>(&kdf::extract(salt.as_ref(), &data_key), &[b"segment"]);
    let oracle = aes_gcm::Aes256Gcm::new_from_slice(&key[..]).unwrap();
    let stream = [&(text.len() as u64).to_le_bytes()[..], &text].concat();
    for (at, segment) in object[prefix_len(kind)..].chunks(SEGMENT_BYTES).enumerate() {
        let mut nonce = [0; 12];
        nonce[7] = at as u8;
        nonce[11] = u8::from(at == 1);
        let plain = oracle.decrypt(&nonce.into(), segment).unwrap();
        assert!(plain == stream.chunks(SEGMENT).nth(at).unwrap());
    }
}

#[test]
fn an_object_opens_only_as_its_own_kind() {
    for suite in Suite::ALL {
        let world = World::new(suite);
        for kind in ObjectKind::ALL {
            let object = world.seal(kind, b"payload", 4096).bytes;
            for other in ObjectKind::ALL.into_iter().filter(|other| *other != kind) {
                let told = Error::ObjectKind { expected: other, actual: kind };
                assert_eq!(world.open(other, &object), Err(told));
                let mut relabelled = object.clone();
                relabelled[10] = other.to_u8();
                let expected = world.expected(other);
                for key in ObjectKind::ALL.map(|kind| world.unwrapping(kind)) {
                    assert!(OpenedObject::open_whole(&relabelled, key, expected).is_err());
                }
            }
        }
    }
}

#[test]
fn an_object_and_a_small_record_are_never_taken_for_one_another() {
    let world = World::new(Suite::Aes256Gcm);
    let key = &world.keys[1];
    let object = world.seal(ObjectKind::IndexRun, b"payload", 4096).bytes;
    for kind in SmallKind::ALL {
        for bytes in [&object[..], &object[HEADER_BYTES..][..72]] {
            for names in [&b""[..], &object[..HEADER_BYTES]] {
                assert!(open_small(world.suite, key, kind, VAULT, names, bytes).is_err());
            }
        }
        let small = seal_small(world.suite, key, kind, VAULT, b"", &[0; 32], &world.entropy);
        let mut forged = object.clone();
        forged[HEADER_BYTES..][..72].copy_from_slice(&small);
        let opened = world.open(ObjectKind::IndexRun, &forged);
        assert!(matches!(opened, Err(Error::DataKey { .. })));
        assert!(ObjectKind::from_u8(kind.to_u8()).is_err());
    }
}

#[test]
fn an_object_with_any_byte_changed_does_not_open() {
    for (suite, kind) in [
        (Suite::Aes256Gcm, ObjectKind::ContentPack),
        (Suite::Aes256Gcm, ObjectKind::IndexRun),
        (Suite::ChaCha20Poly1305, ObjectKind::MetadataPack),
        (Suite::ChaCha20Poly1305, ObjectKind::CacheFile),
    ] {
        let world = World::new(suite);
        let object = world.seal(kind, b"payload", 40).bytes;
        for at in 0..object.len() {
            let mut changed = object.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(world.open(kind, &changed).is_err(), "{kind}: byte {at} was ignored");
        }
    }
}

#[test]
fn what_was_changed_is_told_apart() {
    let world = World::new(Suite::Aes256Gcm);
    let kind = ObjectKind::ContentPack;
    let object = world.seal(kind, b"payload", 4096).bytes;
    let changed = |at: usize| {
        let mut changed = object.clone();
        changed[at] ^= 1;
        world.open(kind, &changed).err().unwrap()
    };
    assert_eq!(changed(0), Error::NotSealedObject);
    assert_eq!(changed(9), Error::UnknownSuite { code: 0x0101 });
    assert!(matches!(changed(11), Error::Decode(DecodeError::Invalid { what: "flags", .. })));
    assert!(matches!(changed(12), Error::OtherVault { .. }));
    assert!(matches!(changed(44), Error::DataKey { .. }), "the session is authenticated");
    assert!(matches!(changed(60), Error::DataKey { .. }), "the epoch is authenticated");
    assert!(matches!(changed(64), Error::Decode(_)));
    assert!(matches!(changed(71), Error::Decode(_)));
    assert!(matches!(changed(HEADER_BYTES), Error::DataKey { .. }));
    assert_eq!(changed(prefix_len(kind) - 1), Error::Commitment { kind });
    assert_eq!(changed(prefix_len(kind)), Error::Segment { kind, segment: 0 });
    assert_eq!(changed(object.len() - 1).kind(), ErrorKind::Corrupt);
    let suites = Suite::ALL.map(|suite| Expected { suite, ..world.expected(kind) });
    let opened = OpenedObject::open(&object, world.unwrapping(kind), suites[1]).err();
    assert!(matches!(opened, Some(Error::OtherSuite { .. })));
}

#[test]
fn an_object_cut_or_extended_at_a_border_does_not_open() {
    let world = World::new(Suite::Aes256Gcm);
    let kind = ObjectKind::IndexRun;
    let object = world.seal(kind, &payload(3 * SEGMENT), 4 * SEGMENT as u64).bytes;
    let prefix = prefix_len(kind);
    for segments in 0..4 {
        let border = prefix + segments * SEGMENT_BYTES;
        for length in [border - 1, border, border + 1, border + 16, border + 17] {
            assert!(world.open(kind, &object[..length]).is_err(), "cut at {length}");
        }
    }
    let extended = [&object[..], &object[prefix..][..SEGMENT_BYTES]].concat();
    let last = Error::Segment { kind, segment: 3 };
    assert_eq!(world.open(kind, &extended), Err(last));
}

#[test]
fn segments_do_not_open_in_one_anothers_place_or_object() {
    let world = World::new(Suite::Aes256Gcm);
    let kind = ObjectKind::CacheFile;
    let [one, two] = [(); 2].map(|()| world.seal(kind, &payload(200_000), 262_144).bytes);
    let prefix = prefix_len(kind);
    let segment = |at: usize| prefix + at * SEGMENT_BYTES..prefix + (at + 1) * SEGMENT_BYTES;
    for (a, b) in [(0, 1), (1, 2), (0, 3)] {
        let mut swapped = one.clone();
        swapped[segment(a)].copy_from_slice(&one[segment(b)]);
        swapped[segment(b)].copy_from_slice(&one[segment(a)]);
        assert_eq!(world.open(kind, &swapped), Err(Error::Segment { kind, segment: a as u64 }));
    }
    let mut mixed = one.clone();
    mixed[segment(1)].copy_from_slice(&two[segment(1)]);
    assert!(world.open(kind, &mixed).is_err());
    let mut mixed = one;
    mixed[..prefix].copy_from_slice(&two[..prefix]);
    assert_eq!(world.open(kind, &mixed), Err(Error::Segment { kind, segment: 0 }));
}

#[test]
fn the_same_payload_is_never_sealed_to_the_same_bytes() {
    let world = World::new(Suite::Aes256Gcm);
    for kind in ObjectKind::ALL {
        let [one, two] = [(); 2].map(|()| world.seal(kind, b"payload", 4096));
        assert_ne!(one.name, two.name);
        let body = HEADER_BYTES..prefix_len(kind) + 16;
        assert_ne!(one.bytes[body.clone()], two.bytes[body]);
    }
}

#[test]
fn a_range_opens_without_the_rest_of_the_object() {
    let world = World::new(Suite::Aes256Gcm);
    let kind = ObjectKind::ContentPack;
    let text = payload(300_000);
    let object = world.seal(kind, &text, 400_000).bytes;
    let length = object.len() as u64;
    let prefix = &object[..ObjectPrefix::BYTES_MAX];
    let opened = OpenedObject::open(prefix, world.unwrapping(kind), world.expected(kind)).unwrap();
    let stream = [&(text.len() as u64).to_le_bytes()[..], &text, &[0; 99_992]].concat();
    for range in [0..1, 65_535..65_537, 131_072..200_000, 393_216..400_000, 0..400_000] {
        let span = opened.segment_range(length, range.clone()).unwrap();
        let [object_range, stream_range] = [&span.object_range, &span.stream_range]
            .map(|range| range.start as usize..range.end as usize);
        assert!(span.stream_range.start <= range.start && range.end <= span.stream_range.end);
        let cipher = &object[object_range];
        let plain = opened.open_segments(length, span.first_segment, cipher).unwrap();
        assert!(plain == stream[stream_range]);
        assert!(opened.open_segments(length, span.first_segment + 1, cipher).is_err());
        assert!(opened.open_segments(length, span.first_segment, &cipher[1..]).is_err());
    }
    for range in [0..400_001, 5..5, 400_000..400_001, u64::MAX - 1..u64::MAX] {
        let span = opened.segment_range(length, range);
        assert!(matches!(span, Err(Error::StreamRange { .. })));
    }
    assert!(opened.open_segments(length, u64::MAX, &object[..SEGMENT_BYTES]).is_err());
    assert!(opened.open_segments(length, 0, &[]).is_err());
}

#[test]
fn padding_that_is_not_zeros_or_a_payload_beyond_the_stream_is_told() {
    let world = World::new(Suite::Aes256Gcm);
    let kind = ObjectKind::IndexRun;
    let forge = |stream: &[u8]| {
        let mut bytes = world.seal(kind, b"", PAYLOAD_START).bytes;
        bytes.truncate(prefix_len(kind));
        let key = wrap::unwrap(&world.header(kind), world.unwrapping(kind), &bytes).unwrap();
        bytes.extend_from_slice(stream);
        bytes.extend_from_slice(&[0; 16]);
        let key = segment::SegmentKey::to_open(world.suite, &key);
        key.seal(0, segment::Position::Last, &mut bytes[prefix_len(kind)..]);
        world.open(kind, &bytes)
    };
    assert_eq!(forge(&[2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', 0]), Ok(b"ab".to_vec()));
    assert_eq!(forge(&[1, 0, 0, 0, 0, 0, 0, 0, b'a', b'b', 0]), Err(Error::Padding { kind }));
    let payload = u64::MAX;
    assert_eq!(forge(&[255; 9]), Err(Error::PayloadLength { payload, stream: 9 }));
}

#[test]
fn a_sealer_refuses_the_wrong_sort_of_key_and_impossible_lengths() {
    let world = World::new(Suite::Aes256Gcm);
    let kind = ObjectKind::ContentPack;
    let wrapping = Wrapping::Keyed(&world.keys[0]);
    let refused = ObjectSealer::new(world.header(kind), wrapping, &world.entropy, Vec::new());
    assert_eq!(refused.err(), Some(Error::Wrapping { kind }));

    let sealer = || {
        let header = world.header(ObjectKind::IndexRun);
        let mut sealer = ObjectSealer::new(header, wrapping, &world.entropy, Vec::new()).unwrap();
        sealer.write(&[1; 100]);
        sealer
    };
    let short = sealer().finish(107).err();
    assert_eq!(short, Some(Error::PayloadLength { payload: 100, stream: 107 }));
    for long in [OBJECT_BYTES_MAX, u64::MAX] {
        assert!(matches!(sealer().finish(long).err(), Some(Error::ObjectLength { .. })));
    }
    let buffer = sealer().abandon();
    assert!(buffer.is_empty() && buffer.capacity() > 0);
}

#[test]
fn padme_rounds_as_its_authors_say() {
    // From lbarman.ch/blog/padme: E = log2 L, S = log2 E + 1, the E - S low bits are zero.
    let table = [
        (0, 0),
        (1, 1),
        (2, 2),
        (8, 8),
        (9, 10),
        (100, 104),
        (1000, 1024),
        (4097, 4352),
        (1 << 20, 1 << 20),
        ((1 << 20) + 1, (1 << 20) + (1 << 15)),
        (33_554_431, 33_554_432),
    ];
    for (length, padded) in table {
        assert_eq!(padme(length), padded, "{length}");
    }
    assert_eq!(padded_stream_len(8), PADDED_STREAM_LEAST);
    assert_eq!(padme(u64::MAX), u64::MAX);
}

proptest! {
    #[test]
    fn padme_costs_at_most_twelve_percent_and_is_its_own_fixed_point(length in 1u64..1 << 40) {
        let padded = padme(length);
        prop_assert!(padded >= length && (padded - length) * 100 <= length * 12);
        prop_assert_eq!(padme(padded), padded);
    }

    #[test]
    fn whatever_bytes_are_opened_nothing_panics(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        kind in 0usize..4,
        labelled in any::<bool>(),
    ) {
        let world = World::new(Suite::Aes256Gcm);
        let kind = ObjectKind::ALL[kind];
        if labelled && bytes.len() >= HEADER_BYTES {
            bytes[..HEADER_BYTES].copy_from_slice(&world.header(kind).encode());
        }
        prop_assert!(world.open(kind, &bytes).is_err());
        prop_assert!(Bundle::decode(&bytes).is_err());
        prop_assert!(SignedCertificate::decode(&bytes).is_err());
    }
}
