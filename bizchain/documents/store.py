"""Where sealed files lie: a store that names them by the SHA-256 of what it is given.

    store = store_at("documents")             # or any address of fsspec: "s3://bucket/papers"
    digest = store.put(sealed.content)
    store.get(digest)

What is stored is sealed already, so whoever keeps a store learns sizes and nothing else. A file is
there whole or not at all, is never changed, and is checked against its name when it is read: a
store need not be trusted. Putting what is there already does nothing.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Protocol

from fsspec.core import url_to_fs

from bizchain.documents.errors import DocumentReason
from common.crypto.digest import DIGEST_BYTES, sha256
from common.errors import CommonReason, Refused, StorageFailed
from common.storage.files import sync_folder

__all__ = [
    "STORED_BYTES_MAX",
    "DocumentStore",
    "FolderStore",
    "MemoryStore",
    "UrlStore",
    "store_at",
]

STORED_BYTES_MAX = 16 * 1024 * 1024
"""As the books take: a document of at most 10 MiB, sealed."""

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class DocumentStore(Protocol):
    """Keeps sealed files by the SHA-256 of their bytes."""

    def put(self, content: bytes) -> bytes:
        """Keep the bytes; returns their digest.

        Raises `Refused`: DOCUMENT_TOO_LARGE, STORE_UNAVAILABLE.
        """
        ...

    def get(self, digest: bytes) -> bytes:
        """The bytes with this digest.

        Raises `Refused`: STORED_DOCUMENT_MISSING, STORED_DOCUMENT_DAMAGED, STORE_UNAVAILABLE.
        """
        ...


def store_at(place: str) -> DocumentStore:
    """The store in a folder, or at an address of fsspec. Raises `Refused(INVALID_ARGUMENT)`."""
    return UrlStore(place) if "://" in place else FolderStore(Path(place))


class MemoryStore:
    """A store of this process, for tests."""

    def __init__(self) -> None:
        self.contents: dict[bytes, bytes] = {}

    def put(self, content: bytes) -> bytes:
        digest = _digest_of(content)
        self.contents[digest] = content
        return digest

    def get(self, digest: bytes) -> bytes:
        _name(digest)  # what is no digest is refused here, too
        content = self.contents.get(digest)
        if content is None:
            raise _missing(digest)
        return _checked(digest, content)


class FolderStore:
    """A store in a folder of the file system: `ab/abcdef...`, made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> bytes:
        """Keep the bytes; name and content are on the disk on return.

        Raises as `DocumentStore.put`, and `StorageFailed` where the disk fails.
        """
        digest = _digest_of(content)
        path = self._folder / _name(digest)
        if path.is_file() and sha256(path.read_bytes()) == digest:
            return digest
        try:
            path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            _write(path, content)
        except OSError as error:
            raise StorageFailed(f"{path}: {error}") from error
        return digest

    def get(self, digest: bytes) -> bytes:
        """As `DocumentStore.get`; raises `StorageFailed` where the disk fails."""
        path = self._folder / _name(digest)
        try:
            with path.open("rb") as file:
                content = file.read(STORED_BYTES_MAX + 1)
        except FileNotFoundError:
            raise _missing(digest) from None
        except OSError as error:
            raise StorageFailed(f"{path}: {error}") from error
        return _checked(digest, content)


class UrlStore:
    """A store at an address of fsspec: `ab/abcdef...` below it.

    How durable it is, is the backend's to say. One that can leave half a file where it was cut off
    does no harm: that is damaged when it is read, and made whole when it is put again.
    """

    def __init__(self, url: str) -> None:
        """Raises `Refused(INVALID_ARGUMENT)`: an unknown protocol, or its library is not there."""
        self._protocol = url.partition("://")[0]  # the rest may hold credentials: never shown
        try:
            self._files, root = url_to_fs(url)
        except Exception as error:  # noqa: BLE001 (what a backend raises is its own)
            message = f"no store at this {self._protocol} address: {type(error).__name__}"
            if isinstance(error, ImportError):
                message = f"a library for {self._protocol} addresses is to be installed: {error}"
            raise Refused(CommonReason.INVALID_ARGUMENT, message) from None
        self._root = root.rstrip("/")

    def put(self, content: bytes) -> bytes:
        """As `DocumentStore.put`."""
        digest = _digest_of(content)
        path = f"{self._root}/{_name(digest)}"
        if self._read(path) != content:
            try:
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._files.pipe_file(path, content)
            except Exception as error:  # noqa: BLE001 (as above)
                raise self._unavailable(error) from None
        return digest

    def get(self, digest: bytes) -> bytes:
        """As `DocumentStore.get`."""
        content = self._read(f"{self._root}/{_name(digest)}")
        if content is None:
            raise _missing(digest)
        return _checked(digest, content)

    def _read(self, path: str) -> bytes | None:
        try:
            content: bytes = self._files.cat_file(path, start=0, end=STORED_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 (as above)
            raise self._unavailable(error) from None
        return content

    def _unavailable(self, error: Exception) -> Refused:
        message = f"the {self._protocol} store does not do it: {type(error).__name__}"
        return Refused(DocumentReason.STORE_UNAVAILABLE, message)


def _write(path: Path, content: bytes) -> None:
    """Beside its place first, then into it: a name never stands for half a file."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)
    sync_folder(path.parent.parent)


def _name(digest: bytes) -> str:
    if len(digest) != DIGEST_BYTES:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a digest has 32 bytes")
    name = digest.hex()
    return f"{name[:2]}/{name}"


def _digest_of(content: bytes) -> bytes:
    if len(content) > STORED_BYTES_MAX:
        raise Refused(
            DocumentReason.DOCUMENT_TOO_LARGE,
            f"{len(content)} bytes, at most {STORED_BYTES_MAX} are stored",
            bytes_max=STORED_BYTES_MAX,
        )
    return sha256(content)


def _checked(digest: bytes, content: bytes) -> bytes:
    if sha256(content) != digest:
        raise Refused(
            DocumentReason.STORED_DOCUMENT_DAMAGED, f"what is stored as {digest.hex()} is not it"
        )
    return content


def _missing(digest: bytes) -> Refused:
    return Refused(DocumentReason.STORED_DOCUMENT_MISSING, f"nothing is stored as {digest.hex()}")
