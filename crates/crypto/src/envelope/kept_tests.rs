//! A key that a host keeps for its cached copy of a pack opens that pack alone.
//! What it opens is checked against the same commitment. FORMAT.md §5.

use crate::*;

#[test]
fn a_kept_key_opens_its_own_object_and_no_other() {
    let entropy = SeededEntropy::new(77);
    let secret = KemSecret::draw(&entropy);
    let (local, other) = (SymmetricKey::draw(&entropy), SymmetricKey::draw(&entropy));
    let header = Header {
        suite: Suite::Aes256Gcm,
        kind: ObjectKind::MetadataPack,
        vault_id: VaultId::from_bytes([1; 32]),
        session: SessionId::from_bytes([2; 16]),
        epoch: Epoch(0),
    };
    let expected =
        Expected { kind: header.kind, vault_id: header.vault_id, suite: Suite::Aes256Gcm };
    let public = secret.public();
    let make = || {
        let wrapping = Wrapping::Kem(&public);
        let made = ObjectSealer::new_kept(header, wrapping, &local, &entropy, Vec::new());
        let (mut sealer, kept) = made.unwrap();
        sealer.write(b"nodes");
        (sealer.finish(4096).unwrap().bytes, kept)
    };
    let ((first, kept), (second, _)) = (make(), make());

    let opened = OpenedObject::open_kept(&first, &kept, &local, expected).unwrap();
    assert_eq!(opened.open_all(&first).unwrap(), b"nodes");
    assert_eq!(kept.len(), KEPT_KEY_BYTES);
    assert!(OpenedObject::open_kept(&second, &kept, &local, expected).is_err());
    assert!(OpenedObject::open_kept(&first, &kept, &other, expected).is_err());
    assert!(OpenedObject::open_kept(&first, &kept[1..], &local, expected).is_err());
    let content = Header { kind: ObjectKind::ContentPack, ..header };
    let refused =
        ObjectSealer::new_kept(content, Wrapping::Kem(&public), &local, &entropy, Vec::new());
    assert!(refused.is_err(), "a writer must not be able to open its own content");
}
