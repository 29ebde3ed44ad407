"""The log as the disk has it: the port Raft reads old entries through, and its in-memory twin.

Raft never writes. The driver writes what a `Ready` names, and Raft reads it back only after
`persisted`: an index Raft has not been told is on the disk is never asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from common.errors import InvariantBroken
from common.raft.messages import Entry

__all__ = ["Compacted", "LogReader", "MemoryLog", "Unavailable"]


class Compacted(LookupError):
    """The index lies before the first entry kept: only a snapshot still has it."""


class Unavailable(LookupError):
    """The index lies after the last entry written."""


class LogReader(Protocol):
    """Reads the entries on the disk. `low` is inclusive, `high` exclusive."""

    @property
    def first_index(self) -> int:
        """Index of the oldest entry kept; 1 while nothing was compacted."""
        ...

    @property
    def last_index(self) -> int:
        """Index of the newest entry; `first_index - 1` while there is none."""
        ...

    def term(self, index: int) -> int:
        """The term of the entry at `index`; 0 for index 0, the place before the log begins.

        Raises `Compacted` or `Unavailable` for an entry that is not there: never a guess, since an
        unknown term taken for 0 would match what it must not.
        """
        ...

    def entries(self, low: int, high: int, bytes_max: int) -> Sequence[Entry]:
        """The entries from `low` on, before `high`, while their data is within `bytes_max` bytes.

        The first is given whatever its size. Raises `Compacted` or `Unavailable` for a range that
        is not wholly there.
        """
        ...


class MemoryLog:
    """A `LogReader` on a list, for tests and simulations."""

    __slots__ = ("_entries", "_first_index")

    def __init__(self, entries: Sequence[Entry] = (), first_index: int = 1) -> None:
        """A log of `entries`; `first_index` is the index of the first of them."""
        self._entries = list(entries)
        self._first_index = first_index

    @property
    def first_index(self) -> int:
        return self._first_index

    @property
    def last_index(self) -> int:
        return self._first_index + len(self._entries) - 1

    def term(self, index: int) -> int:
        if index == 0:
            return 0
        self._check(index, index + 1)
        return self._entries[index - self._first_index].term

    def entries(self, low: int, high: int, bytes_max: int) -> Sequence[Entry]:
        self._check(low, high)
        found = self._entries[low - self._first_index : high - self._first_index]
        return found[: fitting(found, bytes_max)]

    def write(self, entries: Sequence[Entry]) -> None:
        """Replace everything at or above `entries[0].index` by `entries`."""
        if not entries:
            return
        place = entries[0].index - self._first_index
        if not 0 <= place <= len(self._entries):
            raise InvariantBroken(f"index {entries[0].index} would leave a hole in the log")
        self._entries[place:] = entries

    def compact(self, first_index: int) -> None:
        """Forget every entry below `first_index`."""
        self._check(first_index, first_index + 1)
        del self._entries[: first_index - self._first_index]
        self._first_index = first_index

    def _check(self, low: int, high: int) -> None:
        if low < self._first_index:
            raise Compacted(f"index {low} is below the first entry, {self._first_index}")
        if high > self.last_index + 1:
            raise Unavailable(f"index {high - 1} is above the last entry, {self.last_index}")


def fitting(entries: Sequence[Entry], bytes_max: int) -> int:
    """How many of the first `entries` have data of at most `bytes_max` bytes; at least one."""
    total = 0
    for count, entry in enumerate(entries):
        total += len(entry.data)
        if total > bytes_max and count > 0:
            return count
    return len(entries)
