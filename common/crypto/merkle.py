"""Merkle trees of RFC 9162 section 2.1 (the same trees as RFC 6962): the roots of a block's lists.

A leaf hashes as SHA-256(0x00 | data), a node as SHA-256(0x01 | left | right), the empty list as
SHA-256 of nothing; a list of n leaves splits at the largest power of two below n. The prefixes
keep a leaf from posing as a node; plain SHA-256 keeps the trees checkable by other RFC 9162 code.

    tree = MerkleTree([b"a", b"b", b"c"])
    verify_inclusion(tree.root, 3, 1, b"b", tree.path(1))

A root says nothing of the number of leaves: `size` comes from the same certified place as the root.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from common.crypto.digest import DIGEST_BYTES
from common.errors import CommonReason, Refused

__all__ = ["MerkleTree", "verify_consistency", "verify_inclusion"]

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"
SIZE_MAX = 2**63 - 1


class MerkleTree:
    """The tree over `leaves` (their raw data, in order), every level computed once.

    `size` is the number of leaves, `root` the 32-byte tree hash. Level 0 holds the leaf hashes; a
    last node without a sibling moves up unchanged, which yields exactly the RFC's splits: the node
    at level h, index i is the hash of the leaves [i * 2**h, min((i + 1) * 2**h, size)).
    """

    __slots__ = ("_levels", "root", "size")

    def __init__(self, leaves: Sequence[bytes]) -> None:
        level = [sha256(LEAF_PREFIX + leaf).digest() for leaf in leaves]
        self._levels = [level]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            parents = [sha256(NODE_PREFIX + left + right).digest() for left, right in pairs]
            if len(level) % 2:
                parents.append(level[-1])
            self._levels.append(parents)
            level = parents
        self.size = len(leaves)
        self.root = level[0] if level else sha256().digest()

    def path(self, index: int) -> tuple[bytes, ...]:
        """The inclusion proof of leaf `index`: the sibling hashes from the leaf up to the root.

        Raises `Refused(INVALID_ARGUMENT)` where there is no such leaf.
        """
        if not 0 <= index < self.size:
            raise Refused(CommonReason.INVALID_ARGUMENT, f"no leaf {index} in {self.size}")
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index >>= 1
        return tuple(path)

    def consistency(self, first: int) -> tuple[bytes, ...]:
        """The proof that the tree of the first `first` leaves is a prefix of this one.

        RFC 9162 section 2.1.4.1. Raises `Refused(INVALID_ARGUMENT)` unless 0 < first <= size.
        """
        if not 0 < first <= self.size:
            raise Refused(CommonReason.INVALID_ARGUMENT, f"no prefix of {first} in {self.size}")
        proof = []
        start, stop = 0, self.size
        while first != stop:
            split = start + (1 << ((stop - start - 1).bit_length() - 1))
            if first <= split:
                proof.append(self._range_hash(split, stop))
                stop = split
            else:
                proof.append(self._range_hash(start, split))
                start = split
        if start > 0:  # else the verifier knows the last subtree: it is the whole first tree
            proof.append(self._range_hash(start, stop))
        return tuple(reversed(proof))

    def _range_hash(self, start: int, stop: int) -> bytes:
        """The hash of the leaves [start, stop), which are one node of this tree."""
        height = (stop - start - 1).bit_length()
        return self._levels[height][start >> height]


def verify_inclusion(
    root: bytes, size: int, index: int, leaf_data: bytes, path: Sequence[bytes]
) -> None:
    """Check that `leaf_data` is leaf `index` of the tree of `size` leaves with hash `root`.

    RFC 9162 section 2.1.3.2, with the exact path length for (size, index). Raises
    `Refused(BAD_PROOF)` for anything else, wrong ranges and lengths included.
    """
    _require(0 < size <= SIZE_MAX and 0 <= index < size, "the index is outside the tree")
    _require_hashes(root, path)
    node, last = index, size - 1
    computed = sha256(LEAF_PREFIX + leaf_data).digest()
    for sibling in path:
        _require(last > 0, "the path is too long")
        if node & 1 or node == last:
            computed = sha256(NODE_PREFIX + sibling + computed).digest()
            while not node & 1:  # levels where the last node has no sibling take no hash
                node, last = node >> 1, last >> 1
        else:
            computed = sha256(NODE_PREFIX + computed + sibling).digest()
        node, last = node >> 1, last >> 1
    _require(last == 0, "the path is too short")
    _require(computed == root, "the path does not lead to the root")


def verify_consistency(
    first_root: bytes, first: int, second_root: bytes, second: int, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `first` leaves is a prefix of the tree of `second` leaves.

    RFC 9162 section 2.1.4.2. Raises `Refused(BAD_PROOF)`; also for `first == 0`, where there is
    nothing to prove.
    """
    _require(0 < first <= second <= SIZE_MAX, "the sizes are out of order")
    _require_hashes(first_root, proof)
    _require(len(second_root) == DIGEST_BYTES, "a root is not a hash")
    if first == second:
        _require(not proof and first_root == second_root, "one size has one root")
        return
    complete = first & (first - 1) == 0  # then the proof leaves out the first tree's own root
    hashes = [first_root, *proof] if complete else list(proof)
    _require(bool(proof), "the proof is empty")
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first_computed = second_computed = hashes[0]
    for sibling in hashes[1:]:
        _require(last > 0, "the proof is too long")
        if node & 1 or node == last:
            first_computed = sha256(NODE_PREFIX + sibling + first_computed).digest()
            second_computed = sha256(NODE_PREFIX + sibling + second_computed).digest()
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            second_computed = sha256(NODE_PREFIX + second_computed + sibling).digest()
        node, last = node >> 1, last >> 1
    _require(last == 0, "the proof is too short")
    _require(first_computed == first_root, "the proof does not lead to the first root")
    _require(second_computed == second_root, "the proof does not lead to the second root")


def _require_hashes(root: bytes, path: Sequence[bytes]) -> None:
    _require(len(root) == DIGEST_BYTES, "the root is not a hash")
    _require(all(len(item) == DIGEST_BYTES for item in path), "the path holds what is no hash")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Refused(CommonReason.BAD_PROOF, message)
