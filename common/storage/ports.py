"""What a node needs of a disk. The LMDB stores and the in-memory twins both satisfy these ports.

`LogStore` keeps the promises of a node: (term, vote), the log, and the headers it signed.
`StateStore` keeps what follows from the log. Both refuse every call after a failure
(`StorageFailed`).

Indexes and heights start at 1; an empty log has `first_index == 1` and `last_index == 0`. Bounds
called `low` are inclusive, `high` are exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from common.encoding import Canonical
from common.raft.messages import Entry, HardState
from common.raft.storage import LogReader

__all__ = [
    "KEY_BYTES_MAX",
    "LATER_ROWS_MAX",
    "RESERVED_PREFIX",
    "SCAN_ROWS_MAX",
    "LogImage",
    "LogStore",
    "LogWrite",
    "Row",
    "SigningRecord",
    "StateStore",
]

KEY_BYTES_MAX = 511
"""The longest key of a state row. LMDB's own limit."""

LATER_ROWS_MAX = 256
"""So many rows are put off at most. A state that writes more at once gains nothing by waiting."""

RESERVED_PREFIX = b"\xff"
"""No key of a state row begins with this byte: the store keeps its own rows there."""

SCAN_ROWS_MAX = 4096
"""The most rows one `scan` returns, so that no read transaction is held for long."""

Row = tuple[bytes, bytes | None]
"""A key and its new value; None deletes the row."""


class SigningRecord(Canonical, frozen=True):
    """One header this node has signed, or is about to: written, and synced, before the signature
    leaves.

    `history` and `height` name the block, `header_hash` is 32 bytes, `term` that of the committed
    entry.
    """

    history: int
    height: int
    header_hash: bytes
    term: int


class LogWrite(msgspec.Struct, frozen=True, kw_only=True):
    """What one step of a node must have on the disk before it may go on. Each part may be absent.

    `entries` are contiguous; everything stored at or above `entries[0].index` is replaced by them.
    """

    hard_state: HardState | None = None
    entries: tuple[Entry, ...] = ()
    signing: SigningRecord | None = None


class LogImage(msgspec.Struct, frozen=True):
    """What `recover` found, whole and verified. None means never written; the node judges that.

    `signing` is the highest signed header, by (history, height).
    """

    hard_state: HardState | None
    first_index: int
    last_index: int
    signing: SigningRecord | None


class LogStore(LogReader, Protocol):
    """The promises of a node, on a disk. Raft reads its old entries here: it is a `LogReader`."""

    def recover(self) -> LogImage:
        """Read and verify every record. Raises `StorageFailed`, what and where, for any damage."""
        ...

    def entries(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        """Entries `low <= index < high`, verified; the first always, more while within `bytes_max`.

        `bytes_max` bounds the sum of the entries' data. Raises `Compacted` or `Unavailable` when
        the range is not wholly in the log, `StorageFailed` for a damaged record.
        """
        ...

    def signed(self, history: int, height: int) -> bytes | None:
        """The hash of the header this node signed at (history, height), or None."""
        ...

    def write(self, writes: Sequence[LogWrite]) -> None:
        """Store all of `writes`, in order, in one synced transaction: all on the disk, or none.

        Blocks until the disk has it. Raises `StorageFailed`, after which nothing is known to be
        stored and every later call raises it too; `InvariantBroken` for writes that break a rule of
        the log (a gap, a falling term, a second vote in a term, a second header at one height).
        """
        ...

    @property
    def nearly_full(self) -> bool:
        """True when the store may soon be unable to grow: the door answers busy."""
        ...

    def maintain(self) -> None:
        """Free what dead readers hold, and look at the space left. To be called each minute."""
        ...

    def close(self) -> None:
        """Release the files. Idempotent."""
        ...


class StateStore(Protocol):
    """What follows from the log: rows under byte-string keys, in key order.

    Keys have 1 to `KEY_BYTES_MAX` bytes and do not begin with `RESERVED_PREFIX`.
    """

    @property
    def suspect(self) -> bool:
        """True when a crash may have torn the rows: only `discard` and `close` are for it then."""
        ...

    def discard(self) -> None:
        """Forget every row, and so the suspicion. The caller makes the state again from the log."""
        ...

    def get(self, key: bytes) -> bytes | None:
        """The value under `key`, verified, or None."""
        ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values under `keys`, in their order, all as of one moment."""
        ...

    def scan(
        self, prefix: bytes, *, after: bytes | None = None, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` rows whose key begins with `prefix`, in key order (or the reverse).

        `after` is the last key of the page before, exclusive. `limit` is 1 to `SCAN_ROWS_MAX`.
        """
        ...

    def write(self, rows: Iterable[Row]) -> None:
        """Apply all rows, in order, or none. Outlives the process; a power cut may undo it."""
        ...

    def write_later(self, rows: Iterable[Row]) -> None:
        """Apply rows, all or none, together with the next `write`; now, where too many would wait.

        Reads show them at once. Until they are written the end of the process loses them: they are
        made again from the log, or asked for.
        """
        ...

    def flush(self) -> None:
        """Do now what `write_later` put off."""
        ...

    def sync(self) -> None:
        """Return when everything written is on the disk."""
        ...

    def bulk_load(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Fill an empty store with rows in strictly rising key order. Not atomic: a store whose
        load was cut short is `suspect` when opened again.
        """
        ...

    def verify(self) -> int:
        """Read every row and check it, and that none is missing. Returns the number of rows."""
        ...

    @property
    def nearly_full(self) -> bool:
        """True when the store may soon be unable to grow: the door answers busy."""
        ...

    def maintain(self) -> None:
        """Free what dead readers hold, and look at the space left. To be called each minute."""
        ...

    def close(self) -> None:
        """Make all that was written durable, mark the close as clean, release the files."""
        ...
