//! How each structure of the vectors is decoded, checked and opened, and what its errors are
//! called.
//!
//! The names of errors are the vectors' own: coarse enough that a decoder in another language has
//! the same ones, fine enough that a vector is refused for its own reason.

use crate::vector::Vector;
use crypto::{
    Bundle, DomainId, Entropy, Epoch, EpochKeys, EpochKeysBinding, Expected, KEPT_KEY_BYTES,
    Keyring, MemberKeys, ObjectKind, OpenedObject, Role, RootSecret, Signature, SignedCertificate,
    SigningContext, Slot, SmallKind, Suite, Unwrapping, VaultId, VerifyingKey, open_small,
};
use format::{
    Child, CommitBody, Config, DecodeError, Descriptor, Digest, Directory, Extra, FileEntry,
    LabelBody, List, MemberId, Node, ObjectRef, PackSplitError, PathKey, PathKeyError, RecipeNode,
    RecordError, Ref, Run, SignedRecord, TagsBody, split_pack,
};

/// Why bytes are refused, as the vectors call it.
pub(crate) struct Class(pub(crate) &'static str);

/// Decodes a vector; what a good one says must be found in it.
pub(crate) fn judge(vector: &Vector) -> Result<(), &'static str> {
    let bytes = vector.bytes();
    let judged = match &vector.structure[..] {
        "config" => config(vector, &bytes),
        "certificate" => certificate(vector, &bytes),
        "bundle" => Bundle::decode(&bytes).map_err(Class::from).map(|bundle| {
            found(vector, "role", bundle.role());
            found(vector, "vault", bundle.vault_id());
            assert_eq!(bundle.encode().as_slice(), bytes, "{}", vector.name);
        }),
        "key-file" => key_file(vector, &bytes),
        "member-keys" => MemberKeys::decode(&bytes).map_err(Class::from).map(|keys| {
            found(vector, "member", keys.member_id());
        }),
        "role-keys" => role_keys(vector, &bytes),
        "slot" => slot(vector, &bytes),
        "kept-pack" => kept_pack(vector, &bytes),
        name if name.starts_with("object-") => object(vector, &bytes),
        name if name.starts_with("small-box") => small_box(vector, &bytes),
        "record" | "record-shape" => record(vector, &bytes),
        "record-too-long" => {
            let length = vector.value("length");
            let whole = [&bytes[..], &vec![0; length as usize - bytes.len()]].concat();
            assert!(SignedRecord::decode(&whole).is_err());
            found(vector, "hash", SignedRecord::hash(&whole[..1 << 20], length));
            Ok(())
        }
        _ => structure(vector, &bytes),
    };
    judged.map_err(|class| class.0)
}

/// Structures that need nothing but their bytes.
fn structure(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    match &vector.structure[..] {
        "body-certify" => LabelBody::decode(bytes).map(|body| {
            found(vector, "text", hex(body.label.as_bytes()));
        })?,
        "body-commit" => CommitBody::decode(bytes).map(|body| {
            found(vector, "chunk", body.descriptor.id);
        })?,
        "body-tag" => TagsBody::decode(bytes).map(drop)?,
        "list-of-refs" => List::<Ref>::decode_object(bytes).map(|items| {
            found(vector, "count", items.len());
            found(vector, "digest", Digest::of(bytes));
        })?,
        "list-of-objects" => List::<ObjectRef>::decode_object(bytes).map(|items| {
            found(vector, "count", items.len());
        })?,
        "directory" => Directory::decode(bytes).map(|directory| {
            found(vector, "frames", directory.frames.len());
            let chunks: usize = directory.frames.iter().map(|frame| frame.chunks.len()).sum();
            found(vector, "chunks", chunks);
        })?,
        "pack-payload" => {
            let kind = ObjectKind::from_u8(vector.value("kind")).unwrap();
            let (frames, _) = split_pack(bytes, kind)?;
            found(vector, "frames-length", frames.len());
        }
        "run" => Run::decode(bytes).map(|run| found(vector, "packs", run.packs.len()))?,
        "node" => Node::decode(bytes).map(|node| {
            found(vector, "level", node.level());
            found(vector, "entries", node.len());
            if !node.is_empty() {
                found(vector, "first-key", hex(node.key(0)));
                found(vector, "last-key", hex(node.key(node.len() - 1)));
            }
        })?,
        "child" => Child::decode(bytes).map(|child| {
            found(vector, "count", child.count);
            found(vector, "bytes", child.bytes);
        })?,
        "recipe" => RecipeNode::decode(bytes).map(|node| {
            found(vector, "level", node.level);
            found(vector, "length", node.items.iter().map(|item| item.length).sum::<u64>());
        })?,
        "path-key" => PathKey::decode(bytes).map(|key| {
            found(vector, "path", hex(&key.to_path().unwrap()));
        })?,
        "entry" => FileEntry::decode(bytes).map(|entry| {
            found(vector, "type", dashed(&format!("{:?}", entry.kind)));
        })?,
        "extra" => Extra::decode(bytes).map(|extra| {
            found(vector, "xattrs", extra.xattrs.len());
            found(vector, "holes", extra.holes.len());
        })?,
        "descriptor" => Descriptor::decode(bytes).map(|descriptor| {
            found(vector, "name", hex(descriptor.name.as_bytes()));
            found(vector, "root", descriptor.root);
        })?,
        other => panic!("no decoder for the structure {other}"),
    }
    Ok(())
}

fn config(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    let (config, signature) = Config::decode(bytes)?;
    let root = VerifyingKey::from_bytes(config.root_public);
    let ours: VaultId = vector.value("vault");
    if config.vault != ours || VaultId::of_root(&root) != ours {
        return Err(Class("other-vault"));
    }
    let signature = Signature::from_bytes(signature);
    Ok(root.verify(SigningContext::Config, &config.encode(), &signature)?)
}

fn certificate(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    let root = VerifyingKey::from_bytes(vector.hex("root-public").try_into().unwrap());
    let signed = SignedCertificate::decode(bytes)?;
    let certificate = signed.verify(&root)?;
    found(vector, "member", certificate.member);
    found(vector, "role", certificate.role);
    Ok(())
}

fn key_file(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    let text = std::str::from_utf8(bytes).map_err(|_| Class("key-file"))?;
    let bundle = Bundle::from_key_file(text)?;
    found(vector, "role", bundle.role());
    assert_eq!(bundle.to_key_file().as_str(), text.trim(), "{}", vector.name);
    Ok(())
}

fn role_keys(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    let member = MemberKeys::decode(&vector.hex("member-keys")).unwrap();
    let binding = EpochKeysBinding {
        vault_id: vector.value("vault"),
        member: member.member_id(),
        role: Role::from_u8(vector.value("role")).unwrap(),
        domain: vector.value("domain"),
        epoch: Epoch(vector.value("epoch")),
    };
    EpochKeys::open(member.kem(), suite(vector), &binding, bytes)?;
    Ok(())
}

fn slot(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    let bundle = Slot::decode(bytes)?.open(&vector.hex("passphrase"))?;
    found(vector, "role", bundle.role());
    found(vector, "vault", bundle.vault_id());
    Ok(())
}

fn object(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    let root = root(vector);
    let (domain, epoch): (DomainId, _) = (vector.value("domain"), Epoch(vector.value("epoch")));
    let kind = ObjectKind::from_u8(vector.value("kind")).unwrap();
    let (content, meta) = (root.content_secret(epoch), root.meta_secret(epoch));
    let keyring = Keyring::owner(root, suite(vector));
    let (index, local) = (keyring.index(domain, epoch).unwrap(), keyring.local());
    let ledger = keyring.ledger(epoch).unwrap();
    let unwrapping = match kind {
        ObjectKind::ContentPack => Unwrapping::Kem(&content),
        ObjectKind::MetadataPack => Unwrapping::Kem(&meta),
        ObjectKind::IndexRun => Unwrapping::Keyed(&index),
        ObjectKind::CacheFile => Unwrapping::Keyed(&local),
        ObjectKind::Checkpoint => Unwrapping::Keyed(&ledger),
    };
    let expected = Expected { kind, vault_id: vector.value("vault"), suite: suite(vector) };
    let payload = OpenedObject::open_whole(bytes, unwrapping, expected)?;
    if vector.optional("payload").is_some() {
        found(vector, "payload", hex(&payload));
    } else {
        found(vector, "payload-length", payload.len());
        assert!(payload.iter().all(|byte| *byte == 0x70));
    }
    Ok(())
}

fn kept_pack(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    let (kept, object) = bytes.split_at_checked(KEPT_KEY_BYTES).ok_or(Class("short"))?;
    let local = Keyring::owner(root(vector), suite(vector)).local();
    let kind = ObjectKind::MetadataPack;
    let expected = Expected { kind, vault_id: vector.value("vault"), suite: suite(vector) };
    let opened = OpenedObject::open_kept(object, kept, &local, expected)?;
    found(vector, "payload", hex(&opened.open_all(object)?));
    Ok(())
}

fn small_box(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    let root = root(vector);
    let code: u8 = vector.value("kind");
    let kind = SmallKind::ALL.into_iter().find(|kind| kind.to_u8() == code).unwrap();
    let key = match kind {
        SmallKind::LedgerBody => root.ledger(Epoch(vector.value("epoch"))),
        _ => Keyring::owner(root, suite(vector)).local(),
    };
    let vault = vector.value("vault");
    let plain = open_small(suite(vector), &key, kind, vault, &vector.hex("names"), bytes)?;
    found(vector, "plaintext", hex(&plain));
    Ok(())
}

fn record(vector: &Vector, bytes: &[u8]) -> Result<(), Class> {
    let root = root(vector);
    let signed = SignedRecord::decode(bytes)?;
    let record = &signed.record;
    assert_eq!(record.encode_clear(), signed.clear, "{}", vector.name);
    let vault: VaultId = vector.value("vault");
    if record.vault != vault {
        return Err(Class("other-vault"));
    }
    let key = match record.author {
        MemberId::ROOT => root.signing().verifying(),
        _ => VerifyingKey::from_bytes(vector.hex("member-public").try_into().unwrap()),
    };
    let signature = Signature::from_bytes(*signed.signature);
    key.verify(SigningContext::Record, signed.signed, &signature)?;
    let (key, kind) = (root.ledger(record.epoch), SmallKind::LedgerBody);
    let plain = open_small(Suite::Aes256Gcm, &key, kind, vault, signed.clear, signed.body)?;
    let payload = SignedRecord::unpad_body(&plain)?;
    found(vector, "kind", record.kind);
    found(vector, "seq", record.seq);
    found(vector, "payload", hex(payload));
    found(vector, "hash", SignedRecord::hash(bytes, bytes.len() as u64));
    let length = bytes.len() as u64;
    assert!(length.is_power_of_two() && length.ilog2().is_multiple_of(2), "{}", vector.name);
    Ok(())
}

pub(crate) fn root(vector: &Vector) -> RootSecret {
    RootSecret::draw(&Given(vector.hex("root")))
}

/// "Draws" the bytes that a vector gives.
struct Given(Vec<u8>);

impl Entropy for Given {
    fn fill(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.0);
    }
}

fn suite(vector: &Vector) -> Suite {
    Suite::from_u16(vector.value("suite")).unwrap()
}

/// Checks a header line against what was decoded; only good vectors say what that is.
fn found(vector: &Vector, field: &str, value: impl ToString) {
    if vector.expect == "ok" {
        assert_eq!(vector.text(field), value.to_string(), "{}: {field}", vector.name);
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `CharDevice` as `char-device`.
fn dashed(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

impl From<DecodeError> for Class {
    fn from(error: DecodeError) -> Self {
        Self(match error {
            DecodeError::Short { .. } => "short",
            DecodeError::Trailing { .. } => "trailing",
            DecodeError::Limit { .. } => "limit",
            DecodeError::Invalid { .. } => "invalid",
            DecodeError::NotCanonical { .. } => "not-canonical",
            DecodeError::Version { .. } => "version",
            other => panic!("a class for {other:?}"),
        })
    }
}

impl From<crypto::Error> for Class {
    fn from(error: crypto::Error) -> Self {
        use crypto::Error;
        Self(match error {
            Error::Decode(error) => return error.into(),
            Error::UnknownSuite { .. } => "suite",
            Error::NotSealedObject => "magic",
            Error::ObjectKind { .. } => "other-kind",
            Error::OtherVault { .. } => "other-vault",
            Error::OtherSuite { .. } => "other-suite",
            Error::ObjectLength { .. } => "length",
            Error::DataKey { .. }
            | Error::Commitment { .. }
            | Error::Segment { .. }
            | Error::Small { .. }
            | Error::SlotDamaged => "authentication",
            Error::WrongPassphrase => "passphrase",
            Error::PublicKey { .. } => "public-key",
            Error::Signature { .. } => "signature",
            Error::MemberMismatch { .. } => "member",
            Error::KdfLimits { .. } => "limit",
            Error::Factors { .. } => "factors",
            Error::NotAKeyFile | Error::KeyFileDamaged { .. } | Error::KeyFileVersion { .. } => {
                "key-file"
            }
            other => panic!("a class for {other:?}"),
        })
    }
}

impl From<RecordError> for Class {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::TooLong { .. } => Self("limit"),
            RecordError::Malformed(error) => error.into(),
        }
    }
}

impl From<PackSplitError> for Class {
    fn from(error: PackSplitError) -> Self {
        match error {
            PackSplitError::Short { .. } => Self("short"),
            PackSplitError::Directory(error) => error.into(),
            PackSplitError::DirectoryLength { .. }
            | PackSplitError::FramesLength { .. }
            | PackSplitError::ChunkKind { .. } => Self("invalid"),
        }
    }
}

impl From<PathKeyError> for Class {
    fn from(error: PathKeyError) -> Self {
        Self(match error {
            PathKeyError::Name { .. } => "invalid",
            PathKeyError::Long { .. } => "limit",
            PathKeyError::Malformed => "not-canonical",
        })
    }
}
