"""Rows a state store puts off, and writes together with its next write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from common.storage.keys import check_key
from common.storage.ports import LATER_ROWS_MAX, Row

__all__ = ["PutsOff"]


class PutsOff(ABC):
    """`write_later` and `flush` of a state store, over a `write` that begins with what waits.

    `_later` is what waits, by key: the store's reads look there first.
    """

    def __init__(self) -> None:
        super().__init__()
        self._later: dict[bytes, bytes | None] = {}

    @abstractmethod
    def write(self, rows: Iterable[Row]) -> None:
        """See `StateStore.write`. Leaves nothing waiting."""

    @abstractmethod
    def _check(self) -> None:
        """Raise `StorageFailed` where the store can no longer be used."""

    def write_later(self, rows: Iterable[Row]) -> None:
        """See `StateStore.write_later`."""
        self._check()
        taken = list(rows)
        if len(self._later) + len(taken) > LATER_ROWS_MAX:
            self.write(taken)
        else:
            self._later.update([(check_key(key), value) for key, value in taken])

    def flush(self) -> None:
        """See `StateStore.flush`."""
        if self._later:
            self.write(())

    def _flush_under(self, prefix: bytes) -> None:
        """Write what waits where a scan of this prefix would have to show some of it."""
        if any(key.startswith(prefix) for key in self._later):
            self.flush()
