//! Small records open as what they are, where they are, whole. The vectors are those of C2SP.

use xaes_256_gcm::Xaes256Gcm;
use zeroize::Zeroizing;

use super::*;
use crate::SeededEntropy;
use crate::testing::unhex;

const VAULT: VaultId = VaultId::from_bytes([7; 32]);

#[test]
fn xaes_gives_the_vectors_of_c2sp() {
    let vectors: [(u8, &[u8], &str); 2] = [
        (1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"),
        (3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"),
    ];
    for (byte, aad, sealed) in vectors {
        let key = SymmetricKey::from_bytes(Zeroizing::new([byte; 32]));
        let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
        let mut text = b"XAES-256-GCM".to_vec();
        let tag = seal_in_place::<Xaes256Gcm>(&key, nonce, aad, &mut text);
        assert_eq!([&text[..], &tag].concat(), unhex(sealed));
        let record = [&nonce[..], &unhex(sealed)].concat();
        assert_eq!(open_with_aad(Suite::Aes256Gcm, &key, aad, &record).unwrap(), b"XAES-256-GCM");
    }
}

#[test]
fn a_record_opens_only_as_its_own_kind() {
    let entropy = SeededEntropy::new(1);
    let key = SymmetricKey::draw(&entropy);
    for suite in Suite::ALL {
        for kind in SmallKind::ALL {
            let sealed = seal_small(suite, &key, kind, VAULT, b"n", b"text", &entropy);
            assert_eq!(sealed.len(), 4 + SMALL_OVERHEAD);
            for as_kind in SmallKind::ALL {
                let opened = open_small(suite, &key, as_kind, VAULT, b"n", &sealed);
                match as_kind == kind {
                    true => assert_eq!(opened.unwrap(), b"text"),
                    false => assert_eq!(opened, Err(Error::Small { kind: as_kind })),
                }
            }
        }
    }
}

#[test]
fn a_record_is_bound_to_its_vault_names_key_and_suite_and_to_every_bit() {
    let entropy = SeededEntropy::new(2);
    let [key, other] = [(); 2].map(|()| SymmetricKey::draw(&entropy));
    let kind = SmallKind::StateFile;
    let [suite, other_suite] = Suite::ALL;
    let sealed = seal_small(suite, &key, kind, VAULT, b"head", b"text", &entropy);
    let open = |suite, key, vault, names: &[u8], bytes: &[u8]| {
        open_small(suite, key, kind, vault, names, bytes)
    };

    assert!(open(suite, &key, VAULT, b"head", &sealed).is_ok());
    assert!(open(other_suite, &key, VAULT, b"head", &sealed).is_err());
    assert!(open(suite, &other, VAULT, b"head", &sealed).is_err());
    assert!(open(suite, &key, VaultId::from_bytes([8; 32]), b"head", &sealed).is_err());
    assert!(open(suite, &key, VAULT, b"tail", &sealed).is_err());
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(suite, &key, VAULT, b"head", &flipped).is_err(), "bit {bit} was ignored");
    }
    for length in 0..sealed.len() {
        assert!(open(suite, &key, VAULT, b"head", &sealed[..length]).is_err());
    }
}

#[test]
fn the_same_plaintext_is_never_sealed_to_the_same_bytes() {
    let entropy = SeededEntropy::new(3);
    let key = SymmetricKey::draw(&entropy);
    let [one, two] = [(); 2].map(|()| {
        seal_small(Suite::Aes256Gcm, &key, SmallKind::Label, VAULT, b"", b"text", &entropy)
    });
    assert_ne!(one[..NONCE_BYTES], two[..NONCE_BYTES]);
    assert_ne!(one[NONCE_BYTES..], two[NONCE_BYTES..]);
}
