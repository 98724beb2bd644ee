//! The rule is frozen: these cuts are part of the format. Another cut would lose the sharing
//! between a vault's old trees and its new ones.

use crate::boundary::weight;
use crate::testing::{Random, boundary};
use crypto::Digester;

/// Cuts a long made-up sequence and says the nodes' sizes and the digest of the cuts' positions.
fn cuts(exponent: u8, level: u8) -> (Vec<u64>, String) {
    let boundary = boundary(exponent, exponent);
    let (mut random, mut digester) = (Random(42), Digester::new());
    let (mut sizes, mut before, mut entries) = (Vec::new(), 0, 0);
    for position in 0..100_000u32 {
        let key = random.next().to_le_bytes();
        let value_bytes = 24 + (random.next() % 200) as usize;
        let weight = weight(&key, &vec![0; value_bytes]);
        entries += 1;
        if boundary.cut(level, entries, before, &key, weight) {
            sizes.push(before + weight);
            digester.update(&position.to_le_bytes());
            (before, entries) = (0, 0);
        } else {
            before += weight;
        }
    }
    (sizes, digester.finish().to_string()[..16].to_owned())
}

#[test]
fn the_cuts_of_a_fixed_sequence_never_change() {
    let found: Vec<_> = [(13, 0), (14, 0), (15, 0), (13, 1), (14, 1), (14, 2)]
        .map(|(exponent, level)| (exponent, level, cuts(exponent, level).1))
        .into();
    let frozen = [
        (13, 0, "71542e39af7bc34c"),
        (14, 0, "877fb834b1154921"),
        (15, 0, "652773746cf0b2e5"),
        (13, 1, "d731181912ccbb26"),
        (14, 1, "9bf9a0d922b9b7ff"),
        (14, 2, "87e3bff1d12dd62e"),
    ];
    assert_eq!(found, frozen.map(|(m, level, digest)| (m, level, digest.to_owned())));
}

#[test]
fn sizes_lie_close_to_nine_tenths_of_the_target_and_keep_the_limits() {
    for exponent in [13, 14, 15] {
        let (sizes, _) = cuts(exponent, 0);
        let target = f64::from(1u32 << exponent);
        let mean = sizes.iter().sum::<u64>() as f64 / sizes.len() as f64;
        let variance = sizes.iter().map(|size| (*size as f64 - mean).powi(2)).sum::<f64>()
            / sizes.len() as f64;

        assert!((0.87..0.94).contains(&(mean / target)), "m = {exponent}: the mean is {mean}");
        let spread = variance.sqrt() / mean;
        assert!((0.24..0.32).contains(&spread), "m = {exponent}: the spread is {spread}");
        let limits = (1 << exponent) / 16..(4 << exponent) + 232;
        assert!(sizes.iter().all(|size| limits.contains(size)));
    }
}

#[test]
fn a_node_above_the_leaves_has_two_entries_even_when_one_is_too_large() {
    let boundary = boundary(8, 8);
    let key = [1; 8192];
    assert!(boundary.cut(0, 1, 0, &key, 8200));
    assert!(!boundary.cut(1, 1, 0, &key, 8200));
    assert!(boundary.cut(1, 2, 8200, &key, 8200));
}

#[test]
fn the_largest_exponent_and_weights_stay_within_the_arithmetic() {
    let boundary = boundary(20, 20);
    let almost_all = (4 << 20) - 1;
    boundary.cut(0, 9, 0, b"key", almost_all);
    boundary.cut(0, 9, almost_all - 1, b"key", 1);
    assert!(boundary.cut(0, 9, u64::MAX, b"key", u64::MAX));
}
