//! Only the vault's root key certifies, and nothing in a certificate can be changed. Every byte
//! is changed once.

use super::*;
use crate::{RootSecret, SeededEntropy};

fn issued() -> (Certificate, Vec<u8>, VerifyingKey) {
    let entropy = SeededEntropy::new(1);
    let root = RootSecret::draw(&entropy);
    let keys = MemberKeys::draw(&entropy);
    let domain = keys.member_id().own_domain();
    let certificate = Certificate::of(&keys, root.vault_id(), Role::Writer, domain, Epoch(3));
    let bytes = certificate.issue(&root.signing());
    (certificate, bytes, root.signing().verifying())
}

#[test]
fn a_certificate_reads_back_and_holds_under_its_root() {
    let (certificate, bytes, root) = issued();
    assert_eq!(bytes.len(), Certificate::BYTES);
    let signed = SignedCertificate::decode(&bytes).unwrap();
    assert_eq!(signed.verify(&root), Ok(&certificate));
    assert_eq!(signed.unverified(), &certificate);
}

#[test]
fn another_root_cannot_certify() {
    let (certificate, bytes, root) = issued();
    let other = RootSecret::draw(&SeededEntropy::new(2)).signing();
    let signed = SignedCertificate::decode(&bytes).unwrap();
    assert!(matches!(signed.verify(&other.verifying()), Err(Error::OtherVault { .. })));
    let forged = SignedCertificate::decode(&certificate.issue(&other)).unwrap();
    assert!(matches!(forged.verify(&root), Err(Error::Signature { .. })));
}

#[test]
fn a_certificate_with_any_byte_changed_or_lost_is_refused() {
    let (_, bytes, root) = issued();
    let accepted = |bytes: &[u8]| {
        SignedCertificate::decode(bytes).is_ok_and(|signed| signed.verify(&root).is_ok())
    };
    assert!(accepted(&bytes));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(!accepted(&changed), "byte {at} was ignored");
    }
    assert!((0..bytes.len()).all(|length| !accepted(&bytes[..length])));
    assert!(!accepted(&[&bytes[..], &[0]].concat()));
}

#[test]
fn a_member_id_that_is_not_its_keys_is_refused() {
    let (mut certificate, _, _) = issued();
    let root = RootSecret::draw(&SeededEntropy::new(1)).signing();
    certificate.member = MemberId::from_bytes([9; 16]);
    let decoded = SignedCertificate::decode(&certificate.issue(&root));
    assert!(matches!(decoded, Err(Error::MemberMismatch { .. })));
}
