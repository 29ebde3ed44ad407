"""Small files that only their owner may touch: created once, synced, mode 0600.

A private file is never overwritten, and one that its group or the world may touch is refused when
it is read.

    create_private(folder / "tls-key.pem", pem)
    read_private(folder / "tls-key.pem", bytes_max=16 * 1024)
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from common.errors import CommonReason, Refused, StorageFailed

__all__ = ["PRIVATE_FILE_MODE", "create_private", "read_private"]

PRIVATE_FILE_MODE = 0o600


def create_private(path: Path, data: bytes) -> None:
    """Create `path` with `data` in it; the file and its folder are synced before this returns.

    Raises `Refused(INVALID_ARGUMENT)` where the path exists, `StorageFailed` where the disk fails.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE_MODE)
    except FileExistsError:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{path} exists already") from None
    except OSError as error:
        raise StorageFailed(f"cannot create {path}: {error}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageFailed(f"cannot write {path}: {error}") from error


def read_private(path: Path, bytes_max: int) -> bytes:
    """The bytes of a regular file of at most `bytes_max` bytes that only its owner may touch.

    Raises `Refused`: NOT_FOUND for a missing file, PERMISSION_DENIED where group or world have any
    permission on it, TOO_LARGE and MALFORMED (no regular file). Raises `StorageFailed` where the
    disk fails.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())  # of the file that was opened, not of the name
            if not stat.S_ISREG(status.st_mode):
                raise Refused(CommonReason.MALFORMED, f"{path} is no regular file")
            if stat.S_IMODE(status.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
                message = f"{path} is open to others than its owner; chmod 600 it"
                raise Refused(CommonReason.PERMISSION_DENIED, message)
            data = file.read(bytes_max + 1)
    except FileNotFoundError:
        raise Refused(CommonReason.NOT_FOUND, f"there is no file {path}") from None
    except OSError as error:
        raise StorageFailed(f"cannot read {path}: {error}") from error
    if len(data) > bytes_max:
        raise Refused(CommonReason.TOO_LARGE, f"{path} has more than {bytes_max} bytes")
    return data


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
