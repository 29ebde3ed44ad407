"""Proofs of the state, `common.crypto.stateproof`: forged, cut, longer and moved ones fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.crypto import stateproof
from common.crypto.digest import Tag, tagged
from common.crypto.stateproof import (
    BUCKET_ENTRIES_MAX,
    EMPTY_ROOT,
    PROOF_BYTES_MAX,
    SIBLINGS_MAX,
    StateProof,
    decode_proof,
    key_hash,
    value_hash,
    verify_state,
)
from common.crypto.statetree import StateTree, StateUpdate
from common.encoding import encode
from common.errors import CommonReason, Refused


class Rows(dict[bytes, bytes]):
    """The stored rows, in memory."""

    def load(self, reference: bytes) -> bytes:
        return self[reference]

    def write(self, update: StateUpdate) -> None:
        for reference, content in update.rows:
            if content is None:
                del self[reference]
            else:
                self[reference] = content


def key(number: int) -> bytes:
    return b"account/%d" % number


FORGED_KEY = key(42)
Forgery = Callable[[StateProof, StateProof], tuple[bytes, tuple[bytes, ...]]]


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def exchanged(data: bytes) -> bytes:
    """The first two entries of a bucket, exchanged."""
    return data[64:128] + data[:64] + data[128:]


def without(data: bytes) -> bytes:
    """A bucket without the entry of the proven key, or without its first."""
    place = max(data.find(key_hash(FORGED_KEY)), 0)
    return data[:place] + data[place + 64 :]


def with_entry(data: bytes, hashed: bytes, value: bytes) -> bytes:
    """A bucket with one entry set, in its right place."""
    entries = {data[at : at + 32]: data[at + 32 : at + 64] for at in range(0, len(data), 64)}
    entries[hashed] = value_hash(value)
    return b"".join(name + entries[name] for name in sorted(entries))


FORGERIES: dict[str, Forgery] = {
    "bucket: one bit of the first key hash": lambda p, _: (flip(p.bucket, 31), p.siblings),
    "bucket: one bit of the first value hash": lambda p, _: (flip(p.bucket, 32), p.siblings),
    "bucket: one bit of the last value hash": lambda p, _: (
        flip(p.bucket, len(p.bucket) - 1),
        p.siblings,
    ),
    "bucket: last byte cut": lambda p, _: (p.bucket[:-1], p.siblings),
    "bucket: last half entry cut": lambda p, _: (p.bucket[:-32], p.siblings),
    "bucket: last entry cut": lambda p, _: (p.bucket[:-64], p.siblings),
    "bucket: first entry cut": lambda p, _: (p.bucket[64:], p.siblings),
    "bucket: the key's entry left out": lambda p, _: (without(p.bucket), p.siblings),
    "bucket: one byte more": lambda p, _: (p.bucket + b"\0", p.siblings),
    "bucket: an entry more": lambda p, _: (p.bucket + b"\xff" * 64, p.siblings),
    "bucket: last entry twice": lambda p, _: (p.bucket + p.bucket[-64:], p.siblings),
    "bucket: 17 entries": lambda p, _: (
        b"".join(bytes([n]) * 64 for n in range(17)),
        p.siblings,
    ),
    "bucket: two entries exchanged": lambda p, _: (exchanged(p.bucket), p.siblings),
    "bucket: key and value hash exchanged": lambda p, _: (
        p.bucket[32:64] + p.bucket[:32] + p.bucket[64:],
        p.siblings,
    ),
    "bucket: empty": lambda p, _: (b"", p.siblings),
    "bucket: of another key": lambda p, q: (q.bucket, p.siblings),
    "bucket: the key inserted": lambda p, _: (
        with_entry(p.bucket, key_hash(FORGED_KEY), b"forged"),
        p.siblings,
    ),
    "bucket: a branch posing as an entry": lambda p, _: (
        stateproof.bucket_hash(p.bucket) + p.siblings[-1],
        p.siblings[:-1],
    ),
    "siblings: none": lambda p, _: (p.bucket, ()),
    "siblings: first cut": lambda p, _: (p.bucket, p.siblings[1:]),
    "siblings: last cut": lambda p, _: (p.bucket, p.siblings[:-1]),
    "siblings: one more above": lambda p, _: (p.bucket, (EMPTY_ROOT, *p.siblings)),
    "siblings: one more below": lambda p, _: (p.bucket, (*p.siblings, EMPTY_ROOT)),
    "siblings: first twice": lambda p, _: (p.bucket, (p.siblings[0], *p.siblings)),
    "siblings: last twice": lambda p, _: (p.bucket, (*p.siblings, p.siblings[-1])),
    "siblings: reversed": lambda p, _: (p.bucket, tuple(reversed(p.siblings))),
    "siblings: two exchanged": lambda p, _: (
        p.bucket,
        (p.siblings[1], p.siblings[0], *p.siblings[2:]),
    ),
    "siblings: first altered": lambda p, _: (
        p.bucket,
        (flip(p.siblings[0], 0), *p.siblings[1:]),
    ),
    "siblings: last altered": lambda p, _: (
        p.bucket,
        (*p.siblings[:-1], flip(p.siblings[-1], 31)),
    ),
    "siblings: one too short": lambda p, _: (p.bucket, (p.siblings[0][:31], *p.siblings[1:])),
    "siblings: one too long": lambda p, _: (
        p.bucket,
        (p.siblings[0] + b"\0", *p.siblings[1:]),
    ),
    "siblings: bytes moved across": lambda p, _: (
        p.bucket,
        (p.siblings[0] + p.siblings[1][:1], p.siblings[1][1:], *p.siblings[2:]),
    ),
    "siblings: two joined": lambda p, _: (
        p.bucket,
        (p.siblings[0] + p.siblings[1], *p.siblings[2:]),
    ),
    "siblings: one empty": lambda p, _: (p.bucket, (b"", *p.siblings[1:])),
    "siblings: more than are allowed": lambda p, _: (
        p.bucket,
        p.siblings + (EMPTY_ROOT,) * SIBLINGS_MAX,
    ),
    "siblings: more than a key has bits": lambda p, _: (
        p.bucket,
        p.siblings + (EMPTY_ROOT,) * 256,
    ),
    "siblings: of another key": lambda p, q: (p.bucket, q.siblings),
    "proof: of another key": lambda _, q: (q.bucket, q.siblings),
}


def test_there_are_enough_forgeries() -> None:
    """The kinds of forged proof that are tried do not silently become fewer."""
    assert len(FORGERIES) >= 38


@pytest.fixture(scope="module")
def forged_tree() -> StateTree:
    """Version 1 with the key, version 2 without it and with others changed."""
    store = Rows()
    tree = StateTree(store, 0)
    store.write(tree.update(1, [(key(n), b"%d" % n) for n in range(500)]))
    changes: dict[bytes, bytes | None] = {FORGED_KEY: None} | {
        key(n): b"new" for n in range(100, 300)
    }
    store.write(tree.update(2, changes.items()))
    return tree


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize(("version", "value"), [(1, b"42"), (2, None)])
def test_a_forged_proof_is_refused(
    forged_tree: StateTree, version: int, value: bytes | None, kind: str
) -> None:
    """No change to a good proof proves the key's value, another value, or its absence."""
    root = forged_tree.root_at(version)
    good = forged_tree.prove(version, FORGED_KEY)
    verify_state(root, FORGED_KEY, value, good)
    far = next(
        proof
        for proof in (forged_tree.prove(version, key(n)) for n in range(1000, 2000))
        if proof.bucket != good.bucket and len(proof.siblings) == len(good.siblings)
    )
    bucket, siblings = FORGERIES[kind](good, far)
    forged = StateProof(bucket, siblings)
    assert forged != good
    for claimed in (value, None, b"42", b"forged"):
        refused(root, FORGED_KEY, claimed, forged)


def dishonest_proofs() -> dict[str, tuple[bytes, StateProof]]:
    """Proofs that lead to their root, where the root is that of no state: (root, proof)."""
    hashed, zeros = key_hash(FORGED_KEY), bytes(32)
    entry, other = hashed + value_hash(b"42"), zeros + value_hash(b"other")
    full = b"".join(bytes([n]) * 64 for n in range(16))
    contents = {
        "descending": entry + other,
        "one key with two values": hashed + value_hash(b"41") + entry,
        "one entry twice": entry + entry,
        "17 entries": b"".join(sorted([full[at : at + 64] for at in range(0, 1024, 64)] + [entry])),
        "half an entry more": entry + b"\xff" * 32,
    }
    proofs = {
        name: (stateproof.bucket_hash(content), StateProof(content, ()))
        for name, content in contents.items()
    }
    right = hashed[0] >> 7
    elsewhere = bytes([hashed[0] ^ 0x80]) + hashed[1:] + value_hash(b"other")
    misplaced = b"".join(sorted([entry, elsewhere]))
    for name, content, sibling in (
        ("an entry of the other half", misplaced, EMPTY_ROOT),
        ("a short sibling", entry, EMPTY_ROOT[:31]),
        ("a long sibling", entry, EMPTY_ROOT + b"\0"),
        ("an empty sibling", entry, b""),
    ):
        bucket = stateproof.bucket_hash(content)
        root = stateproof.branch_hash(sibling + bucket if right else bucket + sibling)
        proofs[name] = (root, StateProof(content, (sibling,)))
    return proofs


@pytest.mark.parametrize("name", dishonest_proofs())
def test_a_root_of_no_state_proves_nothing(name: str) -> None:
    """Even a root made for it does not let through a bucket or a branch that no tree has."""
    root, proof = dishonest_proofs()[name]
    for claimed in (b"42", b"41", None):
        refused(root, FORGED_KEY, claimed, proof)


def test_a_good_proof_proves_nothing_else(forged_tree: StateTree) -> None:
    """Another root, key, value or version under the same proof is refused."""
    root, proof = forged_tree.root_at(1), forged_tree.prove(1, FORGED_KEY)
    refused(root, FORGED_KEY, b"43", proof)
    refused(root, FORGED_KEY, b"", proof)
    refused(root, FORGED_KEY, None, proof)
    refused(root, key(43), b"42", proof)
    refused(root, key(43), b"43", proof)
    refused(root, FORGED_KEY + b"\0", None, proof)
    refused(forged_tree.root_at(2), FORGED_KEY, b"42", proof)
    refused(root, FORGED_KEY, None, forged_tree.prove(2, FORGED_KEY))
    for wrong in (EMPTY_ROOT, bytes(32), root[:31], root + b"\0", b"", flip(root, 0)):
        refused(wrong, FORGED_KEY, b"42", proof)


def test_the_empty_state_proves_absence_only() -> None:
    """In a state without entries every key is absent, by an empty proof."""
    tree = StateTree(Rows(), 0)
    proof = tree.prove(0, b"a")
    assert proof == StateProof(b"", ())
    verify_state(EMPTY_ROOT, b"a", None, proof)
    refused(EMPTY_ROOT, b"a", b"", proof)
    refused(EMPTY_ROOT, b"a", None, StateProof(b"", (EMPTY_ROOT,)))


@given(st.binary(max_size=300), st.integers(0, 40))
def test_rubbish_is_not_a_proof(forged_tree: StateTree, rubbish: bytes, cut: int) -> None:
    """Only the canonical encoding of a proof decodes."""
    data = encode(forged_tree.prove(1, FORGED_KEY))
    for damaged in (rubbish, data[: len(data) - 1 - cut], data + rubbish + b"\0"):
        with pytest.raises(Refused) as caught:
            proof = decode_proof(damaged)
            verify_state(forged_tree.root, FORGED_KEY, None, proof)
        assert caught.value.reason in {CommonReason.MALFORMED, CommonReason.BAD_PROOF}


def test_the_largest_proof_fits_its_limit() -> None:
    """A full bucket under the most siblings is within 8 KiB; one byte over the limit is refused."""
    largest = StateProof(bytes(64 * BUCKET_ENTRIES_MAX), (bytes(32),) * SIBLINGS_MAX)
    assert decode_proof(encode(largest)) == largest
    with pytest.raises(Refused) as caught:
        decode_proof(bytes(PROOF_BYTES_MAX + 1))
    assert caught.value.reason is CommonReason.TOO_LARGE


@given(st.binary())
def test_the_hashes_are_the_tagged_ones(data: bytes) -> None:
    """The quick forms of the four hashes are `tagged` in their domains."""
    assert key_hash(data) == tagged(Tag.STATE_KEY, data)
    assert value_hash(data) == tagged(Tag.STATE_LEAF, data)
    assert stateproof.bucket_hash(data) == tagged(Tag.STATE_BUCKET, data)
    assert stateproof.branch_hash(data) == tagged(Tag.STATE_BRANCH, data)


def refused(root: bytes, name: bytes, value: bytes | None, proof: StateProof) -> None:
    with pytest.raises(Refused) as caught:
        verify_state(root, name, value, proof)
    assert caught.value.reason is CommonReason.BAD_PROOF
