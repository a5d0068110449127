#!/usr/bin/env python3
"""Check an AuditTrail log without AuditTrail: Python 3.8, standard library only.

    python3 verify.py [--vkey KEY] [--checkpoint FILE]... DIR

It reads every line of DIR/log, checks its hash, its number, and that it
continues the line before, computes the Merkle tree (RFC 6962) over all hashes,
and compares its root with the one in DIR/tree/checkpoint, and with those in
the files given with --checkpoint, which you kept from earlier. With --vkey it
checks the checkpoints' Ed25519 signatures too: without it, an attacker who
altered the log may have written the checkpoint as well. If the log's signing
key was rotated, any of its keys will do: DIR/tree/signers leads from each to
the next.

For an archived or dropped segment it takes the hashes from the tombstone
(.remnant), which a signed record of the log must name. It reads an archive if
the command zstd is installed.

Exit status, as of "audittrail verify --key KEY" without the log's keyring:
  0  intact
  1  not checked
  2  altered: the first bad record is named
  3  not altered, but the check is incomplete, or the end of the log is not
     authenticated: a line says why

Its results are those of that command, except that
  - without --vkey it checks everything but the signatures, and ends with 3 at
    best, where the command refuses;
  - it stops at the first alteration, and does not say what was done there. If an
    attacker adapted all later hashes, it names the checkpoint that does not
    agree, and not the record;
  - it does not check derived files (tree/entries, tree/0 and so on): if these are
    damaged, which is not an alteration, the command reports it, with 3;
  - it does not read an archive without the command zstd (3), and checks only the
    hash of an archive's manifest, not its signature.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import re
import struct
import subprocess
import sys

# The end of a line. The hash covers all bytes before ,"hash":.
END = re.compile(
    rb',"seq":(0|[1-9][0-9]{0,15}),"logged":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z)"'
    rb',"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}\Z'
)
NOT_COVERED = len(',"hash":""}') + 64
LONGEST_END = 256
KNOWN = b'{"v":1,', b'{"v":2,'  # how lines begin whose formats this script knows
LARGEST = 1 << 20  # bytes of a checkpoint


class Altered(Exception):
    """The log was altered."""


class NotChecked(Exception):
    """The log cannot be checked."""


class Damaged(Exception):
    """A file does not have the form that it should have."""


def read(path):
    """The bytes of a file, which must not be a link or a pipe."""
    try:
        if path.is_symlink() or path.exists() and not path.is_file():
            raise NotChecked(f"read {path}: it is not a regular file")
        return path.read_bytes()
    except OSError as err:
        raise NotChecked(f"read {path}: {err.strerror}") from err


class Tree:
    """The roots of the complete subtrees that cover all leaves so far."""

    def __init__(self):
        self.size = 0
        self.subtrees = []  # (level, hash), the largest first

    def append(self, entry):
        level, node = 0, hashlib.sha256(b"\x00" + entry).digest()
        while self.subtrees and self.subtrees[-1][0] == level:
            node = hashlib.sha256(b"\x01" + self.subtrees.pop()[1] + node).digest()
            level += 1
        self.subtrees.append((level, node))
        self.size += 1

    def root(self):
        if not self.subtrees:
            return hashlib.sha256(b"").digest()
        node = self.subtrees[-1][1]
        for _, left in reversed(self.subtrees[:-1]):
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node


# Signed notes (c2sp.org/signed-note): a text, an empty line, and signatures.


def note(signed):
    """The text of a note, and its signatures as (name, key hash, signature)."""
    try:
        text, empty, rest = signed.decode().rpartition("\n\n")
        lines = rest.split("\n")
        if not empty or len(lines) < 2 or lines.pop() != "" or re.search("[\0-\x09\x0b-\x1f]", text + rest):
            raise ValueError("it is not a text with signatures below")
        signatures = []
        for line in lines:
            dash, name, b64 = line.split(" ")
            raw = unbase64(b64)
            if dash != "\u2014" or len(raw) < 5:
                raise ValueError("a signature is malformed")
            signatures.append((name, raw[:4], raw[4:]))
    except ValueError as err:
        raise Damaged(err) from err
    return text + "\n", signatures


def unbase64(text):
    """Decode base64, and refuse other spellings than the canonical one."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not in its canonical spelling")
    return raw


class Key:
    """A verifier key, NAME+HASH+BASE64."""

    def __init__(self, text):
        try:
            self.text = text
            self.name, key_hash, b64 = text.split("+", 2)
            self.hash, raw = bytes.fromhex(key_hash), unbase64(b64)
        except ValueError as err:
            raise Damaged(f"not a verifier key: {err}") from err
        if self.hash != hashlib.sha256(self.name.encode() + b"\n" + raw).digest()[:4] or raw[0] != 1 or len(raw) != 33:
            raise Damaged("not the verifier key of an Ed25519 key")
        self.public = raw[1:]

    def signed(self, text, signatures):
        """Whether this key signed a text. A wrong signature under its name is Damaged."""
        for name, key_hash, signature in signatures:
            if (name, key_hash) == (self.name, self.hash):
                if not ed25519(self.public, text.encode(), signature):
                    raise Damaged("its signature is wrong")
                return True
        return False


class Checkpoint:
    """c2sp.org/tlog-checkpoint: origin, size and root."""

    def __init__(self, path, signed):
        self.path = path
        if len(signed) > LARGEST:
            raise Damaged("it is too long")
        self.text, self.signatures = note(signed)
        try:
            self.origin, size, root, end = self.text.split("\n")
            self.size, self.root = int(size), unbase64(root)
        except ValueError as err:
            raise Damaged(f"it does not have the three lines of one: {err}") from err
        if end or len(self.root) != 32 or str(self.size) != size or not 0 <= self.size < 2**53:
            raise Damaged("it does not have the three lines of one")
        if self.size == 0 and self.root != Tree().root():
            raise Damaged("its root is not that of no records")


def signers(path):
    """The notes by which one key took over from another (docs/format/signer-rotation.md)."""
    data, notes = read(path) if path.exists() else b"", []
    while data:
        length, _, data = data.partition(b"\n")
        if not re.fullmatch(rb"[1-9][0-9]{0,3}", length) or len(data) < int(length):
            raise Damaged("it is not a list of notes")
        notes.append(data[: int(length)])
        data = data[int(length) :]
    return notes


def rotations(notes):
    """The statements of the notes, as (size, old key, new key)."""
    changes = []
    for signed in notes:
        text, signatures = note(signed)
        lines = text.split("\n")
        if len(lines) != 7 or lines[0] != "audittrail.signer-rotation/v1" or not re.fullmatch("0|[1-9][0-9]{0,15}", lines[2]):
            raise Damaged("a note in it is not a rotation")
        old, new = Key(lines[4]), Key(lines[5])
        if not old.signed(text, signatures) or not new.signed(text, signatures) or not old.name == new.name == lines[1]:
            raise Damaged("a note in it is not signed by both keys")
        if changes and (old.text != changes[-1][2].text or int(lines[2]) < changes[-1][0]):
            raise Damaged("its notes do not continue each other")
        changes.append((int(lines[2]), old, new))
    return changes


def eras(vkey, changes):
    """The keys that count if one of them is trusted, as (from size, to size, key)."""
    keys = [changes[0][1]] + [new for _, _, new in changes] if changes else []
    if vkey.text not in [k.text for k in keys]:
        return [(0, 2**64, vkey)]  # the notes do not lead to it: it stands for itself
    sizes = [0] + [size for size, _, _ in changes] + [2**64]
    return list(zip(sizes, sizes[1:], keys))


def vouched(checkpoint, keys):
    """Whether a key signed the checkpoint that counts for its size."""
    by = [era for era in keys if era[2].name == checkpoint.origin and era[2].signed(checkpoint.text, checkpoint.signatures)]
    if by and not any(since <= checkpoint.size <= until for since, until, _ in by):
        raise Damaged("it was signed by a key that did not count any more, or not yet")
    return bool(by)


# Ed25519, RFC 8032, section 5.1. Slow, and only fit to verify.
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def decode(b):
    """A point, in extended coordinates."""
    y = int.from_bytes(b, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT % P
    if y >= P or (x * x - x2) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = add(q, p)
        p, n = add(p, p), n >> 1
    return q


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519(key, message, signature):
    a, r, s = decode(key), decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= Q:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % Q
    left, right = times(s, BASE), add(r, times(k, a))
    return not ((left[0] * right[2] - right[0] * left[2]) % P or (left[1] * right[2] - right[1] * left[2]) % P)


# The log.


class Remnant:
    """The tombstone of an archived or dropped segment (docs/format/archive.md)."""

    def __init__(self, path):
        data = read(path)
        self.sum = hashlib.sha256(data).hexdigest()
        version = {b"audittrail-remnant/v%d" % v: v for v in (1, 2, 3)}.get(data[:24].rstrip(b"\0"))
        head = 80 if version == 1 else 96
        if not version or len(data) < head + 32:
            raise Damaged("it is not a remnant")
        self.first, n, kept, length, _, since, until = struct.unpack(">7Q", data[24:80])
        rows, names = struct.unpack(">2Q", data[80:96]) if version > 1 else (0, 0)
        lines = head + 48 * n + 8 * kept
        if len(data) != lines + length + names + (56 if version == 2 else 72) * rows + 32 or hashlib.sha256(data[:-32]).digest() != data[-32:]:
            raise Damaged("it is not what its own hash says")
        self.hashes = [data[head + 32 * i : head + 32 * i + 32] for i in range(n)]
        self.since, self.until = since, until
        self.lines = data[lines : lines + length].splitlines()
        for line in self.lines:  # those by which the log governs itself stay
            end = END.search(line)
            at = int(end[1]) - self.first if end else -1
            if not 0 <= at < n or hashlib.sha256(line[:-NOT_COVERED]).digest() != self.hashes[at]:
                raise Damaged("a line that it keeps was altered")


def nanoseconds(logged):
    """A time of a line as nanoseconds since 1970, as in tombstones."""
    y, m, d, hour, minute, second, ns = map(int, re.split("[-T:.]", logged.decode()[:-1]))
    y, m = (y, m) if m > 2 else (y - 1, m + 12)
    days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * m - 457) // 5 + d - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 * 10**9 + second * 10**9 + ns


class Log:
    """A log, read from its first line on."""

    def __init__(self, folder, checkpoints):
        self.tree, self.checkpoints = Tree(), checkpoints
        self.signed = max(c.size for c in checkpoints)
        self.prev, self.logged = b"0" * 64, 0
        self.torn = None  # where a write was not completed
        self.over = None  # from where on nobody vouches for anything
        self.beside = []  # remnants of records whose lines are here
        self.left = []  # remnants
        self.statements = {}  # what records say of segments that have left
        self.newer = 0  # records of a format that is not known
        self.compare()
        for path in self.segments(folder / "log"):
            self.remnant(path) if path.suffix == ".remnant" else self.segment(path)
        if self.tree.size < self.signed:
            raise Altered(f"record {self.tree.size}: the log ends here, {self.signed} records were signed")
        for r in self.left:
            if self.statements.get((r.first, len(r.hashes), r.sum)) is None:
                raise Altered(f"record {r.first}: its segment is not there, and no record says that it left")

    @staticmethod
    def segments(folder):
        """The files of the log, in order. Each is named by its first record; empty files are left out."""
        paths = folder.iterdir() if folder.is_dir() else []
        all = [p.name for p in paths if re.fullmatch(r"[0-9]{20}\.(jsonl|remnant)", p.name) and (p.is_symlink() or not p.is_file() or p.stat().st_size)]
        # As long as the lines are there, a tombstone is ignored.
        return [folder / n for n in sorted(all) if n.endswith("l") or n[:20] + ".jsonl" not in all]

    def compare(self):
        """Compare the tree with the checkpoints of its size."""
        for c in self.checkpoints:
            if c.size == self.tree.size and c.root != self.tree.root():
                raise Altered(f"the first {c.size} records are not those that {c.path} covers: the log was rewritten")

    def append(self, entry, prev, logged):
        self.tree.append(entry)
        self.prev, self.logged = prev, logged
        self.compare()

    def stop(self, why):
        """Report a difference. After the signed records it is not an alteration: nothing authenticates those lines."""
        if self.tree.size < self.signed:
            raise Altered(why)
        self.over = self.over or why

    def remnant(self, path):
        where = f"record {self.tree.size}: {path.name}"
        if int(path.stem) < self.tree.size:
            self.beside.append(f"record {int(path.stem)}: {path.name} is of records whose lines are here: nothing is taken from it")
            return
        if int(path.stem) >= self.signed:
            self.stop(f"record {int(path.stem)}: {path.name} calls itself what stays of a segment, behind all that was signed")
            return
        try:
            r = Remnant(path)
        except Damaged as err:
            raise Altered(f"{where}: {err}") from err
        if r.first != self.tree.size or r.since < self.logged or r.first + len(r.hashes) > self.signed:
            raise Altered(f"{where}: it is not of the records that belong here")
        for entry in r.hashes:
            self.append(entry, entry.hex().encode(), r.until)
        for line in r.lines:
            self.state(line)
        self.left.append(r)

    def segment(self, path):
        if not path.is_file() or path.is_symlink():
            raise NotChecked(f"read {path}: it is not a regular file")
        if self.torn is None and int(path.stem) != self.tree.size:
            self.stop(f"record {self.tree.size}: the next file is {path.name}")
        with path.open("rb") as file:
            at = 0
            for line in file:
                self.line(line, f"record {self.tree.size}: {path.name} at byte {at}")
                at += len(line)

    def line(self, line, where):
        if self.over:
            return
        end = END.search(line[:-1], max(0, len(line) - LONGEST_END)) if line.endswith(b"\n") else None
        covered = hashlib.sha256(line[: -NOT_COVERED - 1])
        if not end or end[4].decode() != covered.hexdigest():
            if self.torn is None:
                self.torn = f"{where}: what stands there is not what its hash says"
            if self.tree.size < self.signed:
                raise Altered(self.torn)
            return  # behind what was signed, an interrupted write may have left this
        seq, logged = int(end[1]), nanoseconds(end[2])
        if self.torn:
            # A disk does not write in order. The nanoseconds of a record give its
            # position in the batch that was written at once: if the incomplete
            # record was in that batch too, it was never acknowledged.
            place = int(end[2][-4:-1])
            if place == 999 or seq <= self.tree.size or seq - place > self.tree.size:
                self.torn = self.stop(self.torn)
            return
        wrong = None
        if seq != self.tree.size:
            wrong = f"{where}: the line is of record {seq}"
        elif end[3] != self.prev:
            wrong = f"{where}: it does not continue the record before"
        elif logged < self.logged:
            wrong = f"{where}: it was logged before the record before"
        if wrong:
            self.stop(wrong)
            return
        self.newer += not line.startswith(KNOWN)
        if seq < self.signed:
            self.state(line)
        self.append(covered.digest(), end[4], logged)

    def state(self, line):
        """Note a signed record about archived or dropped segments."""
        if not re.match(rb'\{"v":[12],"id":"[^"]*","time":"[^"]*","type":"segments_(archived|dropped)"', line):
            return
        labels = json.loads(line).get("labels", {})
        try:
            self.statements[int(labels["first"]), int(labels["records"]), labels["remnant"]] = labels
            labels["dropped"] = b'"type":"segments_dropped"' in line
        except (KeyError, ValueError):
            pass  # it says nothing of one

    def archive(self, r):
        """Check the archive of a segment. Returns why it could not be checked."""
        labels = self.statements[r.first, len(r.hashes), r.sum]
        if labels["dropped"]:
            return None
        what = f"records {r.first} to {r.first + len(r.hashes) - 1} are in an archive"
        if "to" not in labels:
            return what + ", and only the keyring tells where"
        packed = pathlib.Path(labels["to"]) / f"{r.first:020}.jsonl.zst"
        kept = packed.with_suffix("").with_suffix(".archive")
        for path in kept, packed:
            if path.is_symlink() or path.exists() and not path.is_file():
                return f"{what} that cannot be read: {path} is not a regular file"
        try:
            manifest = kept.read_bytes()
            if hashlib.sha256(manifest).hexdigest() != labels.get("manifest"):
                raise Altered(f"record {r.first}: the manifest of {packed} is not the one that was signed")
            unpacked = subprocess.run(["zstd", "-dcq", "--", str(packed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as err:
            return f"{what} that cannot be read: {err.filename}: {err.strerror}"
        lines = unpacked.stdout.splitlines(keepends=True)
        hashes = [hashlib.sha256(line[: -NOT_COVERED - 1]).digest() for line in lines]
        if unpacked.returncode or hashes != r.hashes or not all(END.search(line[:-1]) for line in lines):
            raise Altered(f"record {r.first}: the archive {packed} does not hold the records that left")
        return None


def seen(what):
    """Escape control characters and invisible characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in str(what))


def evidence(o, limits):
    """The checkpoints with which the log is compared."""
    keys, checkpoints = None, []
    if o.vkey:
        try:
            vkey = Key(o.vkey)
        except Damaged as err:
            raise NotChecked(err) from err
        try:
            notes = signers(o.dir / "tree" / "signers")
        except Damaged as err:
            limits.append(f"tree/signers is damaged: {err}")
            notes = []
        try:
            keys = eras(vkey, rotations(notes))
        except Damaged as err:
            raise Altered(f"record 0: tree/signers: {err}") from err
    unsigned = None  # the published one, if its signature is wrong
    for path in [o.dir / "tree" / "checkpoint"] + o.checkpoint:
        own = path not in o.checkpoint
        if own and not path.exists():
            limits.append("there is no tree/checkpoint")
            continue
        try:
            c = Checkpoint(path, read(path))
        except Damaged as err:
            if not own:
                raise NotChecked(f"{path} is no checkpoint: {err}") from err
            limits.append(f"tree/checkpoint is damaged: {err}")
            continue
        try:
            if keys and not vouched(c, keys):
                raise NotChecked(f"{path} was not signed by this key, nor by one that tree/signers leads to")
        except Damaged as err:
            if not own:
                raise NotChecked(f"{path}: {err}") from err
            unsigned = (c, f"{path}: {err}")
            continue
        if c.origin != (checkpoints or [c])[0].origin:
            raise NotChecked(f"{path} is of the log {c.origin!r}, not {checkpoints[0].origin!r}")
        checkpoints.append(c)
    if unsigned:
        # This checkpoint proves nothing. A kept one may cover the same records.
        if not any(c.size >= unsigned[0].size for c in checkpoints):
            raise Altered(f"record {unsigned[0].size}: {unsigned[1]}")
        limits.append(f"tree/checkpoint is damaged: {unsigned[1]}")
    if not checkpoints:
        raise NotChecked("there is no checkpoint to check the log against: " + "; ".join(limits))
    return checkpoints


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("dir", type=pathlib.Path, metavar="DIR")
    args.add_argument("--vkey", help="a verifier key of the log, from somewhere that you trust")
    args.add_argument("--checkpoint", type=pathlib.Path, action="append", default=[], metavar="FILE")
    o = args.parse_args()
    limits = []  # what the answer lacks
    try:
        if not (o.dir / "tree").is_dir():
            raise NotChecked(f"there is no log in {o.dir}")
        checkpoints = evidence(o, limits)
        log = Log(o.dir, checkpoints)
        limits += filter(None, map(log.archive, log.left))
    except Altered as err:
        print(f"ALTERED: {seen(err)}")
        return 2
    except (NotChecked, OSError) as err:
        print(f"not checked: {seen(err)}", file=sys.stderr)
        return 1
    if not o.vkey:
        limits.append("the signature was not checked: give a verifier key of the log with --vkey")
    if log.torn:
        limits.append(f"the last write is incomplete, and was not signed yet: {log.torn}")
    if log.over:
        limits.append(f"nobody vouches for what lies behind the checkpoint: {log.over}")
    limits += log.beside
    if log.tree.size > log.signed:
        limits.append(f"{log.tree.size - log.signed} records behind the checkpoint are chained, but nothing vouches for them")
    if log.newer:
        limits.append(f"{log.newer} records are of a newer format: their hashes were checked")
    newest = max(checkpoints, key=lambda c: c.size)
    print(f"intact{', but' if limits else ''}: {log.tree.size} records of {seen(newest.origin)}, of which {newest.size} are signed")
    print(f"root:   {base64.b64encode(newest.root).decode()}")
    for r in log.left:
        print(f"left:   records {r.first} to {r.first + len(r.hashes) - 1}, as the log says")
    for limit in limits:
        print(f"but:    {seen(limit)}")
    return 3 if limits else 0


if __name__ == "__main__":
    sys.exit(main())
