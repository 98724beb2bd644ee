"""Judges the format's vectors by the independent decoders; the text of each failure goes to stdout.

    judging.py DIR

A vector is a file: header lines `name: value`, an empty line, hex. `expect` is ok or the reason to
refuse. The order in which a decoder looks at fields is its own, so any refusal will do for a bad
vector; but for a good one, what its header says must be found. Ends with 1 when any is judged wrong.
"""

import sys
from pathlib import Path

from decoding import *
from decoding import Decoder, Refused


class Vector:
    def __init__(self, path):
        self.name, self.structure = f"{path.parent.name}/{path.name}", path.parent.name
        header, _, self.body = path.read_text().partition("\n\n")
        self.fields = dict(line.split(": ", 1) for line in header.splitlines())

    def data(self):
        return bytes.fromhex(self.body)

    def hex(self, field):
        return bytes.fromhex(self.fields[field])

    def number(self, field):
        return int(self.fields[field])

    def lines(self):
        return [line.split(" ") for line in self.body.splitlines()]

    def root(self):
        """An owner's bundle with the vector's root secret."""
        root = self.hex("root")
        vault = vault_of(ed25519_public(kdf(root, "root-sign")))
        suite = int(self.fields.get("suite", "1"))
        return Bundle(b"\x01" + vault + bytes([suite, 0, 1]) + root)

    def local(self):
        return kdf(self.hex("root"), "local")


def simple(read, *fields):
    """Structures that need nothing but their bytes; `fields` are (name, function of the value)."""
    def judge(vector):
        value = whole(vector.data(), read)
        return {name: str(show(value)) for name, show in fields}
    return judge


def versioned(read):
    def decode(decoder):
        decoder.version()
        return read(decoder)
    return decode


def judge_config(vector):
    decode_config(vector.data(), vector.hex("vault"))
    return {}


def judge_certificate(vector):
    certificate = decode_certificate(vector.data(), vector.hex("root-public"))
    return {"member": certificate["member"].hex(), "role": certificate["role"]}


def show_bundle(bundle):
    return {"role": bundle.role, "vault": bundle.vault.hex()}


def judge_role_keys(vector):
    member = whole(vector.hex("member-keys"), decode_member_keys)
    name = member_id(ed25519_public(member[:32]), xwing_public(member[32:]))
    info = role_keys_info(vector.hex("vault"), name, vector.number("role"), vector.hex("domain"),
                          vector.number("epoch"))
    role = ROLES[vector.number("role")]
    open_role_keys(vector.number("suite"), member[32:], info, role, vector.data())
    return {}


def judge_object(vector):
    bundle, kind, epoch = vector.root(), vector.number("kind"), vector.number("epoch")
    key = {1: lambda: bundle.of_epoch("content-kem", epoch),
           2: lambda: bundle.of_epoch("meta-kem", epoch),
           3: lambda: bundle.index(vector.hex("domain"), epoch), 4: vector.local,
           5: lambda: bundle.of_epoch("ledger", epoch)}[kind]()
    expected = {"vault": vector.hex("vault"), "kind": kind, "suite": vector.number("suite")}
    payload = open_whole(vector.data(), expected, key)
    return {"payload": payload.hex(), "payload-length": str(len(payload))}


def judge_kept_pack(vector):
    data = vector.data()
    refuse_if(len(data) < 72, "short", "kept key")
    expected = {"vault": vector.hex("vault"), "kind": 2, "suite": vector.number("suite")}
    return {"payload": open_whole(data[72:], expected, vector.local(), data[:72]).hex()}


def judge_small_box(vector):
    kind, epoch = vector.number("kind"), vector.number("epoch")
    key = vector.root().of_epoch("ledger", epoch) if kind == 0x81 else vector.local()
    plain = small_open(vector.number("suite"), key, kind, vector.hex("vault"),
                       vector.hex("names"), vector.data())
    return {"plaintext": plain.hex()}


def judge_record(vector):
    record, bundle = decode_record(vector.data()), vector.root()
    refuse_if(record["vault"] != vector.hex("vault"), "other-vault")
    root = ed25519_public(kdf(bundle.root, "root-sign"))
    key = root if record["author"] == bytes(16) else vector.hex("member-public")
    verify(key, b"record", record["signed"], record["signature"])
    payload = open_body(record, 1, bundle.of_epoch("ledger", record["epoch"]))
    return {"kind": KINDS[record["kind"]], "seq": str(record["seq"]), "payload": payload.hex(),
            "hash": record_hash(vector.data()).hex()}


def judge_too_long(vector):
    data = vector.data().ljust(vector.number("length"), b"\x00")
    try:
        decode_record(data)
    except Refused:
        return {"hash": record_hash(data).hex()}
    raise Refused("limit", "a record longer than 1 MiB was taken")


def judge_node(vector):
    level, entries = decode_node(vector.data())
    keys = {"first-key": entries[0][0].hex(), "last-key": entries[-1][0].hex()} if entries else {}
    return {"level": str(level), "entries": str(len(entries))} | keys


def judge_recipe(vector):
    level, items = whole(vector.data(), decode_recipe)
    return {"level": str(level), "length": str(sum(length for _, length in items))}


def judge_path_key(vector):
    path = decode_path_key(vector.data())
    refuse_if(path_key(path) != vector.data(), "not-canonical")
    return {"path": path.hex()}


def judge_tags(vector):
    read = versioned(lambda d: d.list(256, 4, lambda: d.text(255)))
    tags = [tag.encode() for tag in whole(vector.data(), read)]
    refuse_if(not strictly_rising(tags), "not-canonical")
    return {}


def judge_list(item, least):
    def judge(vector):
        items = whole(vector.data(), lambda d: d.list(1 << 22, least, lambda: item(d)))
        return {"count": str(len(items)), "digest": digest(vector.data()).hex()}
    return judge


# Tables: each line is checked on its own.

def judge_schedule(vector):
    bundle, epoch, domain = vector.root(), vector.number("epoch"), vector.hex("domain")
    values = {"root-public": ed25519_public(kdf(bundle.root, "root-sign")), "vault": bundle.vault,
              "folder": kdf(vector.local(), "folder", length=8),
              "gear": kdf(bundle.names("chunker", domain), "gear", length=128),
              "index-of-domain": bundle.index(domain, epoch),
              "content-public": xwing_public(bundle.of_epoch("content-kem", epoch)),
              "meta-public": xwing_public(bundle.of_epoch("meta-kem", epoch))}
    for name in LASTING:
        values[name] = kdf(bundle.root, name)
        values[name + "-of-domain"] = bundle.names(name, domain)
    values |= {name: bundle.of_epoch(name, epoch) for name in OF_EPOCH}
    found = {name: bytes.fromhex(value) for name, value in vector.lines()}
    refuse_if(found != values, "other-values", str(set(found) ^ set(values)))
    return {}


def judge_chunk_ids(vector):
    for kind, plain, name in vector.lines():
        kind, plain = int(kind), bytes.fromhex(plain.strip("-"))
        names = "content-names" if kind in CONTENT_KINDS else "node-names"
        key = vector.root().names(names, vector.hex("domain"))
        refuse_if(chunk_id(key, kind, plain).hex() != name, "other-values", name)
    return {}


def judge_boundaries(vector):
    key = vector.root().names("tree", vector.hex("domain"))[:16]
    exponents = vector.number("leaf-exponent"), vector.number("interior-exponent")
    for level, entries, before, weight, name, verdict in vector.lines():
        level, entries, s, w = int(level), int(entries), int(before), int(weight)
        m, t = exponents[level > 0], s + w
        h = siphash(key, bytes([level]) + bytes.fromhex(name)) & 0xffffffff
        likely = h << 4 * m < (t**4 - s**4) << 32
        cut = not (level > 0 and entries < 2) and (
            t >= 4 << m or (t >= (1 << m) // 16 and likely))
        refuse_if(cut != (verdict == "cut"), "other-values", name)
    return {}


def siphash(key, data):
    mask = (1 << 64) - 1
    k0, k1 = (int.from_bytes(key[at:at + 8], "little") for at in (0, 8))
    v = [k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
         k1 ^ 0x7465646279746573]
    turn = lambda x, n: (x << n | x >> (64 - n)) & mask

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & mask; v[1] = turn(v[1], 13) ^ v[0]; v[0] = turn(v[0], 32)
            v[2] = (v[2] + v[3]) & mask; v[3] = turn(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & mask; v[3] = turn(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & mask; v[1] = turn(v[1], 17) ^ v[2]; v[2] = turn(v[2], 32)

    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 255])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at:at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 255
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def judge_cuts(vector):
    tables = kdf(vector.root().names("chunker", vector.hex("domain")), "gear", length=128)
    tables = struct.unpack("<32I", tables)
    gear = [tables[x % 16] ^ tables[16 + x // 16] for x in range(256)]
    low, average, high = (vector.number(name) for name in ("min", "avg", "max"))
    exponent = average.bit_length() - 1
    easy, hard = 1 << 32 - (exponent - 2), 1 << 32 - (exponent + 2)
    data, lengths, start, h = made_content(vector), [], 0, 0
    for at, byte in enumerate(data, start=1):
        h = ((h << 1) + gear[byte]) & 0xffffffff
        length = at - start
        strong, weak = h < hard and low < length <= average, h < easy and average < length
        if strong or weak or length == high:
            lengths.append(length)
            start = at
    if start < len(data):
        lengths.append(len(data) - start)
    refuse_if(lengths != [int(line[0]) for line in vector.lines()], "other-values")
    return {}


def made_content(vector):
    length, state, data = vector.number("length"), 1, bytearray()
    if vector.fields["content"] == "zeros":
        return bytes(length)
    for _ in range(length):
        state = (1664525 * state + 1013904223) & 0xffffffff
        data.append(state >> 24)
    return bytes(data)


def judge_padding(vector):
    for length, padded in vector.lines():
        length = int(length)
        exponent = length.bit_length() - 1
        step = 1 << max(0, exponent - exponent.bit_length())
        refuse_if(max(4096, -(-length // step) * step) != int(padded), "other-values", length)
    return {}


JUDGES = {
    "config": judge_config, "certificate": judge_certificate,
    "bundle": lambda v: show_bundle(Bundle(v.data())),
    "key-file": lambda v: show_bundle(decode_key_file(v.data())),
    "member-keys": simple(decode_member_keys, ("member", lambda seeds: member_id(
        ed25519_public(seeds[:32]), xwing_public(seeds[32:])).hex())),
    "role-keys": judge_role_keys,
    "slot": lambda v: show_bundle(open_slot(v.data(), v.hex("passphrase"))),
    "kept-pack": judge_kept_pack, "small-box": judge_small_box, "small-box-suite-2": judge_small_box,
    "record": judge_record, "record-shape": judge_record, "record-too-long": judge_too_long,
    "body-certify": simple(versioned(lambda d: d.text(255)), ("text", lambda t: t.encode().hex())),
    "body-commit": simple(versioned(decode_chunk_ref), ("chunk", lambda ref: ref[1].hex())),
    "body-tag": judge_tags,
    "list-of-refs": judge_list(decode_ref, 17),
    "list-of-objects": judge_list(decode_object_ref, 29),
    "directory": simple(decode_directory, ("frames", len),
                        ("chunks", lambda frames: sum(len(f["chunks"]) for f in frames))),
    "pack-payload": lambda v: {"frames-length": str(
        split_pack(v.data(), v.number("kind"))[0])},
    "run": simple(decode_run, ("packs", len)),
    "node": judge_node,
    "child": simple(decode_child, ("count", lambda c: c[1]), ("bytes", lambda c: c[2])),
    "recipe": judge_recipe, "path-key": judge_path_key,
    "entry": lambda v: {"type": decode_entry(v.data())["type"]},
    "extra": simple(decode_extra_chunk, ("xattrs", lambda e: len(e["xattrs"])),
                    ("holes", lambda e: len(e["holes"]))),
    "descriptor": lambda v: {"name": decode_descriptor(v.data())["name"].encode().hex(),
                             "root": decode_descriptor(v.data())["root"].hex()},
    "key-schedule": judge_schedule, "chunk-id": judge_chunk_ids, "boundary": judge_boundaries,
    "cuts": judge_cuts, "padding": judge_padding,
}


def judge(vector):
    """Why a vector is judged wrong, if it is."""
    judges = JUDGES.get(vector.structure)
    if judges is None and vector.structure.startswith("object-"):
        judges = judge_object
    if judges is None:
        return "no decoder for this structure"
    try:
        found = judges(vector)
    except Refused as refused:
        if vector.fields["expect"] == "ok":
            return f"refused: {refused}"
        return None
    if vector.fields["expect"] != "ok":
        return f"taken, but it should be refused: {vector.fields['expect']}"
    wrong = [name for name, value in found.items() if vector.fields.get(name, value) != value]
    return f"other values found: {wrong}" if wrong else None


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: judging.py DIR")
    paths = sorted(path for path in Path(sys.argv[1]).glob("*/*") if path.is_file())
    wrong = 0
    for path in paths:
        failure = judge(Vector(path))
        if failure:
            wrong += 1
            print(f"{path.parent.name}/{path.name}: {failure}")
    print(f"{len(paths)} vectors, {wrong} judged wrong")
    sys.exit(1 if wrong or not paths else 0)


if __name__ == "__main__":
    main()
