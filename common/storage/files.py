"""Small files beside the environments: sealed, written whole or not at all, read with suspicion."""

from __future__ import annotations

import os
from pathlib import Path

from common.errors import StorageFailed
from common.storage.records import CHECKSUM_BYTES, open_record, seal

__all__ = ["CommitMark", "read_sealed", "sync_folder", "write_sealed"]

SEALED_BYTES_MAX = 4096
_NUMBER_BYTES = 8


def write_sealed(path: Path, value: bytes) -> None:
    """Replace the file at `path` by a sealed `value`. On the disk, name and content, on return."""
    fresh = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(seal(path.name.encode(), value))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageFailed(f"{path}: {error}") from error


def read_sealed(path: Path) -> bytes | None:
    """What `write_sealed` wrote; None where there is no file. `StorageFailed` where damaged."""
    try:
        with path.open("rb") as file:
            record = file.read(SEALED_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageFailed(f"{path}: {error}") from error
    try:
        return open_record(path.name.encode(), record)
    except StorageFailed as error:
        raise StorageFailed(f"{path}: {error}") from error


def sync_folder(path: Path) -> None:
    """Put the names in a folder on the disk: what was created, renamed or removed there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class CommitMark:
    """The number of the last commit, kept outside the environment it counts for.

    LMDB chooses between two meta pages; where the newer one is damaged it goes back by one commit
    and cannot know. The mark knows. It is written after the commit is on the disk and is not synced
    itself: so it may be behind the environment, and is never ahead of it.
    """

    def __init__(self, path: Path) -> None:
        self._key = path.name.encode()
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR)
        except OSError as error:
            raise StorageFailed(f"{path}: {error}") from error

    def read(self) -> int:
        """The number. Raises `StorageFailed` where it is damaged."""
        record = os.pread(self._descriptor, CHECKSUM_BYTES + _NUMBER_BYTES + 1, 0)
        try:
            return int.from_bytes(open_record(self._key, record), "big")
        except StorageFailed as error:
            raise StorageFailed(f"{self._path}: {error}") from error

    def write(self, number: int) -> None:
        """Replace the number. Raises `StorageFailed` where the file system refuses."""
        record = seal(self._key, number.to_bytes(_NUMBER_BYTES, "big"))
        try:
            os.pwrite(self._descriptor, record, 0)
        except OSError as error:
            raise StorageFailed(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Release the file. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
