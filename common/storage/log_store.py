"""`LogStore` on LMDB: the promises of a node, in one synced transaction for each group of writes.

Rows of the environment `log/`:

    e | index (8 bytes, big-endian)       canonical `Entry`
    h                                     canonical `Head`
    s | history, height (8 bytes each)    canonical `SigningRecord`

The head is rewritten by every commit. It holds the vote, and what must be there: the ends of the
log, the number of signing records. So a row that is gone is as visible as one that is damaged.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.encoding import Canonical, Malformed, decode, encode
from common.errors import InvariantBroken, Refused, StorageFailed
from common.raft.messages import Entry, HardState
from common.raft.storage import Unavailable, fitting
from common.storage.environment import Environment, put_rows
from common.storage.files import CommitMark
from common.storage.outline import LogOutline, place
from common.storage.ports import LogImage, LogWrite, Row, SigningRecord

__all__ = ["LmdbLogStore", "format_log"]

_HEAD = b"h"
_ENTRIES_LOW, _ENTRIES_HIGH = b"e", b"f"
_SIGNED_LOW, _SIGNED_HIGH = b"s", b"t"

ENTRY_OVERHEAD_BYTES_MAX = 32
"""What the encoding of an entry is longer than its data, at most."""


class Head(Canonical, frozen=True):
    """What the newest commit says of the whole log. `commit` counts the commits."""

    commit: int
    first_index: int
    last_index: int
    signed_total: int
    hard_state: HardState | None
    signing: SigningRecord | None


class LmdbLogStore:
    """`LogStore` on an environment and its commit mark. `recover` comes before every other call.

    Written by one thread; read, meanwhile, by another.
    """

    def __init__(self, environment: Environment, mark: CommitMark) -> None:
        self._environment = environment
        self._mark = mark
        self._commit = 0
        self._signed_total = 0
        self._recovered: LogOutline | None = None
        self._writing = False

    def recover(self) -> LogImage:
        """See `LogStore.recover`."""
        try:
            head = self._read_head()
            outline = self._read_log(head)
        except (Refused, InvariantBroken, StorageFailed) as error:
            raise self._environment.fail(error) from error
        self._commit, self._signed_total = head.commit, head.signed_total
        self._recovered = outline
        return outline.image()

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
        return self._outline.term(index)

    def entries(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        """See `LogStore.entries`."""
        outline = self._outline
        outline.require(low, high)
        rows = self._environment.scan(
            _entry_key(low),
            _entry_key(high),
            rows_max=high - low,
            bytes_max=bytes_max + (high - low) * ENTRY_OVERHEAD_BYTES_MAX,
        )
        try:
            found = [_entry(value, index) for index, (_, value) in enumerate(rows, low)]
        except Refused as error:
            raise self._environment.fail(error) from error
        if len(found) < high - low:
            self._require_stored(low + len(found), outline)
        return found[: fitting(found, bytes_max)]

    def signed(self, history: int, height: int) -> bytes | None:
        """See `LogStore.signed`."""
        self._environment.check()
        value = self._environment.get(_signed_key(history, height))
        try:
            return None if value is None else _signing(value, history, height).header_hash
        except Refused as error:
            raise self._environment.fail(error) from error

    def write(self, writes: Sequence[LogWrite]) -> None:
        """See `LogStore.write`."""
        outline, rows = self._outline, list[Row]()
        last_index_max = outline.last_index
        fresh: dict[tuple[int, int], bytes] = {}

        def signed(history: int, height: int) -> bytes | None:
            return fresh.get((history, height)) or self.signed(history, height)

        for write in writes:
            outline = outline.after(write, signed)
            last_index_max = max(last_index_max, outline.last_index)
            rows += [(_entry_key(entry.index), encode(entry)) for entry in write.entries]
            if write.signing is not None and outline.signing is write.signing:
                fresh[place(write.signing)] = write.signing.header_hash
                rows.append((_signed_key(*place(write.signing)), encode(write.signing)))
        rows += [(_entry_key(i), None) for i in range(outline.last_index + 1, last_index_max + 1)]
        self._store(rows, outline, self._signed_total + len(fresh))

    @property
    def nearly_full(self) -> bool:
        """See `LogStore.nearly_full`."""
        return self._environment.nearly_full

    def maintain(self) -> None:
        """See `LogStore.maintain`."""
        self._environment.maintain()

    def close(self) -> None:
        """See `LogStore.close`."""
        self._environment.close()
        self._mark.close()

    # --- inside

    @property
    def _outline(self) -> LogOutline:
        self._environment.check()
        if self._recovered is None:
            raise InvariantBroken("a log is recovered before it is used")
        return self._recovered

    def _store(self, rows: list[Row], outline: LogOutline, signed_total: int) -> None:
        head = Head(
            commit=self._commit + 1,
            first_index=outline.first_index,
            last_index=outline.last_index,
            signed_total=signed_total,
            hard_state=outline.hard_state,
            signing=outline.signing,
        )
        rows.append((_HEAD, encode(head)))
        self._writing = True
        self._environment.write(lambda writing: put_rows(writing, rows))
        try:
            self._mark.write(head.commit)
        except StorageFailed as error:
            raise self._environment.fail(error) from error
        self._commit, self._signed_total = head.commit, signed_total
        self._recovered = outline
        self._writing = False

    def _require_stored(self, index: int, outline: LogOutline) -> None:
        """An entry of `outline` was not read. It is there, or was just replaced, or is lost."""
        if self._environment.get(_entry_key(index)) is not None:
            return
        if self._writing or self._recovered is not outline:
            raise Unavailable(f"index {index} is being replaced")
        raise self._environment.fail(StorageFailed(f"the entry at index {index} is gone"))

    def _read_head(self) -> Head:
        value = self._environment.get(_HEAD)
        if value is None:
            raise StorageFailed("the log has no head: it was never formatted, or it was lost")
        head = decode(Head, value)
        mark = self._mark.read()
        if head.commit < mark:
            raise StorageFailed(f"the log is at commit {head.commit}, and was at {mark} before")
        return head

    def _read_log(self, head: Head) -> LogOutline:
        """The outline of what is stored, every row of it read. Raises where `head` disagrees."""
        outline = LogOutline(
            first_index=head.first_index,
            last_index=head.first_index - 1,
            hard_state=head.hard_state,
            signing=head.signing,
        )
        for key, value in self._environment.walk(_ENTRIES_LOW, _ENTRIES_HIGH):
            entry = _entry(value, int.from_bytes(key[1:], "big"))
            outline = outline.after(LogWrite(entries=(entry,)), _unsigned)
        signed_total, signing = 0, None
        for key, value in self._environment.walk(_SIGNED_LOW, _SIGNED_HIGH):
            at = key[1:]
            signing = _signing(value, int.from_bytes(at[:8], "big"), int.from_bytes(at[8:], "big"))
            signed_total += 1
        rows_total = 1 + outline.last_index - outline.first_index + 1 + signed_total
        found = (outline.last_index, signed_total, signing, self._environment.rows_total())
        told = (head.last_index, head.signed_total, head.signing, rows_total)
        if found != told:
            raise StorageFailed(f"the log holds {found} where its head says {told}")
        return outline


def format_log(environment: Environment) -> None:
    """Write the head of a log that holds nothing yet, into an empty environment."""
    head = Head(0, 1, 0, 0, None, None)
    environment.write(lambda writing: put_rows(writing, [(_HEAD, encode(head))]))


def _entry_key(index: int) -> bytes:
    return _ENTRIES_LOW + index.to_bytes(8, "big")


def _signed_key(history: int, height: int) -> bytes:
    return _SIGNED_LOW + history.to_bytes(8, "big") + height.to_bytes(8, "big")


def _entry(value: bytes, index: int) -> Entry:
    entry = decode(Entry, value)
    if entry.index != index:
        raise Malformed(f"entry {entry.index} is stored as entry {index}")
    return entry


def _signing(value: bytes, history: int, height: int) -> SigningRecord:
    record = decode(SigningRecord, value)
    if place(record) != (history, height):
        raise Malformed(f"signing record {place(record)} is stored as {(history, height)}")
    return record


def _unsigned(history: int, height: int) -> None:
    """No header is signed where entries alone are read."""
