//! Vectors of what carries keys: config, certificates, bundles, key files, slots, and what follows
//! from the root secret.

use crypto::{
    Argon2Parameters, Bundle, Certificate, EpochKeys, EpochKeysBinding, Keyring, Role,
    SigningContext, Slot, Suite,
};
use format::{Config, TreeExponents};

use super::world::{DOMAIN, EPOCH, SUITE, World};
use super::{Set, flip, hex, set, splice, with};

pub(crate) fn add(vectors: &mut Set) {
    schedule(vectors);
    config(vectors);
    certificate(vectors);
    bundle(vectors);
    member_keys(vectors);
    role_keys(vectors);
    key_file(vectors);
    slot(vectors);
}

/// All keys that follow from R; a bundle's bytes show them.
fn schedule(vectors: &mut Set) {
    let world = World::new(10);
    let bundle = |role| {
        let entropy = crypto::SeededEntropy::new(11);
        Bundle::for_role(&world.root, SUITE, role, DOMAIN, EPOCH, &entropy)
            .expect("four epochs are few")
    };
    let (reader, writer) = (bundle(Role::Reader).encode(), bundle(Role::Writer).encode());
    let lasting = 36 + 16 + 3 * 32;
    let reader_epoch = lasting + 4 * 32 + 4 + 3 * (4 + 4 * 32) + 4;
    let writer_epoch = lasting + 4 * 32 + 4 + 3 * (4 + 2 * 32) + 4;
    let key = |bytes: &[u8], at: usize| hex(&bytes[at..at + 32]);
    let keyring = Keyring::owner(world.root.duplicate(), SUITE);
    let gear = keyring.chunker(DOMAIN).expect("an owner has every key").gear_tables();
    let mut lines = vec![
        format!("root-public {}", hex(world.root.signing().verifying().as_bytes())),
        format!("vault {}", world.vault()),
        format!("folder {}", hex(&keyring.folder_name())),
        format!("gear {}", hex(&gear)),
    ];
    for (index, name) in ["content-names", "node-names", "chunker", "tree"].iter().enumerate() {
        let at = lasting + 32 * index;
        lines.push(format!("{name} {}", key(&reader, at)));
        lines.push(format!("{name}-of-domain {}", key(&writer, at)));
    }
    for (index, name) in ["ledger", "index", "meta-kem", "content-kem"].iter().enumerate() {
        lines.push(format!("{name} {}", key(&reader, reader_epoch + 32 * index)));
    }
    lines.push(format!("index-of-domain {}", key(&writer, writer_epoch + 32)));
    for (name, secret) in [
        ("content-public", world.root.content_secret(EPOCH)),
        ("meta-public", world.root.meta_secret(EPOCH)),
    ] {
        lines.push(format!("{name} {}", hex(secret.public().as_bytes())));
    }
    let fields = [world.root_field(), ("epoch", EPOCH.to_string()), ("domain", DOMAIN.to_string())];
    let comment = "each line: a key's name in FORMAT.md §5.1 and its bytes";
    vectors.structure("key-schedule", &fields).table("all", comment, &lines);
}

fn config(vectors: &mut Set) {
    let world = World::new(12);
    let signing = world.root.signing();
    let public = *signing.verifying().as_bytes();
    let good = Config::new(world.vault(), public, SUITE);
    let signed = |config: &Config| {
        let clear = config.encode();
        config.encode_signed(signing.sign(SigningContext::Config, &clear).as_bytes())
    };
    let bytes = signed(&good);
    let mut cases = vectors.structure("config", &[("vault", world.vault().to_string())]);
    cases.good("defaults", "suite 1 and all default sizes", &[], &bytes);
    let chosen = Config {
        suite: Suite::ChaCha20Poly1305,
        chunk_min: 64,
        chunk_avg: 4 << 10,
        chunk_max: 8 << 10,
        trees: TreeExponents { files: (8, 16), recipes: (9, 15), stores: (10, 14) },
        pack_size: 4 << 20,
        ..good.clone()
    };
    cases.good("least-sizes", "suite 2 and the least sizes", &[], &signed(&chosen));
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    for (name, at, others) in [
        ("suite-3", 65, vec![3, 0]),
        ("chunk-min-63", 67, vec![63, 0, 0, 0]),
        ("chunk-min-above-half", 67, vec![1, 0, 8, 0]),
        ("chunk-avg-odd", 71, vec![1, 0, 16, 0]),
        ("chunk-max-above-16-mib", 75, vec![1, 0, 0, 1]),
        ("exponent-7", 79, vec![7]),
        ("exponent-17", 84, vec![17]),
        ("pack-size-odd", 85, vec![1, 0, 0, 2]),
        ("pack-size-2-mib", 85, vec![0, 0, 0x20, 0]),
    ] {
        let mut clear = set(&bytes, at, &others);
        clear.truncate(89);
        let signature = signing.sign(SigningContext::Config, &clear);
        let comment = "a field outside its limits, signed all the same";
        cases.bad(name, "invalid", comment, &with(&clear, signature.as_bytes()));
    }
    cases.bad("signature-changed", "signature", "a bit of the signature", &flip(&bytes, 152));
    cases.bad(
        "size-changed",
        "signature",
        "pack size 16 MiB instead of 32",
        &set(&bytes, 85, &[0, 0, 0, 1]),
    );
    let wrong = signing.sign(SigningContext::Certificate, &bytes[..89]);
    let comment = "signed in the context certificate";
    cases.bad("other-context", "signature", comment, &with(&bytes[..89], wrong.as_bytes()));
    let other = World::other_root().signing();
    let stolen = Config::new(world.vault(), *other.verifying().as_bytes(), SUITE);
    let clear = stolen.encode();
    let signature = other.sign(SigningContext::Config, &clear);
    let comment = "another root key claims this vault id and signs";
    cases.bad("other-root", "other-vault", comment, &with(&clear, signature.as_bytes()));
    let other_id =
        Config::new(World::other_root().vault_id(), *other.verifying().as_bytes(), SUITE);
    let clear = other_id.encode();
    let signature = other.sign(SigningContext::Config, &clear);
    let comment = "the whole config of another vault";
    cases.bad("other-vault", "other-vault", comment, &with(&clear, signature.as_bytes()));
}

fn certificate(vectors: &mut Set) {
    let world = World::new(13);
    let signing = world.root.signing();
    let fields = [("root-public", hex(signing.verifying().as_bytes()))];
    let certificate = Certificate::of(&world.member, world.vault(), Role::Writer, DOMAIN, EPOCH);
    let bytes = certificate.issue(&signing);
    let mut cases = vectors.structure("certificate", &fields);
    let found = [("member", certificate.member.to_string()), ("role", "writer".into())];
    cases.good("writer", "a writer of a domain of its own", &found, &bytes);
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    cases.bad("other-member", "member", "the member id is not the keys'", &flip(&bytes, 40));
    cases.bad("other-key", "member", "the Ed25519 key is not the member's", &flip(&bytes, 60));
    let comment = "coefficients of the ML-KEM key are above 3328";
    cases.bad("bad-kem-key", "public-key", comment, &set(&bytes, 81, &[0xff; 64]));
    cases.bad("role-0", "invalid", "no role has the code 0", &set(&bytes, 1297, &[0]));
    cases.bad("role-7", "invalid", "no role has the code 7", &set(&bytes, 1297, &[7]));
    let comment = "the writer makes itself a reader";
    cases.bad("role-raised", "signature", comment, &set(&bytes, 1297, &[2]));
    cases.bad("other-domain", "signature", "another domain", &flip(&bytes, 1300));
    cases.bad("other-epoch", "signature", "another epoch", &flip(&bytes, 1314));
    cases.bad("signature-changed", "signature", "a bit of the signature", &flip(&bytes, 1381));
    let own = with(
        &bytes[..1318],
        world.member.signing().sign(SigningContext::Certificate, &bytes[..1318]).as_bytes(),
    );
    cases.bad("self-signed", "signature", "signed by the member itself", &own);
    let context = signing.sign(SigningContext::Record, &bytes[..1318]);
    let comment = "signed in the context record";
    cases.bad("other-context", "signature", comment, &with(&bytes[..1318], context.as_bytes()));
    let other = World::other_root();
    let stranger = Certificate::of(&world.member, other.vault_id(), Role::Writer, DOMAIN, EPOCH);
    let comment = "another vault's certificate of the same member";
    cases.bad("other-vault", "other-vault", comment, &stranger.issue(&other.signing()));
}

fn bundle(vectors: &mut Set) {
    let world = World::new(14);
    let mut cases = vectors.structure("bundle", &[]);
    let bundle = |role| {
        Bundle::for_role(&world.root, SUITE, role, DOMAIN, crypto::Epoch(1), &world.entropy)
            .expect("two epochs are few")
    };
    for role in Role::ALL {
        let found = [("role", role.to_string()), ("vault", world.vault().to_string())];
        let comment = "the keys of the role, of epochs 0 and 1";
        cases.good(&role.to_string(), comment, &found, &bundle(role).encode());
    }
    let bytes = bundle(Role::Writer).encode();
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    cases.bad("suite-0", "suite", "no suite has the code 0", &set(&bytes, 33, &[0]));
    cases.bad("role-9", "invalid", "no role has the code 9", &set(&bytes, 35, &[9]));
    let comment = "a writer's keys under the role reader, which has more";
    cases.bad("too-few-keys", "short", comment, &set(&bytes, 35, &[2]));
    let count = 36 + 16 + 7 * 32;
    let comment = "more epochs than a bundle may have";
    cases.bad("too-many-epochs", "limit", comment, &set(&bytes, count, &[1, 16, 0, 0]));
    let epochs = &bytes[count + 4..];
    let (first, second) = epochs.split_at(4 + 2 * 32);
    let swapped = [&bytes[..count + 4], second, first].concat();
    cases.bad("epochs-swapped", "not-canonical", "epoch 1 stands before epoch 0", &swapped);
    let twice = [&bytes[..count + 4], first, first].concat();
    cases.bad("epoch-twice", "not-canonical", "epoch 0 stands there twice", &twice);
    let gap = set(&bytes, count + 4 + first.len(), &[2]);
    cases.bad("epochs-with-a-gap", "not-canonical", "epoch 2 follows epoch 0", &gap);
    let none = with(&bytes[..count], &[0; 4]);
    cases.bad("no-epochs", "not-canonical", "a member's bundle without epochs", &none);
    let later = [&bytes[..count], &[1, 0, 0, 0], second].concat();
    let found = [("role", "writer".into()), ("vault", world.vault().to_string())];
    cases.good("first-epoch-1", "a bundle may begin with a later epoch", &found, &later);
    let owner = bundle(Role::Owner).encode();
    let comment = "the root secret makes another vault id";
    cases.bad("owner-of-another", "other-vault", comment, &flip(&owner, 40));
}

fn member_keys(vectors: &mut Set) {
    let world = World::new(15);
    let bytes = world.member.encode();
    let mut cases = vectors.structure("member-keys", &[]);
    let found = [("member", world.member.member_id().to_string())];
    cases.good("one", "the seeds of a member's keys", &found, &bytes);
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
}

fn role_keys(vectors: &mut Set) {
    let world = World::new(16);
    let binding = EpochKeysBinding {
        vault_id: world.vault(),
        member: world.member.member_id(),
        role: Role::Writer,
        domain: DOMAIN,
        epoch: EPOCH,
    };
    let keys = EpochKeys::for_role(&world.root, Role::Writer, DOMAIN, EPOCH);
    let bytes = keys.seal_to(world.member.kem_public(), SUITE, &binding, &world.entropy);
    let fields = [
        ("vault", world.vault().to_string()),
        ("member-keys", hex(&world.member.encode())),
        ("suite", "1".into()),
        ("role", "4".into()),
        ("domain", DOMAIN.to_string()),
        ("epoch", EPOCH.to_string()),
    ];
    let mut cases = vectors.structure("role-keys", &fields);
    cases.good("writer", "a writer's keys of epoch 3, sealed to it", &[], &bytes);
    for (name, at) in [("enc-changed", 5), ("key-changed", 1125), ("tag-changed", bytes.len() - 1)]
    {
        cases.bad(name, "authentication", "a bit was changed", &flip(&bytes, at));
    }
    cases.bad("one-byte-short", "authentication", "the tag is cut", &bytes[..bytes.len() - 1]);
    for (name, other) in [
        ("other-epoch", EpochKeysBinding { epoch: crypto::Epoch(4), ..binding }),
        ("other-role", EpochKeysBinding { role: Role::Reader, ..binding }),
        ("other-domain", EpochKeysBinding { domain: crypto::DomainId::DEFAULT, ..binding }),
    ] {
        let sealed = keys.seal_to(world.member.kem_public(), SUITE, &other, &world.entropy);
        let comment = "the same keys, bound to something else";
        cases.bad(name, "authentication", comment, &sealed);
    }
    let reader = EpochKeys::for_role(&world.root, Role::Reader, DOMAIN, EPOCH);
    let sealed = reader.seal_to(world.member.kem_public(), SUITE, &binding, &world.entropy);
    cases.bad("too-many-keys", "trailing", "a reader's keys, bound as a writer's", &sealed);
}

fn key_file(vectors: &mut Set) {
    let world = World::new(17);
    let mut cases = vectors.structure("key-file", &[]);
    let auditor = Bundle::for_role(
        &world.root,
        SUITE,
        Role::Auditor,
        DOMAIN,
        crypto::Epoch(0),
        &world.entropy,
    )
    .expect("one epoch is few");
    let text = auditor.to_key_file();
    let bytes = text.as_bytes();
    let found = [("role", "auditor".into())];
    cases.good("auditor", "the text of a key file, in hex like all vectors", &found, bytes);
    let comment = "white space around it";
    cases.good("with-line-end", comment, &found, &[b" ", bytes, b"\r\n"].concat());
    let owner = Bundle::owner(world.root.duplicate(), SUITE);
    let text = owner.to_key_file();
    cases.good("owner", "an owner's", &[("role", "owner".into())], text.as_bytes());
    cases.bad("not-one", "key-file", "something else", b"ssh-ed25519 AAAA");
    cases.bad("version-2", "key-file", "a newer version", &set(bytes, 15, b"2"));
    let comment = "a version with a leading zero is no key file's";
    cases.bad("version-01", "key-file", comment, &splice(bytes, 15..16, b"01"));
    cases.bad(
        "letter-changed",
        "key-file",
        "the check sum",
        &set(bytes, 60, &[if bytes[60] == b'A' { b'B' } else { b'A' }]),
    );
    cases.bad("letter-lost", "key-file", "a letter is missing", &splice(bytes, 60..61, b""));
    cases.bad("one-byte-short", "key-file", "the end is missing", &bytes[..bytes.len() - 1]);
    cases.bad("padded", "key-file", "padding of base64", &with(bytes, b"="));
    cases.bad("other-alphabet", "key-file", "+ is not of base64url", &set(bytes, 60, b"+"));
    let last = bytes.len() - 1;
    let comment = "bits of the last letter that no byte uses";
    cases.bad("unused-bits", "key-file", comment, &set(bytes, last, &[bytes[last] + 1]));
    let line = splice(bytes, 60..60, b"\n");
    cases.bad("two-lines", "key-file", "white space within", &line);
    cases.bad("empty", "key-file", "there are no bytes", b"");
}

fn slot(vectors: &mut Set) {
    let world = World::new(18);
    let passphrase = b"correct horse";
    let owner = Bundle::owner(world.root.duplicate(), SUITE);
    let seal = |bundle: &Bundle| {
        Slot::seal(passphrase, Argon2Parameters::CHEAP_FOR_TESTS, bundle, &world.entropy)
            .expect("the cheap parameters are within the limits")
    };
    let bytes = seal(&owner);
    let mut cases = vectors.structure("slot", &[("passphrase", hex(passphrase))]);
    let found = [("role", "owner".into()), ("vault", world.vault().to_string())];
    cases.good("owner", "a slot with cheap Argon2: 64 KiB, 1 pass, 1 lane", &found, &bytes);
    let second = Bundle::owner(world.root.duplicate(), Suite::ChaCha20Poly1305);
    cases.good("owner-suite-2", "the same under suite 2", &found, &seal(&second));
    cases.bad("empty", "short", "there are no bytes", &[]);
    cases.bad("only-clear", "short", "nothing is sealed in it", &bytes[..112]);
    cases.bad_version(&bytes);
    cases.bad("suite-0", "suite", "no suite has the code 0", &set(&bytes, 1, &[0]));
    let comment = "another suite than it was sealed with";
    cases.bad("suite-changed", "authentication", comment, &set(&bytes, 1, &[2]));
    cases.bad("vault-changed", "authentication", "a bit of the vault id", &flip(&bytes, 3));
    cases.bad("factors-3", "factors", "it wants a second factor", &set(&bytes, 35, &[3]));
    cases.bad("factors-0", "factors", "it wants no factor", &set(&bytes, 35, &[0]));
    for (name, at, others) in [
        ("memory-above-4-gib", 36, vec![1, 0, 0x40, 0]),
        ("memory-below-8-a-lane", 36, vec![7, 0, 0, 0]),
        ("passes-0", 40, vec![0; 4]),
        ("passes-17", 40, vec![17, 0, 0, 0]),
        ("lanes-0", 44, vec![0; 4]),
        ("lanes-65", 44, vec![65, 0, 0, 0]),
        ("lanes-huge", 44, vec![0xff; 4]),
    ] {
        cases.bad(name, "limit", "refused before any work", &set(&bytes, at, &others));
    }
    for (name, at) in [("salt-changed", 50), ("commitment-changed", 111)] {
        cases.bad(name, "passphrase", "a bit was changed", &flip(&bytes, at));
    }
    let parameters = Argon2Parameters::CHEAP_FOR_TESTS;
    let other = Slot::seal(b"another horse", parameters, &owner, &world.entropy)
        .expect("the cheap parameters are within the limits");
    cases.bad("other-passphrase", "passphrase", "made with another passphrase", &other);
    let comment = "the other passphrase's box behind this one's commitment";
    cases.bad("other-box", "authentication", comment, &with(&bytes[..112], &other[112..]));
    for (name, at) in [("nonce-changed", 113), ("text-changed", 142)] {
        cases.bad(name, "authentication", "a bit was changed", &flip(&bytes, at));
    }
    cases.bad("one-byte-short", "authentication", "the tag is cut", &bytes[..bytes.len() - 1]);
    cases.bad("one-byte-long", "authentication", "a byte follows", &with(&bytes, &[0]));
}
