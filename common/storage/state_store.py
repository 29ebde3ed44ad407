"""`StateStore` on LMDB: what follows from the log, written without sync, and honest about crashes.

Rows of the environment `state/`: those of the caller, and the head, under `RESERVED_PREFIX`:

    ff                                    number of rows, the head among them (8 bytes, big-endian)

Every write renews the head in its own transaction. A bulk load takes it away first and puts it back
last: rows without a head are a load that was cut short.

The file `session` beside the environment says which boot of the machine last wrote here, and
whether it closed. An unclean end under another boot may have torn the file, and nothing in the file
can tell: the store is `suspect`, does not even open it, and waits for `discard`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from common.encoding import Canonical, decode, encode
from common.errors import InvariantBroken, StorageFailed
from common.storage.environment import MAP_BYTES_START, Environment, Writing, put_rows
from common.storage.files import read_sealed, sync_folder, write_sealed
from common.storage.keys import check_key, scan_range
from common.storage.later import PutsOff
from common.storage.ports import RESERVED_PREFIX, Row
from common.storage.records import seal

__all__ = ["LmdbStateStore", "format_state"]

LOAD_ROWS_MAX = 50_000
NO_LIMIT = 2**63

_HEAD = RESERVED_PREFIX
_HEAD_BYTES = 8


class Session(Canonical, frozen=True):
    """Which boot of the machine wrote the state last, and whether it closed it. "" is unknown."""

    boot: str
    clean: bool

    def whole_under(self, boot: str) -> bool:
        """True when nothing can have been torn between this session and one of `boot`."""
        return self.clean or (self.boot == boot != "")


class LmdbStateStore(PutsOff):
    """`StateStore` on the environment in `path`; `session` is its marker file, `boot` the boot id.

    Read and written by one thread: what is put off lies beside the environment. Any thread may
    `maintain` it.
    """

    def __init__(
        self,
        path: Path,
        session: Path,
        boot: str,
        *,
        bytes_max: int,
        bytes_start: int = MAP_BYTES_START,
    ) -> None:
        super().__init__()
        self._path = path
        self._session = session
        self._boot = boot
        self._bytes_max = bytes_max
        self._bytes_start = bytes_start
        self._environment: Environment | None = None
        self._closed = False
        if _read_session(session).whole_under(boot):
            self._mark(clean=False)
            self._open(create=False)

    # --- whole or not

    @property
    def suspect(self) -> bool:
        """See `StateStore.suspect`."""
        return self._environment is None and not self._closed

    def discard(self) -> None:
        """See `StateStore.discard`."""
        if self._closed:
            raise StorageFailed(f"{self._path} is closed")
        self._release()
        self._later.clear()
        write_sealed(self._session, encode(Session("", clean=False)))  # suspect until made anew
        try:
            for file in self._path.iterdir():
                file.unlink()
            sync_folder(self._path)
        except OSError as error:
            raise StorageFailed(f"{self._path}: {error}") from error
        self._open(create=True)
        sync_folder(self._path)
        self._mark(clean=False)

    # --- reading

    def get(self, key: bytes) -> bytes | None:
        """See `StateStore.get`."""
        if key not in self._later:
            return self._whole.get(key)
        self._check()
        return self._later[key]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `StateStore.get_many`."""
        written = [key for key in keys if key not in self._later]
        found = iter(self._whole.get_many(written))
        return [self._later[key] if key in self._later else next(found) for key in keys]

    def scan(
        self, prefix: bytes, *, after: bytes | None = None, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """See `StateStore.scan`."""
        low, high = scan_range(prefix, after, limit, reverse)
        self._flush_under(prefix)
        return self._whole.scan(low, high, rows_max=limit, bytes_max=NO_LIMIT, reverse=reverse)

    def verify(self) -> int:
        """See `StateStore.verify`."""
        whole = self._whole
        self.flush()
        rows = sum(1 for _ in whole.walk(b"\x00", _HEAD))
        self._check_head(rows + 1)
        return rows

    # --- writing

    def write(self, rows: Iterable[Row]) -> None:
        """See `StateStore.write`."""
        whole, checked = self._whole, [(check_key(key), value) for key, value in rows]
        checked = [*self._later.items(), *checked]

        def apply(writing: Writing) -> None:
            put_rows(writing, checked)
            _put_head(writing)

        whole.write(apply)
        self._later.clear()

    def sync(self) -> None:
        """See `StateStore.sync`."""
        self.flush()
        self._whole.sync()

    def bulk_load(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """See `StateStore.bulk_load`."""
        whole = self._whole
        if whole.rows_total() != 1:
            raise InvariantBroken("only an empty store is loaded in bulk")
        whole.write(_take_head)
        last, source = b"", iter(rows)
        while chunk := list(islice(source, LOAD_ROWS_MAX)):
            last = _require_rising(last, chunk)
            whole.write(partial(_append, chunk))
        whole.write(_put_head)

    # --- care

    @property
    def nearly_full(self) -> bool:
        """See `StateStore.nearly_full`."""
        return self._whole.nearly_full

    def maintain(self) -> None:
        """See `StateStore.maintain`."""
        self._whole.maintain()

    def close(self) -> None:
        """See `StateStore.close`. After a failure the files are released, but nothing is clean."""
        environment, self._closed = self._environment, True
        if environment is None:
            return
        try:
            if not environment.failed:
                self.flush()
                environment.sync()
                self._mark(clean=True)
        finally:
            self._release()

    # --- inside

    @property
    def _whole(self) -> Environment:
        if self._environment is None:
            why = (
                "closed" if self._closed else "suspect: it is discarded and made again, never read"
            )
            raise StorageFailed(f"{self._path} is {why}")
        return self._environment

    def _check(self) -> None:
        self._whole.check()

    def _mark(self, *, clean: bool) -> None:
        write_sealed(self._session, encode(Session(self._boot, clean)))

    def _open(self, *, create: bool) -> None:
        environment = Environment(
            self._path,
            synced=False,
            create=create,
            bytes_max=self._bytes_max,
            bytes_start=self._bytes_start,
        )
        if create:
            environment.write(_put_head)
            environment.sync()
        elif environment.get(_HEAD) is None:  # a load that was cut short
            environment.close()
            return
        self._environment = environment
        self._check_head(environment.rows_total())

    def _check_head(self, rows_total: int) -> None:
        head = self._whole.get(_HEAD)
        if head != rows_total.to_bytes(_HEAD_BYTES, "big"):
            told = "nothing" if head is None else int.from_bytes(head, "big")
            raise self._whole.fail(
                StorageFailed(f"the state holds {rows_total} rows where its head says {told}")
            )

    def _release(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None


def format_state(path: Path, session: Path, boot: str, *, map_bytes: int) -> None:
    """Make an empty state where there is none yet, and close it."""
    write_sealed(session, encode(Session("", clean=False)))
    store = LmdbStateStore(path, session, boot, bytes_max=map_bytes, bytes_start=map_bytes)
    store.discard()
    store.close()


def _read_session(path: Path) -> Session:
    value = read_sealed(path)
    if value is None:
        raise StorageFailed(f"{path}: the file is missing")
    return decode(Session, value)


def _put_head(writing: Writing) -> None:
    """Write how many rows there are, the head among them."""
    rows_total = writing.stat()["entries"] + (writing.get(_HEAD) is None)
    writing.put(_HEAD, seal(_HEAD, rows_total.to_bytes(_HEAD_BYTES, "big")))


def _take_head(writing: Writing) -> None:
    writing.delete(_HEAD)


def _append(rows: Sequence[tuple[bytes, bytes]], writing: Writing) -> None:
    for key, value in rows:
        writing.put(key, seal(key, value), append=True)


def _require_rising(last: bytes, rows: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The last key of `rows`, which rise strictly from `last` on. Raises `InvariantBroken`."""
    for key, _ in rows:
        if check_key(key) <= last:
            raise InvariantBroken(f"the rows of a bulk load are not in order at {key.hex()}")
        last = key
    return last
