"""The in-memory twins of the LMDB stores, with crashes to order, for the simulation. Deterministic.

They keep the same contract (one test suite runs against both), and add what a simulator decides:

The log. `submit` queues a write as a storage thread would hold it; nothing of it can be read yet.
`complete` lets the oldest queued write reach the disk. `crash(reached=n)` ends the process: of the
queued writes the first n had reached the disk, the others are lost. As the LMDB transactions of one
thread follow each other, what survives is always a prefix of whole writes.

The state. What is written survives `crash()`, the end of the process. `crash_system(kept=n)` is the
end of the machine: of the writes since the last `sync` the first n survive whole; with `torn=True`
half of the next one does too. Either way the store is `suspect` afterwards, as the real one is.

`fail()` on either is a disk that stops obeying: every later call raises `StorageFailed`.

    log = MemoryLogStore()
    log.submit([LogWrite(hard_state=HardState(1, "bank-1"))])
    log.crash(reached=0)
    log.recover().hard_state is None
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from sortedcontainers import SortedDict

from common.errors import InvariantBroken, StorageFailed
from common.raft.messages import Entry
from common.raft.storage import fitting
from common.storage.keys import check_key, scan_range
from common.storage.later import PutsOff
from common.storage.outline import LogOutline, place
from common.storage.ports import LogImage, LogWrite, Row

__all__ = ["MemoryLogStore", "MemoryStateStore"]

UNSYNCED_WRITES_MAX = 64
"""Older unsynced state writes count as written back: a kernel does so within seconds."""


class _Failing:
    """A store that can be told to fail, and then fails for ever."""

    def __init__(self) -> None:
        super().__init__()
        self._failure: str | None = None

    @property
    def nearly_full(self) -> bool:
        """Memory has no limit here."""
        return False

    def maintain(self) -> None:
        """Raise `StorageFailed` after a failure; there is nothing else to look after."""
        self._check()

    def fail(self, what: str = "the simulated disk failed") -> None:
        """From now on every call raises `StorageFailed`, until `crash`."""
        self._failure = what

    def _check(self) -> None:
        if self._failure is not None:
            raise StorageFailed(self._failure)


class MemoryLogStore(_Failing):
    """`LogStore` in memory. `write` is `submit` followed by completing all that is queued."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Entry] = []
        self._signed: dict[tuple[int, int], bytes] = {}
        self._outline = LogOutline()
        self._queued: deque[tuple[tuple[LogWrite, ...], LogOutline]] = deque()  # (done, after it)
        self._queued_signed: dict[tuple[int, int], bytes] = {}

    # --- LogStore

    def recover(self) -> LogImage:
        """See `LogStore.recover`."""
        self._check()
        return self._outline.image()

    @property
    def first_index(self) -> int:
        """See `LogStore.first_index`."""
        return self._outline.first_index

    @property
    def last_index(self) -> int:
        """See `LogStore.last_index`."""
        return self._outline.last_index

    def term(self, index: int) -> int:
        """See `LogStore.term`."""
        self._check()
        return self._outline.term(index)

    def entries(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        """See `LogStore.entries`."""
        self._check()
        self._outline.require(low, high)
        found = self._entries[low - 1 : high - 1]
        return found[: fitting(found, bytes_max)]

    def signed(self, history: int, height: int) -> bytes | None:
        """See `LogStore.signed`."""
        self._check()
        return self._signed.get((history, height))

    def write(self, writes: Sequence[LogWrite]) -> None:
        """See `LogStore.write`."""
        self.submit(writes)
        while self._queued:
            self.complete()

    def close(self) -> None:
        """See `LogStore.close`."""

    # --- what the simulator decides

    @property
    def queued(self) -> int:
        """How many submitted writes have not reached the disk."""
        return len(self._queued)

    def submit(self, writes: Sequence[LogWrite]) -> None:
        """Queue one group of writes, as a storage thread does. None of it is readable yet."""
        self._check()
        outline = self._queued[-1][1] if self._queued else self._outline
        for write in writes:
            outline = outline.after(write, self._promised)
            if write.signing is not None:
                self._queued_signed[place(write.signing)] = write.signing.header_hash
        self._queued.append((tuple(writes), outline))

    def complete(self) -> None:
        """The oldest queued group reaches the disk: readable, and safe from every crash."""
        self._check()
        if not self._queued:
            raise InvariantBroken("no write is queued")
        self._store_oldest()

    def crash(self, *, reached: int = 0) -> None:
        """End the process. The first `reached` of the queued groups had reached the disk."""
        if not 0 <= reached <= len(self._queued):
            raise InvariantBroken(f"{reached} of {len(self._queued)} writes cannot be on the disk")
        for _ in range(reached):
            self._store_oldest()
        self._queued.clear()
        self._queued_signed.clear()
        self._failure = None

    def _promised(self, history: int, height: int) -> bytes | None:
        at = (history, height)
        return self._queued_signed.get(at) or self._signed.get(at)

    def _store_oldest(self) -> None:
        writes, self._outline = self._queued.popleft()
        for write in writes:
            if write.entries:
                self._entries[write.entries[0].index - 1 :] = write.entries
            if write.signing is not None:
                self._signed[place(write.signing)] = write.signing.header_hash
        if not self._queued:
            self._queued_signed.clear()


class MemoryStateStore(_Failing, PutsOff):
    """`StateStore` in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: SortedDict[bytes, bytes] = SortedDict()
        self._suspect = False
        self._unsynced: deque[tuple[tuple[Row, ...], tuple[Row, ...]]] = deque()  # (done, undo)

    # --- StateStore

    @property
    def suspect(self) -> bool:
        """See `StateStore.suspect`."""
        return self._suspect

    def discard(self) -> None:
        """See `StateStore.discard`."""
        if self._failure is not None:
            raise StorageFailed(self._failure)
        self._rows.clear()
        self._unsynced.clear()
        self._later.clear()
        self._suspect = False

    def get(self, key: bytes) -> bytes | None:
        """See `StateStore.get`."""
        self._check()
        value: bytes | None = self._later[key] if key in self._later else self._rows.get(key)
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `StateStore.get_many`."""
        return [self.get(key) for key in keys]

    def scan(
        self, prefix: bytes, *, after: bytes | None = None, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """See `StateStore.scan`."""
        self._check()
        low, high = scan_range(prefix, after, limit, reverse)
        self._flush_under(prefix)
        if low >= high:
            return []
        keys = self._rows.irange(low, high, (True, False), reverse)
        return [(key, self._rows[key]) for key in islice(keys, limit)]

    def write(self, rows: Iterable[Row]) -> None:
        """See `StateStore.write`."""
        self._check()
        done = (*self._later.items(), *rows)
        undo = tuple((check_key(key), self._rows.get(key)) for key, _ in done)
        self._apply(done)
        self._later.clear()
        self._unsynced.append((done, undo))
        if len(self._unsynced) > UNSYNCED_WRITES_MAX:
            self._unsynced.popleft()

    def sync(self) -> None:
        """See `StateStore.sync`."""
        self._check()
        self.flush()
        self._unsynced.clear()

    def bulk_load(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `StateStore.bulk_load`."""
        self._check()
        if self._rows:
            raise InvariantBroken("only an empty store is loaded in bulk")
        last = b""
        for key, value in rows:
            if check_key(key) <= last:
                raise InvariantBroken(f"the rows of a bulk load are not in order at {key.hex()}")
            self._rows[key] = value
            last = key

    def verify(self) -> int:
        """See `StateStore.verify`."""
        self._check()
        self.flush()
        return len(self._rows)

    def close(self) -> None:
        """See `StateStore.close`: what was written is durable, and the close is clean."""
        if self._failure is None and not self._suspect:
            self.flush()
        self._unsynced.clear()

    # --- what the simulator decides

    @property
    def unsynced(self) -> int:
        """How many writes an end of the machine may take away."""
        return len(self._unsynced)

    def crash(self) -> None:
        """End the process, not the machine: the page cache keeps all that was written."""
        self._later.clear()
        self._failure = None

    def crash_system(self, *, kept: int = 0, torn: bool = False) -> None:
        """End the machine: the first `kept` unsynced writes survive, and half of the next if torn.

        The store is `suspect` afterwards, whatever was unsynced: the real one cannot tell either.
        """
        if not 0 <= kept <= len(self._unsynced):
            raise InvariantBroken(f"{kept} of {len(self._unsynced)} unsynced writes cannot be kept")
        lost = list(self._unsynced)[kept:]
        for _, undo in reversed(lost):
            self._apply(undo)
        if torn and lost:
            done, _ = lost[0]
            self._apply(done[: (len(done) + 1) // 2])
        self._unsynced.clear()
        self._later.clear()
        self._suspect = True
        self._failure = None

    def _apply(self, rows: tuple[Row, ...]) -> None:
        for key, value in rows:
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value

    def _check(self) -> None:
        super()._check()
        if self._suspect:
            raise StorageFailed("the state is suspect: it is discarded and made again, never read")
