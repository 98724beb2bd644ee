//! A record of the ledger: a clear part that decides validity, a sealed body, a signature.
//!
//! The clear part says where the record stands (vault, number, previous hash), who made it and
//! when it claims so, what it does and to what: `refs`, `needs`, `drops`. Replicas and members
//! without a key judge it alone. The body is sealed under the ledger key with the whole clear part
//! as associated data, and padded so that the record's length is a power of 4 from 1 KiB; the
//! signature covers all before it. FORMAT.md §9.

use places::Time;

use crate::{
    ChunkRef, DecodeError, Decoder, Digest, DomainId, Encoder, Epoch, Kind, LABEL_BYTES_MAX,
    LIST_ITEMS_MAX, MemberId, RECORD_BYTES_MAX, RECORD_BYTES_MIN, REPORT_BYTES_MAX, Seq, SessionId,
    TAGS_MAX, VaultId,
};

/// The hash that the next record's `prev` must hold.
pub type RecordHash = Digest;

const VERSION: u8 = 1;
const SIGNATURE_BYTES: usize = 64;
const KEM_PUBLIC_BYTES: usize = 1216;
const SEALED_KEYS_BYTES_MAX: usize = 256 << 10;
const REFS_MAX: usize = RECORD_BYTES_MAX / 17;

/// The clear part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The vault that the record belongs to.
    pub vault: VaultId,
    /// Its number.
    pub seq: Seq,
    /// The hash of the record before it; of the config for the first.
    pub prev: RecordHash,
    /// Who signed it; [`MemberId::ROOT`] for the owner's root key.
    pub author: MemberId,
    /// The epoch whose ledger key seals the body.
    pub epoch: Epoch,
    /// What it does.
    pub kind: Kind,
    /// When its author says it was made.
    pub claimed: Time,
    /// The session that it belongs to.
    pub session: Option<SessionId>,
    /// What it acts on.
    pub refs: List<Ref>,
    /// What must lie in the place before the record counts.
    pub needs: List<ObjectRef>,
    /// What may be deleted from here on.
    pub drops: List<ObjectRef>,
}

impl Record {
    /// A record with no session and empty lists.
    pub fn new(vault: VaultId, kind: Kind, author: MemberId, epoch: Epoch, claimed: Time) -> Self {
        Self {
            vault,
            seq: Seq(0),
            prev: Digest::from_bytes([0; 32]),
            author,
            epoch,
            kind,
            claimed,
            session: None,
            refs: List::default(),
            needs: List::default(),
            drops: List::default(),
        }
    }

    /// The clear part's bytes: also the associated data of the body.
    pub fn encode_clear(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).raw(self.vault.as_bytes()).u64(self.seq.0).raw(self.prev.as_bytes());
        e.raw(self.author.as_bytes()).u32(self.epoch.0).u8(self.kind.code());
        e.i64(self.claimed.as_millis());
        e.raw(self.session.as_ref().map_or(&[0; 16], |s| s.as_bytes()));
        self.refs.encode(&mut e, Ref::encode);
        self.needs.encode(&mut e, ObjectRef::encode);
        self.drops.encode(&mut e, ObjectRef::encode);
        e.finish()
    }

    /// How long the body's plaintext must be for the record to have its padded length.
    ///
    /// The plaintext is u32 length ‖ payload ‖ zeros; `sealed_overhead` is what sealing adds to it.
    pub fn body_plain_len(
        clear_len: usize,
        payload_len: usize,
        sealed_overhead: usize,
    ) -> Result<usize, RecordError> {
        let around = clear_len + 4 + sealed_overhead + SIGNATURE_BYTES;
        let least = around + 4 + payload_len;
        let mut padded = RECORD_BYTES_MIN;
        while padded < least {
            padded *= 4;
        }
        if padded > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong { length: least as u64 });
        }
        Ok(padded - around)
    }

    fn decode_clear(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let version = d.u8()?;
        if version != VERSION {
            return Err(DecodeError::Version { what: "a ledger record", version, known: VERSION });
        }
        let vault = VaultId::from_bytes(d.array()?);
        let seq = Seq(d.u64()?);
        let prev = Digest::from_bytes(d.array()?);
        let author = MemberId::from_bytes(d.array()?);
        let epoch = Epoch(d.u32()?);
        let code = d.u8()?;
        let kind =
            Kind::from_code(code).ok_or_else(|| d.invalid("a record's kind", code.into()))?;
        let claimed = Time::from_millis(d.i64()?);
        let session = Some(d.array()?).filter(|s| *s != [0; 16]).map(SessionId::from_bytes);
        let refs = List::decode(d, REFS_MAX, 5, Ref::decode)?;
        let needs = List::decode(d, RECORD_BYTES_MAX / 29, 29, ObjectRef::decode)?;
        let drops = List::decode(d, RECORD_BYTES_MAX / 29, 29, ObjectRef::decode)?;
        let record =
            Self { vault, seq, prev, author, epoch, kind, claimed, session, refs, needs, drops };
        kind.check_shape(&record)?;
        Ok(record)
    }
}

/// A record as it lies in the place, taken apart. Nothing is verified yet but the form.
#[derive(Clone, Debug)]
pub struct SignedRecord<'a> {
    /// The clear part.
    pub record: Record,
    /// The clear part's bytes.
    pub clear: &'a [u8],
    /// The sealed body.
    pub body: &'a [u8],
    /// What the signature covers.
    pub signed: &'a [u8],
    /// The signature.
    pub signature: &'a [u8; SIGNATURE_BYTES],
}

impl<'a> SignedRecord<'a> {
    /// Takes a record's bytes apart.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong { length: bytes.len() as u64 });
        }
        let mut d = Decoder::new(bytes);
        let record = Record::decode_clear(&mut d)?;
        let clear = &bytes[..d.position()];
        let body = d.bytes(RECORD_BYTES_MAX)?;
        let signed = &bytes[..d.position()];
        let signature = d.rest().first_chunk::<SIGNATURE_BYTES>();
        let signature =
            signature.ok_or(DecodeError::Short { at: signed.len(), wanted: SIGNATURE_BYTES })?;
        d.raw(SIGNATURE_BYTES)?;
        d.finish()?;
        Ok(Self { record, clear, body, signed, signature })
    }

    /// Puts clear part and sealed body together: what is to be signed.
    pub fn to_sign(clear: &[u8], body: &[u8]) -> Vec<u8> {
        let mut e = Encoder::new();
        e.raw(clear).bytes(body);
        e.finish()
    }

    /// The body's plaintext for this payload, `plain_len` bytes long.
    pub fn pad_body(payload: &[u8], plain_len: usize) -> Vec<u8> {
        let mut e = Encoder::new();
        e.bytes(payload);
        let mut plain = e.finish();
        plain.resize(plain_len.max(plain.len()), 0);
        plain
    }

    /// The payload of an opened body; what follows it must be zeros.
    pub fn unpad_body(plain: &[u8]) -> Result<&[u8], DecodeError> {
        let mut d = Decoder::new(plain);
        let payload = d.bytes(plain.len())?;
        if d.rest().iter().any(|byte| *byte != 0) {
            return Err(DecodeError::NotCanonical { what: "the padding of a record's body" });
        }
        Ok(payload)
    }

    /// The hash of a record's bytes, which may be longer than a record may be.
    pub fn hash(bytes: &[u8], whole_length: u64) -> RecordHash {
        if whole_length <= RECORD_BYTES_MAX as u64 {
            return Digest::of(bytes);
        }
        let first = &bytes[..bytes.len().min(RECORD_BYTES_MAX)];
        crate::Digester::new().update(first).update(&whole_length.to_le_bytes()).finish()
    }
}

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is longer than a record may be.
    #[error("the record is {length} bytes, the limit is {RECORD_BYTES_MAX}")]
    TooLong {
        /// Its length.
        length: u64,
    },
    /// Its clear part does not decode.
    #[error("the record is malformed: {0}")]
    Malformed(#[from] DecodeError),
}

/// A list in a record: inline, or in an object of its own when it is long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum List<T> {
    /// The items.
    Inline(Vec<T>),
    /// The object `lists/<digest>`, in clear: u32 count ‖ items.
    Object {
        /// The object's digest.
        digest: Digest,
        /// How many items it holds.
        count: u32,
    },
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::Inline(Vec::new())
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self::Inline(items)
    }
}

impl<T> List<T> {
    /// Whether it certainly has no items.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Inline(items) if items.is_empty())
    }

    /// The items, when they are inline.
    pub fn inline(&self) -> Option<&[T]> {
        match self {
            Self::Inline(items) => Some(items),
            Self::Object { .. } => None,
        }
    }

    fn encode(&self, e: &mut Encoder, item: impl Fn(&T, &mut Encoder)) {
        match self {
            Self::Inline(items) => {
                e.u8(0).list(items, |e, i| item(i, e));
            }
            Self::Object { digest, count } => {
                e.u8(1).raw(digest.as_bytes()).u32(*count);
            }
        }
    }

    fn decode(
        d: &mut Decoder<'_>,
        max: usize,
        item_bytes: usize,
        item: impl Fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
    ) -> Result<Self, DecodeError> {
        match d.u8()? {
            0 => Ok(Self::Inline(d.list(max, item_bytes, item)?)),
            1 => {
                let digest = Digest::from_bytes(d.array()?);
                let count = d.u32()?;
                if count == 0 || count as usize > LIST_ITEMS_MAX {
                    return Err(d.invalid("the count of a long list", count.into()));
                }
                Ok(Self::Object { digest, count })
            }
            form => Err(d.invalid("the form of a list", form.into())),
        }
    }
}

impl List<Ref> {
    /// The bytes of a list object.
    pub fn encode_object(items: &[Ref]) -> Vec<u8> {
        let mut e = Encoder::new();
        e.list(items, |e, item| item.encode(e));
        e.finish()
    }

    /// The items of a list object.
    pub fn decode_object(bytes: &[u8]) -> Result<Vec<Ref>, DecodeError> {
        let mut d = Decoder::new(bytes);
        let items = d.list(LIST_ITEMS_MAX, 17, Ref::decode)?;
        d.finish()?;
        Ok(items)
    }
}

impl List<ObjectRef> {
    /// The bytes of a list object.
    pub fn encode_object(items: &[ObjectRef]) -> Vec<u8> {
        let mut e = Encoder::new();
        e.list(items, |e, item| item.encode(e));
        e.finish()
    }

    /// The items of a list object.
    pub fn decode_object(bytes: &[u8]) -> Result<Vec<ObjectRef>, DecodeError> {
        let mut d = Decoder::new(bytes);
        let items = d.list(LIST_ITEMS_MAX, 29, ObjectRef::decode)?;
        d.finish()?;
        Ok(items)
    }
}

/// Something that a record acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ref {
    /// A snapshot.
    Snapshot(SessionId),
    /// A domain.
    Domain(DomainId),
    /// A member.
    Member(MemberId),
    /// The `suspect` record with this number.
    Suspect(Seq),
    /// A pack.
    Pack(Digest),
    /// A certificate, as `crypto` encodes it.
    Certificate(Vec<u8>),
    /// An epoch's public keys.
    EpochKeys(EpochKeys),
    /// The vault's config, verbatim.
    Config(Vec<u8>),
    /// The vault's format number.
    FormatNumber(u32),
    /// A member's new role keys, sealed to its X-Wing key.
    SealedKeys {
        /// Whose keys.
        member: MemberId,
        /// The sealed keys.
        sealed: Vec<u8>,
    },
    /// A record by number and hash.
    Record(RecordAt),
    /// A place, by the id that its mark holds.
    Place([u8; 16]),
    /// The last number that survived.
    LostAfter(Seq),
    /// An object, by the digest of its bytes.
    Object(Digest),
}

/// The public keys of an epoch, as `crypto` encodes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochKeys {
    /// Which epoch.
    pub epoch: Epoch,
    /// To which content packs are sealed.
    pub content: Box<[u8; KEM_PUBLIC_BYTES]>,
    /// To which metadata packs are sealed.
    pub meta: Box<[u8; KEM_PUBLIC_BYTES]>,
}

/// A record by number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordAt {
    /// Its number.
    pub seq: Seq,
    /// Its hash.
    pub hash: RecordHash,
}

impl Ref {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Snapshot(id) => e.u8(1).raw(id.as_bytes()),
            Self::Domain(id) => e.u8(2).raw(id.as_bytes()),
            Self::Member(id) => e.u8(3).raw(id.as_bytes()),
            Self::Suspect(seq) => e.u8(4).u64(seq.0),
            Self::Pack(name) => e.u8(5).raw(name.as_bytes()),
            Self::Certificate(bytes) => e.u8(6).bytes(bytes),
            Self::EpochKeys(keys) => {
                e.u8(7).u32(keys.epoch.0).raw(&keys.content[..]).raw(&keys.meta[..])
            }
            Self::Config(bytes) => e.u8(8).bytes(bytes),
            Self::FormatNumber(number) => e.u8(9).u32(*number),
            Self::SealedKeys { member, sealed } => e.u8(10).raw(member.as_bytes()).bytes(sealed),
            Self::Record(at) => e.u8(11).u64(at.seq.0).raw(at.hash.as_bytes()),
            Self::Place(id) => e.u8(12).raw(id),
            Self::LostAfter(seq) => e.u8(13).u64(seq.0),
            Self::Object(digest) => e.u8(14).raw(digest.as_bytes()),
        };
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match d.u8()? {
            1 => Self::Snapshot(SessionId::from_bytes(d.array()?)),
            2 => Self::Domain(DomainId::from_bytes(d.array()?)),
            3 => Self::Member(MemberId::from_bytes(d.array()?)),
            4 => Self::Suspect(Seq(d.u64()?)),
            5 => Self::Pack(Digest::from_bytes(d.array()?)),
            6 => Self::Certificate(d.bytes(crate::CERTIFICATE_BYTES_MAX)?.to_vec()),
            7 => Self::EpochKeys(EpochKeys {
                epoch: Epoch(d.u32()?),
                content: Box::new(d.array()?),
                meta: Box::new(d.array()?),
            }),
            8 => Self::Config(d.bytes(crate::CONFIG_BYTES_MAX)?.to_vec()),
            9 => Self::FormatNumber(d.u32()?),
            10 => Self::SealedKeys {
                member: MemberId::from_bytes(d.array()?),
                sealed: d.bytes(SEALED_KEYS_BYTES_MAX)?.to_vec(),
            },
            11 => {
                Self::Record(RecordAt { seq: Seq(d.u64()?), hash: Digest::from_bytes(d.array()?) })
            }
            12 => Self::Place(d.array()?),
            13 => Self::LostAfter(Seq(d.u64()?)),
            14 => Self::Object(Digest::from_bytes(d.array()?)),
            tag => return Err(d.invalid("the tag of a ref", tag.into())),
        })
    }
}

/// An object that a record needs or drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectRef {
    /// The pack with this name.
    Pack(Digest),
    /// The index run with this name.
    Run(Digest),
    /// A slot of a store's stream.
    Slot {
        /// The stream.
        stream: [u8; 16],
        /// The stream's epoch.
        epoch: u32,
        /// The slot's number.
        slot: u64,
    },
}

impl ObjectRef {
    fn encode(&self, e: &mut Encoder) {
        match self {
            Self::Pack(name) => e.u8(1).raw(name.as_bytes()),
            Self::Run(name) => e.u8(2).raw(name.as_bytes()),
            Self::Slot { stream, epoch, slot } => e.u8(3).raw(stream).u32(*epoch).u64(*slot),
        };
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match d.u8()? {
            1 => Self::Pack(Digest::from_bytes(d.array()?)),
            2 => Self::Run(Digest::from_bytes(d.array()?)),
            3 => Self::Slot { stream: d.array()?, epoch: d.u32()?, slot: d.u64()? },
            tag => return Err(d.invalid("the tag of an object's name", tag.into())),
        })
    }
}

/// The body of a `certify` record: how people call the member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelBody {
    /// The label, at most [`LABEL_BYTES_MAX`] bytes.
    pub label: String,
}

impl LabelBody {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).bytes(self.label.as_bytes());
        e.finish()
    }

    /// Reads the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        body_version(&mut d, "the body of a certify record")?;
        let label = text(&mut d, LABEL_BYTES_MAX, "a label")?;
        d.finish()?;
        Ok(Self { label })
    }
}

/// The body of a `commit` record that makes a snapshot: where its descriptor lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitBody {
    /// The descriptor's chunk.
    pub descriptor: ChunkRef,
}

impl CommitBody {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION);
        self.descriptor.encode(&mut e);
        e.finish()
    }

    /// Reads the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        body_version(&mut d, "the body of a commit record")?;
        let descriptor = ChunkRef::decode(&mut d)?;
        d.finish()?;
        Ok(Self { descriptor })
    }
}

/// The body of a `report` record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportBody {
    /// What is reported, at most [`REPORT_BYTES_MAX`] bytes.
    pub text: String,
}

impl ReportBody {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).bytes(self.text.as_bytes());
        e.finish()
    }

    /// Reads the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        body_version(&mut d, "the body of a report record")?;
        let text = text(&mut d, REPORT_BYTES_MAX, "a report")?;
        d.finish()?;
        Ok(Self { text })
    }
}

/// The body of a `tag` record: the tags that replace a snapshot's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagsBody {
    /// The tags, sorted, each once, at most [`TAGS_MAX`] of at most [`LABEL_BYTES_MAX`] bytes.
    pub tags: Vec<String>,
}

impl TagsBody {
    /// The payload's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(VERSION).list(&self.tags, |e, tag| {
            e.bytes(tag.as_bytes());
        });
        e.finish()
    }

    /// Reads the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        body_version(&mut d, "the body of a tag record")?;
        let tags: Vec<String> = d.list(TAGS_MAX, 4, |d| text(d, LABEL_BYTES_MAX, "a tag"))?;
        d.finish()?;
        if !tags.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::NotCanonical { what: "the order of a tag record's tags" });
        }
        Ok(Self { tags })
    }
}

fn body_version(d: &mut Decoder<'_>, what: &'static str) -> Result<(), DecodeError> {
    match d.u8()? {
        VERSION => Ok(()),
        version => Err(DecodeError::Version { what, version, known: VERSION }),
    }
}

pub(crate) fn text(
    d: &mut Decoder<'_>,
    max: usize,
    what: &'static str,
) -> Result<String, DecodeError> {
    let bytes = d.bytes(max)?.to_vec();
    String::from_utf8(bytes).map_err(|_| DecodeError::NotCanonical { what })
}
