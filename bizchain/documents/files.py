"""Files into bytes, never more of them than a document may have."""

from __future__ import annotations

from pathlib import Path

from bizchain.documents.errors import DocumentReason
from common.errors import Refused

__all__ = ["DOCUMENT_BYTES_MAX", "check_size", "read_document"]

DOCUMENT_BYTES_MAX = 10 * 1024 * 1024
"""10 MiB: embedded scans included, far beyond any order or invoice."""


def check_size(data: bytes) -> None:
    """Refused with DOCUMENT_TOO_LARGE beyond `DOCUMENT_BYTES_MAX`."""
    if len(data) > DOCUMENT_BYTES_MAX:
        raise _too_large(len(data))


def read_document(path: Path) -> bytes:
    """The file's bytes. Refused: DOCUMENT_UNREADABLE, DOCUMENT_TOO_LARGE (before it is read)."""
    try:
        if not path.is_file():
            raise Refused(DocumentReason.DOCUMENT_UNREADABLE, f"{path} is not a file")
        size = path.stat().st_size
        if size > DOCUMENT_BYTES_MAX:
            raise _too_large(size)
        with path.open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(
            DocumentReason.DOCUMENT_UNREADABLE, f"{path} cannot be read: {error.strerror}"
        ) from None
    check_size(data)
    return data


def _too_large(size: int) -> Refused:
    return Refused(
        DocumentReason.DOCUMENT_TOO_LARGE,
        f"{size} bytes, at most {DOCUMENT_BYTES_MAX} are read",
        bytes_max=DOCUMENT_BYTES_MAX,
    )
