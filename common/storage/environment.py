"""One LMDB environment as a store of sealed rows: checked before use, grown in time, failed once.

What LMDB leaves to its user is done here, once, for every store of the product:

- The file is walked page by page, without LMDB, before LMDB maps it, and is always as long as its
  map (its end is a hole): a cut or damaged file is a `StorageFailed`, never a signal that ends the
  process.
- Every value is sealed under its key (`records`). A key that is not found is proven absent by its
  two neighbours, whose seals and order are checked: a damaged key is never read as an absent one.
- The map grows at `GROW_AT_PERCENT` of its size, while no reader is open: reads pass a gate, which
  growth closes. A transaction that finds the map full is aborted whole, and run again in a larger
  one.
- A transaction ends with the call that began it.
- After any failure every call raises `StorageFailed`. A forked process may not use it at all.

Any thread may read. One thread at a time writes; the others wait.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

import lmdb
from lmdb import verify as structure

from common.errors import InvariantBroken, StorageFailed
from common.storage.ports import Row
from common.storage.records import open_record, seal

__all__ = ["Environment", "Reading", "Writing", "check_structure", "put_rows"]

GROW_AT_PERCENT = 80
NEARLY_FULL_AT_PERCENT = 90
MAP_BYTES_START = 64 * 1024 * 1024
READERS_MAX = 64
DISK_FREE_BYTES_MIN = 64 * 1024 * 1024
WALK_ROWS_MAX = 256
WALK_BYTES_MAX = 8 * 1024 * 1024

DATA_FILE = "data.mdb"

_AS_STORED = 0
"""Tells LMDB to make the map as large as the file says it was."""

Reading: TypeAlias = "lmdb.Transaction[bytes]"
Writing: TypeAlias = "lmdb.Transaction[bytes]"
T = TypeVar("T")


_forks = [0]
"""How often this process was made by a fork, counted in the child."""

os.register_at_fork(after_in_child=lambda: _forks.append(_forks.pop() + 1))


class Environment:
    """An open environment in the folder `path`, which exists.

    `synced` says whether a write waits for the disk, `create` whether the file may be missing.
    `bytes_max` is the size the map may grow to, `bytes_start` the size it starts with. Raises
    `StorageFailed` for a file that is missing, cut or damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        synced: bool,
        create: bool,
        bytes_max: int,
        bytes_start: int = MAP_BYTES_START,
    ) -> None:
        self._path = path
        self._forks = _forks[0]
        self._failure: str | None = None
        self._gate = threading.Lock()
        self._writer = threading.Lock()
        self._bytes_max = bytes_max
        fresh = not (path / DATA_FILE).exists()
        if fresh and not create:
            raise StorageFailed(f"{path}: the data file is missing")
        if not fresh:
            check_structure(path)
        try:
            self._lmdb = _open(path, synced=synced, map_bytes=bytes_start if fresh else _AS_STORED)
        except lmdb.Error as error:
            raise self.fail(error) from error
        self._page_bytes = self._lmdb.stat()["psize"]
        self._map_bytes = self._lmdb.info()["map_size"]
        if not fresh:
            self._require_length(self._map_bytes)
        if fresh or self._map_bytes < bytes_start:
            self._resize(bytes_start)
        self._disk_low = False
        self.maintain()

    # --- reading

    def get(self, key: bytes) -> bytes | None:
        """The value under `key`, or None where it is proven that there is none."""
        return self._read(lambda reading: _get(reading, key))

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values under `keys`, in their order, in one transaction."""
        return self._read(lambda reading: [_get(reading, key) for key in keys])

    def scan(
        self, low: bytes, high: bytes, *, rows_max: int, bytes_max: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Rows `low <= key < high` in key order (or the reverse), up to `rows_max`.

        Stops before the row that would exceed `bytes_max` bytes of values, but gives the first.
        """
        if low >= high:
            return []
        return self._read(lambda reading: _scan(reading, low, high, rows_max, bytes_max, reverse))

    def walk(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every row `low <= key < high`, in pages: no transaction is open between two rows."""
        while page := self.scan(low, high, rows_max=WALK_ROWS_MAX, bytes_max=WALK_BYTES_MAX):
            yield from page
            low = page[-1][0] + b"\x00"

    def rows_total(self) -> int:
        """How many rows there are."""
        return self._read(lambda reading: reading.stat()["entries"])

    # --- writing

    def write(self, action: Callable[[Writing], None]) -> None:
        """Run `action` in one transaction and commit it. Where the map was full it is run again.

        An exception from `action` aborts the transaction and passes through.
        """
        self.check()
        with self._writer:
            self._grow_if_due()
            while not self._committed(action):
                self._grow()

    def sync(self) -> None:
        """Return when every write is on the disk."""
        self.check()
        try:
            self._lmdb.sync(force=True)
        except lmdb.Error as error:
            raise self.fail(error) from error

    # --- care

    def check(self) -> None:
        """Raise `StorageFailed` after a failure, `InvariantBroken` in a forked process."""
        if self._forks != _forks[0]:
            raise InvariantBroken(f"{self._path} was opened before a fork, by the parent process")
        if self._failure is not None:
            raise StorageFailed(self._failure)

    @property
    def failed(self) -> bool:
        """True after a failure, and after `close`."""
        return self._failure is not None

    def fail(self, error: Exception) -> StorageFailed:
        """Fail for good. Returns the error to raise, now and for every later call."""
        self._failure = self._failure or f"{self._path}: {error}"
        return StorageFailed(self._failure)

    @property
    def nearly_full(self) -> bool:
        """True when the map is near its largest size, or the disk near its end."""
        return self._disk_low or self._used * 100 >= self._bytes_max * NEARLY_FULL_AT_PERCENT

    def maintain(self) -> None:
        """Free the slots of readers that died, and look how much disk is left."""
        self.check()
        try:
            self._lmdb.reader_check()
            self._used = self._used_bytes()
            self._disk_low = shutil.disk_usage(self._path).free < DISK_FREE_BYTES_MIN
        except (lmdb.Error, OSError) as error:
            raise self.fail(error) from error

    def close(self) -> None:
        """Close the map and the files. Idempotent; later calls raise `StorageFailed`."""
        with self._writer, self._gate:
            self._failure = self._failure or f"{self._path} is closed"
            self._lmdb.close()

    # --- inside

    def _read(self, action: Callable[[Reading], T]) -> T:
        self.check()
        self._gate.acquire()
        try:
            reading = self._lmdb.begin()
            try:
                return action(reading)
            finally:
                reading.abort()
        except (lmdb.Error, StorageFailed) as error:
            raise self.fail(error) from error
        finally:
            self._gate.release()

    def _committed(self, action: Callable[[Writing], None]) -> bool:
        """True when committed, False when the map was full and nothing was kept."""
        try:
            with self._lmdb.begin(write=True) as writing:
                action(writing)
        except lmdb.MapFullError:
            return False
        except (lmdb.Error, OSError) as error:
            raise self.fail(error) from error
        self._used = self._used_bytes()
        return True

    def _used_bytes(self) -> int:
        return (self._lmdb.info()["last_pgno"] + 1) * self._page_bytes

    def _grow_if_due(self) -> None:
        due = self._used * 100 >= self._map_bytes * GROW_AT_PERCENT
        if due and self._map_bytes < self._bytes_max:
            self._grow()

    def _grow(self) -> None:
        if self._map_bytes >= self._bytes_max:
            raise self.fail(StorageFailed(f"the map is full at its limit, {self._bytes_max} bytes"))
        self._resize(min(2 * self._map_bytes, self._bytes_max))

    def _resize(self, map_bytes: int) -> None:
        """Lengthen the file, then the map. No reader is open meanwhile, and no writer."""
        try:
            with (self._path / DATA_FILE).open("r+b") as file:
                file.truncate(map_bytes)
                os.fsync(file.fileno())
            with self._gate:
                self._lmdb.set_mapsize(map_bytes)
        except (lmdb.Error, OSError) as error:
            raise self.fail(error) from error
        self._map_bytes = map_bytes

    def _require_length(self, length_min: int) -> None:
        length = (self._path / DATA_FILE).stat().st_size
        if length < length_min:
            self._lmdb.close()
            raise self.fail(StorageFailed(f"the file is cut: {length} of {length_min} bytes"))


def _open(path: Path, *, synced: bool, map_bytes: int) -> lmdb.Environment:
    return lmdb.Environment(
        os.fspath(path),
        map_size=map_bytes,
        sync=synced,
        metasync=synced,
        writemap=False,
        mode=0o600,
        max_readers=READERS_MAX,
        max_spare_txns=1,
    )


def put_rows(writing: Writing, rows: Sequence[Row]) -> None:
    """Seal and put each row, or delete it where its value is None. The last row of a key counts.

    A key is put once: a long value put over a longer one of the same transaction keeps the pages of
    the longer one, which `check_structure` would call damage.
    """
    for key, value in dict(rows).items():
        if value is None:
            writing.delete(key)
        else:
            writing.put(key, seal(key, value))


def check_structure(path: Path) -> None:
    """Walk every page of the environment in `path` as plain bytes. Raises `StorageFailed`.

    LMDB trusts its file: it would follow a damaged page number out of the map, and end the process.
    """
    try:
        problems: list[str] = structure.verify(os.fspath(path))  # type: ignore[no-untyped-call]
    except (structure.VerifyError, OSError) as error:
        raise StorageFailed(f"{path}: {error}") from error
    if problems:
        raise StorageFailed(f"{path}: {len(problems)} damaged places; the first: {problems[0]}")


def _get(reading: Reading, key: bytes) -> bytes | None:
    record = reading.get(key)
    if record is not None:
        return open_record(key, record)
    with reading.cursor() as cursor:
        _seek(cursor, key)
    return None


def _seek(cursor: lmdb.Cursor[bytes], key: bytes) -> bool:
    """Move to the first row at or above `key`; False when there is none.

    Proves the place: the row there and the row before it are whole, and on their sides of `key`.
    """
    found = cursor.set_range(key)
    ordered = not found or _row(cursor)[0] >= key
    before = cursor.prev() if found else cursor.last()
    ordered = ordered and (not before or _row(cursor)[0] < key)
    if not ordered:
        raise StorageFailed(f"the rows around key {key.hex()} are out of order")
    if not found:
        return False
    return cursor.next() if before else cursor.first()


def _row(cursor: lmdb.Cursor[bytes]) -> tuple[bytes, bytes]:
    key, record = cursor.item()
    return key, open_record(key, record)


def _scan(
    reading: Reading, low: bytes, high: bytes, rows_max: int, bytes_max: int, reverse: bool
) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    bytes_total = 0
    with reading.cursor() as cursor:
        if reverse:
            more = cursor.prev() if _seek(cursor, high) else cursor.last()
            step = cursor.prev
        else:
            more = _seek(cursor, low)
            step = cursor.next
        while more:
            key, value = _row(cursor)
            bytes_total += len(value)
            if not low <= key < high or (found and bytes_total > bytes_max):
                break
            found.append((key, value))
            more = len(found) < rows_max and step()
    return found
