"""The blocks between the applied height and the end of the log: decoded and parsed once.

Each is there from the moment its entry is appended until it is applied, whoever leads. So a leader
knows the time its next block must follow, and a follower has a block's signatures checked while
the block is still being agreed on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from common.encoding import decode
from common.ledger.block import Block, check_block
from common.ledger.transition import Parsed
from common.raft.messages import Append, Entry

__all__ = ["PendingBlock", "PendingBlocks", "read_entry"]


@dataclass(slots=True)
class PendingBlock:
    """One block. `verified` once its signatures are in the memo (it may be applied then)."""

    term: int
    block: Block
    parsed: Sequence[Parsed]
    verified: bool


class Judged(NamedTuple):
    """What may be stepped of an Append (None: nothing), and its blocks that are new here."""

    append: Append | None
    fresh: Sequence[tuple[Entry, Block]]
    too_early: bool


class PendingBlocks:
    """Pending blocks by index, without gaps, from the applied height on."""

    __slots__ = ("_applied_height", "_applied_time_unix_ms", "_blocks", "_term_of", "_too_early")

    def __init__(
        self, applied_height: int, time_unix_ms: int, term_of: Callable[[int], int]
    ) -> None:
        """None yet after the block of `time_unix_ms`; `term_of` an applied height is its term."""
        self._applied_height = applied_height
        self._applied_time_unix_ms = time_unix_ms
        self._term_of = term_of
        self._blocks: dict[int, PendingBlock] = {}
        self._too_early = (0, 0)  # (term, block time)

    @property
    def last_index(self) -> int:
        """The end of the log."""
        return self._applied_height + len(self._blocks)

    @property
    def last_time_unix_ms(self) -> int:
        """Block time at the end of the log."""
        return self._time_of(self.last_index)

    def holds(self, index: int, term: int) -> bool:
        """Whether the entry at `index` has `term`."""
        if index <= self._applied_height:
            return index == 0 or self._term_of(index) == term
        pending = self._blocks.get(index)
        return pending is not None and pending.term == term

    def get(self, index: int) -> PendingBlock:
        """The pending block at an index."""
        return self._blocks[index]

    def judge(self, append: Append, latest_unix_ms: int) -> Judged:
        """What of an Append, of the newest term seen, may be acknowledged.

        Blocks later than `latest_unix_ms` are cut off. Then, until the clock has come near enough,
        nothing of this term's leader is let through: not even its heartbeats keep it in office.
        Raises `Refused` (MALFORMED, TOO_LARGE) for a block no correct leader makes.
        """
        term, time_unix_ms = self._too_early
        if append.term == term and time_unix_ms > latest_unix_ms:
            return Judged(None, (), too_early=True)
        if not self.holds(append.prev_index, append.prev_term):
            return Judged(append, (), too_early=False)
        fresh = self._fresh(append)
        for place, (entry, block) in enumerate(fresh):
            if block.time_unix_ms > latest_unix_ms:
                self._too_early = (append.term, block.time_unix_ms)
                kept = tuple(known for known in append.entries if known.index < entry.index)
                cut = replace(append, entries=kept) if place else None
                return Judged(cut, fresh[:place], too_early=True)
        return Judged(append, fresh, too_early=False)

    def _fresh(self, append: Append) -> list[tuple[Entry, Block]]:
        """The entries of an Append from the first that is not held on, decoded and judged."""
        found: list[tuple[Entry, Block]] = []
        parent_time = 0
        for entry in append.entries:
            if not found:
                if entry.index <= self._applied_height or self.holds(entry.index, entry.term):
                    continue
                parent_time = self._time_of(entry.index - 1)
            block = read_entry(entry, parent_time)
            parent_time = block.time_unix_ms
            found.append((entry, block))
        return found

    def put(self, index: int, pending: PendingBlock) -> list[PendingBlock]:
        """Set the block at an index; what lay there and after it is replaced, and returned."""
        replaced = [self._blocks.pop(later) for later in range(index, self.last_index + 1)]
        assert index == self.last_index + 1, "pending blocks have no gaps"
        self._blocks[index] = pending
        return replaced

    def applied(self, index: int) -> None:
        """The first pending block is applied."""
        pending = self._blocks.pop(index)
        self._applied_height = index
        self._applied_time_unix_ms = pending.block.time_unix_ms

    def _time_of(self, index: int) -> int:
        if index == self._applied_height:
            return self._applied_time_unix_ms
        return self._blocks[index].block.time_unix_ms


def read_entry(entry: Entry, parent_time_unix_ms: int) -> Block:
    """The block in an entry. Raises `Refused` (MALFORMED, TOO_LARGE)."""
    block = decode(Block, entry.data)
    check_block(block, len(entry.data), parent_time_unix_ms)
    return block
