//! Vectors of values: key schedule, chunk ids, boundaries, cuts, padding.
//! Each line gives what goes into a function and what must come out.

use std::sync::Arc;

use chunker::{ChunkSizes, Gear, cut_whole};
use crypto::{DomainId, Epoch, Keyring, Suite, padded_stream_len};
use tree::Boundary;

use crate::decoders::{hex, root};
use crate::vector::{Vector, unhex};

fn keyring(vector: &Vector) -> (Keyring, DomainId) {
    (Keyring::owner(root(vector), Suite::Aes256Gcm), vector.value("domain"))
}

#[test]
fn the_public_keys_of_the_schedule_follow_from_the_root_secret() {
    for vector in Vector::of("key-schedule") {
        let (keyring, domain) = keyring(&vector);
        let (root, epoch) = (root(&vector), Epoch(vector.value("epoch")));
        let public = |secret: crypto::KemSecret| hex(secret.public().as_bytes());
        let expected = [
            ("root-public", hex(root.signing().verifying().as_bytes())),
            ("vault", root.vault_id().to_string()),
            ("folder", hex(&keyring.folder_name())),
            ("gear", hex(&keyring.chunker(domain).unwrap().gear_tables())),
            ("content-public", public(keyring.content_secret(epoch).unwrap())),
            ("meta-public", public(keyring.meta_secret(epoch).unwrap())),
        ];
        for (name, value) in expected {
            let line = vector.lines().into_iter().find(|line| line[0] == name).unwrap();
            assert_eq!(line[1], value, "{name}");
        }
    }
}

#[test]
fn chunks_are_named_by_kind_and_plaintext() {
    for vector in Vector::of("chunk-id") {
        let (keyring, domain) = keyring(&vector);
        for line in vector.lines() {
            let kind = line[0].parse().unwrap();
            let key = match format::ChunkKind::from_code(kind).unwrap().is_content() {
                true => keyring.content_names(domain).unwrap(),
                false => keyring.node_names(domain).unwrap(),
            };
            assert_eq!(key.name(kind, &unhex(line[1])).to_string(), line[2]);
        }
    }
}

#[test]
fn nodes_end_where_the_rule_says() {
    for vector in Vector::of("boundary") {
        let (keyring, domain) = keyring(&vector);
        let key = Arc::new(keyring.tree(domain).unwrap());
        let exponents = (vector.value("leaf-exponent"), vector.value("interior-exponent"));
        let boundary = Boundary::new(key, exponents.0, exponents.1);
        let mut verdicts = [0, 0];
        for line in vector.lines() {
            let number = |at: usize| line[at].parse::<u64>().unwrap();
            let (level, entries) = (number(0) as u8, number(1));
            let cut = boundary.cut(level, entries, number(2), &unhex(line[4]), number(3));
            assert_eq!(cut, line[5] == "cut", "{line:?}");
            verdicts[usize::from(cut)] += 1;
        }
        assert!(verdicts[0] > 20 && verdicts[1] > 20, "the table shows both: {verdicts:?}");
    }
}

#[test]
fn content_is_cut_where_the_rule_says() {
    for vector in Vector::of("cuts") {
        let (keyring, domain) = keyring(&vector);
        let gear = Gear::from_bytes(&keyring.chunker(domain).unwrap().gear_tables());
        let [min, avg, max] = ["min", "avg", "max"].map(|name| vector.value(name));
        let sizes = ChunkSizes::new(min, avg, max).unwrap();
        let content = content(vector.text("content"), vector.value("length"));
        let cuts = cut_whole(&Arc::new(gear), sizes, &content);
        let expected: Vec<u32> =
            vector.lines().iter().map(|line| line[0].parse().unwrap()).collect();
        assert_eq!(cuts, expected, "{}", vector.name);
    }
}

#[test]
fn streams_are_padded_to_few_lengths() {
    for vector in Vector::of("padding") {
        for line in vector.lines() {
            let padded = padded_stream_len(line[0].parse().unwrap());
            assert_eq!(padded.to_string(), line[1], "{}", line[0]);
        }
    }
}

fn content(source: &str, length: usize) -> Vec<u8> {
    if source == "zeros" {
        return vec![0; length];
    }
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}
