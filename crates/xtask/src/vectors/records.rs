//! Vectors of ledger records: shapes, bodies, long lists, and what makes a record void by itself.

use crypto::{
    Certificate, Role, SMALL_OVERHEAD, SigningContext, SigningKey, SmallKind, seal_small,
};
use format::{
    ChunkId, ChunkKind, ChunkRef, CommitBody, Config, Digest, EpochKeys, Kind, LabelBody, List,
    MemberId, ObjectRef, Record, RecordAt, Ref, ReportBody, Seq, SessionId, SignedRecord, TagsBody,
};
use places::Time;

use super::world::{DOMAIN, EPOCH, SESSION, SUITE, World};
use super::{Cases, Set, flip, hex, set, with};

pub(crate) fn add(vectors: &mut Set) {
    let maker = Maker { world: World::new(50) };
    good_records(vectors, &maker);
    bad_records(vectors, &maker);
    shapes(vectors, &maker);
    bodies(vectors);
    long_lists(vectors);
}

struct Maker {
    world: World,
}

impl Maker {
    fn record(&self, kind: Kind) -> Record {
        let author =
            if kind.is_owner_kind() { MemberId::ROOT } else { self.world.member.member_id() };
        let claimed = Time::from_millis(1_780_000_000_123);
        let mut record = Record::new(self.world.vault(), kind, author, EPOCH, claimed);
        record.seq = Seq(7);
        record.prev = Digest::of(b"the record before");
        if kind.names_session() {
            record.session = Some(SESSION);
        }
        record
    }

    fn with_refs(&self, kind: Kind, refs: Vec<Ref>) -> Record {
        Record { refs: refs.into(), ..self.record(kind) }
    }

    fn signing(&self, record: &Record) -> SigningKey {
        match record.author {
            MemberId::ROOT => self.world.root.signing(),
            _ => self.world.member.signing().duplicate(),
        }
    }

    fn seal(&self, record: &Record, payload: &[u8]) -> Vec<u8> {
        self.seal_clear(&record.encode_clear(), payload, &self.signing(record))
    }

    fn seal_clear(&self, clear: &[u8], payload: &[u8], signing: &SigningKey) -> Vec<u8> {
        let plain_len = Record::body_plain_len(clear.len(), payload.len(), SMALL_OVERHEAD)
            .expect("these records are short");
        let plain = SignedRecord::pad_body(payload, plain_len);
        self.seal_plain(clear, &plain, signing)
    }

    fn seal_plain(&self, clear: &[u8], plain: &[u8], signing: &SigningKey) -> Vec<u8> {
        let (vault, kind) = (self.world.vault(), SmallKind::LedgerBody);
        let key = self.world.root.ledger(EPOCH);
        let body = seal_small(SUITE, &key, kind, vault, clear, plain, &self.world.entropy);
        self.sign(clear, &body, signing)
    }

    fn sign(&self, clear: &[u8], body: &[u8], signing: &SigningKey) -> Vec<u8> {
        let signed = SignedRecord::to_sign(clear, body);
        let signature = signing.sign(SigningContext::Record, &signed);
        with(&signed, signature.as_bytes())
    }

    /// What a test needs to check and open any of the records.
    fn fields(&self) -> [(&'static str, String); 3] {
        let member = self.world.member.signing().verifying();
        [
            self.world.root_field(),
            ("vault", self.world.vault().to_string()),
            ("member-public", hex(member.as_bytes())),
        ]
    }

    fn good(&self, cases: &mut Cases<'_>, name: &str, record: &Record, payload: &[u8]) {
        let bytes = self.seal(record, payload);
        let found = [
            ("kind", record.kind.to_string()),
            ("seq", record.seq.to_string()),
            ("payload", hex(payload)),
            ("hash", Digest::of(&bytes).to_string()),
        ];
        cases.good(name, "a whole record", &found, &bytes);
    }
}

fn pack(number: u8) -> ObjectRef {
    ObjectRef::Pack(Digest::from_bytes([number; 32]))
}

fn commit(maker: &Maker) -> (Record, Vec<u8>) {
    let mut record = maker.with_refs(Kind::Commit, vec![Ref::Snapshot(SESSION)]);
    record.needs = vec![pack(1), pack(2), ObjectRef::Run(Digest::from_bytes([3; 32]))].into();
    let id = ChunkId::from_bytes([4; 32]);
    let body = CommitBody { descriptor: ChunkRef { kind: ChunkKind::Descriptor, id } };
    (record, body.encode())
}

fn good_records(vectors: &mut Set, maker: &Maker) {
    let mut cases = vectors.structure("record", &maker.fields());
    let world = &maker.world;
    let signing = world.root.signing();
    let config = Config::new(world.vault(), *signing.verifying().as_bytes(), SUITE);
    let signature = signing.sign(SigningContext::Config, &config.encode());
    let keys = EpochKeys {
        epoch: EPOCH,
        content: Box::new(*world.root.content_secret(EPOCH).public().as_bytes()),
        meta: Box::new(*world.root.meta_secret(EPOCH).public().as_bytes()),
    };
    let genesis = maker.with_refs(
        Kind::Genesis,
        vec![
            Ref::Config(config.encode_signed(signature.as_bytes())),
            Ref::FormatNumber(1),
            Ref::EpochKeys(keys.clone()),
        ],
    );
    maker.good(&mut cases, "genesis", &genesis, &[]);
    let certificate = Certificate::of(&world.member, world.vault(), Role::Writer, DOMAIN, EPOCH);
    let certify =
        maker.with_refs(Kind::Certify, vec![Ref::Certificate(certificate.issue(&signing))]);
    let label = LabelBody { label: "Büro-Rechner".into() }.encode();
    maker.good(&mut cases, "certify", &certify, &label);
    let sealed = Ref::SealedKeys { member: certificate.member, sealed: vec![5; 97] };
    let rotate = maker.with_refs(Kind::Rotate, vec![Ref::EpochKeys(keys), sealed]);
    maker.good(&mut cases, "rotate", &rotate, &[]);
    let base = SessionId::from_bytes([6; 16]);
    let open = maker.with_refs(Kind::Open, vec![Ref::Domain(DOMAIN), Ref::Snapshot(base)]);
    maker.good(&mut cases, "open-on-a-base", &open, &[]);
    let (record, payload) = commit(maker);
    maker.good(&mut cases, "commit", &record, &payload);
    let at = RecordAt { seq: Seq(6), hash: Digest::from_bytes([8; 32]) };
    let recover = vec![Ref::Place([7; 16]), Ref::Record(at), Ref::LostAfter(Seq(6))];
    maker.good(&mut cases, "recover", &maker.with_refs(Kind::Recover, recover), &[]);
    let digest = Digest::from_bytes([9; 32]);
    let suspect =
        Record { refs: List::Object { digest, count: 100_000 }, ..maker.record(Kind::Suspect) };
    maker.good(&mut cases, "suspect-a-long-list", &suspect, &[]);
    let condemn = Record {
        drops: vec![pack(1), ObjectRef::Slot { stream: [1; 16], epoch: 2, slot: 3 }].into(),
        ..maker.with_refs(Kind::Condemn, vec![Ref::Suspect(Seq(5))])
    };
    maker.good(&mut cases, "condemn", &condemn, &[]);
    let text = ReportBody { text: "x".repeat(5000) }.encode();
    maker.good(&mut cases, "report-of-16-kib", &maker.record(Kind::Report), &text);
}

fn bad_records(vectors: &mut Set, maker: &Maker) {
    let mut cases = vectors.structure("record", &maker.fields());
    let (record, payload) = commit(maker);
    let bytes = maker.seal(&record, &payload);
    let clear = record.encode_clear();
    let signing = maker.signing(&record);
    let resealed = |clear: &[u8]| maker.seal_clear(clear, &payload, &signing);
    cases.bad_ends(&bytes);
    cases.bad_version(&bytes);
    for (name, expect, at, others) in [
        ("kind-0", "invalid", 93, vec![0]),
        ("kind-99", "invalid", 93, vec![99]),
        ("refs-form-2", "invalid", 118, vec![2]),
        ("refs-count-huge", "limit", 119, vec![0xff; 4]),
        ("ref-tag-15", "invalid", 123, vec![15]),
        ("needs-tag-0", "invalid", 145, vec![0]),
        ("no-session", "not-canonical", 102, vec![0; 16]),
    ] {
        cases.bad(name, expect, "a field of the clear part", &set(&bytes, at, &others));
    }
    for (name, at) in [
        ("seq-changed", 33),
        ("prev-changed", 41),
        ("author-changed", 73),
        ("epoch-changed", 89),
        ("claimed-changed", 94),
        ("session-changed", 102),
        ("needs-changed", 150),
        ("body-changed", clear.len() + 30),
        ("signature-changed", bytes.len() - 1),
    ] {
        cases.bad(name, "signature", "a bit was changed", &flip(&bytes, at));
    }
    let others_key = World::other_root().signing();
    let bad = maker.seal_clear(&clear, &payload, &others_key);
    cases.bad("signed-by-another", "signature", "another key's signature", &bad);
    let signed = &bytes[..bytes.len() - 64];
    let signature = signing.sign(SigningContext::Certificate, signed);
    let comment = "signed in the context certificate";
    cases.bad("other-context", "signature", comment, &with(signed, signature.as_bytes()));
    let mut moved = record.clone();
    moved.seq = Seq(8);
    let sealed = SignedRecord::decode(&bytes).expect("it was just made").body.to_vec();
    let bad = maker.sign(&moved.encode_clear(), &sealed, &signing);
    let comment = "the body of record 7 in record 8, signed anew";
    cases.bad("body-of-another", "authentication", comment, &bad);
    let plain_len = Record::body_plain_len(clear.len(), payload.len(), SMALL_OVERHEAD)
        .expect("this record is short");
    let mut plain = SignedRecord::pad_body(&payload, plain_len);
    plain[plain_len - 1] = 1;
    let bad = maker.seal_plain(&clear, &plain, &signing);
    cases.bad("padding-not-zeros", "not-canonical", "the body ends in 1", &bad);
    let mut plain = SignedRecord::pad_body(&payload, plain_len);
    plain[3] = 1;
    let bad = maker.seal_plain(&clear, &plain, &signing);
    cases.bad("payload-too-long", "limit", "the body's length is beyond it", &bad);
    let mut others = record.clone();
    others.vault = World::other_root().vault_id();
    let comment = "a record of another vault";
    cases.bad("other-vault", "other-vault", comment, &resealed(&others.encode_clear()));
    let long = vec![0; (1 << 20) - bytes.len() + 1];
    let hash = SignedRecord::hash(&with(&bytes, &long), (1 << 20) + 1);
    drop(cases);
    let fields = [("length", ((1u64 << 20) + 1).to_string()), ("hash", hash.to_string())];
    let comment = "this record, then zeros up to the length: void, but it has a hash";
    vectors.structure("record-too-long", &fields).good("zeros", comment, &[], &bytes);
}

/// A list that lies in an object of its own.
fn long_list<T>() -> List<T> {
    List::Object { digest: Digest::from_bytes([9; 32]), count: 5 }
}

/// Records that decode but for the shape of their kind.
fn shapes(vectors: &mut Set, maker: &Maker) {
    let mut cases = vectors.structure("record-shape", &maker.fields());
    let snapshot = || Ref::Snapshot(SESSION);
    let name = |n: u8| Digest::from_bytes([n; 32]);
    let session = |record: Record| Record { session: Some(SESSION), ..record };
    let shapes: Vec<(&str, Record)> = vec![
        ("genesis-without-config", maker.with_refs(Kind::Genesis, vec![Ref::FormatNumber(1)])),
        ("certify-without-certificate", maker.record(Kind::Certify)),
        (
            "revoke-two",
            maker.with_refs(
                Kind::Revoke,
                vec![
                    Ref::Member(MemberId::from_bytes([1; 16])),
                    Ref::Member(MemberId::from_bytes([2; 16])),
                ],
            ),
        ),
        ("rotate-without-keys", maker.record(Kind::Rotate)),
        ("policy-with-snapshot", maker.with_refs(Kind::Policy, vec![snapshot()])),
        ("mend-without-record", maker.record(Kind::Mend)),
        ("recover-in-part", maker.with_refs(Kind::Recover, vec![Ref::Place([1; 16])])),
        ("write-off-with-session", session(maker.with_refs(Kind::WriteOff, vec![snapshot()]))),
        ("open-without-domain", maker.record(Kind::Open)),
        ("open-base-first", maker.with_refs(Kind::Open, vec![snapshot(), Ref::Domain(DOMAIN)])),
        ("packs-with-refs", maker.with_refs(Kind::Packs, vec![snapshot()])),
        (
            "packs-with-a-long-list",
            session(Record { needs: long_list(), ..maker.record(Kind::Packs) }),
        ),
        ("packs-with-drops", Record { drops: vec![pack(1)].into(), ..maker.record(Kind::Packs) }),
        ("commit-two", maker.with_refs(Kind::Commit, vec![snapshot(), snapshot()])),
        (
            "forget-with-needs",
            Record {
                needs: vec![pack(1)].into(),
                ..maker.with_refs(Kind::Forget, vec![snapshot()])
            },
        ),
        ("forget-nothing", maker.record(Kind::Forget)),
        ("forget-a-pack", maker.with_refs(Kind::Forget, vec![Ref::Pack(name(1))])),
        ("suspect-a-snapshot", maker.with_refs(Kind::Suspect, vec![snapshot()])),
        ("condemn-without-suspicion", maker.record(Kind::Condemn)),
        ("hold-a-long-list", Record { refs: long_list(), ..maker.record(Kind::Hold) }),
        ("revoke-a-long-list", Record { refs: long_list(), ..maker.record(Kind::Revoke) }),
        ("merge-with-refs", maker.with_refs(Kind::Merge, vec![snapshot()])),
        ("lost-nothing", maker.record(Kind::Lost)),
        (
            "undo-with-drops",
            Record { drops: vec![pack(1)].into(), ..maker.with_refs(Kind::Undo, vec![snapshot()]) },
        ),
    ];
    for (name, record) in shapes {
        let bytes = maker.seal(&record, &[]);
        cases.bad(name, "not-canonical", "the clear part has not the shape of its kind", &bytes);
    }
    let empty_list =
        Record { refs: List::Object { digest: name(9), count: 0 }, ..maker.record(Kind::Suspect) };
    let bytes = maker.seal(&empty_list, &[]);
    cases.bad("long-list-of-none", "invalid", "a long list without items", &bytes);
}

fn bodies(vectors: &mut Set) {
    let mut cases = vectors.structure("body-certify", &[]);
    let label = LabelBody { label: "host".into() }.encode();
    cases.good("label", "a label", &[("text", hex(b"host"))], &label);
    cases.bad_ends(&label);
    cases.bad_version(&label);
    cases.bad("not-utf-8", "not-canonical", "a byte that is not UTF-8", &set(&label, 6, &[0xff]));
    let long = LabelBody { label: "h".repeat(256) }.encode();
    cases.bad("256-bytes", "limit", "a label of 256 bytes", &long);

    let id = ChunkId::from_bytes([4; 32]);
    let body = CommitBody { descriptor: ChunkRef { kind: ChunkKind::Descriptor, id } }.encode();
    let mut cases = vectors.structure("body-commit", &[]);
    cases.good("descriptor", "a descriptor's chunk", &[("chunk", id.to_string())], &body);
    cases.bad_ends(&body);
    cases.bad_version(&body);
    cases.bad("kind-8", "invalid", "no chunk has the kind 8", &set(&body, 1, &[8]));

    let tags =
        |tags: &[&str]| TagsBody { tags: tags.iter().map(|tag| (*tag).into()).collect() }.encode();
    let mut cases = vectors.structure("body-tag", &[]);
    let good = tags(&["daily", "keep"]);
    cases.good("two", "two tags", &[], &good);
    cases.good("none", "no tags", &[], &tags(&[]));
    cases.bad_ends(&good);
    cases.bad_version(&good);
    cases.bad("unsorted", "not-canonical", "not in order", &tags(&["keep", "daily"]));
    cases.bad("twice", "not-canonical", "one tag twice", &tags(&["keep", "keep"]));
}

fn long_lists(vectors: &mut Set) {
    let packs: Vec<Ref> = (0..3).map(|n| Ref::Pack(Digest::from_bytes([n; 32]))).collect();
    let bytes = List::<Ref>::encode_object(&packs);
    let mut cases = vectors.structure("list-of-refs", &[]);
    let found = [("count", "3".into()), ("digest", Digest::of(&bytes).to_string())];
    cases.good("packs", "three packs", &found, &bytes);
    cases.bad_ends(&bytes);
    cases.bad("count-huge", "limit", "more items than allowed", &set(&bytes, 0, &[0xff; 4]));
    cases.bad("tag-0", "invalid", "no ref has the tag 0", &set(&bytes, 4, &[0]));
    let objects = [pack(1), ObjectRef::Run(Digest::from_bytes([2; 32]))];
    let bytes = List::<ObjectRef>::encode_object(&objects);
    let mut cases = vectors.structure("list-of-objects", &[]);
    cases.good("pack-and-run", "a pack and a run", &[("count", "2".into())], &bytes);
    cases.bad_ends(&bytes);
    cases.bad("tag-4", "invalid", "no object has the tag 4", &set(&bytes, 4, &[4]));
}
