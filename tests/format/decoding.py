"""Decodes what a vault is made of. Knows crates/format/FORMAT.md and nothing else.

Numbers in comments are FORMAT.md's sections: this is written to be read beside that text, not to be
fast. Whatever the text forbids raises Refused, with the word that the vectors have for it.
"""

import base64
import hashlib
import hmac
import struct
import sys

try:
    import blake3
    import zstandard
    from cryptography.exceptions import InvalidSignature, InvalidTag
    from cryptography.hazmat.primitives import hashes, hpke
    from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem, x25519
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
except ImportError as missing:
    sys.exit(f"reader: {missing}; scripts/setup installs what tests/format/requirements.txt lists")


class Refused(Exception):
    """Bytes that FORMAT.md forbids. `kind` is what the vectors call it."""

    def __init__(self, kind, what=""):
        super().__init__(f"{kind}: {what}" if what else kind)
        self.kind = kind


def refuse_if(condition, kind, what=""):
    if condition:
        raise Refused(kind, what)


# 1 Encoding

class Decoder:
    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, count):
        refuse_if(self.at + count > len(self.data), "short", f"{count} bytes at {self.at}")
        taken = self.data[self.at:self.at + count]
        self.at += count
        return taken

    def number(self, form):
        return struct.unpack("<" + form, self.raw(struct.calcsize("<" + form)))[0]

    def u8(self): return self.number("B")
    def u16(self): return self.number("H")
    def u32(self): return self.number("I")
    def u64(self): return self.number("Q")
    def i64(self): return self.number("q")

    def bytes(self, limit):
        length = self.u32()
        refuse_if(length > limit, "limit", f"{length} bytes, at most {limit}")
        return self.raw(length)

    def text(self, limit):
        try:
            return self.bytes(limit).decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("not-canonical", "text that is not UTF-8") from None

    def list(self, limit, least_bytes, item):
        count = self.u32()
        refuse_if(count > limit, "limit", f"{count} items, at most {limit}")
        refuse_if(count * least_bytes > len(self.data) - self.at, "short", f"{count} items")
        return [item() for _ in range(count)]

    def option(self, some):
        tag = self.u8()
        refuse_if(tag > 1, "invalid", "option")
        return some() if tag else None

    def version(self):
        refuse_if(self.u8() != 1, "version")

    def finish(self):
        refuse_if(self.at != len(self.data), "trailing", f"{len(self.data) - self.at} bytes")


def whole(data, read):
    """Decodes all of `data` by `read(decoder)`."""
    decoder = Decoder(data)
    value = read(decoder)
    decoder.finish()
    return value


def strictly_rising(items):
    return all(a < b for a, b in zip(items, items[1:]))


def digest(data):
    return blake3.blake3(data).digest()


# 5.1 Key derivation, 5.2 X-Wing and HPKE, 5.3 suites

def kdf(ikm, label, context=b"", length=32):
    prk = hmac.digest(b"strongroom-v1", ikm, "sha256")
    info = struct.pack(">H", len(label)) + label.encode() + context
    return HKDFExpand(hashes.SHA256(), length, info).derive(prk)


def u32be(number):
    return struct.pack(">I", number)


def xwing_secret(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    return hpke.MLKEM768X25519PrivateKey(
        mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        x25519.X25519PrivateKey.from_private_bytes(expanded[64:]))


def xwing_public(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    first = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).public_key()
    second = x25519.X25519PrivateKey.from_private_bytes(expanded[64:]).public_key()
    return first.public_bytes_raw() + second.public_bytes_raw()


def check_xwing_public(key):
    for at in range(0, 1152, 3):
        low, middle, high = key[at:at + 3]
        first, second = low | (middle & 15) << 8, middle >> 4 | high << 4
        refuse_if(first >= 3329 or second >= 3329, "public-key")


def hpke_open(suite, seed, info, sealed):
    aead = {1: hpke.AEAD.AES_256_GCM, 2: hpke.AEAD.CHACHA20_POLY1305}[suite]
    scheme = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, aead)
    try:
        return scheme.decrypt(sealed, xwing_secret(seed), info)
    except (InvalidTag, ValueError):
        raise Refused("authentication", "HPKE") from None


def extended_open(suite, key, nonce, sealed, aad):
    """XAES-256-GCM (C2SP) or XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha)."""
    try:
        if suite == 1:
            return AESGCM(xaes_key(key, nonce[:12])).decrypt(nonce[12:], sealed, aad)
        return ChaCha20Poly1305(hchacha20(key, nonce[:16])).decrypt(
            bytes(4) + nonce[16:], sealed, aad)
    except InvalidTag:
        raise Refused("authentication") from None


def xaes_key(key, half):
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update
    number = int.from_bytes(block(bytes(16)), "big")
    shifted = (number << 1) & ((1 << 128) - 1)
    mask = shifted ^ 0x87 if number >> 127 else shifted
    parts = [b"\x00" + bytes([counter]) + b"X\x00" + half for counter in (1, 2)]
    return b"".join(block((int.from_bytes(p, "big") ^ mask).to_bytes(16, "big")) for p in parts)


def hchacha20(key, nonce):
    # ChaCha20's block with the same key and input adds the input at the end: take it off again.
    start = struct.unpack("<16I", b"expand 32-byte k" + key + nonce)
    stream = Cipher(algorithms.ChaCha20(key, nonce), None).encryptor().update(bytes(64))
    words = [(a - b) & 0xffffffff for a, b in zip(struct.unpack("<16I", stream), start)]
    return struct.pack("<8I", *words[:4], *words[12:])


# 5.4 Sealed objects

MAGIC = b"STRONGRM"
PACKS = (1, 2)


def decode_header(data):
    decoder = Decoder(data[:72])
    refuse_if(len(data) < 72, "short", "header")
    refuse_if(decoder.raw(8) != MAGIC, "magic")
    suite = decoder.u16()
    refuse_if(suite not in (1, 2), "suite")
    kind = decoder.u8()
    refuse_if(kind not in (1, 2, 3, 4, 5), "invalid", "kind")
    refuse_if(decoder.u8() != 0, "invalid", "flags")
    header = {"suite": suite, "kind": kind, "vault": decoder.raw(32),
              "session": decoder.raw(16), "epoch": decoder.u32()}
    refuse_if(decoder.u8() != 16 or decoder.raw(7) != bytes(7), "invalid", "reserved")
    return header


def prefix_length(kind):
    return 72 + (1168 if kind in PACKS else 72) + 32


class Opened:
    """An object whose data key is open. `read(range)` gives object bytes of a range."""

    def __init__(self, read, length, expected, key, kept=None):
        prefix = read(0, min(length, 1272))
        header = decode_header(prefix)
        refuse_if(header["vault"] != expected["vault"], "other-vault")
        refuse_if(header["kind"] != expected["kind"], "other-kind")
        refuse_if(header["suite"] != expected["suite"], "other-suite")
        self.start, self.suite = prefix_length(header["kind"]), header["suite"]
        refuse_if(len(prefix) < self.start, "short", "prefix")
        wrapped, commitment = prefix[72:self.start - 32], prefix[self.start - 32:self.start]
        info = b"strongroom-v1/dek" + prefix[:72]
        if kept is not None:
            info = b"strongroom-v1/kept-dek" + prefix[:72]
            data_key = extended_open(self.suite, key, kept[:24], kept[24:], info)
        elif header["kind"] in PACKS:
            data_key = hpke_open(self.suite, key, info, wrapped)
        else:
            data_key = extended_open(self.suite, key, wrapped[:24], wrapped[24:], info)
        prk = hmac.digest(hashlib.sha256(prefix[:72]).digest(), data_key, "sha256")
        expand = lambda label: HKDFExpand(hashes.SHA256(), 32, label).derive(prk)
        refuse_if(not hmac.compare_digest(expand(b"commit"), commitment), "authentication")
        cipher = AESGCM if self.suite == 1 else ChaCha20Poly1305
        self.cipher, self.read, self.header = cipher(expand(b"segment")), read, header
        self.body = length - self.start
        refuse_if(self.body < 24 or length > 1 << 32, "length")
        self.segments = -(-self.body // 65552)
        refuse_if(self.body - (self.segments - 1) * 65552 <= 16, "length", "last segment")

    def stream(self, start, end):
        """Bytes of the stream."""
        first, behind = start // 65536, -(-end // 65536)
        opened = b"".join(self.segment(number) for number in range(first, behind))
        return opened[start - first * 65536:end - first * 65536]

    def segment(self, number):
        start = number * 65552
        sealed = self.read(self.start + start, self.start + min(start + 65552, self.body))
        last = number == self.segments - 1
        nonce = struct.pack(">Q", number) + bytes(3) + bytes([last])
        try:
            return self.cipher.decrypt(nonce, sealed, None)
        except InvalidTag:
            raise Refused("authentication", f"segment {number}") from None

    def payload(self):
        stream = self.stream(0, self.body - 16 * self.segments)
        length = struct.unpack("<Q", stream[:8])[0]
        refuse_if(length > len(stream) - 8, "padding", "payload length")
        refuse_if(any(stream[8 + length:]), "padding")
        return stream[8:8 + length]


def open_whole(data, expected, key, kept=None):
    return Opened(lambda start, end: data[start:end], len(data), expected, key, kept).payload()


# 5.5 Small boxes, 5.6 signatures

def small_open(suite, key, kind, vault, names, sealed):
    refuse_if(len(sealed) < 40, "short", "small box")
    return extended_open(suite, key, sealed[:24], sealed[24:], bytes([kind]) + vault + names)


def verify(public, context, message, signature):
    try:
        key = ed25519.Ed25519PublicKey.from_public_bytes(public)
        key.verify(signature, b"strongroom-v1/" + context + b"\x00" + message)
    except (InvalidSignature, ValueError):
        raise Refused("signature", context.decode()) from None


def ed25519_public(seed):
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def vault_of(root_public):
    return hashlib.sha256(b"strongroom-v1/vault" + root_public).digest()


# 4 Config

def decode_config(data, vault):
    decoder = Decoder(data)
    decoder.version()
    named, root = decoder.raw(32), decoder.raw(32)
    suite = decoder.u16()
    refuse_if(suite not in (1, 2), "invalid", "suite")
    low, average, high = decoder.u32(), decoder.u32(), decoder.u32()
    exponents = decoder.raw(6)
    pack_size = decoder.u32()
    power = average & (average - 1) == 0
    refuse_if(not power or not 4 << 10 <= average <= 8 << 20, "invalid", "average chunk size")
    refuse_if(not 64 <= low <= average // 2, "invalid", "least chunk size")
    refuse_if(not 2 * average <= high <= 16 << 20, "invalid", "largest chunk size")
    refuse_if(any(not 8 <= m <= 16 for m in exponents), "invalid", "exponents")
    refuse_if(pack_size % 65536 or not 4 << 20 <= pack_size <= 512 << 20, "invalid", "pack size")
    signature = decoder.raw(64)
    decoder.finish()
    refuse_if(named != vault or vault_of(root) != vault, "other-vault")
    verify(root, b"config", data[:89], signature)
    return {"root": root, "suite": suite}


# 5.7 Members and certificates, 5.8 bundles, 5.9 slots, 5.10 key files

ROLES = {1: "owner", 2: "reader", 3: "browser", 4: "writer", 5: "collector", 6: "auditor"}
LASTING = ("content-names", "node-names", "chunker", "tree")
OF_EPOCH = ("ledger", "index", "meta-kem", "content-kem")
HELD = {
    "reader": LASTING + OF_EPOCH,
    "browser": ("node-names", "ledger", "index", "meta-kem"),
    "writer": LASTING + ("ledger", "index"),
    "collector": ("node-names", "ledger", "index", "meta-kem"),
    "auditor": ("ledger",),
}


def member_id(verifying, kem):
    return digest(verifying + kem)[:16]


def decode_role(decoder):
    code = decoder.u8()
    refuse_if(code not in ROLES, "invalid", "role")
    return ROLES[code]


def decode_certificate(data, root):
    decoder = Decoder(data)
    decoder.version()
    vault, member, verifying = decoder.raw(32), decoder.raw(16), decoder.raw(32)
    kem = decoder.raw(1216)
    check_xwing_public(kem)
    role, domain, epoch = decode_role(decoder), decoder.raw(16), decoder.u32()
    signature = decoder.raw(64)
    decoder.finish()
    refuse_if(member != member_id(verifying, kem), "member")
    refuse_if(vault != vault_of(root), "other-vault")
    verify(root, b"certificate", data[:-64], signature)
    return {"member": member, "key": verifying, "role": role, "domain": domain, "epoch": epoch}


def decode_epoch_keys(decoder, role):
    return {name: decoder.raw(32) for name in OF_EPOCH if name in HELD[role]}


class Bundle:
    def __init__(self, data):
        decoder = Decoder(data)
        decoder.version()
        self.vault, self.suite = decoder.raw(32), decoder.u16()
        refuse_if(self.suite not in (1, 2), "suite")
        self.role, self.domain = decode_role(decoder), bytes(16)
        if self.role == "owner":
            self.root = decoder.raw(32)
        else:
            self.domain, self.seeds, self.local = decoder.raw(16), decoder.raw(64), decoder.raw(32)
            self.lasting = {n: decoder.raw(32) for n in LASTING if n in HELD[self.role]}
            size = 4 + 32 * sum(name in HELD[self.role] for name in OF_EPOCH)
            read = lambda: (decoder.u32(), decode_epoch_keys(decoder, self.role))
            epochs = decoder.list(4096, size, read)
            first = epochs[0][0] if epochs else 0
            order = [epoch for epoch, _ in epochs] == list(range(first, first + len(epochs)))
            refuse_if(not epochs or not order, "not-canonical", "epochs")
            self.epochs = dict(epochs)
        decoder.finish()
        if self.role == "owner":
            refuse_if(vault_of(ed25519_public(kdf(self.root, "root-sign"))) != self.vault,
                      "other-vault")

    def of_epoch(self, name, epoch):
        if self.role == "owner":
            return kdf(self.root, name, u32be(epoch))
        keys = self.epochs.get(epoch)
        refuse_if(not keys or name not in keys, "denied", f"no {name} of epoch {epoch}")
        return keys[name]

    def take_rotated(self, member, epoch, sealed):
        if self.role == "owner" or member != self.member():
            return
        code = next(code for code, role in ROLES.items() if role == self.role)
        info = role_keys_info(self.vault, member, code, self.domain, epoch)
        self.epochs[epoch] = open_role_keys(self.suite, self.seeds[32:], info, self.role, sealed)

    def member(self):
        return member_id(ed25519_public(self.seeds[:32]), xwing_public(self.seeds[32:]))

    def index(self, domain, epoch):
        return self.child(self.of_epoch("index", epoch), domain)

    def names(self, name, domain):
        if self.role == "owner":
            return self.child(kdf(self.root, name), domain)
        refuse_if(name not in self.lasting, "denied", f"no {name}")
        return self.child(self.lasting[name], domain)

    def child(self, key, domain):
        if self.role == "writer":
            refuse_if(domain != self.domain, "denied", "another domain")
            return key
        return kdf(key, "domain", domain)


def role_keys_info(vault, member, role, domain, epoch):
    return b"strongroom-v1/role-keys" + vault + member + bytes([role]) + domain + u32be(epoch)


def open_role_keys(suite, seed, info, role, sealed):
    def read(decoder):
        decoder.version()
        return decode_epoch_keys(decoder, role)
    return whole(hpke_open(suite, seed, info, sealed), read)


def decode_key_file(data):
    text = data.strip()
    refuse_if(not text.startswith(b"strongroom-key-1:"), "key-file", "it begins otherwise")
    encoded = text[len(b"strongroom-key-1:"):]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    refuse_if(any(c not in alphabet for c in encoded), "key-file", "alphabet")
    refuse_if(len(encoded) % 4 == 1, "key-file", "length")
    data = base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
    again = base64.urlsafe_b64encode(data).rstrip(b"=")
    refuse_if(again != encoded, "key-file", "unused bits")
    refuse_if(len(data) < 8 or digest(data[:-8])[:8] != data[-8:], "key-file", "check sum")
    return Bundle(data[:-8])


def open_slot(data, passphrase):
    decoder = Decoder(data)
    decoder.version()
    suite = decoder.u16()
    refuse_if(suite not in (1, 2), "suite")
    vault, factors = decoder.raw(32), decoder.u8()
    memory, passes, lanes, salt = decoder.u32(), decoder.u32(), decoder.u32(), decoder.raw(32)
    commitment = decoder.raw(32)
    refuse_if(len(data) - decoder.at < 40, "short", "small box")
    refuse_if(factors != 1, "factors")
    sane = memory <= 4 << 20 and 1 <= passes <= 16 and 1 <= lanes <= 64 and memory >= 8 * lanes
    refuse_if(not sane, "limit", "Argon2")
    hashed = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes,
                      memory_cost=memory).derive(passphrase)
    expected = kdf(hashed, "slot-commit", bytes([factors]))
    refuse_if(not hmac.compare_digest(commitment, expected), "passphrase")
    key = kdf(hashed, "slot", bytes([factors]))
    bundle = Bundle(small_open(suite, key, 0x82, vault, data[:112], data[112:]))
    refuse_if(bundle.vault != vault, "other-vault")
    refuse_if(bundle.suite != suite, "other-suite")
    return bundle


def decode_member_keys(decoder):
    decoder.version()
    return decoder.raw(64)


# 6 Packs, 7 index runs

CONTENT_KINDS = (1, 6)


def decode_chunk_ref(decoder):
    kind = decoder.u8()
    refuse_if(not 1 <= kind <= 7, "invalid", "kind of chunk")
    return kind, decoder.raw(32)


def decode_frame(decoder):
    codec = decoder.u8()
    refuse_if(codec > 1, "invalid", "codec")
    stored = decoder.u32()

    def chunk():
        ref, length = decode_chunk_ref(decoder), decoder.u32()
        refuse_if(not 1 <= length <= 16 << 20, "invalid", "length of a chunk")
        return ref, length

    chunks = decoder.list(65536, 37, chunk)
    plain = sum(length for _, length in chunks)
    refuse_if(plain > 16 << 20, "invalid", "length of a frame")
    fits = stored == plain if codec == 0 else stored < plain
    refuse_if(stored == 0 or not fits, "invalid", "stored length")
    return {"codec": codec, "stored": stored, "plain": plain, "chunks": chunks}


def decode_directory(decoder):
    decoder.version()
    return decoder.list(1 << 20, 9, lambda: decode_frame(decoder))


def refuse_aliens(frames, pack):
    kinds = {ref[0] for frame in frames for ref, _ in frame["chunks"]}
    alien = any((kind in CONTENT_KINDS) != (pack == 1) for kind in kinds)
    refuse_if(alien, "invalid", "kind of chunk in this pack")


def split_pack(payload, kind):
    refuse_if(len(payload) < 4, "short")
    length = struct.unpack("<I", payload[-4:])[0]
    start = len(payload) - 4 - length
    refuse_if(start < 0, "invalid", "length of the directory")
    frames = whole(payload[start:-4], decode_directory)
    refuse_if(sum(frame["stored"] for frame in frames) != start, "invalid", "frames")
    refuse_aliens(frames, kind)
    return start, frames


def decode_run(decoder):
    def listing():
        name, session, kind = decoder.raw(32), decoder.raw(16), decoder.u8()
        refuse_if(kind not in PACKS, "invalid", "kind of pack")
        epoch, length = decoder.u32(), decoder.u64()
        start = decoder.at
        frames = decode_directory(decoder)
        payload = sum(frame["stored"] for frame in frames) + decoder.at - start + 4
        refuse_if(not 8 + payload <= length <= 1 << 32, "invalid", "stream length")
        refuse_aliens(frames, kind)
        return {"name": name, "session": session, "kind": kind, "epoch": epoch,
                "length": length, "frames": frames}

    decoder.version()
    packs = decoder.list(65536, 66, listing)
    refuse_if(not strictly_rising([pack["name"] for pack in packs]), "not-canonical", "packs")
    return packs


def chunk_id(key, kind, plaintext):
    return blake3.blake3(bytes([kind]) + plaintext, key=key).digest()


# 8 Trees, files and snapshots

def decode_level(decoder):
    level = decoder.u8()
    refuse_if(level > 48, "invalid", "level")
    return level


def decode_node(data):
    refuse_if(len(data) > 512 << 10, "limit", "node")
    decoder = Decoder(data)
    decoder.version()
    level = decode_level(decoder)
    count = decoder.u32()
    refuse_if(count > (512 << 10) // 8, "limit", "entries")
    refuse_if(count * 8 > len(data) - decoder.at, "short", "entries")
    entries, restarts, key, start = [], [], b"", decoder.at
    for index in range(count):
        whole_key = index % 16 == 0
        if whole_key:
            restarts.append(decoder.at - start)
        shared, length = decoder.u16(), decoder.u16()
        suffix = decoder.raw(length)
        refuse_if(shared > len(key) or (whole_key and shared), "invalid", "shared")
        refuse_if(shared + length > 8 << 10, "invalid", "key")
        now = key[:shared] + suffix
        common = next((i for i, (a, b) in enumerate(zip(key, now)) if a != b),
                      min(len(key), len(now)))
        refuse_if(index > 0 and (now <= key or (not whole_key and common != shared)),
                  "not-canonical", "keys")
        key = now
        entries.append((key, decoder.bytes(64 << 10)))
    for restart in restarts:
        refuse_if(decoder.u32() != restart, "invalid", "restart")
    decoder.finish()
    return level, entries


def decode_child(decoder):
    return decoder.raw(32), decoder.u64(), decoder.u64()


def decode_recipe(decoder):
    decoder.version()
    level = decode_level(decoder)

    def item():
        chunk, length = decoder.raw(32), decoder.u64()
        refuse_if(length == 0, "invalid", "length of an item")
        return chunk, length

    items = decoder.list(13107, 40, item)
    # What follows is read before the items' sum is judged.
    decoder.finish()
    total = sum(length for _, length in items)
    refuse_if(not items or total >= 1 << 64, "not-canonical", "items")
    return level, items


def path_key(path):
    names = [name for name in path.split(b"/") if name]
    names = [name.replace(b"\x02", b"\x02\x03").replace(b"\x01", b"\x02\x02") for name in names]
    above = b"".join(b"\x01" + name for name in names[:-1])
    return above + b"".join(b"\x00" + name for name in names[-1:])


def decode_path_key(key):
    names, at = [], 0
    while at < len(key):
        if key[at] < 2:
            names.append(b"")
        elif not names:
            raise Refused("not-canonical", "no separator")
        elif key[at] == 2:
            at += 1
            refuse_if(at == len(key) or key[at] not in (2, 3), "not-canonical", "escape")
            names[-1] += bytes([key[at] - 1])
        else:
            names[-1] += key[at:at + 1]
        at += 1
    for name in names:
        refuse_if(name in (b"", b".", b"..") or b"/" in name, "invalid", "name")
    refuse_if(len(key) > 8 << 10, "limit", "path")
    separators = [byte for at, byte in enumerate(key) if byte < 2]
    good = all(separators[:-1]) and not any(separators[-1:])
    refuse_if(not good, "not-canonical", "separators")
    return b"/" + b"/".join(names)


TYPES = ["file", "folder", "symlink", "fifo", "socket", "block-device", "char-device"]


def decode_time(decoder):
    seconds, nanos = decoder.i64(), decoder.u32()
    refuse_if(nanos >= 10**9, "invalid", "nanoseconds")
    return seconds, nanos


def decode_content(decoder):
    form = decoder.u8()
    refuse_if(form > 1, "invalid", "content")
    if form == 1:
        return {"recipe": decoder.raw(32), "level": decode_level(decoder)}

    def chunk():
        chunk, length = decoder.raw(32), decoder.u32()
        refuse_if(not 1 <= length <= 16 << 20, "invalid", "length of a chunk")
        return chunk, length
    return {"chunks": decoder.list(8, 36, chunk)}


def decode_entry(data):
    refuse_if(len(data) > 512, "limit", "entry")
    decoder = Decoder(data)
    decoder.version()
    code = decoder.u8()
    refuse_if(not 1 <= code <= 7, "invalid", "type")
    refuse_if(decoder.u16() > 0o7777, "invalid", "mode")
    entry = {"type": TYPES[code - 1], "uid": decoder.u32(), "gid": decoder.u32(),
             "user": decoder.bytes(32), "group": decoder.bytes(32),
             "mtime": decode_time(decoder), "ctime": decode_time(decoder),
             "size": decoder.u64(), "inode": decoder.u64(), "link": decoder.option(decoder.u64),
             "device": decoder.u64(), "content": decode_content(decoder)}
    form = decoder.u8()
    refuse_if(form > 2, "invalid", "extra")
    empty = {"target": b"", "xattrs": [], "holes": []}
    if form == 2:
        entry["extra-chunk"] = decoder.raw(32)
    entry["extra"] = decode_extra(decoder) if form == 1 else empty
    decoder.finish()
    refuse_if(form == 1 and entry["extra"] == empty, "not-canonical", "empty extra")
    alien = entry["type"] != "file" and entry["content"] != {"chunks": []}
    refuse_if(alien, "not-canonical", "content of what is no file")
    alien = entry["type"] not in ("file", "symlink") and entry["size"]
    refuse_if(alien, "not-canonical", "size of what is neither file nor link")
    alien = not entry["type"].endswith("device") and entry["device"]
    refuse_if(alien, "not-canonical", "device number of what is no device")
    if form < 2:
        check_extra(entry, entry["extra"])
    else:
        known = sum(length for _, length in entry["content"].get("chunks", []))
        refuse_if(known > entry["size"], "not-canonical", "size of a file")
    return entry


def check_extra(entry, extra):
    """What an entry and its extra metadata say of one another."""
    link, file = entry["type"] == "symlink", entry["type"] == "file"
    refuse_if(link != bool(extra["target"]), "not-canonical", "target of a link")
    holes, chunks = extra["holes"], entry["content"].get("chunks")
    end = sum(holes[-1]) if holes else 0
    refuse_if(end > (entry["size"] if file else 0), "not-canonical", "holes")
    left = (entry["size"] if file else 0) - sum(length for _, length in holes)
    fits = left > 0 if chunks is None else left == sum(length for _, length in chunks)
    refuse_if(not fits, "not-canonical", "size of a file")


def decode_extra(decoder):
    target = decoder.bytes(16 << 20)
    xattrs = decoder.list(4096, 8, lambda: (decoder.bytes(255), decoder.bytes(1 << 20)))
    holes = decoder.list(1 << 19, 16, lambda: (decoder.u64(), decoder.u64()))
    refuse_if(not strictly_rising([name for name, _ in xattrs]), "not-canonical", "attributes")
    end = -1
    for offset, length in holes:
        bad = length == 0 or offset <= end or offset + length >= 1 << 64
        refuse_if(bad, "not-canonical", "holes")
        end = offset + length
    return {"target": target, "xattrs": xattrs, "holes": holes}


def decode_extra_chunk(decoder):
    decoder.version()
    return decode_extra(decoder)


def decode_descriptor(data):
    refuse_if(len(data) > 1 << 20, "limit", "descriptor")
    decoder = Decoder(data)
    decoder.version()
    descriptor = {"session": decoder.raw(16), "member": decoder.raw(16),
                  "name": decoder.text(255),
                  "paths": decoder.list(4096, 4, lambda: decoder.bytes(8 << 10)),
                  "tags": decoder.list(256, 4, lambda: decoder.text(255)),
                  "start": decoder.i64(), "end": decoder.i64(), "root": decoder.raw(32),
                  "content": decoder.u8()}
    refuse_if(descriptor["content"] not in (1, 2), "invalid", "content")
    decoder.raw(40)
    decoder.finish()
    tags = [tag.encode() for tag in descriptor["tags"]]
    order = strictly_rising(descriptor["paths"]) and strictly_rising(tags)
    refuse_if(not order, "not-canonical", "order")
    return descriptor


# 9 Records

def decode_ref(decoder):
    tag = decoder.u8()
    readers = {
        1: lambda: decoder.raw(16), 2: lambda: decoder.raw(16), 3: lambda: decoder.raw(16),
        4: decoder.u64, 5: lambda: decoder.raw(32), 6: lambda: decoder.bytes(4 << 10),
        7: lambda: (decoder.u32(), decoder.raw(1216), decoder.raw(1216)),
        8: lambda: decoder.bytes(4 << 10), 9: decoder.u32,
        10: lambda: (decoder.raw(16), decoder.bytes(256 << 10)),
        11: lambda: (decoder.u64(), decoder.raw(32)), 12: lambda: decoder.raw(16),
        13: decoder.u64, 14: lambda: decoder.raw(32),
    }
    refuse_if(tag not in readers, "invalid", "tag of a ref")
    return tag, readers[tag]()


def decode_object_ref(decoder):
    tag = decoder.u8()
    refuse_if(not 1 <= tag <= 3, "invalid", "tag of an object")
    return tag, decoder.raw(28 if tag == 3 else 32)


def decode_record_list(decoder, limit, least, item):
    """The items; or (digest, count) of the object that holds them."""
    form = decoder.u8()
    refuse_if(form > 1, "invalid", "form of a list")
    if form == 0:
        return decoder.list(limit, least, lambda: item(decoder))
    name, count = decoder.raw(32), decoder.u32()
    refuse_if(not 1 <= count <= 1 << 22, "invalid", "count of a long list")
    return name, count


def decode_record(data):
    refuse_if(len(data) > 1 << 20, "limit", "record")
    decoder = Decoder(data)
    decoder.version()
    record = {"vault": decoder.raw(32), "seq": decoder.u64(), "prev": decoder.raw(32),
              "author": decoder.raw(16), "epoch": decoder.u32(), "kind": decoder.u8()}
    refuse_if(record["kind"] not in KINDS, "invalid", "kind of record")
    record["claimed"], record["session"] = decoder.i64(), decoder.raw(16)
    record["refs"] = decode_record_list(decoder, (1 << 20) // 17, 5, decode_ref)
    record["needs"] = decode_record_list(decoder, (1 << 20) // 29, 29, decode_object_ref)
    record["drops"] = decode_record_list(decoder, (1 << 20) // 29, 29, decode_object_ref)
    check_shape(record)
    record["clear"] = data[:decoder.at]
    record["body"] = decoder.bytes(1 << 20)
    record["signed"], record["signature"] = data[:decoder.at], decoder.raw(64)
    decoder.finish()
    return record


def record_hash(data):
    if len(data) <= 1 << 20:
        return digest(data)
    return digest(data[:1 << 20] + struct.pack("<Q", len(data)))


def open_body(record, suite, key):
    plain = small_open(suite, key, 0x81, record["vault"], record["clear"], record["body"])
    decoder = Decoder(plain)
    payload = decoder.bytes(len(plain))
    refuse_if(any(plain[decoder.at:]), "not-canonical", "padding of a body")
    return payload


# 10 Kinds. A shape is written as tags of refs: exact lists of them, or (tag, least number).

KINDS = dict(enumerate(
    "genesis certify revoke rotate policy mend recover write-off release tag open packs commit "
    "abandon report forget purge suspect condemn clear swept merge lost checkpoint found hold undo"
    .split(), start=1))
SESSIONS = ("open", "packs", "commit", "abandon", "merge")
EXACT = {
    "genesis": [[8, 9, 7]], "certify": [[6]], "revoke": [[3]], "policy": [[], [9]],
    "mend": [[11]], "recover": [[12, 11, 13]], "write-off": [[1]], "release": [[1]],
    "tag": [[1]], "open": [[2], [2, 1]], "packs": [[]], "commit": [[], [1]], "abandon": [[]],
    "report": [[]], "condemn": [[4]], "clear": [[4]], "merge": [[]], "checkpoint": [[11, 14]],
}
MANY = {"forget": (1, 1), "purge": (1, 1), "hold": (1, 1), "undo": (1, 1), "suspect": (5, 1),
        "lost": (5, 1), "found": (5, 1), "swept": (5, 0)}
LONG = ("forget", "purge", "suspect", "swept", "lost", "found")
NEEDS = ("packs", "commit", "merge", "checkpoint")
DROPS = ("condemn", "merge", "checkpoint")
APPENDS = {
    "owner": set(list(KINDS.values())[10:]),
    "writer": {"open", "packs", "commit", "abandon", "report"},
    "collector": {"open", "abandon", "forget", "purge", "suspect", "condemn", "clear", "swept",
                  "merge", "lost", "checkpoint", "report"},
    "reader": {"lost", "found", "hold", "undo", "report"},
    "auditor": {"checkpoint", "report"},
    "browser": set(),
}


def check_shape(record):
    kind, refs = KINDS[record["kind"]], record["refs"]
    good = (kind in SESSIONS) == (record["session"] != bytes(16))
    good &= kind in NEEDS or record["needs"] == []
    good &= kind not in ("packs", "commit") or not isinstance(record["needs"], tuple)
    good &= kind in DROPS or record["drops"] == []
    if isinstance(refs, tuple):
        good &= kind in LONG
    else:
        tags = [tag for tag, _ in refs]
        if kind in EXACT:
            good &= tags in EXACT[kind]
        elif kind in MANY:
            tag, least = MANY[kind]
            good &= len(tags) >= least and all(other == tag for other in tags)
        else:
            good &= tags[:1] == [7] and all(tag == 10 for tag in tags[1:])
    refuse_if(not good, "not-canonical", f"shape of {kind}")
