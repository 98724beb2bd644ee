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
        properties::slot(bytes);
    });
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
