"""Stores to test: each kind behind the same few functions, so that one test runs against all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.raft.messages import Entry, HardState
from common.storage.folder import (
    FolderIdentity,
    FolderLimits,
    NodeFolder,
    format_folder,
    open_folder,
)
from common.storage.ports import LogImage, LogStore, LogWrite, SigningRecord

IDENTITY = FolderIdentity(chain_id=bytes(range(32)), node_id="bank-1")
SMALL = FolderLimits(log_bytes_max=1 << 26, state_bytes_max=1 << 26, bytes_start=1 << 18)
EVERYTHING = 1 << 40


def formatted(path: Path) -> Path:
    format_folder(path, IDENTITY)
    return path


@contextmanager
def opened(path: Path) -> Iterator[NodeFolder]:
    with open_folder(path, IDENTITY, limits=SMALL) as folder:
        yield folder


def entry(term: int, index: int, data: bytes | None = None) -> Entry:
    return Entry(term, index, b"block %d of term %d" % (index, term) if data is None else data)


def entries(term: int, low: int, high: int) -> tuple[Entry, ...]:
    return tuple(entry(term, index) for index in range(low, high))


def vote(term: int, candidate: str = "") -> LogWrite:
    return LogWrite(hard_state=HardState(term, candidate))


def append(*appended: Entry) -> LogWrite:
    return LogWrite(entries=appended)


def sign(height: int, mark: int = 0, history: int = 0, term: int = 1) -> LogWrite:
    return LogWrite(signing=SigningRecord(history, height, bytes([mark]) * 32, term))


def everything(log: LogStore) -> tuple[LogImage, list[Entry], list[int], list[bytes | None]]:
    """All a log store can tell: its facts, entries, terms, and signatures of heights 0 to 63."""
    image = log.recover()
    indexes = range(image.first_index, image.last_index + 1)
    return (
        image,
        log.entries(image.first_index, image.last_index + 1, EVERYTHING),
        [log.term(index) for index in indexes],
        [log.signed(0, height) for height in range(64)],
    )
