//! Slots open with their passphrase only, and refuse hostile parameters before they cost
//! anything. All but the reference vector use parameters that cost nothing.

use super::*;
use crate::{ErrorKind, RootSecret, SeededEntropy};

fn slot(suite: Suite) -> (Vec<u8>, Bundle) {
    let entropy = SeededEntropy::new(1);
    let bundle = Bundle::owner(RootSecret::draw(&entropy), suite);
    let parameters = Argon2Parameters::CHEAP_FOR_TESTS;
    (Slot::seal(b"correct horse", parameters, &bundle, &entropy).unwrap(), bundle)
}

#[test]
fn argon2id_gives_a_vector_of_the_reference_implementation() {
    let parameters = Argon2Parameters { memory_kib: 64 << 10, passes: 2, lanes: 1 };
    let hash = parameters.hash(b"password", b"somesalt").unwrap();
    let expected = "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7";
    assert_eq!(crate::testing::hex(&hash[..]), expected);
}

#[test]
fn a_slot_opens_with_its_passphrase_and_no_other() {
    for suite in Suite::ALL {
        let (bytes, bundle) = slot(suite);
        let slot = Slot::decode(&bytes).unwrap();
        assert_eq!((slot.vault_id(), slot.suite()), (bundle.vault_id(), suite));
        assert_eq!(slot.open(b"correct horse").unwrap().encode(), bundle.encode());
        for wrong in [&b""[..], b"Correct horse", b"correct horse "] {
            assert_eq!(slot.open(wrong).err(), Some(Error::WrongPassphrase));
        }
    }
    let (_, bundle) = slot(Suite::Aes256Gcm);
    let sealed = Slot::seal(b"", Argon2Parameters::DEFAULT, &bundle, &SeededEntropy::new(2));
    assert_eq!(sealed, Err(Error::EmptyPassphrase));
}

#[test]
fn a_slot_with_any_byte_changed_does_not_open() {
    let (bytes, _) = slot(Suite::Aes256Gcm);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        // The low bit keeps changed Argon2 parameters cheap; other bits are refused or cost much.
        changed[at] ^= 1;
        let opened = Slot::decode(&changed).and_then(|slot| slot.open(b"correct horse"));
        let error = opened.err().unwrap_or_else(|| panic!("byte {at} was ignored"));
        match at {
            48..112 => assert_eq!(error, Error::WrongPassphrase, "salt or commitment, byte {at}"),
            112.. => assert_eq!(error, Error::SlotDamaged, "byte {at}"),
            _ => {}
        }
    }
    for length in 0..bytes.len() {
        let opened = Slot::decode(&bytes[..length]).and_then(|slot| slot.open(b"correct horse"));
        assert!(opened.is_err());
    }
}

#[test]
fn a_damaged_slot_is_told_from_a_wrong_passphrase() {
    let (mut bytes, _) = slot(Suite::Aes256Gcm);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let damaged = Slot::decode(&bytes).unwrap();
    assert_eq!(damaged.open(b"wrong horse").err(), Some(Error::WrongPassphrase));
    assert_eq!(damaged.open(b"correct horse").err(), Some(Error::SlotDamaged));
    assert_eq!(Error::SlotDamaged.kind(), ErrorKind::Corrupt);
    assert_eq!(Error::WrongPassphrase.kind(), ErrorKind::Denied);
}

#[test]
fn parameters_beyond_the_limits_are_refused_before_any_work() {
    let (bytes, bundle) = slot(Suite::Aes256Gcm);
    let refused = [
        (Argon2Parameters::MEMORY_KIB_MAX + 1, 1, 1),
        (u32::MAX, u32::MAX, u32::MAX),
        (1024, 17, 1),
        (1024, 0, 1),
        (1024, 1, 0),
        (1024, 1, 65),
        (31, 1, 4),
    ];
    for (memory_kib, passes, lanes) in refused {
        let parameters = Argon2Parameters { memory_kib, passes, lanes };
        let expected = Error::KdfLimits { memory_kib, passes, lanes };
        assert_eq!(expected.kind(), ErrorKind::Invalid);
        let sealed = Slot::seal(b"p", parameters, &bundle, &SeededEntropy::new(3));
        assert_eq!(sealed, Err(expected.clone()));
        let mut hostile = Slot::decode(&bytes).unwrap();
        hostile.clear.parameters = parameters;
        assert_eq!(hostile.open(b"correct horse").err(), Some(expected));
    }
    assert_eq!(Argon2Parameters::DEFAULT.check(), Ok(()));
    assert!(!Argon2Parameters::DEFAULT.is_below_floor());
    assert!(Argon2Parameters::CHEAP_FOR_TESTS.is_below_floor());
}

#[test]
fn a_slot_of_other_factors_or_a_newer_version_says_so() {
    let (bytes, _) = slot(Suite::Aes256Gcm);
    let mut slot = Slot::decode(&bytes).unwrap();
    slot.clear.factors = 3;
    assert_eq!(slot.open(b"correct horse").err(), Some(Error::Factors { factors: 3 }));
    let newer = Slot::decode(&[&[2], &bytes[1..]].concat()).err().unwrap();
    assert_eq!(newer.kind(), ErrorKind::Unsupported);
    assert!(Slot::decode(&vec![0; Slot::BYTES_MAX + 1]).is_err());
}
