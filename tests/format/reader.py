"""Restores one file from a vault in a folder. Knows crates/format/FORMAT.md and nothing else.

    reader.py --vault DIR --key FILE [--snapshot HEX] [--list] PATH > out

Writes the file's bytes, or with --list the paths below PATH. FORMAT.md §13 is its table of contents.
Whatever does not hold (a signature, the chain, a digest, a chunk's id) ends it with an error.
"""

import argparse
import sys
from pathlib import Path

from decoding import (
    APPENDS, KINDS, Opened, Refused, check_extra, chunk_id, decode_certificate, decode_child,
    decode_chunk_ref, decode_config, decode_descriptor, decode_entry, decode_extra_chunk,
    decode_header, decode_key_file, decode_node, decode_object_ref, decode_recipe, decode_record,
    decode_ref, decode_run, digest, open_body, open_whole, path_key, decode_path_key, record_hash,
    refuse_if, verify, whole, zstandard,
)

ROOT = bytes(16)
CONTENT, NODE, RECIPE, DESCRIPTOR, EXTRA = 1, 2, 3, 4, 5


class Ledger:
    """What follows from the records, as far as a reader needs it. §10."""

    def __init__(self, folder, bundle, config, config_bytes):
        self.folder, self.bundle, self.config = folder, bundle, config
        self.head, self.seq, self.epoch, self.format_number = digest(config_bytes), 0, 0, 1
        self.members, self.revoked, self.mends = {}, set(), {}
        self.sessions, self.snapshots, self.runs, self.packs = {}, {}, {}, {}
        self.suspicions, self.condemned = {}, set()
        self.replay(config_bytes)

    def replay(self, config_bytes):
        while True:
            path = self.folder / "ledger" / f"{self.seq:016x}"
            if not path.exists():
                return
            data = path.read_bytes()
            if self.seq == 0:
                self.begin(data, config_bytes)
            else:
                self.apply(data)
            self.seq += 1

    def begin(self, data, config_bytes):
        record = decode_record(data)
        self.check_signature(record)
        refuse_if(record["kind"] != 1 or record["refs"][0] != (8, config_bytes), "broken", "genesis")
        refuse_if(record["prev"] != self.head or record["seq"] != 0, "broken", "genesis")
        self.head = digest(data)

    def apply(self, data):
        try:
            record = decode_record(data)
            refuse_if(record["vault"] != self.bundle.vault, "other-vault")
            refuse_if(record["seq"] != self.seq, "other-number")
            self.check_signature(record)
        except Refused as reason:
            # Nobody vouches for its prev, so its hash binds what lies before.
            self.say(f"record {self.seq} is void: {reason}")
            self.head = digest(self.head + record_hash(data))
            return
        refuse_if(record["prev"] != self.head, "broken", f"record {self.seq} follows another")
        self.head = record_hash(data)
        try:
            self.take(record)
        except Refused as reason:
            self.say(f"record {self.seq} is void: {reason}")

    def check_signature(self, record):
        author = record["author"]
        if author == ROOT:
            key = self.config["root"]
        else:
            refuse_if(author not in self.members, "not-certified")
            refuse_if(author in self.revoked, "revoked")
            key = self.members[author]["key"]
        verify(key, b"record", record["signed"], record["signature"])

    def take(self, record):
        """Gives a record its effect if it is valid."""
        kind, author, session = KINDS[record["kind"]], record["author"], record["session"]
        owners = record["kind"] <= 10
        allowed = owners if author == ROOT else kind in APPENDS[self.members[author]["role"]]
        refuse_if(not allowed, "role", kind)
        refuse_if(record["epoch"] != self.epoch, "epoch")
        refs = self.items(record["refs"], decode_ref)
        needs = self.items(record["needs"], decode_object_ref)
        drops = self.items(record["drops"], decode_object_ref)
        if kind in ("packs", "commit", "merge"):
            opened = self.sessions.get(session)
            refuse_if(not opened or not opened["open"], "session")
            refuse_if(opened["member"] != author, "session", "another member's")
        effects = {
            "certify": lambda: self.certify(refs[0][1]), "rotate": lambda: self.rotate(refs),
            "revoke": lambda: self.revoke(refs[0][1]),
            "recover": lambda: self.close_all(lambda _: True),
            "open": lambda: self.open(session, author, refs),
            "packs": lambda: self.publish(session, needs),
            "commit": lambda: self.commit(record, session, refs, needs),
            "merge": lambda: self.merge(session, needs, drops),
            "abandon": lambda: self.abandon(session, author),
            "suspect": lambda: self.suspicions.update({record["seq"]: {name for _, name in refs}}),
            "clear": lambda: self.clear(refs[0][1]),
            "condemn": lambda: self.condemn(refs[0][1], drops),
            "forget": lambda: self.move(refs, ("live",), "trashed"),
            "undo": lambda: self.move(refs, ("trashed",), "live"),
            "purge": lambda: self.move(refs, ("trashed",), "purged"),
            "hold": lambda: self.hold(refs, True), "release": lambda: self.hold(refs, False),
        }
        effects.get(kind, lambda: None)()

    def items(self, items, item):
        """The items of a list, wherever it lies. §11."""
        if isinstance(items, list):
            return items
        name, count = items
        data = (self.folder / "lists" / name.hex()).read_bytes()
        refuse_if(digest(data) != name, "broken", "list")
        decoded = whole(data, lambda d: d.list(1 << 22, 17, lambda: item(d)))
        refuse_if(len(decoded) != count, "list")
        return decoded

    def certify(self, data):
        certificate = decode_certificate(data, self.config["root"])
        refuse_if(certificate["epoch"] != self.epoch, "epoch")
        refuse_if(certificate["member"] in self.revoked, "revoked")
        self.members[certificate["member"]] = certificate

    def rotate(self, refs):
        refuse_if(refs[0][1][0] != self.epoch + 1, "epoch")
        self.epoch += 1
        for _, (member, sealed) in refs[1:]:
            self.bundle.take_rotated(member, self.epoch, sealed)

    def revoke(self, member):
        refuse_if(member not in self.members or member in self.revoked, "member")
        self.revoked.add(member)
        self.close_all(lambda session: session["member"] == member)

    def close_all(self, which):
        for session in filter(which, self.sessions.values()):
            session["open"] = False

    def open(self, session, author, refs):
        refuse_if(session in self.sessions, "session")
        domain, member = refs[0][1], self.members[author]
        refuse_if(member["role"] == "writer" and member["domain"] != domain, "domain")
        for _, base in refs[1:]:
            snapshot = self.snapshots.get(base)
            refuse_if(not snapshot or snapshot["standing"] == "purged", "base")
            refuse_if(snapshot["domain"] != domain, "base")
        self.sessions[session] = {"member": author, "domain": domain, "open": True}

    def publish(self, session, needs):
        for tag, name in needs:
            refuse_if(tag == 3, "needs")
        for tag, name in needs:
            (self.packs if tag == 1 else self.runs).setdefault(name, session)

    def commit(self, record, session, refs, needs):
        refuse_if(refs and refs[0][1] != session, "snapshot")
        self.publish(session, needs)
        self.sessions[session]["open"] = False
        if refs:
            self.snapshots[session] = {"seq": record["seq"], "record": record, "held": False,
                                       "standing": "live",
                                       "domain": self.sessions[session]["domain"]}

    def merge(self, session, needs, drops):
        domain = self.sessions[session]["domain"]
        for tag, name in drops:
            known = tag == 2 and name in self.runs and (tag, name) not in needs
            refuse_if(not known or self.sessions[self.runs[name]]["domain"] != domain, "drops")
        for _, name in drops:
            del self.runs[name]
        self.publish(session, needs)
        self.sessions[session]["open"] = False

    def abandon(self, session, author):
        opened = self.sessions.get(session)
        refuse_if(not opened or not opened["open"], "session")
        others = self.members[author]["role"] in ("owner", "collector")
        refuse_if(opened["member"] != author and not others, "session")
        opened["open"] = False

    def clear(self, seq):
        refuse_if(seq not in self.suspicions, "suspicion")
        return self.suspicions.pop(seq)

    def condemn(self, seq, drops):
        refuse_if(seq not in self.suspicions, "suspicion")
        suspects = self.suspicions[seq]
        dropped = {name for tag, name in drops if tag == 1}
        refuse_if(not dropped <= suspects or any(tag == 2 for tag, _ in drops), "drops")
        self.clear(seq)
        self.condemned |= dropped

    def move(self, refs, before, after):
        found = [self.snapshots.get(snapshot) for _, snapshot in refs]
        for snapshot in found:
            refuse_if(not snapshot or snapshot["standing"] not in before, "snapshot")
            refuse_if(snapshot["held"] and after != "live", "held")
        for snapshot in found:
            snapshot["standing"] = after

    def hold(self, refs, held):
        for _, snapshot in refs:
            refuse_if(snapshot not in self.snapshots, "snapshot")
        for _, snapshot in refs:
            self.snapshots[snapshot]["held"] = held

    def say(self, text):
        print(f"reader: {text}", file=sys.stderr)


class Vault:
    """Chunks by their names, and what they say. §13."""

    def __init__(self, folder, bundle):
        self.folder, self.bundle = folder, bundle
        data = (folder / "config").read_bytes()
        self.config = decode_config(data, bundle.vault)
        refuse_if(self.config["suite"] != bundle.suite, "other-suite")
        self.ledger = Ledger(folder, bundle, self.config, data)
        self.opened, self.index = {}, {}

    def choose(self, snapshot):
        """The snapshot that was asked for, or the newest."""
        usable = {i: s for i, s in self.ledger.snapshots.items() if s["standing"] != "purged"}
        if snapshot is None:
            live = {i: s for i, s in usable.items() if s["standing"] == "live"}
            refuse_if(not live, "not-found", "no snapshot")
            snapshot = max(live, key=lambda i: live[i]["seq"])
        refuse_if(snapshot not in usable, "not-found", f"snapshot {snapshot.hex()}")
        found = usable[snapshot]
        self.domain = found["domain"]
        self.read_index()
        key = self.bundle.of_epoch("ledger", found["record"]["epoch"])
        payload = open_body(found["record"], self.bundle.suite, key)

        def body(decoder):
            decoder.version()
            return decode_chunk_ref(decoder)
        kind, name = whole(payload, body)
        refuse_if(kind != DESCRIPTOR, "not-canonical", "descriptor")
        descriptor = decode_descriptor(self.chunk(DESCRIPTOR, name))
        refuse_if(descriptor["session"] != snapshot, "not-canonical", "descriptor of another")
        refuse_if(descriptor["content"] != 1, "not-found", "a snapshot of a store")
        return descriptor

    def read_index(self):
        ledger = self.ledger
        for name, session in ledger.runs.items():
            if ledger.sessions[session]["domain"] != self.domain:
                continue
            try:
                packs = self.run(name)
            except (Refused, OSError) as error:
                # What it lists may lie in other runs too; else a chunk will be missing by name.
                ledger.say(f"run {name.hex()} is passed over: {error}")
                continue
            for pack in packs:
                origin = ledger.packs.get(pack["name"])
                good = origin == pack["session"] and pack["name"] not in ledger.condemned
                if good and ledger.sessions[origin]["domain"] == self.domain:
                    self.add_pack(pack)

    def run(self, name):
        data = (self.folder / "index" / name.hex()).read_bytes()
        refuse_if(digest(data) != name, "damaged", "its bytes do not have its name")
        expected = {"vault": self.bundle.vault, "kind": 3, "suite": self.bundle.suite}
        key = self.bundle.index(self.domain, decode_header(data)["epoch"])
        return whole(open_whole(data, expected, key), decode_run)

    def add_pack(self, pack):
        offset = 0
        for frame in pack["frames"]:
            start = 0
            for ref, length in frame["chunks"]:
                at = (pack, offset, frame, start, length)
                self.index.setdefault(ref, []).append(at)
                start += length
            offset += frame["stored"]

    def chunk(self, kind, name):
        """A chunk's bytes, verified by its id; the first of its places that gives them."""
        last = Refused("not-found", f"chunk {name.hex()} of kind {kind}")
        for pack, offset, frame, start, length in self.index.get((kind, name), []):
            try:
                plain = self.frame(pack, offset, frame)[start:start + length]
                keys = "content-names" if kind == CONTENT else "node-names"
                key = self.bundle.names(keys, self.domain)
                refuse_if(chunk_id(key, kind, plain) != name, "damaged", f"chunk {name.hex()}")
                return plain
            except (Refused, OSError) as error:
                last = error
        raise last

    def frame(self, pack, offset, frame):
        stored = self.open(pack).stream(8 + offset, 8 + offset + frame["stored"])
        if frame["codec"] == 0:
            return stored
        decompressor = zstandard.ZstdDecompressor()
        with decompressor.stream_reader(stored) as reader:
            plain = reader.read(frame["plain"] + 1)
        refuse_if(len(plain) != frame["plain"], "damaged", "frame")
        return plain

    def open(self, pack):
        name = pack["name"].hex()
        if name not in self.opened:
            file = open(self.folder / "packs" / name[:2] / name, "rb")

            def read(start, end):
                file.seek(start)
                return file.read(end - start)
            length = file.seek(0, 2)
            expected = {"vault": self.bundle.vault, "kind": pack["kind"],
                        "suite": self.bundle.suite}
            secret = "content-kem" if pack["kind"] == 1 else "meta-kem"
            opened = Opened(read, length, expected, self.bundle.of_epoch(secret, pack["epoch"]))
            header = opened.header
            refuse_if(header["session"] != pack["session"], "damaged", "session of a pack")
            refuse_if(header["epoch"] != pack["epoch"], "damaged", "epoch of a pack")
            self.opened[name] = opened
        return self.opened[name]

    def entries(self, name, level=None, start=b"", end=None):
        """The entries of a tree with keys from `start` up to `end`. §8.1."""
        found, entries = decode_node(self.chunk(NODE, name))
        refuse_if(level is not None and found != level, "not-canonical", "level")
        for key, value in entries:
            if found == 0:
                if key >= start and (end is None or key < end):
                    yield key, value
            elif key >= start:
                child, count, weight = whole(value, decode_child)
                yield from self.entries(child, found - 1, start, end)
                if end is not None and key >= end:
                    return

    def entry(self, root, key):
        for _, value in self.entries(root, start=key, end=key + b"\x00"):
            return decode_entry(value)
        raise Refused("not-found", "no such path in the snapshot")

    def extra(self, entry):
        if "extra-chunk" not in entry:
            return entry["extra"]
        extra = whole(self.chunk(EXTRA, entry["extra-chunk"]), decode_extra_chunk)
        check_extra(entry, extra)
        return extra

    def content(self, entry):
        """The chunks of a file, in order, holes left out. §8.3, §8.5."""
        content = entry["content"]
        if "chunks" in content:
            chunks = content["chunks"]
        else:
            chunks = self.recipe(content["recipe"], content["level"])
        for name, length in chunks:
            data = self.chunk(CONTENT, name)
            refuse_if(len(data) != length, "damaged", "length of a chunk")
            yield data

    def recipe(self, name, level):
        found, items = whole(self.chunk(RECIPE, name), decode_recipe)
        refuse_if(found != level, "not-canonical", "level of a recipe")
        for child, length in items:
            if level == 0:
                yield child, length
                continue
            total = 0
            for chunk, part in self.recipe(child, level - 1):
                total += part
                yield chunk, part
            refuse_if(total != length, "not-canonical", "length in a recipe")

    def write(self, entry, out):
        """The file's bytes, holes as zeros. §8.6."""
        holes = self.extra(entry)["holes"]
        at = 0

        def fill():
            nonlocal at
            while holes and holes[0][0] == at:
                length = holes.pop(0)[1]
                at += length
                while length > 0:
                    out.write(bytes(min(length, 1 << 20)))
                    length -= 1 << 20
        fill()
        for data in self.content(entry):
            while data:
                room = holes[0][0] - at if holes else len(data)
                out.write(data[:room])
                at += len(data[:room])
                data = data[room:]
                fill()
        refuse_if(at != entry["size"], "damaged", f"{at} bytes, the entry says {entry['size']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vault", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--snapshot", type=bytes.fromhex)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("path")
    arguments = parser.parse_args()
    try:
        vault = Vault(arguments.vault, decode_key_file(arguments.key.read_bytes()))
        root = vault.choose(arguments.snapshot)["root"]
        key = path_key(arguments.path.encode("utf-8", "surrogateescape"))
        if arguments.list:
            beneath = key.replace(b"\x00", b"\x01")
            for name, value in vault.entries(root, start=beneath + b"\x00", end=beneath + b"\x02"):
                path = decode_path_key(name).decode("utf-8", "surrogateescape")
                sys.stdout.buffer.write(f"{decode_entry(value)['type']} ".encode())
                sys.stdout.buffer.write(path.encode("utf-8", "surrogateescape") + b"\n")
            return
        entry = vault.entry(root, key)
        refuse_if(entry["type"] != "file", "not-found", f"{arguments.path} is a {entry['type']}")
        vault.write(entry, sys.stdout.buffer)
    except (Refused, OSError) as error:
        sys.exit(f"reader: {error}")


if __name__ == "__main__":
    main()
