//! Each role holds the keys that the design gives it and no other, through every form it
//! travels in. The table of roles is DESIGN §6.

use super::*;
use crate::{Entropy, ErrorKind, SeededEntropy};

const HOME: DomainId = DomainId::from_bytes([1; 16]);
const ABROAD: DomainId = DomainId::from_bytes([2; 16]);
const SUITE: Suite = Suite::Aes256Gcm;

fn root() -> RootSecret {
    RootSecret::draw(&SeededEntropy::new(1))
}

fn bundle(role: Role, entropy: &dyn Entropy) -> Bundle {
    Bundle::for_role(&root(), SUITE, role, HOME, Epoch(2), entropy).unwrap()
}

/// Which of eight keys a keyring holds of a domain, in the order of the design's table.
fn held(keyring: &Keyring, domain: DomainId) -> [bool; 8] {
    let epoch = Epoch(1);
    [
        keyring.content_secret(epoch).is_ok(),
        keyring.meta_secret(epoch).is_ok(),
        keyring.content_names(domain).is_ok(),
        keyring.node_names(domain).is_ok(),
        keyring.chunker(domain).is_ok(),
        keyring.tree(domain).is_ok(),
        keyring.index(domain, epoch).is_ok(),
        keyring.ledger(epoch).is_ok(),
    ]
}

#[test]
fn a_role_holds_its_keys_and_no_other() {
    let [y, n] = [true, false];
    let table = [
        (Role::Owner, [y; 8], [y; 8]),
        (Role::Reader, [y; 8], [y; 8]),
        (Role::Browser, [n, y, n, y, n, n, y, y], [n, y, n, y, n, n, y, y]),
        (Role::Writer, [n, n, y, y, y, y, y, y], [n, n, n, n, n, n, n, y]),
        (Role::Collector, [n, y, n, y, n, n, y, y], [n, y, n, y, n, n, y, y]),
        (Role::Auditor, [n, n, n, n, n, n, n, y], [n, n, n, n, n, n, n, y]),
    ];
    for (role, home, abroad) in table {
        let keyring = Keyring::from_bundle(bundle(role, &SeededEntropy::new(2)));
        assert_eq!(keyring.role(), role);
        assert_eq!(held(&keyring, HOME), home, "{role} at home");
        assert_eq!(held(&keyring, ABROAD), abroad, "{role} abroad");
        assert_eq!(keyring.root_signing().is_ok(), role == Role::Owner);
        assert_eq!(keyring.member().is_ok(), role != Role::Owner);
    }
}

#[test]
fn the_keys_that_roles_share_are_the_same() {
    let owner = Keyring::owner(root(), SUITE);
    for role in [Role::Reader, Role::Writer] {
        let keyring = Keyring::from_bundle(bundle(role, &SeededEntropy::new(3)));
        assert_eq!(keyring.vault_id(), owner.vault_id());
        for epoch in (0..=2).map(Epoch) {
            assert!(keyring.ledger(epoch).unwrap() == owner.ledger(epoch).unwrap());
            assert!(keyring.index(HOME, epoch).unwrap() == owner.index(HOME, epoch).unwrap());
        }
        let ids = [&keyring, &owner].map(|keyring| {
            let names = [keyring.content_names(HOME), keyring.node_names(HOME)];
            names.map(|key| key.unwrap().name(1, b"text"))
        });
        assert_eq!(ids[0], ids[1]);
        let tables = [&keyring, &owner].map(|k| k.chunker(HOME).unwrap().gear_tables());
        assert_eq!(tables[0], tables[1]);
        let hashes = [&keyring, &owner].map(|k| k.tree(HOME).unwrap().boundary(1, b"key"));
        assert_eq!(hashes[0], hashes[1]);
    }
}

#[test]
fn what_is_not_held_is_named() {
    let writer = Keyring::from_bundle(bundle(Role::Writer, &SeededEntropy::new(4)));
    let error = writer.content_secret(Epoch(0)).err().unwrap();
    assert_eq!(error.to_string(), "the role writer holds no key for content packs");
    assert_eq!(error.kind(), ErrorKind::Denied);
    let error = writer.ledger(Epoch(3)).err().unwrap();
    assert!(error.to_string().contains("epoch 3") && error.to_string().contains("epoch 2"));
}

#[test]
fn a_bundle_reads_back_whole_and_in_one_form_only() {
    for role in Role::ALL {
        let bundle = bundle(role, &SeededEntropy::new(5));
        let bytes = bundle.encode();
        let again = Bundle::decode(&bytes).unwrap();
        assert_eq!(again.encode(), bytes);
        assert_eq!((again.role(), again.domain()), (bundle.role(), bundle.domain()));
        assert_eq!(again.suite(), SUITE);
        for length in 0..bytes.len() {
            assert!(Bundle::decode(&bytes[..length]).is_err(), "{role} cut at {length}");
        }
        assert!(Bundle::decode(&[&bytes[..], &[0]].concat()).is_err());
        let newer = Bundle::decode(&[&[9], &bytes[1..]].concat()).err().unwrap();
        assert_eq!(newer.kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn a_bundle_with_epochs_out_of_order_or_beyond_the_limit_is_refused() {
    let bytes = bundle(Role::Auditor, &SeededEntropy::new(6)).encode();
    let epochs = bytes.len() - 3 * 36;
    let mut swapped = bytes.to_vec();
    swapped[epochs..epochs + 72].rotate_left(36);
    assert!(matches!(Bundle::decode(&swapped), Err(Error::Decode(_))));
    let mut many = bytes.to_vec();
    many[epochs - 4..epochs].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(Bundle::decode(&many), Err(Error::Decode(_))));
    let newest = Epoch(EPOCHS_MAX as u32);
    let entropy = SeededEntropy::new(6);
    let made = Bundle::for_role(&root(), SUITE, Role::Auditor, HOME, newest, &entropy);
    assert!(matches!(made, Err(Error::Epochs { .. })));
}

#[test]
fn an_owners_bundle_of_another_vault_is_refused() {
    let mut bytes = Bundle::owner(root(), SUITE).encode();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(Bundle::decode(&bytes), Err(Error::OtherVault { .. })));
}

#[test]
fn a_key_file_reads_back_and_says_what_is_wrong_with_it() {
    let bundle = bundle(Role::Writer, &SeededEntropy::new(7));
    let text = bundle.to_key_file();
    assert!(text.starts_with("strongroom-key-1:"));
    let spaced = format!("  {}\r\n\n", *text);
    assert_eq!(Bundle::from_key_file(&spaced).unwrap().encode(), bundle.encode());

    let read = |text: &str| Bundle::from_key_file(text).err().unwrap();
    assert_eq!(read("-----BEGIN PRIVATE KEY-----"), Error::NotAKeyFile);
    assert_eq!(read(""), Error::NotAKeyFile);
    let newer = text.replacen("-1:", "-2:", 1);
    assert_eq!(read(&newer), Error::KeyFileVersion { version: 2 });
    for at in 17..text.len() {
        let mut damaged = text.to_string();
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        damaged.replace_range(at..=at, other);
        assert!(matches!(read(&damaged), Error::KeyFileDamaged { .. }), "character {at}");
    }
    assert!(matches!(read(&text[..text.len() - 1]), Error::KeyFileDamaged { .. }));
    assert!(matches!(read("strongroom-key-1:"), Error::KeyFileDamaged { .. }));
}

#[test]
fn a_member_is_attached_to_an_owner_once() {
    let entropy = SeededEntropy::new(8);
    let owner = Keyring::owner(root(), SUITE);
    assert!(matches!(owner.signing(), Err(Error::NoKey { role: Role::Owner, .. })));
    let keys = MemberKeys::draw(&entropy);
    let member = keys.member_id();
    owner.attach_member(keys).unwrap();
    assert_eq!(owner.member_id(), Ok(member));
    let again = owner.attach_member(MemberKeys::draw(&entropy));
    assert_eq!(again, Err(Error::MemberAttached { member }));
}

#[test]
fn a_rotation_reaches_its_member_and_nobody_else() {
    let entropy = SeededEntropy::new(9);
    let [writer, other] = [(); 2].map(|()| Keyring::from_bundle(bundle(Role::Writer, &entropy)));
    let epoch = Epoch(3);
    let binding = EpochKeysBinding {
        vault_id: writer.vault_id(),
        member: writer.member_id().unwrap(),
        role: Role::Writer,
        domain: HOME,
        epoch,
    };
    let keys = EpochKeys::for_role(&root(), Role::Writer, HOME, epoch);
    let kem = writer.member().unwrap().kem_public();
    let sealed = keys.seal_to(kem, SUITE, &binding, &entropy);

    assert!(other.take_epoch(epoch, &sealed).is_err());
    assert!(writer.take_epoch(Epoch(4), &sealed).is_err());
    assert!(writer.ledger(epoch).is_err());
    writer.take_epoch(epoch, &sealed).unwrap();
    assert!(writer.ledger(epoch).unwrap() == root().ledger(epoch));
    let owner = Keyring::owner(root(), SUITE);
    assert!(writer.index(HOME, epoch).unwrap() == owner.index(HOME, epoch).unwrap());
}

#[test]
fn hosts_have_folders_of_their_own() {
    let entropy = SeededEntropy::new(10);
    let names = [
        Keyring::owner(root(), SUITE).folder_name(),
        Keyring::from_bundle(bundle(Role::Writer, &entropy)).folder_name(),
        Keyring::from_bundle(bundle(Role::Writer, &entropy)).folder_name(),
    ];
    assert!(names[0] != names[1] && names[1] != names[2]);
    assert_eq!(names[0], Keyring::owner(root(), SUITE).folder_name());
}
