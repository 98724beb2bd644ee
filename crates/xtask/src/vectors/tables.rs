//! Vectors of pure functions: padded lengths, and where content is cut.

use std::sync::Arc;

use chunker::{ChunkSizes, Gear, cut_whole};
use crypto::{Keyring, padded_stream_len};

use super::Set;
use super::world::{DOMAIN, SUITE, World};

pub(crate) fn add(vectors: &mut Set) {
    padding(vectors);
    cuts(vectors);
}

fn padding(vectors: &mut Set) {
    let mut lengths = vec![8, 4095, 4096, 4097, 4224, 4225, 100_000, 65_536, 65_537];
    for exponent in 12..32u32 {
        let power = 1u64 << exponent;
        lengths.extend([power - 1, power, power + 1, power + power / 3]);
    }
    lengths.sort_unstable();
    lengths.dedup();
    let lines: Vec<String> =
        lengths.iter().map(|length| format!("{length} {}", padded_stream_len(*length))).collect();
    let comment = "each line: the length of a stream, the length it is padded to";
    vectors.structure("padding", &[]).table("streams", comment, &lines);
}

/// Cuts of content that any language can make: a 32-bit linear congruential generator.
fn cuts(vectors: &mut Set) {
    let world = World::new(80);
    let keyring = Keyring::owner(world.root.duplicate(), SUITE);
    let key = keyring.chunker(DOMAIN).expect("an owner has every key");
    let gear = Arc::new(Gear::from_bytes(&key.gear_tables()));
    let sizes = ChunkSizes::new(1 << 10, 4 << 10, 16 << 10).expect("these sizes are allowed");
    for (name, content) in [
        ("random", generated(300_000)),
        ("zeros", vec![0; 100_000]),
        ("short", generated(1024)),
        ("one-more", generated(1025)),
    ] {
        let lines: Vec<String> =
            cut_whole(&gear, sizes, &content).iter().map(u32::to_string).collect();
        let source = if name == "zeros" { "zeros" } else { "generator" };
        let fields = [
            world.root_field(),
            ("domain", DOMAIN.to_string()),
            ("min", sizes.min().to_string()),
            ("avg", sizes.avg().to_string()),
            ("max", sizes.max().to_string()),
            ("content", source.into()),
            ("length", content.len().to_string()),
        ];
        let comment = "each line: a chunk's length. The content is zeros, or byte i is the upper \
                       8 bits of x[i+1], where x[0] = 1, x[i+1] = (1664525 x[i] + 1013904223) mod 2^32";
        vectors.structure("cuts", &fields).table(name, comment, &lines);
    }
}

fn generated(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}
