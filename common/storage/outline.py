"""The shape of a log: where it begins and ends, its terms, and the rules every write of it keeps.

A `LogOutline` is a value. `after(write)` is the outline once the write is stored, or
`InvariantBroken` where the write would break a promise of the node. Both log stores keep one, so
both keep the same rules:

- entries are contiguous, and continue the log or replace its end;
- no entry has a term above the stored term, and terms never fall along the log;
- the stored term never falls, and a vote given in a term is never changed or taken back;
- at most one header is signed at each height of a history, for ever.

    outline = LogOutline().after(LogWrite(hard_state=HardState(2, "bank-1")), unsigned)
    outline = outline.after(LogWrite(entries=(Entry(2, 1, b"block"),)), unsigned)
    outline.term(1) == 2
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import msgspec

from common.errors import InvariantBroken
from common.raft.messages import Entry, HardState
from common.raft.storage import Compacted, Unavailable
from common.storage.ports import LogImage, LogWrite, SigningRecord

__all__ = ["LogOutline", "Signed", "place"]

Signed = Callable[[int, int], bytes | None]
"""The hash of the header signed at (history, height), or None."""


class LogOutline(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a log without reading it. `runs` are (first index of the run, its term)."""

    first_index: int = 1
    last_index: int = 0
    runs: tuple[tuple[int, int], ...] = ()
    hard_state: HardState | None = None
    signing: SigningRecord | None = None

    def image(self) -> LogImage:
        """The facts a node starts from."""
        return LogImage(self.hard_state, self.first_index, self.last_index, self.signing)

    def term(self, index: int) -> int:
        """The term of the entry at `index`; the errors of `LogStore.term`."""
        if index == 0:
            return 0
        self.require(index, index + 1)
        return self.runs[bisect_right(self.runs, index, key=_run_start) - 1][1]

    def require(self, low: int, high: int) -> None:
        """Raise `Compacted` or `Unavailable` unless `low <= index < high` is wholly in the log."""
        if low < self.first_index:
            raise Compacted(f"index {low} is below the first entry, {self.first_index}")
        if high > self.last_index + 1:
            raise Unavailable(f"index {high - 1} is above the last entry, {self.last_index}")

    def after(self, write: LogWrite, signed: Signed) -> LogOutline:
        """The outline once `write` is stored. Raises `InvariantBroken` where it breaks a rule."""
        outline = self
        if write.hard_state is not None:
            outline = _voted(outline, write.hard_state)
        if write.entries:
            outline = _appended(outline, write.entries)
        if write.signing is not None:
            outline = _signed(outline, write.signing, signed)
        return outline


def place(record: SigningRecord) -> tuple[int, int]:
    """Where a signed header stands: (history, height), in the order of signing."""
    return record.history, record.height


def _voted(outline: LogOutline, new: HardState) -> LogOutline:
    old = outline.hard_state or HardState(0, "")
    if new.term < old.term:
        raise InvariantBroken(f"the stored term would fall from {old.term} to {new.term}")
    if new.term == old.term and old.vote not in ("", new.vote):
        raise InvariantBroken(
            f"the vote of term {new.term} would change from {old.vote!r} to {new.vote!r}"
        )
    return msgspec.structs.replace(outline, hard_state=new)


def _appended(outline: LogOutline, entries: tuple[Entry, ...]) -> LogOutline:
    low = entries[0].index
    if not outline.first_index <= low <= outline.last_index + 1:
        raise InvariantBroken(
            f"entries from {low} do not continue {outline.first_index}..{outline.last_index}"
        )
    runs = outline.runs[: bisect_right(outline.runs, low - 1, key=_run_start)]
    term = runs[-1][1] if runs else 0
    term_max = outline.hard_state.term if outline.hard_state is not None else 0
    for expected, entry in enumerate(entries, low):
        if entry.index != expected:
            raise InvariantBroken(f"entry {entry.index} stands where {expected} belongs")
        if not max(term, 1) <= entry.term <= term_max:
            raise InvariantBroken(
                f"entry {entry.index} of term {entry.term} follows term {term}"
                f" while the stored term is {term_max}"
            )
        if entry.term > term:
            term = entry.term
            runs = (*runs, (entry.index, term))
    return msgspec.structs.replace(outline, last_index=entries[-1].index, runs=runs)


def _signed(outline: LogOutline, new: SigningRecord, signed: Signed) -> LogOutline:
    if outline.signing is None or place(new) > place(outline.signing):
        return msgspec.structs.replace(outline, signing=new)
    if signed(new.history, new.height) != new.header_hash:
        raise InvariantBroken(
            f"height {new.height} of history {new.history} would be signed again or too late"
        )
    return outline


def _run_start(run: tuple[int, int]) -> int:
    return run[0]
