r"""The replicated state: typed tables over one flat key space.

A `Table` names a part of the state: one prefix byte, the type of its values, and how the header
commits to its rows (`Commitment`).

    CASH = Table(b"\x22", "cash_account", CashAccount, Commitment.TREE)
    state.put(CASH, CASH.key("acme", "EUR"), CashAccount(available=5, ...))

Keys are text parts joined by "/" (ids never contain it); byte-string parts have a fixed length and
stand last. A prefix of a key is therefore a prefix of its parts, and `scan` lists by it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from common.encoding import Canonical, decode_trusted, encode
from common.errors import InvariantBroken
from common.storage.ports import KEY_BYTES_MAX

__all__ = [
    "Change",
    "Commitment",
    "Reader",
    "Rows",
    "State",
    "Store",
    "Table",
    "table_of",
    "tables",
]

V = TypeVar("V", bound=Canonical)

CACHED_VALUES_MAX = 20_000
SCAN_PAGE_ROWS = 256

_registered: dict[bytes, Table[Any]] = {}
_UNKNOWN: Any = object()
"""What a look-up gives where nothing is known, not even that there is no row."""


class Commitment(enum.Enum):
    """How a header commits to the rows of a table."""

    TREE = "in the state tree: provable to a user who runs no node"
    DIGEST = "in the window digest: a tampered snapshot is refused"
    DERIVED = "follows from rows of the two other kinds, and can be made again from them"


class Table(Generic[V]):
    """A named part of the state. `prefix` is one byte below 0x80, unique in the process.

    `cached` is False for rows that are written once and seldom read again.
    """

    __slots__ = ("cached", "commitment", "kind", "name", "prefix")

    name: str

    def __init__(
        self,
        prefix: bytes,
        name: str,
        kind: type[V],
        commitment: Commitment,
        *,
        cached: bool = True,
    ) -> None:
        if len(prefix) != 1 or prefix[0] >= 0x80:
            raise InvariantBroken(f"table {name}: the prefix is one byte below 0x80")
        if prefix in _registered:
            raise InvariantBroken(f"table {name}: prefix taken by {_registered[prefix].name}")
        self.prefix = prefix
        self.name = name
        self.kind = kind
        self.commitment = commitment
        self.cached = cached
        _registered[prefix] = self

    @property
    def is_tracked(self) -> bool:
        """Whether anything asks what a block replaced: a header's digest, or a read of the past."""
        return self.cached or self.commitment is not Commitment.DERIVED

    def key(self, *parts: str | bytes) -> bytes:
        """The full state key of `parts`."""
        if not parts or isinstance(parts[-1], str):
            return self.prefix + "/".join(parts).encode()  # type: ignore[arg-type]
        encoded = [part if isinstance(part, bytes) else part.encode() for part in parts]
        return self.prefix + b"/".join(encoded)


def table_of(key: bytes) -> Table[Any]:
    """The table a full state key belongs to. Raises KeyError for a key of no table."""
    return _registered[key[:1]]


def tables() -> Mapping[bytes, Table[Any]]:
    """All tables of this process, by prefix."""
    return _registered


class Rows(Protocol):
    """Where the newest state is read from: the state store, or a past height of it."""

    def get(self, key: bytes) -> bytes | None:
        """Value bytes under a full key, or None."""
        ...

    def scan(
        self, prefix: bytes, *, after: bytes | None = None, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` rows under `prefix` in key order, after the key `after`."""
        ...


class Store(Rows, Protocol):
    """`Rows` that give many values at once: what a block is applied to."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Value bytes under full keys, in their order."""
        ...


class Change(NamedTuple):
    """One row a block changed: its value bytes before and after; None where there was, or is, none.

    `before` is None too where nothing needs it (`Table.is_tracked`).
    """

    key: bytes
    before: bytes | None
    after: bytes | None


class Reader:
    """Typed reads over `Rows`. Values are immutable, so one decoded value is shared by all."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._values: dict[bytes, Any] = {}

    def get(self, table: Table[V], key: bytes) -> V | None:
        """The value under a full key of `table`, or None."""
        value: V | None = self._values.get(key, _UNKNOWN)
        return self._fetch(table, key) if value is _UNKNOWN else value

    def _fetch(self, table: Table[V], key: bytes) -> V | None:
        """A value that is not at hand."""
        if len(key) > KEY_BYTES_MAX:  # a stranger's name: no row has it, nobody remembers it
            return None
        raw = self._raw(key)
        value = None if raw is None else decode_trusted(table.kind, raw)
        if not table.cached:
            return value
        if len(self._values) >= CACHED_VALUES_MAX:
            self._values.clear()
        self._values[key] = value
        return value

    def _raw(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def scan(
        self, table: Table[V], *parts: str | bytes, after: bytes | None = None
    ) -> Iterator[tuple[bytes, V]]:
        """Rows of `table` whose key begins with `parts`, in key order, after the key `after`."""
        prefix = table.key(*parts) if parts else table.prefix
        while True:
            page = self._rows.scan(prefix, after=after, limit=SCAN_PAGE_ROWS)
            for key, raw in page:
                yield key, decode_trusted(table.kind, raw)
            if len(page) < SCAN_PAGE_ROWS:
                return
            after = page[-1][0]


class State(Reader):
    """The newest state with the writes of the block being applied on top.

    Rules read and write here; nothing reaches the store before the block is whole. The cache of
    decoded values outlives a block; `take_changes` ends one.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._store = store
        self._changes: dict[bytes, Any] = {}
        self._read: dict[bytes, bytes | None] = {}
        self.writable = True
        """False while a rule checks: a check that writes is a broken invariant."""
        self.window_rests_until_unix_ms = 0
        """What `window.evict` knows from block to block: before this time no row is due."""

    def get(self, table: Table[V], key: bytes) -> V | None:
        value: V | None = self._changes.get(key, _UNKNOWN)
        if value is _UNKNOWN:
            value = self._values.get(key, _UNKNOWN)
        return self._fetch(table, key) if value is _UNKNOWN else value

    def put(self, table: Table[V], key: bytes, value: V) -> None:
        """Write a value under a full key of `table`."""
        if key[:1] != table.prefix or type(value) is not table.kind or not self.writable:
            raise InvariantBroken(f"table {table.name} does not take {type(value).__name__} here")
        self._changes[key] = value

    def delete(self, table: Table[V], key: bytes) -> None:
        """Remove the row under a full key of `table`, if there is one."""
        if key[:1] != table.prefix or not self.writable:
            raise InvariantBroken(f"table {table.name} does not give up this key here")
        self._changes[key] = None

    def scan(
        self, table: Table[V], *parts: str | bytes, after: bytes | None = None
    ) -> Iterator[tuple[bytes, V]]:
        """As `Reader.scan`, with this block's writes on top. Buffers the prefix: keep it narrow."""
        prefix = table.key(*parts) if parts else table.prefix
        merged = dict(super().scan(table, *parts, after=after))
        for key, value in self._changes.items():
            if not key.startswith(prefix) or (after is not None and key <= after):
                continue
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = value
        yield from sorted(merged.items())

    def committed_rows(self, table: Table[V], limit: int) -> list[tuple[bytes, V]]:
        """The first rows of `table` as they were before this block."""
        page = self._rows.scan(table.prefix, limit=limit)
        return [(key, decode_trusted(table.kind, raw)) for key, raw in page]

    def prefetch(self, keys: Sequence[bytes]) -> None:
        """Read rows this block is about to ask for, all at once: many times faster than singly."""
        if keys:
            self._read.update(zip(keys, self._store.get_many(keys), strict=True))

    def _raw(self, key: bytes) -> bytes | None:
        return self._read[key] if key in self._read else self._store.get(key)

    def take_changes(self) -> list[Change]:
        """This block's writes in key order, and an empty overlay for the next block."""
        changes, self._changes = self._changes, {}
        befores = self._befores(changes)
        self._read = {}
        if len(self._values) + len(changes) > CACHED_VALUES_MAX:
            self._values.clear()
        for key, value in changes.items():
            if table_of(key).cached:
                self._values[key] = value
        return [
            Change(key, befores.get(key), None if value is None else encode(value))
            for key, value in sorted(changes.items())
        ]

    def _befores(self, keys: Iterable[bytes]) -> dict[bytes, bytes | None]:
        """The value bytes before this block. A known value is encoded again: that is its row."""
        found: dict[bytes, bytes | None] = {}
        unknown: list[bytes] = []
        for key in keys:
            if key in self._read:
                found[key] = self._read[key]
            elif key in self._values:
                value = self._values[key]
                found[key] = None if value is None else encode(value)
            elif table_of(key).is_tracked:
                unknown.append(key)
        if unknown:
            found.update(zip(unknown, self._store.get_many(unknown), strict=True))
        return found
