"""The nodes of a state tree in memory: 33 bytes each, the newest version and what changed before.

A node has a number: the root is 1, the children of n are 2n and 2n + 1. The nodes of the newest
version lie in two flat arrays (32 bytes of hash, one byte of kind), down to the depth where most
buckets are; the few deeper ones in a dictionary. For each older version that is kept there is one
`Reversal`: the nodes and entries its successor replaced, packed. A million keys take about 9 MB,
and a version with 1,000 changed keys 0.4 MB; one Python object a node would take ten times that.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from common.crypto.digest import DIGEST_BYTES, ZERO
from common.crypto.stateproof import (
    BUCKET_ENTRIES_MAX,
    DEPTH_MAX,
    ENTRY_BYTES,
    branch_hash,
)

__all__ = ["ABSENT", "BRANCH", "ROOT", "Node", "NodeTable", "Reversal", "depth_of", "first_key"]

ROOT = 1
ABSENT = 255
"""Kind of a number that is no node: it lies inside a bucket."""
BRANCH = 254
"""Kind of an inner node. Any smaller kind is a bucket's count of entries."""

Node = tuple[int, bytes | bytearray]
"""(kind, hash)."""
NO_NODE: Node = (ABSENT, ZERO)

DENSE_DEPTH_MIN = 4
DENSE_ENTRIES_PER_BUCKET = 8
PACKED_NUMBER_MAX = 2**64 - 1


def depth_of(number: int) -> int:
    """How many branches lie above the node."""
    return number.bit_length() - 1


def first_key(number: int) -> bytes:
    """The lowest key hash that belongs below the node."""
    depth = depth_of(number)
    return ((number ^ (1 << depth)) << (DEPTH_MAX - depth)).to_bytes(DIGEST_BYTES, "big")


class NodeTable:
    """Kind and hash of every node of the newest version, by number."""

    __slots__ = ("_deep", "_dense_depth", "_dense_stop", "_hashes", "_kinds")

    def __init__(self) -> None:
        """A table of no nodes. Numbers below `_dense_stop` lie in the flat arrays."""
        self._dense_depth = DENSE_DEPTH_MIN
        self._dense_stop = 2 << DENSE_DEPTH_MIN
        self._kinds = bytearray([ABSENT]) * self._dense_stop
        self._hashes = bytearray(DIGEST_BYTES * self._dense_stop)
        self._deep: dict[int, Node] = {}

    def kind(self, number: int) -> int:
        """ABSENT, BRANCH, or the count of entries in the bucket."""
        if number < self._dense_stop:
            return self._kinds[number]
        return self._deep.get(number, NO_NODE)[0]

    def node(self, number: int) -> Node:
        """Kind and hash of the node."""
        if number < self._dense_stop:
            start = DIGEST_BYTES * number
            return self._kinds[number], self._hashes[start : start + DIGEST_BYTES]
        return self._deep.get(number, NO_NODE)

    def put(self, number: int, kind: int, hashed: bytes | bytearray) -> None:
        """Make the number this node; with ABSENT, no node."""
        if number < self._dense_stop:
            start = DIGEST_BYTES * number
            self._kinds[number] = kind
            self._hashes[start : start + DIGEST_BYTES] = hashed
        elif kind == ABSENT:
            self._deep.pop(number, None)
        else:
            self._deep[number] = (kind, hashed)

    def put_branches(self, numbers: Sequence[int], replaced: dict[int, Node]) -> list[int]:
        """Make each of these numbers of one depth a branch; add what was there to `replaced`.

        Returns the numbers left as they are, because their children are two buckets that fit into
        one. The hot loop of an update: it reads and writes the flat arrays in place.
        """
        if numbers and 2 * numbers[0] >= self._dense_stop:
            return self._put_deep_branches(numbers, replaced)
        kinds, hashes = self._kinds, self._hashes
        small = []
        for number in numbers:
            left = 2 * number
            if kinds[left] + kinds[left + 1] <= BUCKET_ENTRIES_MAX:
                small.append(number)
                continue
            start = DIGEST_BYTES * number
            stop = start + DIGEST_BYTES
            replaced[number] = kinds[number], hashes[start:stop]
            kinds[number] = BRANCH
            hashes[start:stop] = branch_hash(hashes[2 * start : 2 * stop])
        return small

    def _put_deep_branches(self, numbers: Sequence[int], replaced: dict[int, Node]) -> list[int]:
        small = []
        for number in numbers:
            left_kind, left_hash = self.node(2 * number)
            right_kind, right_hash = self.node(2 * number + 1)
            if left_kind + right_kind <= BUCKET_ENTRIES_MAX:
                small.append(number)
                continue
            replaced[number] = self.node(number)
            self.put(number, BRANCH, branch_hash(left_hash + right_hash))
        return small

    def fit(self, entries: int) -> None:
        """Make the flat arrays deep enough for so many entries. They never shrink."""
        while entries > DENSE_ENTRIES_PER_BUCKET << self._dense_depth:
            self._kinds.extend(bytes([ABSENT]) * self._dense_stop)
            self._hashes.extend(bytes(DIGEST_BYTES * self._dense_stop))
            self._dense_depth += 1
            self._dense_stop *= 2
            reached = sorted(number for number in self._deep if number < self._dense_stop)
            for number in reached:
                self.put(number, *self._deep.pop(number))

    def bucket_of(self, path: int) -> int:
        """The number of the bucket where the key hash `path` (as an integer) belongs."""
        number = 1 << self._dense_depth | path >> (DEPTH_MAX - self._dense_depth)
        while self._kinds[number] == ABSENT:
            number >>= 1
        depth = depth_of(number)
        while self.kind(number) == BRANCH:
            depth += 1
            number = 2 * number | path >> (DEPTH_MAX - depth) & 1
        return number


class Reversal:
    """What one version replaced: enough to read the version before it. Immutable and packed."""

    __slots__ = ("_entries", "_hashes", "_kinds", "_numbers", "_wide")

    def __init__(self, nodes: Mapping[int, Node], entries: Mapping[bytes, bytes]) -> None:
        """`nodes` by number as they were; `entries` by key hash: the value hash, or `b""`."""
        numbers = sorted(nodes)
        self._wide: dict[int, Node] = {}
        while numbers and numbers[-1] > PACKED_NUMBER_MAX:
            number = numbers.pop()
            self._wide[number] = nodes[number]
        self._numbers = array("Q", numbers)
        self._kinds = bytes([nodes[number][0] for number in numbers])
        self._hashes = b"".join([nodes[number][1] for number in numbers])
        self._entries = b"".join([key + (entries[key] or ZERO) for key in sorted(entries)])

    def node(self, number: int) -> Node | None:
        """The node as it was before, where this version replaced it."""
        if number > PACKED_NUMBER_MAX:
            return self._wide.get(number)
        place = bisect_left(self._numbers, number)
        if place == len(self._numbers) or self._numbers[place] != number:
            return None
        start = place * DIGEST_BYTES
        return self._kinds[place], self._hashes[start : start + DIGEST_BYTES]

    def entries_below(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        """The replaced entries that belong below the node: (key hash, value hash or `ZERO`)."""
        count = len(self._entries) // ENTRY_BYTES
        place = bisect_left(range(count), first_key(number), key=self._key)
        depth = depth_of(number)
        while place < count:
            key = self._key(place)
            if int.from_bytes(key, "big") >> (DEPTH_MAX - depth) != number ^ (1 << depth):
                return
            start = place * ENTRY_BYTES + DIGEST_BYTES
            yield key, self._entries[start : start + DIGEST_BYTES]
            place += 1

    def _key(self, place: int) -> bytes:
        return self._entries[place * ENTRY_BYTES : place * ENTRY_BYTES + DIGEST_BYTES]
