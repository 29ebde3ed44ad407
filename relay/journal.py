"""What a relay must not forget while it lives: the packages handed over to it, secrets sealed.

    relay folder
      journal/            LMDB, every write synced before it returns; one row for each transfer
      journal.lock        held while the journal is open

A row holds the package, what was signed by whom it was handed over, when it came and whose place it
takes, and, once the transfer has ended, how. The secret in it is
sealed with the relay's own key, in the context of its transfer, and is gone from the row once the
transfer has ended. Losing the journal loses time and, of transfers whose secret nobody else holds,
the chance to commit: they expire. It loses nothing that is decided.

    journal = LmdbJournal.open(folder, key, secrets.token_bytes)
    reconciler.advance(now_unix_ms, journal.recover())
    journal.write(persist.entries)                       # on the disk when it returns
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from common.crypto.sealing import NONCE_BYTES, seal, unseal
from common.crypto.signing import RandomBytes
from common.encoding import Canonical, decode, encode
from common.errors import CommonReason, Refused, StorageFailed
from common.storage.environment import Environment, put_rows
from common.storage.ports import Row
from relay.effects import DropTransfer, Entry, KeepPackage
from relay.inputs import Ending, Package, Recovered, Voice

__all__ = ["Journal", "LmdbJournal", "MemoryJournal"]

FORMAT_VERSION = 2
MAP_BYTES_MAX = 16 * 1024**3
MAP_BYTES_START = 16 * 1024**2
LOCK_FILE = "journal.lock"
FOLDER = "journal"

_TRANSFER = b"\x01"
_END_OF_TRANSFERS = b"\x02"


class Journal(Protocol):
    """Where `Persist` goes. One contract test runs against every kind."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Write the entries, in order, all or none. They survive any crash when this returns.

        Raises `StorageFailed`, after which every later call raises it too.
        """
        ...

    def recover(self) -> list[Recovered]:
        """Everything kept, in the order it was received. Raises `StorageFailed` for damage."""
        ...

    def close(self) -> None:
        """Release the files. Idempotent."""
        ...


class JournalRow(Canonical, frozen=True):
    """A transfer in the journal. The package's `secret` is empty or sealed."""

    version: int
    received_unix_ms: int
    opened_by: str
    package: Package
    voices: tuple[Voice, ...]
    ending: Ending | None


class _Codec:
    """Rows of the journal, to and from bytes."""

    def __init__(self, key: bytes, random_bytes: RandomBytes) -> None:
        self._key = key
        self._random_bytes = random_bytes

    def row(self, entry: Entry) -> Row:
        key = _TRANSFER + entry.transfer_id
        if isinstance(entry, DropTransfer):
            return key, None
        package = entry.package
        if package.secret:
            nonce = self._random_bytes(NONCE_BYTES)
            sealed = seal(self._key, package.secret, _context(entry.transfer_id), nonce)
            package = replace(package, secret=sealed)
        if isinstance(entry, KeepPackage):
            opened_by, voices, ending = entry.opened_by, entry.voices, None
        else:
            opened_by, voices, ending = "", (), entry.ending
        received = entry.received_unix_ms
        row = JournalRow(FORMAT_VERSION, received, opened_by, package, voices, ending)
        return key, encode(row)

    def recovered(self, rows: Iterable[tuple[bytes, bytes]]) -> list[Recovered]:
        found = [self._recovered(key[1:], value) for key, value in rows]
        return sorted(found, key=lambda one: (one.received_unix_ms, one.transfer_id))

    def _recovered(self, transfer_id: bytes, value: bytes) -> Recovered:
        try:
            row = decode(JournalRow, value)
            package = row.package
            if package.secret:
                secret = unseal(self._key, package.secret, _context(transfer_id))
                package = replace(package, secret=secret)
        except Refused as refused:
            message = (
                f"journal: transfer {transfer_id.hex()} is damaged, or not of format"
                f" {FORMAT_VERSION}: {refused}"
            )
            raise StorageFailed(message) from refused
        if row.version != FORMAT_VERSION:
            raise StorageFailed(f"journal: format {row.version} is unknown")
        return Recovered(
            transfer_id, package, row.received_unix_ms, row.ending, row.voices, row.opened_by
        )


class LmdbJournal:
    """`Journal` on LMDB, in the folder of a relay. Written by one thread at a time."""

    def __init__(self, environment: Environment, lock: int, codec: _Codec) -> None:
        self._environment = environment
        self._lock = lock
        self._codec = codec

    @classmethod
    def open(cls, folder: Path, key: bytes, random_bytes: RandomBytes) -> LmdbJournal:
        """The journal in the relay's folder; an empty one where there is none yet.

        `key` is the relay's 32-byte sealing key. Raises `Refused(NOT_READY)` where another process
        has it open, `StorageFailed` where the disk fails or the file is damaged.
        """
        lock = _locked(folder / LOCK_FILE)
        try:
            path = folder / FOLDER
            path.mkdir(mode=0o700, exist_ok=True)
            environment = Environment(
                path,
                synced=True,
                create=True,
                bytes_max=MAP_BYTES_MAX,
                bytes_start=MAP_BYTES_START,
            )
        except BaseException:
            os.close(lock)
            raise
        return cls(environment, lock, _Codec(key, random_bytes))

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Journal.write`."""
        rows = [self._codec.row(entry) for entry in entries]
        self._environment.write(lambda writing: put_rows(writing, rows))

    def recover(self) -> list[Recovered]:
        """See `Journal.recover`."""
        return self._codec.recovered(self._environment.walk(_TRANSFER, _END_OF_TRANSFERS))

    def maintain(self) -> None:
        """Free what dead readers hold, and look at the space left. To be called each minute."""
        self._environment.maintain()

    def close(self) -> None:
        """See `Journal.close`."""
        self._environment.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


class MemoryJournal:
    """`Journal` in memory, for the simulation: what was written survives a crash of its relay."""

    def __init__(self, key: bytes, random_bytes: RandomBytes) -> None:
        self._codec = _Codec(key, random_bytes)
        self._rows: dict[bytes, bytes] = {}
        self._failure: str | None = None

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Journal.write`."""
        self._check()
        for key, value in [self._codec.row(entry) for entry in entries]:
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value

    def recover(self) -> list[Recovered]:
        """See `Journal.recover`."""
        self._check()
        return self._codec.recovered(self._rows.items())

    def close(self) -> None:
        """See `Journal.close`: later calls raise `StorageFailed`, as on the disk."""
        self.fail("the journal is closed")

    def fail(self, what: str = "the simulated disk failed") -> None:
        """From now on every call raises `StorageFailed`."""
        self._failure = self._failure or what

    def lose(self) -> None:
        """The disk is gone: an empty journal."""
        self._rows.clear()

    def raw(self) -> bytes:
        """All bytes at rest, to look for what must not be among them."""
        return b"".join(key + value for key, value in sorted(self._rows.items()))

    def _check(self) -> None:
        if self._failure is not None:
            raise StorageFailed(self._failure)


def _context(transfer_id: bytes) -> bytes:
    return b"relay/secret/" + transfer_id


def _locked(path: Path) -> int:
    """The descriptor that holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageFailed(f"{path}: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise Refused(
            CommonReason.NOT_READY, f"{path.parent} is in use by another process"
        ) from None
    return descriptor
