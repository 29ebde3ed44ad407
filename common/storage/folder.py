"""The folder of a node: made once, for one node of one chain, and held by one process at a time.

    identity    format version, chain id, node id                                  (sealed)
    lock        held with flock while the folder is open
    commits     number of the newest commit of the log                             (sealed)
    session     boot of the machine that last wrote the state, clean or unclean    (sealed)
    log/        LMDB: votes, entries, signing records; synced
    state/      LMDB: what follows from the log; not synced

`format_folder` makes one where there is nothing. `open_folder` refuses a folder that was never
formatted, is another's, is of another format, is open already, or lies on a network file system
(whose locks and syncs do not mean what they must). It never makes what is missing: a node that lost
its disk must not start as if it had promised nothing.

    format_folder(path, FolderIdentity(chain_id, "bank-1"))
    with open_folder(path, FolderIdentity(chain_id, "bank-1")) as folder:
        folder.open_log().recover()
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from common.encoding import Canonical, decode, encode
from common.errors import Kind, Reason, Refused, StorageFailed
from common.storage.environment import MAP_BYTES_START, Environment
from common.storage.files import CommitMark, read_sealed, sync_folder, write_sealed
from common.storage.log_store import LmdbLogStore, format_log
from common.storage.state_store import LmdbStateStore, format_state

__all__ = [
    "FORMAT_VERSION",
    "FolderIdentity",
    "FolderLimits",
    "FolderReason",
    "NodeFolder",
    "boot_id",
    "format_folder",
    "network_file_system",
    "open_folder",
    "read_identity",
]

FORMAT_VERSION = 2
"""Raised with every change of what is stored, or of the state that follows from the same log.

An older program refuses a newer folder; and this one an older folder, whose state it would go on
with as if it had made it. 2: what was made of a receipt is counted.
"""

FORMAT_MAP_BYTES = 128 * 1024
"""The maps of a folder nobody has opened yet."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "lustre", "ncpfs", "nfs", "nfs4"}
    | {"smb3", "smbfs"}
)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/mountinfo")


class FolderReason(Reason):
    """Why a folder was not opened or made. An operator can put each right."""

    FOLDER_NOT_FORMATTED = (80, Kind.PRECONDITION)
    FOLDER_NOT_EMPTY = (81, Kind.EXISTS)
    FOLDER_IN_USE = (82, Kind.UNAVAILABLE, True)
    FOLDER_OF_ANOTHER = (83, Kind.PRECONDITION)
    FOLDER_TOO_NEW = (84, Kind.PRECONDITION)
    FOLDER_ON_NETWORK = (85, Kind.PRECONDITION)
    FOLDER_TOO_OLD = (86, Kind.PRECONDITION)


class FolderIdentity(Canonical, frozen=True):
    """Whose folder it is. `chain_id` is the hash of the genesis; a node id is never used again."""

    chain_id: bytes
    node_id: str


class FolderLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the two maps: what they start with, and what they may grow to."""

    log_bytes_max: int = 64 * 1024**3
    state_bytes_max: int = 64 * 1024**3
    bytes_start: int = MAP_BYTES_START


class NodeFolder:
    """An open folder. Its stores are opened at most once each, and closed with it."""

    def __init__(
        self, path: Path, lock: int, identity: FolderIdentity, limits: FolderLimits
    ) -> None:
        self.path = path
        self.identity = identity
        self._lock = lock
        self._limits = limits
        self._stores: list[LmdbLogStore | LmdbStateStore] = []

    def open_log(self) -> LmdbLogStore:
        """The log store, its file checked. `recover` reads and checks what it holds."""
        store = LmdbLogStore(
            Environment(
                self.path / "log",
                synced=True,
                create=False,
                bytes_max=self._limits.log_bytes_max,
                bytes_start=self._limits.bytes_start,
            ),
            CommitMark(self.path / "commits"),
        )
        self._stores.append(store)
        return store

    def open_state(self) -> LmdbStateStore:
        """The state store, its file checked, or `suspect` and not touched."""
        store = LmdbStateStore(
            self.path / "state",
            self.path / "session",
            boot_id(),
            bytes_max=self._limits.state_bytes_max,
            bytes_start=self._limits.bytes_start,
        )
        self._stores.append(store)
        return store

    def close(self) -> None:
        """Close the stores and let the folder go. Idempotent."""
        try:
            while self._stores:
                self._stores.pop().close()
        finally:
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def format_folder(path: Path, identity: FolderIdentity) -> None:
    """Make the folder of a new node at `path`, which does not exist or is empty.

    Its identity is written last: a folder whose making was cut short is not formatted, and is
    removed by hand. Raises `Refused` for a folder that holds anything, or on a network file system.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_network(path)
    if any(path.iterdir()):
        raise Refused(FolderReason.FOLDER_NOT_EMPTY, f"{path} holds something already")
    for name in ("log", "state"):
        (path / name).mkdir(mode=0o700)
    (path / "lock").touch(mode=0o600)
    write_sealed(path / "commits", bytes(8))
    log = Environment(
        path / "log",
        synced=True,
        create=True,
        bytes_max=FORMAT_MAP_BYTES,
        bytes_start=FORMAT_MAP_BYTES,
    )
    format_log(log)
    log.close()
    format_state(path / "state", path / "session", boot_id(), map_bytes=FORMAT_MAP_BYTES)
    sync_folder(path / "log")
    write_sealed(path / "identity", FORMAT_VERSION.to_bytes(2, "big") + encode(identity))
    sync_folder(path.parent)


def open_folder(
    path: Path, expected: FolderIdentity, *, limits: FolderLimits | None = None
) -> NodeFolder:
    """Open the folder of the node `expected`, for this process alone.

    Raises `Refused` with a `FolderReason`, or `StorageFailed` where the folder itself is damaged.
    """
    identity = read_identity(path)
    if identity != expected:
        raise Refused(
            FolderReason.FOLDER_OF_ANOTHER,
            f"{path} is of node {identity.node_id!r} of chain {identity.chain_id.hex()},"
            f" not of {expected.node_id!r} of {expected.chain_id.hex()}",
        )
    _refuse_network(path)
    return NodeFolder(path, _locked(path / "lock"), identity, limits or FolderLimits())


def read_identity(path: Path) -> FolderIdentity:
    """Whose folder it is, without opening it. Raises as `open_folder` does."""
    value = read_sealed(path / "identity")
    if value is None:
        raise Refused(FolderReason.FOLDER_NOT_FORMATTED, f"{path} was never formatted")
    version = int.from_bytes(value[:2], "big")
    if version > FORMAT_VERSION:
        raise Refused(
            FolderReason.FOLDER_TOO_NEW,
            f"{path} has format {version}; this program knows formats up to {FORMAT_VERSION}",
        )
    if version < FORMAT_VERSION:
        raise Refused(
            FolderReason.FOLDER_TOO_OLD,
            f"{path} has format {version}; this program goes on with format {FORMAT_VERSION} alone."
            " Keep the program that wrote it, or begin anew: remove the folder (`make reset`"
            " removes those of `make run`)",
        )
    return decode(FolderIdentity, value[2:])


def boot_id() -> str:
    """What names this boot of the machine, or "" where the system does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def network_file_system(path: Path, mounts: str) -> str | None:
    """The type of the network file system `path` lies on, or None. `mounts` is a mountinfo table.

    Source: proc_pid_mountinfo(5). Of nested mounts the innermost counts, of equal ones the last.
    """
    place, kind = "", ""
    for line in mounts.splitlines():
        fields, _, source = line.partition(" - ")
        mount = fields.split(" ")[4].encode().decode("unicode_escape")
        if path.is_relative_to(mount) and len(mount) >= len(place):
            place, kind = mount, source.split(" ")[0]
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def _refuse_network(path: Path) -> None:
    if not _MOUNTS.exists():
        return
    kind = network_file_system(path.resolve(), _MOUNTS.read_text(encoding="utf-8"))
    if kind is not None:
        raise Refused(FolderReason.FOLDER_ON_NETWORK, f"{path} lies on a {kind} file system")


def _locked(path: Path) -> int:
    """The descriptor that holds the exclusive lock."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError as error:
        raise StorageFailed(f"{path}: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise Refused(FolderReason.FOLDER_IN_USE, f"{path.parent} is open already") from error
    return descriptor
