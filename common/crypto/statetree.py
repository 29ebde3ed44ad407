"""The authenticated state of a ledger: one root over every (key, value), provable at old versions.

`StateTree` keeps the trie that `common.crypto.stateproof` defines. In memory it holds 33 bytes a
node and no entry; the buckets (64 bytes an entry: key hash and value hash) are rows of the store,
read through the `BucketReader` port. One version is one block's changes.

    tree, rows = StateTree.build(reader, 0, [(b"a", b"1")])     # write the rows
    update = tree.update(1, [(b"a", None), (b"b", b"2")])       # write update.rows with the block
    proof = tree.prove(0, b"a")                                 # version 0 is still readable
    tree = StateTree.restore(reader, 1, store.rows())           # after a restart

Rules:

- The root is a function of the set of entries. So are the rows: a row's reference names its place
  in the tree, an update overwrites in place, and two nodes at one version store the same rows.
- The rows of an update belong in the one atomic write that stores the version. `reader` must show
  the rows of every earlier update, written to disk or not.
- The newest version and the `versions_max - 1` before it are provable. Older ones are read through
  what later versions replaced, so they cost no rows; a restart keeps only the newest.
- Work: about 20 microseconds a changed key at a million keys; a proof is 18 hashes and a bucket.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.crypto.digest import DIGEST_BYTES, ZERO
from common.crypto.statenodes import (
    ABSENT,
    BRANCH,
    ROOT,
    Node,
    NodeTable,
    Reversal,
    depth_of,
    first_key,
)
from common.crypto.stateproof import (
    BUCKET_ENTRIES_MAX,
    DEPTH_MAX,
    EMPTY_ROOT,
    ENTRY_BYTES,
    SIBLINGS_MAX,
    StateProof,
    bucket_hash,
    key_hash,
    value_hash,
)
from common.errors import CommonReason, InvariantBroken, Refused

__all__ = ["VERSIONS_KEPT", "BucketReader", "StateTree", "StateUpdate"]

VERSIONS_KEPT = 65
"""The newest version and the 64 before it."""

Change = tuple[bytes, bytes]
"""(key hash, value hash), or (key hash, b"") for a removal."""


class BucketReader(Protocol):
    """The port to the stored buckets."""

    def load(self, reference: bytes) -> bytes:
        """The row under `reference`, which exists. Raises `StorageFailed` where it does not."""


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """One version: its root, and what to do to the stored rows (None deletes), by reference."""

    root: bytes
    rows: tuple[tuple[bytes, bytes | None], ...]


class StateTree:
    """The state tree of one ledger: newest version in `version`, `root` and `size` (of entries)."""

    __slots__ = ("_nodes", "_reader", "_reversals", "_versions_max", "size", "version")

    def __init__(
        self, reader: BucketReader, version: int, versions_max: int = VERSIONS_KEPT
    ) -> None:
        """An empty tree at `version`."""
        assert versions_max > 0, "the newest version is always kept"
        self.version = version
        self.size = 0
        self._reader = reader
        self._versions_max = versions_max
        self._nodes = NodeTable()
        self._nodes.put(ROOT, 0, EMPTY_ROOT)
        self._reversals: deque[tuple[int, Reversal]] = deque()  # (version, what it replaced)

    @classmethod
    def build(
        cls,
        reader: BucketReader,
        version: int,
        entries: Iterable[tuple[bytes, bytes]],
        versions_max: int = VERSIONS_KEPT,
    ) -> tuple[StateTree, list[tuple[bytes, bytes]]]:
        """The tree of these (key, value) entries with distinct keys, and its rows, in one go."""
        leaves = sorted(key_hash(key) + value_hash(value) for key, value in entries)
        rows = [(_reference(number), content) for number, content in _buckets(ROOT, leaves)]
        rows = [(reference, content) for reference, content in rows if content]
        return cls.restore(reader, version, rows, versions_max), rows

    @classmethod
    def restore(
        cls,
        reader: BucketReader,
        version: int,
        rows: Iterable[tuple[bytes, bytes]],
        versions_max: int = VERSIONS_KEPT,
    ) -> StateTree:
        """The tree whose newest version has these rows, in any order.

        Raises `InvariantBroken` where the rows are not the buckets of one tree. What the entries
        say is not judged here: compare `root` with the header's.
        """
        tree = cls(reader, version, versions_max)
        buckets = [(_number(reference), content) for reference, content in rows]
        tree.size = sum(len(content) for _, content in buckets) // ENTRY_BYTES
        tree._nodes.fit(tree.size)
        tree._restore(buckets)
        return tree

    @property
    def root(self) -> bytes:
        """The root of the newest version: 32 bytes."""
        return bytes(self._nodes.node(ROOT)[1])

    @property
    def oldest_version(self) -> int:
        """The lowest version that can be read."""
        return self._reversals[0][0] - 1 if self._reversals else self.version

    def root_at(self, version: int) -> bytes:
        """The root at a kept version. Raises `Refused(HEIGHT_NOT_KEPT)`."""
        self._check_kept(version)
        return bytes(self._node_at(version, ROOT)[1])

    def update(self, version: int, changes: Iterable[tuple[bytes, bytes | None]]) -> StateUpdate:
        """Make the next version: set each key to its value, or remove it where that is None.

        `version` is `self.version + 1`. The keys are distinct; removing a key that is not there
        changes nothing. Raises `InvariantBroken` where these do not hold.
        """
        hashed = [
            (key_hash(key), b"" if value is None else value_hash(value)) for key, value in changes
        ]
        return self._update(version, hashed)

    def prove(self, version: int, key: bytes) -> StateProof:
        """The proof of the key's value, or of its absence, at a kept version.

        For `common.crypto.stateproof.verify_state`. Raises `Refused(HEIGHT_NOT_KEPT)`.
        """
        self._check_kept(version)
        path = int.from_bytes(key_hash(key), "big")
        siblings = []
        number, depth = ROOT, 0
        while self._node_at(version, number)[0] == BRANCH:
            depth += 1
            number = 2 * number | path >> (DEPTH_MAX - depth) & 1
            siblings.append(bytes(self._node_at(version, number ^ 1)[1]))
        assert depth <= SIBLINGS_MAX, "SHA-256 is broken: 17 keys share 210 bits"
        return StateProof(self._content_at(version, number), tuple(siblings))

    def _update(self, version: int, changes: list[Change]) -> StateUpdate:
        if version != self.version + 1:
            raise InvariantBroken(f"version {version} does not follow {self.version}")
        changes.sort()
        paths = [int.from_bytes(hashed, "big") for hashed, _ in changes]
        work = _Work(self._nodes, self._reader)
        start = 0
        while start < len(changes):
            number = self._nodes.bucket_of(paths[start])
            below = DEPTH_MAX - depth_of(number)
            prefix = paths[start] >> below
            stop = start + 1
            while stop < len(changes) and paths[stop] >> below == prefix:
                stop += 1
            work.change_bucket(number, changes[start:stop])
            start = stop
        work.rehash()
        self._nodes.fit(self.size + work.growth)
        self.size += work.growth
        self.version = version
        self._reversals.append((version, Reversal(work.replaced_nodes, work.replaced_entries)))
        if len(self._reversals) >= self._versions_max:
            self._reversals.popleft()
        return StateUpdate(self.root, work.rows())

    def _restore(self, buckets: list[tuple[int, bytes]]) -> None:
        nodes = self._nodes
        levels: list[list[int]] = [[] for _ in range(DEPTH_MAX + 1)]
        for number, content in buckets:
            count, rest = divmod(len(content), ENTRY_BYTES)
            if rest or not 0 < count <= BUCKET_ENTRIES_MAX or nodes.kind(number) not in {ABSENT, 0}:
                raise InvariantBroken(f"bucket {number:x} is stored twice or has a bad size")
            nodes.put(number, count, bucket_hash(content))
            levels[depth_of(number)].append(number)
        for depth in range(DEPTH_MAX, 0, -1):
            branches = sorted({number >> 1 for number in levels[depth]})
            for number in branches:
                for child in (2 * number, 2 * number + 1):
                    if nodes.kind(child) == ABSENT:
                        nodes.put(child, 0, EMPTY_ROOT)
                if nodes.kind(number) not in {ABSENT, 0}:
                    raise InvariantBroken(f"there is a bucket below bucket {number:x}")
            if nodes.put_branches(branches, {}):
                raise InvariantBroken("two buckets are stored that would be one")
            levels[depth - 1].extend(branches)

    def _check_kept(self, version: int) -> None:
        if not self.oldest_version <= version <= self.version:
            message = f"state is kept for {self.oldest_version} to {self.version}"
            raise Refused(CommonReason.HEIGHT_NOT_KEPT, message, version=version)

    def _node_at(self, version: int, number: int) -> Node:
        """The node as it was at a kept version: what the first later change replaced, if any."""
        for place in range(version - self.oldest_version, len(self._reversals)):
            node = self._reversals[place][1].node(number)
            if node is not None:
                return node
        return self._nodes.node(number)

    def _content_at(self, version: int, number: int) -> bytes:
        """The entries of a bucket as it was at a kept version."""
        entries = dict(self._newest_below(number))
        for place in range(len(self._reversals) - 1, version - self.oldest_version - 1, -1):
            entries.update(self._reversals[place][1].entries_below(number))
        content = b"".join(
            hashed + entries[hashed] for hashed in sorted(entries) if entries[hashed] != ZERO
        )
        if bucket_hash(content) != self._node_at(version, number)[1]:
            raise InvariantBroken(f"bucket {number:x} at version {version} is not what was hashed")
        return content

    def _newest_below(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        """The entries of the newest version that belong below any number, a node's or not."""
        kind = self._nodes.kind(number)
        if kind == BRANCH:
            yield from self._newest_below(2 * number)
            yield from self._newest_below(2 * number + 1)
            return
        bucket = number
        while self._nodes.kind(bucket) == ABSENT:
            bucket >>= 1
        if not self._nodes.kind(bucket):
            return
        depth = depth_of(number)
        for entry in _split(self._reader.load(_reference(bucket))):
            hashed = entry[:DIGEST_BYTES]
            if 1 << depth | int.from_bytes(hashed, "big") >> (DEPTH_MAX - depth) == number:
                yield hashed, entry[DIGEST_BYTES:]


class _Work:
    """One update under way: nodes are changed at once, rows and replaced things are collected."""

    def __init__(self, nodes: NodeTable, reader: BucketReader) -> None:
        self.growth = 0
        self.replaced_nodes: dict[int, Node] = {}
        self.replaced_entries: dict[bytes, bytes] = {}
        self._nodes = nodes
        self._reader = reader
        self._contents: dict[int, bytes] = {}  # of every bucket written; b"" where it is gone
        self._changed: list[list[int]] = [[]]  # numbers, by depth

    def rows(self) -> tuple[tuple[bytes, bytes | None], ...]:
        """The rows to write, and with None to delete, in ascending order of reference."""
        contents = self._contents
        return tuple(
            (_reference(number), contents[number] or None)
            for number in sorted(contents)
            if contents[number] or self._was_stored(number)
        )

    def change_bucket(self, number: int, changes: Sequence[Change]) -> None:
        """Apply changes, in ascending order, that all belong to one bucket."""
        content = self._content(number)
        if len(changes) == 1 and self._replace_value(number, content, *changes[0]):
            return
        before = _split(content)
        entries = list(before)
        for hashed, value in changes:
            place = bisect_left(entries, hashed)
            found = place < len(entries) and entries[place].startswith(hashed)
            if hashed in self.replaced_entries:
                raise InvariantBroken("a key is changed twice in one update")
            self.replaced_entries[hashed] = entries[place][DIGEST_BYTES:] if found else b""
            entries[place : place + found] = [hashed + value] if value else []
        if entries == before:
            return
        self.growth += len(entries) - len(before)
        if len(entries) > BUCKET_ENTRIES_MAX:
            self._contents[number] = b""
        for bucket, content in _buckets(number, entries):
            self._put_bucket(bucket, content)

    def _replace_value(self, number: int, content: bytes, hashed: bytes, value: bytes) -> bool:
        """The common case, cut short: one key of the bucket, which is there, has a new value."""
        place = content.find(hashed)
        if place < 0 or place % ENTRY_BYTES or not value:
            return False
        start, stop = place + DIGEST_BYTES, place + ENTRY_BYTES
        self.replaced_entries[hashed] = content[start:stop]
        self._put_bucket(number, content[:start] + value + content[stop:])
        return True

    def rehash(self) -> None:
        """Hash every branch above a change, deepest first; merge what has become small."""
        nodes, changed = self._nodes, self._changed
        for depth in range(len(changed) - 1, 0, -1):
            parents = sorted({number >> 1 for number in changed[depth]})
            for number in nodes.put_branches(parents, self.replaced_nodes):
                self._merge(number)
            changed[depth - 1].extend(parents)

    def _merge(self, number: int) -> None:
        """Make one bucket of a branch whose two buckets have become small enough."""
        children = (2 * number, 2 * number + 1)
        content = b"".join([self._content(child) for child in children])
        for child in children:
            self._contents[child] = b""
            self._put(child, ABSENT, ZERO)
        self._contents[number] = content
        self._put(number, len(content) // ENTRY_BYTES, bucket_hash(content))

    def _put_bucket(self, number: int, content: bytes) -> None:
        self._contents[number] = content
        self._put(number, len(content) // ENTRY_BYTES, bucket_hash(content))
        depth = depth_of(number)
        while len(self._changed) <= depth:
            self._changed.append([])
        self._changed[depth].append(number)

    def _put(self, number: int, kind: int, hashed: bytes) -> None:
        if number not in self.replaced_nodes:
            self.replaced_nodes[number] = self._nodes.node(number)
        self._nodes.put(number, kind, hashed)

    def _content(self, number: int) -> bytes:
        """The bucket's entries as this update has left them so far."""
        if number in self._contents:
            return self._contents[number]
        kind = self._nodes.kind(number)
        content = self._reader.load(_reference(number)) if kind else b""
        if len(content) != kind * ENTRY_BYTES:
            raise InvariantBroken(f"bucket {number:x} has {len(content)} bytes for {kind} entries")
        return content

    def _was_stored(self, number: int) -> bool:
        """Whether there was a row before: whether the number was a bucket with entries."""
        return 0 < self.replaced_nodes[number][0] <= BUCKET_ENTRIES_MAX


def _buckets(number: int, leaves: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """The buckets, empty ones included, of the subtree `number` with these ascending entries.

    The one definition of the tree's shape.
    """
    if len(leaves) <= BUCKET_ENTRIES_MAX:
        yield number, b"".join(leaves)
        return
    left, right = 2 * number, 2 * number + 1
    if depth_of(right) > DEPTH_MAX:
        raise InvariantBroken("a key is in the tree twice")
    middle = bisect_left(leaves, first_key(right))
    yield from _buckets(left, leaves[:middle])
    yield from _buckets(right, leaves[middle:])


def _split(content: bytes) -> list[bytes]:
    """The entries of a bucket, 64 bytes each."""
    return [content[at : at + ENTRY_BYTES] for at in range(0, len(content), ENTRY_BYTES)]


def _reference(number: int) -> bytes:
    """The row key of a bucket: its number, big-endian, in as few bytes as hold it."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _number(reference: bytes) -> int:
    """The inverse of `_reference`. Raises `InvariantBroken` for other bytes."""
    number = int.from_bytes(reference, "big")
    if not ROOT <= number < 2 << DEPTH_MAX or _reference(number) != reference:
        raise InvariantBroken(f"{reference.hex()} is no reference of a bucket")
    return number
