//! Random bytes and damaged good ones: no decoder panics, and what it takes encodes back.
//!
//! Each structure gets thousands of inputs: noise, which tests what is read first, and good vectors
//! with a few bytes changed, cut, doubled or moved, which reach what lies deep. Damage keeps a good
//! share of inputs acceptable, so that "encodes back" is put to the test too.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::properties;
use crate::vector::Vector;

const CASES: u32 = 5000;

#[test]
fn noise_never_panics_a_decoder_and_what_it_takes_encodes_back() {
    // A known version first, so that half of the noise comes further than the first byte.
    let noise = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..400)).prop_map(
        |(versioned, mut bytes)| {
            if let (true, Some(first)) = (versioned, bytes.first_mut()) {
                *first = 1;
            }
            bytes
        },
    );
    run(&noise, |bytes| {
        properties::ALL.iter().for_each(|(_, property)| property(bytes));
        properties::MADE.iter().for_each(|(_, property)| property(bytes));
        properties::slot(bytes);
    });
}

#[test]
fn a_tree_under_any_edits_is_an_ordered_map() {
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(any::<u8>(), 0..900), |bytes| {
            properties::tree_as_map(&bytes);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn damage_never_panics_what_no_vector_shows() {
    let good = made();
    for (structure, property) in properties::MADE {
        let good: Vec<Vec<u8>> =
            good.iter().filter(|(name, _)| *name == structure).map(|(_, b)| b.clone()).collect();
        assert!(!good.is_empty(), "{structure} has no good example");
        run(&damaged(good), property);
    }
}

/// Good examples of what has no vectors: from a small vault, and as somebody types it.
fn made() -> Vec<(&'static str, Vec<u8>)> {
    use vault::{CreateOptions, Folders, Protection, Vault};
    let place = places::MemoryPlace::new();
    let components = vault::Components {
        place: std::sync::Arc::new(place.clone()),
        clock: std::sync::Arc::new(places::SystemClock),
        entropy: std::sync::Arc::new(crypto::SeededEntropy::new(1)),
    };
    let options = CreateOptions {
        suite: crypto::Suite::Aes256Gcm,
        protection: Protection::KeyFile,
        label: "host",
        pack_size: None,
    };
    let (mut vault, _) = Vault::create(components, &Folders::default(), &options).unwrap();
    vault.ensure_member().unwrap();
    for number in 0..18 {
        let role = crypto::Role::Reader;
        let label = format!("reader-{number}");
        vault.issue_bundle(role, vault::DomainChoice::Default, &label).unwrap();
    }
    vault.ledger().write_bundles().unwrap();
    vault.ledger().write_checkpoint().unwrap().unwrap();
    let object = |folder: &str| {
        let name = place.names().into_iter().find(|name| name.as_str().starts_with(folder));
        places::Place::get(&place, &name.unwrap(), None).unwrap().to_vec()
    };
    let mark = [&[1][..], &[0; 40], &[1, 0, 0, 0], &[7; 16], &[1, 0, 0, 0], &[8; 32], &[0; 4]];
    let times = [&[1, 0][..], &[1, 0, 0, 0], &[9; 8], &[0, 1, 0, 0, 1]];
    let table = [&[1, 0][..], &[0; 4], &[0; 4], &[0; 4], &[0; 4], &[0; 8], &[0; 4], &[0], &[0; 8]];
    let mut made = vec![
        ("bundle-of-records", object("bundles/")),
        ("checkpoint", object("checkpoints/")),
        ("mark", mark.concat()),
        ("read-times", times.concat()),
        ("state", vault.ledger().state().encode()),
        ("table", table.concat()),
    ];
    let typed = |structure, texts: &[&str]| -> Vec<(&'static str, Vec<u8>)> {
        texts.iter().map(|text| (structure, text.as_bytes().to_vec())).collect()
    };
    let patterns = ["*.o\n!keep.o\n/srv/**/{a,b}[0-9]?/\n/srv/x/a1b", "# no\n**/node_modules/\na"];
    made.extend(typed("patterns", &patterns));
    let urls = ["/srv/vault", "file:/srv/a", "s3://bucket/prefix?region=eu&endpoint=https://h:9"];
    made.extend(typed("place-url", &urls));
    made.extend(typed("place-url", &["memory:", "https://host:8443/vault"]));
    let head = Some(vault.ledger().state().head());
    let facts = format::KitFacts {
        places: vec!["/srv/vault".into(), "s3://bucket/prefix".into()],
        head,
        recovered: head,
        format: Some(1),
        made: Some("2026-11-22T10:00:00Z".into()),
    };
    let root = vault.keyring().root().unwrap().duplicate();
    let kit = format::Kit { root, facts };
    made.extend(typed("kit", &[&kit.to_text(), &kit.root.to_words()]));
    made.extend(place.names().iter().map(|name| ("name", name.as_str().as_bytes().to_vec())));
    made
}

#[test]
fn damage_never_panics_a_decoder_and_what_it_takes_encodes_back() {
    let vectors = Vector::all();
    for (structure, property) in properties::ALL {
        let source = if structure == "header" { "object-index-run" } else { structure };
        let good: Vec<Vec<u8>> = vectors
            .iter()
            .filter(|vector| vector.structure == source && vector.expect == "ok")
            .map(Vector::bytes)
            .filter(|bytes| bytes.len() < 5000)
            .collect();
        assert!(!good.is_empty(), "{structure} has no good vector");
        run(&damaged(good), property);
    }
}

#[test]
fn a_damaged_slot_never_panics() {
    let good = Vector::of("slot").iter().map(Vector::bytes).collect();
    run(&damaged(good), properties::slot);
}

fn run(strategy: &impl Strategy<Value = Vec<u8>>, property: impl Fn(&[u8])) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(strategy, |bytes| {
            property(&bytes);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

/// One of `good` with up to three damages; now and then none.
fn damaged(good: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damages = prop::collection::vec((any::<u8>(), any::<usize>(), any::<u8>()), 0..4);
    (prop::sample::select(good), damages).prop_map(|(mut bytes, damages)| {
        for (how, place, value) in damages {
            damage(&mut bytes, how, place, value);
        }
        bytes
    })
}

fn damage(bytes: &mut Vec<u8>, how: u8, place: usize, value: u8) {
    if bytes.is_empty() {
        return;
    }
    let at = place % bytes.len();
    match how % 8 {
        0 | 1 => bytes[at] = value,
        2 | 3 => bytes[at] ^= 1 << (value % 8),
        4 => bytes[at] = bytes[at].wrapping_add(if value < 128 { 1 } else { 255 }),
        5 => bytes.insert(at, value),
        6 => {
            let end = (at + 1 + usize::from(value % 40)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            let end = (at + usize::from(value % 40)).min(bytes.len());
            bytes.drain(at..end);
        }
    }
}
