//! Keys give what the standards' vectors say, and each thing has its own. What follows from a
//! root secret is frozen.

use std::collections::BTreeSet;

use super::*;
use crate::SeededEntropy;
use crate::testing::{hex, unhex};

#[test]
fn ed25519_gives_the_keys_and_signature_of_rfc_8032_test_2() {
    let seed = unhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let key = SigningKey::from_seed(Zeroizing::new(seed.try_into().unwrap()));
    let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    assert_eq!(format!("{:?}", key.verifying()), public);
    let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    assert_eq!(hex(key.pair.sign(&[0x72]).as_ref()), signature);
}

#[test]
fn a_signature_holds_only_for_its_bytes_context_and_key() {
    let entropy = SeededEntropy::new(1);
    let [ours, theirs] = [(); 2].map(|()| SigningKey::draw(&entropy));
    let contexts = [SigningContext::Record, SigningContext::Certificate, SigningContext::Config];
    for context in contexts {
        let signature = ours.sign(context, b"bytes");
        for as_context in contexts {
            let verified = ours.verifying().verify(as_context, b"bytes", &signature);
            assert_eq!(verified.is_ok(), as_context == context);
        }
        assert!(ours.verifying().verify(context, b"other", &signature).is_err());
        assert!(theirs.verifying().verify(context, b"bytes", &signature).is_err());
    }
}

#[test]
fn boundaries_are_siphash_2_4_of_level_and_key() {
    // Reference vectors of the SipHash authors: key 00..0f, input 00..(n-1).
    let key = SymmetricKey::from_bytes(Zeroizing::new(std::array::from_fn(|at| at as u8)));
    let tree = TreeKey::new(&key);
    assert_eq!(tree.boundary(0, &[]), 0x74f839c593dc67fd_u64 as u32);
    let input: Vec<u8> = (1..15).collect();
    assert_eq!(tree.boundary(0, &input), 0xa129ca6149be45e5_u64 as u32);
}

#[test]
fn chunk_ids_are_keyed_blake3_of_kind_and_plaintext() {
    let key = *b"whats the Elvish word for friend";
    let names = NameKey::new(SymmetricKey::from_bytes(Zeroizing::new(key)));
    assert_eq!(
        *names.name(9, b"text").as_bytes(),
        *blake3::keyed_hash(&key, b"\x09text").as_bytes()
    );
    assert_ne!(names.name(1, b"text"), names.name(2, b"text"));
    // Reference vector of BLAKE3: keyed hash of the one byte 00.
    let vector = "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b";
    assert_eq!(names.name(0, b"").to_string(), vector);
}

#[test]
fn every_key_that_follows_from_the_root_is_another() {
    let root = RootSecret::draw(&SeededEntropy::new(2));
    let mut keys = BTreeSet::from([*root.signing().seed()]);
    let mut count = 1;
    let lasting =
        [root.content_names(), root.node_names(), root.chunker(), root.tree(), root.local()];
    let of_epoch = [0, 1].map(Epoch).map(|epoch| {
        let kem = [root.content_secret(epoch), root.meta_secret(epoch)];
        let [content, meta] = kem.map(|secret| *secret.seed());
        [*root.ledger(epoch).as_bytes(), *root.index(epoch).as_bytes(), content, meta]
    });
    for key in &lasting {
        keys.insert(*key.as_bytes());
        for domain in [DomainId::DEFAULT, DomainId::from_bytes([1; 16])] {
            keys.insert(*key.for_domain(domain).as_bytes());
        }
        count += 3;
    }
    keys.extend(of_epoch.iter().flatten());
    assert_eq!(keys.len(), count + 8);
}

#[test]
fn what_follows_from_a_root_is_frozen() {
    let root = RootSecret::from_bytes(Zeroizing::new([1; 32]));
    let domain = DomainId::from_bytes([2; 16]);
    let mut digester = crate::Digester::new();
    digester
        .update(root.vault_id().as_bytes())
        .update(root.content_secret(Epoch(3)).public().as_bytes())
        .update(root.meta_secret(Epoch(3)).public().as_bytes())
        .update(root.ledger(Epoch(3)).as_bytes())
        .update(root.index(Epoch(3)).for_domain(domain).as_bytes())
        .update(NameKey::new(root.content_names().for_domain(domain)).name(1, b"x").as_bytes())
        .update(NameKey::new(root.node_names().for_domain(domain)).name(1, b"x").as_bytes())
        .update(&ChunkerKey::new(root.chunker().for_domain(domain)).gear_tables())
        .update(&TreeKey::new(&root.tree().for_domain(domain)).boundary(1, b"x").to_le_bytes())
        .update(root.local().as_bytes());
    assert_eq!(
        digester.finish().to_string(),
        "373d7347e83447d35c04fa6011e3bf529f7e962064548a8df419803555bf11d4"
    );
}
