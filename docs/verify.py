#!/usr/bin/env python3
"""Check an AuditTrail log without AuditTrail: Python 3.8, standard library only.

    python3 verify.py [--vkey KEY] [--checkpoint FILE]... DIR

It reads every line of DIR/log, checks its hash, its number, and that it
continues the line before, computes the Merkle tree (RFC 6962) over all hashes,
and compares its root with the one in DIR/tree/checkpoint, and with those in
the files given with --checkpoint, which you kept from earlier. With --vkey it
checks the checkpoints' Ed25519 signatures too: without, whoever altered the
log may have written the checkpoint as well.

Exit status: 0 intact, 2 altered (the first bad record is named), 1 not checked.
"""

import argparse
import base64
import hashlib
import pathlib
import re
import sys

# What stands at a line's end. The hash covers all bytes in front of ,"hash":.
END = re.compile(
    rb',"seq":(0|[1-9][0-9]{0,15}),"logged":"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z)"'
    rb',"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}\Z'
)
# What the formats that this program knows have in front of the body.
KNOWN = re.compile(
    rb'\{"v":[12],"id":"[0-9a-f-]{36}","time":"[^"]{30}","type":"[a-z0-9._-]+"'
)
OWN = re.compile(  # version 2: what the log itself states, in this order
    rb'(,"parts":\[(?="[a-z]+"(?:,"[a-z]+")*\])("prompt")?(,?"response")?(,?"system")?(,?"input")?(,?"output")?(,?"arguments")?'
    rb'(,?"result")?(,?"error")?\])?,"source":"(app|telemetry|gateway|mcp|import|log)"(,"actor":"[0-9a-f]{32}")?'
    rb'(,"domain":"[a-z0-9_-]{1,32}")?(,"withheld":"erased")?(,"call":"[0-9a-f]{32}")?'
    rb'(,"session":"[0-9a-f]{32}")?,"size":[0-9]+,"class":"[^"]+","subject":"[0-9a-f]{32}","key":"[0-9a-f]{64}"\Z'
)
NOT_COVERED = len(',"hash":""}') + 64
LONGEST_END = 256


class Bad(Exception):
    """The log is not what it was."""


class Impossible(Exception):
    """It cannot be checked."""


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


class Checkpoint:
    """c2sp.org/tlog-checkpoint: origin, size and root, an empty line, signatures."""

    def __init__(self, path):
        self.path = path
        try:
            note = path.read_bytes().decode()
            text, self.signatures = note[: note.rindex("\n\n") + 1], note[note.rindex("\n\n") + 2 :]
            self.origin, size, root, end = text.split("\n")
            self.text, self.size, self.root = text.encode(), int(size), base64.b64decode(root, validate=True)
            if end or len(self.root) != 32 or str(self.size) != size:
                raise ValueError("it does not have three lines")
        except OSError as err:
            raise Impossible(f"read {path}: {err.strerror}") from err
        except ValueError as err:
            raise Bad(f"{path} is no checkpoint: {err}") from err

    def verify(self, vkey):
        """Check the signature of the key NAME+HASH+BASE64 (c2sp.org/signed-note)."""
        try:
            name, key_hash, key = vkey.split("+", 2)
            key_hash, key = bytes.fromhex(key_hash), base64.b64decode(key, validate=True)
        except ValueError as err:
            raise Impossible(f"not a verifier key: {err}") from err
        if key_hash != hashlib.sha256(name.encode() + b"\n" + key).digest()[:4] or key[:1] != b"\x01" or len(key) != 33:
            raise Impossible("not the verifier key of an Ed25519 key")
        if name != self.origin:
            raise Bad(f"{self.path} is of the log {self.origin!r}, the key of {name!r}")
        for line in self.signatures.splitlines():
            dash, by, signature = (line.split(" ") + ["", ""])[:3]
            try:
                raw = base64.b64decode(signature, validate=True)
            except ValueError:
                raw = b""
            if dash == "\u2014" and by == name and raw[:4] == key_hash:
                if not ed25519(key[1:], self.text, raw[4:]):
                    raise Bad(f"{self.path}: its signature is wrong")
                return
        raise Impossible(f"{self.path} was not signed by this key, but maybe by one that replaced it: see tree/signers")


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


def segments(folder):
    """The files of the log, in order. Each is named by its first record; an empty one holds nothing."""
    if not folder.is_dir():
        raise Impossible(f"there is no log in {folder}")
    return sorted(p for p in folder.iterdir() if re.fullmatch(r"[0-9]{20}\.jsonl", p.name) and p.stat().st_size)


def understood(line):
    """Whether a line has the form of a version that this program knows."""
    head = line[: max(0, line.find(b',"body":"'))]
    if not KNOWN.match(head):
        return False
    return bool(OWN.search(head)) == line.startswith(b'{"v":2')


def check(folder, checkpoints):
    """Check all lines. Returns the tree, what is torn at the end, if anything, and the number of records not understood."""
    foreign = 0
    tree, signed = Tree(), max(c.size for c in checkpoints)
    prev, logged, torn = b"0" * 64, b"", None
    compare(tree, checkpoints)
    for path in segments(folder / "log"):
        if torn:
            raise Bad(torn)
        if int(path.stem) != tree.size:
            raise Bad(f"record {tree.size}: the next file is {path.name}")
        with path.open("rb") as file:
            at = 0
            for line in file:
                where = f"record {tree.size}: {path.name} at byte {at}"
                at += len(line)
                if torn:
                    raise Bad(torn)
                end = END.search(line[:-1], max(0, len(line) - LONGEST_END)) if line.endswith(b"\n") else None
                covered = hashlib.sha256(line[: -NOT_COVERED - 1])
                if not end or end[4].decode() != covered.hexdigest():
                    # Behind what was signed, an interrupted write may have left this.
                    torn = f"{where}: what stands there is not what its hash says"
                    if tree.size < signed:
                        raise Bad(torn)
                    continue
                if int(end[1]) != tree.size:
                    raise Bad(f"{where}: the line is of record {int(end[1])}")
                if end[3] != prev:
                    raise Bad(f"{where}: it does not continue the record before")
                if end[2] < logged:
                    raise Bad(f"{where}: it was logged before the record before")
                prev, logged = end[4], end[2]
                foreign += not understood(line)
                tree.append(covered.digest())
                compare(tree, checkpoints)
    if tree.size < signed:
        raise Bad(f"record {tree.size}: the log ends here, {signed} records were signed")
    return tree, torn, foreign


def compare(tree, checkpoints):
    for c in checkpoints:
        if c.size == tree.size and c.root != tree.root():
            raise Bad(f"the first {c.size} records are not those that {c.path} covers: the log was rewritten")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("dir", type=pathlib.Path, metavar="DIR")
    args.add_argument("--vkey", help="the log's verifier key, from somewhere that you trust")
    args.add_argument("--checkpoint", type=pathlib.Path, action="append", default=[], metavar="FILE")
    o = args.parse_args()
    try:
        checkpoints = [Checkpoint(path) for path in [o.dir / "tree" / "checkpoint"] + o.checkpoint]
        if o.vkey:
            for c in checkpoints:
                c.verify(o.vkey)
        tree, torn, foreign = check(o.dir, checkpoints)
    except Bad as err:
        print(f"ALTERED: {err}")
        return 2
    except (Impossible, OSError) as err:
        print(f"not checked: {err}", file=sys.stderr)
        return 1
    newest = checkpoints[0]
    print(f"intact: {tree.size} records of {newest.origin}, of which {newest.size} are signed")
    print(f"root:   {base64.b64encode(newest.root).decode()}")
    if not o.vkey:
        print("The signature was not checked: give the log's verifier key with --vkey.")
    if foreign:
        print(f"Of these, {foreign} have a format that this program does not know: their hashes are right, their fields were not looked at.")
    if torn:
        print(f"The last write is incomplete, and was not signed yet: {torn}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
