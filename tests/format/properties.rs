//! What is true of each decoder, whatever its input: it never panics, and whatever it accepts
//! encodes back to the same bytes. The suite asserts it of random and damaged bytes, the fuzz
//! targets of what a fuzzer finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crypto::{
    Bundle, ChunkId, Digest, DomainId, Header, Keyring, ObjectKind, RootSecret, SignedCertificate,
    Slot, Suite, VerifyingKey,
};
use format::{
    CheckpointHead, Child, CommitBody, Config, Descriptor, Directory, Extra, FileEntry,
    KIT_BYTES_MAX, Kit, LabelBody, List, NamedObject, Node, NodeEncoder, ObjectRef, PathKey,
    RecipeNode, Ref, ReportBody, Run, SignedRecord, TagsBody, split_pack,
};

/// A property, by the structure that it is of.
pub type Property = (&'static str, fn(&[u8]));

/// Every decoder's.
pub const ALL: [Property; 21] = [
    ("bundle", bundle),
    ("certificate", certificate),
    ("child", child),
    ("config", config),
    ("descriptor", descriptor),
    ("directory", directory),
    ("entry", entry),
    ("extra", extra),
    ("header", header),
    ("key-file", key_file),
    ("body-certify", body_certify),
    ("body-commit", body_commit),
    ("body-tag", body_tag),
    ("list-of-objects", list_of_objects),
    ("list-of-refs", list_of_refs),
    ("node", node),
    ("pack-payload", pack_payload),
    ("path-key", path_key),
    ("recipe", recipe),
    ("record", record),
    ("run", run),
];

/// Those of decoders that no vector shows: of what a host keeps for itself, what a user types, and
/// of trees as ordered maps.
pub const MADE: [Property; 10] = [
    ("bundle-of-records", ledger::fuzzing::bundle),
    ("checkpoint", checkpoint),
    ("kit", kit),
    ("mark", vault::fuzzing::mark),
    ("name", name),
    ("patterns", files::fuzzing::patterns),
    ("place-url", place_url),
    ("read-times", vault::fuzzing::read_times),
    ("state", ledger::fuzzing::state),
    ("table", vault::fuzzing::table),
];

/// The head of a checkpoint, its signature unchecked.
pub fn checkpoint(data: &[u8]) {
    if let Ok((head, signature, object)) = CheckpointHead::decode(data) {
        assert_eq!([&head.encode_signed(&signature)[..], object].concat(), data);
    }
}

/// An object's name. What the format makes of it is one thing.
pub fn name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(name) = text.parse::<places::ObjectName>() {
        assert_eq!(name.as_str(), text);
        let _ = NamedObject::parse(&name);
    }
}

/// A recovery kit as it is typed; what is printed of it is the same kit.
pub fn kit(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(kit) = Kit::from_text(text) else { return };
    let printed = kit.to_text();
    if printed.len() <= KIT_BYTES_MAX {
        let again = Kit::from_text(&printed).unwrap_or_else(|error| panic!("{error}"));
        assert!(again.root == kit.root);
        assert_eq!(again.facts, kit.facts);
    }
}

/// A place as it is typed; what it is shown as is the same place.
pub fn place_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(url) = text.parse::<places::PlaceUrl>() {
        assert_eq!(url.to_string().parse().as_ref(), Ok(&url), "{text}");
    }
}

/// A tree that is built and edited step by step, beside an ordered map: each three bytes are a key,
/// a value's length, and whether an update begins. The tree of the edits is the tree of the result.
pub fn tree_as_map(data: &[u8]) {
    let root = RootSecret::from_bytes([7; 32].into());
    let keyring = Keyring::owner(root, Suite::Aes256Gcm);
    let key = keyring.tree(DomainId::DEFAULT).expect("an owner has every key");
    let boundary = tree::Boundary::new(Arc::new(key), 7, 8);
    let nodes = tree::MemoryNodes::new(|b| ChunkId::from_bytes(*Digest::of(b).as_bytes()));
    let build = |map: &BTreeMap<Vec<u8>, Vec<u8>>| {
        let mut builder = tree::Builder::new(boundary.clone(), nodes.clone());
        map.iter().for_each(|(key, value)| builder.push(key, value).expect("keys rise"));
        builder.finish().expect("nodes in memory")
    };
    let mut map = BTreeMap::new();
    let mut root = build(&map);
    let mut edits: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
    for step in data.chunks_exact(3).take(300) {
        let value = (step[1] > 60).then(|| vec![step[1]; usize::from(step[1]) / 4]);
        edits.insert(
            vec![b'k'; 1 + usize::from(step[0] % 9)].into_iter().chain([step[0]]).collect(),
            value,
        );
        if step[2] % 8 == 0 {
            root = apply(&nodes, &boundary, root, &mut map, &mut edits);
        }
    }
    root = apply(&nodes, &boundary, root, &mut map, &mut edits);
    assert_eq!(root, build(&map), "a tree's history shows");
    let read: Vec<_> = tree::range(&nodes, root.id, ..).collect::<Result<_, _>>().expect("whole");
    assert!(read.into_iter().eq(map), "a tree is another map");
}

/// Applies the edits to both.
fn apply(
    nodes: &tree::MemoryNodes,
    boundary: &tree::Boundary,
    root: tree::Root,
    map: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    edits: &mut BTreeMap<Vec<u8>, Option<Vec<u8>>>,
) -> tree::Root {
    let edits = std::mem::take(edits);
    for (key, value) in &edits {
        match value {
            Some(value) => drop(map.insert(key.clone(), value.clone())),
            None => drop(map.remove(key)),
        }
    }
    tree::update(nodes, nodes.clone(), boundary.clone(), root.id, edits).expect("keys rise")
}

/// A slot's clear part: it never panics. Its limits keep the work behind it bounded.
pub fn slot(data: &[u8]) {
    if let Ok(slot) = Slot::decode(data) {
        let _ = (slot.vault_id(), slot.suite(), slot.parameters().check());
    }
}

/// Key material in clear.
pub fn bundle(data: &[u8]) {
    if let Ok(bundle) = Bundle::decode(data) {
        assert_eq!(bundle.encode().as_slice(), data);
    }
}

/// The text of a key file; white space around it is passed over.
pub fn key_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(bundle) = Bundle::from_key_file(text) {
        assert_eq!(bundle.to_key_file().as_str(), text.trim());
    }
}

/// A certificate, its signature unchecked; a signature that does not hold is an error, not a panic.
pub fn certificate(data: &[u8]) {
    if let Ok(signed) = SignedCertificate::decode(data) {
        let root = VerifyingKey::from_bytes([7; 32]);
        assert!(signed.verify(&root).is_err(), "that key signed nothing");
        assert_eq!(data.len(), crypto::Certificate::BYTES);
    }
}

/// The header of an object.
pub fn header(data: &[u8]) {
    if let Ok(header) = Header::peek(data) {
        assert_eq!(header.encode(), data[..crypto::HEADER_BYTES]);
    }
}

/// The config with its signature.
pub fn config(data: &[u8]) {
    if let Ok((config, signature)) = Config::decode(data) {
        assert_eq!(config.encode_signed(&signature), data);
    }
}

/// A record with body and signature.
pub fn record(data: &[u8]) {
    if let Ok(signed) = SignedRecord::decode(data) {
        assert_eq!(signed.record.encode_clear(), signed.clear);
        let mut again = SignedRecord::to_sign(signed.clear, signed.body);
        assert_eq!(again, signed.signed);
        again.extend_from_slice(signed.signature);
        assert_eq!(again, data);
    }
}

/// The body of a `certify` record; that of a `report` has the same layout.
pub fn body_certify(data: &[u8]) {
    if let Ok(body) = LabelBody::decode(data) {
        assert_eq!(body.encode(), data);
    }
    if let Ok(body) = ReportBody::decode(data) {
        assert_eq!(body.encode(), data);
    }
}

/// The body of a `commit` record.
pub fn body_commit(data: &[u8]) {
    if let Ok(body) = CommitBody::decode(data) {
        assert_eq!(body.encode(), data);
    }
}

/// The body of a `tag` record.
pub fn body_tag(data: &[u8]) {
    if let Ok(body) = TagsBody::decode(data) {
        assert_eq!(body.encode(), data);
    }
}

/// A long list of refs.
pub fn list_of_refs(data: &[u8]) {
    if let Ok(items) = List::<Ref>::decode_object(data) {
        assert_eq!(List::<Ref>::encode_object(&items), data);
    }
}

/// A long list of objects.
pub fn list_of_objects(data: &[u8]) {
    if let Ok(items) = List::<ObjectRef>::decode_object(data) {
        assert_eq!(List::<ObjectRef>::encode_object(&items), data);
    }
}

/// A pack's directory.
pub fn directory(data: &[u8]) {
    if let Ok(directory) = Directory::decode(data) {
        assert_eq!(directory.encode(), data);
        let chunks = directory.frames.iter().map(|frame| frame.chunks.len()).sum();
        assert_eq!(Directory::encoded_len(directory.frames.len(), chunks), data.len());
        let plain = directory.frames.iter().map(|frame| frame.plain_length());
        assert!(plain.max().unwrap_or(0) <= format::FRAME_BYTES_MAX);
    }
}

/// A pack's payload.
pub fn pack_payload(data: &[u8]) {
    for kind in [ObjectKind::ContentPack, ObjectKind::MetadataPack] {
        if let Ok((frames, directory)) = split_pack(data, kind) {
            let encoded = directory.encode();
            let trailer = Directory::encode_trailer(encoded.len());
            assert_eq!([frames, &encoded, &trailer].concat(), data);
        }
    }
}

/// An index run.
pub fn run(data: &[u8]) {
    if let Ok(run) = Run::decode(data) {
        assert_eq!(run.encode(), data);
    }
}

/// A tree node; its keys are in strict order.
pub fn node(data: &[u8]) {
    if let Ok(node) = Node::decode(data) {
        let mut encoder = NodeEncoder::new(node.level());
        for index in 0..node.len() {
            assert!(index == 0 || node.key(index - 1) < node.key(index));
            assert_eq!(node.lower_bound(node.key(index)), index);
            encoder.push(node.key(index), node.value(index));
        }
        assert_eq!(encoder.take(), data);
    }
}

/// The value of an entry above the leaves.
pub fn child(data: &[u8]) {
    if let Ok(child) = Child::decode(data) {
        assert_eq!(child.encode(), data);
    }
}

/// A recipe node.
pub fn recipe(data: &[u8]) {
    if let Ok(node) = RecipeNode::decode(data) {
        assert_eq!(node.encode(), data);
    }
}

/// A path's key; its path leads back to it and stays below the root.
pub fn path_key(data: &[u8]) {
    if let Ok(key) = PathKey::decode(data) {
        assert_eq!(key.as_bytes(), data);
        let path = key.to_path().expect("a decoded key has a path");
        assert_eq!(PathKey::from_path(&path).as_ref(), Ok(&key));
        assert!(path.split(|byte| *byte == b'/').all(|name| name != b".." && name != b"."));
        assert!(key.parent().is_none_or(|parent| parent.subtree().contains(&data.to_vec())));
    }
}

/// A file's entry.
pub fn entry(data: &[u8]) {
    if let Ok(entry) = FileEntry::decode(data) {
        assert_eq!(entry.encode(), data);
    }
}

/// A file's extra metadata.
pub fn extra(data: &[u8]) {
    if let Ok(extra) = Extra::decode(data) {
        assert_eq!(extra.encode(), data);
    }
}

/// A snapshot's descriptor.
pub fn descriptor(data: &[u8]) {
    if let Ok(descriptor) = Descriptor::decode(data) {
        assert_eq!(descriptor.encode(), data);
    }
}
