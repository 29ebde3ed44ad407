"""Proofs of the authenticated state: what a light client checks, and the hashes it is made of.

The state is a set of (key, value) entries in a binary trie. The bits of a key's hash, highest
first, lead from the root down; a subtree of at most `BUCKET_ENTRIES_MAX` entries is one *bucket*,
a larger one is a *branch* of two subtrees. So the shape, and the root, are a function of the set
alone: never of the order in which entries came and went.

    key hash   = SHA-256 tagged STATE_KEY over the key        value hash = tagged STATE_LEAF
    bucket     = tagged STATE_BUCKET over (key hash | value hash)*, ascending by key hash
    branch     = tagged STATE_BRANCH over (left | right)       nothing at all = an empty bucket

A proof of a key is the bucket its hash leads to, and the siblings on the way. If the key is in the
bucket the proof shows its value hash; if not, there is no such key: the bucket is the only place
where it could be. Inclusion and absence are one form, checked by one function.

    proof = tree.prove(height, b"account/7")               # common.crypto.statetree
    verify_state(root, b"account/7", value, proof)         # value None: there is no such key
"""

from __future__ import annotations

import hashlib

from common.crypto.digest import DIGEST_BYTES, Tag
from common.encoding import Canonical, decode
from common.errors import CommonReason, Refused

__all__ = [
    "BUCKET_ENTRIES_MAX",
    "EMPTY_ROOT",
    "PROOF_BYTES_MAX",
    "StateProof",
    "branch_hash",
    "bucket_hash",
    "decode_proof",
    "key_hash",
    "value_hash",
    "verify_state",
]

BUCKET_ENTRIES_MAX = 16
ENTRY_BYTES = 2 * DIGEST_BYTES
DEPTH_MAX = 8 * DIGEST_BYTES
PROOF_BYTES_MAX = 8 * 1024
SIBLINGS_MAX = 210
"""As many as fit in `PROOF_BYTES_MAX` beside a full bucket; 10**9 keys need about 30."""


def _domain(tag: Tag) -> hashlib._Hash:
    """The state after the tag's prefix block: a copy, updated with data, yields `tagged`'s digest.

    At half the cost of a call, which counts here: an update hashes ten times for each changed key.
    """
    return hashlib.sha256(2 * hashlib.sha256(tag.value).digest())


KEY_DOMAIN = _domain(Tag.STATE_KEY)
LEAF_DOMAIN = _domain(Tag.STATE_LEAF)
BUCKET_DOMAIN = _domain(Tag.STATE_BUCKET)
BRANCH_DOMAIN = _domain(Tag.STATE_BRANCH)


class StateProof(Canonical, frozen=True):
    """The place of one key in the state: its bucket, and the sibling hashes from the root down."""

    bucket: bytes
    siblings: tuple[bytes, ...]


def key_hash(key: bytes) -> bytes:
    """The 32 bytes whose bits lead to `key`, highest bit of the first byte first."""
    state = KEY_DOMAIN.copy()
    state.update(key)
    return state.digest()


def value_hash(value: bytes) -> bytes:
    """The 32 bytes that stand for `value` beside its key's hash."""
    state = LEAF_DOMAIN.copy()
    state.update(value)
    return state.digest()


def bucket_hash(content: bytes) -> bytes:
    """The hash of a bucket. The same wherever in the tree the bucket hangs."""
    state = BUCKET_DOMAIN.copy()
    state.update(content)
    return state.digest()


def branch_hash(pair: bytes | bytearray) -> bytes:
    """The hash of a branch from the 64 bytes of its children's hashes, left then right."""
    state = BRANCH_DOMAIN.copy()
    state.update(pair)
    return state.digest()


EMPTY_ROOT = bucket_hash(b"")
"""The root of a state without entries, and the hash of every empty subtree."""


def decode_proof(data: bytes) -> StateProof:
    """The proof in its canonical encoding. Raises `Refused` TOO_LARGE or MALFORMED."""
    if len(data) > PROOF_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, f"a state proof is at most {PROOF_BYTES_MAX} bytes")
    return decode(StateProof, data)


def verify_state(root: bytes, key: bytes, value: bytes | None, proof: StateProof) -> None:
    """Check that under the state root `root` the key has this value, or, for None, is absent.

    Raises `Refused(BAD_PROOF)` where the proof shows anything else or is not exactly what an
    honest tree gives out: the bucket holds at most 16 distinct entries in ascending order, every
    one of which belongs at this place, and every sibling is a hash.
    """
    hashed = key_hash(key)
    path = int.from_bytes(hashed, "big")
    depth = len(proof.siblings)
    _require(depth <= SIBLINGS_MAX, "the proof has too many siblings")
    _require(all(len(item) == DIGEST_BYTES for item in proof.siblings), "a sibling is not a hash")
    entries = _entries(proof.bucket, path >> (DEPTH_MAX - depth), depth)
    expected = None if value is None else value_hash(value)
    _require(entries.get(hashed) == expected, "the proof shows another value")
    computed = bucket_hash(proof.bucket)
    for level in range(depth - 1, -1, -1):
        sibling = proof.siblings[level]
        right = path >> (DEPTH_MAX - 1 - level) & 1
        pair = sibling + computed if right else computed + sibling
        computed = branch_hash(pair)
    _require(computed == root, "the proof does not lead to the root")


def _entries(content: bytes, prefix: int, depth: int) -> dict[bytes, bytes]:
    """The entries of a bucket at the place (prefix, depth): value hash by key hash."""
    _require(len(content) % ENTRY_BYTES == 0, "the bucket has a broken entry")
    _require(len(content) <= BUCKET_ENTRIES_MAX * ENTRY_BYTES, "the bucket is too large")
    entries: dict[bytes, bytes] = {}
    previous = b""
    for start in range(0, len(content), ENTRY_BYTES):
        hashed = content[start : start + DIGEST_BYTES]
        _require(previous < hashed, "the bucket is not in ascending order")
        misplaced = int.from_bytes(hashed, "big") >> (DEPTH_MAX - depth) != prefix
        _require(not misplaced, "an entry is in the wrong bucket")
        entries[hashed] = content[start + DIGEST_BYTES : start + ENTRY_BYTES]
        previous = hashed
    return entries


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Refused(CommonReason.BAD_PROOF, message)
