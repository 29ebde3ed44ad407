"""The log as this node believes it: what is on the disk, continued by what is not there yet.

The newest entries are kept in memory: all that the disk may not have, and before them as many as
the cache may hold. Older ones are read through the `LogReader`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from common.errors import InvariantBroken
from common.raft.messages import Entry
from common.raft.storage import LogReader, Unavailable, fitting

__all__ = ["ENTRY_OVERHEAD_BYTES", "RaftLog"]

ENTRY_OVERHEAD_BYTES = 200
"""Memory of an entry beside its data, for the bound of the cache, in bytes."""


class RaftLog:
    """One node's log, its commit index, and how far it has been handed out for applying."""

    __slots__ = (
        "_cached_bytes",
        "_cached_bytes_max",
        "_floor",
        "_handed_out",
        "_reader",
        "_recent",
        "_recent_from",
        "committed",
        "last_index",
        "last_term",
    )

    def __init__(self, reader: LogReader, applied_index: int, cached_bytes_max: int) -> None:
        """Everything `reader` has is on the disk; up to `applied_index` it is committed."""
        if not reader.first_index - 1 <= applied_index <= reader.last_index:
            raise InvariantBroken(
                f"applied {applied_index} of a log of {reader.first_index} to {reader.last_index}"
            )
        self._reader = reader
        self._recent: list[Entry] = []
        self._recent_from = reader.last_index + 1
        self._cached_bytes = 0
        self._cached_bytes_max = cached_bytes_max
        self._handed_out = applied_index
        self._floor = 0
        self.committed = applied_index
        self.last_index = reader.last_index
        self.last_term = reader.term(self.last_index)

    @property
    def first_index(self) -> int:
        """Index of the oldest entry kept."""
        return self._reader.first_index

    @property
    def last_entry(self) -> Entry | None:
        """The end of the log; None while there is no entry."""
        if self.last_index < self.first_index:
            return None
        return self.entries(self.last_index, self.last_index + 1, 0)[0]

    def term(self, index: int) -> int:
        """The term at `index`, 0 at index 0. Raises `Compacted`, or `Unavailable` after the end."""
        if index == self.last_index:
            return self.last_term
        if index > self.last_index:
            raise Unavailable(f"index {index} is above the last entry, {self.last_index}")
        if index >= self._recent_from:
            return self._recent[index - self._recent_from].term
        return self._reader.term(index)

    def entries(self, low: int, high: int, bytes_max: int) -> Sequence[Entry]:
        """Entries from `low` on, before `high`: at least one, more while within `bytes_max`."""
        found: Sequence[Entry] = self._recent[
            max(0, low - self._recent_from) : max(0, high - self._recent_from)
        ]
        if low < self._recent_from:
            on_disk = self._reader.entries(low, min(high, self._recent_from), bytes_max)
            if low + len(on_disk) < self._recent_from:
                return on_disk
            found = [*on_disk, *found]
        return found[: fitting(found, bytes_max)]

    def since(self, first_index: int) -> tuple[Entry, ...]:
        """The entries from `first_index` on, all of them in memory."""
        return tuple(self._recent[first_index - self._recent_from :])

    def holds(self, index: int, term: int) -> bool:
        """Whether the log agrees with a leader whose entry at `index` has `term`.

        Entries compacted away were committed, so every leader has them.
        """
        if index > self.last_index:
            return False
        return 0 < index < self.first_index or self.term(index) == term

    def newer_than(self, last_term: int, last_index: int) -> bool:
        """Whether this log is more complete than one that ends so: by term, then by index."""
        return (self.last_term, self.last_index) > (last_term, last_index)

    def last_place(self, index: int, term: int, low: int) -> int:
        """The last place at or before `index` whose term is at most `term`; `low` where none is.

        The two logs agree up to `low`. Terms never fall along a log, so no place after the answer
        can agree with a log that has `term` at `index`.
        """
        if index < self.first_index:
            return index
        low = max(low, self.first_index - 1)
        places = range(low + 1, min(index, self.last_index) + 1)
        return low + bisect_right(places, term, key=self.term)

    def append(self, entry: Entry) -> None:
        """Add an entry of this node's own term to the end."""
        if entry.index != self.last_index + 1 or entry.term < self.last_term:
            raise InvariantBroken(f"entry {entry.index} cannot follow {self.last_index}")
        self._extend((entry,))

    def splice(self, entries: Sequence[Entry]) -> int | None:
        """Take a leader's entries, which follow a place this log `holds`.

        Entries already here stay, with all that follows them: only at the first that differs is
        the log cut. Returns the index of the first entry that is new, None if none is. Raises
        `InvariantBroken` where a committed, signed or certified entry would be replaced.
        """
        for place, entry in enumerate(entries):
            if not self.holds(entry.index, entry.term):
                if entry.index <= self.last_index:
                    self._truncate(entry.index)
                self._extend(entries[place:])
                return entry.index
        return None

    def commit_to(self, index: int) -> bool:
        """Move the commit index forward to `index`. False where it is there already."""
        if index <= self.committed:
            return False
        if index > self.last_index:
            raise InvariantBroken(f"commit {index} lies beyond the log's end {self.last_index}")
        self.committed = index
        return True

    def forbid_truncation(self, index: int) -> None:
        """The entries up to `index` stay for ever."""
        if index > self.last_index:
            raise InvariantBroken(f"the log ends at {self.last_index}, but {index} was promised")
        self._floor = max(self._floor, index)

    def hand_out(self, durable_index: int, entries_max: int, bytes_max: int) -> Sequence[Entry]:
        """The next entries to apply: committed and durable, each handed out once."""
        high = min(self.committed, durable_index, self._handed_out + entries_max)
        if high <= self._handed_out:
            return ()
        found = self.entries(self._handed_out + 1, high + 1, bytes_max)
        self._handed_out = found[-1].index
        return found

    def trim(self, durable_index: int) -> None:
        """Drop old entries the disk has from memory, when the cache is full."""
        if self._cached_bytes <= self._cached_bytes_max:
            return
        dropped = 0
        for entry in self._recent:
            if entry.index > durable_index or self._cached_bytes <= self._cached_bytes_max // 2:
                break
            self._cached_bytes -= len(entry.data) + ENTRY_OVERHEAD_BYTES
            dropped += 1
        del self._recent[:dropped]
        self._recent_from += dropped

    def _extend(self, entries: Sequence[Entry]) -> None:
        self._recent.extend(entries)
        self._cached_bytes += sum(len(entry.data) + ENTRY_OVERHEAD_BYTES for entry in entries)
        self.last_index = entries[-1].index
        self.last_term = entries[-1].term

    def _truncate(self, index: int) -> None:
        """Cut the log before `index`. What is read through the port ends before it from now on."""
        kept = max(self.committed, self._floor)
        if index <= kept:
            raise InvariantBroken(f"a leader replaces entry {index}, but up to {kept} all is final")
        last_term = self.term(index - 1)
        removed = self._recent[max(0, index - self._recent_from) :]
        self._cached_bytes -= sum(len(entry.data) + ENTRY_OVERHEAD_BYTES for entry in removed)
        del self._recent[max(0, index - self._recent_from) :]
        self._recent_from = min(self._recent_from, index)
        self.last_index = index - 1
        self.last_term = last_term
